"""Capacity plans: replicas paid for and minutes with too few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring.capacity import plan_scores

NEEDED = np.array([[1, 3], [2, 3], [3, 1], [4, 1]])


def test_a_constant_plan_by_hand() -> None:
    scores = plan_scores([3, 2], NEEDED, minutes=15, price=4, penalty=2)
    assert scores.replica_hours == 5.0  # 5 replicas for an hour
    assert scores.breach_minutes == 45.0  # service 0 once, service 1 twice
    assert scores.attainment == 0.5
    assert scores.cost == 4 * 5 + 2 * 45


def test_a_plan_that_follows_demand_costs_less_and_never_breaches() -> None:
    follow = plan_scores(NEEDED, NEEDED, penalty=1)
    fixed = plan_scores(NEEDED.max(axis=0), NEEDED, penalty=1)
    assert follow.breach_minutes == fixed.breach_minutes == 0
    assert follow.attainment == fixed.attainment == 1
    assert follow.cost < fixed.cost


@given(st.integers(0, 5), st.integers(0, 5))
def test_more_replicas_never_breach_more(first: int, second: int) -> None:
    low, high = (plan_scores([first + more, second + more], NEEDED) for more in (0, 1))
    assert high.breach_minutes <= low.breach_minutes
    assert high.replica_hours > low.replica_hours


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan_scores([1], [1, 2]), "one column a service"),
        (lambda: plan_scores([1, 2, 3], NEEDED), "replicas must have shape"),
        (lambda: plan_scores([1, np.nan], NEEDED), "finite"),
        (lambda: plan_scores([1, -1], NEEDED), "0 or more"),
        (lambda: plan_scores([1, 1], NEEDED, minutes=0), "minutes must be above 0"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

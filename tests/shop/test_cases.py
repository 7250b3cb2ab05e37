"""Windows of incidents, stretches before a breach, weeks at a natural rate, logs nobody has seen."""

from __future__ import annotations

import doctest
import importlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from course.shop.cases import incident_cases, stretches
from course.shop.dialect import unseen_log
from course.shop.weeks import service_weeks, under_way

KINDS = ["cpu_saturation", "bad_deploy", "surge"]
SERVICES = ["cart", "checkout", "payment"]


@pytest.mark.parametrize("name", ["cases", "dialect", "weeks"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.shop.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_cases_are_balanced_and_one_seed_gives_the_same() -> None:
    cases = incident_cases(30, 7, services=SERVICES, kinds=KINDS)
    assert Counter(case.kind for case in cases) == dict.fromkeys(KINDS, 10)
    assert {case.service for case in cases} <= set(SERVICES)
    again = incident_cases(30, 7, services=SERVICES, kinds=KINDS)
    for one, other in zip(cases, again, strict=True):
        pd.testing.assert_frame_equal(one.metrics, other.metrics)
    assert not cases[0].metrics.equals(
        incident_cases(30, 8, services=SERVICES, kinds=KINDS)[0].metrics
    )


def test_a_case_says_nothing_of_its_kind_by_its_form() -> None:
    cases = incident_cases(12, 3, services=SERVICES, kinds=KINDS)
    assert {case.metrics.shape for case in cases} == {(90, 9)}
    assert len({case.metrics.index[0] for case in cases}) == 12
    order = [case.kind for case in cases]
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ["no_such_fault"]}, "no_such_fault"),
        ({"kinds": ["slow_query"]}, "slow_query"),
        ({"minutes": 30}, "."),
    ],
)
def test_cases_that_cannot_be_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        incident_cases(2, 1, **{"services": SERVICES, "kinds": KINDS, **change})


def test_stretches_are_quiet_in_their_share() -> None:
    drawn = {"services": SERVICES, "kinds": ["memory_leak"]}
    assert {s.kind for s in stretches(6, 2, quiet_share=1.0, **drawn)} == {""}
    assert {s.kind for s in stretches(6, 2, quiet_share=0.0, **drawn)} == {"memory_leak"}
    with pytest.raises(ValueError, match="at least 120"):
        stretches(1, 1, minutes=60, **drawn)


def test_weeks_hold_incidents_at_about_the_rate_asked_for() -> None:
    weeks = service_weeks(
        5, start="2026-03-02T00:00Z", services=SERVICES, kinds=["cpu_saturation"], weeks=4,
        per_week=3.0,
    )  # fmt: skip
    assert 15 <= len(weeks.incidents) <= 60  # 36 on average
    assert set(weeks.incidents["service"]) <= set(SERVICES)
    on = under_way(weeks.slots.index, weeks.incidents)
    assert 0 < on.mean() < 0.1
    for service, time in weeks.slots.index[on]:
        own = weeks.incidents[weeks.incidents["service"] == service]
        assert ((own["start"] < time + pd.Timedelta("10min")) & (own["end"] >= time)).any()


def test_a_log_has_lines_of_statements_that_another_seed_does_not_have() -> None:
    log, other = unseen_log(1), unseen_log(2)
    assert len(log) == 2000
    assert log.equals(unseen_log(1))
    statements = log.columns[-1]
    counts = log[statements].value_counts()
    assert len(counts) > 10
    assert counts.iloc[0] > 10 * counts.iloc[-1]  # a few frequent ones, many rare ones
    assert not set(log.iloc[:, 0]) & set(other.iloc[:, 0])


def test_counts_are_whole_and_values_finite() -> None:
    found = stretches(4, 9, services=SERVICES, kinds=["memory_leak"])
    shares = [float(np.isfinite(s.metrics.to_numpy()).mean()) for s in found]
    assert min(shares) > 0.95

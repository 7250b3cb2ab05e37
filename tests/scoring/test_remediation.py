"""Remediation: what was saved, which actions were harmful, when doing nothing was right."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring.remediation import REASONS, harmful_actions, remediation_scores


def _actions(*rows: tuple) -> pd.DataFrame:
    """Rows of scenario, refused, touched, evidence, fault."""
    return pd.DataFrame(rows, columns=["scenario", "refused", "touched", "evidence", "fault"])


NONE = _actions()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((0, False, 1, True, True), ""),
        ((0, False, 1, False, True), ""),  # early on a fault that does not hurt yet
        ((0, False, 1, True, False), ""),  # users suffered from a harmless surge
        ((0, False, 1, False, False), "no fault"),
        ((0, True, 1, True, True), "precondition"),
        ((0, False, 4, True, True), "blast radius"),
        ((0, False, 3, True, True), ""),
        ((0, True, 9, False, False), "precondition"),  # the first reason counts
    ],
)
def test_harm_is_judged_by_what_could_be_known(row, why: str) -> None:
    assert harmful_actions(_actions(row)).tolist() == [why]
    assert why == "" or why in REASONS


def test_the_radius_can_be_set() -> None:
    table = _actions((0, False, 2, True, True))
    assert harmful_actions(table, radius=1).tolist() == ["blast radius"]


def test_scores_by_hand() -> None:
    """Four episodes, two without a fault; one of these was acted upon without a reason."""
    table = _actions(
        (0, False, 1, True, True), (0, True, 1, True, True), (3, False, 1, False, False)
    )
    scores = remediation_scores(
        [[1, 2], [0, 4], [0, 1], [0, 3]], [[1, 9], [0, 4], [0, 1], [0, 1]],
        [0.5, 0, 0, 0.25], [True, True, False, False], table,
    )  # fmt: skip
    assert (scores.lost, scores.untouched, scores.cost) == (11, 16, 0.75)
    assert scores.saved == pytest.approx(4.25)
    assert scores.saved_share == pytest.approx(4.25 / 16)
    assert (scores.actions, scores.harmful) == (3, 2)
    assert scores.harmful_rate == pytest.approx(2 / 3)
    assert scores.no_op_correct == 0.5


def test_doing_nothing_saves_and_harms_nothing() -> None:
    scores = remediation_scores([3, 1], [3, 1], [0, 0], [True, False], NONE)
    assert (scores.saved, scores.harmful_rate, scores.no_op_correct) == (0, 0, 1)


def test_without_a_control_there_is_no_share_of_controls() -> None:
    assert np.isnan(remediation_scores([3], [3], [0], [True], NONE).no_op_correct)
    assert np.isnan(remediation_scores([0], [0], [0], [False], NONE).saved_share)


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(0, 2)), min_size=1))
def test_what_is_saved_adds_up(rows) -> None:
    lost, untouched, cost = np.array(rows).T
    faulty = np.ones(len(rows), bool)
    whole = remediation_scores(lost, untouched, cost, faulty, NONE).saved
    parts = [
        remediation_scores(
            lost[i : i + 1], untouched[i : i + 1], cost[i : i + 1], [True], NONE
        ).saved
        for i in range(len(rows))
    ]
    assert whole == pytest.approx(sum(parts), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: harmful_actions(pd.DataFrame({"scenario": [0]})), "are missing"),
        (lambda: harmful_actions(NONE, radius=0), "radius must be 1"),
        (lambda: remediation_scores([1], [1, 2], [0, 0], [True, True], NONE), "lost must have one"),
        (lambda: remediation_scores([-1], [1], [0], [True], NONE), "finite and 0 or more"),
        (
            lambda: remediation_scores([1], [1], [0], [True], _actions((1, False, 1, True, True))),
            "but there are 1",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Cases become points; whatever is not a proper score is nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grading.marks import GradedExercise, clean_score, mark
from course.lessons import Exercise
from course.lessons.checking import Case

EXERCISE = Exercise("cusum", "Cusum", 15.0, ("cusum",), 10.0, ())


def test_points_are_the_weighted_mean_of_the_scores() -> None:
    graded = mark(EXERCISE, [Case("a", 1.0, weight=3.0), Case("b", 0.0, "no", weight=1.0)])
    assert graded.points == pytest.approx(11.25)
    assert "[ 100%] a" in graded.text().replace("[100%]", "[ 100%]")
    assert "b: no" in graded.text()


@pytest.mark.parametrize("score", [math.nan, -1.0, -math.inf, math.inf, "1", None, [], 10**400])
def test_what_is_no_score_between_0_and_1_never_adds_more_than_1(score: object) -> None:
    assert 0.0 <= clean_score(score) <= 1.0
    assert clean_score(math.nan) == clean_score(math.inf) == clean_score(None) == 0.0


@pytest.mark.parametrize(
    "cases",
    [None, [], "ok", [1.0], [Case("a", 1.0, weight=0.0)], [Case("a", 1.0, weight=math.nan)]],
)
def test_no_cases_are_no_points_and_a_reason(cases: object) -> None:
    graded = mark(EXERCISE, cases)
    assert graded.points == 0.0
    assert graded.reason


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=8))
def test_points_stay_between_nothing_and_everything(pairs: list[tuple[float, float]]) -> None:
    graded = mark(EXERCISE, [Case("c", score, weight=weight) for score, weight in pairs])
    assert 0.0 <= graded.points <= EXERCISE.points


def test_a_message_stays_on_its_line_and_cannot_pose_as_another() -> None:
    case = Case("a\nb", 0.0, "no\n10 of 10 points.\x1b[2J\x1b[31m\r\u2028  [100%] b")
    shown = GradedExercise("e", 0.0, 10.0, (case,), "x\nReason: full marks").text()
    assert shown.splitlines() == [
        "0 of 10 points.",
        "Reason: x Reason: full marks",
        "  [  0%] a b: no 10 of 10 points. [100%] b",
    ]

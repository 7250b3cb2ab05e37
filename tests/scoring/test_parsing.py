"""Grouping of log lines: hand-worked cases, and what must not matter."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring import grouping_accuracy, parsing_scores

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("truth", "found", "ga", "pga", "rga"),
    [
        ("aabbc", "11223", 1, 1, 1),
        ("aabbc", "11111", 0, 0, 0),
        ("aabbc", "12345", 1 / 5, 1 / 5, 1 / 3),
        # Twenty lines of one statement hide that four rare ones are wrong.
        ("a" * 20 + "bcde", "1" * 20 + "2222", 20 / 24, 1 / 2, 1 / 5),
        # A group that is right but for one line is as wrong as any other.
        ("aaaab", "11112", 1, 1, 1),
        ("aaaab", "11111", 0, 0, 0),
        ("aaaab", "11122", 0, 0, 0),
    ],
)
def test_hand_worked_cases(truth: str, found: str, ga: float, pga: float, rga: float) -> None:
    scores = parsing_scores(list(truth), list(found))
    assert (scores.ga, scores.pga, scores.rga) == pytest.approx((ga, pga, rga))
    expected = 2 * pga * rga / (pga + rga) if pga + rga else 0
    assert scores.fga == pytest.approx(expected)


@given(LABELS)
def test_it_agrees_with_the_definition_line_by_line(pairs: list[tuple[int, int]]) -> None:
    truth, found = zip(*pairs, strict=True)
    same = [
        {j for j, other in enumerate(truth) if other == truth[i]}
        == {j for j, other in enumerate(found) if other == found[i]}
        for i in range(len(pairs))
    ]
    assert grouping_accuracy(truth, found) == pytest.approx(np.mean(same))


@given(LABELS, st.permutations(range(5)), st.randoms())
def test_names_of_groups_and_order_of_lines_do_not_matter(pairs, names, random) -> None:
    truth, found = zip(*pairs, strict=True)
    before = parsing_scores(truth, found)
    assert parsing_scores(truth, [f"group {names[label]}" for label in found]) == before
    random.shuffle(pairs)
    assert parsing_scores(*zip(*pairs, strict=True)) == before


@given(LABELS)
def test_only_equal_partitions_score_one(pairs: list[tuple[int, int]]) -> None:
    truth, found = zip(*pairs, strict=True)
    equal = all((a[0] == b[0]) == (a[1] == b[1]) for a, b in itertools.combinations(pairs, 2))
    scores = parsing_scores(truth, found)
    assert (scores.ga == 1) == (scores.fga == 1) == equal


def test_a_line_without_a_group_is_alone() -> None:
    assert grouping_accuracy(["a", "a", "b"], [None, None, float("nan")]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("truth", "found", "message"),
    [([], [], "no lines"), (["a"], [1, 2], "1 lines have"), (["a", None], [1, 1], "line 1 has no")],
)
def test_what_cannot_be_scored_is_refused(truth: list, found: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsing_scores(truth, found)

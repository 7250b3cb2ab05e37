"""Rankings of suspects: hand-worked cases, ties by lot, and chance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.scoring.ranking import accuracy_at, ranking_scores, reciprocal_rank, suspicion

NAMES = "abcde"
SCORES = st.lists(st.integers(0, 2), min_size=5, max_size=5)
CAUSES = st.sets(st.sampled_from(NAMES), min_size=1, max_size=3)


@pytest.mark.parametrize(
    ("found", "causes", "ac", "rank"),
    [
        (["b", "a"], ["a"], [0, 1, 1], 1 / 2),
        ([], ["a"], [1 / 5, 2 / 5, 3 / 5], (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5),
        (["a", "b"], ["a", "b"], [1, 1, 1], 1),
        (["c", "b"], ["a", "b"], [0, 1 / 2, 1 / 2 + 1 / 2 / 3], 1 / 2),
        ({"a": 3.0, "b": 3.0, "c": 3.0}, ["c"], [1 / 3, 2 / 3, 1], (1 + 1 / 2 + 1 / 3) / 3),
        (
            {"a": 1.0, "b": float("nan")},
            ["b"],
            [0, 1 / 4, 2 / 4],
            (1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 4,
        ),
    ],
)
def test_hand_worked_cases(found, causes, ac, rank) -> None:
    assert [accuracy_at(found, causes, NAMES, k) for k in (1, 2, 3)] == pytest.approx(ac)
    assert reciprocal_rank(found, causes, NAMES) == pytest.approx(rank)


@settings(max_examples=50)
@given(SCORES, CAUSES, st.integers(1, 5))
def test_a_tie_is_worth_the_mean_over_all_orders_that_break_it(values, causes, k) -> None:
    scores = dict(zip(NAMES, values, strict=True))
    orders = [
        order for order in itertools.permutations(NAMES)
        if all(scores[one] >= scores[next_] for one, next_ in itertools.pairwise(order))
    ]  # fmt: skip
    ac = np.mean([len(causes & set(order[:k])) / min(k, len(causes)) for order in orders])
    rr = np.mean([1 / (1 + min(order.index(cause) for cause in causes)) for order in orders])
    assert accuracy_at(scores, causes, NAMES, k) == pytest.approx(ac)
    assert reciprocal_rank(scores, causes, NAMES) == pytest.approx(rr)


@given(SCORES, CAUSES)
def test_order_of_columns_does_not_matter(values, causes) -> None:
    scores = dict(zip(NAMES, values, strict=True))
    backwards = dict(reversed(scores.items()))
    assert accuracy_at(scores, causes, NAMES, 2) == accuracy_at(backwards, causes, NAMES[::-1], 2)


def test_who_says_nothing_gets_what_chance_gets() -> None:
    scores = ranking_scores([([], [cause], NAMES) for cause in NAMES], k=5)
    assert scores.ac == scores.chance_ac == {k: pytest.approx(k / 5) for k in range(1, 6)}
    assert scores.avg == pytest.approx(3 / 5)
    assert scores.mrr == pytest.approx(scores.chance_mrr)


def test_scores_are_means_over_incidents() -> None:
    scores = ranking_scores([(["a"], ["a"], NAMES), (["b", "a"], ["a"], NAMES)], k=2)
    assert scores.ac == {1: 0.5, 2: 1.0}
    assert scores.avg == 0.75
    assert scores.mrr == 0.75
    assert scores.incidents == 2


def test_infinite_scores_are_first_and_missing_ones_last() -> None:
    assert suspicion({"a": math.inf, "b": math.nan}, "abc").tolist() == [
        math.inf,
        -math.inf,
        -math.inf,
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: accuracy_at(["z"], ["a"], NAMES, 1), "'z' is ranked, but is no candidate"),
        (lambda: accuracy_at(["a", "a"], ["a"], NAMES, 1), "'a' is ranked twice"),
        (lambda: accuracy_at("ab", ["a"], NAMES, 1), "list of names"),
        (lambda: accuracy_at(["a"], ["z"], NAMES, 1), "cause 'z'"),
        (lambda: accuracy_at(["a"], [], NAMES, 1), "without a cause"),
        (lambda: accuracy_at(["a"], ["a"], NAMES, 0), "k must be"),
        (lambda: ranking_scores([]), "no incident"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

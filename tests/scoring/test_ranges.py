"""Range-based precision and recall, by hand and beside `prts`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring import point_scores, range_f1, range_precision, range_recall

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60).map(
    lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))
)
forms = st.fixed_dictionaries(
    {
        "bias": st.sampled_from(["flat", "front", "back", "middle"]),
        "cardinality": st.sampled_from(["one", "reciprocal"]),
    }
)


def test_every_form_agrees_with_prts(oracle: dict[str, Any]) -> None:
    labels, flags = oracle["labels"], oracle["ranges"]["flags"]
    for form in oracle["ranges"]["answers"]:
        how = {name: form[name] for name in ("bias", "cardinality")}
        ours = [range_recall(labels, flags, alpha=a, **how) for a in oracle["ranges"]["alphas"]]
        assert ours == pytest.approx(form["recall"], abs=1e-12)
        assert range_precision(labels, flags, **how) == pytest.approx(form["precision"], abs=1e-12)


#          R1 has 4 samples, found in two pieces of 1; R2 has 2, found whole; one piece is wrong.
LABELS = [0, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0]
FLAGS = [0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 1]


@pytest.mark.parametrize(
    ("how", "recall"),
    [
        # flat: R1 covers 2/4, in 2 pieces
        ({"cardinality": "one"}, (2 / 4 + 1) / 2),
        ({"cardinality": "reciprocal"}, (1 / 2 * 2 / 4 + 1) / 2),
        ({"cardinality": lambda pieces: 1 / pieces**2}, (1 / 4 * 2 / 4 + 1) / 2),
        # front weighs R1 by 4, 3, 2, 1; back by 1, 2, 3, 4; middle by 1, 2, 2, 1
        ({"cardinality": "one", "bias": "front"}, ((4 + 2) / 10 + 1) / 2),
        ({"cardinality": "one", "bias": "back"}, ((1 + 3) / 10 + 1) / 2),
        ({"cardinality": "one", "bias": "middle"}, ((1 + 2) / 6 + 1) / 2),
        # existence is 1 for both
        ({"cardinality": "one", "alpha": 0.5}, (0.5 + 0.5 * 2 / 4 + 1) / 2),
        ({"cardinality": "one", "alpha": 1.0}, 1.0),
    ],
)
def test_recall_by_hand(how: dict[str, Any], recall: float) -> None:
    assert range_recall(LABELS, FLAGS, **how) == pytest.approx(recall)


def test_precision_by_hand() -> None:
    # Pieces of 1 and 1 sample are right, the one of 3 is right in 2, the last of 1 is wrong.
    assert range_precision(LABELS, FLAGS) == pytest.approx((1 + 1 + 2 / 3 + 0) / 4)
    assert range_precision(LABELS, FLAGS, bias="front") == pytest.approx((1 + 1 + 5 / 6 + 0) / 4)


def test_a_prediction_over_two_ranges_pays_for_it_in_precision() -> None:
    labels, flags = [1, 1, 0, 1, 1], [1, 1, 1, 1, 1]
    assert range_precision(labels, flags, cardinality="one") == pytest.approx(4 / 5)
    assert range_precision(labels, flags, cardinality="reciprocal") == pytest.approx(2 / 5)


def test_an_odd_range_has_its_middle_in_the_middle() -> None:
    weights = [range_recall([1] * 5, np.eye(5)[i], bias="middle") for i in range(5)]
    assert weights == pytest.approx(np.array([1, 2, 3, 2, 1]) / 9)


def test_f1_is_the_harmonic_mean_with_its_own_biases() -> None:
    recall = range_recall(LABELS, FLAGS, bias="front", alpha=0.2)
    precision = range_precision(LABELS, FLAGS, bias="back")
    f1 = range_f1(LABELS, FLAGS, alpha=0.2, recall_bias="front", precision_bias="back")
    assert f1 == pytest.approx(2 * recall * precision / (recall + precision))


def test_empty_cases() -> None:
    none, some = [0, 0, 0], [0, 1, 0]
    assert np.isnan(range_recall(none, some))
    assert np.isnan(range_precision(some, none))
    assert range_recall(some, none) == 0.0
    assert range_precision(none, some) == 0.0
    assert range_f1(none, some) == range_f1(some, none) == range_f1([1, 0], [0, 1]) == 0.0
    assert np.isnan(range_f1(none, none))


@given(pairs)
def test_ranges_of_one_sample_give_classical_precision_and_recall(case) -> None:
    labels, flags = (np.column_stack([each, np.zeros_like(each)]).ravel() for each in case)
    classical = point_scores(labels, flags)
    np.testing.assert_allclose(range_precision(labels, flags), classical.precision, rtol=1e-12)
    np.testing.assert_allclose(range_recall(labels, flags), classical.recall, rtol=1e-12)


@given(pairs, forms, st.floats(0, 1))
def test_bounds_and_perfection(case, form, alpha: float) -> None:
    labels, flags = case
    for value in (
        range_recall(labels, flags, alpha=alpha, **form),
        range_precision(labels, flags, **form),
    ):
        assert np.isnan(value) or -1e-12 <= value <= 1 + 1e-12
    if labels.any():
        assert range_recall(labels, labels, alpha=alpha, **form) == pytest.approx(1.0)
        assert range_precision(labels, labels, **form) == pytest.approx(1.0)


@given(pairs)
def test_precision_and_recall_change_places_with_labels_and_flags(case) -> None:
    labels, flags = case
    np.testing.assert_equal(range_precision(labels, flags), range_recall(flags, labels))


@given(pairs, forms)
def test_more_weight_on_existence_never_lowers_recall(case, form) -> None:
    labels, flags = case
    if labels.any():
        by_alpha = [range_recall(labels, flags, alpha=a, **form) for a in (0.0, 0.3, 0.7, 1.0)]
        assert np.diff(by_alpha).min() >= -1e-12


@given(pairs)
def test_reversal_in_time_swaps_front_and_back(case) -> None:
    labels, flags = case
    np.testing.assert_allclose(
        range_recall(labels[::-1], flags[::-1], bias="front"),
        range_recall(labels, flags, bias="back"),
        rtol=1e-9,
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"alpha": 1.5}, "alpha"),
        ({"bias": "centre"}, "bias"),
        ({"cardinality": "two"}, "cardinality"),
        ({"cardinality": lambda pieces: pieces}, "factors from 0 to 1"),
    ],
)
def test_bad_options_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        range_recall(LABELS, FLAGS, **how)

"""Scores by sample, point adjustment and thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from course.scoring import average_precision, best_f1, pa_k, point_adjust, point_scores

labelled = st.lists(
    st.tuples(st.booleans(), st.integers(0, 6).map(lambda tenths: tenths / 8)),
    min_size=1,
    max_size=60,
).map(lambda pairs: (np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])))


@given(labelled)
def test_point_scores_agree_with_scikit_learn(case) -> None:
    labels, scores = case
    flags = scores >= 0.5
    expected = precision_recall_fscore_support(
        labels, flags, average="binary", zero_division=np.nan
    )[:3]
    np.testing.assert_allclose(point_scores(labels, flags), expected, rtol=1e-12)


@given(labelled)
def test_average_precision_agrees_with_scikit_learn(case) -> None:
    labels, scores = case
    if labels.any():
        expected = average_precision_score(labels, scores)
        assert average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(average_precision(labels, scores))


@given(labelled)
def test_measures_of_scores_ignore_scale_and_shift(case) -> None:
    labels, scores = case
    other = 16 * scores - 3
    np.testing.assert_equal(average_precision(labels, other), average_precision(labels, scores))
    np.testing.assert_equal(best_f1(labels, other).f1, best_f1(labels, scores).f1)


# --- point adjustment -------------------------------------------------------------------------


def test_one_flag_fills_its_segment_and_no_other() -> None:
    labels = [0, 1, 1, 0, 1, 1, 1, 0]
    flags = [1, 0, 0, 0, 0, 1, 0, 0]
    assert point_adjust(labels, flags).astype(int).tolist() == [1, 0, 0, 0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("k", "adjusted"), [(0, True), (49, True), (50, False), (51, False), (100, False)]
)
def test_pa_k_needs_more_than_k_per_cent(k: float, adjusted: bool) -> None:
    labels, flags = [1, 1, 1, 1, 0], [1, 1, 0, 0, 0]
    assert pa_k(labels, flags, k).tolist() == [True, True, adjusted, adjusted, False]


def test_adjusted_flags_keep_the_index(day: pd.DatetimeIndex) -> None:
    flags = pd.Series(False, index=day)
    adjusted = point_adjust(flags, flags)
    assert isinstance(adjusted, pd.Series)
    assert adjusted.index.equals(day)


@given(labelled, st.floats(0, 100), st.floats(0, 100))
def test_a_higher_k_never_flags_more(case, one: float, two: float) -> None:
    labels, scores = case
    flags = scores >= 0.5
    low, high = sorted((one, two))
    assert not (pa_k(labels, flags, high) & ~pa_k(labels, flags, low)).any()


@given(labelled)
def test_pa_k_spans_from_point_adjustment_to_none(case) -> None:
    labels, scores = case
    flags = scores >= 0.5
    assert (pa_k(labels, flags, 0) == point_adjust(labels, flags)).all()
    assert (pa_k(labels, flags, 100) == flags).all()


def test_under_point_adjustment_a_random_score_looks_excellent(rng: np.random.Generator) -> None:
    labels = np.zeros(20_000, dtype=bool)
    for first in range(2_000, 20_000, 4_000):
        labels[first : first + 500] = True
    random = rng.random(len(labels))
    honest, adjusted = best_f1(labels, random), best_f1(labels, random, adjust="pa")
    assert honest.f1 < 0.25  # about what flagging everything gets
    assert adjusted.f1 > 0.95


def test_pa_k_lets_noise_fall_back_only_at_a_high_k(rng: np.random.Generator) -> None:
    """Flagging one sample in five at random reaches K = 20 % in every long segment."""
    labels = np.arange(20_000) % 4_000 >= 3_500
    random = rng.random(len(labels))
    by_k = [best_f1(labels, random, adjust="pa", k=k).f1 for k in (0, 20, 50, 100)]
    assert by_k[0] > 0.95
    assert by_k[1] > 0.5
    assert by_k[2] < 0.4
    assert by_k[3] < 0.25


# --- best F1 ----------------------------------------------------------------------------------


@given(labelled, st.sampled_from([(None, 0.0), ("pa", 0.0), ("pa", 30.0), ("pa", 100.0)]))
def test_best_f1_is_the_best_over_every_threshold(case, how) -> None:
    labels, scores = case
    adjust, k = how
    best = best_f1(labels, scores, adjust, k=k)
    if not labels.any():
        assert np.isnan(best).all()
        return
    by_threshold = {
        threshold: point_scores(labels, pa_k(labels, scores >= threshold, k if adjust else 100))
        for threshold in np.unique(scores)
    }
    assert best.f1 == pytest.approx(max(each.f1 for each in by_threshold.values()), abs=1e-12)
    at_best = by_threshold[best.threshold]
    assert tuple(at_best) == pytest.approx((best.precision, best.recall, best.f1), abs=1e-12)


@given(labelled)
def test_a_score_that_equals_the_labels_is_perfect(case) -> None:
    labels, _ = case
    if labels.any():
        assert best_f1(labels, labels.astype(float)).f1 == 1.0
        assert average_precision(labels, labels.astype(float)) == 1.0


def test_tied_scores_are_flagged_together_in_whatever_order_they_stand() -> None:
    labels, scores = np.array([1, 0, 1, 0]), np.full(4, 0.5)
    for order in ([0, 1, 2, 3], [1, 3, 0, 2]):
        assert average_precision(labels[order], scores) == 0.5
        assert best_f1(labels[order], scores).f1 == pytest.approx(2 / 3)


def test_infinite_scores_are_the_highest_and_lowest() -> None:
    assert best_f1([0, 1, 0], [-np.inf, np.inf, 0.0]).f1 == 1.0


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", [average_precision, best_f1])
def test_bad_scores_are_refused_with_a_reason(measure) -> None:
    with pytest.raises(ValueError, match="2 NaN, the first at position 1"):
        measure([0, 1, 0], [0.1, np.nan, np.nan])
    with pytest.raises(ValueError, match="3 samples and scores 2"):
        measure([0, 1, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="empty"):
        measure([], [])
    with pytest.raises(ValueError, match="one dimension"):
        measure([[0], [1]], [[0.1], [0.2]])
    with pytest.raises(ValueError, match="0/1"):
        measure([0, 2], [0.1, 0.2])


def test_misaligned_series_are_refused(day: pd.DatetimeIndex) -> None:
    labels = pd.Series(False, index=day)
    with pytest.raises(ValueError, match="different indexes"):
        point_scores(labels, labels.set_axis(day + pd.Timedelta("1min")))
    with pytest.raises(ValueError, match="not sorted"):
        point_scores(labels.iloc[::-1], labels.iloc[::-1])


def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="percentage"):
        pa_k([0, 1], [0, 1], 101)
    with pytest.raises(ValueError, match="None or 'pa'"):
        best_f1([0, 1], [0, 1], adjust="yes")  # type: ignore[arg-type]

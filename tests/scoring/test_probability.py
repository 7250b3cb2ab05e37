"""Probabilities of rare events: agreement with scikit-learn, calibration, cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import calibration, metrics

from course import scoring

SAMPLES = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)
RATE = st.floats(0.001, 0.999)


@given(SAMPLES)
def test_the_brier_score_is_scikit_learns(samples) -> None:
    labels, chance = zip(*samples, strict=True)
    expected = metrics.brier_score_loss(labels, chance, labels=[False, True])
    assert scoring.brier_score(labels, chance) == pytest.approx(expected)


@given(SAMPLES, st.integers(2, 12))
def test_bins_of_equal_width_are_scikit_learns(samples, bins: int) -> None:
    labels, chance = map(np.array, zip(*samples, strict=True))
    # Edges belong to the bin above here, and to either there.
    assume(not np.isin(chance, np.linspace(0, 1, bins + 1)).any())
    happened, said = calibration.calibration_curve(labels, chance, n_bins=bins, strategy="uniform")
    curve = scoring.reliability_curve(labels, chance, bins=bins, strategy="uniform")
    np.testing.assert_allclose(curve["said"], said)
    np.testing.assert_allclose(curve["happened"], happened)
    assert curve["n"].sum() == len(labels)


@given(RATE, RATE, RATE)
def test_precision_at_a_base_rate_is_that_of_a_population(recall, fpr, base) -> None:
    scores = scoring.at_base_rate(recall, fpr, base)
    right, wrong = recall * base, fpr * (1 - base)
    assert scores.precision == pytest.approx(right / (right + wrong))
    harmonic = 2 / (1 / recall + 1 / scores.precision)
    assert scores.f1 == pytest.approx(harmonic)


def test_the_f1_of_published_trivial_detectors_comes_out() -> None:
    """Recall 0.47 without a false alarm, and 1.0 at 0.48 %, where 2.9 % are positive."""
    assert scoring.at_base_rate(0.47, 0, 0.029).f1 == pytest.approx(0.639, abs=0.001)
    assert scoring.at_base_rate(1.0, 0.0048, 0.029).f1 == pytest.approx(0.926, abs=0.001)


def test_nothing_flagged_has_no_precision_and_no_f1() -> None:
    scores = scoring.at_base_rate(0, 0, 0.1)
    assert np.isnan(scores.precision)
    assert scores.f1 == 0


def test_true_probabilities_are_calibrated_and_squared_ones_are_not() -> None:
    rng = np.random.default_rng(5)
    chance = rng.beta(0.5, 4, size=40_000)
    labels = rng.random(40_000) < chance
    assert scoring.expected_calibration_error(labels, chance) < 0.01
    assert scoring.expected_calibration_error(labels, chance**2) > 0.05


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_acting_from_the_threshold_on_is_cheapest(false_alarm: float, miss: float) -> None:
    rng = np.random.default_rng(7)
    chance = rng.random(2_000)
    threshold = scoring.threshold_from_costs(false_alarm, miss)

    def expected(limit: float) -> float:
        return float(np.mean(np.where(chance >= limit, false_alarm * (1 - chance), miss * chance)))

    assert all(expected(threshold) <= expected(other) + 1e-12 for other in np.linspace(0, 1, 21))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scoring.brier_score([1, 0], [0.5, 1.5]), "found 1.5"),
        (lambda: scoring.brier_score([1, 0], [0.5]), "Align them"),
        (lambda: scoring.brier_score([1, 0], [0.5, float("nan")]), "NaN"),
        (lambda: scoring.brier_score([], []), "empty"),
        (lambda: scoring.reliability_curve([1], [0.5], bins=0), "bins"),
        (lambda: scoring.reliability_curve([1], [0.5], strategy="odd"), "strategy"),  # type: ignore[arg-type]
        (lambda: scoring.at_base_rate(0.5, 0.5, 0.0), "base_rate"),
        (lambda: scoring.at_base_rate(1.5, 0.5, 0.1), "recall"),
        (lambda: scoring.threshold_from_costs(0, 1), "costs"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Forecasts: cases worked by hand, agreement with scikit-learn, and what each measure rewards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from course.scoring.forecasting import (
    average_relative_mae,
    coverage,
    crps_from_quantiles,
    mase,
    pinball_loss,
    relative_mae,
    smape,
    winkler_score,
)

NUMBERS = st.floats(-1e3, 1e3)
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30)
LEVEL = st.floats(0.01, 0.99)


def test_mase_by_hand() -> None:
    # |10-9| |20-26| -> 3.5; one step: |4-2| |3-4| |7-3| -> 7/3; two steps: |3-2| |7-4| -> 2
    assert mase([10, 20], [9, 26], [2, 4, 3, 7]) == pytest.approx(1.5)
    assert mase([10, 20], [9, 26], [2, 4, 3, 7], season=2) == pytest.approx(1.75)


def test_mase_below_one_may_lose_to_the_seasonal_naive_forecast() -> None:
    """A wild history makes a large scale; on calm test minutes the naive forecast is better."""
    history = np.array([0.0, 10.0] * 20)
    actual, naive, model = np.full(4, 10.0), np.full(4, 10.5), np.full(4, 12.0)
    assert mase(actual, model, history) == pytest.approx(0.2)
    assert relative_mae(actual, model, naive) == pytest.approx(4.0)


@given(PAIRS, st.floats(0.1, 100), NUMBERS)
def test_mase_does_not_depend_on_the_unit(pairs, unit: float, shift: float) -> None:
    actual, forecast = np.array(pairs).T
    history = np.array([1.0, 4.0, 2.0, 9.0])
    plain = mase(actual, forecast, history)
    moved = mase(unit * actual + shift, unit * forecast + shift, unit * history + shift)
    assert moved == pytest.approx(plain, rel=1e-6, abs=1e-9)


def test_relative_mae_by_hand_and_at_its_edges() -> None:
    assert relative_mae([1, 2, 3], [1, 2, 4], [2, 3, 4]) == pytest.approx(1 / 3)
    assert relative_mae([1, 2], [1, 2], [1, 2]) == 1.0
    assert relative_mae([1, 2], [1, 3], [1, 2]) == float("inf")


def test_ratios_are_pooled_geometrically() -> None:
    assert average_relative_mae([0.5, 2.0]) == pytest.approx(1.0)
    assert average_relative_mae([0.25, 1.0], [3, 1]) == pytest.approx(0.25**0.75)
    assert average_relative_mae([0.0, 5.0]) == 0.0


def test_smape_by_hand_and_why_it_is_a_warning() -> None:
    assert smape([10, 20], [20, 20]) == pytest.approx(100 * (2 * 10 / 30) / 2)
    assert smape([100], [110]) < smape([100], [90])
    assert smape([0], [1e-9]) == 200.0
    assert smape([0, 0], [0, 0]) == 0.0


@given(PAIRS, LEVEL)
def test_the_pinball_loss_is_scikit_learns(pairs, level: float) -> None:
    actual, guess = np.array(pairs).T
    expected = mean_pinball_loss(actual, guess, alpha=level)
    assert pinball_loss(actual, guess, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_the_pinball_loss_is_lowest_at_the_true_quantile(level: float) -> None:
    sample = np.random.default_rng(3).gamma(2.0, 3.0, 20_000)
    grid = np.linspace(0.1, 20, 200)
    best = min(grid, key=lambda q: pinball_loss(sample, np.full_like(sample, q), level))
    assert best == pytest.approx(np.quantile(sample, level), abs=0.15)


def test_coverage_and_winkler_by_hand() -> None:
    actual, lower, upper = [3, 0, 9], [1, 1, 1], [5, 5, 5]
    assert coverage(actual, lower, upper) == pytest.approx(1 / 3)
    # widths 4; misses 1 and 4; fine 2 / 0.2 = 10
    assert winkler_score(actual, lower, upper, level=0.8) == pytest.approx(4 + 50 / 3)
    assert coverage([1, 5], [1, 1], [5, 5]) == 1.0


def test_endless_intervals_cover_all_and_score_worst() -> None:
    forever = np.full(3, np.inf)
    assert coverage([1, 2, 3], -forever, forever) == 1.0
    assert winkler_score([1, 2, 3], -forever, forever, level=0.9) == float("inf")


@given(PAIRS, LEVEL)
def test_the_interval_score_is_two_pinball_losses(pairs, level: float) -> None:
    """Gneiting and Raftery (2007): score = 2 / alpha x (pinball of both ends)."""
    truth, width = np.array(pairs).T
    lower, upper = np.zeros_like(truth), np.abs(width)
    alpha = 1 - level
    ends = pinball_loss(truth, lower, alpha / 2) + pinball_loss(truth, upper, 1 - alpha / 2)
    score = winkler_score(truth, lower, upper, level=level)
    assert score == pytest.approx(2 / alpha * ends, rel=1e-6, abs=1e-6)


def test_the_true_interval_scores_better_than_a_wide_or_a_narrow_one() -> None:
    truth = np.random.default_rng(5).standard_normal(20_000)
    reach = stats.norm.ppf(0.95)

    def score(factor: float) -> float:
        bound = np.full_like(truth, factor * reach)
        return winkler_score(truth, -bound, bound, level=0.9)

    assert score(1.0) < min(score(0.7), score(1.4))


@given(st.lists(NUMBERS, min_size=1, max_size=12), NUMBERS)
def test_crps_of_equally_likely_members(members, truth: float) -> None:
    """E|X - y| - E|X - X'| / 2 (Gneiting and Raftery, 2007)."""
    values = np.sort(members)
    n = len(values)
    expected = np.abs(values - truth).mean() - np.abs(values[:, None] - values).mean() / 2
    found = crps_from_quantiles([truth], values[None], (np.arange(n) + 0.5) / n)
    assert found == pytest.approx(expected, abs=1e-9)


def test_crps_of_a_normal_forecast_is_the_closed_form() -> None:
    levels = (np.arange(400) + 0.5) / 400
    truth = np.array([-1.0, 0.0, 2.5])
    quantiles = np.tile(stats.norm.ppf(levels), (3, 1))
    exact = truth * (2 * stats.norm.cdf(truth) - 1) + 2 * stats.norm.pdf(truth) - np.pi**-0.5
    assert crps_from_quantiles(truth, quantiles, levels) == pytest.approx(exact.mean(), abs=2e-3)


def test_crps_at_the_median_alone_is_the_absolute_error() -> None:
    assert crps_from_quantiles([3, 5], [[1], [9]], [0.5]) == pytest.approx(3.0)


def test_crps_with_levels_of_unequal_width_by_hand() -> None:
    # levels 0.1, 0.5, 0.9 stand for 0..0.3, 0.3..0.7, 0.7..1; pinballs 0.2, 0.5, 0.1 (y 3; 1 2 4)
    found = crps_from_quantiles([3.0], [[1.0, 2.0, 4.0]], [0.1, 0.5, 0.9])
    assert found == pytest.approx(2 * (0.3 * 0.2 + 0.4 * 0.5 + 0.3 * 0.1))


def test_series_must_stand_for_the_same_times() -> None:
    day = pd.date_range("2026-03-01", periods=3, freq="h", tz="UTC")
    actual = pd.Series([1.0, 2.0, 3.0], index=day)
    with pytest.raises(ValueError, match="different indexes"):
        relative_mae(actual, actual.shift(freq="h"), actual)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mase([1], [1], [1, 2], season=2), "more history than one season"),
        (lambda: mase([1], [1], [1, 2, 3], season=0), "season must be 1"),
        (lambda: mase([1], [2], [1, 2, 1, 2], season=2), "nothing to scale"),
        (lambda: mase([1, 2], [1], [1, 2]), "actual has 2 samples and forecast 1"),
        (lambda: mase([1, np.nan], [1, 1], [1, 2]), "NaN"),
        (lambda: relative_mae([1], [np.inf], [1]), "infinite"),
        (lambda: relative_mae([], [], []), "empty"),
        (lambda: average_relative_mae([]), "one of each"),
        (lambda: average_relative_mae([-1.0]), "0 or more"),
        (lambda: pinball_loss([1], [1], 1.0), "between 0 and 1"),
        (lambda: winkler_score([1], [0], [2], level=90), "between 0 and 1"),
        (lambda: coverage([1], [2], [0]), "upside down"),
        (lambda: crps_from_quantiles([1], [[2, 1]], [0.2, 0.8]), "cross in row 0"),
        (lambda: crps_from_quantiles([1], [[1, 2]], [0.8, 0.2]), "levels must rise"),
        (lambda: crps_from_quantiles([1, 2], [[1, 2]], [0.2, 0.8]), "one row a sample"),
        (lambda: crps_from_quantiles([1], [[1, np.inf]], [0.2, 0.8]), "NaN or infinite"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Measures for forecasts: of points, of quantiles, of intervals.

A point forecast is judged beside a baseline on the same minutes (:func:`relative_mae`), quantiles by
the pinball loss, intervals by their coverage and their interval score together: coverage alone is
won by endless width.

Sources: Hyndman and Koehler, International Journal of Forecasting 2006 (MASE); Davydenko and
Fildes, International Journal of Forecasting 2013 (average relative MAE); Koenker and Bassett,
Econometrica 1978 (pinball loss); Winkler, Journal of the American Statistical Association 1972,
and Gneiting and Raftery, same journal 2007 (interval score); Bröcker, Quarterly Journal of the
Royal Meteorological Society 2012 (CRPS of an ensemble as a sum over quantiles).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course.scoring._inputs import FloatArray, as_scores


def mase(actual: ArrayLike, forecast: ArrayLike, history: ArrayLike, *, season: int = 1) -> float:
    """Mean absolute scaled error: the error in units of the one-season-ahead error on the history.

    MASE = mean |y - f| / mean over the history of |y[t] - y[t - season]|.

    Parameters
    ----------
    actual, forecast : array_like of float, shape (n,)
    history : array_like of float, shape (m,)
        What was known when the forecast was made, in order of time, more than ``season`` samples.
    season : int
        Samples in a season; 1 scales by the naive forecast (the last value).

    Returns
    -------
    float
        0 is perfect; in units of the scale, so series of different size can be averaged.

    Raises
    ------
    ValueError
        A history too short, or one that the seasonal naive forecast meets exactly: no scale.

    Notes
    -----
    MASE < 1 does not say that the forecast beats the seasonal naive one: the scale comes from other
    minutes, and from one season ahead whatever the horizon. For that claim take
    :func:`relative_mae`.

    Examples
    --------
    >>> mase([12, 14], [11, 16], history=[1, 3, 2, 6], season=2)
    0.75
    """
    truth, guess = _pair(actual, forecast, "forecast")
    past = _finite(history, "history")
    if season < 1:
        raise ValueError(f"season must be 1 sample or more, found {season!r}.")
    if len(past) <= season:
        raise ValueError(
            f"history has {len(past)} samples and the season {season}. "
            "Give more history than one season."
        )
    scale = float(np.mean(np.abs(past[season:] - past[:-season])))
    if scale == 0:
        raise ValueError(
            f"history repeats itself exactly every {season} samples, so there is nothing to scale "
            "by. Take relative_mae against a baseline that errs, or the plain error."
        )
    return float(np.mean(np.abs(truth - guess))) / scale


def relative_mae(actual: ArrayLike, forecast: ArrayLike, baseline: ArrayLike) -> float:
    """Mean absolute error divided by a baseline's on the same samples.

    Parameters
    ----------
    actual, forecast, baseline : array_like of float, shape (n,)

    Returns
    -------
    float
        Below 1 the forecast beats the baseline. 1 if both are perfect; infinite if only the
        baseline is.

    Examples
    --------
    >>> relative_mae([10, 12, 14], [10, 12, 15], baseline=[10, 10, 12])
    0.25
    """
    truth, guess = _pair(actual, forecast, "forecast")
    _, simple = _pair(actual, baseline, "baseline")
    error, reference = np.abs(truth - guess).mean(), np.abs(truth - simple).mean()
    if reference == 0:
        return 1.0 if error == 0 else float("inf")
    return float(error / reference)


def average_relative_mae(ratios: ArrayLike, samples: ArrayLike | None = None) -> float:
    """Pool relative MAEs of several series: their geometric mean, weighted by samples.

    The arithmetic mean of ratios is wrong: 0.5 and 2 are the same gain and loss, and average 1.25.

    Parameters
    ----------
    ratios : array_like of float, shape (series,)
        From :func:`relative_mae`; 0 or more.
    samples : array_like of float, shape (series,), optional
        Samples behind each ratio; equal by default.

    Examples
    --------
    >>> average_relative_mae([0.5, 2.0])
    1.0
    """
    values = as_scores(ratios, "ratios")
    weights = np.ones(len(values)) if samples is None else _finite(samples, "samples")
    if len(values) == 0 or len(values) != len(weights):
        raise ValueError(
            f"found {len(values)} ratios and {len(weights)} numbers of samples; "
            "give one of each for every series."
        )
    if (values < 0).any() or (weights <= 0).any():
        raise ValueError("ratios must be 0 or more and samples above 0.")
    with np.errstate(divide="ignore"):
        return float(np.exp(np.average(np.log(values), weights=weights)))


def smape(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Symmetric mean absolute percentage error, in per cent, 0..200: known for its traps.

    sMAPE = 100 mean of 2 |y - f| / (|y| + |f|), as in the M3 competition; 0 where both are 0.

    Parameters
    ----------
    actual, forecast : array_like of float, shape (n,)

    Notes
    -----
    Kept to read published tables, not to choose by. It is not symmetric (a forecast 10 above 100
    costs 9.5, one 10 below costs 10.5), costs the full 200 wherever the truth is 0 and the forecast
    is not, however close, and rewards forecasts that are too high (Goodwin and Lawton, International
    Journal of Forecasting 1999).

    Examples
    --------
    >>> round(smape([100], [110]), 1), round(smape([100], [90]), 1), smape([0], [0.001])
    (9.5, 10.5, 200.0)
    """
    truth, guess = _pair(actual, forecast, "forecast")
    size = np.abs(truth) + np.abs(guess)
    error = 2 * np.abs(truth - guess)
    return 100 * float(np.mean(np.divide(error, size, out=np.zeros_like(error), where=size > 0)))


def pinball_loss(actual: ArrayLike, quantile: ArrayLike, level: float) -> float:
    """Mean pinball (quantile) loss: lowest, in the mean, for the true quantile.

    level x (y - q) where the truth is above the quantile, (1 - level) x (q - y) where below.

    Parameters
    ----------
    actual, quantile : array_like of float, shape (n,)
    level : float
        Between 0 and 1: the share of truths that should lie below the quantile.

    Examples
    --------
    >>> round(pinball_loss([10, 10], [8, 14], level=0.9), 6)
    1.1
    """
    truth, guess = _pair(actual, quantile, "quantile")
    return float(_pinball(truth, guess, _level(level, "level")).mean())


def coverage(actual: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Share of truths that lie in their interval, ends included.

    Parameters
    ----------
    actual, lower, upper : array_like of float, shape (n,)
        Bounds may be infinite.

    Examples
    --------
    >>> coverage([1, 5, 9, 12], [0, 4, 9, 5], [2, 6, 11, 10])
    0.75
    """
    truth, low, high = _interval(actual, lower, upper)
    return float(np.mean((low <= truth) & (truth <= high)))


def winkler_score(actual: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, level: float) -> float:
    """Mean interval score: width, plus a fine for every truth outside.

    (u - l) + 2 / (1 - level) x the distance from the interval to the truth. Lowest, in the mean, for
    the true quantiles at (1 - level) / 2 and (1 + level) / 2.

    Parameters
    ----------
    actual, lower, upper : array_like of float, shape (n,)
        Bounds may be infinite; the score is then infinite.
    level : float
        Nominal coverage, between 0 and 1, such as 0.9.

    Examples
    --------
    >>> round(winkler_score([5, 13], [4, 4], [10, 10], level=0.9), 6)
    36.0
    """
    truth, low, high = _interval(actual, lower, upper)
    fine = 2 / (1 - _level(level, "level"))
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.mean(high - low + fine * outside))


def crps_from_quantiles(actual: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Mean continuous ranked probability score of forecasts given as quantiles.

    CRPS = 2 x the integral of the pinball loss over all levels. Here each quantile stands for the
    levels that are nearer to its own than to another's: the integral becomes a weighted sum.

    Parameters
    ----------
    actual : array_like of float, shape (n,)
    quantiles : array_like of float, shape (n, levels)
        Not falling along a row.
    levels : array_like of float, shape (levels,)
        Rising, between 0 and 1.

    Returns
    -------
    float
        In the units of the truth; the mean absolute error if the only level is 0.5. Exact for
        equally likely members sorted and given at the levels (k - 1/2) / members; otherwise the
        closer the levels the better, and what lies beyond the outermost is only guessed at.

    Examples
    --------
    >>> crps_from_quantiles([3.0], [[1.0, 2.0, 6.0, 7.0]], [0.125, 0.375, 0.625, 0.875])
    1.125
    """
    truth = _finite(actual, "actual")
    at = _finite(levels, "levels")
    table = np.asarray(quantiles, dtype=float)
    if len(at) == 0 or not (np.diff(at) > 0).all() or at[0] <= 0 or at[-1] >= 1:
        raise ValueError(f"levels must rise strictly between 0 and 1, found {at.tolist()}.")
    if table.shape != (len(truth), len(at)) or len(truth) == 0:
        raise ValueError(
            f"quantiles must have one row a sample and one column a level, "
            f"({len(truth)}, {len(at)}), found shape {table.shape}."
        )
    if not np.isfinite(table).all():
        raise ValueError("quantiles hold NaN or infinite values. Give every level a number.")
    crossing = np.diff(table, axis=1) < 0
    if crossing.any():
        row = int(np.argmax(crossing.any(axis=1)))
        raise ValueError(
            f"quantiles cross in row {row}: {table[row].tolist()}. Sort them along each row."
        )
    edges = np.concatenate(([0.0], (at[1:] + at[:-1]) / 2, [1.0]))
    return float(2 * (_pinball(truth[:, None], table, at) @ np.diff(edges)).mean())


def _pinball(truth: FloatArray, guess: FloatArray, level: float | FloatArray) -> FloatArray:
    over = truth - guess
    return np.maximum(level * over, (level - 1) * over)


def _level(value: float, name: str) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, found {value!r}.")
    return float(value)


def _finite(values: Any, name: str) -> FloatArray:
    numbers = as_scores(values, name)
    if np.isinf(numbers).any():
        raise ValueError(
            f"{name} holds an infinite value at position {int(np.argmax(np.isinf(numbers)))}. "
            "Give finite numbers."
        )
    return numbers


def _pair(actual: ArrayLike, other: ArrayLike, name: str) -> tuple[FloatArray, FloatArray]:
    truth, guess = _finite(actual, "actual"), _finite(other, name)
    _same_samples(actual, other, name, len(truth), len(guess))
    return truth, guess


def _interval(
    actual: ArrayLike, lower: ArrayLike, upper: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    truth, low, high = (
        _finite(actual, "actual"),
        as_scores(lower, "lower"),
        as_scores(upper, "upper"),
    )
    _same_samples(actual, lower, "lower", len(truth), len(low))
    _same_samples(actual, upper, "upper", len(truth), len(high))
    upside_down = low > high
    if upside_down.any():
        row = int(np.argmax(upside_down))
        raise ValueError(
            f"interval {row} is upside down: {low[row]:g} to {high[row]:g}. Swap its bounds."
        )
    return truth, low, high


def _same_samples(actual: ArrayLike, other: ArrayLike, name: str, n: int, n_other: int) -> None:
    if n != n_other:
        raise ValueError(f"actual has {n} samples and {name} {n_other}. Align them first.")
    if n == 0:
        raise ValueError(f"actual and {name} are empty. Give at least one sample.")
    if (
        isinstance(actual, pd.Series)
        and isinstance(other, pd.Series)
        and not actual.index.equals(other.index)
    ):
        raise ValueError(
            f"actual and {name} have different indexes. "
            f"Align them first, for example with {name}.reindex(actual.index)."
        )

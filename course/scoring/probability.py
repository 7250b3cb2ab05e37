"""Measures for classifiers of rare events: precision at the rate that nature has, calibration, cost.

Precision depends on how rare the positives are; recall and the false-positive rate do not. A test
set with half of its samples positive therefore flatters every precision measured on it.

Sources: reliability diagrams by Murphy and Winkler (Journal of the Royal Statistical Society C,
1977); expected calibration error by Naeini, Cooper and Hauskrecht (AAAI 2015); the threshold from
costs by Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course.scoring._inputs import BoolArray, FloatArray, aligned, as_flags, as_scores


@dataclass(frozen=True)
class AtBaseRate:
    """What a detector's recall and false-positive rate mean where positives are as rare as given.

    Attributes
    ----------
    base_rate, recall, false_positive_rate : 0..1
    precision : share of the flags that are right; nan if nothing is ever flagged
    f1 : harmonic mean of precision and recall; 0 if nothing is ever flagged
    """

    base_rate: float
    recall: float
    false_positive_rate: float
    precision: float
    f1: float


def at_base_rate(recall: float, false_positive_rate: float, base_rate: float) -> AtBaseRate:
    """Compute precision and F1 at a base rate, by Bayes' rule.

    precision = r p / (r p + f (1 - p)) with recall r, false-positive rate f and base rate p.

    Parameters
    ----------
    recall, false_positive_rate, base_rate : float
        0..1; the base rate is neither 0 nor 1.

    Returns
    -------
    AtBaseRate

    Examples
    --------
    >>> half = at_base_rate(0.9, 0.05, 0.5)
    >>> rare = at_base_rate(0.9, 0.05, 0.01)
    >>> round(half.precision, 2), round(rare.precision, 2)
    (0.95, 0.15)
    """
    for name, value in (("recall", recall), ("false_positive_rate", false_positive_rate)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be from 0 to 1, found {value!r}.")
    if not 0 < base_rate < 1:
        raise ValueError(f"base_rate must be between 0 and 1, found {base_rate!r}.")
    right, wrong = recall * base_rate, false_positive_rate * (1 - base_rate)
    precision = right / (right + wrong) if right + wrong > 0 else float("nan")
    f1 = 2 * right / (base_rate + right + wrong)
    return AtBaseRate(base_rate, recall, false_positive_rate, precision, f1)


def brier_score(labels: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared distance of probabilities from what happened (Brier, Monthly Weather Review 1950).

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
    probability : array_like of float, shape (n,)
        0..1.

    Returns
    -------
    float
        0 (certain and right) to 1; always saying the base rate p gives p (1 - p).

    Examples
    --------
    >>> brier_score([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25])
    0.1875
    """
    truth, chance = _pair(labels, probability)
    return float(np.mean((chance - truth) ** 2))


def reliability_curve(
    labels: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 10,
    strategy: Literal["quantile", "uniform"] = "quantile",
) -> pd.DataFrame:
    """What was said beside what happened, in bins of the probability.

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
    probability : array_like of float, shape (n,)
        0..1.
    bins : int
        At most as many; equal quantiles fall together.
    strategy : {"quantile", "uniform"}
        Bins of equal number of samples, or of equal width. Where positives are rare nearly all
        samples are in the first bin of equal width.

    Returns
    -------
    DataFrame
        One row a bin that holds samples: `said` (mean probability), `happened` (share of
        positives), `n`.

    Examples
    --------
    >>> curve = reliability_curve([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], bins=2)
    >>> curve.round(2).to_numpy().tolist()
    [[0.1, 0.0, 2.0], [0.9, 1.0, 2.0]]
    """
    truth, chance = _pair(labels, probability)
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, found {bins!r}.")
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    if strategy == "quantile":
        inner = np.unique(np.quantile(chance, inner))
    elif strategy != "uniform":
        raise ValueError(f"strategy must be 'quantile' or 'uniform', found {strategy!r}.")
    table = pd.DataFrame({"said": chance, "happened": truth.astype(float), "n": 1})
    return (
        table.groupby(np.searchsorted(inner, chance, side="right"))
        .agg({"said": "mean", "happened": "mean", "n": "sum"})
        .reset_index(drop=True)
    )


def expected_calibration_error(
    labels: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 10,
    strategy: Literal["quantile", "uniform"] = "quantile",
) -> float:
    """Mean distance between what was said and what happened, bins weighted by their samples.

    Parameters
    ----------
    labels, probability, bins, strategy
        As in `reliability_curve`.

    Returns
    -------
    float
        0..1. It depends on the bins, and is above 0 by chance even for true probabilities.

    Examples
    --------
    >>> round(expected_calibration_error([0, 0, 1, 1], [0.1, 0.1, 0.9, 0.9], bins=2), 3)
    0.1
    """
    curve = reliability_curve(labels, probability, bins=bins, strategy=strategy)
    return float(np.average((curve["said"] - curve["happened"]).abs(), weights=curve["n"]))


def threshold_from_costs(false_alarm: float, miss: float) -> float:
    """Probability from which acting is cheaper than waiting, for calibrated probabilities.

    Acting costs `false_alarm` where nothing comes; waiting costs `miss` where it does. Acting pays
    from p = false_alarm / (false_alarm + miss) on (Elkan, 2001).

    Examples
    --------
    >>> threshold_from_costs(false_alarm=1, miss=9)
    0.1
    """
    if not (false_alarm > 0 and miss > 0):
        raise ValueError(f"costs must be greater than 0, found {false_alarm!r} and {miss!r}.")
    return false_alarm / (false_alarm + miss)


def cost(labels: ArrayLike, flags: ArrayLike, *, false_alarm: float, miss: float) -> float:
    """Mean cost of a sample: false alarms and misses, each at its price.

    Examples
    --------
    >>> cost([1, 1, 0, 0], [1, 0, 1, 0], false_alarm=1, miss=9)
    2.5
    """
    aligned(labels, flags, "flags")
    truth, fired = as_flags(labels, "labels"), as_flags(flags, "flags")
    return float(np.mean(false_alarm * (fired & ~truth) + miss * (truth & ~fired)))


def _pair(labels: ArrayLike, probability: ArrayLike) -> tuple[BoolArray, FloatArray]:
    aligned(labels, probability, "probability")
    truth, chance = as_flags(labels, "labels"), as_scores(probability, "probability")
    if ((chance < 0) | (chance > 1)).any():
        wrong = float(chance[(chance < 0) | (chance > 1)][0])
        raise ValueError(f"probability must be from 0 to 1, found {wrong!r}.")
    return truth, chance

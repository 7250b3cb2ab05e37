"""Scores by sample: precision, recall, F1, average precision, and two ways to inflate them.

Point adjustment (Xu et al., "Unsupervised anomaly detection via variational auto-encoder for
seasonal KPIs in web applications", WWW 2018) counts a whole labelled segment as found once one
of its samples is flagged. PA%K (Kim et al., "Towards a rigorous evaluation of time-series anomaly
detection", AAAI 2022) asks for more than K % of the segment first. Both are here to be exposed:
under point adjustment a random score looks excellent.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course.scoring._inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    aligned,
    as_flags,
    as_scores,
)


class PointScores(NamedTuple):
    """Precision, recall and F1 over samples, each in 0..1 or ``nan`` for 0/0."""

    precision: float
    recall: float
    f1: float


class BestF1(NamedTuple):
    """The highest F1 over all thresholds. The threshold is tuned on the labels it is scored on."""

    f1: float
    threshold: float
    precision: float
    recall: float


def point_scores(labels: ArrayLike, flags: ArrayLike) -> PointScores:
    """Compute classical precision, recall and F1 over samples.

    Parameters
    ----------
    labels, flags : array_like of bool, shape (n,)
        Truth and detection for the same samples; two Series must share their index.

    Returns
    -------
    PointScores
        ``nan`` for precision without flags, for recall without labels, for f1 without either.

    Examples
    --------
    >>> point_scores([0, 1, 1, 0], [0, 1, 0, 1])
    PointScores(precision=0.5, recall=0.5, f1=0.5)
    """
    truth, fired = _pair(labels, flags)
    tp, n_true, n_fired = int((truth & fired).sum()), int(truth.sum()), int(fired.sum())
    return PointScores(
        precision=tp / n_fired if n_fired else float("nan"),
        recall=tp / n_true if n_true else float("nan"),
        f1=2 * tp / (n_true + n_fired) if n_true + n_fired else float("nan"),
    )


def point_adjust(labels: ArrayLike, flags: ArrayLike) -> pd.Series | BoolArray:
    """Flag the whole labelled segment wherever one of its samples is flagged (Xu et al., 2018).

    Parameters
    ----------
    labels, flags : array_like of bool, shape (n,)
        Truth and detection for the same samples.

    Returns
    -------
    pd.Series or np.ndarray of bool, shape (n,)
        The adjusted flags, with the index of `flags` if that is a Series.

    Examples
    --------
    >>> point_adjust([0, 1, 1, 1, 0], [0, 0, 1, 0, 1]).astype(int).tolist()
    [0, 1, 1, 1, 1]
    """
    return pa_k(labels, flags, 0.0)


def pa_k(labels: ArrayLike, flags: ArrayLike, k: float) -> pd.Series | BoolArray:
    """Adjust only segments of which more than `k` % is flagged (Kim et al., 2022).

    Parameters
    ----------
    labels, flags : array_like of bool, shape (n,)
        Truth and detection for the same samples.
    k : float
        Per cent, 0..100. At 0 this is point adjustment, at 100 flags stay as they are.

    Returns
    -------
    pd.Series or np.ndarray of bool, shape (n,)
        The adjusted flags, with the index of `flags` if that is a Series.

    Examples
    --------
    >>> pa_k([1, 1, 1, 1, 0], [1, 0, 0, 0, 0], k=25).astype(int).tolist()
    [1, 0, 0, 0, 0]
    >>> pa_k([1, 1, 1, 1, 0], [1, 0, 0, 0, 0], k=20).astype(int).tolist()
    [1, 1, 1, 1, 0]
    """
    truth, fired = _pair(labels, flags)
    first, last = runs(truth)
    sums = np.r_[0, np.cumsum(fired)]
    enough = sums[last + 1] - sums[first] >= _needed(last - first + 1, k)
    adjusted = fired.copy()
    adjusted[truth] |= np.repeat(enough, last - first + 1)
    return pd.Series(adjusted, index=flags.index) if isinstance(flags, pd.Series) else adjusted


def best_f1(
    labels: ArrayLike,
    scores: ArrayLike,
    adjust: Literal["pa"] | None = None,
    *,
    k: float = 0.0,
) -> BestF1:
    """Find the highest F1 over every threshold that changes a flag.

    A sample is flagged if ``score >= threshold``; tied scores are flagged together. This is an
    upper bound, not a result: the threshold has seen the labels.

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
        Truth.
    scores : array_like of float, shape (n,)
        Higher means more anomalous; infinite is allowed, NaN is not.
    adjust : {None, "pa"}
        With ``"pa"`` flags are point-adjusted at each threshold first.
    k : float
        With ``adjust="pa"``: per cent of PA%K, 0..100.

    Returns
    -------
    BestF1
        The highest threshold among equals; all ``nan`` if no sample is labelled.

    Examples
    --------
    >>> labels, scores = [0, 0, 1, 1, 0], [0.1, 0.2, 0.3, 0.9, 0.8]
    >>> best_f1(labels, scores)
    BestF1(f1=0.8, threshold=0.3, precision=0.6666666666666666, recall=1.0)
    >>> best_f1(labels, scores, adjust="pa").f1
    1.0
    """
    truth, values = label_score_pair(labels, scores)
    if adjust not in (None, "pa"):
        raise ValueError(f"adjust must be None or 'pa', found {adjust!r}.")
    if not truth.any():
        return BestF1(float("nan"), float("nan"), float("nan"), float("nan"))
    if adjust == "pa":
        values = _adjusted_scores(truth, values, k)
    thresholds, tp, flagged = _counts_by_threshold(truth, values)
    f1 = 2 * tp / (flagged + truth.sum())
    best = int(np.argmax(f1))
    return BestF1(
        f1=float(f1[best]),
        threshold=float(thresholds[best]),
        precision=float(tp[best] / flagged[best]),
        recall=float(tp[best] / truth.sum()),
    )


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Sum precision over the steps of recall, without interpolation (as scikit-learn does).

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
        Truth.
    scores : array_like of float, shape (n,)
        Higher means more anomalous; tied scores are one step.

    Returns
    -------
    float
        ``sum((R_i - R_{i-1}) P_i)`` in 0..1; ``nan`` if no sample is labelled. A constant score
        gets the share of labelled samples.

    Examples
    --------
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    truth, values = label_score_pair(labels, scores)
    if not truth.any():
        return float("nan")
    _, tp, flagged = _counts_by_threshold(truth, values)
    return float(np.sum(np.diff(tp, prepend=0) / truth.sum() * tp / flagged))


def runs(flags: BoolArray) -> tuple[IntArray, IntArray]:
    """Give first and last positions of the maximal runs of true values."""
    edges = np.diff(np.r_[False, flags, False].astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1


def label_score_pair(labels: ArrayLike, scores: ArrayLike) -> tuple[BoolArray, FloatArray]:
    """Read labels and scores of the same samples."""
    aligned(labels, scores, "scores")
    return as_flags(labels, "labels"), as_scores(scores, "scores")


def _pair(labels: ArrayLike, flags: ArrayLike) -> tuple[BoolArray, BoolArray]:
    aligned(labels, flags, "flags")
    return as_flags(labels, "labels"), as_flags(flags, "flags")


def _needed(length: IntArray, k: float) -> IntArray:
    """Give the least number of flagged samples that is more than `k` % of a segment."""
    if not 0 <= k <= 100:
        raise ValueError(f"k must be a percentage from 0 to 100, found {k!r}.")
    return np.floor(k * length / 100).astype(np.int64) + 1


def _adjusted_scores(truth: BoolArray, scores: FloatArray, k: float) -> FloatArray:
    """Give scores whose plain flags at any threshold are the adjusted flags of the given scores.

    A segment is flagged as a whole once its m-th highest score reaches the threshold, m being
    the least number of samples that counts. So no sample of it stays below that score.
    """
    adjusted = scores.copy()
    first, last = runs(truth)
    for start, stop, needed in zip(first, last + 1, _needed(last - first + 1, k), strict=True):
        segment = scores[start:stop]
        if needed <= len(segment):
            floor = np.partition(segment, len(segment) - needed)[len(segment) - needed]
            adjusted[start:stop] = np.maximum(segment, floor)
    return adjusted


def _counts_by_threshold(
    truth: BoolArray, scores: FloatArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Give each distinct score, falling, with the true and all flags at or above it."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last_of_tie = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True])
    tp = np.cumsum(truth[order], dtype=np.int64)[last_of_tie]
    return falling[last_of_tie], tp, last_of_tie + 1

"""Range-based precision and recall.

Source: Tatbul, Lee, Zdonik, Alam and Gottschlich, "Precision and Recall for Time Series",
NeurIPS 2018. A range is a maximal run of true samples. With real ranges R and predicted ranges P::

    recall    = mean over R of  alpha * existence(R) + (1 - alpha) * overlap(R, all P)
    precision = mean over P of  overlap(P, all R)
    overlap(A, all B) = cardinality(A) * sum of delta over A's samples in B / sum of delta over A

`existence` is 1 if one sample of R is flagged. `delta` weighs the samples of a range by position,
and `cardinality` punishes a range that is covered in x > 1 pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from course.scoring._inputs import BoolArray, FloatArray, aligned, as_flags
from course.scoring.points import runs

Bias = Literal["flat", "front", "back", "middle"]
Cardinality = Literal["one", "reciprocal"] | Callable[[int], float]


def range_recall(
    labels: ArrayLike,
    flags: ArrayLike,
    *,
    alpha: float = 0.0,
    cardinality: Cardinality = "reciprocal",
    bias: Bias = "flat",
) -> float:
    """Compute how much of the real ranges was found (Tatbul et al., 2018, eq. 4-8).

    Parameters
    ----------
    labels, flags : array_like of bool, shape (n,)
        Truth and detection for the same samples.
    alpha : float
        0..1, the weight of finding a range at all against how much of it.
    cardinality : {"reciprocal", "one"} or callable
        Factor for a range covered in x > 1 pieces: ``1/x``, 1, or ``cardinality(x)`` in 0..1.
    bias : {"flat", "front", "back", "middle"}
        Where in the range a sample counts most.

    Returns
    -------
    float
        0..1; ``nan`` if there is no real range.

    Examples
    --------
    >>> labels = [0, 1, 1, 1, 1, 0]
    >>> range_recall(labels, [0, 1, 1, 0, 0, 0])
    0.5
    >>> range_recall(labels, [0, 1, 1, 0, 0, 0], bias="front")      # (4 + 3) / (4 + 3 + 2 + 1)
    0.7
    >>> range_recall(labels, [0, 1, 0, 1, 0, 0], alpha=0.5)         # 0.5 + 0.5 * 1/2 * 2/4
    0.625
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be from 0 to 1, found {alpha!r}.")
    truth, fired = _pair(labels, flags)
    pieces, overlap = _overlap(truth, fired, cardinality, bias)
    return _mean(alpha * (pieces > 0) + (1 - alpha) * overlap)


def range_precision(
    labels: ArrayLike,
    flags: ArrayLike,
    *,
    cardinality: Cardinality = "reciprocal",
    bias: Bias = "flat",
) -> float:
    """Compute how much of the predicted ranges is real (Tatbul et al., 2018, eq. 9-10).

    Parameters
    ----------
    labels, flags, cardinality, bias
        As in :func:`range_recall`. There is no `alpha`: for a prediction to exist is no merit.

    Returns
    -------
    float
        0..1; ``nan`` if nothing is flagged.

    Examples
    --------
    >>> range_precision([0, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 1])     # (2/3 + 0) / 2
    0.3333333333333333
    """
    truth, fired = _pair(labels, flags)
    return _mean(_overlap(fired, truth, cardinality, bias)[1])


def range_f1(
    labels: ArrayLike,
    flags: ArrayLike,
    *,
    alpha: float = 0.0,
    cardinality: Cardinality = "reciprocal",
    recall_bias: Bias = "flat",
    precision_bias: Bias = "flat",
) -> float:
    """Compute the harmonic mean of range-based precision and recall.

    Parameters
    ----------
    labels, flags, alpha, cardinality
        As in :func:`range_recall`.
    recall_bias, precision_bias : {"flat", "front", "back", "middle"}
        `bias` of the two parts.

    Returns
    -------
    float
        0..1; 0 if only one of truth and detection is empty, ``nan`` if both are.

    Examples
    --------
    >>> range_f1([0, 1, 1, 0, 0, 0], [0, 1, 1, 1, 0, 1])            # 2 * 1/3 * 1 / (1/3 + 1)
    0.5
    """
    recall = range_recall(labels, flags, alpha=alpha, cardinality=cardinality, bias=recall_bias)
    precision = range_precision(labels, flags, cardinality=cardinality, bias=precision_bias)
    if np.isnan(recall) and np.isnan(precision):
        return float("nan")
    recall, precision = float(np.nan_to_num(recall)), float(np.nan_to_num(precision))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _overlap(
    ranges: BoolArray, cover: BoolArray, cardinality: Cardinality, bias: Bias
) -> tuple[np.ndarray, FloatArray]:
    """Give, for each range, the number of covering pieces and the overlap reward."""
    first, last = runs(ranges)
    piece_first, piece_last = runs(cover)
    # A piece overlaps [first, last] unless it ends before it or starts after it.
    pieces = np.searchsorted(piece_first, last, side="right") - np.searchsorted(
        piece_last, first, side="left"
    )
    weights = _position_weights(first, last, len(ranges), bias)
    total, won = (np.r_[0.0, np.cumsum(values)] for values in (weights, weights * cover))
    share = (won[last + 1] - won[first]) / (total[last + 1] - total[first])
    return pieces, _cardinality_factors(pieces, cardinality) * share


def _position_weights(first: np.ndarray, last: np.ndarray, n: int, bias: Bias) -> FloatArray:
    """Give delta for each sample of each range, and 0 outside; position i runs from 1."""
    lengths = last - first + 1
    length = np.repeat(lengths, lengths)
    positions = np.concatenate(
        [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
        or [np.empty(0, dtype=np.int64)]
    )
    i = positions - np.repeat(first, lengths) + 1
    if bias == "flat":
        delta = np.ones_like(i)
    elif bias == "front":
        delta = length - i + 1
    elif bias == "back":
        delta = i
    elif bias == "middle":
        delta = np.where(i <= length / 2, i, length - i + 1)
    else:
        raise ValueError(f"bias must be 'flat', 'front', 'back' or 'middle', found {bias!r}.")
    weights = np.zeros(n)
    weights[positions] = delta
    return weights


def _cardinality_factors(pieces: np.ndarray, cardinality: Cardinality) -> FloatArray:
    several = pieces > 1
    factors = np.ones(len(pieces))
    if cardinality == "reciprocal":
        factors[several] = 1 / pieces[several]
    elif callable(cardinality):
        factors[several] = [cardinality(int(count)) for count in pieces[several]]
        if not ((factors >= 0) & (factors <= 1)).all():
            raise ValueError(
                "cardinality must give factors from 0 to 1, found "
                f"{factors.min():g} to {factors.max():g}."
            )
    elif cardinality != "one":
        raise ValueError(
            f"cardinality must be 'reciprocal', 'one' or a function, found {cardinality!r}."
        )
    return factors


def _pair(labels: ArrayLike, flags: ArrayLike) -> tuple[BoolArray, BoolArray]:
    aligned(labels, flags, "flags")
    return as_flags(labels, "labels"), as_flags(flags, "flags")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")

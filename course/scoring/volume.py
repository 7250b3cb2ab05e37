"""Range-AUC-PR and VUS-PR: average precision that forgives a small shift in time.

Source: Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin, "Volume Under the Surface: A New
Accuracy Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022, and the code
published with it (package `vus`). For a buffer of `window` samples:

- labels become soft: a sample d <= window/2 away from a labelled range gets sqrt(1 - d / window);
- a detection at a threshold has TP = sum of the soft labels flagged, precision = TP / flagged, and
  recall = min(TP / ((P + P_soft) / 2), 1) times the *existence ratio*, the share of ranges with
  their buffers in which anything is flagged;
- the area under precision over recall is range-AUC-PR, and its mean over all buffers from 0 to
  `window` is VUS-PR.

There are two published definitions, and their numbers differ: say which one you quote.

- ``"2022"``: the code of the paper (`vus` up to 0.0.5). P_soft is the sum of all soft labels, and
  points of the curve are joined by straight lines. It has two faults: a constant score gets more
  than half, and a score that equals the labels gets less than 1.
- ``"current"``: `vus` 0.0.6 and TSB-AD (Liu and Paparrizos, "The Elephant in the Room: Towards A
  Reliable Time-Series Anomaly Detection Benchmark", NeurIPS 2024). Buffers count in P_soft only
  where they are flagged, and the area is a sum of steps, as in average precision.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from course.scoring._inputs import FloatArray, IntArray
from course.scoring.points import label_score_pair, runs

Version = Literal["current", "2022"]


def range_auc_pr(
    labels: ArrayLike,
    scores: ArrayLike,
    window: int,
    *,
    thresholds: int = 250,
    version: Version = "current",
) -> float:
    """Compute the area under the range-based precision-recall curve for one buffer.

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
        Truth.
    scores : array_like of float, shape (n,)
        Higher means more anomalous.
    window : int
        Samples of buffer, half before and half after each range; 0 for none. About the length
        of a period or of a typical event.
    thresholds : int
        Points on the curve, at evenly spaced ranks of the scores; at least 2.
    version : {"current", "2022"}
        Which published definition to follow, see the module's text.

    Returns
    -------
    float
        0..1; ``nan`` if no sample is labelled.

    Examples
    --------
    >>> labels = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> late = [0, 0, 0, 0, 1, 1, 0, 0]
    >>> range_auc_pr(labels, late, window=0) < range_auc_pr(labels, late, window=4)
    True
    """
    curve = _Curve(labels, scores, window, thresholds, version)
    # The code of 2022 joins ranges whose buffers touch when it computes one buffer, and only those
    # whose buffers overlap when it computes the volume.
    return curve.area(window, touching=version == "2022")


def vus_pr(
    labels: ArrayLike,
    scores: ArrayLike,
    window: int,
    *,
    thresholds: int = 250,
    version: Version = "current",
) -> float:
    """Compute the volume under the precision-recall surface over all buffers up to `window`.

    Parameters
    ----------
    labels, scores, thresholds, version
        As in :func:`range_auc_pr`.
    window : int
        Largest buffer in samples.

    Returns
    -------
    float
        Mean of the areas for the buffers 0, 1, ..., `window`; ``nan`` if no sample is labelled.

    Examples
    --------
    >>> labels = [0] * 20 + [1] * 10 + [0] * 20
    >>> vus_pr(labels, labels, window=0)
    1.0
    >>> late = [0] * 22 + [1] * 10 + [0] * 18
    >>> round(vus_pr(labels, late, window=0), 2), round(vus_pr(labels, late, window=8), 2)
    (0.68, 0.82)
    """
    curve = _Curve(labels, scores, window, thresholds, version)
    return float(np.mean([curve.area(width, touching=False) for width in range(window + 1)]))


class _Curve:
    """Labels and scores, sorted once, and the area under their curve for any buffer."""

    def __init__(
        self, labels: ArrayLike, scores: ArrayLike, window: int, thresholds: int, version: Version
    ) -> None:
        if isinstance(window, bool) or not isinstance(window, (int, np.integer)) or window < 0:
            raise ValueError(f"window must be a whole number of samples >= 0, found {window!r}.")
        if thresholds < 2:
            raise ValueError(f"thresholds must be at least 2, found {thresholds!r}.")
        if version not in ("current", "2022"):
            raise ValueError(f"version must be 'current' or '2022', found {version!r}.")
        self.truth, self.scores = label_score_pair(labels, scores)
        self.first, self.last = runs(self.truth)
        self.steps = version == "current"
        self.order = np.argsort(-self.scores, kind="stable")
        falling = self.scores[self.order]
        ranks = np.linspace(0, len(falling) - 1, thresholds).astype(np.int64)
        self.levels = falling[ranks]
        self.flagged = np.searchsorted(-falling, -self.levels, side="right")

    def area(self, width: int, *, touching: bool) -> float:
        if not len(self.first):
            return float("nan")
        soft = self._soft_labels(width)
        hit = np.cumsum(soft[self.order])[self.flagged - 1]
        positives = (self.truth.sum() + self._soft_positives(soft, hit)) / 2
        recall = np.minimum(hit / positives, 1) * self._existence(width, touching)
        recall = np.r_[0.0, recall]
        precision = np.r_[1.0, hit / self.flagged]
        height = precision[1:] if self.steps else (precision[1:] + precision[:-1]) / 2
        return float(np.sum(np.diff(recall) * height))

    def _soft_labels(self, width: int) -> FloatArray:
        soft, half, n = self.truth.astype(np.float64), width // 2, len(self.truth)
        if half == 0:
            return soft
        ramp = np.sqrt(1 - np.arange(1, half + 1) / width)
        for first, last in zip(self.first, self.last, strict=True):
            after = soft[last + 1 : last + 1 + half]
            after += ramp[: len(after)]
            before = soft[max(first - half, 0) : first]
            before += ramp[::-1][half - len(before) :]
        return np.minimum(soft, 1.0, out=np.empty(n))

    def _soft_positives(self, soft: FloatArray, hit: FloatArray) -> float | FloatArray:
        if not self.steps:
            return float(soft.sum())
        labelled_hits = np.cumsum(self.truth[self.order])[self.flagged - 1]
        return self.truth.sum() + hit - labelled_hits

    def _existence(self, width: int, touching: bool) -> FloatArray:
        """Give the share of ranges with buffers in which the highest score reaches each level."""
        half, n = width // 2, len(self.truth)
        first, last = np.maximum(self.first - half, 0), np.minimum(self.last + half, n - 1)
        apart = first[1:] > last[:-1] + (1 if touching else 0)
        first, last = first[np.r_[True, apart]], last[np.r_[apart, True]]
        peaks = np.sort(_maxima(self.scores, first, last))
        return (len(peaks) - np.searchsorted(peaks, self.levels, side="left")) / len(peaks)


def _maxima(values: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    padded = np.r_[values, -np.inf]
    edges = np.column_stack([first, last + 1]).ravel()
    return np.maximum.reduceat(padded, edges)[::2]

"""The score of the Numenta Anomaly Benchmark (NAB), for comparison with its published figures.

Source: Lavin and Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms - the Numenta Anomaly
Benchmark", ICMLA 2015 (arXiv:1510.03336), and the current code of NAB (`nab/sweeper.py`,
`config/profiles.json`), which it follows where the two differ. For each series:

- the first 15 % of samples (at most 750) are probation and do not count;
- a window (generous, drawn around each label) earns ``tp * s(-(right - i + 1) / width) / s(-1)``
  for its earliest flag i, so 1 at its left edge and nearly 0 at its right, or loses ``fn``;
- every *sample* flagged outside loses ``fp * -s((i - right) / (width - 1))`` by its distance from
  the window before it, and the whole of ``fp`` where there is none or it is far behind;
- ``s(x) = 2 / (1 + exp(5 x)) - 1``, and -1 for x > 3.

The normalised score is ``100 * (raw - null) / (perfect - null)``: 0 for a detector that never
fires, 100 for one that flags the first sample of every window and no other; it has no lower bound.

NAB's leaderboard chooses each detector's threshold on the labels it is scored on, over the whole
corpus. :func:`nab_sweep` does the same, and its result is an upper bound, not a detection result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from course.scoring._inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    as_flags,
    as_intervals,
    as_scores,
    nanoseconds,
)
from course.scoring.events import Intervals

Profile = Literal["standard", "reward_low_FP_rate", "reward_low_FN_rate"]

_PROBATION_CAP = 5000  # NAB takes its share of at most this many samples


class Weights(NamedTuple):
    """What a detected window earns, and what a flag outside and a missed window cost."""

    tp: float
    fp: float
    fn: float


#: NAB's application profiles (`config/profiles.json`).
NAB_PROFILES: dict[str, Weights] = {
    "standard": Weights(tp=1.0, fp=0.11, fn=1.0),
    "reward_low_FP_rate": Weights(tp=1.0, fp=0.22, fn=1.0),
    "reward_low_FN_rate": Weights(tp=1.0, fp=0.11, fn=2.0),
}


@dataclass(frozen=True)
class NabScore:
    """NAB's raw score of one or more series, and what it is measured against.

    Attributes
    ----------
    raw : float
        Sum of the weighted parts.
    null : float
        Raw score of a detector that never fires.
    perfect : float
        Raw score of one that flags the first sample of every window and no other.
    windows, detected : int
        Windows that count, and those with a flag.
    false_positives : int
        Samples flagged outside every window.
    """

    raw: float
    null: float
    perfect: float
    windows: int
    detected: int
    false_positives: int

    @property
    def score(self) -> float:
        """``100 * (raw - null) / (perfect - null)``; ``nan`` without windows (pool first)."""
        span = self.perfect - self.null
        return 100 * (self.raw - self.null) / span if span else float("nan")


class NabSweep(NamedTuple):
    """The best threshold over a corpus, tuned on its labels, and the score it gets there."""

    threshold: float
    result: NabScore


def windows_to_events(windows: Sequence[Sequence[Any]], *, tz: str = "UTC") -> pd.DataFrame:
    """Turn NAB's windows, pairs of times as text, into events.

    Parameters
    ----------
    windows : sequence of pairs
        As in NAB's `labels/combined_windows.json`; times without a zone are taken to be in `tz`.
    tz : str
        Time zone of naive times.

    Returns
    -------
    pd.DataFrame
        Columns `start` and `end` (UTC), for :func:`nab_score` and `event_scores`.

    Examples
    --------
    >>> windows_to_events([["2014-04-10 07:15:00.000000", "2014-04-11 16:45:00.000000"]])["end"][0]
    Timestamp('2014-04-11 16:45:00+0000', tz='UTC')
    """
    stamps = [[_utc(value, tz) for value in window] for window in windows]
    if any(len(window) != 2 for window in stamps):
        raise ValueError("windows must be pairs (start, end). Give two times for each.")
    return pd.DataFrame(
        {
            "start": pd.DatetimeIndex([window[0] for window in stamps], tz="UTC"),
            "end": pd.DatetimeIndex([window[1] for window in stamps], tz="UTC"),
        }
    )


def nab_score(
    flags: pd.Series,
    windows: Intervals,
    *,
    profile: Profile | Weights = "standard",
    probation: float = 0.15,
) -> NabScore:
    """Score the flags of one series as NAB does.

    Parameters
    ----------
    flags : pd.Series
        True where the detector fires; UTC DatetimeIndex, sorted. Two samples at one time are
        allowed here, since NAB's own series have them.
    windows : pd.DataFrame or pairs
        Columns `start` and `end` (UTC), or pairs; they must not overlap. A window wholly within
        probation, or without samples, does not count.
    profile : {"standard", "reward_low_FP_rate", "reward_low_FN_rate"} or Weights
        Weights of the parts. NAB's papers call the last two "reward low FP" and "low FN".
    probation : float
        Share of the series that does not count, 0..1.

    Returns
    -------
    NabScore
        Its `score` is the normalised one; pool several series with :func:`pool_nab`.

    Examples
    --------
    >>> times = pd.date_range("2024-05-01", periods=100, freq="5min", tz="UTC")
    >>> flags = pd.Series(False, index=times)
    >>> flags.iloc[50] = True
    >>> nab_score(flags, [(times[50], times[59])]).score
    100.0
    >>> flags.iloc[30] = True                                        # a false alarm: -0.11 of 2
    >>> round(nab_score(flags, [(times[50], times[59])]).score, 2)
    94.5
    """
    series = _series(flags, windows, _weights(profile), probation)
    return _total([series], [as_flags(flags, "flags")], _weights(profile))


def pool_nab(scores: Sequence[NabScore]) -> NabScore:
    """Add up the raw scores of several series; the sum is normalised as NAB does a corpus.

    Parameters
    ----------
    scores : sequence of NabScore
        One for each series, all of one profile.

    Returns
    -------
    NabScore

    Examples
    --------
    >>> found, missed = NabScore(1, -1, 1, 1, 1, 0), NabScore(-1, -1, 1, 1, 0, 0)
    >>> pool_nab([found, missed]).score
    50.0
    """
    parts = list(scores)
    if not parts:
        raise ValueError("there are no scores to pool. Score at least one series first.")
    return NabScore(
        raw=sum(part.raw for part in parts),
        null=sum(part.null for part in parts),
        perfect=sum(part.perfect for part in parts),
        windows=sum(part.windows for part in parts),
        detected=sum(part.detected for part in parts),
        false_positives=sum(part.false_positives for part in parts),
    )


def nab_sweep(
    scores: Sequence[pd.Series],
    windows: Sequence[Intervals],
    *,
    profile: Profile | Weights = "standard",
    probation: float = 0.15,
) -> NabSweep:
    """Find the one threshold that gives the highest NAB score over all series.

    The threshold is tuned on the labels it is scored on, as those of NAB's leaderboard are. Use
    it beside published figures, and never as the result of a detector of your own.

    Parameters
    ----------
    scores : sequence of pd.Series
        Scores of each series, higher meaning more anomalous, on one scale.
    windows : sequence of DataFrames or pairs
        Windows of each series, in the same order.
    profile, probation
        As in :func:`nab_score`.

    Returns
    -------
    NabSweep
        The highest threshold among equals; samples with ``score >= threshold`` are flagged. It
        is infinite where firing never is best.

    Examples
    --------
    >>> times = pd.date_range("2024-05-01", periods=100, freq="5min", tz="UTC")
    >>> score = pd.Series(0.1, index=times)
    >>> score.iloc[50] = 0.9
    >>> nab_sweep([score], [[(times[50], times[59])]]).threshold
    0.9
    """
    if len(scores) != len(windows) or not len(scores):
        raise ValueError(
            f"scores and windows must be as many, and at least one, "
            f"found {len(scores)} and {len(windows)}."
        )
    weights = _weights(profile)
    values = [as_scores(each, "scores") for each in scores]
    series = [
        _series(each, limits, weights, probation)
        for each, limits in zip(scores, windows, strict=True)
    ]
    threshold = _best_threshold(series, values, weights)
    return NabSweep(threshold, _total(series, [each >= threshold for each in values], weights))


class _Series(NamedTuple):
    """For each sample its window (-1: none), what a flag there is worth, and if it counts."""

    window: IntArray
    worth: FloatArray
    counts: BoolArray
    n_windows: int


def _series(values: pd.Series, windows: Intervals, weights: Weights, probation: float) -> _Series:
    times = _sorted_times(values)
    n = len(times)
    starts, ends, _ = as_intervals(windows, "windows")
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    if (starts[1:] <= ends[:-1]).any():
        raise ValueError("windows overlap. Join them with merge_intervals(windows) first.")
    if not 0 <= probation <= 1:
        raise ValueError(f"probation must be a share from 0 to 1, found {probation!r}.")
    counts = np.arange(n) >= min(np.floor(probation * n), probation * _PROBATION_CAP)
    left = np.searchsorted(times, starts, side="left")
    right = np.searchsorted(times, ends, side="right") - 1
    sampled = right >= left
    left, right = left[sampled], right[sampled]
    window, worth = _worth(n, left, right, weights)
    # Number the windows that count without gaps; the others have no counted sample.
    kept = np.unique(window[counts & (window >= 0)])
    renumbered = np.full(len(left) + 1, -1)
    renumbered[kept] = np.arange(len(kept))
    return _Series(np.where(counts, renumbered[window], -1), worth, counts, len(kept))


def _worth(
    n: int, left: IntArray, right: IntArray, weights: Weights
) -> tuple[IntArray, FloatArray]:
    i = np.arange(n)
    before = np.searchsorted(left, i, side="right") - 1  # the last window begun; -1: none yet
    window, worth = np.full(n, -1), np.full(n, -weights.fp)
    begun = before >= 0
    start, stop = left[before[begun]], right[before[begun]]
    width, past = stop - start + 1, i[begun] - stop
    inside = past <= 0
    inside_worth = weights.tp * _scaled_sigmoid((past - 1) / width) / _scaled_sigmoid(-1.0)
    outside_worth = weights.fp * _scaled_sigmoid(past / np.maximum(width - 1, 1))
    worth[begun] = np.where(inside, inside_worth, outside_worth)
    window[begun] = np.where(inside, before[begun], -1)
    return window, worth


def _scaled_sigmoid(x: Any) -> Any:
    return np.where(x > 3.0, -1.0, 2 / (1 + np.exp(5 * np.minimum(x, 3.0))) - 1)


def _total(series: Sequence[_Series], flags: Sequence[BoolArray], weights: Weights) -> NabScore:
    raw, windows, detected, false_positives = 0.0, 0, 0, 0
    for each, fired in zip(series, flags, strict=True):
        outside = fired & each.counts & (each.window < 0)
        inside = np.flatnonzero(fired & (each.window >= 0))
        found, earliest = np.unique(each.window[inside], return_index=True)
        raw += each.worth[outside].sum() + each.worth[inside[earliest]].sum()
        raw -= weights.fn * (each.n_windows - len(found))
        windows += each.n_windows
        detected += len(found)
        false_positives += int(outside.sum())
    return NabScore(
        raw=float(raw),
        null=-weights.fn * windows,
        perfect=weights.tp * windows,
        windows=windows,
        detected=detected,
        false_positives=false_positives,
    )


def _best_threshold(
    series: Sequence[_Series], values: Sequence[FloatArray], weights: Weights
) -> float:
    """Sweep from the highest score down, adding what each sample changes."""
    changes, levels = [], []
    for each, scores in zip(series, values, strict=True):
        change = np.where(each.counts, each.worth, 0.0)
        for number in range(each.n_windows):
            samples = np.flatnonzero(each.window == number)
            # A sample matters only if no earlier one has at least its score.
            ahead = np.maximum.accumulate(np.r_[-np.inf, scores[samples][:-1]])
            record = scores[samples] > ahead
            record[0] = True
            gain = each.worth[samples[record]]
            change[samples] = 0.0
            change[samples[record]] = gain - np.r_[gain[1:], -weights.fn]
        changes.append(change[each.counts])
        levels.append(scores[each.counts])
    change, level = np.concatenate(changes), np.concatenate(levels)
    order = np.argsort(-level, kind="stable")
    last_of_tie = np.flatnonzero(np.r_[np.diff(level[order]) != 0, True]) if len(order) else order
    totals = np.r_[0.0, np.cumsum(change[order])[last_of_tie]]
    best = int(np.argmax(totals))
    return float(np.r_[np.inf, level[order][last_of_tie]][best])


def _weights(profile: Profile | Weights) -> Weights:
    if isinstance(profile, Weights):
        return profile
    if profile not in NAB_PROFILES:
        raise ValueError(f"profile must be one of {sorted(NAB_PROFILES)}, found {profile!r}.")
    return NAB_PROFILES[profile]


def _sorted_times(values: pd.Series) -> IntArray:
    index = values.index if isinstance(values, pd.Series) else None
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise ValueError(
            "NAB's score needs a Series with a DatetimeIndex in UTC. "
            "Set one, for example with pd.to_datetime(times, utc=True)."
        )
    if index.hasnans or not index.is_monotonic_increasing:
        raise ValueError("the times are not sorted or hold NaT. Use .sort_index(kind='stable').")
    if not len(index):
        raise ValueError("the series has no samples. Give at least one.")
    return nanoseconds(index)


def _utc(value: Any, tz: str) -> pd.Timestamp:
    stamp = pd.Timestamp(value)
    return (
        stamp.tz_localize(tz).tz_convert("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    )

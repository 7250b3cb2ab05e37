"""Score alerts against label windows, and against chance.

Definitions (those of the figures in the course's baseline table):

- flagged samples at most one hour apart are one alert; samples in probation are not looked at;
- an alert is a hit if it *overlaps* a label window; a window is found if an alert overlaps it;
- recall = windows found / windows; precision = alerts that hit / alerts: a second alert in one
  window is a second hit; both pooled over the series of a group;
- alerts per series and day = alerts / days scored, summed over the series.

Overlap is a lenient rule: one endless alert would have recall and precision 1. So beside it stand
the scores of :func:`course.scoring.event_scores`, where an alert must *start* in the window and
repeats are not hits, and the share of time in alert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.field.nab.data import NabSeries
from course.field.nab.detectors import Detector
from course.scoring import alert_intervals, event_scores

MERGE = pd.Timedelta(hours=1)
_MERGE_NS = 3600 * 10**9
SHIFTS = 200
CUTS = (0.35, 0.6, 0.85)


@dataclass(frozen=True)
class _Spans:
    """Alerts and windows as nanoseconds."""

    starts: np.ndarray
    ends: np.ndarray


def score_series(series: NabSeries, flags: pd.Series) -> dict[str, float]:
    """Counts for one series.

    Parameters
    ----------
    series : NabSeries
    flags : pd.Series of bool
        On the index of ``series.values``; probation is ignored.

    Returns
    -------
    dict
        `events`, `found`, `alerts`, `hits`, `days`, `in_alert` (days flagged), and by onset
        `found_at_onset`, `false_at_onset`.

    Raises
    ------
    ValueError
        If the flags are not boolean on the index of the series.
    """
    scored = _scored(series, flags)
    windows = _spans(series.windows)
    overlap = _overlap(_spans(alert_intervals(scored, merge=MERGE)), windows)
    strict = event_scores(scored, series.windows, merge=MERGE, observed=series.observed)
    days = series.observed / pd.Timedelta(days=1)
    return {
        "events": len(series.windows),
        "found": int(overlap.any(axis=1).sum()),
        "alerts": overlap.shape[1],
        "hits": int(overlap.any(axis=0).sum()),
        "days": days,
        "in_alert": float(scored.mean()) * days,
        "found_at_onset": strict.tp_events,
        "false_at_onset": strict.false_alarms,
    }


def chance_series(series: NabSeries, flags: pd.Series, *, shifts: int = SHIFTS) -> dict[str, float]:
    """Expected counts of the same alerts at random times.

    The flags of the scored part are rotated by `shifts` evenly spaced offsets, so number, length
    and clustering of the alerts stay as they are and only their place is left to chance.

    Returns
    -------
    dict
        `events`, `found`, `alerts`, `hits`, `days`: means over the rotations.
    """
    scored = _scored(series, flags)
    windows = _spans(series.windows)
    times = scored.index.as_unit("ns").asi8
    flagged = scored.to_numpy()
    offsets = np.unique(np.linspace(0, len(flagged), shifts, endpoint=False).astype(int))
    totals = np.zeros(3)
    for offset in offsets:
        overlap = _overlap(_merge(times[np.roll(flagged, offset)]), windows)
        totals += overlap.any(axis=1).sum(), overlap.shape[1], overlap.any(axis=0).sum()
    found, alerts, hits = totals / len(offsets)
    return {
        "events": len(series.windows),
        "found": found,
        "alerts": alerts,
        "hits": hits,
        "days": series.observed / pd.Timedelta(days=1),
    }


def quick_counts(series: NabSeries, flags: pd.Series) -> tuple[int, int, int]:
    """Windows found, alerts and hits of one series, for tuning over many settings."""
    scored = series.values.index >= series.probation_end
    times = series.values.index.as_unit("ns").asi8[scored & flags.to_numpy()]
    overlap = _overlap(_merge(times), _spans(series.windows))
    return int(overlap.any(axis=1).sum()), overlap.shape[1], int(overlap.any(axis=0).sum())


def pooled(counts: pd.DataFrame) -> dict[str, float]:
    """Recall, precision and alerts per series and day from counts by series."""
    total = counts.sum(numeric_only=True)
    return {
        "recall": _ratio(total["found"], total["events"]),
        "precision": _ratio(total["hits"], total["alerts"]),
        "alerts_per_series_day": _ratio(total["alerts"], total["days"]),
    }


def looks_ahead(
    detector: Detector,
    series: NabSeries,
    *,
    whole: pd.Series | None = None,
    cuts: Sequence[float] = CUTS,
) -> bool:
    """Whether a detector's past flags change when the future is cut off.

    The detector runs on prefixes (by default 35 %, 60 % and 85 % of the series) and its flags
    there are compared with those on the whole, which may be given. A causal detector gives the
    same.
    """
    whole = detector(series.values) if whole is None else whole
    for cut in cuts:
        rows = int(cut * len(series.values))
        part = detector(series.values.iloc[:rows])
        if not np.array_equal(np.asarray(part, bool), np.asarray(whole, bool)[:rows]):
            return True
    return False


def _scored(series: NabSeries, flags: pd.Series) -> pd.Series:
    if not isinstance(flags, pd.Series) or not flags.index.equals(series.values.index):
        found = f"{type(flags).__name__} of {len(flags)}" if hasattr(flags, "__len__") else flags
        raise ValueError(
            f"{series.short}: the detector must return a Series of bool on the index of the values "
            f"({len(series.values)} rows), found {found}"
        )
    if flags.dtype != bool:
        raise ValueError(f"{series.short}: flags must be bool, found dtype {flags.dtype}")
    return flags[flags.index >= series.probation_end]


def _spans(intervals: pd.DataFrame) -> _Spans:
    return _Spans(
        *(
            pd.DatetimeIndex(pd.to_datetime(intervals[side], utc=True)).as_unit("ns").asi8
            for side in ("start", "end")
        )
    )


def _merge(times: np.ndarray) -> _Spans:
    gaps = np.flatnonzero(np.diff(times) > _MERGE_NS)
    if not len(times):
        return _Spans(times, times)
    return _Spans(times[np.r_[0, gaps + 1]], times[np.r_[gaps, len(times) - 1]])


def _overlap(alerts: _Spans, windows: _Spans) -> np.ndarray:
    """Shape (windows, alerts): whether they overlap."""
    return (alerts.starts[None, :] <= windows.ends[:, None]) & (
        alerts.ends[None, :] >= windows.starts[:, None]
    )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")

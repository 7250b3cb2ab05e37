"""Scores by event: one incident counts once, however long it lasts and however often it pages.

A detector that is used in operations opens alerts, and an operator answers incidents. So the
unit here is the alert and the event, not the sample:

- an alert *hits* an event if it **starts** in ``[event.start, event.end + grace]``. An alarm that
  was already on when the event began tells nobody that something has changed;
- the first alert that hits an event detects it; later ones are *repeats*: neither a false alarm
  nor a second hit;
- every other alert is a *false alarm*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from course.scoring._inputs import (
    IntArray,
    as_flags,
    as_intervals,
    as_timedelta,
    check_times,
    nanoseconds,
)

_DAY = pd.Timedelta(days=1)

Duration: TypeAlias = str | pd.Timedelta
Intervals: TypeAlias = pd.DataFrame | Iterable[tuple[Any, Any]]


@dataclass(frozen=True, eq=False)
class EventScores:
    """What a detector did to a set of events.

    Counts are stored, ratios are derived from them, so that cases can be pooled by adding. A
    ratio with nothing to divide by is ``nan``: a quiet day has no recall, a silent detector no
    precision.

    Attributes
    ----------
    tp_events : int
        Events hit by at least one alert.
    n_events : int
        All events.
    false_alarms : int
        Alerts that hit no event.
    repeats : int
        Alerts that hit an event which an earlier alert had already detected.
    delays : pd.Series
        Start of the first hit minus start of the event, as Timedelta; ``NaT`` for a missed
        event. Its index is that of the events.
    observed : pd.Timedelta
        How long the detector was watched; ``NaT`` if not known.
    """

    tp_events: int
    n_events: int
    false_alarms: int
    repeats: int = 0
    delays: pd.Series = field(default_factory=lambda: pd.Series(dtype="timedelta64[ns]"))
    observed: pd.Timedelta = pd.NaT  # type: ignore[assignment]

    @property
    def n_alerts(self) -> int:
        """All alerts: hits, repeats and false alarms."""
        return self.tp_events + self.repeats + self.false_alarms

    @property
    def recall(self) -> float:
        """Detected events / events; ``nan`` without events."""
        return _ratio(self.tp_events, self.n_events)

    @property
    def precision(self) -> float:
        """First hits / (first hits + false alarms); repeats count in neither; ``nan`` for 0/0."""
        return _ratio(self.tp_events, self.tp_events + self.false_alarms)

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + missed + false alarms); ``nan`` with neither events nor false alarms."""
        return _ratio(2 * self.tp_events, self.tp_events + self.n_events + self.false_alarms)

    @property
    def median_delay(self) -> pd.Timedelta:
        """Median over the *detected* events; ``NaT`` if there are none. Read it with recall."""
        return pd.Timedelta(self.delays.median())

    @property
    def false_alarms_per_day(self) -> float:
        """False alarms for each 24 hours watched; ``nan`` if `observed` is not known."""
        return self._per_day(self.false_alarms)

    @property
    def alerts_per_day(self) -> float:
        """Alerts of every kind for each 24 hours watched; ``nan`` if `observed` is not known."""
        return self._per_day(self.n_alerts)

    def as_dict(self) -> dict[str, Any]:
        """Give the numbers, without the single delays, as a row for a table."""
        names = (
            "tp_events n_events n_alerts false_alarms repeats recall precision f1 "
            "median_delay false_alarms_per_day alerts_per_day observed"
        )
        return {name: getattr(self, name) for name in names.split()}

    def _per_day(self, count: int) -> float:
        if pd.isna(self.observed) or self.observed <= pd.Timedelta(0):
            return float("nan")
        return count / (self.observed / _DAY)

    def __repr__(self) -> str:
        return (
            f"EventScores(recall={self.recall:.3f} [{self.tp_events}/{self.n_events}], "
            f"precision={self.precision:.3f}, f1={self.f1:.3f}, "
            f"median_delay={self.median_delay}, false_alarms={self.false_alarms}, "
            f"false_alarms_per_day={self.false_alarms_per_day:.3g})"
        )


def alert_intervals(flags: pd.Series, *, merge: Duration = "10min") -> pd.DataFrame:
    """Turn flagged samples into alerts: flagged samples at most `merge` apart are one alert.

    Parameters
    ----------
    flags : pd.Series
        True where the detector fires; UTC DatetimeIndex, sorted, without duplicates.
    merge : duration
        Largest gap within one alert, between the times of two flagged samples. With ``"0min"``
        every flagged sample is an alert of its own.

    Returns
    -------
    pd.DataFrame
        Columns `start` and `end` (UTC): first and last flagged sample of each alert, in order.

    Raises
    ------
    TypeError, ValueError
        If the times are naive, unsorted or doubled, or a flag is missing or not true/false.

    Examples
    --------
    >>> times = pd.date_range("2024-05-01", periods=30, freq="1min", tz="UTC")
    >>> flags = pd.Series(False, index=times)
    >>> flags.iloc[[3, 4, 12, 28]] = True
    >>> alert_intervals(flags, merge="10min")["start"].dt.strftime("%H:%M").tolist()
    ['00:03', '00:28']
    """
    times, fired = _flag_samples(flags)
    gap = as_timedelta(merge, "merge").value
    starts, ends = _merge(times[fired], times[fired], gap)
    return _frame(starts, ends)


def merge_intervals(intervals: Intervals, *, gap: Duration = "0min") -> pd.DataFrame:
    """Join intervals that overlap or lie at most `gap` apart.

    Parameters
    ----------
    intervals : pd.DataFrame or pairs
        Columns `start` and `end` (UTC), or pairs (start, end), in any order.
    gap : duration
        Largest gap that is closed, from an end to the next start.

    Returns
    -------
    pd.DataFrame
        Columns `start` and `end` (UTC), sorted, apart by more than `gap`.

    Examples
    --------
    >>> day = "2024-05-01 {}+00:00".format
    >>> joined = merge_intervals([(day("10:00"), day("10:20")), (day("10:15"), day("10:40"))])
    >>> joined["end"].dt.strftime("%H:%M").tolist()
    ['10:40']
    """
    starts, ends, _ = as_intervals(intervals, "intervals")
    return _frame(*_merge(starts, ends, as_timedelta(gap, "gap").value))


def event_scores(
    flags_or_alerts: pd.Series | Intervals,
    events: Intervals,
    *,
    grace: Duration = "0min",
    merge: Duration = "10min",
    observed: Duration | None = None,
) -> EventScores:
    """Score a detector by events, with hits by the start of the alert.

    An alert belongs to the last event that began at or before the alert's start, and hits it if
    the alert starts no later than the event's end plus `grace`.

    Parameters
    ----------
    flags_or_alerts : pd.Series, pd.DataFrame or pairs
        Flagged samples (see :func:`alert_intervals`), or alerts as `start` and `end` (UTC).
        Alerts that overlap or lie at most `merge` apart are one alert.
    events : pd.DataFrame or pairs
        Columns `start` and `end` (UTC), or pairs; both ends belong to the event. Events must not
        overlap: :func:`merge_intervals` joins those that do.
    grace : duration
        How long after an event's end an alert may still start and count as a hit.
    merge : duration
        See :func:`alert_intervals`.
    observed : duration, optional
        How long the detector was watched. By default samples × their median distance for flags;
        for alerts it is not known, and the rates per day are ``nan``.

    Returns
    -------
    EventScores
        Without alerts precision is ``nan`` and recall 0; without events recall is ``nan``; f1 is
        0 in both cases and ``nan`` only if there are neither alerts nor events.

    Raises
    ------
    TypeError, ValueError
        On missing, naive, unsorted or doubled times, overlapping events, or no samples at all.

    Examples
    --------
    >>> times = pd.date_range("2024-05-01", periods=1440, freq="1min", tz="UTC")
    >>> flags = pd.Series(False, index=times)
    >>> flags.iloc[605:620] = True                       # five minutes into the event
    >>> flags.iloc[900] = True                           # and once for nothing
    >>> scores = event_scores(flags, [(times[600], times[630])])
    >>> scores.recall, scores.precision, scores.median_delay, scores.false_alarms_per_day
    (1.0, 0.5, Timedelta('0 days 00:05:00'), 1.0)
    """
    gap = as_timedelta(merge, "merge").value
    if isinstance(flags_or_alerts, pd.Series):
        times, fired = _flag_samples(flags_or_alerts)
        alerts, _ = _merge(times[fired], times[fired], gap)
        watched = _watched(times)
    else:
        alert_starts, alert_ends, _ = as_intervals(flags_or_alerts, "alerts")
        alerts, _ = _merge(alert_starts, alert_ends, gap)
        watched = pd.NaT  # type: ignore[assignment]
    if observed is not None:
        watched = as_timedelta(observed, "observed")
    starts, ends, labels = as_intervals(events, "events")
    order = np.argsort(starts, kind="stable")
    starts, ends, labels = starts[order], ends[order], labels[order]
    _refuse_overlap(starts, ends)
    return _count(alerts, starts, ends, labels, as_timedelta(grace, "grace").value, watched)


def pool_scores(scores: Sequence[EventScores]) -> EventScores:
    """Add up the counts of several cases (a micro-average: every event weighs the same).

    Parameters
    ----------
    scores : sequence of EventScores
        One for each case, such as a series or a day.

    Returns
    -------
    EventScores
        Sums of the counts; delays of all cases, indexed by (case, event); `observed` is the sum
        of times watched, and not known if that of any case is not.

    Raises
    ------
    ValueError
        If there are no cases.

    Examples
    --------
    >>> one = EventScores(tp_events=1, n_events=1, false_alarms=0)
    >>> two = EventScores(tp_events=0, n_events=3, false_alarms=1)
    >>> pool_scores([one, two]).recall
    0.25
    """
    cases = list(scores)
    if not cases:
        raise ValueError("there are no scores to pool. Score at least one case first.")
    delays = pd.concat([case.delays for case in cases], keys=range(len(cases)))
    delays.index = delays.index.set_names("case", level=0)
    return EventScores(
        tp_events=sum(case.tp_events for case in cases),
        n_events=sum(case.n_events for case in cases),
        false_alarms=sum(case.false_alarms for case in cases),
        repeats=sum(case.repeats for case in cases),
        delays=delays,
        observed=sum((case.observed for case in cases), start=pd.Timedelta(0)),
    )


def _count(
    alerts: IntArray,
    starts: IntArray,
    ends: IntArray,
    labels: pd.Index,
    grace: int,
    watched: pd.Timedelta,
) -> EventScores:
    event_of = np.searchsorted(starts, alerts, side="right") - 1
    hits = event_of >= 0
    hits[hits] = alerts[hits] <= ends[event_of[hits]] + grace
    detected, first = np.unique(event_of[hits], return_index=True)
    delays = np.full(len(starts), np.iinfo(np.int64).min)  # NaT
    delays[detected] = alerts[hits][first] - starts[detected]
    return EventScores(
        tp_events=len(detected),
        n_events=len(starts),
        false_alarms=int((~hits).sum()),
        repeats=int(hits.sum()) - len(detected),
        delays=pd.Series(delays.view("timedelta64[ns]"), index=labels, name="delay"),
        observed=watched,
    )


def _flag_samples(flags: Any) -> tuple[IntArray, np.ndarray]:
    if not isinstance(flags, pd.Series):
        raise TypeError(f"flags must be a pandas Series, found {type(flags).__name__}.")
    if flags.empty:
        raise ValueError("flags has no samples: nothing was watched. Give at least one sample.")
    times = check_times(flags.index, "flags")
    return nanoseconds(times), as_flags(flags, "flags")


def _watched(times: IntArray) -> pd.Timedelta:
    """Give samples × median distance; one sample alone has no distance to go by."""
    if len(times) < 2:
        return pd.NaT  # type: ignore[return-value]
    return pd.Timedelta(len(times) * int(np.median(np.diff(times))), unit="ns")


def _merge(starts: IntArray, ends: IntArray, gap: int) -> tuple[IntArray, IntArray]:
    if len(starts) == 0:
        return starts, ends
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(ends[order])
    opens = np.flatnonzero(np.r_[True, starts[1:] - reach[:-1] > gap])
    return starts[opens], reach[np.r_[opens[1:] - 1, len(starts) - 1]]


def _refuse_overlap(starts: IntArray, ends: IntArray) -> None:
    overlap = starts[1:] <= ends[:-1]
    if overlap.any():
        row = int(np.argmax(overlap))
        raise ValueError(
            f"events overlap: one ends at {pd.Timestamp(ends[row], tz='UTC')} and the next "
            f"starts at {pd.Timestamp(starts[row + 1], tz='UTC')}. "
            "Join them with merge_intervals(events) first."
        )


def _frame(starts: IntArray, ends: IntArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "start": pd.DatetimeIndex(starts.view("datetime64[ns]"), tz="UTC"),
            "end": pd.DatetimeIndex(ends.view("datetime64[ns]"), tz="UTC"),
        }
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")

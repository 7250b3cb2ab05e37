"""The last minutes of the shop: of the testbed that runs here, or of its recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course import telemetry
from course.errors import CourseError

RECORDING = "testbed-incidents"
_TIMES = {"logs": "time", "traces": "start", "alerts": "time", "events": "time"}


@dataclass(frozen=True)
class View:
    """What was seen in some minutes.

    Attributes
    ----------
    source : str
        Where it comes from: the running testbed and its monitoring, or the recording.
    metrics : DataFrame
        UTC index, columns (service, metric), as in every set of the shop.
    logs, traces, alerts, events : DataFrame
        As in the recording's data card.
    truth : DataFrame
        Faults of these minutes: start, end, kind, root_service, severity.
    """

    source: str
    metrics: pd.DataFrame
    logs: pd.DataFrame
    traces: pd.DataFrame
    alerts: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame


def recent(
    minutes: float = 10.0, *, replay: str = "slow_query", folder: Path | None = None
) -> View:
    """Look at the last minutes of the running testbed, else at a fault of its recording.

    Parameters
    ----------
    minutes : float
        How far back.
    replay : str
        Kind of the fault that is shown from the recording where no testbed runs: its first
        strike stands in the middle.
    folder : Path, optional
        Run folder of the testbed; the default is the one of ``course testbed up``.

    Returns
    -------
    View

    Raises
    ------
    CourseError
        No testbed runs, and the recording has no such fault.

    Examples
    --------
    >>> view = recent(minutes=8, replay="bad_deploy")
    >>> len(view.metrics) > 20
    True
    """
    try:
        from course.testbed import rundir
    except ImportError:  # no testbed on Windows, which has no fcntl
        return _replayed(minutes, replay)
    place = folder or rundir.default_folder()
    return _live(place, minutes) if rundir.is_running(place) else _replayed(minutes, replay)


def _live(folder: Path, minutes: float) -> View:
    from course.testbed import gather, rundir

    state = rundir.read_state(folder)
    end = pd.Timestamp.now("UTC").floor("s")
    started = pd.Timestamp(state["started"], unit="s", tz="UTC").ceil("s")
    begin = max(end - pd.Timedelta(minutes=minutes), started)
    interval = float(state["interval"])
    parts = gather.seen(state, folder, begin, end, interval, step=interval)
    return _view(
        f"the testbed, live; monitoring: {gather.monitoring_name(state)}", parts, begin, end
    )


def _replayed(minutes: float, kind: str) -> View:
    parts = {name: telemetry.load(RECORDING, name) for name in ("metrics", "truth", *_TIMES)}
    strikes = parts["truth"].loc[parts["truth"]["kind"] == kind, "start"]
    if strikes.empty:
        known = ", ".join(sorted(parts["truth"]["kind"].unique()))
        raise CourseError(
            f"no testbed runs, and the recording has no {kind!r} to show instead; it has {known}"
        )
    half = pd.Timedelta(minutes=minutes) / 2
    middle = strikes.iloc[0]
    return _view(f"the recording {RECORDING}, replayed", parts, middle - half, middle + half)


def _view(
    source: str, parts: dict[str, pd.DataFrame], begin: pd.Timestamp, end: pd.Timestamp
) -> View:
    truth = parts["truth"]
    seen = {
        name: parts[name][parts[name][column].between(begin, end)].reset_index(drop=True)
        for name, column in _TIMES.items()
    }
    return View(
        source,
        parts["metrics"].loc[begin:end].astype("float64"),
        truth=truth[(truth["start"] <= end) & (truth["end"] >= begin)].reset_index(drop=True),
        **seen,
    )

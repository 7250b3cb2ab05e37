"""Storms of alerts: cascades along the call graph, flapping, duplicates, noise; and their truth.

A day of a noisy on-call rota at once, without simulating its metrics: an incident raises alerts at
its root and, minutes later, at services that wait for it; checks flap; two monitors report the same
alert; and checks that nobody needs go off all day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from course.shop import seeds
from course.shop.draw import CALENDAR
from course.shop.topology import TOPOLOGY

#: Columns of a storm's alerts.
COLUMNS = ["start", "end", "service", "alertname", "severity", "source"]
# Incidents and noise raise the same checks, so that no name gives either away.
_NAMES = ("CertExpiring", "CpuHigh", "DiskFilling", "ErrorsHigh", "LatencyHigh", "ProbeFlaky",
          "QueueLong", "SaturationHigh", "ThroughputLow")  # fmt: skip
_DAY = 1440
# start, end (minutes), service, alertname, severity, source, incident
_Row = tuple[float, float, str, str, str, str, int]
_BESIDE, _BESIDE_MIN = 0.45, 3.0  # share that runs beside another one; how long after it at most
_QUIET_MIN = 40.0  # between incidents that are not meant to run side by side
# Noise keeps away from an incident's services, and those next to them, around its first alert.
_BEFORE_MIN, _AFTER_MIN = 25.0, 15.0
_LASTS_MIN = (20.0, 80.0)  # after an incident's begin, when its alerts end
_LATEST_MIN = 2.5  # by which an alert may come later than its service is reached


@dataclass(frozen=True)
class Storm:
    """Alerts of a day, and what was behind them.

    Attributes
    ----------
    alerts : pd.DataFrame
        One row an alert, by start: start and end (UTC, whole seconds, start < end), service,
        alertname, severity ("page" or "ticket"), source (the monitor).
    incident : np.ndarray of int
        Per alert the row of `incidents` that caused it, -1 for noise. Kept from students.
    incidents : pd.DataFrame
        start (the first alert), end, root.
    """

    alerts: pd.DataFrame
    incident: np.ndarray
    incidents: pd.DataFrame


def call_graph() -> pd.DataFrame:
    """Who waits for whom: one row a pair, columns caller and callee.

    Examples
    --------
    >>> graph = call_graph()
    >>> ["checkout", "payment"] in graph.to_numpy().tolist()
    True
    """
    names = [s.name for s in TOPOLOGY.services]
    pairs = [(c.caller, c.callee) for c in TOPOLOGY.calls if c.waits]
    return pd.DataFrame(sorted(pairs, key=lambda p: (names.index(p[0]), names.index(p[1]))),
                        columns=["caller", "callee"])  # fmt: skip


def draw_storm(
    seed: int, *, incidents: tuple[int, int] = (4, 7), noise: tuple[int, int] = (25, 45)
) -> Storm:
    """Draw one day.

    Parameters
    ----------
    seed : int
        Decides everything.
    incidents, noise : (int, int)
        Least and most incidents and noisy checks; both inclusive.

    Returns
    -------
    Storm
        Each incident raises alerts at two services or more of which one waits for another; the
        first two such come within 6 minutes. Many begin within minutes of another one, at services
        that do not call each other's; the others begin 40 minutes after all that was. A noisy
        check goes off once or flaps, at any service and time, but for this: none fires at or next
        to an incident's services from 25 minutes before its first alert to 15 after it, and none
        stands next to two incidents that run at its time.

    Examples
    --------
    >>> storm = draw_storm(1)
    >>> list(storm.alerts.columns) == COLUMNS, len(storm.alerts) == len(storm.incident)
    (True, True)
    """
    rng = seeds.stream(seed, seeds.DRAW, 5)
    rows: list[_Row] = []
    roots: list[str] = []
    clock, previous = float(rng.uniform(10, 120)), frozenset[str]()
    for number in range(int(rng.integers(incidents[0], incidents[1] + 1))):
        beside = number > 0 and rng.random() < _BESIDE
        affected = _cascade(rng, previous if beside else frozenset())
        beside = beside and bool(affected)
        affected = affected or _cascade(rng, frozenset())
        if not beside:
            clock = max((r[1] for r in rows), default=clock - _QUIET_MIN) + _QUIET_MIN
            clock += float(rng.exponential(60))
        begin = clock + float(rng.uniform(0, _BESIDE_MIN)) * beside
        rows += _alerts_of(rng, affected, begin, number)
        roots.append(next(iter(affected)))
        previous = previous | frozenset(affected) if beside else frozenset(affected)
        clock = begin
    last = max(_DAY, max((r[1] for r in rows), default=0.0))
    for _ in range(int(rng.integers(noise[0], noise[1] + 1))):
        noisy = _noise(rng, last)
        if not (_bridges(noisy, rows) or _at_the_start(noisy, rows)):
            rows += noisy
    return _storm(rng, rows, roots)


def _cascade(rng: np.random.Generator, taken: frozenset[str]) -> dict[str, int]:
    """Services that an incident reaches, root first, each with its distance from it."""
    callers: dict[str, list[str]] = {s.name: [] for s in TOPOLOGY.services}
    for call in TOPOLOGY.calls:
        if call.waits and call.caller != "gateway":
            callers[call.callee].append(call.caller)
    near = _neighbours()
    forbidden = {name for each in taken for name in near[each]}
    free = [name for name, above in callers.items()
            if name not in forbidden and any(c not in forbidden for c in above)]  # fmt: skip
    if not free:  # everything is next to what runs already
        return {}
    root = free[int(rng.integers(len(free)))]
    reached, frontier = {root: 0}, [root]
    for distance in (1, 2):
        above = [c for name in frontier for c in callers[name]
                 if c not in reached and c not in forbidden]  # fmt: skip
        above = list(dict.fromkeys(above))
        kept = [c for c in above if rng.random() < 0.7]
        if distance == 1 and not kept:
            kept = [above[int(rng.integers(len(above)))]]
        reached |= dict.fromkeys(kept, distance)
        frontier = kept
    return reached


def _neighbours() -> dict[str, set[str]]:
    """Each service with itself and those that it waits for or that wait for it."""
    near: dict[str, set[str]] = {s.name: {s.name} for s in TOPOLOGY.services}
    for call in TOPOLOGY.calls:
        if call.waits:
            near[call.callee].add(call.caller)
            near[call.caller].add(call.callee)
    return near


def _bridges(noise: list[_Row], rows: list[_Row]) -> bool:
    """Whether noise stands between two incidents that run at its time, next to both."""
    start, stop = min(row[0] for row in noise), max(row[1] for row in noise)
    near = _neighbours()[noise[0][2]]
    touched = {row[6] for row in rows if row[6] >= 0 and row[2] in near
               and row[0] - 25 < stop and start < row[1] + 25}  # fmt: skip
    return len(touched) > 1


def _at_the_start(noise: list[_Row], rows: list[_Row]) -> bool:
    """Whether noise stands at or next to an incident around its first alert."""
    near = _neighbours()[noise[0][2]]
    first: dict[int, float] = {}
    for row in rows:
        if row[6] >= 0:
            first[row[6]] = min(row[0], first.get(row[6], row[0]))
    starts = {first[row[6]] for row in rows if row[6] >= 0 and row[2] in near}
    return any(
        begin - _BEFORE_MIN < one[0] < begin + _AFTER_MIN for begin in starts for one in noise
    )


def _alerts_of(
    rng: np.random.Generator, affected: dict[str, int], begin: float, number: int
) -> list[_Row]:
    rows = []
    for service, distance in affected.items():
        names = rng.choice(_NAMES, int(rng.integers(1, 4)), replace=False)
        for name in names:
            start = begin + distance * float(rng.uniform(1, 3))
            start += min(float(rng.exponential(1.0)), _LATEST_MIN)
            severity = "page" if rng.random() < 0.6 else "ticket"
            stop = begin + float(rng.uniform(*_LASTS_MIN))  # each check clears in its own time
            rows += _fired(rng, start, stop, service, str(name), severity, number, 0.4)
    return rows


def _noise(rng: np.random.Generator, last: float) -> list[_Row]:
    service = TOPOLOGY.services[int(rng.integers(len(TOPOLOGY.services)))].name
    severity = "page" if rng.random() < 0.5 else "ticket"
    start = float(rng.uniform(0, last))
    stop = start + float(rng.uniform(2, 40))
    return _fired(rng, start, stop, service, str(rng.choice(_NAMES)), severity, -1, 0.4)


def _fired(
    rng: np.random.Generator, start: float, stop: float, service: str, name: str, severity: str,
    number: int, flapping: float,
) -> list[_Row]:  # fmt: skip
    """One alert, or several short ones where the check flaps, perhaps from two monitors."""
    spans = [(start, stop)]
    if rng.random() < flapping and stop - start > 6:
        edges = np.sort(rng.uniform(start, stop, 2 * int(rng.integers(1, 5)) + 1))
        edges = np.concatenate(([start], edges))
        spans = list(zip(edges[::2], edges[1::2], strict=True))
    rows = [(a, max(b, a + 0.2), service, name, severity, "blackbox", number) for a, b in spans]
    if rng.random() < 0.4:
        rows += [
            (a + float(rng.uniform(0, 1)), b + 1, service, name, severity, "whitebox", number)
            for a, b, *_ in list(rows)
        ]
    return rows


def _storm(
    rng: np.random.Generator, rows: list[_Row],
    roots: list[str],
) -> Storm:  # fmt: skip
    day = CALENDAR[0] + pd.Timedelta(minutes=int(rng.integers(CALENDAR[1] * _DAY)))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "incident"])
    for column in ("start", "end"):
        table[column] = day + pd.to_timedelta((table[column] * 60).round().astype("int64"), "s")
    table["end"] = table["end"].clip(lower=table["start"] + pd.Timedelta("1s"))
    table = table.sort_values(["start", "service", "alertname", "source"], ignore_index=True)
    real = table[table["incident"] >= 0].groupby("incident")
    known = pd.DataFrame({"start": real["start"].min(), "end": real["end"].max(), "root": roots})
    return Storm(table[COLUMNS], table["incident"].to_numpy(), known)


def draw_alert_history(
    seed: int, n: int = 1500, habits: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Draw past alerts with what is known when they fire, and whether somebody had to act.

    Parameters
    ----------
    seed : int
        Decides the alerts.
    n : int
    habits : int
        Decides which checks of the shop are good ones: histories of one number are alike.

    Returns
    -------
    alerts : pd.DataFrame
        alertname, service, hour (0 to 23), services_alerting (within ten minutes), user_errors
        (share of requests, NaN where no request was counted), fired_last_day (times that this
        check fired), users (whom an incident here would hit).
    actionable : np.ndarray of bool
        About one in six.

    Examples
    --------
    >>> alerts, actionable = draw_alert_history(1, 200)
    >>> len(alerts), actionable.dtype.name
    (200, 'bool')
    """
    alerts, actionable, _ = _draw_history(seed, n, habits)
    return alerts, actionable


def alert_chances(seed: int, n: int = 1500, habits: int = 0) -> np.ndarray:
    """Return how likely each alert of `draw_alert_history` was to be actionable: what no one knows.

    Examples
    --------
    >>> chances = alert_chances(1, 200)
    >>> bool(((chances > 0) & (chances < 1)).all())
    True
    """
    return _draw_history(seed, n, habits)[2]


def _draw_history(seed: int, n: int, habits: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    traits = seeds.stream(habits, seeds.DRAW, 6)
    worth = dict(zip(_NAMES, traits.normal(0, 1.2, len(_NAMES)), strict=True))
    # What speaks for an alert in one team speaks against it in another, more or less loudly.
    weights = np.array([1.1, 1.6, 0.7]) * traits.uniform(0.7, 1.3, 3) * traits.choice([-1, 1], 3)
    usual = _log_odds(_alerts_of_a_team(traits, 4000), worth, weights)
    rng = seeds.stream(seed, seeds.DRAW, 7)
    alerts = _alerts_of_a_team(rng, n)
    chances = expit(_log_odds(alerts, worth, weights) + _level(usual))
    actionable = rng.random(n) < chances
    alerts.loc[rng.random(n) < 0.1, "user_errors"] = np.nan
    return alerts, actionable, chances


def _alerts_of_a_team(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "alertname": rng.choice(list(_NAMES), n),
            "service": rng.choice([s.name for s in TOPOLOGY.services], n),
            "hour": rng.integers(0, 24, n),
            "services_alerting": 1 + rng.poisson(0.8, n),
            "user_errors": np.round(rng.beta(0.5, 25, n), 5),
            "fired_last_day": rng.poisson(rng.exponential(4, n)),
            "users": np.round(np.exp(rng.normal(6, 1.2, n))).astype(int),
        }
    )


def _log_odds(alerts: pd.DataFrame, worth: dict[str, float], weights: np.ndarray) -> np.ndarray:
    breadth = np.minimum(alerts["services_alerting"] - 1, 3)
    errors = np.log1p(alerts["user_errors"] / 0.01)
    repeats = np.log1p(alerts["fired_last_day"])
    told = np.column_stack([breadth, errors, repeats]) @ weights
    return np.asarray(alerts["alertname"].map(worth) + told, dtype=float)


def _level(log_odds: np.ndarray) -> float:
    """What to add to log odds so that one alert in six is actionable."""
    return float(brentq(lambda level: expit(log_odds + level).mean() - 1 / 6, -30, 30))

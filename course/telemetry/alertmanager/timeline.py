"""Alerts through the tree in simulated time: group_wait, group_interval, repeat_interval."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from course.telemetry.alertmanager.config import Config, Route
from course.telemetry.alertmanager.routing import Labels, group_labels, inhibited, match_routes

_MS = pd.Timedelta(milliseconds=1)


@dataclass(frozen=True)
class TimedAlert:
    """An alert that fires from ``start`` up to, not including, ``end`` (UTC)."""

    labels: dict[str, str]
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True)
class Notification:
    """One message to a receiver.

    Attributes
    ----------
    time : pd.Timestamp
    receiver : str
    group : dict of str
        Labels of the group.
    firing, resolved : tuple of int
        Positions of the alerts that it lists, ascending.
    """

    time: pd.Timestamp
    receiver: str
    group: dict[str, str]
    firing: tuple[int, ...]
    resolved: tuple[int, ...]


@dataclass
class _Group:
    route: Route
    labels: dict[str, str]
    members: set[int] = field(default_factory=set)
    told: frozenset[int] | None = None  # what the last message said is firing
    told_resolved: frozenset[int] = frozenset()
    sent: int = 0


def notify(
    config: Config, alerts: Sequence[TimedAlert], *, send_resolved: bool = False
) -> list[Notification]:
    """Return the messages that Alertmanager would send, in order of time.

    A new group waits ``group_wait`` and is then looked at every ``group_interval``. A message goes
    out if an alert fires that the last one did not list, if ``repeat_interval`` has passed, or
    (with ``send_resolved``) if one has resolved (``notify.DedupStage`` of Alertmanager 0.25).
    Alerts that are inhibited or whose route is muted at that moment are left out. Resolved alerts
    leave their group once it has been looked at, and a group without alerts ends.

    Parameters
    ----------
    alerts : sequence of TimedAlert
        An alert that fires twice is two entries with the same labels; they may not overlap.

    Examples
    --------
    >>> from course.telemetry.alertmanager import load_config
    >>> config = load_config("{route: {receiver: a, group_wait: 1m}, receivers: [{name: a}]}")
    >>> at = pd.Timestamp("2026-03-02T09:00Z")
    >>> burst = [TimedAlert({"host": str(n)}, at, at + pd.Timedelta("20min")) for n in range(3)]
    >>> [(str(n.time.time()), n.firing) for n in notify(config, burst)]
    [('09:01:00', (0, 1, 2))]
    """
    if not alerts:
        return []
    origin = min(alert.start for alert in alerts)
    starts = [round((alert.start - origin) / _MS) for alert in alerts]
    ends = [round((alert.end - origin) / _MS) for alert in alerts]
    queue: list[tuple[int, int, int, object]] = []
    for number in sorted(range(len(alerts)), key=lambda n: (starts[n], n)):
        heapq.heappush(queue, (starts[number], 0, number, None))
    groups: dict[object, _Group] = {}
    sent: list[Notification] = []
    serial = len(alerts)
    while queue:
        now, stage, number, key = heapq.heappop(queue)
        if stage == 0:
            labels = alerts[number].labels
            for route in match_routes(config, labels):
                named = group_labels(route, labels)
                key = (route.place, frozenset(named.items()))
                if key not in groups:
                    groups[key] = _Group(route, named)
                    serial += 1
                    heapq.heappush(queue, (now + route.group_wait, 1, serial, key))
                groups[key].members.add(number)
            continue
        group = groups[key]
        firing_now = [
            a.labels for a, s, e in zip(alerts, starts, ends, strict=True) if s <= now < e
        ]
        time = origin + now * _MS
        message = _flush(config, group, alerts, ends, firing_now, now, time, send_resolved)
        if message is not None:
            sent.append(message)
        group.members = {n for n in group.members if now < ends[n]}
        if group.members:
            serial += 1
            heapq.heappush(queue, (now + group.route.group_interval, 1, serial, key))
        else:
            del groups[key]
    return sent


def _flush(
    config: Config, group: _Group, alerts: Sequence[TimedAlert], ends: list[int],
    firing_now: Sequence[Labels], now: int, time: pd.Timestamp, send_resolved: bool,
) -> Notification | None:  # fmt: skip
    route = group.route
    if route.active and not _within(config, route.active, time):
        return None
    if _within(config, route.mute, time):
        return None
    shown = [n for n in group.members if not inhibited(config, alerts[n].labels, firing_now)]
    firing = frozenset(n for n in shown if now < ends[n])
    resolved = frozenset(n for n in shown if now >= ends[n])
    if not shown or not _due(group, firing, resolved, now, send_resolved):
        return None
    group.told, group.told_resolved, group.sent = firing, resolved, now
    if not firing and not send_resolved:
        return None
    listed = tuple(sorted(resolved)) if send_resolved else ()
    return Notification(time, route.receiver, group.labels, tuple(sorted(firing)), listed)


def _due(
    group: _Group, firing: frozenset[int], resolved: frozenset[int], now: int, send_resolved: bool
) -> bool:
    if group.told is None:
        return bool(firing)
    if not firing <= group.told:
        return True
    if not firing:
        return bool(group.told)
    if send_resolved and not resolved <= group.told_resolved:
        return True
    return group.sent < now - group.route.repeat_interval


def _within(config: Config, names: tuple[str, ...], time: pd.Timestamp) -> bool:
    return any(interval.holds(time) for name in names for interval in config.intervals[name])

"""When Alertmanager notifies whom of what, in simulated time.

A group is made by its first alert and looked at after ``group_wait``, then every ``group_interval``,
until an alert that has not ended is left in it no longer. A look sends a notification if an alert
has begun to fire since the last one, if all have ended, if some have (and the receiver wants to know),
or if the last one is older than ``repeat_interval``. What is inhibited at a look is left out of it.

In a running Alertmanager an empty group is removed within 30 s, here at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from course.telemetry.alertmanager.config import Config, Route
from course.telemetry.alertmanager.matchers import Labels

_Fingerprint = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Alert:
    """An alert that fires from `start_ms` until before `end_ms`; None: until the end of time."""

    labels: Labels
    start_ms: int
    end_ms: int | None = None

    @property
    def fingerprint(self) -> _Fingerprint:
        """What tells alerts apart: all labels."""
        return tuple(sorted(self.labels.items()))

    def fires(self, time_ms: int) -> bool:
        """Whether it fires at a time."""
        return self.start_ms <= time_ms and (self.end_ms is None or time_ms < self.end_ms)


@dataclass(frozen=True)
class Notification:
    """One message to one receiver.

    Attributes
    ----------
    time_ms : int
    receiver : str
    group : tuple of (str, str)
        Labels and values that the alerts are grouped by.
    firing, resolved : tuple of tuple of (str, str)
        Labels of the alerts in it, sorted.
    """

    time_ms: int
    receiver: str
    group: _Fingerprint
    firing: tuple[_Fingerprint, ...]
    resolved: tuple[_Fingerprint, ...]


def notifications(
    config: Config, alerts: Iterable[Alert], *, until_ms: int, send_resolved: bool = True
) -> list[Notification]:
    """Simulate what is sent.

    Parameters
    ----------
    config : Config
    alerts : iterable of Alert
        In any order; alerts of equal labels are the same alert at other times.
    until_ms : int
        Nothing after this is looked at.
    send_resolved : bool
        Whether receivers are told of ends. Where not, an end alone sends nothing.

    Returns
    -------
    list of Notification
        In order of time; at one time in the order of the tree.

    Raises
    ------
    ValueError
        An alert ends before it starts.

    Examples
    --------
    >>> from course.telemetry.alertmanager import load_config
    >>> config = load_config("route: {receiver: pager}\\nreceivers: [{name: pager}]")
    >>> sent = notifications(config, [Alert({"alertname": "Down"}, 0, 60_000)], until_ms=10**6)
    >>> [(one.time_ms, len(one.firing), len(one.resolved)) for one in sent]
    [(30000, 1, 0), (330000, 0, 1)]
    """
    known = sorted(alerts, key=lambda alert: alert.start_ms)
    for alert in known:
        if alert.end_ms is not None and alert.end_ms < alert.start_ms:
            raise ValueError(f"an alert ends at {alert.end_ms}, before its start {alert.start_ms}")
    groups: dict[tuple[int, _Fingerprint], list[Alert]] = defaultdict(list)
    nodes: dict[int, Route] = {}
    for alert in known:
        for route in config.route.match(alert.labels):
            nodes[id(route)] = route
            groups[id(route), route.group(alert.labels)].append(alert)
    mute = _Mutes(config, known)
    order = {id(route): place for place, route in enumerate(_walk(config.route))}
    sent = []
    for (node, labels), members in groups.items():
        for message in _of_group(nodes[node], labels, members, mute, until_ms, send_resolved):
            sent.append((message.time_ms, order[node], message.group, message))
    return [message for *_, message in sorted(sent, key=lambda entry: entry[:3])]


class _Mutes:
    """Says which alerts are inhibited at a time."""

    def __init__(self, config: Config, alerts: list[Alert]) -> None:
        self._config = config
        self._alerts = alerts if config.inhibit_rules else []

    def __call__(self, labels: _Fingerprint, time_ms: int) -> bool:
        firing = [alert.labels for alert in self._alerts if alert.fires(time_ms)]
        return bool(firing) and self._config.muted(dict(labels), firing)


def _of_group(
    route: Route, labels: _Fingerprint, members: list[Alert], mute: _Mutes, until_ms: int,
    send_resolved: bool,
) -> Iterable[Notification]:  # fmt: skip
    """Notifications of one group; `members` in order of their start."""
    waiting = list(members)
    held: set[_Fingerprint] = set()
    last: tuple[int, frozenset[_Fingerprint], frozenset[_Fingerprint]] | None = None
    while waiting:
        look = waiting[0].start_ms + route.group_wait_ms
        while look <= until_ms:
            held |= {alert.fingerprint for alert in waiting if alert.start_ms <= look}
            waiting = [alert for alert in waiting if alert.start_ms > look]
            on = {a.fingerprint for a in members if a.fires(look)} & held
            seen = {one for one in held if not mute(one, look)}
            firing, resolved = frozenset(seen & on), frozenset(seen - on)
            if seen and _is_due(last, firing, resolved, look, route, send_resolved):
                last = (look, firing, resolved)
                if firing or send_resolved:
                    ends = tuple(sorted(resolved)) if send_resolved else ()
                    yield Notification(look, route.receiver, labels, tuple(sorted(firing)), ends)
            held &= on
            if not held:
                break
            look += route.group_interval_ms
        if look > until_ms:
            return


def _is_due(
    last: tuple[int, frozenset[_Fingerprint], frozenset[_Fingerprint]] | None,
    firing: frozenset[_Fingerprint],
    resolved: frozenset[_Fingerprint],
    now: int,
    route: Route,
    send_resolved: bool,
) -> bool:
    """Whether a look sends something, by what the last notification said."""
    if last is None:
        return bool(firing)
    when, had_fired, had_ended = last
    if not firing <= had_fired:
        return True
    if not firing:
        return bool(had_fired)
    if send_resolved and not resolved <= had_ended:
        return True
    return when < now - route.repeat_interval_ms


def _walk(route: Route) -> Iterable[Route]:
    yield route
    for child in route.routes:
        yield from _walk(child)

"""Grouping and inhibition of alerts, as Alertmanager does them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from course.testbed.stack.rules import GROUP_BY, INHIBIT

Identity = tuple[tuple[str, str], ...]


@dataclass
class _Group:
    labels: dict[str, str]
    since: float
    told: set[Identity] = field(default_factory=set)


class Notifier:
    """Turns the alerts that fire into notifications.

    Parameters
    ----------
    send : callable
        Takes one notification in the form of Alertmanager's webhook.
    wait : float
        Seconds that a new group waits for more alerts.

    Examples
    --------
    A cause silences the symptoms; once it is over they are told.

    >>> sent = []
    >>> notifier = Notifier(sent.append, wait=0)
    >>> cause = {"alertname": "DiskFull", "role": "cause", "cause": "disk"}
    >>> symptom = {"alertname": "UsersWait", "role": "symptom", "cause": "unknown"}
    >>> notifier.update([cause, symptom], now=10)
    >>> [note["groupLabels"]["cause"] for note in sent]
    ['disk']
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], wait: float) -> None:
        self.send, self.wait = send, wait
        self._groups: dict[Identity, _Group] = {}
        self.firing: list[Mapping[str, str]] = []

    def update(self, firing: Iterable[Mapping[str, str]], now: float) -> None:
        """Take all alerts that fire now, by their labels, and send what has changed.

        Parameters
        ----------
        firing : iterable of mapping
        now : float
            Seconds, never falling.
        """
        self.firing = list(firing)
        members: dict[Identity, dict[Identity, Mapping[str, str]]] = {}
        for alert in self.firing:
            key = tuple((name, alert.get(name, "")) for name in GROUP_BY)
            members.setdefault(key, {})[tuple(sorted(alert.items()))] = alert
        for key in list(self._groups):
            if key not in members:
                self._resolve(self._groups.pop(key))
        for key, alerts in members.items():
            group = self._groups.setdefault(key, _Group(dict(key), now))
            heard = {i: a for i, a in alerts.items() if not self.inhibited(a)}
            if now - group.since < self.wait or set(heard) == group.told:
                continue
            if heard or group.told:
                self._tell(group, heard)
            group.told = set(heard)

    def inhibited(self, alert: Mapping[str, str]) -> bool:
        """Whether another alert that fires silences this one."""
        source, target = INHIBIT
        return _matches(alert, target) and any(_matches(other, source) for other in self.firing)

    def _tell(self, group: _Group, alerts: Mapping[Identity, Mapping[str, str]]) -> None:
        notes = [{"status": "firing", "labels": dict(alert)} for alert in alerts.values()]
        ended = [i for i in group.told if i not in alerts]
        notes += [{"status": "resolved", "labels": dict(identity)} for identity in ended]
        status = "firing" if alerts else "resolved"
        self.send({"status": status, "groupLabels": group.labels, "alerts": notes})

    def _resolve(self, group: _Group) -> None:
        if group.told:
            self._tell(group, {})


def _matches(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())

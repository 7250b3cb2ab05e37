"""Where alerts go, how they are grouped, which of them are inhibited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from course.telemetry.alertmanager.config import Config, Inhibition, Route
from course.telemetry.alertmanager.matchers import Matcher

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """Alerts that one route sends together.

    Attributes
    ----------
    receiver : str
    labels : dict of str
        Those labels of ``group_by`` that the alerts have.
    alerts : tuple of int
        Positions in the list that was given, ascending.
    route : tuple of int
        Position of the route in the tree.
    """

    receiver: str
    labels: dict[str, str]
    alerts: tuple[int, ...]
    route: tuple[int, ...]


def match_routes(config: Config, labels: Labels) -> list[Route]:
    """Return the routes that take an alert, in the order of the tree; at least one.

    An alert descends into every child that matches, up to the first without ``continue``; the
    deepest matching nodes take it.
    """
    return _descend(config.route, labels)


def _descend(route: Route, labels: Labels) -> list[Route]:
    if not _all(route.matchers, labels):
        return []
    found: list[Route] = []
    for child in route.routes:
        below = _descend(child, labels)
        found += below
        if below and not child.go_on:
            break
    return found or [route]


def group_labels(route: Route, labels: Labels) -> dict[str, str]:
    """The labels that name an alert's group."""
    return {k: v for k, v in labels.items() if route.group_by is None or k in route.group_by}


def group_alerts(config: Config, alerts: Sequence[Labels]) -> list[Group]:
    """Group alerts that are all firing at once; an alert that two routes take is in two groups.

    Examples
    --------
    >>> from course.telemetry.alertmanager import load_config
    >>> config = load_config("{route: {receiver: a, group_by: [job]}, receivers: [{name: a}]}")
    >>> [g.alerts for g in group_alerts(config, [{"job": "x"}, {"job": "y"}, {"job": "x"}])]
    [(0, 2), (1,)]
    """
    groups: dict[tuple[tuple[int, ...], frozenset[tuple[str, str]]], tuple[Route, list[int]]] = {}
    for number, labels in enumerate(alerts):
        for route in match_routes(config, labels):
            key = (route.place, frozenset(group_labels(route, labels).items()))
            groups.setdefault(key, (route, []))[1].append(number)
    return [
        Group(route.receiver, dict(sorted(labels)), tuple(numbers), place)
        for (place, labels), (route, numbers) in groups.items()
    ]


def inhibited(config: Config, labels: Labels, firing: Iterable[Labels]) -> bool:
    """Whether an alert is muted while those in ``firing`` fire.

    An alert that matches both sides of a rule is not muted by one that does so too, and so never by
    itself.
    """
    alerts = list(firing)
    return any(_mutes(rule, labels, alerts) for rule in config.inhibitions)


def _mutes(rule: Inhibition, labels: Labels, firing: list[Labels]) -> bool:
    if not _all(rule.target, labels):
        return False
    both = _all(rule.source, labels)
    return any(
        all(other.get(name, "") == labels.get(name, "") for name in rule.equal)
        and _all(rule.source, other)
        and not (both and _all(rule.target, other))
        for other in firing
    )


def _all(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)

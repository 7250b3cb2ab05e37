"""Reading of a configuration: routing tree, inhibition rules, time intervals, receivers' names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from course.telemetry.alertmanager.errors import ConfigError
from course.telemetry.alertmanager.matchers import Matcher, is_label, parse_matchers
from course.telemetry.alertmanager.times import TimeInterval, read_interval
from course.telemetry.durations import parse_duration
from course.telemetry.strictyaml import Form, Mapping, Node, Scalar, Sequence, kind, read_yaml

_FORM = Form("a configuration", "route", ConfigError)

#: What a route has where neither it nor a parent says otherwise, in milliseconds.
DEFAULTS_MS = {"group_wait": 30_000, "group_interval": 300_000, "repeat_interval": 14_400_000}

_TOP = {"route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals", "global",
        "templates"}  # fmt: skip
_ROUTE = {"receiver", "group_by", "continue", "match", "match_re", "matchers", "group_wait",
          "group_interval", "repeat_interval", "mute_time_intervals", "active_time_intervals",
          "routes"}  # fmt: skip
_INHIBITION = {"source_match", "source_match_re", "source_matchers", "target_match",
               "target_match_re", "target_matchers", "equal"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Route:
    """A node of the routing tree with what it inherits already filled in.

    Attributes
    ----------
    receiver : str
    matchers : tuple of Matcher
        All must hold; those of the parents are not repeated.
    group_by : frozenset of str, or None
        None stands for ``'...'``: every label.
    go_on : bool
        ``continue``: siblings below are tried as well.
    group_wait, group_interval, repeat_interval : int
        Milliseconds.
    mute, active : tuple of str
        Names of time intervals; they are not inherited.
    routes : tuple of Route
    place : tuple of int
        Position in the tree, () for the root.
    """

    receiver: str
    matchers: tuple[Matcher, ...]
    group_by: frozenset[str] | None
    go_on: bool
    group_wait: int
    group_interval: int
    repeat_interval: int
    mute: tuple[str, ...]
    active: tuple[str, ...]
    routes: tuple[Route, ...]
    place: tuple[int, ...]

    def walk(self) -> Iterator[Route]:
        """This route and all below it."""
        yield self
        for route in self.routes:
            yield from route.walk()


@dataclass(frozen=True)
class Inhibition:
    """While an alert that matches ``source`` fires, those that match ``target`` are muted.

    Only where both agree on every label of ``equal``; labels that both lack agree.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: frozenset[str]


@dataclass(frozen=True)
class Config:
    """A configuration that has been read; see :func:`load_config`."""

    route: Route
    receivers: tuple[str, ...]
    inhibitions: tuple[Inhibition, ...]
    intervals: dict[str, tuple[TimeInterval, ...]]


def load_config(text: str) -> Config:
    """Read a configuration.

    Parameters
    ----------
    text : str
        YAML of at most 64 KiB without aliases, anchors and tags.

    Raises
    ------
    ConfigError
        With what is wrong, on which line, and what is allowed. Everything that Alertmanager
        refuses in the parts read here is refused; ``global`` and ``templates`` are not looked at,
        and the settings of a receiver beside its name are not either.
    """
    top = _mapping(read_yaml(text, _FORM), "the file", _TOP)
    if "route" not in top.items:
        raise ConfigError("no `route`: a configuration needs a routing tree")
    receivers = _receivers(top.items.get("receivers"))
    intervals: dict[str, tuple[TimeInterval, ...]] = {}
    for key in ("mute_time_intervals", "time_intervals"):
        for name, made in _intervals(top.items.get(key)):
            if name in intervals:
                raise ConfigError(f"the time interval {name!r} is defined twice")
            intervals[name] = made
    route = _route(top.items["route"], None, (), receivers, intervals)
    rules = [_inhibition(node) for node in _list(top.items.get("inhibit_rules"), "inhibit_rules")]
    return Config(route, tuple(receivers), tuple(rules), intervals)


def _route(
    node: Node, parent: Route | None, place: tuple[int, ...], receivers: Collection[str],
    intervals: Collection[str],
) -> Route:  # fmt: skip
    mapping = _mapping(node, "a route", _ROUTE)
    items = mapping.items
    matchers = _matchers(items, "match", "match_re", "matchers")
    go_on = _flag(items.get("continue"))
    named = {key: tuple(_texts(items.get(f"{key}_time_intervals"), f"{key}_time_intervals"))
             for key in ("mute", "active")}  # fmt: skip
    receiver = _text(items["receiver"], "receiver") if "receiver" in items else ""
    if parent is None:
        _check_root(mapping, receiver, bool(matchers), go_on, any(named.values()))
    receiver = receiver or (parent.receiver if parent else "")
    if receiver not in receivers:
        raise ConfigError(
            f"line {mapping.line}: no receiver is called {receiver!r}; "
            f"there are: {', '.join(receivers) or 'none'}"
        )
    for name in (*named["mute"], *named["active"]):
        if name not in intervals:
            raise ConfigError(f"line {mapping.line}: no time interval is called {name!r}")
    times = {key: _duration(items.get(key), key, getattr(parent, key) if parent else default)
             for key, default in DEFAULTS_MS.items()}  # fmt: skip
    made = Route(
        receiver=receiver,
        matchers=tuple(sorted(matchers)),
        group_by=_group_by(items.get("group_by"), parent),
        go_on=go_on,
        group_wait=times["group_wait"],
        group_interval=times["group_interval"],
        repeat_interval=times["repeat_interval"],
        mute=named["mute"],
        active=named["active"],
        routes=(),
        place=place,
    )
    below = tuple(
        _route(child, made, (*place, number), receivers, intervals)
        for number, child in enumerate(_list(items.get("routes"), "routes"))
    )
    return Route(**{**vars(made), "routes": below})


def _check_root(mapping: Mapping, receiver: str, matchers: bool, go_on: bool, timed: bool) -> None:
    if not receiver:
        raise ConfigError(f"line {mapping.line}: the root route needs a receiver")
    for wrong, what in ((matchers, "matchers"), (go_on, "continue"), (timed, "time intervals")):
        if wrong:
            raise ConfigError(
                f"line {mapping.line}: the root route takes every alert; it may have no {what}"
            )


def _group_by(node: Node | None, parent: Route | None) -> frozenset[str] | None:
    names = _texts(node, "group_by")
    if not names:
        return parent.group_by if parent else frozenset()
    if "..." in names:
        if set(names) != {"..."}:
            raise ConfigError(f"group_by holds '...' (every label) and others: {names}")
        return None
    for name in names:
        if not is_label(name):
            raise ConfigError(f"group_by: {name[:40]!r} is no label")
        if names.count(name) > 1:
            raise ConfigError(f"group_by names {name!r} twice")
    return frozenset(names)


def _inhibition(node: Node) -> Inhibition:
    items = _mapping(node, "an inhibition rule", _INHIBITION).items
    equal = _texts(items.get("equal"), "equal")
    for name in equal:
        if not is_label(name):
            raise ConfigError(f"equal: {name[:40]!r} is no label")
    sides = (_matchers(items, f"{side}_match", f"{side}_match_re", f"{side}_matchers")
             for side in ("source", "target"))  # fmt: skip
    source, target = (tuple(sorted(side)) for side in sides)
    return Inhibition(source, target, frozenset(equal))


def _matchers(items: dict[str, Node], plain: str, regex: str, new: str) -> list[Matcher]:
    found = []
    for key, operator in ((plain, "="), (regex, "=~")):
        node = items.get(key)
        if node is None or (isinstance(node, Scalar) and node.null):
            continue
        for name, value in _mapping(node, key, None).items.items():
            if not is_label(name):
                raise ConfigError(f"{key}: {name[:40]!r} is no label")
            found.append(Matcher(name, operator, _text(value, f"{key}.{name}")))
    for text in _texts(items.get(new), new):
        found += parse_matchers(text)
    return found


def _receivers(node: Node | None) -> list[str]:
    names: list[str] = []
    for entry in _list(node, "receivers"):
        items = _mapping(entry, "a receiver", None).items
        name = _text(items["name"], "name") if "name" in items else ""
        if not name:
            raise ConfigError(f"line {entry.line}: a receiver needs a name")
        if name in names:
            raise ConfigError(f"line {entry.line}: a second receiver is called {name!r}")
        names.append(name)
    return names


def _intervals(node: Node | None) -> Iterator[tuple[str, tuple[TimeInterval, ...]]]:
    for entry in _list(node, "time_intervals"):
        items = _mapping(entry, "a time interval", {"name", "time_intervals"}).items
        name = _text(items["name"], "name") if "name" in items else ""
        if not name:
            raise ConfigError(f"line {entry.line}: a time interval needs a name")
        ranges = _list(items.get("time_intervals"), "time_intervals")
        yield name, tuple(read_interval(_plain(each)) for each in ranges)


def _plain(node: Node) -> object:
    """The node as dicts, lists and texts."""
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items.items()}
    if isinstance(node, Sequence):
        return [_plain(value) for value in node.items]
    return node.text


def _mapping(node: Node, what: str, allowed: Collection[str] | None) -> Mapping:
    if not isinstance(node, Mapping):
        raise ConfigError(f"line {node.line}: {what} must be a mapping, found {kind(node)}")
    for key, line in node.lines.items():
        if allowed is not None and key not in allowed:
            raise ConfigError(
                f"line {line}: {what} has no key {key[:40]!r}; allowed: {', '.join(sorted(allowed))}"
            )
    return node


def _list(node: Node | None, what: str) -> list[Node]:
    if node is None or (isinstance(node, Scalar) and node.null):
        return []
    if not isinstance(node, Sequence):
        raise ConfigError(f"line {node.line}: {what} must be a list, found {kind(node)}")
    return node.items


def _texts(node: Node | None, what: str) -> list[str]:
    return [_text(each, what) for each in _list(node, what)]


def _text(node: Node, what: str) -> str:
    if not isinstance(node, Scalar):
        raise ConfigError(f"line {node.line}: {what} must be text, found {kind(node)}")
    return "" if node.null else node.text


def _flag(node: Node | None) -> bool:
    if node is None:
        return False
    text = _text(node, "continue")
    if not re.fullmatch("true|True|TRUE|false|False|FALSE|", text):
        raise ConfigError(f"line {node.line}: continue must be true or false, found {text[:40]!r}")
    return text.lower() == "true"


def _duration(node: Node | None, key: str, inherited: int) -> int:
    if node is None or (isinstance(node, Scalar) and node.null):
        return inherited
    try:
        value = parse_duration(_text(node, key))
    except ValueError as error:
        raise ConfigError(f"line {node.line}: {key}: {error}") from None
    if value == 0 and key != "group_wait":
        raise ConfigError(f"line {node.line}: {key} may not be zero")
    return value

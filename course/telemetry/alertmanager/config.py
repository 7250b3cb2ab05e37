"""Reading an Alertmanager configuration as strictly as ``amtool check-config`` does."""

from __future__ import annotations

from dataclasses import dataclass, field

from course.telemetry.alertmanager.matchers import (
    LABEL_NAME,
    Labels,
    Matcher,
    all_match,
    make_matcher,
    parse_matchers,
)
from course.telemetry.durations import parse_duration
from course.telemetry.strictyaml import Form, Mapping, Node, Scalar, Sequence, kind, read_yaml

MAX_ROUTES = 200
ALL = "..."
_DEFAULTS = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
_ROUTE = (
    "receiver", "group_by", "continue", "matchers", "match", "match_re", "routes", *_DEFAULTS,
)  # fmt: skip
_INHIBIT = (
    "source_matchers", "source_match", "source_match_re", "target_matchers", "target_match",
    "target_match_re", "equal",
)  # fmt: skip


class AlertmanagerConfigError(ValueError):
    """A configuration that may not be loaded: where, what was found, what is allowed."""


_FORM = Form("a configuration", "route", AlertmanagerConfigError)


@dataclass(frozen=True)
class Route:
    """A node of the routing tree, with what it inherits already filled in.

    Attributes
    ----------
    receiver : str
    group_by : tuple of str
        Sorted label names; those of `ALL` group by every label.
    group_all : bool
        Whether every label counts, so that each set of labels is a group of its own.
    group_wait_ms, group_interval_ms, repeat_interval_ms : int
    matchers : tuple of Matcher
        Conditions of this node alone; the root has none.
    goes_on : bool
        ``continue``: whether siblings after it are asked, too.
    routes : tuple of Route
    line : int
        Line in the file, from 1.
    """

    receiver: str
    group_by: tuple[str, ...]
    group_all: bool
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    matchers: tuple[Matcher, ...] = ()
    goes_on: bool = False
    routes: tuple[Route, ...] = ()
    line: int = 0

    def match(self, labels: Labels) -> list[Route]:
        """The nodes that handle an alert, in order: the deepest that match, at least one each.

        Empty where this node does not match. Children are asked in order until one matches that
        does not continue; where none matches, this node handles the alert itself.
        """
        if not all_match(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            here = child.match(labels)
            found += here
            if here and not child.goes_on:
                break
        return found or [self]

    def group(self, labels: Labels) -> tuple[tuple[str, str], ...]:
        """The labels and values that an alert is grouped by; a label it lacks is left out."""
        names = labels if self.group_all else self.group_by
        return tuple((name, labels[name]) for name in sorted(names) if labels.get(name))


@dataclass(frozen=True)
class InhibitRule:
    """While a source fires, targets that agree with it in the labels of `equal` are muted."""

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def mutes(self, source: Labels, target: Labels) -> bool:
        """Whether a firing alert mutes another.

        A target that is a source as well is not muted by one that is both, itself included.
        """
        if not (all_match(self.source, source) and all_match(self.target, target)):
            return False
        if any(source.get(name, "") != target.get(name, "") for name in self.equal):
            return False
        return not (all_match(self.source, target) and all_match(self.target, source))


@dataclass(frozen=True)
class Config:
    """A routing tree, rules of inhibition and the names of the receivers."""

    route: Route
    inhibit_rules: tuple[InhibitRule, ...] = ()
    receivers: tuple[str, ...] = field(default=())

    def receivers_of(self, labels: Labels) -> list[str]:
        """The receivers of an alert, in the order of the tree; one may stand twice."""
        return [route.receiver for route in self.route.match(labels)]

    def muted(self, labels: Labels, firing: list[Labels]) -> bool:
        """Whether an alert is muted by any of the firing ones."""
        return any(rule.mutes(one, labels) for rule in self.inhibit_rules for one in firing)


def load_config(text: str) -> Config:
    """Read and check a configuration.

    Parameters
    ----------
    text : str
        The YAML text, at most 64 KiB: ``route``, ``receivers`` (names; what they send to is not
        read) and ``inhibit_rules``. ``global`` and ``templates`` are skipped.

    Returns
    -------
    Config

    Raises
    ------
    AlertmanagerConfigError
        With the line, what was found and what is allowed. Beyond what Alertmanager refuses, YAML
        anchors, aliases and tags, time intervals, and more than 200 routes are refused.

    Examples
    --------
    >>> config = load_config('''
    ... route:
    ...   receiver: nobody
    ...   routes:
    ...     - matchers: ['severity = page']
    ...       receiver: pager
    ... receivers: [{name: nobody}, {name: pager}]
    ... ''')
    >>> config.receivers_of({"severity": "page"})
    ['pager']
    """
    root = _mapping(read_yaml(text, _FORM), "the file")
    allowed = ("route", "receivers", "inhibit_rules", "global", "templates")
    _only(root, allowed, "the file")
    if "route" not in root.items:
        raise AlertmanagerConfigError("no `route`: a configuration needs a tree to route by")
    receivers = _receivers(root.items.get("receivers"))
    reader = _Routes(receivers)
    route = reader.read(root.items["route"], None)
    rules = _list(root.items.get("inhibit_rules"), "inhibit_rules")
    return Config(route, tuple(map(_inhibit_rule, rules)), receivers)


class _Routes:
    """Reads the nodes of the tree and counts them."""

    def __init__(self, receivers: tuple[str, ...]) -> None:
        self._receivers, self._count = receivers, 0

    def read(self, node: Node, parent: Route | None) -> Route:
        where = "route" if parent is None else f"the route on line {node.line}"
        fields = _mapping(node, where)
        _only(fields, _ROUTE, where)
        self._count += 1
        if self._count > MAX_ROUTES:
            raise AlertmanagerConfigError(f"more than {MAX_ROUTES} routes")
        items = fields.items
        matchers = _matchers(items, where, "matchers", "match", "match_re")
        goes_on = _bool(items.get("continue"), where)
        if parent is None:
            if matchers or "matchers" in items:
                raise AlertmanagerConfigError(f"line {node.line}: the root route has no matchers")
            if goes_on:
                raise AlertmanagerConfigError(f"line {node.line}: the root route can't continue")
        receiver = _text(items.get("receiver"), f"receiver of {where}") or (
            parent.receiver if parent else ""
        )
        if not receiver:
            raise AlertmanagerConfigError(f"line {node.line}: the root route needs a receiver")
        if receiver not in self._receivers:
            raise AlertmanagerConfigError(
                f"{where}: receiver {receiver!r} is not among `receivers`: "
                f"{', '.join(self._receivers) or 'there are none'}"
            )
        labels, everything = _group_by(items.get("group_by"), where)
        inherits = labels is None and not everything
        made = Route(
            receiver=receiver,
            group_by=labels if labels is not None else parent.group_by if parent else (),
            group_all=everything or bool(inherits and parent and parent.group_all),
            group_wait_ms=_duration(items, "group_wait", parent, where),
            group_interval_ms=_duration(items, "group_interval", parent, where),
            repeat_interval_ms=_duration(items, "repeat_interval", parent, where),
            matchers=tuple(matchers),
            goes_on=goes_on,
            line=node.line,
        )
        children = tuple(self.read(child, made) for child in _list(items.get("routes"), "routes"))
        return Route(**{**made.__dict__, "routes": children})


def _duration(items: dict[str, Node], name: str, parent: Route | None, where: str) -> int:
    text = _text(items.get(name), f"{name} of {where}")
    if not text:
        return getattr(parent, f"{name}_ms") if parent else parse_duration(_DEFAULTS[name])
    try:
        value = parse_duration(text)
    except ValueError as error:
        raise AlertmanagerConfigError(f"{where}, {name}: {error}") from None
    if value == 0 and name != "group_wait":
        raise AlertmanagerConfigError(f"{where}: {name} can't be zero")
    return value


def _group_by(node: Node | None, where: str) -> tuple[tuple[str, ...] | None, bool]:
    names = [_text(entry, f"group_by of {where}") for entry in _list(node, f"group_by of {where}")]
    if ALL in names:
        if len(names) > 1:
            raise AlertmanagerConfigError(
                f"{where}: group_by is {names}; `...` is every label, it stands alone"
            )
        return None, True
    for name in names:
        if not LABEL_NAME.fullmatch(name):
            raise AlertmanagerConfigError(f"{where}: group_by has {name!r}, which names no label")
        if names.count(name) > 1:
            raise AlertmanagerConfigError(f"{where}: group_by has {name!r} twice")
    return (tuple(sorted(names)) if names else None), False


def _inhibit_rule(node: Node) -> InhibitRule:
    where = f"the inhibit rule on line {node.line}"
    fields = _mapping(node, where)
    _only(fields, _INHIBIT, where)
    items = fields.items
    equal = [_text(entry, f"equal of {where}") for entry in _list(items.get("equal"), "equal")]
    for name in equal:
        if not LABEL_NAME.fullmatch(name):
            raise AlertmanagerConfigError(f"{where}: equal has {name!r}, which names no label")
    return InhibitRule(
        tuple(_matchers(items, where, "source_matchers", "source_match", "source_match_re")),
        tuple(_matchers(items, where, "target_matchers", "target_match", "target_match_re")),
        tuple(equal),
    )


def _matchers(
    items: dict[str, Node], where: str, many: str, equal: str, regex: str
) -> list[Matcher]:
    """Conditions of all three spellings together."""
    found = []
    try:
        for key, operator in ((equal, "="), (regex, "=~")):
            if key in items and not _is_null(items[key]):
                for name, value in _mapping(items[key], f"{key} of {where}").items.items():
                    if not LABEL_NAME.fullmatch(name):
                        raise AlertmanagerConfigError(f"{where}: {name!r} names no label")
                    found.append(make_matcher(name, operator, _text(value, f"{key} of {where}")))
        for entry in _list(items.get(many), f"{many} of {where}"):
            found += parse_matchers(_text(entry, f"{many} of {where}"))
    except AlertmanagerConfigError:
        raise
    except ValueError as error:
        raise AlertmanagerConfigError(f"{where}: {error}") from None
    return found


def _receivers(node: Node | None) -> tuple[str, ...]:
    names: list[str] = []
    for entry in _list(node, "receivers"):
        fields = _mapping(entry, f"the receiver on line {entry.line}")
        name = _text(fields.items.get("name"), f"name of the receiver on line {entry.line}")
        if not name:
            raise AlertmanagerConfigError(f"line {entry.line}: a receiver without a name")
        if name in names:
            raise AlertmanagerConfigError(f"line {entry.line}: receiver {name!r} stands twice")
        names.append(name)
    return tuple(names)


def _is_null(node: Node | None) -> bool:
    return node is None or (isinstance(node, Scalar) and node.null)


def _mapping(node: Node, where: str) -> Mapping:
    if not isinstance(node, Mapping):
        raise AlertmanagerConfigError(
            f"line {node.line}: {where} must be a mapping, found {kind(node)}"
        )
    return node


def _list(node: Node | None, where: str) -> list[Node]:
    if node is None or _is_null(node):
        return []
    if not isinstance(node, Sequence):
        raise AlertmanagerConfigError(
            f"line {node.line}: {where} must be a list, found {kind(node)}"
        )
    return node.items


def _text(node: Node | None, where: str) -> str:
    if node is None or _is_null(node):
        return ""
    if not isinstance(node, Scalar):
        raise AlertmanagerConfigError(f"line {node.line}: {where} must be text, found {kind(node)}")
    return node.text


def _bool(node: Node | None, where: str) -> bool:
    text = _text(node, f"continue of {where}").lower()
    if text not in ("", "true", "false", "yes", "no", "on", "off"):
        raise AlertmanagerConfigError(f"{where}: continue must be true or false, found {text!r}")
    return text in ("true", "yes", "on")


def _only(fields: Mapping, allowed: tuple[str, ...], where: str) -> None:
    for name, line in fields.lines.items():
        if name not in allowed:
            raise AlertmanagerConfigError(
                f"line {line}: {where} has no field {name!r}; it may have: {', '.join(allowed)}"
            )

"""Reading a rule file as strictly as ``promtool check rules`` does."""

import re
from dataclasses import dataclass, field

from course.telemetry.durations import parse_duration
from course.telemetry.prometheus.errors import RuleFileError
from course.telemetry.prometheus.expressions import Expr, parse_expression
from course.telemetry.prometheus.templates import Template, check_annotation, parse_label_template
from course.telemetry.strictyaml import Form, Mapping, Node, Scalar, Sequence, kind, read_yaml

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
MAX_RULES = 500

_FORM = Form("a rule file", "groups", RuleFileError)
_FILE_FIELDS = ("groups",)
_GROUP_FIELDS = ("name", "interval", "limit", "rules")
_RULE_FIELDS = (
    "record",
    "alert",
    "expr",
    "for",
    "keep_firing_for",
    "labels",
    "annotations",
)


@dataclass(frozen=True)
class Rule:
    """One recording or alerting rule.

    Attributes
    ----------
    name : str
        The recorded metric's or the alert's name.
    is_alert : bool
        Whether this is an alerting rule.
    expr : str
        The expression as written.
    for_ms, keep_firing_for_ms : int
        How long the expression must hold before the alert fires, and how long the alert stays on
        after it last held, in milliseconds.
    labels, annotations : dict of str
        As written, templates not expanded.
    line : int
        Line of the rule in the file, from 1.
    """

    name: str
    is_alert: bool
    expr: str
    for_ms: int
    keep_firing_for_ms: int
    labels: dict[str, str]
    annotations: dict[str, str]
    line: int
    group: str
    ast: Expr = field(repr=False, compare=False)
    templates: dict[str, Template] = field(repr=False, compare=False, default_factory=dict)

    @property
    def where(self) -> str:
        """The rule's place, for messages."""
        what = "alert" if self.is_alert else "record"
        return f"group {self.group!r}, {what} {self.name!r} (line {self.line})"


@dataclass(frozen=True)
class RuleGroup:
    """Rules evaluated one after the other; `interval_ms` is None where the file sets none."""

    name: str
    interval_ms: int | None
    limit: int
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class RuleFile:
    """The groups of a rule file, in the order of the file."""

    groups: tuple[RuleGroup, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule in the order of evaluation."""
        return tuple(rule for group in self.groups for rule in group.rules)

    @property
    def alerts(self) -> tuple[Rule, ...]:
        """The alerting rules."""
        return tuple(rule for rule in self.rules if rule.is_alert)


def load_rules(text: str) -> RuleFile:
    """Read and check a Prometheus rule file.

    Parameters
    ----------
    text : str
        The YAML text, at most 64 KiB.

    Returns
    -------
    RuleFile

    Raises
    ------
    RuleFileError
        With the group, the rule and the line, what was found and what is allowed. Beyond what
        Prometheus refuses, YAML anchors, aliases, tags and merge keys, an empty file, exact
        duplicates of a rule, and PromQL outside the supported subset are refused.

    Examples
    --------
    >>> rules = load_rules('''
    ... groups:
    ...   - name: checkout
    ...     rules:
    ...       - alert: SlowCheckout
    ...         expr: shop_latency_p99_ms{service="checkout"} > 800
    ...         for: 5m
    ... ''')
    >>> rules.alerts[0].name, rules.alerts[0].for_ms
    ('SlowCheckout', 300000)
    """
    root = read_yaml(text, _FORM)
    top = _mapping(root, "the file", _FILE_FIELDS)
    if "groups" not in top.items:
        raise RuleFileError("the file has no `groups`; a rule file is a mapping `groups: [...]`")
    groups: list[RuleGroup] = []
    for number, node in enumerate(_sequence(top.items["groups"], "`groups`"), 1):
        group = _group(node, number)
        if any(group.name == other.name for other in groups):
            raise RuleFileError(
                f"line {node.line}: group name {group.name!r} is used twice; names must differ"
            )
        groups.append(group)
    loaded = RuleFile(tuple(groups))
    if len(loaded.rules) > MAX_RULES:
        raise RuleFileError(f"the file has {len(loaded.rules)} rules; at most {MAX_RULES} are read")
    return loaded


def _group(node: Node, number: int) -> RuleGroup:
    where = f"group {number}"
    items = _mapping(node, where, _GROUP_FIELDS).items
    name = _text(items.get("name"), f"{where}: name")
    if not name:
        raise RuleFileError(f"line {node.line}: group {number} has no name; give it one")
    where = f"group {name!r}"
    interval = _duration(items.get("interval"), f"{where}: interval")
    limit_text = _text(items.get("limit"), f"{where}: limit") or "0"
    if re.fullmatch(r"[+-]?\d{1,9}", limit_text, re.ASCII) is None:
        raise RuleFileError(f"{where}: limit must be a whole number, found {limit_text[:40]!r}")
    rules: list[Rule] = []
    for position, entry in enumerate(_sequence(items.get("rules"), f"{where}: rules"), 1):
        rule = _rule(entry, name, position)
        _refuse_duplicate(rule, rules)
        rules.append(rule)
    return RuleGroup(name, interval or None, int(limit_text), tuple(rules))


def _refuse_duplicate(rule: Rule, earlier: list[Rule]) -> None:
    def key(r: Rule) -> tuple[object, ...]:
        return r.is_alert, r.name, r.expr, r.for_ms, r.keep_firing_for_ms, sorted(r.labels.items())

    for other in earlier:
        if key(rule) == key(other):
            raise RuleFileError(f"{rule.where} repeats the rule on line {other.line}; remove one")


def _rule(node: Node, group: str, position: int) -> Rule:
    where = f"group {group!r}, rule {position} (line {node.line})"
    items = _mapping(node, where, _RULE_FIELDS).items
    record = _text(items.get("record"), f"{where}: record")
    alert = _text(items.get("alert"), f"{where}: alert")
    if bool(record) == bool(alert):
        found = "both" if record else "neither"
        raise RuleFileError(f"{where}: set either `record` or `alert`, found {found}")
    name, is_alert = (alert, True) if alert else (record, False)
    where = f"group {group!r}, {'alert' if is_alert else 'record'} {name!r} (line {node.line})"
    expr = _text(items.get("expr"), f"{where}: expr")
    if not expr:
        raise RuleFileError(f"{where}: `expr` is missing; write a PromQL expression")
    for_ms = _duration(items.get("for"), f"{where}: for")
    keep_ms = _duration(items.get("keep_firing_for"), f"{where}: keep_firing_for")
    labels = _texts(items.get("labels"), f"{where}: labels", ("__name__",))
    annotations = _texts(items.get("annotations"), f"{where}: annotations")
    if not is_alert:
        _check_recording(where, name, for_ms, keep_ms, annotations)
    try:
        tree = parse_expression(expr)
        templates = {}
        if is_alert:
            templates = {key: parse_label_template(value) for key, value in labels.items()}
            for value in annotations.values():
                check_annotation(value)
    except ValueError as error:
        raise RuleFileError(f"{where}: {error}") from None
    return Rule(
        name,
        is_alert,
        expr,
        for_ms or 0,
        keep_ms or 0,
        labels,
        annotations,
        node.line,
        group,
        tree,
        templates,
    )


def _check_recording(
    where: str, name: str, for_ms: int | None, keep_ms: int | None, annotations: dict[str, str]
) -> None:
    if METRIC_NAME.fullmatch(name) is None:
        raise RuleFileError(
            f"{where}: not a metric name; use letters, digits, `_` and `:`, no digit first"
        )
    given = {"for": for_ms, "keep_firing_for": keep_ms, "annotations": annotations}
    for field_name, value in given.items():
        if value:
            raise RuleFileError(f"{where}: a recording rule has no `{field_name}`; remove it")


def _mapping(node: Node, where: str, allowed: tuple[str, ...]) -> Mapping:
    if not isinstance(node, Mapping):
        raise RuleFileError(
            f"line {node.line}: {where} must be a mapping with {', '.join(allowed)}; "
            f"found {kind(node)}"
        )
    for key in node.items:
        if key not in allowed:
            raise RuleFileError(
                f"line {node.lines[key]}: {where} has an unknown field {key[:40]!r}; "
                f"allowed are {', '.join(allowed)}"
            )
    return node


def _sequence(node: Node | None, where: str) -> list[Node]:
    if node is None or (isinstance(node, Scalar) and node.null):
        return []
    if not isinstance(node, Sequence):
        raise RuleFileError(f"line {node.line}: {where} must be a list, found {kind(node)}")
    return node.items


def _text(node: Node | None, where: str) -> str:
    if node is None or (isinstance(node, Scalar) and node.null):
        return ""
    if not isinstance(node, Scalar):
        raise RuleFileError(f"line {node.line}: {where} must be text, found {kind(node)}")
    return node.text


def _duration(node: Node | None, where: str) -> int | None:
    if node is None or (isinstance(node, Scalar) and node.null):
        return None
    try:
        return parse_duration(_text(node, where))
    except RuleFileError:
        raise
    except ValueError as error:
        raise RuleFileError(f"line {node.line}: {where}: {error}") from None


def _texts(node: Node | None, where: str, refused: tuple[str, ...] = ()) -> dict[str, str]:
    if node is None or (isinstance(node, Scalar) and node.null):
        return {}
    if not isinstance(node, Mapping):
        raise RuleFileError(f"line {node.line}: {where} must be a mapping, found {kind(node)}")
    for key in node.items:
        if LABEL_NAME.fullmatch(key) is None or key in refused:
            raise RuleFileError(
                f"line {node.lines[key]}: {where}: {key[:40]!r} is no name that may be set; "
                "use letters, digits and `_`, no digit first"
            )
    return {key: _text(value, f"{where}: {key}") for key, value in node.items.items()}

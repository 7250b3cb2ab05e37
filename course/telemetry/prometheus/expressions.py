"""PromQL text to a small tree of the supported subset.

promql-parser checks grammar and types as Prometheus does; what it lets through and this evaluator
does not know is refused here, with the list of what is supported.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from course.telemetry.regexes import regex_matches

MAX_CHARACTERS = 4096
MAX_DEPTH = 60
MAX_RANGE_MS = 400 * 86_400_000

RANGE_FUNCTIONS = [
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "predict_linear",
    "changes",
    "resets",
]
INSTANT_FUNCTIONS = [
    "abs",
    "ceil",
    "floor",
    "round",
    "sqrt",
    "exp",
    "ln",
    "log2",
    "log10",
    "sgn",
    "clamp",
    "clamp_min",
    "clamp_max",
    "absent",
    "scalar",
    "vector",
    "time",
    "hour",
    "minute",
    "month",
    "year",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "histogram_quantile",
    "label_replace",
]
AGGREGATIONS = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "quantile",
    "topk",
    "bottomk",
]
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SET_OPERATORS = ("and", "or", "unless")

_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`", re.DOTALL)
_COMMENT = re.compile(r"#[^\n]*")
_BARE_DURATION = re.compile(
    r"\[\s*[\d.]+\s*[\]:]|\[[^\[\]]*:\s*[\d.]+\s*\]|\boffset\s+-?\s*[\d.]+\s*(?![\d.a-z])"
)
_SIGNS = re.compile(r"(?:[-+]\s*){11}")
_QUOTED_NAME = re.compile(r"\{\s*\"\"|\{[^{}]*,\s*\"\"\s*[,}=!]")
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)


@dataclass(frozen=True)
class Number:
    """A scalar literal."""

    value: float


@dataclass(frozen=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True)
class Matcher:
    """`name op value` with op one of =, !=, =~, !~."""

    name: str
    op: str
    value: str

    @cached_property
    def _pattern(self) -> str:
        return rf"\A(?:{self.value})\z"

    def matches(self, values: list[str]) -> list[bool]:
        """Which of the values match; regular expressions are RE2's, anchored at both ends."""
        if self.op in ("=", "!="):
            return [(value == self.value) == (self.op == "=") for value in values]
        hits = regex_matches(self._pattern, values)
        return [hit == (self.op == "=~") for hit in hits]


@dataclass(frozen=True)
class Selector:
    """An instant vector selector; `offset_ms` looks back."""

    matchers: tuple[Matcher, ...]
    offset_ms: int


@dataclass(frozen=True)
class Range:
    """A range of a selector, or a subquery where `step_ms` is not None (0: the default step)."""

    expr: "Expr"
    range_ms: int
    offset_ms: int
    step_ms: int | None


@dataclass(frozen=True)
class Call:
    """A function call."""

    name: str
    args: tuple["Expr", ...]


@dataclass(frozen=True)
class Aggregate:
    """An aggregation by `labels`, or without them."""

    op: str
    expr: "Expr"
    param: "Expr | None"
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True)
class Binary:
    """A binary operation that matches on `labels`, or on all but them (`on` False)."""

    op: str
    lhs: "Expr"
    rhs: "Expr"
    return_bool: bool
    on: bool
    labels: tuple[str, ...]
    card: str  # "one-to-one", "many-to-one", "one-to-many"
    include: tuple[str, ...]


@dataclass(frozen=True)
class Negate:
    """Unary minus."""

    expr: "Expr"


@dataclass(frozen=True)
class Paren:
    """An expression in parentheses (absent() tells it from a bare selector)."""

    expr: "Expr"


Expr = Number | Text | Selector | Range | Call | Aggregate | Binary | Negate | Paren


def parse_expression(text: str) -> Expr:
    """The tree of a PromQL expression.

    Parameters
    ----------
    text : str
        At most 4096 characters.

    Raises
    ------
    ValueError
        If the text is not PromQL, is outside the supported subset, or its result is a string or
        a range vector, which no rule can use.
    """
    import promql_parser

    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"the expression has {len(text)} characters; at most {MAX_CHARACTERS} are read"
        )
    bare = _COMMENT.sub(" ", _QUOTED.sub('""', text))
    _check_nesting(bare)
    if _SIGNS.search(bare):
        raise ValueError("more than ten signs in a row")
    if found := _BARE_DURATION.search(bare):
        raise ValueError(f"duration without a unit in {found.group(0)!r}; write 300s or 5m")
    if _QUOTED_NAME.search(bare):
        raise ValueError('a quoted name in { } is not supported; write metric{label="value"}')
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        hint = _supported() if "unknown function" in str(error) else "see the PromQL grammar"
        raise ValueError(f"not valid PromQL: {error}; {hint}") from None
    tree = _convert(parsed, 0)
    if isinstance(tree, Text | Range):
        kind = "a string" if isinstance(tree, Text) else "a range vector"
        raise ValueError(f"the expression is {kind}; a rule needs an instant vector or a scalar")
    return tree


def selectors(expr: Expr) -> Iterator[Selector]:
    """Every selector in the tree."""
    if isinstance(expr, Selector):
        yield expr
    elif isinstance(expr, Range | Negate | Paren):
        yield from selectors(expr.expr)
    elif isinstance(expr, Call):
        for arg in expr.args:
            yield from selectors(arg)
    elif isinstance(expr, Aggregate):
        yield from selectors(expr.expr)
        if expr.param is not None:
            yield from selectors(expr.param)
    elif isinstance(expr, Binary):
        yield from selectors(expr.lhs)
        yield from selectors(expr.rhs)


def _supported() -> str:
    return (
        f"supported are the functions {', '.join(RANGE_FUNCTIONS + INSTANT_FUNCTIONS)}, the "
        f"aggregations {', '.join(AGGREGATIONS)} and the operators "
        f"{' '.join(ARITHMETIC + COMPARISONS + SET_OPERATORS)}"
    )


def _check_nesting(text: str) -> None:
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ValueError(f"the expression nests {deepest} deep; at most {MAX_DEPTH} are read")


def _milliseconds(duration: timedelta, what: str) -> int:
    value = round(duration / timedelta(milliseconds=1))
    if what == "offset" and value < 0:
        raise ValueError(
            "a negative offset reads the future, which a rule does not have; remove it"
        )
    if what == "range" and value <= 0:
        raise ValueError("a range must be longer than zero")
    if value > MAX_RANGE_MS:
        raise ValueError(f"the {what} is longer than 400 days; use a shorter one")
    return value


def _convert(node: Any, depth: int) -> Expr:
    if depth > MAX_DEPTH:
        raise ValueError(f"the expression nests more than {MAX_DEPTH} deep; split it into rules")
    converter: Callable[[Any, int], Expr] | None = _CONVERTERS.get(type(node).__name__)
    if converter is None:
        raise ValueError(f"{type(node).__name__} is not supported; {_supported()}")
    return converter(node, depth + 1)


def _number(node: Any, depth: int) -> Expr:
    return Number(float(node.val))


def _string(node: Any, depth: int) -> Expr:
    return Text(node.val)


def _paren(node: Any, depth: int) -> Expr:
    return Paren(_convert(node.expr, depth))


def _unary(node: Any, depth: int) -> Expr:
    return Negate(_convert(node.expr, depth))


def _refuse_at(node: Any) -> None:
    if node.at is not None:
        raise ValueError("the @ modifier is not supported; use offset")


def _selector(node: Any, depth: int) -> Selector:
    _refuse_at(node)
    if node.matchers.or_matchers:
        raise ValueError("`or` between matchers is not PromQL; use =~ with |")
    operators = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
    matchers = [
        Matcher(m.name, operators[str(m.op).rpartition(".")[2]], m.value)
        for m in node.matchers.matchers
    ]
    if node.name is not None:
        matchers.insert(0, Matcher("__name__", "=", node.name))
    for matcher in matchers:
        if _CLASSIC_NAME.fullmatch(matcher.name) is None:
            raise ValueError(f"{matcher.name[:40]!r} is not a label name")
        if len(matcher.value) > 1000:
            raise ValueError("a matcher's value is longer than 1000 characters")
        _check_regex(matcher)
    offset = _milliseconds(node.offset, "offset") if node.offset is not None else 0
    return Selector(tuple(matchers), offset)


def _check_regex(matcher: Matcher) -> None:
    if matcher.op in ("=~", "!~"):
        try:
            matcher.matches(["x"])
        except ValueError as error:
            raise ValueError(f"bad regular expression {matcher.value!r}: {error}") from None


def _matrix(node: Any, depth: int) -> Expr:
    inner = _selector(node.vector_selector, depth)
    range_ms = _milliseconds(node.range, "range")
    return Range(Selector(inner.matchers, 0), range_ms, inner.offset_ms, None)


def _subquery(node: Any, depth: int) -> Expr:
    _refuse_at(node)
    offset = _milliseconds(node.offset, "offset") if node.offset is not None else 0
    step = _milliseconds(node.step, "range") if node.step is not None else 0
    return Range(_convert(node.expr, depth), _milliseconds(node.range, "range"), offset, step)


def _call(node: Any, depth: int) -> Expr:
    name = node.func.name
    if name not in RANGE_FUNCTIONS and name not in INSTANT_FUNCTIONS:
        raise ValueError(f"function {name}() is not supported; {_supported()}")
    call = Call(name, tuple(_convert(arg, depth) for arg in node.args))
    if name == "label_replace":
        _check_label_replace(call)
    return call


def _check_label_replace(call: Call) -> None:
    texts = [arg.value for arg in call.args[1:] if isinstance(arg, Text)]
    if len(texts) != 4:
        raise ValueError("label_replace() takes a vector and four quoted strings")
    target, replacement, source, regex = texts
    for name in (target, source):
        if re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name, re.ASCII) is None:
            raise ValueError(f"label_replace(): {name!r} is not a label name")
    if re.fullmatch(r"(?:[^$\\]|\$\d(?!\w)|\$\{\d\})*", replacement) is None:
        raise ValueError("label_replace(): the replacement may use $1 to $9 and plain text only")
    _check_regex(Matcher(source, "=~", regex))


def _aggregate(node: Any, depth: int) -> Expr:
    op = str(node.op)
    if op not in AGGREGATIONS:
        raise ValueError(f"aggregation {op} is not supported; {_supported()}")
    param = _convert(node.param, depth) if node.param is not None else None
    labels: tuple[str, ...] = ()
    without = False
    if node.modifier is not None:
        labels = tuple(node.modifier.labels)
        without = str(node.modifier.type).endswith("Without")
    return Aggregate(op, _convert(node.expr, depth), param, labels, without)


def _binary(node: Any, depth: int) -> Expr:
    op = str(node.op)
    if op not in ARITHMETIC + COMPARISONS + SET_OPERATORS:
        raise ValueError(f"operator {op} is not supported; {_supported()}")
    lhs, rhs = _convert(node.lhs, depth), _convert(node.rhs, depth)
    modifier = node.modifier
    if modifier is None:
        return Binary(op, lhs, rhs, False, False, (), "one-to-one", ())
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise ValueError("fill modifiers are not supported; use `or`")
    matching = modifier.matching
    on = matching is not None and str(matching.type).endswith("Include")
    labels = tuple(matching.labels) if matching is not None else ()
    card = {"ManyToOne": "many-to-one", "OneToMany": "one-to-many"}.get(
        str(modifier.card).rpartition(".")[2], "one-to-one"
    )
    include = tuple(modifier.group_labels or ())
    return Binary(op, lhs, rhs, modifier.return_bool, on, labels, card, include)


_CONVERTERS: dict[str, Callable[[Any, int], Expr]] = {
    "NumberLiteral": _number,
    "StringLiteral": _string,
    "ParenExpr": _paren,
    "UnaryExpr": _unary,
    "VectorSelector": _selector,
    "MatrixSelector": _matrix,
    "SubqueryExpr": _subquery,
    "Call": _call,
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
}

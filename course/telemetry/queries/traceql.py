"""A subset of TraceQL, executed over spans.

What is executed: span sets ``{ ... }`` whose conditions compare ``name``, ``status``, ``kind``,
``duration`` and attributes (``span.x``, ``resource.x``, ``.x``) with ``=``, ``!=``, ``<``, ``<=``,
``>``, ``>=``, ``=~``, ``!~``, joined by ``&&``, ``||``, ``!`` and parentheses; and the structure of two
span sets or more: ``>`` (child), ``>>`` (descendant), ``<`` (parent), ``<<`` (ancestor). Everything
else of TraceQL (pipelines, arithmetic, metrics) is refused with a reason.
Source: Grafana Tempo 2.x documentation, "TraceQL"; tests compare the grammar with
@grafana/lezer-traceql.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from course.telemetry.queries._scan import (
    Cursor,
    QueryError,
    checked_regex,
    search,
    tokens,
    unquote,
)

Span = dict[str, Any]
Test = Callable[[Span], bool]

_KINDS = {
    "duration": r"\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h)\b",
    "number": r"-?\d+(?:\.\d+)?\b",
    "attribute": r"(?:span|resource)?\.[a-zA-Z_][a-zA-Z0-9_.\-]*",
    "word": r"[a-zA-Z_][a-zA-Z0-9_]*",
    "symbol": r"=~|!~|!=|>=|<=|>>|<<|&&|\|\||[{}()=<>!]",
}
_UNITS_NS = {"ns": 1, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_STATUSES = ("error", "ok", "unset")
_SPAN_KINDS = ("unspecified", "internal", "client", "server", "producer", "consumer")
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SIGNS = ("=", "!=", "=~", "!~", *_ORDER)
_STRUCTURE = (">>", ">", "<<", "<")

Tree = tuple[str, Any, Any] | Test


def parse_traceql(query: str) -> Any:
    """Parse a query of the subset.

    Raises
    ------
    QueryError
        Says what was expected, what was found and where.
    """
    cursor = Cursor(tokens(query, _KINDS, "TraceQL"), "TraceQL")
    tree: Any = _span_set(cursor)
    while cursor.sees(*_STRUCTURE):
        cursor.deeper()
        tree = (cursor.take(*_STRUCTURE), tree, _span_set(cursor))
    if cursor.token.kind != "end":
        cursor.fail("the end of the query (see the supported subset)")
    return tree


def traceql(query: str, spans: Iterable[Span]) -> list[str]:
    """Execute a query over the spans of any number of traces.

    Parameters
    ----------
    query : str
        Of the subset that this module names.
    spans : iterable of dict
        As `course.telemetry.wire.read_otlp` returns them.

    Returns
    -------
    list of str
        The ids of the spans found, in the order of the input. Of ``{a} >> {b}`` these are the
        spans of b that have one of a above them.

    Raises
    ------
    QueryError
        If the query is refused.

    Examples
    --------
    >>> root = {"trace_id": "1", "span_id": "a", "parent_span_id": "", "service": "shop",
    ...         "resource": {}, "name": "GET /", "kind": "SERVER", "status": "ERROR",
    ...         "start_ns": 0, "end_ns": 2_000_000_000, "attributes": {}}
    >>> child = root | {"span_id": "b", "parent_span_id": "a", "service": "db"}
    >>> traceql("{ duration > 1s && status = error }", [root, child])
    ['a', 'b']
    >>> traceql('{ resource.service.name = "shop" } >> { kind = server }', [root, child])
    ['b']
    """
    held = list(spans)
    kept = _execute(parse_traceql(query), held)
    return [span["span_id"] for span in held if _key(span) in kept]


def _key(span: Span) -> tuple[str, str]:
    return span["trace_id"], span["span_id"]


def _execute(tree: Any, spans: list[Span]) -> set[tuple[str, str]]:
    if not isinstance(tree, tuple):
        return {_key(span) for span in spans if tree(span)}
    sign, left, right = tree
    first, second = _execute(left, spans), _execute(right, spans)
    parents = {_key(span): (span["trace_id"], span["parent_span_id"]) for span in spans}
    if sign in (">", ">>"):
        return {key for key in second if _above(key, parents, all_of=sign == ">>") & first}
    found: set[tuple[str, str]] = set()
    for key in first:
        found |= _above(key, parents, all_of=sign == "<<")
    return found & second


def _above(
    key: tuple[str, str], parents: dict[tuple[str, str], tuple[str, str]], *, all_of: bool
) -> set[tuple[str, str]]:
    """The parent of a span, or all that are above it; ends where spans form a ring."""
    found: set[tuple[str, str]] = set()
    place = parents[key]
    while place in parents and place not in found:
        found.add(place)
        if not all_of:
            break
        place = parents[place]
    return found


def _span_set(cursor: Cursor) -> Test:
    cursor.take("{")
    test: Test = (lambda _: True) if cursor.sees("}") else _either(cursor)
    cursor.take("}")
    return test


def _either(cursor: Cursor) -> Test:
    cursor.deeper()
    tests = [_both(cursor)]
    while cursor.sees("||"):
        cursor.take("||")
        tests.append(_both(cursor))
    cursor.shallower()
    return lambda span: any(test(span) for test in tests)


def _both(cursor: Cursor) -> Test:
    tests = [_one(cursor)]
    while cursor.sees("&&"):
        cursor.take("&&")
        tests.append(_one(cursor))
    return lambda span: all(test(span) for test in tests)


def _one(cursor: Cursor) -> Test:
    if cursor.sees("!"):
        cursor.take("!")
        cursor.take("(")
        refused = _either(cursor)
        cursor.take(")")
        return lambda span: not refused(span)
    if cursor.sees("("):
        cursor.take("(")
        inner = _either(cursor)
        cursor.take(")")
        return inner
    return _comparison(cursor)


def _comparison(cursor: Cursor) -> Test:
    field = cursor.take_kind("attribute", "word").text
    if "." not in field and field not in ("name", "status", "kind", "duration"):
        raise QueryError(
            f"TraceQL: {field!r} is no field of a span; an attribute is written span.{field}, "
            f"resource.{field} or .{field}"
        )
    sign = cursor.take(*_SIGNS)
    value = _value(cursor, field)
    if sign in ("=~", "!~"):
        if not isinstance(value, str) or field in ("status", "kind"):
            raise QueryError(f"TraceQL: {sign} compares with a string")
        pattern = checked_regex(value, whole=True)
        return lambda span: _matches(_get(span, field), pattern, sign == "=~")
    if sign in _ORDER and (isinstance(value, str | bool)):
        raise QueryError(f"TraceQL: {field} {sign} needs a number or a duration")
    return lambda span: _holds(_get(span, field), sign, value)


def _value(cursor: Cursor, field: str) -> Any:
    """The value that a field is compared with, which must be of the field's type."""
    words = {"status": _STATUSES, "kind": _SPAN_KINDS}.get(field)
    if words is not None:
        if not cursor.sees(*words):
            cursor.fail(f"one of {', '.join(words)}, without quotes")
        return cursor.step().text
    if field == "duration":
        text = cursor.take_kind("duration").text
        number = text.rstrip("nuµmsh")
        return float(number) * _UNITS_NS[text[len(number) :]]
    if cursor.sees("true", "false"):
        return cursor.step().text == "true"
    kinds = ("string",) if field == "name" else ("string", "number")
    token = cursor.take_kind(*kinds)
    return unquote(token) if token.kind == "string" else float(token.text)


def _get(span: Span, field: str) -> Any:
    if field == "duration":
        return span["end_ns"] - span["start_ns"]
    if field in ("status", "kind"):
        return span[field].lower()
    if field == "name":
        return span["name"]
    scope, _, name = field.partition(".")
    resource = {"service.name": span["service"], **span["resource"]}
    if scope == "resource":
        return resource.get(name)
    return span["attributes"].get(name, None if scope else resource.get(name))


def _matches(found: Any, pattern: str, wanted: bool) -> bool:
    return isinstance(found, str) and search(pattern, found) == wanted


def _holds(found: Any, sign: str, value: Any) -> bool:
    """Whether a comparison holds; never for a missing value or one of another type."""
    kind = bool if isinstance(value, bool) else str if isinstance(value, str) else (int, float)
    if not isinstance(found, kind) or isinstance(found, bool) != isinstance(value, bool):
        return False
    if sign in _ORDER:
        return bool(_ORDER[sign](found, value))
    return bool((found == value) == (sign == "="))

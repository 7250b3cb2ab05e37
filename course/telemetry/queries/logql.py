"""A subset of LogQL, executed over the streams of a push body.

What is executed: a stream selector with ``=``, ``!=``, ``=~``, ``!~``; line filters ``|=``, ``!=``,
``|~``, ``!~``; label filters on labels and structured metadata, with text or numbers, joined by
``and``, ``or``, commas and parentheses; ``count_over_time`` and ``rate`` over a range; ``sum``,
``min``, ``max``, ``avg``, ``count`` with ``by`` or ``without``. Everything else of LogQL (parsers
such as ``| json``, formatting, arithmetic) is refused with a reason.
Source: Grafana Loki 3.x documentation, "LogQL"; tests compare the grammar with @grafana/lezer-logql.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from course.telemetry.durations import parse_duration
from course.telemetry.queries._scan import (
    Cursor,
    QueryError,
    checked_regex,
    search,
    tokens,
    unquote,
)

Labels = dict[str, str]
Test = Callable[[Labels, str], bool]  # labels with structured metadata, line

_KINDS = {
    "comment": r"#[^\n]*",
    "duration": r"(?:\d+(?:ms|y|w|d|h|m|s))+\b",
    "number": r"\d+(?:\.\d+)?\b",
    "word": r"[a-zA-Z_][a-zA-Z0-9_]*",
    "symbol": r"\|=|\|~|!=|!~|=~|==|>=|<=|[{}()\[\],|=<>]",
}
_RANGES = ("count_over_time", "rate")
_AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
    "avg": lambda values: sum(values) / len(values),
    "count": lambda values: float(len(values)),
}
_NUMBERS = {
    "==": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_KEYWORDS = frozenset(["and", "or", "by", "without"]) | set(_RANGES) | set(_AGGREGATIONS)


@dataclass(frozen=True)
class LogQuery:
    """Which streams are read and which of their lines pass."""

    selects: Callable[[Labels], bool]
    passes: tuple[Test, ...]


@dataclass(frozen=True)
class RangeCount:
    """Lines over a range that ends at the time of evaluation."""

    logs: LogQuery
    range_ms: int
    per_second: bool


@dataclass(frozen=True)
class Aggregation:
    """Series put together by their labels."""

    combine: Callable[[list[float]], float]
    names: tuple[str, ...]
    without: bool
    of: Metric


Metric = RangeCount | Aggregation


def parse_logql(query: str) -> LogQuery | Metric:
    """Parse a query of the subset.

    Raises
    ------
    QueryError
        Says what was expected, what was found and where.
    """
    found = [t for t in tokens(query, _KINDS, "LogQL") if t.kind != "comment"]
    cursor = Cursor(found, "LogQL")
    tree = _logs(cursor) if cursor.sees("{") else _metric(cursor)
    if cursor.token.kind != "end":
        cursor.fail("the end of the query (see the supported subset)")
    return tree


def logql(query: str, streams: Iterable[dict[str, Any]], *, at_ns: int | None = None) -> list[Any]:
    """Execute a query over streams.

    Parameters
    ----------
    query : str
        Of the subset that this module names.
    streams : iterable of dict
        As `course.telemetry.wire.read_loki` returns them: labels and entries.
    at_ns : int, optional
        Time of evaluation of a metric query, in nanoseconds since 1970. A range reaches back from
        there; its left end is not part of it, its right end is.

    Returns
    -------
    list
        Of a log query its lines as (nanoseconds, labels, line), in order of time; of a metric
        query its series as (labels, value), in order of labels. Labels include the structured
        metadata, so a count that is not aggregated has one series for every trace id.

    Raises
    ------
    QueryError
        If the query is refused.

    Examples
    --------
    >>> streams = [
    ...     {"labels": {"app": "shop"}, "entries": [(10**9, "a", {}), (2 * 10**9, "b", {})]},
    ... ]
    >>> logql('{app="shop"} |= "b"', streams)
    [(2000000000, {'app': 'shop'}, 'b')]
    >>> logql('sum(count_over_time({app="shop"}[5s]))', streams, at_ns=3 * 10**9)
    [({}, 2.0)]
    """
    tree = parse_logql(query)
    if isinstance(tree, LogQuery):
        return sorted(_lines(tree, streams), key=lambda entry: entry[0])
    if at_ns is None:
        raise QueryError("LogQL: a metric query needs the time at which it is evaluated (at_ns)")
    held = list(streams)
    series = _series(tree, held, at_ns)
    return [(dict(labels), value) for labels, value in sorted(series.items())]


def _lines(query: LogQuery, streams: Iterable[dict[str, Any]]) -> Iterator[tuple[int, Labels, str]]:
    for stream in streams:
        if not query.selects(stream["labels"]):
            continue
        for time, line, metadata in stream["entries"]:
            labels = {**stream["labels"], **metadata}
            if all(passes(labels, line) for passes in query.passes):
                yield time, labels, line


def _series(
    tree: Metric, streams: list[dict[str, Any]], at_ns: int
) -> dict[tuple[tuple[str, str], ...], float]:
    found: dict[tuple[tuple[str, str], ...], list[float]] = {}
    if isinstance(tree, RangeCount):
        begin = at_ns - tree.range_ms * 1_000_000
        weight = 1000 / tree.range_ms if tree.per_second else 1.0
        for time, labels, _ in _lines(tree.logs, streams):
            if begin < time <= at_ns:
                found.setdefault(tuple(sorted(labels.items())), []).append(weight)
        return {labels: float(sum(values)) for labels, values in found.items()}
    for pairs, value in _series(tree.of, streams, at_ns).items():
        kept = tuple((k, v) for k, v in pairs if (k in tree.names) != tree.without)
        found.setdefault(kept, []).append(value)
    return {labels: float(tree.combine(values)) for labels, values in found.items()}


def _metric(cursor: Cursor) -> Metric:
    cursor.deeper()
    if cursor.sees(*_RANGES):
        tree: Metric = _range(cursor)
    elif cursor.sees(*_AGGREGATIONS):
        tree = _aggregation(cursor)
    else:
        cursor.fail("{, or one of " + ", ".join((*_RANGES, *_AGGREGATIONS)))
    cursor.shallower()
    return tree


def _range(cursor: Cursor) -> RangeCount:
    name = cursor.take(*_RANGES)
    cursor.take("(")
    logs = _logs(cursor)
    cursor.take("[")
    token = cursor.take_kind("duration")
    try:
        milliseconds = parse_duration(token.text)
    except ValueError as error:
        raise QueryError(f"LogQL: {error}") from None
    if milliseconds == 0:
        raise QueryError("LogQL: a range must be longer than zero")
    cursor.take("]")
    cursor.take(")")
    return RangeCount(logs, milliseconds, name == "rate")


def _aggregation(cursor: Cursor) -> Aggregation:
    name = cursor.take(*_AGGREGATIONS)
    grouping = _grouping(cursor)
    cursor.take("(")
    of = _metric(cursor)
    cursor.take(")")
    if grouping is None:
        grouping = _grouping(cursor)
    names, without = grouping or ((), False)
    return Aggregation(_AGGREGATIONS[name], names, without, of)


def _grouping(cursor: Cursor) -> tuple[tuple[str, ...], bool] | None:
    if not cursor.sees("by", "without"):
        return None
    without = cursor.take("by", "without") == "without"
    cursor.take("(")
    names = []
    while not cursor.sees(")"):
        names.append(_label(cursor))
        if not cursor.sees(")"):
            cursor.take(",")
            if cursor.sees(")"):
                cursor.fail("a label")
    cursor.take(")")
    return tuple(names), without


def _label(cursor: Cursor) -> str:
    if cursor.token.text in _KEYWORDS:
        cursor.fail("a label's name")
    return cursor.take_kind("word").text


def _logs(cursor: Cursor) -> LogQuery:
    matchers = _selector(cursor)
    passes: list[Test] = []
    while cursor.sees("|=", "!=", "|~", "!~", "|"):
        passes.append(_label_filter(cursor) if cursor.sees("|") else _line_filter(cursor))
    return LogQuery(lambda labels: all(test(labels) for test in matchers), tuple(passes))


def _selector(cursor: Cursor) -> list[Callable[[Labels], bool]]:
    cursor.take("{")
    matchers: list[Callable[[Labels], bool]] = []
    empty = True
    while True:
        name = _label(cursor)
        test = _text_test(cursor.take("=", "!=", "=~", "!~"), unquote(cursor.take_kind("string")))
        empty &= test("")
        matchers.append(lambda labels, name=name, test=test: test(labels.get(name, "")))  # type: ignore[misc]
        if cursor.sees("}"):
            break
        cursor.take(",")
    cursor.take("}")
    if empty:
        raise QueryError("LogQL: a selector needs a matcher that an empty value does not pass")
    return matchers


def _text_test(sign: str, value: str) -> Callable[[str], bool]:
    if sign in ("=", "!="):
        return lambda found: (found == value) == (sign == "=")
    pattern = checked_regex(value, whole=True)
    return lambda found: search(pattern, found) == (sign == "=~")


def _line_filter(cursor: Cursor) -> Test:
    sign = cursor.take("|=", "!=", "|~", "!~")
    value = unquote(cursor.take_kind("string"))
    if sign in ("|=", "!="):
        return lambda _, line: (value in line) == (sign == "|=")
    pattern = checked_regex(value, whole=False)
    return lambda _, line: search(pattern, line) == (sign == "|~")


def _label_filter(cursor: Cursor) -> Test:
    cursor.take("|")
    if cursor.token.text in ("json", "logfmt", "pattern", "regexp", "unpack", "line_format",
                             "label_format", "unwrap", "decolorize", "drop", "keep"):  # fmt: skip
        raise QueryError(
            f"LogQL: | {cursor.token.text} is not executed here; the lines are plain text, and "
            "labels and structured metadata can be compared without a parser"
        )
    return _either(cursor)


def _either(cursor: Cursor) -> Test:
    cursor.deeper()
    tests = [_both(cursor)]
    while cursor.sees("or"):
        cursor.take("or")
        tests.append(_both(cursor))
    cursor.shallower()
    return lambda labels, line: any(test(labels, line) for test in tests)


def _both(cursor: Cursor) -> Test:
    tests = [_comparison(cursor)]
    while cursor.sees("and", ","):
        cursor.take("and", ",")
        tests.append(_comparison(cursor))
    return lambda labels, line: all(test(labels, line) for test in tests)


def _comparison(cursor: Cursor) -> Test:
    if cursor.sees("("):
        cursor.take("(")
        inner = _either(cursor)
        cursor.take(")")
        return inner
    name = _label(cursor)
    sign = cursor.take("=", "!=", "=~", "!~", *_NUMBERS)
    if sign in _NUMBERS or (sign in ("=", "!=") and cursor.token.kind == "number"):
        limit = float(cursor.take_kind("number").text)
        compare = operator.ne if sign == "!=" else _NUMBERS["==" if sign == "=" else sign]
        return lambda labels, _: _compared(labels.get(name), compare, limit)
    test = _text_test(sign, unquote(cursor.take_kind("string")))
    return lambda labels, _: test(labels.get(name, ""))


def _compared(value: str | None, compare: Callable[[float, float], bool], limit: float) -> bool:
    try:
        return value is not None and compare(float(value), limit)
    except ValueError:
        return False

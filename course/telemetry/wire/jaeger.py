"""Jaeger's JSON: what its query service answers at ``/api/traces`` and its page uploads.

Source: Jaeger 1.x and 2.x, the Go types of ``internal/uimodel/model.go``. Jaeger takes spans as
OTLP; this is how it gives them back.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    FormatError,
    Reader,
    array,
    boolean,
    fail,
    integer,
    matching,
    number,
    one_of,
    parse_json,
    record,
    table,
    text,
)

_TRACE_ID = matching(r"[0-9a-f]{16}|[0-9a-f]{32}", "16 or 32 hexadecimal digits")
_SPAN_ID = matching(r"[0-9a-f]{16}", "16 hexadecimal digits")
_MICROS = integer(0, 2**63 - 1, "whole microseconds as a number")


def _whole(value: Any, where: str) -> int:
    # 64-bit values come as strings where a browser's doubles would lose digits.
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 21:
        return int(value)
    return integer(-(2**63), 2**63 - 1, "a 64-bit integer")(value, where)


_VALUES: dict[str, Reader] = {
    "string": text,
    "bool": boolean,
    "int64": _whole,
    "float64": number,
    "binary": text,
}


def _tag(value: Any, where: str) -> tuple[str, Any]:
    loose = record({"key": text, "type": one_of(*_VALUES), "value": lambda item, _: item}, {})(
        value, where
    )
    return loose["key"], _VALUES[loose["type"]](loose["value"], f"{where}.value")


_TAGS = array(_tag)
_REFERENCE = record(
    {"refType": one_of("CHILD_OF", "FOLLOWS_FROM"), "traceID": _TRACE_ID, "spanID": _SPAN_ID}, {}
)


def _nullable(reader: Reader) -> Reader:
    return lambda value, where: None if value is None else reader(value, where)


_SPAN = record(
    {
        "traceID": _TRACE_ID,
        "spanID": _SPAN_ID,
        "operationName": text,
        "references": array(_REFERENCE),
        "startTime": _MICROS,
        "duration": _MICROS,
        "tags": _TAGS,
        "logs": array(record({"timestamp": _MICROS, "fields": _TAGS}, {})),
        "processID": text,
    },
    {"flags": integer(0, 2**32 - 1), "warnings": _nullable(array(text))},
)
_TRACE = record(
    {
        "traceID": _TRACE_ID,
        "spans": array(_SPAN),
        "processes": table(record({"serviceName": text}, {"tags": _TAGS})),
    },
    {"warnings": _nullable(array(text))},
)
_ANSWER = record(
    {"data": array(_TRACE)},
    {
        "total": integer(0, 2**31),
        "limit": integer(0, 2**31),
        "offset": integer(0, 2**31),
        "errors": _nullable(array(lambda item, _: item)),
    },
)


def read_jaeger(body: str) -> list[dict[str, Any]]:
    """Read an answer of Jaeger's query service.

    Returns
    -------
    list of dict
        One dict a span: trace_id, span_id, parent_span_id ("" without a CHILD_OF reference),
        service (from the table of processes), name, start_us, duration_us, tags.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where; also where a span names a process that
        the table lacks, or another trace than the one it stands in.

    Examples
    --------
    >>> read_jaeger('{"data": []}')
    []
    """
    spans = []
    for trace in _ANSWER(parse_json(body, "Jaeger JSON"), "")["data"]:
        for span in trace["spans"]:
            process = trace["processes"].get(span["processID"])
            if process is None:
                fail("processID", "a key of the trace's processes", span["processID"])
            if span["traceID"] != trace["traceID"]:
                raise FormatError(f"span {span['spanID']} stands in trace {trace['traceID']}")
            parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
            spans.append(
                {
                    "trace_id": span["traceID"],
                    "span_id": span["spanID"],
                    "parent_span_id": parents[0] if parents else "",
                    "service": process["serviceName"],
                    "name": span["operationName"],
                    "start_us": span["startTime"],
                    "duration_us": span["duration"],
                    "tags": dict(span["tags"]),
                }
            )
    return spans

"""Loki's push body: what it takes at ``/loki/api/v1/push`` as JSON.

Source: Grafana Loki 3.x, "Loki HTTP API", "Ingest logs", and its default limits (15 labels a
stream, names of labels as in Prometheus).
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    UINT64,
    FormatError,
    array,
    decimal,
    fail,
    filled,
    matching,
    parse_json,
    record,
    table,
    text,
)

MAX_LABELS = 15
_NANOS = decimal(
    *UINT64, 'nanoseconds since 1970 as a decimal string such as "1700000000000000000"'
)
_LABELS = table(filled, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "a name of letters, digits and _"))
_METADATA = table(text)


def _entry(value: Any, where: str) -> tuple[int, str, dict[str, str]]:
    if not isinstance(value, list) or len(value) not in (2, 3):
        fail(where, "[time, line] or [time, line, {structured metadata}]", value)
    metadata = _METADATA(value[2], f"{where}[2]") if len(value) == 3 else {}
    return _NANOS(value[0], f"{where}[0]"), text(value[1], f"{where}[1]"), metadata


_PUSH = record({"streams": array(record({"stream": _LABELS, "values": array(_entry)}, {}))}, {})


def read_loki(body: str) -> list[dict[str, Any]]:
    """Read a push body.

    Returns
    -------
    list of dict
        One dict a stream, in the order of the text: labels (dict) and entries, a list of
        (nanoseconds, line, structured metadata).

    Raises
    ------
    FormatError
        Says what was expected, what was found and where.

    Examples
    --------
    >>> read_loki('{"streams": [{"stream": {"app": "shop"}, "values": [["1", "hello"]]}]}')
    [{'labels': {'app': 'shop'}, 'entries': [(1, 'hello', {})]}]
    """
    streams = _PUSH(parse_json(body, "Loki push"), "")["streams"]
    for place, stream in enumerate(streams):
        if not 1 <= len(stream["stream"]) <= MAX_LABELS:
            raise FormatError(
                f"streams[{place}].stream: expected 1 to {MAX_LABELS} labels, "
                f"found {len(stream['stream'])}"
            )
    return [{"labels": stream["stream"], "entries": stream["values"]} for stream in streams]

"""Zipkin v2 JSON: what a Zipkin server takes at ``/api/v2/spans``.

Source: openzipkin/zipkin-api, ``zipkin2-api.yaml`` 1.0.0.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    array,
    boolean,
    integer,
    matching,
    one_of,
    parse_json,
    record,
    table,
    text,
)

_ID = matching(r"(?!0+$)[0-9a-f]{16}", "16 lower-case hexadecimal digits that are not all 0")
_TRACE_ID = matching(
    r"(?!0+$)[0-9a-f]{16}(?:[0-9a-f]{16})?",
    "16 or 32 lower-case hexadecimal digits that are not all 0",
)
_MICROS = integer(1, 2**63 - 1, "whole microseconds as a number, at least 1")
_ENDPOINT = record(
    {},
    {"serviceName": text, "ipv4": text, "ipv6": text, "port": integer(0, 65_535, "a port")},
)
_SPAN = record(
    {"traceId": _TRACE_ID, "id": _ID},
    {
        "parentId": _ID,
        "name": text,
        "kind": one_of("CLIENT", "SERVER", "PRODUCER", "CONSUMER"),
        "timestamp": _MICROS,
        "duration": _MICROS,
        "debug": boolean,
        "shared": boolean,
        "localEndpoint": _ENDPOINT,
        "remoteEndpoint": _ENDPOINT,
        "annotations": array(record({"timestamp": _MICROS, "value": text}, {})),
        "tags": table(text),
    },
)
_SPANS = array(_SPAN)


def read_zipkin(body: str) -> list[dict[str, Any]]:
    """Read a list of Zipkin v2 spans.

    Returns
    -------
    list of dict
        One dict a span: trace_id, span_id, parent_span_id ("" for a root), service, name, kind
        ("" where the key is absent), start_us, duration_us (None where absent), tags.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where.

    Examples
    --------
    >>> read_zipkin('[{"traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad"}]')[0]["kind"]
    ''
    """
    return [
        {
            "trace_id": span["traceId"],
            "span_id": span["id"],
            "parent_span_id": span.get("parentId", ""),
            "service": span.get("localEndpoint", {}).get("serviceName", ""),
            "name": span.get("name", ""),
            "kind": span.get("kind", ""),
            "start_us": span.get("timestamp"),
            "duration_us": span.get("duration"),
            "tags": span.get("tags", {}),
        }
        for span in _SPANS(parse_json(body, "Zipkin v2 JSON"), "")
    ]

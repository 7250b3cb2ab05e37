"""OTLP as JSON: what an OpenTelemetry Collector, Tempo or Jaeger takes at ``/v1/traces``.

Source: OpenTelemetry Protocol specification 1.x, "JSON Protobuf Encoding", and opentelemetry-proto
1.x, ``trace.proto``. Two rules differ from Protobuf's own JSON mapping: ids are hexadecimal, not
base64, and enums are integers.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    INT64,
    UINT32,
    UINT64,
    FormatError,
    array,
    boolean,
    decimal,
    fail,
    integer,
    matching,
    number,
    parse_json,
    record,
    text,
)

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES = ("UNSET", "OK", "ERROR")

_NANOS = decimal(
    *UINT64, 'nanoseconds since 1970 as a decimal string such as "1700000000000000000"'
)
_INT = decimal(*INT64, 'a 64-bit integer as a decimal string such as "200"')
_COUNT = integer(*UINT32, "an integer from 0 to 2^32 - 1")


def _identifier(digits: int) -> Any:
    return matching(
        rf"(?!0+$)[0-9a-fA-F]{{{digits}}}", f"{digits} hexadecimal digits that are not all 0"
    )


def _parent(value: Any, where: str) -> str:
    return "" if value == "" else _identifier(16)(value, where)


def _double(value: Any, where: str) -> float:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    return float(number(value, where))


def _any_value(value: Any, where: str) -> Any:
    """Read an AnyValue: an object that names its type by its one key."""
    if not isinstance(value, dict) or len(value) != 1:
        fail(where, 'an object of one key such as {"stringValue": "a"}', value)
    (kind,) = value
    if kind not in _VALUES:
        fail(where, "one of the keys " + ", ".join(_VALUES), kind)
    return _VALUES[kind](value[kind], f"{where}.{kind}")


def _list_value(value: Any, where: str) -> list[Any]:
    return record({}, {"values": array(_any_value)})(value, where).get("values", [])


def _map_value(value: Any, where: str) -> dict[str, Any]:
    return record({}, {"values": _attributes})(value, where).get("values", {})


_VALUES = {
    "stringValue": text,
    "boolValue": boolean,
    "intValue": _INT,
    "doubleValue": _double,
    "arrayValue": _list_value,
    "kvlistValue": _map_value,
    "bytesValue": matching(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", "base64"
    ),
}


def _attributes(value: Any, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in array(record({"key": text, "value": _any_value}, {}))(value, where):
        if pair["key"] in found:
            fail(where, "every key once", pair["key"])
        found[pair["key"]] = pair["value"]
    return found


_EVENT = record(
    {"timeUnixNano": _NANOS, "name": text},
    {"attributes": _attributes, "droppedAttributesCount": _COUNT},
)
_LINK = record(
    {"traceId": _identifier(32), "spanId": _identifier(16)},
    {
        "traceState": text,
        "attributes": _attributes,
        "droppedAttributesCount": _COUNT,
        "flags": _COUNT,
    },
)
_STATUS = record({}, {"message": text, "code": integer(0, 2, "0 (unset), 1 (ok) or 2 (error)")})
_SPAN = record(
    {
        "traceId": _identifier(32),
        "spanId": _identifier(16),
        "name": text,
        "startTimeUnixNano": _NANOS,
        "endTimeUnixNano": _NANOS,
    },
    {
        "traceState": text,
        "parentSpanId": _parent,
        "flags": _COUNT,
        "kind": integer(0, 5, "an integer from 0 to 5 (1 internal, 2 server, 3 client, ...)"),
        "attributes": _attributes,
        "droppedAttributesCount": _COUNT,
        "events": array(_EVENT),
        "droppedEventsCount": _COUNT,
        "links": array(_LINK),
        "droppedLinksCount": _COUNT,
        "status": _STATUS,
    },
)
_SCOPE = record(
    {},
    {"name": text, "version": text, "attributes": _attributes, "droppedAttributesCount": _COUNT},
)
_SCOPE_SPANS = record({"spans": array(_SPAN)}, {"scope": _SCOPE, "schemaUrl": text})
_RESOURCE = record({}, {"attributes": _attributes, "droppedAttributesCount": _COUNT})
_REQUEST = record(
    {
        "resourceSpans": array(
            record({"resource": _RESOURCE, "scopeSpans": array(_SCOPE_SPANS)}, {"schemaUrl": text})
        )
    },
    {},
)


def read_otlp(body: str) -> list[dict[str, Any]]:
    """Read the JSON of an ExportTraceServiceRequest.

    Parameters
    ----------
    body : str
        What is sent to ``/v1/traces`` with the content type ``application/json``.

    Returns
    -------
    list of dict
        One dict a span, in the order of the text: trace_id, span_id, parent_span_id ("" for a
        root) in lower case, service (the resource's ``service.name``), resource (its other
        attributes), name, kind, start_ns, end_ns, status, attributes.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where.

    Examples
    --------
    >>> read_otlp('{"resourceSpans": []}')
    []
    """
    found = _REQUEST(parse_json(body, "OTLP/JSON"), "")
    spans = []
    for place, group in enumerate(found["resourceSpans"]):
        resource = dict(group["resource"].get("attributes", {}))
        service = resource.pop("service.name", None)
        if not isinstance(service, str) or not service:
            raise FormatError(
                f"resourceSpans[{place}].resource.attributes: expected service.name as a "
                f"stringValue, found {service!r:.80}"
            )
        for scope in group["scopeSpans"]:
            spans += [_plain(span, service, resource) for span in scope["spans"]]
    return spans


def _plain(found: dict[str, Any], service: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "trace_id": found["traceId"].lower(),
        "span_id": found["spanId"].lower(),
        "parent_span_id": found.get("parentSpanId", "").lower(),
        "service": service,
        "resource": resource,
        "name": found["name"],
        "kind": KINDS[found.get("kind", 0)],
        "start_ns": found["startTimeUnixNano"],
        "end_ns": found["endTimeUnixNano"],
        "status": STATUSES[found.get("status", {}).get("code", 0)],
        "attributes": found.get("attributes", {}),
    }

"""OTLP as JSON: spans and log records to and from the wire format.

The mapping is Protobuf's JSON mapping with two changes that OTLP demands: trace and span ids are
hexadecimal, not base64, and enums are integers. 64-bit integers are strings.
Source: OpenTelemetry Protocol specification 1.x, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
#: Severity numbers of the OpenTelemetry log data model.
SEVERITY = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}


def any_value(value: Any) -> dict[str, Any]:
    """Encode one attribute value.

    Examples
    --------
    >>> any_value(3), any_value([True, "a"])
    ({'intValue': '3'}, {'arrayValue': {'values': [{'boolValue': True}, {'stringValue': 'a'}]}})
    """
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _special(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes(value)}}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": str(value)}


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def attributes(values: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Encode attributes, in the order in which they were set."""
    return [{"key": key, "value": any_value(value)} for key, value in (values or {}).items()]


def encode_spans(spans: Iterable[ReadableSpan]) -> dict[str, Any]:
    """Encode finished spans as an ExportTraceServiceRequest.

    Parameters
    ----------
    spans : iterable of ReadableSpan
        As the SDK hands them to an exporter.

    Returns
    -------
    dict
        Ready for ``json.dumps``; grouped by resource and instrumentation scope.
    """
    groups: dict[tuple[Any, Any], list[ReadableSpan]] = {}
    for span in spans:
        groups.setdefault((span.resource, span.instrumentation_scope), []).append(span)
    resources: dict[Resource, list[dict[str, Any]]] = {}
    for (resource, scope), members in groups.items():
        entry: dict[str, Any] = {"spans": [_span(span) for span in members]}
        if scope is not None:
            entry["scope"] = {"name": scope.name}
            if scope.version:
                entry["scope"]["version"] = scope.version
        resources.setdefault(resource, []).append(entry)
    return {
        "resourceSpans": [
            {"resource": {"attributes": attributes(resource.attributes)}, "scopeSpans": scopes}
            for resource, scopes in resources.items()
        ]
    }


def _span(span: ReadableSpan) -> dict[str, Any]:
    context: SpanContext = span.get_span_context()  # type: ignore[assignment]
    remote = span.parent is not None and span.parent.is_remote
    found: dict[str, Any] = {
        **_ids(context),
        "name": span.name,
        "kind": span.kind.value + 1,  # the SDK counts from INTERNAL = 0, OTLP from 1
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "flags": int(context.trace_flags) | _HAS_IS_REMOTE | (_IS_REMOTE if remote else 0),
    }
    if span.parent is not None:
        found["parentSpanId"] = f"{span.parent.span_id:016x}"
    if span.attributes:
        found["attributes"] = attributes(span.attributes)
    if span.events:
        found["events"] = [
            {
                "timeUnixNano": str(event.timestamp),
                "name": event.name,
                **({"attributes": attributes(event.attributes)} if event.attributes else {}),
            }
            for event in span.events
        ]
    if span.links:
        found["links"] = [
            {
                **_ids(link.context),
                **({"attributes": attributes(link.attributes)} if link.attributes else {}),
                "flags": int(link.context.trace_flags)
                | _HAS_IS_REMOTE
                | (_IS_REMOTE if link.context.is_remote else 0),
            }
            for link in span.links
        ]
    if span.status.status_code.value:
        found["status"] = {"code": span.status.status_code.value}
        if span.status.description:
            found["status"]["message"] = span.status.description
    for name in ("attributes", "events", "links"):
        if dropped := getattr(span, f"dropped_{name}"):
            found[f"dropped{name.capitalize()}Count"] = dropped
    return found


def _ids(context: SpanContext) -> dict[str, Any]:
    found = {"traceId": f"{context.trace_id:032x}", "spanId": f"{context.span_id:016x}"}
    if context.trace_state:
        found["traceState"] = context.trace_state.to_header()
    return found


def encode_logs(
    resource: Mapping[str, Any], records: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Encode log records as an ExportLogsServiceRequest.

    Parameters
    ----------
    resource : mapping
        Attributes of the process.
    records : iterable of mapping
        ``time_unix_nano``, ``level``, ``message``, ``attributes``, and ``trace_id`` and
        ``span_id`` in hexadecimal, "" where the line belongs to no request.
    """
    lines = []
    for record in records:
        line: dict[str, Any] = {
            "timeUnixNano": str(record["time_unix_nano"]),
            "observedTimeUnixNano": str(record["time_unix_nano"]),
            "severityNumber": SEVERITY[record["level"]],
            "severityText": record["level"],
            "body": {"stringValue": record["message"]},
        }
        if record["attributes"]:
            line["attributes"] = attributes(record["attributes"])
        if record["trace_id"]:
            line |= {"traceId": record["trace_id"], "spanId": record["span_id"], "flags": 1}
        lines.append(line)
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeLogs": [{"scope": {"name": "course.testbed"}, "logRecords": lines}],
            }
        ]
    }

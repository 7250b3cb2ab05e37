"""OTLP/HTTP JSON requests to rows: tolerant of what is unknown, exact about what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

_HEX32, _HEX16 = re.compile(r"[0-9a-fA-F]{32}"), re.compile(r"[0-9a-fA-F]{16}")
_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_MAX_NS = 1 << 63

Rows = tuple[list[dict[str, Any]], int, str]


class BadRequest(Exception):
    """A request that is refused as a whole, with its HTTP code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def grpc_code(self) -> int:
        """The code of google.rpc.Status that goes with the HTTP code (3: invalid argument)."""
        return {404: 5, 413: 8, 415: 12}.get(self.code, 3)


def span_rows(request: Any) -> Rows:
    """Read an ExportTraceServiceRequest.

    Returns
    -------
    (list of dict, int, str)
        Rows, the number of spans that were rejected, and why the first one was.

    Raises
    ------
    BadRequest
        The request is not made of resources, scopes and spans.
    """
    return _rows(request, ("resourceSpans", "scopeSpans", "spans"), _span_row)


def log_rows(request: Any) -> Rows:
    """Read an ExportLogsServiceRequest; see `span_rows`."""
    return _rows(request, ("resourceLogs", "scopeLogs", "logRecords"), _log_row)


def _rows(request: Any, names: tuple[str, str, str], read: Callable[..., dict[str, Any]]) -> Rows:
    rows: list[dict[str, Any]] = []
    rejected, why = 0, ""
    if not isinstance(request, dict):
        raise BadRequest(400, f"the body is a {type(request).__name__}; send a JSON object")
    for resource in _objects(request, names[0]):
        about = resource.get("resource") or {}
        if not isinstance(about, dict):
            raise BadRequest(400, f"resource of {names[0]} is no object")
        try:
            service = str(_attributes(about).get("service.name", "unknown_service"))
        except (ValueError, TypeError, AttributeError) as error:
            raise BadRequest(400, f"resource of {names[0]}: {error}") from None
        for scope in _objects(resource, names[1]):
            for record in _list(scope, names[2]):
                try:
                    rows.append(read(record, service))
                except (ValueError, TypeError, AttributeError) as error:
                    rejected += 1
                    why = why or f"{names[2]}: {error}"
    return rows, rejected, why


def _list(parent: dict[str, Any], name: str) -> list[Any]:
    found = parent.get(name) or []
    if not isinstance(found, list):
        raise BadRequest(400, f"{name} is a {type(found).__name__}; send a list")
    return found


def _objects(parent: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    for item in _list(parent, name):
        if not isinstance(item, dict):
            raise BadRequest(400, f"{name} holds a {type(item).__name__}; send objects")
        yield item


def _span_row(span: Any, service: str) -> dict[str, Any]:
    start, end = (_nanoseconds(span, name) for name in ("startTimeUnixNano", "endTimeUnixNano"))
    if end < start:
        raise ValueError(f"the span ends {start - end} ns before it starts")
    attributes = _attributes(span)
    kind = int(span.get("kind") or 0)
    status = span.get("status") or {}
    return {
        "trace_id": _identity(span, "traceId", _HEX32),
        "span_id": _identity(span, "spanId", _HEX16),
        "parent_span_id": _identity(span, "parentSpanId", _HEX16)
        if span.get("parentSpanId")
        else "",
        "service": service,
        "operation": str(span.get("name", "")),
        "kind": _KINDS[kind] if 0 <= kind < len(_KINDS) else _KINDS[0],
        "start_ns": start,
        "duration_ms": (end - start) / 1e6,
        "status": "ERROR" if int(status.get("code") or 0) == 2 else "OK",
        "code": _small(attributes.get("http.response.status_code")),
        "peer": str(attributes.get("server.address", "")) if kind == 3 else "",
        "error": str(attributes.get("error.type", "")),
    }


def _log_row(record: Any, service: str) -> dict[str, Any]:
    attributes = _attributes(record)
    time = _nanoseconds(record, "timeUnixNano") or _nanoseconds(record, "observedTimeUnixNano")
    trace_id, span_id = record.get("traceId"), record.get("spanId")
    return {
        "time_ns": time,
        "service": service,
        "level": str(record.get("severityText") or record.get("severityNumber") or ""),
        "template_id": str(attributes.get("template_id", "")),
        "message": str(_value(record.get("body") or {"stringValue": ""})),
        "trace_id": _identity(record, "traceId", _HEX32) if trace_id else "",
        "span_id": _identity(record, "spanId", _HEX16) if span_id else "",
    }


def _identity(record: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    found = record.get(name)
    if not isinstance(found, str) or not pattern.fullmatch(found) or not found.strip("0"):
        digits = 32 if pattern is _HEX32 else 16
        raise ValueError(f"{name} is {str(found)[:60]!r}; it must be {digits} hexadecimal digits")
    return found.lower()


def _nanoseconds(record: dict[str, Any], name: str) -> int:
    value = record.get(name) or 0
    if isinstance(value, (bool, float)) or not isinstance(value, (str, int)):
        raise ValueError(f"{name} is {str(value)[:60]!r}; it must be an integer")
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 20):
        raise ValueError(f"{name} is {value[:60]!r}; it must be an integer")
    if not 0 <= int(value) < _MAX_NS:
        raise ValueError(f"{name} is {str(value)[:60]}, outside of 64 bits")
    return int(value)


def _small(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 1000 else 0


def _attributes(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    entries = record.get("attributes") or []
    if not isinstance(entries, list):
        raise ValueError("attributes is no list")
    for entry in entries:
        found[str(entry.get("key"))] = _value(entry.get("value") or {})
    return found


def _value(value: Any) -> Any:
    """Decode an AnyValue; kinds that are not known read as text."""
    if "intValue" in value:
        return int(value["intValue"])
    if "arrayValue" in value:
        return [_value(item) for item in (value["arrayValue"] or {}).get("values", [])]
    for name in ("stringValue", "boolValue", "doubleValue"):
        if name in value:
            return value[name]
    return str(value)

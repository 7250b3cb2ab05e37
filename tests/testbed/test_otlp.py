"""OTLP/HTTP JSON: what is sent is what the specification's own parser reads."""

from __future__ import annotations

import base64
import copy
import json
import math
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from course.testbed.otlp import any_value, encode_logs, encode_spans
from course.testbed.wire import span_rows


def _spans() -> list[ReadableSpan]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "cart", "process.pid": 7}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("course.testbed", "1.0")
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        root.set_attributes({"a": 1, "b": 2.5, "c": True, "d": "x", "e": [1, 2], "n": math.nan})
        link = Link(root.get_span_context(), {"why": "test"})
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT, links=[link]) as child:
            child.add_event("retry", {"attempt": 2})
            child.set_status(Status(StatusCode.ERROR, "timeout"))
    return list(memory.get_finished_spans())


def _parsed(request: dict[str, Any], message: Any) -> Any:
    """Read with the official classes, after undoing OTLP's one change: ids in hexadecimal."""
    changed = copy.deepcopy(request)

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                if name in ("traceId", "spanId", "parentSpanId"):
                    node[name] = base64.b64encode(bytes.fromhex(value)).decode()
                walk(node[name])
        elif isinstance(node, list):
            for item in node:
                walk(item)

    walk(changed)
    return json_format.Parse(json.dumps(changed), message, ignore_unknown_fields=False)


def test_spans_are_what_the_sdk_holds() -> None:
    spans = _spans()
    request = _parsed(encode_spans(spans), ExportTraceServiceRequest())
    (resource,) = request.resource_spans
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.scope.version) == ("course.testbed", "1.0")
    assert {a.key for a in resource.resource.attributes} == {"service.name", "process.pid"}
    for sent, span in zip(scope.spans, spans, strict=True):
        context = span.get_span_context()
        assert context is not None
        assert int.from_bytes(sent.trace_id, "big") == context.trace_id
        assert int.from_bytes(sent.span_id, "big") == context.span_id
        assert (sent.start_time_unix_nano, sent.end_time_unix_nano) == (
            span.start_time,
            span.end_time,
        )
        assert sent.kind == span.kind.value + 1
        assert sent.status.code == span.status.status_code.value
    child, root = scope.spans
    assert child.parent_span_id == root.span_id
    assert not root.parent_span_id
    assert child.status.message == "timeout"
    assert child.events[0].name == "retry"
    assert child.links[0].span_id == root.span_id
    kinds = [a.value.WhichOneof("value") for a in root.attributes]
    assert kinds == [f"{k}_value" for k in ("int", "double", "bool", "string", "array", "double")]


def test_ids_are_hexadecimal_and_long_integers_are_strings() -> None:
    (resource,) = encode_spans(_spans())["resourceSpans"]
    span = resource["scopeSpans"][0]["spans"][0]
    assert len(bytes.fromhex(span["traceId"])) == 16
    assert len(bytes.fromhex(span["parentSpanId"])) == 8
    assert isinstance(span["startTimeUnixNano"], str)
    assert isinstance(span["kind"], int)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (True, {"boolValue": True}),
        (2**60, {"intValue": str(2**60)}),
        (math.inf, {"doubleValue": "Infinity"}),
        (b"\x00\xff", {"bytesValue": "AP8="}),
        ({"a": 1}, {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}),
    ],
)
def test_values(value: Any, encoded: dict[str, Any]) -> None:
    assert any_value(value) == encoded


def test_logs_are_read_by_the_official_parser() -> None:
    record = {
        "time_unix_nano": 5, "level": "ERROR", "message": "no", "trace_id": "ab" * 16,
        "span_id": "cd" * 8, "attributes": {"template_id": "failed"},
    }  # fmt: skip
    request = _parsed(
        encode_logs({"service.name": "cart"}, [record, {**record, "trace_id": "", "span_id": ""}]),
        ExportLogsServiceRequest(),
    )
    with_trace, without = request.resource_logs[0].scope_logs[0].log_records
    assert with_trace.trace_id == b"\xab" * 16
    assert (with_trace.severity_number, with_trace.body.string_value) == (17, "no")
    assert without.trace_id == b""


def test_the_receiver_reads_what_is_sent() -> None:
    rows, rejected, _ = span_rows(encode_spans(_spans()))
    child, root = rows
    assert rejected == 0
    assert child["parent_span_id"] == root["span_id"]
    assert (child["status"], root["status"]) == ("ERROR", "OK")
    assert root["service"] == "cart"

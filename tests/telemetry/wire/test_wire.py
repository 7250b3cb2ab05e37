"""The readers against the official clients and models, and what they refuse."""

from __future__ import annotations

import base64
import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from course.telemetry import wire

ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))
READERS = {
    "datadog": wire.read_datadog,
    "dynatrace": wire.read_dynatrace,
    "newrelic": wire.read_newrelic,
    "zipkin": wire.read_zipkin,
    "elasticsearch": wire.read_bulk,
}
ALL = [getattr(wire, name) for name in wire.__all__ if name.startswith("read_")]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _near(found: Any, meant: Any) -> bool:
    """Equal, but for the digits that a client leaves out of very large and small numbers."""
    if isinstance(meant, dict):
        return all(_near(found[key], value) for key, value in meant.items())
    if isinstance(meant, float):
        return math.isclose(found, meant, rel_tol=1e-8)
    return bool(found == meant)


@pytest.mark.parametrize("name", READERS)
def test_what_an_official_client_writes_is_read_as_it_was_meant(name):
    written = ANSWERS[name]["written"]
    assert len(written) >= 20
    for one in written:
        found = _plain(READERS[name](one["body"]))
        assert len(found) == len(one["meant"])
        assert all(_near(f, m) for f, m in zip(found, one["meant"], strict=True)), one["body"]


def test_what_the_official_model_of_datadog_refuses_is_refused():
    judged = ANSWERS["datadog"]["judged"]
    refused = [one["body"] for one in judged if not one["taken"]]
    assert len(refused) > 50
    for body in refused:
        with pytest.raises(wire.FormatError):
            wire.read_datadog(body)
    assert wire.read_datadog(judged[0]["body"])


# ---------------------------------------------------------------- OTLP against Protobuf's parser

IDS = st.tuples(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
KEYS = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}


def _value(value: Any) -> dict[str, Any]:
    return {KEYS[type(value)]: str(value) if type(value) is int else value}


def _protobuf(body: dict[str, Any]) -> ExportTraceServiceRequest:
    """Parse by Protobuf's mapping, which wants ids in base64."""
    content = json.loads(json.dumps(body))
    for resource in content["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    if key in span:
                        span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    return json_format.ParseDict(content, ExportTraceServiceRequest())


def _body(span: dict[str, Any]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


GOOD = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "",
    "name": "GET",
    "kind": 2,
    "startTimeUnixNano": "1700000000000000001",
    "endTimeUnixNano": "1700000000000000002",
    "status": {"code": 2, "message": "no"},
    "attributes": [{"key": "a", "value": {"intValue": "1"}}],
    "events": [{"timeUnixNano": "1", "name": "e"}],
    "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}],
    "flags": 257,
    "droppedAttributesCount": 1,
}


@given(
    ids=IDS,
    times=st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    kind=st.integers(0, 5),
    code=st.integers(0, 2),
    attributes=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
)
def test_otlp_is_read_as_protobuf_reads_it(ids, times, kind, code, attributes):
    span = {
        "traceId": f"{ids[0]:032x}",
        "spanId": f"{ids[1]:016x}",
        "name": "GET",
        "kind": kind,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "status": {"code": code},
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
    }
    body = _body(span)
    (found,) = wire.read_otlp(json.dumps(body))
    official = _protobuf(body).resource_spans[0].scope_spans[0].spans[0]
    assert found["trace_id"] == official.trace_id.hex()
    assert found["span_id"] == official.span_id.hex()
    assert (found["start_ns"], found["end_ns"]) == (
        official.start_time_unix_nano,
        official.end_time_unix_nano,
    )
    assert wire.otlp.KINDS.index(found["kind"]) == official.kind
    assert wire.otlp.STATUSES.index(found["status"]) == official.status.code
    theirs = {
        a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in official.attributes
    }
    assert found["attributes"] == theirs


def test_what_protobuf_refuses_of_a_span_is_refused():
    assert wire.read_otlp(json.dumps(_body(GOOD)))
    _protobuf(_body({**GOOD, "links": []}))
    seen = 0
    for key in GOOD:
        for other in ("text", -1, 2**70, 1.5, True, [], {}, [1], {"zzz": 1}, str(2**70)):
            body = _body({**GOOD, "links": [], key: other})
            try:
                _protobuf(body)
            except (json_format.ParseError, ValueError, TypeError, AttributeError):
                seen += 1
                with pytest.raises(wire.FormatError):
                    wire.read_otlp(json.dumps(body))
    assert seen > 60


# ---------------------------------------------------------------- what is refused

SPAN = {"traceId": "463ac35c9f6413ad", "id": "463ac35c9f6413ad"}
JAEGER = {
    "traceID": "463ac35c9f6413ad", "spanID": "463ac35c9f6413ad", "operationName": "a",
    "references": [], "startTime": 1, "duration": 1, "tags": [], "logs": [], "processID": "p1",
}  # fmt: skip


def _jaeger(**changes: Any) -> str:
    span = {**JAEGER, **changes}
    trace = {"traceID": JAEGER["traceID"], "spans": [span]}
    return json.dumps({"data": [{**trace, "processes": {"p1": {"serviceName": "shop"}}}]})


def _loki(stream: Any = None, values: Any = None) -> str:
    one = {"stream": {"a": "b"} if stream is None else stream, "values": values or [["1", "x"]]}
    return json.dumps({"streams": [one]})


REFUSED = [
    (wire.read_otlp, json.dumps(_body({**GOOD, "traceId": "0" * 32})), "hexadecimal"),
    (wire.read_otlp, json.dumps(_body({**GOOD, "startTimeUnixNano": 1})), "decimal string"),
    (wire.read_otlp, json.dumps(_body({**GOOD, "kind": "SERVER"})), "integer"),
    (wire.read_otlp, json.dumps(_body({**GOOD, "spanID": "a"})), "only the keys"),
    (wire.read_otlp, '{"resourceSpans": [{"resource": {}, "scopeSpans": []}]}', "service.name"),
    (wire.read_zipkin, json.dumps([{**SPAN, "parentId": ""}]), "parentId"),
    (wire.read_zipkin, json.dumps([{**SPAN, "kind": "INTERNAL"}]), "one of"),
    (wire.read_zipkin, json.dumps([{**SPAN, "tags": {"a": 1}}]), "tags.a"),
    (wire.read_zipkin, json.dumps([{**SPAN, "timestamp": 1.5}]), "microseconds"),
    (wire.read_zipkin, json.dumps([{**SPAN, "duration": 0}]), "at least 1"),
    (wire.read_zipkin, json.dumps([{**SPAN, "id": "463AC35C9F6413AD"}]), "lower-case"),
    (wire.read_zipkin, json.dumps(SPAN), "a list"),
    (wire.read_jaeger, _jaeger(processID="p2"), "processes"),
    (wire.read_jaeger, _jaeger(traceID="563ac35c9f6413ad"), "stands in trace"),
    (wire.read_jaeger, _jaeger(tags=[{"key": "a", "type": "int64", "value": 1.5}]), "64-bit"),
    (wire.read_jaeger, _jaeger(startTime="1"), "as a number"),
    (wire.read_loki, _loki(stream={}), "1 to 15 labels"),
    (wire.read_loki, _loki(stream={f"l{n}": "x" for n in range(16)}), "1 to 15 labels"),
    (wire.read_loki, _loki(stream={"a.b": "x"}), "letters, digits"),
    (wire.read_loki, _loki(values=[[1, "x"]]), "decimal string"),
    (wire.read_loki, _loki(values=[["1", "x", {"a": 1}]]), "a string"),
    (wire.read_bulk, '{"create": {}}\n{}', "newline"),
    (wire.read_bulk, '{"create": {}}\n', "without a document"),
    (wire.read_bulk, '[{"create": {}}, {}]\n', "an object"),
    (wire.read_bulk, '{"create": {}}\n\n{}\n', "no JSON"),
    (wire.read_bulk, '{"create": {}}\n{"a": {"b": 1}, "a.b": 2}\n', "twice"),
    (wire.read_bulk, '{"delete": {"_index": "a"}}\n', "_id"),
    (wire.read_hec, '{"event": ""}', "not blank"),
    (wire.read_hec, '{"event": "a"},{"event": "b"}', "no JSON"),
    (wire.read_hec, '[{"event": "a"}]', "an object"),
    (wire.read_hec, '{"event": "a", "time": 1700000000000}', "seconds"),
    (wire.read_hec, '{"event": "a", "fields": {"a": {"b": 1}}}', "flat"),
    (wire.read_datadog, '{"series": [{"metric": "a", "points": []}]}', "at least 1"),
    (wire.read_datadog,
     '{"series": [{"metric": "a", "points": [{"timestamp": 1700000000000, "value": 1}]}]}',
     "seconds"),
    (wire.read_datadog,
     '{"series": [{"metric": "a", "type": 1, "points": [{"timestamp": 1, "value": 1}]}]}',
     "interval"),
    (wire.read_newrelic, '[{"metrics": [{"name": "a", "type": "count", "value": 1}]}]', "interval.ms"),
    (wire.read_newrelic, '[{"metrics": [{"name": "a", "value": 1, "timestamp": 1700000000}]}]',
     "milliseconds"),
    (wire.read_dynatrace, "a.b gauge,NaN", "finite"),
    (wire.read_dynatrace, "a.b,Host=x 1", "lower-case"),
    (wire.read_dynatrace, "a.b,host= 1", "not empty"),
    (wire.read_dynatrace, 'a.b,host="a"b" 1', "quotes"),
    (wire.read_dynatrace, "a.b count,97", "delta"),
    (wire.read_dynatrace, "a.b 1 1700000000", "milliseconds"),
    (wire.read_dynatrace, "1a.b 1", "metric key"),
    (wire.read_dynatrace, "a.b,x=1,x=2 1", "once"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "body", "reason"), REFUSED)
def test_it_is_refused_with_a_reason(read, body, reason):
    with pytest.raises(wire.FormatError, match=reason):
        read(body)


@pytest.mark.parametrize("read", ALL, ids=lambda read: read.__name__)
@pytest.mark.parametrize(
    "hostile",
    [None, 3, b"{}", ["x"], "{" * 100_000, "[" * 100_000, '{"a": 1, "a": 2}', '{"a": NaN}', "\0",
     '{"a": ' + "9" * 5000 + "}"],
    ids=range(10),
)  # fmt: skip
def test_no_input_gets_past_it_or_raises_anything_else(read, hostile):
    with pytest.raises(wire.FormatError):
        read(hostile)


@pytest.mark.parametrize("read", ALL, ids=lambda read: read.__name__)
@given(body=st.text(max_size=80))
def test_any_text_is_read_or_refused(read, body):
    with contextlib.suppress(wire.FormatError):
        assert isinstance(read(body), list)

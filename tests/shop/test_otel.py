"""The shop's telemetry under OpenTelemetry's names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course.shop import SERVICES, Fault, Recording, Scenario, simulate
from course.shop.otel import (
    BOUNDS_S,
    SPAN_COLUMNS,
    otel_logs,
    otel_points,
    otel_spans,
    otel_traces,
)


@pytest.fixture(scope="module")
def recording() -> Recording:
    fault = Fault("third_party_outage", "payment-provider", start=2, minutes=8, severity=0.9)
    return simulate(Scenario("2026-03-10T12:00Z", minutes=10, seed=2, faults=(fault,)))


@pytest.fixture(scope="module")
def spans(recording: Recording) -> pd.DataFrame:
    return otel_spans(recording, recording.scenario.start + pd.Timedelta("6min"))


def test_spans_are_those_of_the_recording(recording: Recording, spans: pd.DataFrame) -> None:
    raw = recording.traces(recording.scenario.start + pd.Timedelta("6min"))
    assert list(spans.columns) == SPAN_COLUMNS
    assert spans["span_id"].tolist() == raw["span_id"].tolist()
    assert ((spans["status_code"] == "ERROR") == (raw["status"] == "ERROR")).all()
    length = (spans["end_time_unix_nano"] - spans["start_time_unix_nano"]) / 1e6
    assert np.allclose(length, raw["duration_ms"], atol=1e-3)
    assert (length > 0).all()
    assert not spans.isna().any().any()


def test_who_is_not_instrumented_is_seen_by_the_caller(spans: pd.DataFrame) -> None:
    silent = {"orders-db", "catalog-db", "catalog-cache", "session-cache", "payment-provider"}
    assert not silent & set(spans["service.name"])
    assert silent == set(spans["server.address"]) - {""}
    client = spans["kind"] == "CLIENT"
    assert ((spans["server.address"] != "") == client).all()
    assert not set(spans.loc[client, "span_id"]) & set(spans["parent_span_id"])


def test_a_span_of_a_caller_has_the_service_and_host_of_its_parent(spans: pd.DataFrame) -> None:
    inner = spans[spans["kind"].isin(["CLIENT", "PRODUCER"])]
    both = inner.merge(spans, left_on="parent_span_id", right_on="span_id", suffixes=("", "_up"))
    assert len(both) == len(inner)
    assert (both["service.name"] == both["service.name_up"]).all()
    assert (both["host.name"] == both["host.name_up"]).all()


def test_a_consumer_stands_below_a_producer(spans: pd.DataFrame) -> None:
    consumer = spans[spans["kind"] == "CONSUMER"]
    parents = spans.set_index("span_id")["kind"].reindex(consumer["parent_span_id"])
    assert len(consumer) and set(parents) == {"PRODUCER"}
    assert set(consumer["messaging.destination.name"]) == {"orders"}


def test_http_attributes_stand_on_http_spans_alone(spans: pd.DataFrame) -> None:
    http = spans["http.request.method"] != ""
    assert set(spans.loc[http, "kind"]) == {"SERVER", "CLIENT"}
    assert (spans.loc[~http, "http.response.status_code"] == 0).all()
    assert set(spans.loc[http, "http.response.status_code"]) <= {200, 500, 503}
    assert ((spans["error.type"] != "") == (spans["status_code"] == "ERROR")).all()
    root = spans[spans["parent_span_id"] == ""]
    assert {"/", "/cart", "/search"} <= set(root["http.route"])


def test_logs_keep_every_line(recording: Recording) -> None:
    start = recording.scenario.start + pd.Timedelta("8min")
    raw, logs = recording.logs(start), otel_logs(recording, start)
    assert logs["body"].tolist() == raw["message"].tolist()
    assert set(logs["service.name"]) <= set(SERVICES)
    error = logs["severity_text"] == "ERROR"
    assert set(logs.loc[error, "severity_number"]) == {17}


def test_points_count_every_request_once(spans: pd.DataFrame) -> None:
    points = otel_points(spans)
    assert points["count"].sum() == (spans["kind"] == "SERVER").sum()
    assert set(points["le"]) <= {*BOUNDS_S, np.inf}
    assert (points["exemplar.value"] <= points["le"]).all()
    inside = points["exemplar.time_unix_nano"].between(
        points["start_time_unix_nano"], points["time_unix_nano"], inclusive="left"
    )
    assert inside.all()
    assert set(points["exemplar.span_id"]) <= set(spans["span_id"])


def test_traces_sum_up_their_spans(spans: pd.DataFrame) -> None:
    traces = otel_traces(spans)
    assert traces["trace_id"].nunique() == len(traces) == spans["trace_id"].nunique()
    assert traces["spans"].sum() == len(spans)
    failed = set(spans.loc[spans["status_code"] == "ERROR", "trace_id"])
    assert set(traces.loc[traces["status_code"] == "ERROR", "trace_id"]) == failed
    assert (traces["bytes"] > 300 * traces["spans"]).all()

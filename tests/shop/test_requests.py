"""Logs and traces: they agree with the metrics and with each other, window by window."""

import numpy as np
import pandas as pd
import pytest

from course.shop import SERVICES, TOPOLOGY, Fault, Scenario, simulate
from course.shop.requests import TRACE_SHARE

MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def recording():
    fault = Fault("third_party_outage", "payment-provider", start=10, minutes=10, severity=0.9)
    return simulate(Scenario("2026-03-10T10:00Z", 20, seed=3, faults=(fault,)))


@pytest.fixture(scope="module")
def logs(recording):
    return recording.logs()


@pytest.fixture(scope="module")
def traces(recording):
    return recording.traces()


def _counts(recording):
    requests = (recording.metrics.xs("request_rate", axis=1, level="metric") * 60).round()
    errors = (recording.metrics.xs("error_ratio", axis=1, level="metric") * requests).round()
    return requests.sum(), errors.sum()


def test_every_failed_request_is_one_error_line(recording, logs):
    _, errors = _counts(recording)
    lines = logs[logs["level"] == "ERROR"].groupby("service").size()
    assert lines.reindex(SERVICES, fill_value=0).to_dict() == errors.astype(int).to_dict()


def test_spans_are_a_fair_sample_of_requests(recording, traces):
    requests, errors = _counts(recording)
    spans = traces.groupby("service").size()
    for service in SERVICES:
        expected = requests[service] * TRACE_SHARE
        assert spans[service] == pytest.approx(expected, abs=6 * np.sqrt(expected)), service
    failed = (traces["status"] == "ERROR").groupby(traces["service"]).mean()
    for service in ("payment-provider", "payment", "checkout"):
        assert failed[service] == pytest.approx(errors[service] / requests[service], abs=0.1)


def test_spans_form_trees_of_known_calls(traces):
    parent = traces.merge(
        traces, left_on=["trace_id", "parent_span_id"], right_on=["trace_id", "span_id"],
        suffixes=("", "_parent"),
    )  # fmt: skip
    roots = traces["parent_span_id"] == ""
    assert len(parent) == (~roots).sum() and (traces.loc[roots, "service"] == "gateway").all()
    pairs = set(zip(parent["service_parent"], parent["service"], strict=True))
    assert pairs <= {(call.caller, call.callee) for call in TOPOLOGY.calls}
    assert not traces["span_id"].duplicated().any()


def test_a_caller_lasts_as_long_as_what_it_waits_for(traces):
    spans = traces.assign(
        end=traces["start"] + pd.to_timedelta(traces["duration_ms"] * 1000, unit="us")
    )
    waited_for = spans[(spans["parent_span_id"] != "") & (spans["service"] != "fulfilment")]
    pairs = waited_for.merge(
        spans, left_on="parent_span_id", right_on="span_id", suffixes=("", "_caller")
    )
    slack = pd.Timedelta("20us")
    assert (pairs["start"] >= pairs["start_caller"] - slack).all()
    assert (pairs["end"] <= pairs["end_caller"] + slack).all()


def test_log_lines_name_traces_that_exist(logs, traces):
    served = logs[logs["level"].eq("INFO") & logs["trace_id"].ne("")]
    assert served["trace_id"].isin(traces["trace_id"]).all()
    assert logs["time"].is_monotonic_increasing


def test_spans_take_as_long_as_the_metrics_say(recording, traces):
    p50 = recording.metrics.xs("latency_p50_ms", axis=1, level="metric").median()
    for service in ("catalog", "storefront", "orders-db", "session-cache"):
        median = traces.loc[traces["service"] == service, "duration_ms"].median()
        assert median == pytest.approx(p50[service], rel=0.15), service


@pytest.mark.parametrize("what", ["logs", "traces"])
def test_a_window_is_a_piece_of_the_whole(recording, what, logs, traces):
    begin = recording.scenario.start
    piece = getattr(recording, what)(begin + 5 * MINUTE, begin + 7 * MINUTE)
    whole = {"logs": logs, "traces": traces}[what]
    if what == "logs":
        inside = whole["time"].between(begin + 5 * MINUTE, begin + 7 * MINUTE, inclusive="left")
        whole = whole[inside]
    else:
        whole = whole[whole["trace_id"].isin(piece["trace_id"])]
    pd.testing.assert_frame_equal(piece, whole.reset_index(drop=True))


def test_windows_outside_the_recording_are_refused(recording):
    begin = recording.scenario.start
    with pytest.raises(ValueError, match="outside the recording"):
        recording.logs(begin - MINUTE, begin)
    with pytest.raises(ValueError, match="time zone"):
        recording.traces(pd.Timestamp("2026-03-10T10:00"))

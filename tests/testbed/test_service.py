"""The services as they run: metrics, traces across all of them, logs with trace ids."""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.request
from typing import Any

import pytest

from course.shop import TOPOLOGY
from course.testbed.control import ask
from course.testbed.layout import JOURNEYS, NODES
from course.testbed.stack.process import programs
from course.testbed.stack.samples import parse_text, scrape
from tests.conftest import require
from tests.testbed.conftest import Shop, eventually

ALWAYS = {
    "shop_requests_total", "shop_request_duration_seconds_bucket", "shop_cpu_seconds_total",
    "shop_cpu_limit_cores", "shop_memory_used_bytes", "shop_memory_limit_bytes",
    "shop_pool_in_use", "shop_pool_limit", "shop_pool_busy_seconds_total", "shop_queue_length",
    "shop_build_info", "shop_telemetry_dropped_total",
}  # fmt: skip


def _row(shop: Shop, name: str) -> dict[str, Any]:
    return next(row for row in shop.ask("/status")["processes"] if row["name"] == name)


@pytest.mark.parametrize("name", NODES)
def test_a_service_exposes_its_raw_metrics(shop: Shop, name: str) -> None:
    found = parse_text(scrape(_row(shop, name)["admin"], 5), {})
    values = {dict(labels)["__name__"]: value for labels, value in found.items()}
    assert values.keys() >= ALWAYS
    assert ("shop_disk_used_bytes" in values) == bool(NODES[name].disk_mb)
    assert 10e6 < values["shop_memory_used_bytes"] < values["shop_memory_limit_bytes"]
    assert values["shop_memory_limit_bytes"] == NODES[name].memory_mb * 2**20


def _visit(shop: Shop, journey: str) -> str:
    """Send a user whose trace began in the browser; return the trace's id."""
    trace_id = f"{secrets.randbits(112) | 1:028x}0000"
    connection = http.client.HTTPConnection("127.0.0.1", shop.state["gateway"], timeout=8)
    body = json.dumps({"user": 12345, "order": secrets.token_hex(4), "sku": 5})
    connection.request("POST", f"/{journey}", body, {"traceparent": f"00-{trace_id}-{7:016x}-01"})
    response = connection.getresponse()
    response.read()
    connection.close()
    return trace_id if response.status == 200 else ""


def _rows(shop: Shop, signal: str, trace_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(
        shop.state["receiver"], f"/recent/{signal}?trace_id={trace_id}"
    )["rows"]
    return found


@pytest.mark.parametrize("journey", JOURNEYS)
def test_one_trace_runs_through_all_services_of_a_journey(shop: Shop, journey: str) -> None:
    trace_id = next(filter(None, (_visit(shop, journey) for _ in range(5))))

    def whole() -> bool:
        spans = _rows(shop, "traces", trace_id)
        calls = {s["span_id"] for s in spans if s["kind"] == "CLIENT" and s["status"] == "OK"}
        answered = {s["parent_span_id"] for s in spans}
        needed = {"checkout": {"fulfilment"}}.get(journey, {journey})
        whole_below = answered - {s["span_id"] for s in spans} == {f"{7:016x}"}
        return whole_below and calls <= answered and needed <= {s["service"] for s in spans}

    eventually(whole, 20, "all spans of the trace have arrived")
    spans = {span["span_id"]: span for span in _rows(shop, "traces", trace_id)}
    for span in spans.values():
        parent = spans.get(span["parent_span_id"])
        if parent is None:
            assert (span["service"], span["parent_span_id"]) == ("gateway", f"{7:016x}")
        elif span["service"] != parent["service"] and span["kind"] == "SERVER":
            assert parent["kind"] == "CLIENT"
            assert parent["peer"] == span["service"]
            assert span["service"] in TOPOLOGY.callees(parent["service"])
    eventually(
        lambda: {"gateway", journey} <= {row["service"] for row in _rows(shop, "logs", trace_id)},
        20,
        "log lines of the trace have arrived",
    )


def test_log_lines_are_json_with_the_ids_of_their_span(shop: Shop) -> None:
    trace_id = next(filter(None, (_visit(shop, "search") for _ in range(5))))
    path = shop.folder / "search.log"
    eventually(lambda: trace_id in path.read_text(), 5, "the line is in the file")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    (line,) = [line for line in lines if line["trace_id"] == trace_id]
    assert (line["level"], line["service"]) == ("INFO", "search")
    assert len(line["span_id"]) == 16


def test_a_histogram_bears_exemplars(shop: Shop) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{_row(shop, 'gateway')['admin']}/metrics",
        headers={"Accept": "application/openmetrics-text; version=1.0.0"},
    )
    eventually(
        lambda: '# {trace_id="' in urllib.request.urlopen(request, timeout=5).read().decode(),
        5, "an exemplar",
    )  # fmt: skip


@pytest.mark.prometheus
def test_prometheus_keeps_the_exemplars(shop: Shop) -> None:
    require(programs(), "Prometheus: apt-get install prometheus prometheus-alertmanager")
    address = (
        f"http://127.0.0.1:{shop.state['prometheus']}/api/v1/query_exemplars"
        "?query=shop_request_duration_seconds_bucket&start=0&end=9999999999"
    )

    def kept() -> bool:
        with urllib.request.urlopen(address, timeout=5) as response:
            return any("trace_id" in e["labels"] for series in json.load(response)["data"]
                       for e in series["exemplars"])  # fmt: skip

    eventually(kept, 10, "an exemplar in Prometheus")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_refused(shop: Shop, body: bytes) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.state["gateway"], timeout=5)
    connection.request("POST", "/search", body)
    assert connection.getresponse().status == 400
    connection.close()


def test_an_unknown_journey_is_an_error_and_the_gateway_goes_on(shop: Shop) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shop.state["gateway"], timeout=5)
    connection.request("POST", "/../../etc", b"{}")
    assert connection.getresponse().status in (404, 500)
    connection.close()
    assert any(_visit(shop, "search") for _ in range(5))

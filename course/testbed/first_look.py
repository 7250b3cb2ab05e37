"""One user's visit, seen in all three kinds of telemetry."""

from __future__ import annotations

import http.client
import json
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from course.errors import CourseError
from course.testbed.control import ask
from course.testbed.stack.samples import scrape

_PATIENCE_S = 6.0
_BROWSER = "00000000000000b1"


def first_look(state: Mapping[str, Any]) -> str:
    """Send a user to the gateway and wait for the log lines and the trace of the visit.

    Parameters
    ----------
    state : mapping
        Of the run.

    Returns
    -------
    str
        A metric, a log line and a trace, one after the other.

    Raises
    ------
    CourseError
        They did not arrive in time.
    """
    deadline = time.monotonic() + _PATIENCE_S
    trace_id = _visit(state["gateway"])
    while time.monotonic() < deadline:
        lines = _recent(state, "logs", trace_id)
        spans = _recent(state, "traces", trace_id)
        if lines and _is_whole(spans):
            return "\n".join([_metric(state), _log(lines[-1]), *_tree(spans)])
        time.sleep(0.1)
    raise CourseError(
        "the services run, but no trace has reached the receiver; end them with "
        "`course testbed down` and try again"
    )


def _is_whole(spans: list[dict[str, Any]]) -> bool:
    """Whether the root is there and every call has the span of its callee: batches come singly."""
    ids, parents = ({span[name] for span in spans} for name in ("span_id", "parent_span_id"))
    calls = {span["span_id"] for span in spans if span["kind"] == "CLIENT"}
    return _BROWSER in parents and calls <= parents and parents <= ids | {_BROWSER}


def _visit(gateway: int) -> str:
    """Send a user whose browser has begun a trace; return the trace's id."""
    # Services log a success where the id's last digits are divisible by twenty: here they are.
    trace_id = f"{secrets.randbits(112) | 1:028x}0000"
    headers = {"traceparent": f"00-{trace_id}-{_BROWSER}-01"}
    connection = http.client.HTTPConnection("127.0.0.1", gateway, timeout=5)
    try:
        body = json.dumps({"user": 10_000, "order": "100000", "sku": 1})
        connection.request("POST", "/checkout", body, headers)
        connection.getresponse().read()
    finally:
        connection.close()
    return trace_id


def _recent(state: Mapping[str, Any], signal: str, trace_id: str = "") -> list[dict[str, Any]]:
    query = urllib.parse.urlencode({"trace_id": trace_id})
    rows: list[dict[str, Any]] = ask(state["receiver"], f"/recent/{signal}?{query}")["rows"]
    return rows


def _metric(state: Mapping[str, Any]) -> str:
    text = scrape(state["gateway_admin"], timeout=5)
    return next(line for line in text.splitlines() if line.startswith("shop_requests_total"))


def _log(line: Mapping[str, Any]) -> str:
    return f"{line['level']} {line['service']}: {line['message']} trace_id={line['trace_id']}"


def _tree(spans: list[dict[str, Any]]) -> list[str]:
    children: dict[str, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: span["start_ns"]):
        children.setdefault(span["parent_span_id"], []).append(span)
    lines: list[str] = []

    def walk(parent: str, depth: int) -> None:
        for span in children.get(parent, []):
            name = f"{span['service']}: {span['operation']} ({span['kind'].lower()})"
            lines.append(f"{'  ' * depth}{name} {span['duration_ms']:.1f} ms")
            walk(span["span_id"], depth + 1)

    walk(_BROWSER, 0)
    return lines

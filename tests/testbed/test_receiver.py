"""The receiver: whatever is sent, the answer is an answer, and no file is ever half written."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from course.testbed import receiver as module
from course.testbed.export import Logger, Sender
from course.testbed.receiver import Receiver, serve
from tests.testbed.conftest import eventually

SPAN = {
    "traceId": "ab" * 16, "spanId": "cd" * 8, "name": "GET /", "kind": 2,
    "startTimeUnixNano": "1000000", "endTimeUnixNano": "3000000",
}  # fmt: skip


def _request(*spans: Any, **more: Any) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}],
        **more,
    }


class Running:
    """A receiver on a port."""

    def __init__(self, folder: Path) -> None:
        self.receiver = Receiver(folder)
        self.server = serve(self.receiver)
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(
        self, body: bytes, path: str = "/v1/traces", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        given = {"Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", path, body, given)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_spans_become_rows(running: Running, tmp_path: Path) -> None:
    assert running.post(json.dumps(_request(SPAN)).encode()) == (200, {})
    running.receiver.flush()
    (row,) = pd.read_parquet(tmp_path / "spans-000001.parquet").to_dict("records")
    assert (row["service"], row["kind"], row["duration_ms"]) == ("cart", "SERVER", 2.0)
    assert row["trace_id"] == "ab" * 16


def test_gzip_and_unknown_fields_are_taken(running: Running) -> None:
    body = gzip.compress(json.dumps(_request({**SPAN, "newField": [1]}, other={"x": 1})).encode())
    assert running.post(body, Content_Encoding="gzip") == (200, {})
    assert len(running.receiver.recent("traces", "")) == 1


def test_an_empty_request_is_fine(running: Running) -> None:
    assert running.post(b"{}") == (200, {})


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff\xfe\x00", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"[]", 400, "list"),
        (b'{"resourceSpans": 3}', 400, "resourceSpans is a int"),
        (b'{"resourceSpans": [null]}', 400, "NoneType"),
        (b'{"resourceSpans": [{"resource": 5}]}', 400, "resource"),
        (b'{"resourceSpans": [{"resource": {"attributes": 5}}]}', 400, "attributes"),
        (b'{"resourceSpans": [{"resource": {"attributes": [1]}}]}', 400, "resource"),
        (b'{"resourceSpans": [{"scopeSpans": "x"}]}', 400, "scopeSpans"),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    running: Running, body: bytes, code: int, message: str
) -> None:
    answer = running.post(body)
    assert answer[0] == code
    assert message in answer[1]["message"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content_Type": "application/x-protobuf"}, 415),
        ({"Content_Encoding": "br"}, 415),
        ({"Content_Encoding": "gzip"}, 400),
        ({"Content_Length": "-5"}, 413),
        ({"Content_Length": "99999999999"}, 413),
        ({"Content_Length": "many"}, 400),
    ],
)
def test_headers_are_checked(running: Running, headers: dict[str, str], code: int) -> None:
    assert running.post(b"{}", **headers)[0] == code


def test_a_bomb_is_not_unpacked(running: Running) -> None:
    bomb = gzip.compress(b" " * (module.MAX_BYTES + 10))
    assert running.post(bomb, Content_Encoding="gzip")[0] == 413


@pytest.mark.parametrize(
    "change",
    [
        {"traceId": "q" * 32}, {"traceId": "ab"}, {"traceId": "0" * 32}, {"spanId": 7},
        {"startTimeUnixNano": "soon"}, {"startTimeUnixNano": -1}, {"endTimeUnixNano": "1"},
        {"startTimeUnixNano": "9" * 30}, {"kind": "SERVER"}, {"status": 4}, {"attributes": {}},
        {"attributes": [{"key": "a", "value": {"intValue": "9" * 5000}}]}, {"parentSpanId": "zz"},
    ],
)  # fmt: skip
def test_one_bad_span_does_not_spoil_the_others(running: Running, change: dict[str, Any]) -> None:
    code, answer = running.post(json.dumps(_request({**SPAN, **change}, SPAN)).encode())
    rejected = answer["partialSuccess"] if change != {"attributes": {}} else {"rejectedSpans": "0"}
    assert code == 200
    assert rejected["rejectedSpans"] == ("1" if change != {"attributes": {}} else "0")
    assert len(running.receiver.recent("traces", "")) == (1 if change != {"attributes": {}} else 2)


def test_another_path_is_named(running: Running) -> None:
    code, answer = running.post(b"{}", path="/v1/metrics")
    assert code == 404
    assert "/v1/traces" in answer["message"]


def test_the_receiver_still_answers_after_a_client_that_hangs_up(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.putrequest("POST", "/v1/traces")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    connection.send(b"{")
    connection.close()
    assert running.post(json.dumps(_request(SPAN)).encode()) == (200, {})


def test_parts_go_on_where_an_earlier_process_ended(tmp_path: Path) -> None:
    for _ in range(2):
        receiver = Receiver(tmp_path)
        receiver.take("traces", json.dumps(_request(SPAN)).encode())
        receiver.flush()
    (tmp_path / ".spans-000003.parquet.x.part").write_bytes(b"PAR1 half")
    assert len(list(tmp_path.glob("spans-*.parquet"))) == 2
    Receiver(tmp_path)
    assert list(tmp_path.glob(".*.part")) == []


def test_after_a_kill_every_file_is_whole(tmp_path: Path) -> None:
    """Killed with -9 while it writes as fast as it can, again and again."""
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "course.testbed.receiver"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin and process.stdout
        config = {"folder": str(tmp_path), "parent": os.getpid()}
        process.stdin.write(json.dumps(config).encode() + b"\n")
        process.stdin.flush()
        sender = Sender(json.loads(process.stdout.readline())["port"])
        before = len(list(tmp_path.glob("*.parquet")))

        def flood(sender: Sender = sender, process: subprocess.Popen[bytes] = process) -> None:
            while process.poll() is None:
                if sender.post("/v1/traces", _request(*[SPAN] * 200)):
                    sender.post("/flush", {})

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        eventually(
            lambda before=before: len(list(tmp_path.glob("*.parquet"))) > before + 2, 20, "parts"
        )
        process.send_signal(signal.SIGKILL)
        process.wait()
        thread.join(5)
        process.stdin.close()
        process.stdout.close()
    for path in tmp_path.glob("*.parquet"):
        assert len(pd.read_parquet(path)) % 200 == 0


def test_a_receiver_that_is_away_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    logger = Logger("cart", {"service.name": "cart"}, tmp_path / "cart.log", Sender(1), capacity=10)
    for number in range(25):
        logger.log("INFO", "http_ok", f"request {number}")
    logger.flush()
    assert logger.take_dropped() >= 15
    assert len((tmp_path / "cart.log").read_text().splitlines()) == 25


def test_a_log_file_is_turned_over(tmp_path: Path) -> None:
    logger = Logger("cart", {}, tmp_path / "cart.log", Sender(1), max_bytes=2000)
    for number in range(40):
        logger.log("INFO", "http_ok", f"request {number}")
    assert (tmp_path / "cart.1").exists()
    assert (tmp_path / "cart.log").stat().st_size <= 2200

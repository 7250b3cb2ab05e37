"""Server with a bounded pool, client with deadlines and retries."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from typing import Any

import pytest
from opentelemetry.trace import NoOpTracer

from course.testbed.control import ask, listen
from course.testbed.layout import Edge
from course.testbed.web import CallFailed, Client, Pool, PooledServer, deadline_of
from tests.testbed.conftest import Script, eventually

EDGE = Edge("catalog", "GET /products", 1.0)


def _client(script: Script, *, workers: int = 4) -> tuple[Client, Counter[str], PooledServer]:
    server = PooledServer(workers, 10, script, lambda: None)
    outcomes: Counter[str] = Counter()
    client = Client(
        {"catalog": server.port}, NoOpTracer(), lambda callee, outcome: outcomes.update([outcome])
    )
    return client, outcomes, server


def test_a_call_gives_the_answer_back() -> None:
    client, outcomes, _ = _client(Script())
    answer = client.call(EDGE, {"sku": 3}, time.time() + 1)
    assert answer == {"operation": "GET /products", "sku": 3}
    assert outcomes == {"ok": 1}


def test_a_failure_is_tried_again() -> None:
    client, outcomes, _ = _client(Script(500))
    client.call(EDGE, {}, time.time() + 1)
    assert outcomes == {"error": 1, "ok": 1}


def test_a_lasting_failure_is_given_up_after_the_retries_of_the_layout() -> None:
    script = Script(500, 503, 500, 500)
    client, _, _ = _client(script)
    with pytest.raises(CallFailed) as raised:
        client.call(EDGE, {}, time.time() + 1)
    assert (script.calls, raised.value.code) == (2, 503)


def test_an_eager_caller_tries_more_often() -> None:
    script = Script(*[500] * 9)
    client, _, _ = _client(script)
    client.eager = {"catalog": 3}
    with pytest.raises(CallFailed):
        client.call(EDGE, {}, time.time() + 1)
    assert script.calls == 5


def test_the_deadline_bounds_all_attempts() -> None:
    client, outcomes, _ = _client(Script(seconds=0.6))
    begin = time.time()
    with pytest.raises(CallFailed) as raised:
        client.call(EDGE, {}, begin + 0.2)
    assert time.time() - begin < 0.5
    assert raised.value.code == 504
    assert outcomes == {"timeout": 1}


def test_a_lost_answer_is_a_failed_connection() -> None:
    client, outcomes, _ = _client(Script(0))
    client.call(EDGE, {}, time.time() + 1)
    assert outcomes == {"connection": 1, "ok": 1}


def test_a_full_server_refuses_at_once() -> None:
    refused: list[int] = []
    server = PooledServer(1, 2, Script(seconds=0.5), lambda: refused.append(1))
    codes: list[int] = []

    def visit() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/products")
        codes.append(connection.getresponse().status)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(codes)[503] == len(refused) >= 4
    assert Counter(codes)[200] >= 2


def test_held_workers_count_as_busy_and_come_back() -> None:
    done: list[int] = []
    pool = Pool(3, 10, done.append)
    pool.hold(3)
    eventually(lambda: pool.busy.read()[0] == 3, 2, "all are held")
    pool.submit(1)
    time.sleep(0.1)
    assert (done, pool.waiting()) == ([], 1)
    pool.hold(0)
    eventually(lambda: done == [1] and pool.busy.read()[0] == 0, 2, "all work again")


def test_a_worker_outlives_what_it_runs() -> None:
    done: list[int] = []

    def run(item: int) -> None:
        if item == 0:
            raise KeyError("currency")
        done.append(item)

    pool = Pool(1, 10, run)
    for item in (0, 1):
        pool.submit(item)
    eventually(lambda: done == [1], 2, "the second item is done")


def test_a_deadline_travels_in_a_header() -> None:
    assert deadline_of({"x-deadline-unix-ms": "1500"}, 10) == 1.5
    assert deadline_of({"x-deadline-unix-ms": "soon"}, 1000) == pytest.approx(
        time.time() + 1, abs=0.2
    )


def test_control_needs_the_token() -> None:
    port = listen("secret", lambda path, order: {"path": path, **order})
    assert ask(port, "/x", {"a": 1}, token="secret") == {"path": "/x", "a": 1}
    for wrong in ("", "other", "sécret"):
        with pytest.raises((ValueError, UnicodeError), match="token|latin"):
            ask(port, "/x", {"a": 1}, token=wrong)


def test_a_wrong_order_is_refused_with_its_reason() -> None:
    def handle(path: str, order: dict[str, Any]) -> dict[str, Any]:
        raise ValueError("severity is 2; it must lie in (0, 1]")

    port = listen("secret", handle)
    with pytest.raises(ValueError, match="severity is 2"):
        ask(port, "/fault", {}, token="secret")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/fault", "{", {"Authorization": "Bearer secret"})
    response = connection.getresponse()
    assert response.status == 400
    assert "not JSON" in json.loads(response.read())["error"]

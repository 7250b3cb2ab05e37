"""HTTP between the services: a server with a bounded pool, a client with deadlines and retries."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import socketserver
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

from opentelemetry import propagate
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span

from course.testbed.breaker import Breakers
from course.testbed.layout import NODES, Edge
from course.testbed.metrics import BusyTime

#: Outcome of a call that a circuit breaker refused.
BREAKER_OPEN = "breaker_open"

_HEADER_DEADLINE = "x-deadline-unix-ms"
_MAX_BODY = 64_000


class Arrival(NamedTuple):
    """A connection that was accepted, and when (monotonic seconds)."""

    request: socket.socket
    address: Any
    at: float


class Pool:
    """A bounded set of worker threads before a bounded queue.

    Parameters
    ----------
    workers : int
    backlog : int
        Items that may wait.
    run : callable
        Called with each item in a worker thread.
    """

    def __init__(self, workers: int, backlog: int, run: Callable[[Any], None]) -> None:
        self.workers, self.backlog, self._run = workers, backlog, run
        self.busy = BusyTime()
        self._waiting: deque[Any] = deque()
        self._changed = threading.Condition()
        self._to_hold = self._held = 0
        for number in range(workers):
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True).start()

    def submit(self, item: Any) -> bool:
        """Queue an item; False if too many wait."""
        with self._changed:
            if len(self._waiting) >= self.backlog:
                return False
            self._waiting.append(item)
            self._changed.notify()
        return True

    def hold(self, workers: int) -> None:
        """Take workers out of service, as connections that are never given back; 0 frees all."""
        with self._changed:
            self._to_hold = min(workers, self.workers)
            self._changed.notify_all()

    def waiting(self) -> int:
        """Items in the queue."""
        return len(self._waiting)

    def _work(self) -> None:
        while True:
            item = self._next()
            self.busy.change(+1)
            try:
                self._run(item)
            except OSError:
                pass  # the caller hung up
            except Exception:  # a worker outlives what it runs
                traceback.print_exc()
            self.busy.change(-1)

    def _next(self) -> Any:
        with self._changed:
            while True:
                if self._held < self._to_hold:
                    self._held += 1
                    self.busy.change(+1)
                    self._changed.wait_for(lambda: self._held > self._to_hold)
                    self._held -= 1
                    self.busy.change(-1)
                elif self._waiting:
                    return self._waiting.popleft()
                else:
                    self._changed.wait()


#: (operation, headers, body, arrival) -> status and JSON body; status 0 drops the connection.
Serve = Callable[[str, Mapping[str, str], dict[str, Any], float], tuple[int, dict[str, Any]]]


class PooledServer(socketserver.TCPServer):
    """An HTTP server on a free loopback port whose requests go through a `Pool`."""

    request_queue_size = 128

    def __init__(
        self, workers: int, backlog: int, serve: Serve, refused: Callable[[], None]
    ) -> None:
        self.serve, self.refused = serve, refused
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.pool = Pool(workers, backlog, self._handle)
        threading.Thread(target=self.serve_forever, name="accept", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Queue the connection, or refuse it at once."""
        if not self.pool.submit(Arrival(request, client_address, time.monotonic())):
            with contextlib.suppress(OSError):
                request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            self.refused()

    def _handle(self, arrival: Arrival) -> None:
        try:
            arrival.request.settimeout(5)
            _Handler(arrival.request, arrival.address, self, arrival.at)
        finally:
            self.shutdown_request(arrival.request)


class _Handler(BaseHTTPRequestHandler):
    server: PooledServer

    def __init__(self, request: Any, address: Any, server: PooledServer, at: float) -> None:
        self.arrived_at = at
        super().__init__(request, address, server)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            length = min(int(self.headers.get("Content-Length") or 0), _MAX_BODY)
            body = json.loads(self.rfile.read(max(length, 0)) or b"{}")
            if not isinstance(body, dict):
                raise ValueError("the body is no JSON object")
        except (ValueError, RecursionError) as error:
            self._send(400, {"error": f"not understood: {error}"})
            return
        operation = f"{self.command} {self.path}"
        headers = {name.lower(): value for name, value in self.headers.items()}
        code, answer = self.server.serve(operation, headers, body, self.arrived_at)
        if code == 0:  # a lost connection: the caller sees it closed without an answer
            return
        self._send(code, answer)

    def _send(self, code: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        with contextlib.suppress(OSError):  # the caller gave up
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the service writes its own log."""


class CallFailed(Exception):
    """A callee gave no good answer within the deadline and the retries."""

    def __init__(self, callee: str, reason: str, code: int) -> None:
        super().__init__(f"{callee}: {reason}")
        self.callee, self.reason, self.code = callee, reason, code


class Client:
    """Calls other services.

    Parameters
    ----------
    addresses : dict
        Service -> port; the supervisor changes it when a service comes back elsewhere.
    tracer : Tracer
    count : callable
        Told callee and outcome ("ok" or the reason) of every attempt.
    breakers : Breakers, optional
        Circuit breakers before the callees.
    """

    def __init__(
        self,
        addresses: dict[str, int],
        tracer: Tracer,
        count: Callable[[str, str], None],
        breakers: Breakers | None = None,
    ) -> None:
        self.addresses, self.tracer, self.count, self.breakers = addresses, tracer, count, breakers
        #: Callee -> further attempts without pause, where callers retry eagerly (a retry storm).
        self.eager: dict[str, int] = {}

    def call(self, edge: Edge, body: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Call once, and again after a failure as the layout allows.

        Parameters
        ----------
        edge : Edge
        body : mapping
            Sent as JSON.
        deadline : float
            Unix seconds after which nobody waits for the answer.

        Raises
        ------
        CallFailed
            With the reason and code of the last attempt.
        """
        eager = self.eager.get(edge.callee, 0)
        retries = NODES[edge.callee].retries
        attempts = 1 + eager + int(retries) + (random.random() < retries % 1)
        pause = 0.02
        while True:
            try:
                return self._guarded(edge, body, deadline)
            except CallFailed as failure:
                attempts -= 1
                vain = failure.reason == BREAKER_OPEN  # trying again at once would be refused too
                if vain or attempts == 0 or time.time() + pause >= deadline:
                    raise
            if not eager:
                time.sleep(pause * random.uniform(0.5, 1.5))
                pause *= 2

    def _guarded(self, edge: Edge, body: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        """Make one attempt if the breaker lets it through, and tell it the outcome."""
        breaker = self.breakers.before(edge.callee) if self.breakers else None
        if breaker is None or time.time() >= deadline:  # too late is no fault of the callee
            return self._attempt(edge, body, deadline)
        permit = breaker.permit()
        if permit is None:
            self.count(edge.callee, BREAKER_OPEN)
            get_current_span().add_event(BREAKER_OPEN, {"server.address": edge.callee})
            raise CallFailed(edge.callee, BREAKER_OPEN, 503)
        good = False
        try:
            answer = self._attempt(edge, body, deadline)
            good = True
            return answer
        finally:
            breaker.result(permit, good)

    def _attempt(self, edge: Edge, body: Mapping[str, Any], deadline: float) -> dict[str, Any]:
        method, _, path = edge.operation.partition(" ")
        port = self.addresses[edge.callee]
        with self.tracer.start_as_current_span(
            f"{method} {edge.callee}",
            kind=SpanKind.CLIENT,
            record_exception=False,
            set_status_on_exception=False,
            attributes={
                "http.request.method": method,
                "url.full": f"http://{edge.callee}{path}",
                "server.address": edge.callee,
                "server.port": port,
            },
        ) as span:
            try:
                code, answer = _exchange(method, path, port, body, deadline, edge.callee)
                if code < 500:
                    self.count(edge.callee, "ok")
                    span.set_attribute("http.response.status_code", code)
                    return answer
                failure = CallFailed(edge.callee, "error", code)
                span.set_attribute("http.response.status_code", code)
            except TimeoutError:
                failure = CallFailed(edge.callee, "timeout", 504)
            except (OSError, http.client.HTTPException, ValueError):
                failure = CallFailed(edge.callee, "connection", 502)
            span.set_attribute("error.type", str(failure.code))
            span.set_status(Status(StatusCode.ERROR, failure.reason))
            self.count(edge.callee, failure.reason)
            raise failure


def _exchange(
    method: str, path: str, port: int, body: Mapping[str, Any], deadline: float, callee: str
) -> tuple[int, dict[str, Any]]:
    now = time.time()
    patience = min(NODES[callee].timeout_ms / 1000, deadline - now)
    if patience <= 0:
        raise TimeoutError
    headers = {_HEADER_DEADLINE: str(int((now + patience) * 1000))}
    propagate.inject(headers)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request(method, path, json.dumps(body), headers)
        response = connection.getresponse()
        data = response.read()
        return response.status, json.loads(data) if data else {}
    finally:
        connection.close()


def deadline_of(headers: Mapping[str, str], default_ms: int) -> float:
    """Unix seconds after which the caller no longer waits."""
    try:
        return int(headers[_HEADER_DEADLINE]) / 1000
    except (KeyError, TypeError, ValueError):
        return time.time() + default_ms / 1000

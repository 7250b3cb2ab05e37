"""What a service does: answer requests, call others, take messages, and be unwell when told.

See `course.testbed.service` for the process around it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from course.testbed.ailments import Ballast, Burner
from course.testbed.breaker import Breakers, BreakerSettings
from course.testbed.export import Logger, Sender, start_tracing
from course.testbed.layout import ENTRIES, NODES, Edge
from course.testbed.metrics import Meters
from course.testbed.store import QUERY_TEXT, Store
from course.testbed.troubles import Condition, Trouble, condition
from course.testbed.web import CallFailed, Client, Pool, PooledServer, deadline_of

_MB = 1 << 20
_TICK_S = 0.2
_INTERNAL = {"POST /take", "POST /ack"}  # the consumer's own traffic is no request of a user
_LOG_ONE_IN = 20
_HASHES = 1500  # about a millisecond of CPU


@dataclass(frozen=True)
class Config:
    """What a service must know.

    Parameters
    ----------
    name : str
    folder : str
        For its log and its data file.
    receiver : int
        Port to which telemetry goes.
    token : str
        Control requests must bear it.
    parent : int
        Process id of the supervisor.
    version : str
    """

    name: str
    folder: str
    receiver: int
    token: str
    parent: int
    version: str = "v1"


class Failure(Exception):
    """A request that fails for a reason of this service: status code, log statement, message."""

    def __init__(self, code: int, template: str, message: str) -> None:
        super().__init__(message)
        self.code, self.template, self.message = code, template, message


class Service:
    """The work of one service.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config) -> None:
        self.config, self.node = config, NODES[config.name]
        self.version = config.version
        folder = Path(config.folder)
        resource = {
            "service.name": config.name,
            "service.version": config.version,
            "service.namespace": "shop",
            "service.instance.id": f"{config.name}-{os.getpid()}",
        }
        self.sender = sender = Sender(config.receiver)
        self.log = Logger(config.name, resource, folder / f"{config.name}.log", sender)
        self.tracing = start_tracing(resource, sender)
        self.tracer = self.tracing.get_tracer("course.testbed")
        self.addresses: dict[str, int] = {}
        self.breakers = Breakers(self._breaker_changed)
        self.client = Client(self.addresses, self.tracer, self._count_attempt, self.breakers)
        self.troubles: list[Trouble] = []
        self.condition = Condition()
        self.store = (
            Store(self.node, folder / f"{config.name}.sqlite") if self.node.disk_mb else None
        )
        self.server = PooledServer(
            1 if self.node.kind == "worker" else self.node.workers,
            max(self.node.backlog, 1), self.serve, self._refused,
        )  # fmt: skip
        self.pool = self.server.pool
        if self.node.kind == "worker":
            self.pool = Pool(self.node.workers, self.node.workers, self._process)
            threading.Thread(target=self._fetch, name="fetch", daemon=True).start()
        self.meters = Meters(
            self.node,
            pool=lambda: (*self.pool.busy.read(), self.pool.workers),
            queue=self._queue_length,
            disk=self.store.usage if self.store else None,
            version=lambda: self.version,
            breakers=self.breakers.states,
        )
        self.burner, self.ballast = Burner(), Ballast(self.node.memory_mb * _MB)
        threading.Thread(target=self._live, name="condition", daemon=True).start()

    # --- requests -------------------------------------------------------------------------------

    def serve(
        self, operation: str, headers: Mapping[str, str], body: dict[str, Any], arrived: float
    ) -> tuple[int, dict[str, Any]]:
        """Answer one request; see `course.testbed.web.Serve`."""
        if operation in _INTERNAL and self.store is not None:
            return 200, self.store.run(operation, body, 0.0)
        deadline = deadline_of(headers, self.node.timeout_ms)
        begin_ns = time.time_ns() - int((time.monotonic() - arrived) * 1e9)
        method, _, path = operation.partition(" ")
        with self.tracer.start_as_current_span(
            self.node.operation,
            context=propagate.extract(headers),
            kind=SpanKind.SERVER,
            start_time=begin_ns,
            record_exception=False,
            set_status_on_exception=False,
            attributes={
                "http.request.method": method, "url.path": path, "url.scheme": "http",
                "http.route": path, "server.address": self.node.name,
            },
        ) as span:  # fmt: skip
            code, answer = self._handled(span, operation, body, deadline)
            span.set_attribute("http.response.status_code", code or 502)
            self._finish(span, code or 502, body, arrived)
        return code, answer

    def _handled(
        self, span: Span, operation: str, body: dict[str, Any], deadline: float
    ) -> tuple[int, dict[str, Any]]:
        try:
            if time.time() > deadline:
                raise Failure(504, "timeout", f"request of user={body.get('user')} waited too long")
            answer = self._work(operation, body, deadline)
            code = self._on_the_wire(body)
            return code, answer
        except Failure as failure:
            span.set_attribute("error.type", failure.template)
            self.log.log("ERROR", failure.template, failure.message)
            return failure.code, {"error": failure.message}
        except CallFailed as failure:
            span.set_attribute("error.type", "callee_failed")
            message = f"call to {failure.callee} failed for user={body.get('user')}"
            self.log.log("ERROR", "callee_failed", message, reason=failure.reason)
            return 502, {"error": message}
        except sqlite3.OperationalError as error:
            span.set_attribute("error.type", "sqlite3.OperationalError")
            full = "full" in str(error)
            message = f"write for order {body.get('order')} failed: {error}"
            self.log.log("ERROR", "no_space" if full else "failed", message)
            return 500 if full else 503, {"error": message}
        except Exception as error:  # a mistake in the code, as a bad release has one
            span.record_exception(error)
            span.set_attribute("error.type", type(error).__qualname__)
            message = (
                f"unhandled exception for order {body.get('order')}: {type(error).__name__} {error}"
            )
            self.log.log("ERROR", "exception", message)
            return 500, {"error": message}

    def _work(self, operation: str, body: dict[str, Any], deadline: float) -> dict[str, Any]:
        now = self.condition
        begin = time.monotonic()
        hashlib.pbkdf2_hmac(
            "sha256", operation.encode(), b"shop", _HASHES
        )  # a request costs CPU too
        own_ms = self.node.service_ms * now.slow * random.lognormvariate(0, self.node.tail)
        time.sleep(min(own_ms / 1000, max(deadline - time.time(), 0.001)))
        if random.random() < now.raises:
            body["currency"]  # the field that the new release expects and nobody sends
        if random.random() < now.fail + self.node.error:
            raise self._own_failure(body)
        if self.store is not None:
            return self._statement(operation, body, now.scan, begin)
        for edge in self._edges(operation):
            self._call(edge, body, deadline)
        return {"served_by": self.node.name, "version": self.version}

    def _own_failure(self, body: dict[str, Any]) -> Failure:
        if self.node.kind == "third_party":
            text = f"charge for order {body.get('order')} failed: 503 Service Unavailable"
            return Failure(503, "provider_503", text)
        return Failure(500, "failed", f"request of user={body.get('user')} failed: internal error")

    def _edges(self, operation: str) -> list[Edge]:
        if self.node.kind == "edge":
            return [ENTRIES[operation.rpartition("/")[2]]]
        found = []
        for edge in self.node.calls:
            times = int(edge.per_request) + (random.random() < edge.per_request % 1)
            found += [edge] * times
        return found

    def _call(self, edge: Edge, body: dict[str, Any], deadline: float) -> None:
        if edge.operation == "POST /publish":
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            body = {**body, "message": json.dumps(body), **carrier}
        try:
            self.client.call(edge, body, deadline)
        except CallFailed:
            if random.random() >= edge.optional:
                raise

    def _statement(
        self, operation: str, body: dict[str, Any], scan: float, begin: float
    ) -> dict[str, Any]:
        assert self.store is not None
        text = QUERY_TEXT.get(operation, "")
        attributes = (
            {"db.system.name": "sqlite", "db.query.text": text}
            if text
            else {"messaging.system": "sqlite", "messaging.destination.name": "orders",
                  "messaging.operation.type": "send"}
        )  # fmt: skip
        trace.get_current_span().set_attributes(attributes)
        answer = self.store.run(operation, body, scan)
        took = (time.monotonic() - begin) * 1000
        if text and took > 10 * self.node.service_ms:
            self.log.log("WARN", "slow_query", f"slow query took {took:.1f} ms: {text}")
        return answer

    def _on_the_wire(self, body: dict[str, Any]) -> int:
        """The way back: late, lost (0) or fine (200)."""
        now = self.condition
        if now.delay_ms > 0:
            time.sleep(now.delay_ms / 1000 * random.lognormvariate(0, 0.25))
        if random.random() < now.loss:
            if random.random() < 0.4:
                self.log.log("ERROR", "reset", f"connection reset by peer, user={body.get('user')}")
                return 0
            time.sleep(random.choice((0.2, 0.2, 0.4)))  # sent again by TCP
        return 200

    def _finish(self, span: Span, code: int, body: dict[str, Any], arrived: float) -> None:
        took = time.monotonic() - arrived
        trace_id = f"{span.get_span_context().trace_id:032x}"
        if code >= 500:
            span.set_status(Status(StatusCode.ERROR))
        elif int(trace_id[-4:], 16) % _LOG_ONE_IN == 0:
            self.log.log("INFO", *self._success(body, took * 1000))
        self.meters.served(code, took, trace_id)

    def _success(self, body: dict[str, Any], ms: float) -> tuple[str, str]:
        kind, order = self.node.kind, body.get("order")
        if kind == "sql":
            return "sql_ok", f"statement finished in {ms:.1f} ms"
        if kind == "queue":
            return "queue_ok", f"order {order} published in {ms:.1f} ms"
        if kind == "worker":
            return "message_ok", f"order {order} processed in {ms:.1f} ms"
        if kind == "third_party":
            return "provider_ok", f"charge for order {order} authorised in {ms:.1f} ms"
        return "http_ok", f"request served user={body.get('user')} in {ms:.1f} ms"

    def _refused(self) -> None:
        self.meters.requests.labels("503").inc()
        self.log.log("ERROR", "refused", "queue full, request refused")

    def _count_attempt(self, callee: str, outcome: str) -> None:
        self.meters.attempts.labels(callee, outcome).inc()

    def _breaker_changed(self, callee: str, before: str, after: str, why: str) -> None:
        self.log.log("WARN", "breaker", f"circuit breaker to {callee}: {before} -> {after}, {why}")

    # --- the worker that takes orders from the queue --------------------------------------------

    def _fetch(self) -> None:
        """Take as many messages as there are free workers; the rest waits in the queue."""
        edge = Edge("order-queue", "POST /take", 1.0)
        while True:
            free = self.pool.workers - self.pool.busy.read()[0] - self.pool.waiting()
            messages: list[dict[str, Any]] = []
            if free > 0 and "order-queue" in self.addresses:
                try:
                    messages = self._ask_queue(edge, {"most": free})["messages"]
                except (CallFailed, KeyError):
                    time.sleep(0.5)
            for message in messages:
                self.pool.submit((message, time.monotonic()))
            time.sleep(0.02 if messages else 0.1)

    def _ask_queue(self, edge: Edge, body: dict[str, Any]) -> dict[str, Any]:
        with trace.use_span(trace.NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)):
            quiet = Client(self.addresses, trace.NoOpTracer(), lambda callee, outcome: None)
            return quiet.call(edge, body, time.time() + 2)

    def _process(self, item: tuple[dict[str, Any], float]) -> None:
        message, taken = item
        body = json.loads(message["body"])
        with self.tracer.start_as_current_span(
            self.node.operation,
            context=propagate.extract({"traceparent": message["traceparent"]}),
            kind=SpanKind.CONSUMER,
            record_exception=False,
            set_status_on_exception=False,
            attributes={
                "messaging.system": "sqlite", "messaging.destination.name": "orders",
                "messaging.operation.type": "process", "messaging.message.id": str(message["id"]),
            },
        ) as span:  # fmt: skip
            deadline = time.time() + self.node.timeout_ms / 1000
            code, _ = self._handled(span, self.node.operation, body, deadline)
            self._finish(span, code or 502, body, taken)
        if code == 200:
            try:
                self._ask_queue(Edge("order-queue", "POST /ack", 1.0), {"id": message["id"]})
            except CallFailed:
                return  # it is delivered again when its lease ends; orders are stored by id

    # --- state ----------------------------------------------------------------------------------

    def _queue_length(self) -> int:
        messages = self.store.waiting_messages() if self.store and self.node.kind == "queue" else 0
        return messages + self.pool.waiting()

    def control(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a control request.

        Parameters
        ----------
        order : mapping
            ``addresses``: service -> port; ``troubles``: all faults that act now;
            ``version``: what runs from now on; ``receiver``: port for telemetry; ``breakers``:
            callees before which circuit breakers stand, and their settings. Each may be missing.
        """
        if "addresses" in order:
            self.addresses.update({str(k): int(v) for k, v in order["addresses"].items()})
        if "receiver" in order:
            self.sender.port = int(order["receiver"])
        if "troubles" in order:
            known = {(t.kind, t.root, t.begin): t.since for t in self.troubles}
            now = time.time()
            fresh = [Trouble(**values, since=now) for values in order["troubles"]]
            self.troubles = [
                replace(t, since=known.get((t.kind, t.root, t.begin), t.since)) for t in fresh
            ]
        if "breakers" in order:
            given = order["breakers"]
            self.breakers.switch(given["callees"], BreakerSettings(**given["settings"]))
        if "version" in order:
            self.version = str(order["version"])
            self.log.log("INFO", "change", f"deploy applied: {self.version}")
        return {"condition": asdict(self.condition), "version": self.version}

    def _live(self) -> None:
        last_warning = 0.0
        while True:
            now = self.condition = condition(self.node.name, self.troubles, time.time())
            self.client.eager = now.eager
            self.pool.hold(int(min(now.held, 1.0) * self.pool.workers))
            self.burner.set(now.burn)
            self.ballast.keep(now.leaked)
            if self.store is not None:
                try:
                    self.store.fill(now.filled)
                except sqlite3.OperationalError as error:
                    self.log.log("WARN", "disk", f"filling the disk was put off: {error}")
            if time.monotonic() - last_warning > 10:
                last_warning = time.monotonic()
                self._warn()
            self.meters.dropped.inc(self.log.take_dropped())
            time.sleep(_TICK_S)

    def _warn(self) -> None:
        """Lines that strain calls for, at most every ten seconds."""
        memory = self.meters.memory_bytes() / (self.node.memory_mb * _MB)
        if memory > 0.88:
            self.log.log("WARN", "heap", f"heap at {memory:.0%}")
        in_use = self.pool.busy.read()[0] / self.pool.workers
        if in_use > 0.85:
            self.log.log("WARN", "pool", f"pool at {in_use:.0%}")
        if self.store is not None:
            used, size = self.store.usage()
            if used / size > 0.9:
                self.log.log("WARN", "disk", f"disk at {used / size:.0%}")
        if (waiting := self._queue_length()) > 10:
            self.log.log("WARN", "backlog", f"{waiting} waiting")

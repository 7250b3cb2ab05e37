"""From a process to the receiver: batches, bounded buffers, and never a failed request."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from course.testbed.otlp import encode_logs, encode_spans

_TIMEOUT_S = 2.0


class Sender:
    """Posts OTLP/HTTP JSON to a receiver; a receiver that is away costs a batch, nothing more.

    Parameters
    ----------
    port : int
        The receiver listens there on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def post(self, path: str, body: Mapping[str, Any]) -> bool:
        """Send one request; False if it was not taken."""
        data = gzip.compress(json.dumps(body, separators=(",", ":")).encode(), compresslevel=1)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_S)
        try:
            connection.request("POST", path, data, headers)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class JsonSpanExporter(SpanExporter):
    """Hands spans of the OpenTelemetry SDK to a receiver as OTLP/HTTP JSON."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch; the SDK's processor keeps the buffer and its bound."""
        taken = self.sender.post("/v1/traces", encode_spans(spans))
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE


def start_tracing(resource: Mapping[str, str], sender: Sender) -> TracerProvider:
    """Make the process's tracer provider, with a bounded batch processor."""
    # The SDK reports every batch that a stopped receiver did not take; once a second is noise.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    provider = TracerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(
            JsonSpanExporter(sender), max_queue_size=4096, schedule_delay_millis=700,
            max_export_batch_size=512,
        )
    )  # fmt: skip
    return provider


class Logger:
    """Writes JSON lines with trace ids to a file and sends them to the receiver.

    Parameters
    ----------
    service : str
    resource : mapping
        Resource attributes of the process.
    path : Path
        File for the lines; turned over once it reaches ``max_bytes``, one old file is kept.
    sender : Sender
    capacity : int
        Lines that may wait for the receiver; the oldest are dropped first.
    """

    def __init__(
        self,
        service: str,
        resource: Mapping[str, str],
        path: Path,
        sender: Sender,
        *,
        capacity: int = 4096,
        max_bytes: int = 4_000_000,
    ) -> None:
        self.service, self.resource, self.path, self.sender = service, resource, path, sender
        self.dropped = 0
        self._max_bytes = max_bytes
        self._waiting: deque[dict[str, Any]] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._file: IO[str] = path.open("a", encoding="utf-8")
        threading.Thread(target=self._ship, name="logs", daemon=True).start()

    def log(self, level: str, template: str, message: str, **attributes: Any) -> None:
        """Write one line; it carries the ids of the span that is current.

        Parameters
        ----------
        level : str
            "INFO", "WARN", "ERROR" or "FATAL".
        template : str
            Id of the log statement.
        message : str
        **attributes
            Further values; those that are JSON's own stay what they are.
        """
        context = trace.get_current_span().get_span_context()
        record = {
            "time_unix_nano": time.time_ns(),
            "level": level,
            "message": message,
            "trace_id": f"{context.trace_id:032x}" if context.is_valid else "",
            "span_id": f"{context.span_id:016x}" if context.is_valid else "",
            "attributes": {"template_id": template, **attributes},
        }
        line = json.dumps({"service": self.service, **record}, separators=(",", ":"))
        with self._lock:
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(record)
            try:
                self._file.write(line + "\n")
                self._file.flush()
                if self._file.tell() > self._max_bytes:
                    self._turn_over()
            except OSError:  # a full disk must not fail the request that logs
                self.dropped += 1

    def take_dropped(self) -> int:
        """Lines that were not delivered since the last call."""
        with self._lock:
            dropped, self.dropped = self.dropped, 0
        return dropped

    def flush(self) -> None:
        """Send what waits."""
        with self._lock:
            records = list(self._waiting)
            self._waiting.clear()
        if records and not self.sender.post("/v1/logs", encode_logs(self.resource, records)):
            with self._lock:
                self.dropped += len(records)

    def _ship(self) -> None:
        while True:
            time.sleep(0.7)
            self.flush()

    def _turn_over(self) -> None:
        self._file.close()
        self.path.replace(self.path.with_suffix(".1"))
        self._file = self.path.open("a", encoding="utf-8")

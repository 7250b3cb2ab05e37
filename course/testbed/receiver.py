"""The course's own OTLP/HTTP receiver: JSON in, Parquet out.

``python -m course.testbed.receiver`` is a process of the testbed. Parts are written whole or not
at all: a part has its name only once every byte is on disk, so nobody ever reads half a file,
whatever ends the process. What waits in memory (at most `FLUSH_S` seconds) is lost with it.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import threading
import time
import zlib
from collections import deque
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from course._files import write_atomic
from course.testbed import lifeline
from course.testbed.answering import JsonHandler, bind
from course.testbed.wire import BadRequest, log_rows, span_rows

MAX_BYTES = 8_000_000
FLUSH_S = 15.0
_FLUSH_ROWS = 20_000
_RECENT = 4000

SPAN_COLUMNS = ("trace_id", "span_id", "parent_span_id", "service", "operation", "kind", "start_ns",
                "duration_ms", "status", "code", "peer", "error")  # fmt: skip
LOG_COLUMNS = ("time_ns", "service", "level", "template_id", "message", "trace_id", "span_id")


class Parts:
    """Rows that become Parquet files of a folder: ``NAME-000001.parquet``, ``NAME-000002…``.

    Parameters
    ----------
    folder : Path
    name : str
    columns : tuple of str
    """

    def __init__(self, folder: Path, name: str, columns: tuple[str, ...]) -> None:
        self.folder, self.name, self.columns = folder, name, columns
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{name}-*.part"):  # an earlier process died while it wrote
            left.unlink()
        numbers = [int(path.stem.rpartition("-")[2]) for path in folder.glob(f"{name}-*.parquet")]
        self._number = max(numbers, default=0)
        self._rows: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self.recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Keep rows; a full buffer is written at once."""
        with self._lock:
            self._rows += [tuple(row[name] for name in self.columns) for row in rows]
            self.recent.extend(rows)
            full = len(self._rows) >= _FLUSH_ROWS
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what waits as the next part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self._writing:
            with self._lock:
                rows, self._rows = self._rows, []
            if not rows:
                return
            self._number += 1
            table = pa.table(
                {name: [row[i] for row in rows] for i, name in enumerate(self.columns)}
            )
            data = io.BytesIO()
            pq.write_table(table, data, compression="zstd")
            path = self.folder / f"{self.name}-{self._number:06d}.parquet"
            write_atomic(path, data.getvalue())


class Receiver:
    """Takes OTLP requests and keeps their rows.

    Parameters
    ----------
    folder : Path
        For the parts.
    """

    def __init__(self, folder: Path) -> None:
        self.parts = {
            "traces": Parts(folder, "spans", SPAN_COLUMNS),
            "logs": Parts(folder, "logs", LOG_COLUMNS),
        }

    def take(self, signal: str, body: bytes) -> dict[str, Any]:
        """Take one export request.

        Parameters
        ----------
        signal : {"traces", "logs"}
        body : bytes
            JSON, unpacked.

        Returns
        -------
        dict
            The response of the OTLP specification: empty, or ``partialSuccess`` with the number
            of rejected records and why the first of them was.

        Raises
        ------
        BadRequest
            The body is no export request.
        """
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(400, f"the body is not JSON: {error}") from None
        read = span_rows if signal == "traces" else log_rows
        rows, rejected, why = read(request)
        self.parts[signal].add(rows)
        if not rejected:
            return {}
        field = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
        return {"partialSuccess": {field: str(rejected), "errorMessage": why}}

    def flush(self) -> None:
        """Write all that waits."""
        for parts in self.parts.values():
            parts.flush()

    def recent(self, signal: str, trace_id: str) -> list[dict[str, Any]]:
        """The newest rows of a signal, of one trace if it is named."""
        rows = list(self.parts[signal].recent)
        return [row for row in rows if not trace_id or row["trace_id"] == trace_id]


def unpacked(body: bytes, encoding: str) -> bytes:
    """Undo the content encoding, up to `MAX_BYTES`.

    Raises
    ------
    BadRequest
        415 for an unknown encoding, 413 for a body that is too large, 400 for a broken one.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise BadRequest(415, f"content encoding {encoding!r} is not taken; send gzip or none")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadRequest(400, f"the body is not gzip: {error}") from None
    if len(data) > MAX_BYTES:
        raise BadRequest(413, f"the body unpacks to more than {MAX_BYTES} bytes; send less at once")
    return data


class _Handler(JsonHandler):
    receiver: Receiver
    timeout = 10

    def do_POST(self) -> None:
        address = urlparse(self.path)
        try:
            if address.path == "/flush":
                self._drain()
                self.receiver.flush()
                self.answer(200, {})
                return
            signal = address.path.removeprefix("/v1/")
            body = self._drain()
            if address.path not in ("/v1/traces", "/v1/logs"):
                raise BadRequest(
                    404, f"{address.path} is not taken here: /v1/traces and /v1/logs are"
                )
            content_type = self.headers.get("Content-Type", "").partition(";")[0].strip()
            if content_type != "application/json":
                raise BadRequest(415, f"content type is {content_type!r}; send application/json")
            encoding = self.headers.get("Content-Encoding", "").strip().lower()
            self.answer(200, self.receiver.take(signal, unpacked(body, encoding)))
        except BadRequest as error:
            self.answer(error.code, {"code": error.grpc_code, "message": str(error)})

    def _drain(self) -> bytes:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise BadRequest(400, "Content-Length is no number") from None
        if not 0 <= length <= MAX_BYTES:
            self.close_connection = True
            raise BadRequest(413, f"the body has {length} bytes; at most {MAX_BYTES} are taken")
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest(400, f"the body ends after {len(body)} of {length} bytes")
        return body

    def do_GET(self) -> None:
        address = urlparse(self.path)
        signal = address.path.removeprefix("/recent/")
        if signal not in ("traces", "logs"):
            self.answer(404, {"message": "there is /recent/traces and /recent/logs"})
            return
        trace_id = parse_qs(address.query).get("trace_id", [""])[0]
        self.answer(200, {"rows": self.receiver.recent(signal, trace_id)})


def serve(receiver: Receiver) -> ThreadingHTTPServer:
    """Bind a receiver to a free loopback port; the caller runs ``serve_forever``."""
    return bind(_Handler, receiver=receiver)


def _flush_now_and_then(receiver: Receiver) -> None:
    while True:
        time.sleep(FLUSH_S)
        try:
            receiver.flush()
        except OSError as error:
            print(f"receiver: a part was not written: {error}", file=sys.stderr, flush=True)


def main() -> None:
    """Run the receiver until the supervisor is gone."""
    config = json.loads(sys.stdin.buffer.readline())
    lifeline.die_with_parent(config["parent"])
    receiver = Receiver(Path(config["folder"]))
    lifeline.watch(sys.stdin.fileno(), lifeline.exit_now)
    threading.Thread(target=_flush_now_and_then, args=(receiver,), daemon=True).start()
    server = serve(receiver)
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

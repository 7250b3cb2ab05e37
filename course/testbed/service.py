"""One service of the shop as a process: ``python -m course.testbed.service NAME``.

The supervisor writes one line of JSON to its standard input (see `course.testbed.work.Config`) and keeps that pipe
open; the service answers with one line, its two ports. Traffic goes through a bounded pool;
metrics, health and control have a port of their own, so that an exhausted pool can be seen.
"""

from __future__ import annotations

import hmac
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from course.testbed import lifeline
from course.testbed.layout import NODES, Node
from course.testbed.work import Config, Service

_MB = 1 << 20


class _Admin(BaseHTTPRequestHandler):
    """Metrics, health, control."""

    service: Service

    def do_GET(self) -> None:
        if self.path == "/metrics":
            body, content_type = self.service.meters.exposition(self.headers.get("Accept", ""))
            self._answer(200, body, content_type)
        elif self.path == "/health":
            self._answer(200, json.dumps({"service": self.service.node.name}).encode())
        else:
            self._answer(404, b'{"error": "there is /metrics, /health and /control"}')

    def do_POST(self) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given, f"Bearer {self.service.config.token}"):
            self._answer(401, b'{"error": "control needs the token of this run"}')
            return
        try:
            length = int(self.headers.get("Content-Length") or 0)
            answer = self.service.control(json.loads(self.rfile.read(length)))
        except (ValueError, TypeError, KeyError) as error:
            self._answer(400, json.dumps({"error": str(error)}).encode())
            return
        self._answer(200, json.dumps(answer).encode())

    def _answer(self, code: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests to this port are no traffic."""


def bound_memory(node: Node) -> None:
    """Set a hard limit far above the one that the supervisor enforces, where the system has one."""
    if sys.platform == "linux":
        import resource

        most = 4 * node.memory_mb * _MB
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main() -> None:
    """Run one service until the supervisor is gone."""
    config = Config(**json.loads(sys.stdin.buffer.readline()))
    lifeline.die_with_parent(config.parent)
    lifeline.watch(sys.stdin.fileno(), lifeline.exit_now)
    threading.stack_size(512 * 1024)
    bound_memory(NODES[config.name])
    service = Service(config)
    admin = ThreadingHTTPServer(("127.0.0.1", 0), type("Admin", (_Admin,), {"service": service}))
    admin.daemon_threads = True
    ports = {"port": service.server.port, "admin": int(admin.server_address[1])}
    print(json.dumps(ports), flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    admin.serve_forever()


if __name__ == "__main__":
    main()

"""One service of the shop as a process: ``python -m course.testbed.service NAME``.

The supervisor writes one line of JSON to its standard input (see `course.testbed.work.Config`) and keeps that pipe
open; the service answers with one line, its two ports. Traffic goes through a bounded pool;
metrics, health and control have a port of their own, so that an exhausted pool can be seen.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from course.testbed import lifeline
from course.testbed.answering import JsonHandler, bind
from course.testbed.layout import NODES, Node
from course.testbed.work import Config, Service

_MB = 1 << 20


class _Admin(JsonHandler):
    """Metrics, health, control."""

    service: Service

    def do_GET(self) -> None:
        if self.path == "/metrics":
            body, content_type = self.service.meters.exposition(self.headers.get("Accept", ""))
            self.send(200, body, content_type)
        elif self.path == "/health":
            self.answer(200, {"service": self.service.node.name})
        else:
            self.answer(404, {"error": "there is /metrics, /health and /control"})

    def do_POST(self) -> None:
        if not self.may_order(self.service.config.token):
            return
        try:
            length = int(self.headers.get("Content-Length") or 0)
            answer = self.service.control(json.loads(self.rfile.read(length)))
        except (ValueError, TypeError, KeyError) as error:
            self.answer(400, {"error": str(error)})
            return
        self.answer(200, answer)


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
    admin = bind(_Admin, service=service)
    ports = {"port": service.server.port, "admin": int(admin.server_address[1])}
    print(json.dumps(ports), flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    admin.serve_forever()


if __name__ == "__main__":
    main()

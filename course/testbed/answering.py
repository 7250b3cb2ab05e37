"""What the testbed's small HTTP interfaces share: answers in JSON, a token, a loopback port."""

from __future__ import annotations

import hmac
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """Answers in JSON and writes no log of its own."""

    def answer(self, code: int, content: Any) -> None:
        """Send a value as JSON."""
        self.send(code, json.dumps(content).encode(), "application/json")

    def send(self, code: int, body: bytes, content_type: str) -> None:
        """Send bytes."""
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def may_order(self, token: str) -> bool:
        """Whether the request carries the token of this run; if not, it has been refused."""
        given = self.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return True
        self.answer(401, {"error": "control needs the token of this run"})
        return False

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the answer says it all."""


def bind(handler: type[JsonHandler], **members: Any) -> ThreadingHTTPServer:
    """Bind a handler with these members to a free loopback port; the caller serves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), members))
    server.daemon_threads = True
    return server

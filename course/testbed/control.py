"""HTTP with a token on the loopback interface: how the testbed's processes are told what to do."""

from __future__ import annotations

import hmac
import http.client
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from course.errors import CourseError

#: (path, request) -> answer; a ValueError becomes 400 with its text.
Handle = Callable[[str, dict[str, Any]], dict[str, Any]]


class _Handler(BaseHTTPRequestHandler):
    handle_order: Handle
    token: str
    timeout = 60

    def do_GET(self) -> None:
        self._carry_out({})

    def do_POST(self) -> None:
        try:
            length = min(int(self.headers.get("Content-Length") or 0), 1_000_000)
            order = json.loads(self.rfile.read(length) or b"{}")
        except ValueError as error:
            self._answer(400, {"error": f"the request is not JSON: {error}"})
            return
        self._carry_out(order if isinstance(order, dict) else {"value": order})

    def _carry_out(self, order: dict[str, Any]) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            self._answer(401, {"error": "control needs the token of this run"})
            return
        try:
            self._answer(200, type(self).handle_order(self.path, order))
        except (ValueError, TypeError, KeyError) as error:
            self._answer(400, {"error": str(error.args[0] if error.args else error)})
        except Exception as error:  # the other side must get an answer, whatever went wrong
            self._answer(500, {"error": f"{type(error).__name__}: {error}"})

    def _answer(self, code: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            return  # whoever asked is gone

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the answer says it all."""


def listen(token: str, handle: Handle) -> int:
    """Serve orders in threads on a free loopback port, and return the port."""
    members = {"handle_order": staticmethod(handle), "token": token}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), members))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
    return int(server.server_address[1])


def ask(
    port: int,
    path: str,
    order: Mapping[str, Any] | None = None,
    *,
    token: str = "",
    timeout: float = 10.0,
) -> dict[str, Any]:
    """Ask a process of the testbed; GET without an order, POST with one.

    Raises
    ------
    ValueError
        The request was refused; the text is the other side's.
    OSError
        Nobody answers.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        if order is None:
            connection.request("GET", path, headers=headers)
        else:
            headers["Content-Type"] = "application/json"
            connection.request("POST", path, json.dumps(order), headers)
        response = connection.getresponse()
        data = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"no answer on port {port}: {error!r}") from None
    finally:
        connection.close()
    answer: dict[str, Any] = json.loads(data) if data else {}
    if response.status >= 400:
        raise ValueError(answer.get("error") or answer.get("message") or f"HTTP {response.status}")
    return answer


def ask_supervisor(
    state: Mapping[str, Any], path: str, order: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Ask the supervisor of a run; what goes wrong is a `CourseError`."""
    try:
        return ask(state["control"], path, order, token=state["token"], timeout=60)
    except ValueError as error:
        raise CourseError(str(error)) from None
    except OSError as error:
        raise CourseError(
            f"the testbed's supervisor does not answer ({error}); "
            "end what is left with `course testbed down`"
        ) from None

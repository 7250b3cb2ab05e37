"""HTTP with a token on the loopback interface: how the testbed's processes are told what to do."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from course.errors import CourseError
from course.testbed.answering import JsonHandler, bind

#: (path, request) -> answer; a ValueError becomes 400 with its text.
Handle = Callable[[str, dict[str, Any]], dict[str, Any]]


class _Handler(JsonHandler):
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
            self.answer(400, {"error": f"the request is not JSON: {error}"})
            return
        self._carry_out(order if isinstance(order, dict) else {"value": order})

    def _carry_out(self, order: dict[str, Any]) -> None:
        if not self.may_order(self.token):
            return
        try:
            self.answer(200, type(self).handle_order(self.path, order))
        except (ValueError, TypeError, KeyError) as error:
            self.answer(400, {"error": str(error.args[0] if error.args else error)})
        except Exception as error:  # the other side must get an answer, whatever went wrong
            self.answer(500, {"error": f"{type(error).__name__}: {error}"})

    def send(self, code: int, body: bytes, content_type: str) -> None:
        """Send bytes, unless whoever asked is gone."""
        with contextlib.suppress(OSError):
            super().send(code, body, content_type)


def listen(token: str, handle: Handle) -> int:
    """Serve orders in threads on a free loopback port, and return the port."""
    server = bind(_Handler, handle_order=staticmethod(handle), token=token)
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

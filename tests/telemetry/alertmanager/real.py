"""The real amtool and Alertmanager, asked what the embedded evaluator is asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AMTOOL = shutil.which("amtool")
ALERTMANAGER = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


def version() -> str:
    """First line of what amtool says of itself."""
    assert AMTOOL
    done = subprocess.run([AMTOOL, "--version"], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0]


def accepts(config: str) -> bool:
    """Whether ``amtool check-config`` finds nothing wrong."""
    assert AMTOOL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "alertmanager.yml")
        file.write_text(config, encoding="utf-8")
        return subprocess.run([AMTOOL, "check-config", file], capture_output=True).returncode == 0


def receivers(config: str, alerts: list[dict[str, str]]) -> list[list[str]]:
    """What ``amtool config routes test`` says of each alert."""
    assert AMTOOL
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "alertmanager.yml")
        file.write_text(config, encoding="utf-8")
        answers = []
        for labels in alerts:
            words = [f"{name}={value}" for name, value in labels.items()]
            done = subprocess.run(
                [AMTOOL, "config", "routes", "test", f"--config.file={file}", *words],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            answers.append(done.stdout.strip().split(","))
        return answers


def groups(config: str, alerts: list[dict[str, str]]) -> dict[str, Any]:
    """How a running Alertmanager groups and inhibits firing alerts.

    Returns
    -------
    dict
        `groups`: sorted [receiver, {label: value}, [numbers of the alerts]]; `inhibited`: numbers.
    """
    with running(config) as port:
        _post(port, [{"labels": labels} for labels in alerts])
        deadline = time.monotonic() + 10
        last: Any = None
        while time.monotonic() < deadline:
            answer = _answer(_get(port, "/api/v2/alerts/groups"), alerts)
            if answer == last and answer["seen"] == len(alerts):
                return {key: answer[key] for key in ("groups", "inhibited")}
            last = answer
            time.sleep(0.15)
    raise AssertionError(f"Alertmanager did not settle: {last}")


def _answer(found: list[dict[str, Any]], alerts: list[dict[str, str]]) -> dict[str, Any]:
    shown, inhibited = [], set()
    for group in found:
        numbers = sorted(alerts.index(alert["labels"]) for alert in group["alerts"])
        shown.append([group["receiver"]["name"], group["labels"], numbers])
        for alert in group["alerts"]:
            if alert["status"]["inhibitedBy"]:
                inhibited.add(alerts.index(alert["labels"]))
    shown.sort(key=json.dumps)
    seen = len({number for *_, numbers in shown for number in numbers})
    return {"groups": shown, "inhibited": sorted(inhibited), "seen": seen}


@contextlib.contextmanager
def running(config: str) -> Iterator[int]:
    """A fresh Alertmanager on a free port; gives the port, and ends it."""
    assert ALERTMANAGER
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "alertmanager.yml")
        file.write_text(config, encoding="utf-8")
        port = free_port()
        process = subprocess.Popen(
            [ALERTMANAGER, f"--config.file={file}", f"--storage.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    _get(port, "/-/ready", text=True)
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    error = process.stderr.read() if process.poll() is not None else b"not ready"
                    raise AssertionError(f"Alertmanager did not start: {error!r}")
                time.sleep(0.02)
            yield port
        finally:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[float, dict[str, Any]]]]]:
    """A receiver of webhooks: its address, and what has come (time, message)."""
    arrived: list[tuple[float, dict[str, Any]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((time.time(), json.loads(body) | {"path": self.path}))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(port: int, alerts: list[dict[str, Any]]) -> None:
    """Post alerts as Prometheus does."""
    _post(port, alerts)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _post(port: int, body: Any) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/alerts", json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10):
        pass


def _get(port: int, path: str, *, text: bool = False) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        body = answer.read()
    return body.decode() if text else json.loads(body)

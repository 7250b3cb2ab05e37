"""When messages go out: simulated time against a running Alertmanager with timers of seconds."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from course.telemetry.alertmanager import TimedAlert, load_config, notify
from tests.conftest import require
from tests.telemetry.alertmanager import real

CONFIG = """
route:
  receiver: chat
  group_by: [service]
  group_wait: 1s
  group_interval: 3s
  repeat_interval: 5s
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: [alertname!="Down"]
    equal: [service]
receivers:
  - name: chat
    webhook_configs: [{url: 'URL'}]
"""
#: Alert, service, start and end in seconds: one is inhibited for a while, one is repeated.
PLAN = [("Slow", "cart", 0.0, 12.2), ("Down", "cart", 2.0, 8.2), ("Full", "pay", 0.5, 5.0)]
_LONG = 17.5


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, list[tuple[float, dict[str, Any]]]]]:
    """A receiver of webhooks: its address, and what has come with its time."""
    arrived: list[tuple[float, dict[str, Any]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append(
                (time.time(), json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def running(config: str) -> Iterator[str]:
    """A fresh Alertmanager; gives its address, and ends it."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        file = Path(folder, "am.yml")
        file.write_text(config, encoding="utf-8")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(
            [str(real.ALERTMANAGER), f"--config.file={file}", f"--storage.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            real._until(lambda: real._get(f"http://127.0.0.1:{port}/-/ready") is not None)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _labels(name: str, service: str) -> dict[str, str]:
    return {"alertname": name, "service": service}


@pytest.mark.prometheus
@pytest.mark.slow
def test_a_running_alertmanager_sends_the_same_at_the_same_times() -> None:
    require(real.ALERTMANAGER, "Alertmanager is not installed; apt install prometheus-alertmanager")
    plan = sorted(PLAN, key=lambda entry: entry[2])
    with webhook() as (url, arrived), running(CONFIG.replace("URL", url)) as address:
        begin = pd.Timestamp.now("UTC")
        for name, service, start, end in plan:
            time.sleep(max(0.0, begin.timestamp() + start - time.time()))
            body = [{
                "labels": _labels(name, service),
                "startsAt": (begin + pd.Timedelta(start, "s")).isoformat(),
                "endsAt": (begin + pd.Timedelta(end, "s")).isoformat(),
            }]  # fmt: skip
            request = urllib.request.Request(
                f"{address}/api/v2/alerts", json.dumps(body).encode(),
                {"Content-Type": "application/json"},
            )  # fmt: skip
            urllib.request.urlopen(request, timeout=10).close()
        time.sleep(max(0.0, begin.timestamp() + _LONG - time.time()))
    alerts = [
        TimedAlert(
            _labels(name, service), begin + pd.Timedelta(start, "s"), begin + pd.Timedelta(end, "s")
        )
        for name, service, start, end in plan
    ]
    expected = [
        (message.group["service"], sorted(plan[n][0] for n in message.firing),
         sorted(plan[n][0] for n in message.resolved), message.time.timestamp())
        for message in notify(load_config(CONFIG), alerts, send_resolved=True)
        if message.time < begin + pd.Timedelta(_LONG - 0.5, "s")
    ]  # fmt: skip

    def named(message: dict[str, Any], status: str) -> list[str]:
        return sorted(a["labels"]["alertname"] for a in message["alerts"] if a["status"] == status)

    found = [
        (
            message["groupLabels"]["service"],
            named(message, "firing"),
            named(message, "resolved"),
            at,
        )
        for at, message in arrived
    ]

    def order(entry: tuple) -> tuple[str, float]:
        return entry[0], entry[3]

    found.sort(key=order)
    expected.sort(key=order)
    assert [entry[:3] for entry in found] == [entry[:3] for entry in expected]
    for here, there in zip(found, expected, strict=True):
        assert abs(here[3] - there[3]) < 1.0

"""The embedded default: scrapes, evaluates the rules, notifies, and answers Prometheus' queries.

``python -m course.testbed.stack.embedded`` is a process of the testbed where Prometheus is not
installed. Its HTTP interface is the part of Prometheus' and Alertmanager's that
`course.testbed.query` uses.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pandas as pd

from course.telemetry.prometheus import EvaluationError, RuleFileError, evaluate, load_rules
from course.telemetry.prometheus.series import parse_series_name
from course.telemetry.prometheus.vectors import Vector
from course.testbed import lifeline
from course.testbed.answering import JsonHandler, bind
from course.testbed.control import ask
from course.testbed.stack.notifier import Notifier
from course.testbed.stack.rules import group_wait
from course.testbed.stack.samples import Samples, evaluate_at, scrape_all

_KEEP_S = 4 * 3600
_RULE_WINDOW_S = 600
_EVALUATED = pd.Timedelta(seconds=_RULE_WINDOW_S / 2)  # long enough for every `for` and trend
_MAX_STEPS = 11_000  # as many points of a series as Prometheus gives at most
SEMANTICS = "2"


class Monitoring:
    """Samples, rules and alerts of one run.

    Parameters
    ----------
    folder : Path
        With rules.yml and targets.json.
    interval : float
        Seconds between scrapes.
    notifier : Notifier
    """

    def __init__(self, folder: Path, interval: float, notifier: Notifier) -> None:
        self.folder, self.interval, self.notifier = folder, interval, notifier
        self.samples = Samples(keep=int(_KEEP_S / interval))
        self.recorded = Samples(keep=int(_KEEP_S / interval))
        self.rules = load_rules((folder / "rules.yml").read_text(encoding="utf-8"))
        self.alerts: list[dict[str, Any]] = []

    def turn(self, now: float) -> None:
        """One round: scrape, evaluate, notify."""
        targets = json.loads((self.folder / "targets.json").read_text(encoding="utf-8"))
        now_ms = int(now * 1000)
        self.samples.add(now_ms, scrape_all(targets, timeout=self.interval))
        self._evaluate(now_ms)

    def _evaluate(self, now_ms: int) -> None:
        frame = self.samples.frame(now_ms - _RULE_WINDOW_S * 1000)
        if frame.empty:
            return
        history = evaluate(
            self.rules, frame, interval=f"{round(self.interval * 1000)}ms", semantics=SEMANTICS,
            missing="stale", start=max(frame.index[0], frame.index[-1] - _EVALUATED),
            end=frame.index[-1],
        )  # fmt: skip
        last = history.recorded.iloc[-1].dropna()
        self.recorded.add(
            now_ms, {parse_series_name(name): float(last[name]) for name in last.index}
        )
        self.alerts = [
            {"labels": alert.labels, "state": "firing" if alert.firing[-1] else "pending",
             "activeAt": int(alert.active_at[-1]) / 1000}
            for alert in history.alerts
            if alert.firing[-1] or alert.pending[-1]
        ]  # fmt: skip
        firing = [alert["labels"] for alert in self.alerts if alert["state"] == "firing"]
        self.notifier.update(firing, now_ms / 1000)

    def query(self, expression: str, times_ms: np.ndarray) -> Vector:
        """Evaluate PromQL over what was scraped and recorded."""
        storage = self.samples.storage()
        for block in self.recorded.storage().blocks:
            storage.add(block)
        return evaluate_at(storage, expression, times_ms, SEMANTICS)

    def alert_states(self) -> list[dict[str, Any]]:
        """Alerts that fire, as Alertmanager lists them."""
        return [
            {"labels": alert["labels"], "status": {
                "state": "suppressed" if self.notifier.inhibited(alert["labels"]) else "active"}}
            for alert in self.alerts
            if alert["state"] == "firing"
        ]  # fmt: skip


class _Api(JsonHandler):
    monitoring: Monitoring

    def do_GET(self) -> None:
        address = urlparse(self.path)
        given = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            self.answer(200, self._route(address.path, given))
        except (RuleFileError, EvaluationError, ValueError, KeyError) as error:
            self.answer(400, {"status": "error", "errorType": "bad_data", "error": str(error)})

    def _route(self, path: str, given: Mapping[str, str]) -> Any:
        if path == "/-/ready":
            return {}
        if path == "/api/v1/query_range":
            step = round(float(given["step"]) * 1000)
            start, end = (round(float(given[name]) * 1000) for name in ("start", "end"))
            if step <= 0 or end < start or (end - start) // step > _MAX_STEPS:
                raise ValueError("start, end and step give no steps, or too many")
            times = np.arange(start, end + 1, step, dtype=np.int64)
            vector = self.monitoring.query(given["query"], times)
            return _data("matrix", _matrix(vector, times))
        if path == "/api/v1/query":
            now = round(float(given.get("time", time.time())) * 1000)
            times = np.array([now], dtype=np.int64)
            series = _matrix(self.monitoring.query(given["query"], times), times)
            return _data(
                "vector", [{"metric": s["metric"], "value": s["values"][0]} for s in series]
            )
        if path == "/api/v1/status/buildinfo":
            return {"status": "success", "data": {"version": "embedded"}}
        if path == "/api/v2/alerts":
            return self.monitoring.alert_states()
        raise ValueError(f"{path} is not answered by the embedded default")


def _data(kind: str, result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def _matrix(vector: Vector, times: np.ndarray) -> list[dict[str, Any]]:
    found = []
    for row, labels in enumerate(vector.labels):
        there = np.flatnonzero(vector.present[row])
        if there.size:
            values = [[times[i] / 1000, repr(float(vector.values[row][i]))] for i in there]
            found.append({"metric": dict(labels), "values": values})
    return found


def main() -> None:
    """Run the embedded monitoring until the supervisor is gone."""
    config = json.loads(sys.stdin.buffer.readline())
    lifeline.die_with_parent(config["parent"])
    lifeline.watch(sys.stdin.fileno(), lifeline.exit_now)

    def send(note: dict[str, Any]) -> None:
        try:
            ask(config["control"], "/notify", note, token=config["token"], timeout=2)
        except OSError as error:
            print(f"a notification was not delivered: {error}", file=sys.stderr, flush=True)

    interval = config["interval"]
    notifier = Notifier(send, group_wait(interval))
    monitoring = Monitoring(Path(config["folder"]), interval, notifier)
    server = bind(_Api, monitoring=monitoring)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    due = time.time()
    while True:
        monitoring.turn(time.time())
        due = max(due + interval, time.time())
        time.sleep(max(due - time.time(), 0.01))


if __name__ == "__main__":
    main()

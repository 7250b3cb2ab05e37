"""The shop's old alerting: one fixed threshold per metric, the same day and night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.shop.topology import TOPOLOGY

COLUMNS = ["start", "end", "service", "metric", "threshold", "value", "severity"]


@dataclass(frozen=True)
class _Rule:
    """Fire while ``metric`` has been above ``threshold`` for ``minutes`` minutes."""

    metric: str
    threshold: float
    minutes: int
    severity: str


_RULES = (
    _Rule("error_ratio", 0.05, 3, "page"),
    _Rule("cpu_utilization", 0.85, 5, "ticket"),
    _Rule("memory_utilization", 0.92, 5, "ticket"),
    _Rule("pool_utilization", 0.85, 3, "page"),
    _Rule("disk_utilization", 0.90, 5, "ticket"),
    _Rule("queue_length", 200.0, 5, "ticket"),
)
_SLOW = 8.0  # p99 above this multiple of the service's idle p99 pages


def legacy_alerts(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the alerts that static thresholds raise on wide ``metrics``.

    Returns
    -------
    pd.DataFrame
        start, end (minutes, inclusive), service, metric, threshold, value (the worst), severity.
    """
    rows = []
    for service in TOPOLOGY.services:
        idle_p99 = _idle_latency(service.name) * np.exp(2.33 * service.tail)
        for rule in (*_RULES, _Rule("latency_p99_ms", _SLOW * idle_p99, 3, "page")):
            values = metrics[service.name, rule.metric].to_numpy()
            for first, last in _runs(values > rule.threshold, rule.minutes):
                worst = float(values[first : last + 1].max())
                fired = metrics.index[first + rule.minutes - 1]
                rows.append((fired, metrics.index[last], service.name, rule.metric,
                             round(float(rule.threshold), 4), worst, rule.severity))  # fmt: skip
    alerts = pd.DataFrame(rows, columns=COLUMNS)
    return alerts.sort_values(["start", "service", "metric"], ignore_index=True)


def _idle_latency(name: str) -> float:
    row = TOPOLOGY.wait_visits[TOPOLOGY.position[name]]
    return float(row @ TOPOLOGY.column("service_ms"))


def _runs(flags: np.ndarray, at_least: int) -> list[tuple[int, int]]:
    """First and last place of every run of True that is ``at_least`` long."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [
        (int(first), int(stop) - 1)
        for first, stop in zip(edges[::2], edges[1::2], strict=True)
        if stop - first >= at_least
    ]

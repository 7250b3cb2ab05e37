"""What a service exposes at /metrics: the raw form of the shop's metrics.

Counters and histogram buckets are what Prometheus wants; rates, ratios and quantiles are made
from them by the recording rules in ``stack/rules.yml``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from course.testbed.breaker import STATES
from course.testbed.layout import CPU_LIMIT, Node

BUCKETS = (
    0.001, 0.002, 0.004, 0.007, 0.01, 0.015, 0.02, 0.03, 0.045, 0.065, 0.09, 0.13, 0.18, 0.25,
    0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0,
)  # fmt: skip
_MB = 1 << 20


class Meters(Collector):
    """Metrics of one service process.

    Parameters
    ----------
    node : Node
    pool : callable
        Returns workers in use now, busy worker-seconds since the start, and the limit.
    queue : callable
        Returns the number of requests or messages that wait.
    disk : callable or None
        Returns used and total bytes of the data file.
    version : callable
        Returns the version that runs.
    breakers : callable
        Returns the state of the circuit breaker before each callee.
    """

    def __init__(
        self,
        node: Node,
        *,
        pool: Callable[[], tuple[int, float, int]],
        queue: Callable[[], int],
        disk: Callable[[], tuple[float, float]] | None,
        version: Callable[[], str],
        breakers: Callable[[], dict[str, str]],
    ) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "shop_requests", "Requests served, by status code.", ["code"], registry=self.registry
        )
        for code in ("200", "500"):  # there from the start, so that a first error is an increase
            self.requests.labels(code)
        self.seconds = Histogram(
            "shop_request_duration_seconds",
            "Time from arrival to answer, waiting and callees included.",
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.attempts = Counter(
            "shop_client_attempts", "Calls to other services, retries included.",
            ["callee", "outcome"], registry=self.registry,
        )  # fmt: skip
        self.dropped = Counter(
            "shop_telemetry_dropped", "Log lines that were not delivered.", registry=self.registry
        )
        self._node, self._pool, self._queue = node, pool, queue
        self._disk, self._version, self._breakers = disk, version, breakers
        self._process = psutil.Process()
        # Gauges and some counters are read when a scrape asks for them.
        self.registry.register(self)

    def served(self, code: int, seconds: float, trace_id: str = "") -> None:
        """Count one request; its trace becomes an exemplar of its bucket."""
        self.requests.labels(str(code)).inc()
        self.seconds.observe(seconds, {"trace_id": trace_id} if trace_id else None)

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        return int(self._process.memory_info().rss)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type: OpenMetrics with exemplars, or the older text format."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def describe(self) -> Iterator[Metric]:
        """Nothing up front: a registry would otherwise read the state before there is any."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read what is not counted as it happens."""
        in_use, busy, limit = self._pool()
        counters = {
            "shop_cpu_seconds": ("CPU time of the process.", time.process_time()),
            "shop_pool_busy_seconds": ("Time that workers were in use, summed.", busy),
        }
        gauges = {
            "shop_cpu_limit_cores": ("Cores that the service may use.", CPU_LIMIT),
            "shop_memory_used_bytes": ("Resident memory.", self.memory_bytes()),
            "shop_memory_limit_bytes": (
                "Above it the process is killed.",
                self._node.memory_mb * _MB,
            ),
            "shop_pool_in_use": ("Workers or connections in use.", in_use),
            "shop_pool_limit": ("Workers or connections.", limit),
            "shop_queue_length": ("Requests or messages that wait.", self._queue()),
        }
        if self._disk is not None:
            used, size = self._disk()
            gauges["shop_disk_used_bytes"] = ("Bytes of the data file in use.", used)
            gauges["shop_disk_size_bytes"] = ("Bytes that the data file may take.", size)
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value=value)
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        build = GaugeMetricFamily("shop_build_info", "The version that runs.", labels=["version"])
        build.add_metric([self._version()], 1)
        yield build
        state = GaugeMetricFamily(
            "shop_client_breaker_state",
            "Circuit breaker before a callee: 0 closed, 1 half open, 2 open.",
            labels=["callee"],
        )
        for callee, name in self._breakers().items():
            state.add_metric([callee], STATES.index(name))
        yield state


class BusyTime:
    """Integral of the number of busy workers over time.

    Examples
    --------
    >>> busy = BusyTime()
    >>> busy.change(+1)
    >>> busy.read()[0]
    1
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._busy, self._seconds, self._since = 0, 0.0, time.monotonic()

    def change(self, by: int) -> None:
        """Note that ``by`` more workers are busy from now on."""
        with self._lock:
            self._advance()
            self._busy += by

    def read(self) -> tuple[int, float]:
        """Return busy workers now and busy worker-seconds so far."""
        with self._lock:
            self._advance()
            return self._busy, self._seconds

    def _advance(self) -> None:
        now = time.monotonic()
        self._seconds += self._busy * (now - self._since)
        self._since = now

"""The services of the shop, who calls whom, and how much each can carry.

Everything here is constant: it is the personality of the one shop that runs through the course.
A scenario's seed changes noise and luck, never these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

METRICS: tuple[str, ...] = (
    "request_rate",
    "error_ratio",
    "latency_p50_ms",
    "latency_p99_ms",
    "cpu_utilization",
    "memory_utilization",
    "pool_utilization",
    "queue_length",
    "disk_utilization",
)

#: Mean requests per second at the gateway over an ordinary week.
MEAN_GATEWAY_RATE = 80.0


@dataclass(frozen=True)
class Service:
    """One service of the shop.

    Parameters
    ----------
    name : str
    kind : str
        "edge", "app", "worker", "queue", "cache", "sql" or "third_party".
    replicas : int
        Running copies on an ordinary day.
    workers : int
        Worker threads or connections of one replica: the limit behind ``pool_utilization``.
    service_ms : float
        Mean time of one request without waiting and without the services it calls.
    cpu : float
        CPU utilisation (0..1) at the mean weekly load; the capacity follows from it.
    memory, disk : float
        Utilisation (0..1) at rest.
    tail : float
        Sigma of the log-normal request time: p99 = p50 * exp(2.33 * tail) when idle.
    noise : float
        Standard deviation of the minute-to-minute log noise of the request time.
    error : float
        Failure probability of a healthy request.
    deadline_ms : float
        Callers give up on this service's own part around this time.
    retries : float
        Further attempts that the callers make after a failure.
    backlog : float
        Requests or messages that may wait before new ones are refused.
    host : str
        Machine pool; services on one host share neighbours.
    """

    name: str
    kind: str
    replicas: int
    workers: int
    service_ms: float
    cpu: float
    memory: float
    disk: float
    tail: float
    noise: float
    error: float
    deadline_ms: float
    retries: float
    backlog: float
    host: str


@dataclass(frozen=True)
class Call:
    """``caller`` makes ``per_request`` calls to ``callee`` for each request that it serves.

    ``waits`` is False for messages: load travels, latency and errors do not.
    ``optional`` is the share of failures that the caller hides by a fallback (0..1).
    """

    caller: str
    callee: str
    per_request: float
    waits: bool = True
    optional: float = 0.0


_SERVICES = (
    #       name              kind      rep wrk   ms  cpu  mem  disk tail noise  error  ddl  retry backlog host
    Service("gateway", "edge", 4, 30, 4.0, 0.27, 0.42, 0.31, 0.45, 0.06, 2e-4, 900, 0.1, 130, "a"),
    Service("storefront", "app", 4, 12, 22.0, 0.27, 0.55, 0.35, 0.40, 0.08, 5e-4, 1500, 0.5, 90, "a"),
    Service("search", "app", 3, 4, 38.0, 0.26, 0.63, 0.52, 0.55, 0.11, 1e-3, 1500, 0.5, 30, "b"),
    Service("cart", "app", 2, 4, 14.0, 0.27, 0.48, 0.30, 0.40, 0.09, 6e-4, 1000, 1.0, 18, "b"),
    Service("checkout", "app", 3, 5, 35.0, 0.24, 0.52, 0.33, 0.42, 0.10, 1.5e-3, 3000, 0.5, 25, "c"),
    Service("account", "app", 2, 3, 18.0, 0.22, 0.46, 0.29, 0.42, 0.10, 8e-4, 1500, 1.0, 25, "c"),
    Service("order-queue", "queue", 3, 2, 2.5, 0.12, 0.38, 0.41, 0.50, 0.10, 1e-4, 500, 2.0, 2000, "d"),
    Service("fulfilment", "worker", 2, 8, 120.0, 0.30, 0.50, 0.37, 0.45, 0.12, 2e-3, 9000, 0.5, 50000, "d"),
    Service("catalog", "app", 4, 3, 9.0, 0.30, 0.58, 0.34, 0.40, 0.08, 4e-4, 1000, 1.0, 85, "a"),
    Service("recommendation", "app", 3, 9, 45.0, 0.24, 0.71, 0.45, 0.60, 0.13, 2.5e-3, 800, 0.2, 40, "b"),
    Service("pricing", "app", 2, 2, 7.0, 0.22, 0.40, 0.27, 0.45, 0.11, 3e-4, 600, 1.0, 14, "c"),
    Service("inventory", "app", 2, 4, 10.0, 0.26, 0.45, 0.32, 0.45, 0.10, 5e-4, 1000, 1.0, 20, "d"),
    Service("payment", "app", 3, 4, 28.0, 0.20, 0.47, 0.30, 0.40, 0.09, 1.2e-3, 3000, 1.0, 28, "c"),
    Service("shipping", "app", 2, 2, 24.0, 0.18, 0.43, 0.28, 0.50, 0.12, 1e-3, 1200, 1.0, 15, "d"),
    Service("catalog-cache", "cache", 3, 2, 0.7, 0.18, 0.66, 0.15, 0.60, 0.10, 3e-5, 150, 0.5, 50, "e"),
    Service("session-cache", "cache", 2, 2, 0.6, 0.16, 0.57, 0.15, 0.60, 0.10, 3e-5, 150, 0.5, 35, "e"),
    Service("catalog-db", "sql", 2, 4, 12.0, 0.24, 0.68, 0.54, 0.65, 0.12, 1e-4, 1500, 0.5, 20, "f"),
    Service("orders-db", "sql", 2, 6, 8.0, 0.22, 0.72, 0.61, 0.60, 0.13, 1e-4, 1500, 0.5, 90, "f"),
    Service("payment-provider", "third_party", 1, 8, 180.0, 0.15, 0.30, 0.20, 0.50, 0.14, 4e-3, 4000,
            0.7, 60, "x"),
)  # fmt: skip

_CALLS = (
    Call("gateway", "storefront", 0.52),
    Call("gateway", "search", 0.18),
    Call("gateway", "cart", 0.14),
    Call("gateway", "checkout", 0.05),
    Call("gateway", "account", 0.11),
    Call("storefront", "catalog", 1.2),
    Call("storefront", "recommendation", 0.8, optional=0.8),
    Call("storefront", "session-cache", 1.0, optional=0.5),
    Call("search", "catalog", 0.6),
    Call("cart", "pricing", 1.0),
    Call("cart", "inventory", 0.5, optional=0.3),
    Call("cart", "session-cache", 1.0),
    Call("checkout", "inventory", 1.0),
    Call("checkout", "payment", 1.0),
    Call("checkout", "shipping", 0.9, optional=0.4),
    Call("checkout", "orders-db", 2.0),
    Call("checkout", "session-cache", 1.0),
    Call("checkout", "order-queue", 1.0),
    Call("account", "session-cache", 1.0),
    Call("account", "orders-db", 0.8),
    Call("order-queue", "fulfilment", 1.0, waits=False),
    Call("fulfilment", "inventory", 0.5),
    Call("fulfilment", "shipping", 0.3),
    Call("fulfilment", "orders-db", 1.0),
    Call("catalog", "catalog-cache", 1.5, optional=0.3),
    Call("catalog", "catalog-db", 0.12),
    Call("recommendation", "catalog-cache", 1.0, optional=0.5),
    Call("pricing", "catalog-cache", 1.0, optional=0.3),
    Call("pricing", "catalog-db", 0.05),
    Call("inventory", "orders-db", 1.0),
    Call("payment", "payment-provider", 1.0),
    Call("payment", "orders-db", 1.0),
)

#: A cache and the store that answers what the cache misses.
BACKING: dict[str, str] = {"catalog-cache": "catalog-db", "session-cache": "orders-db"}


@dataclass(frozen=True)
class Topology:
    """The call graph with capacities; all arrays are indexed by ``services`` order.

    ``services`` is in topological order: a caller stands before those that it calls.
    """

    services: tuple[Service, ...]
    calls: tuple[Call, ...]
    backing: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [service.name for service in self.services]
        for call in self.calls:
            if names.index(call.caller) >= names.index(call.callee):
                raise ValueError(
                    f"{call.caller} calls {call.callee} but stands after it; "
                    "list the services so that every caller precedes its callees"
                )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the services, in topological order."""
        return tuple(service.name for service in self.services)

    @cached_property
    def position(self) -> dict[str, int]:
        """Name of a service -> its place in every array."""
        return {name: place for place, name in enumerate(self.names)}

    def service(self, name: str) -> Service:
        """Return one service; a KeyError names the services that exist."""
        if name not in self.position:
            raise KeyError(f"no service {name!r} in the shop; services: {', '.join(self.names)}")
        return self.services[self.position[name]]

    def column(self, attribute: str) -> np.ndarray:
        """Return one attribute of all services as a float array [service]."""
        return np.array([getattr(service, attribute) for service in self.services], dtype=float)

    @cached_property
    def call_matrix(self) -> np.ndarray:
        """Calls per request, [caller, callee]; the gateway's row is the mean mix of journeys."""
        matrix = np.zeros((len(self.services), len(self.services)))
        for call in self.calls:
            matrix[self.position[call.caller], self.position[call.callee]] = call.per_request
        return matrix

    @cached_property
    def visits(self) -> np.ndarray:
        """Requests at [callee column] for each request that enters at [row], by all paths."""
        return _paths(self.call_matrix)

    @cached_property
    def wait_visits(self) -> np.ndarray:
        """Like ``visits`` over the calls that the caller waits for: how latency adds up."""
        return _paths(self._waiting(with_fallback=False))

    @cached_property
    def error_visits(self) -> np.ndarray:
        """Like ``wait_visits``, less what fallbacks hide: how errors travel up."""
        return _paths(self._waiting(with_fallback=True))

    @cached_property
    def mean_rate(self) -> np.ndarray:
        """Mean requests per second of every service over an ordinary week, [service]."""
        return MEAN_GATEWAY_RATE * self.visits[0]

    @cached_property
    def capacity(self) -> np.ndarray:
        """Requests per second at which the CPU of all ordinary replicas is full, [service]."""
        return self.mean_rate / self.column("cpu")

    @cached_property
    def pool(self) -> np.ndarray:
        """Workers or connections of all ordinary replicas together, [service]."""
        return self.column("replicas") * self.column("workers")

    @cached_property
    def mean_pool(self) -> np.ndarray:
        """Share of the pool in use in the mean minute of the week, queues left out, [service].

        Little's law: requests per second times the seconds for which each holds its worker, its
        waits for callees included.
        """
        held_ms = self.wait_visits @ self.column("service_ms")
        return self.mean_rate * held_ms / (1000.0 * self.pool)

    @cached_property
    def depth(self) -> int:
        """Number of calls on the longest path from the gateway."""
        step, depth = self.call_matrix > 0, 0
        reach = np.eye(len(self.services), dtype=bool)
        while (reach := reach.astype(int) @ step.astype(int) > 0).any():
            depth += 1
        return depth

    def callees(self, name: str) -> list[str]:
        """Services that ``name`` calls."""
        self.service(name)
        return [call.callee for call in self.calls if call.caller == name]

    def callers(self, name: str) -> list[str]:
        """Services that call ``name``."""
        self.service(name)
        return [call.caller for call in self.calls if call.callee == name]

    def upstream(self, name: str) -> list[str]:
        """Services whose requests wait for ``name``, directly or not, in topological order."""
        column = self.wait_visits[:, self.position[name]]
        return [other for place, other in enumerate(self.names) if column[place] and other != name]

    def path_to_gateway(self, name: str) -> list[str]:
        """The way by which most requests reach ``name``, from ``name`` up to where users wait.

        Asynchronous consumers end at themselves: nobody waits for them.
        """
        path = [name]
        self.service(name)
        while True:
            into = [call for call in self.calls if call.callee == path[-1] and call.waits]
            if not into:
                return path
            path.append(max(into, key=self._call_rate).caller)

    def _call_rate(self, call: Call) -> float:
        return float(self.mean_rate[self.position[call.caller]] * call.per_request)

    def _waiting(self, with_fallback: bool) -> np.ndarray:
        matrix = np.zeros_like(self.call_matrix)
        for call in self.calls:
            if call.waits:
                kept = 1.0 - call.optional if with_fallback else 1.0
                place = self.position[call.caller], self.position[call.callee]
                matrix[place] = call.per_request * kept
        return matrix


def _paths(matrix: np.ndarray) -> np.ndarray:
    """Sum of products over all paths: (I - matrix)^-1 of a nilpotent matrix, by back-substitution."""
    size = len(matrix)
    paths = np.eye(size)
    for row in range(size - 1, -1, -1):
        for column in range(row + 1, size):
            if matrix[row, column]:
                paths[row] += matrix[row, column] * paths[column]
    return paths


TOPOLOGY = Topology(_SERVICES, _CALLS, BACKING)
SERVICES: tuple[str, ...] = TOPOLOGY.names

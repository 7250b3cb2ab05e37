"""Which services the testbed runs, what each can carry and whom it calls.

A subset of `course.shop.topology` with the same names and calls. This module imports nothing but
the standard library: every service process reads it, and a start of thirteen processes must not
load pandas thirteen times. ``tests/testbed/test_layout.py`` holds it against the simulator's shop.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Journeys of a user and their share of all arrivals. Orders are more frequent than in the
#: simulator: at twenty arrivals a second its share would give the order path too few requests.
JOURNEYS: dict[str, float] = {"storefront": 0.44, "search": 0.20, "cart": 0.20, "checkout": 0.16}


@dataclass(frozen=True)
class Edge:
    """A call that a service makes while it serves a request.

    ``per_request`` is the mean number of calls; ``optional`` the share of failures that the
    caller hides by a fallback (0..1); ``operation`` is method and path at the callee.
    """

    callee: str
    operation: str
    per_request: float
    optional: float = 0.0


@dataclass(frozen=True)
class Node:
    """One service process.

    Parameters
    ----------
    name : str
    kind : str
        "edge", "app", "worker", "queue", "sql" or "third_party".
    workers : int
        Worker threads; in a store each holds one connection.
    backlog : int
        Requests that may wait for a worker; the next is refused with 503.
    service_ms : float
        Median time of a request without waiting and without callees.
    tail : float
        Sigma of the log-normal request time.
    error : float
        Failure probability of a healthy request.
    timeout_ms : int
        A caller gives up on one attempt after this time.
    retries : float
        Mean number of further attempts that a caller makes after a failure.
    memory_mb : int
        Limit of the process's resident memory; above it the supervisor kills the process.
    disk_mb : float
        Size of the bounded data file; 0 for a service without one.
    calls : tuple of Edge
    """

    name: str
    kind: str
    workers: int
    backlog: int
    service_ms: float
    tail: float
    error: float
    timeout_ms: int
    retries: float
    memory_mb: int
    disk_mb: float = 0.0
    calls: tuple[Edge, ...] = ()

    @property
    def operation(self) -> str:
        """The name of the spans in which this service does its own work."""
        return OPERATIONS[self.name]


#: CPU cores that a service is given; its utilisation is measured against them. They are few, so
#: that twenty users a second take the share that the simulator's services take of theirs.
CPU_LIMIT = 0.1

OPERATIONS: dict[str, str] = {
    "gateway": "HTTP GET", "storefront": "GET /", "search": "GET /search", "cart": "POST /cart",
    "checkout": "POST /checkout", "order-queue": "publish orders", "fulfilment": "process orders",
    "catalog": "GET /products", "inventory": "POST /reserve", "payment": "POST /authorize",
    "catalog-db": "SELECT products", "orders-db": "SELECT orders",
    "payment-provider": "POST /v1/charges",
}  # fmt: skip

_NODES = (
    #    name           kind  wrk backlog ms tail error timeout retry MB
    Node("gateway", "edge", 40, 130, 4.0, 0.45, 2e-4, 5000, 0.1, 72),
    Node("storefront", "app", 4, 90, 22.0, 0.40, 5e-4, 1500, 0.5, 64, calls=(
        Edge("catalog", "GET /products", 1.2),)),
    Node("search", "app", 3, 30, 38.0, 0.55, 1e-3, 1500, 0.5, 64, calls=(
        Edge("catalog", "GET /products", 0.6),)),
    Node("cart", "app", 3, 18, 14.0, 0.40, 6e-4, 1500, 1.0, 64, calls=(
        Edge("inventory", "POST /reserve", 0.5, optional=0.3),)),
    Node("checkout", "app", 10, 25, 35.0, 0.42, 1.5e-3, 4000, 0.5, 64, calls=(
        Edge("inventory", "POST /reserve", 1.0),
        Edge("payment", "POST /authorize", 1.0),
        Edge("orders-db", "POST /orders", 1.0),
        Edge("orders-db", "GET /orders", 1.0),
        Edge("order-queue", "POST /publish", 1.0))),
    Node("order-queue", "queue", 4, 60, 2.5, 0.50, 1e-4, 800, 2.0, 64, disk_mb=6.0),
    Node("fulfilment", "worker", 4, 0, 120.0, 0.45, 2e-3, 9000, 0.5, 64, calls=(
        Edge("inventory", "POST /reserve", 0.5),
        Edge("orders-db", "POST /orders", 1.0))),
    Node("catalog", "app", 3, 85, 9.0, 0.40, 4e-4, 1000, 1.0, 64, calls=(
        # What the catalogue's own cache misses; the simulator's cache is a service of its own.
        Edge("catalog-db", "GET /products", 0.4),)),
    Node("inventory", "app", 3, 20, 10.0, 0.45, 5e-4, 1000, 1.0, 64, calls=(
        Edge("orders-db", "POST /stock", 1.0),)),
    Node("payment", "app", 8, 28, 28.0, 0.40, 1.2e-3, 3000, 1.0, 64, calls=(
        Edge("payment-provider", "POST /v1/charges", 1.0),
        Edge("orders-db", "POST /payments", 1.0))),
    Node("catalog-db", "sql", 4, 20, 3.0, 0.55, 1e-4, 800, 0.5, 80, disk_mb=10.0),
    Node("orders-db", "sql", 4, 60, 3.0, 0.55, 1e-4, 800, 0.5, 80, disk_mb=12.0),
    Node("payment-provider", "third_party", 4, 60, 120.0, 0.50, 4e-3, 2000, 0.7, 64),
)  # fmt: skip

#: The services by name; a caller stands before those that it calls.
NODES: dict[str, Node] = {node.name: node for node in _NODES}

#: The gateway sends each journey to its entry service.
ENTRIES: dict[str, Edge] = {name: Edge(name, OPERATIONS[name], 1.0) for name in JOURNEYS}


def callers(name: str) -> list[str]:
    """Services that call ``name`` and wait for it."""
    direct = [node.name for node in _NODES if any(edge.callee == name for edge in node.calls)]
    return (["gateway"] if name in JOURNEYS else []) + direct


def callees(name: str) -> list[str]:
    """Services that ``name`` calls, each once, in order."""
    names = [edge.callee for edge in NODES[name].calls]
    if name == "gateway":
        names = list(JOURNEYS)
    if name == "fulfilment":
        names = ["order-queue", *names]
    return list(dict.fromkeys(names))

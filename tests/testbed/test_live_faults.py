"""Faults on the running shop: each is seen in the metric in which it should be seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from course.errors import CourseError
from course.testbed.ledger import read_lines
from course.testbed.stack.rules import metric_queries
from tests.testbed.conftest import Shop, eventually

QUERIES = metric_queries(1.0)
Reading = Callable[[str, str], float]


@pytest.fixture(scope="module")
def read(shop: Shop) -> Iterator[Reading]:
    """Reads one metric of one service now."""

    def read(service: str, metric: str) -> float:
        values = shop.monitoring.instant(QUERIES[metric])
        return float(values.get(f'{{service="{service}"}}', float("nan")))

    eventually(lambda: read("catalog-db", "latency_p50_ms") > 0, 20, "metrics of all services")
    yield read
    shop.ask("/heal", {})


#: Faults that do not hide each other act at once; (kind, service, severity, metric, at least).
TOGETHER = (
    (
        ("cpu_saturation", "search", 0.8, "cpu_utilization", 0.7),
        ("memory_leak", "cart", 0.9, "memory_utilization", 0.7),
        ("slow_query", "catalog-db", 1.0, "latency_p50_ms", 9.0),
        ("network_delay", "inventory", 1.0, "latency_p50_ms", 45.0),
        ("bad_deploy", "storefront", 0.8, "error_ratio", 0.1),
        ("queue_backlog", "fulfilment", 1.0, "pool_utilization", 0.9),
    ),
    (
        ("pool_exhaustion", "storefront", 0.8, "pool_utilization", 0.7),
        ("network_loss", "catalog", 1.0, "latency_p99_ms", 150.0),
        ("third_party_outage", "payment-provider", 0.8, "error_ratio", 0.3),
        ("retry_storm", "cart", 0.8, "error_ratio", 0.2),
    ),
)


@pytest.mark.parametrize("faults", TOGETHER, ids=["first", "second"])
def test_a_fault_is_seen_within_thirty_seconds(
    shop: Shop, read: Reading, faults: tuple[tuple[str, str, float, str, float], ...]
) -> None:
    for kind, service, _, metric, least in faults:
        before = read(service, metric)
        assert not before >= least, f"{kind}: {service} {metric} is {before} before the fault"
    for kind, service, severity, _, _ in faults:
        shop.ask("/fault", {"kind": kind, "service": service, "severity": severity,
                            "seconds": 60, "seed": 1})  # fmt: skip
    waiting = set(faults)
    deadline = time.monotonic() + 30
    while waiting and time.monotonic() < deadline:
        waiting = {f for f in waiting if not read(f[1], f[3]) >= f[4]}
        time.sleep(0.2)
    shop.ask("/heal", {})
    assert waiting == set()
    eventually(
        lambda: all(not read(service, metric) >= least for _, service, _, metric, least in faults
                    if metric in ("error_ratio", "pool_utilization")),
        25, "all is well again after the faults",
    )  # fmt: skip


def test_a_slowed_worker_lets_the_queue_grow_and_it_is_worked_off(
    shop: Shop, read: Reading
) -> None:
    shop.ask("/fault", {"kind": "queue_backlog", "service": "fulfilment", "severity": 1.0,
                        "seconds": 60})  # fmt: skip
    eventually(lambda: read("order-queue", "queue_length") > 15, 30, "messages wait")
    shop.ask("/heal", {})
    eventually(lambda: read("order-queue", "queue_length") < 10, 30, "the queue is worked off")


def test_a_leak_ends_in_a_kill_and_a_restart(shop: Shop) -> None:
    begin = time.time()
    shop.ask("/fault", {"kind": "memory_leak", "service": "inventory", "severity": 1.0,
                        "seconds": 12})  # fmt: skip

    def kinds() -> list[str]:
        lines = read_lines(shop.folder / "events.jsonl")
        return [e["kind"] for e in lines if e["service"] == "inventory" and e["time"] > begin]

    eventually(lambda: kinds()[:2] == ["oom", "restart"], 20, "killed and started again")
    shop.ask("/heal", {})


def test_a_bad_release_stands_in_the_change_log_like_a_good_one(shop: Shop) -> None:
    shop.ask("/change", {"kind": "deploy", "service": "search", "detail": "v7"})
    shop.ask("/fault", {"kind": "bad_deploy", "service": "catalog", "severity": 0.5, "seconds": 30})
    shop.ask("/heal", {})
    events = read_lines(shop.folder / "events.jsonl")
    deploys = [(e["service"], e["detail"]) for e in events if e["kind"] == "deploy"]
    assert ("search", "v7") in deploys
    assert [d for s, d in deploys if s == "catalog"][-1] == "v1: rolled back"
    versions = shop.monitoring.instant("shop_build_info")
    eventually(
        lambda: 'version="v7"' in str(shop.monitoring.instant("shop_build_info").index.tolist()),
        10, f"the version that runs is a metric: {versions}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"kind": "gremlins", "service": "cart"}, "unknown fault kind"),
        ({"kind": "slow_query", "service": "cart"}, "choose one of: catalog-db, orders-db"),
        ({"kind": "slow_query", "service": "orders-db", "severity": 2}, "must lie in"),
        ({"kind": "slow_query", "service": "orders-db", "seconds": 0}, "must lie in"),
    ],
)
def test_a_fault_that_can_not_be_is_refused(
    shop: Shop, order: dict[str, object], message: str
) -> None:
    with pytest.raises(CourseError, match=message):
        shop.ask("/fault", order)

"""What a fault does to a service at a moment."""

from __future__ import annotations

import pytest

from course.testbed.troubles import KINDS, Condition, Trouble, comes_and_goes, concerned, condition


def _at(kind: str, age: float, severity: float = 0.8, service: str | None = None) -> Condition:
    root = KINDS[kind].services[0]
    trouble = Trouble(kind, root, severity, begin=1000.0, seconds=100.0, since=1000.0)
    return condition(service or root, [trouble], 1000.0 + age)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_changes_something_while_it_lasts_and_nothing_else(kind: str) -> None:
    assert _at(kind, -1) == Condition()
    assert _at(kind, 50) != Condition() or kind == "third_party_outage"
    assert _at(kind, 101) == Condition()


@pytest.mark.parametrize(
    ("kind", "field"),
    [("cpu_saturation", "burn"), ("memory_leak", "leaked"), ("slow_query", "scan"),
     ("pool_exhaustion", "held"), ("bad_deploy", "raises"), ("network_delay", "delay_ms"),
     ("network_loss", "loss"), ("disk_full", "filled"), ("queue_backlog", "slow")],
)  # fmt: skip
def test_a_harder_fault_does_more(kind: str, field: str) -> None:
    values = [getattr(_at(kind, 20, severity), field) for severity in (0.3, 0.6, 1.0)]
    assert values[0] < values[1] < values[2]


def test_a_leak_begins_anew_after_a_restart() -> None:
    trouble = Trouble("memory_leak", "cart", 0.8, begin=0, seconds=100, since=0)
    again = Trouble("memory_leak", "cart", 0.8, begin=0, seconds=100, since=45)
    assert condition("cart", [trouble], 50).leaked > 1
    assert condition("cart", [again], 50).leaked < 0.5


def test_a_retry_storm_makes_callers_eager_and_the_root_fail() -> None:
    root = KINDS["retry_storm"].services[0]
    told = concerned("retry_storm", root)
    assert told[0] == root
    assert len(told) > 1
    assert _at("retry_storm", 5).fail > 0.4
    caller = _at("retry_storm", 5, service=told[1])
    assert caller.eager == {root: 3}
    assert caller.fail == 0


def test_faults_at_one_service_add_up() -> None:
    slow = Trouble("slow_query", "orders-db", 0.5, 0, 100, 0)
    held = Trouble("pool_exhaustion", "orders-db", 0.5, 0, 100, 0)
    both = condition("orders-db", [slow, held], 50)
    assert (both.scan, both.held) == (pytest.approx(0.3), pytest.approx(0.875))


def test_an_outage_is_on_at_first_and_then_about_as_often_as_it_should_be() -> None:
    assert all(comes_and_goes(seed, 1.0, 0.75) for seed in range(50))
    on = [comes_and_goes(seed, 12.0, 0.75) for seed in range(2000)]
    assert 0.7 < sum(on) / len(on) < 0.8

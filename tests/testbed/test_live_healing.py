"""A circuit breaker and an automatic rollback on the processes of the running shop."""

from __future__ import annotations

import time

import psutil
import pytest

from course.errors import CourseError
from course.testbed.ledger import read_lines
from tests.testbed.conftest import Shop, eventually

PROVIDER = "payment-provider"
ATTEMPTS = f'sum(shop_client_attempts_total{{callee="{PROVIDER}",outcome%s}})'


def _value(shop: Shop, expression: str) -> float:
    found = shop.monitoring.instant(expression)
    return float(found.iloc[0]) if len(found) else 0.0


def _pid(shop: Shop, service: str) -> int:
    rows = {row["name"]: row["pid"] for row in shop.ask("/status")["processes"]}
    return int(rows[service])


def test_a_breaker_opens_before_a_hanging_provider_and_closes_when_it_is_well(shop: Shop) -> None:
    shop.ask("/breakers", {"callees": [PROVIDER], "settings": {"pause_s": 1.0}})
    state = f'shop_client_breaker_state{{callee="{PROVIDER}"}}'
    eventually(lambda: _value(shop, ATTEMPTS % '="ok"') > 0, 30, "payments are made")
    assert _value(shop, state) == 0
    shop.ask("/fault", {"kind": "third_party_outage", "service": PROVIDER, "severity": 1.0,
                        "seconds": 120, "seed": 1})  # fmt: skip
    eventually(lambda: _value(shop, state) == 2, 40, "the breaker is open")
    refused = _value(shop, ATTEMPTS % '="breaker_open"')
    eventually(
        lambda: _value(shop, ATTEMPTS % '="breaker_open"') > refused, 20, "calls are refused"
    )
    shop.ask("/heal", {})
    eventually(lambda: _value(shop, state) == 0, 30, "the breaker is closed again")
    lines = read_lines(shop.folder / "payment.log")
    changes = [line["message"] for line in lines if line["attributes"]["template_id"] == "breaker"]
    assert "closed -> open" in changes[0]
    assert "half-open -> closed" in changes[-1]
    shop.ask("/breakers", {"callees": []})
    assert shop.ask("/status")["breakers"]["callees"] == []


def test_a_failing_release_is_taken_back_by_a_process_with_the_earlier_version(shop: Shop) -> None:
    eventually(lambda: _value(shop, 'sum(rate(shop_requests_total{service="catalog"}[5s]))') > 1,
               30, "the catalogue is asked")  # fmt: skip
    shop.ask("/rollback", {"on": True})
    before, begin = _pid(shop, "catalog"), time.time()
    shop.ask("/fault", {"kind": "bad_deploy", "service": "catalog", "severity": 1.0,
                        "seconds": 300})  # fmt: skip
    assert shop.ask("/status")["versions"]["catalog"] != "v1"

    def rollbacks() -> list[str]:
        lines = read_lines(shop.folder / "events.jsonl")
        return [e["detail"] for e in lines if e["kind"] == "rollback" and e["time"] >= begin]

    eventually(rollbacks, 60, "the release is taken back")
    assert "-> v1: " in rollbacks()[0]
    eventually(lambda: psutil.pid_exists(_pid(shop, "catalog")) and _pid(shop, "catalog") != before,
               20, "another process runs")  # fmt: skip
    assert not psutil.pid_exists(before)
    status = shop.ask("/status")
    assert (status["versions"]["catalog"], status["faults"]) == ("v1", [])
    eventually(lambda: _value(shop, 'sum(rate(shop_requests_total{service="catalog",code="200"}[5s]))')
               > 1, 30, "the catalogue serves again")  # fmt: skip
    shop.ask("/rollback", {"on": False})
    assert len(rollbacks()) == 1


@pytest.mark.parametrize(
    ("path", "order", "message"),
    [
        ("/rollback", {"service": "search"}, "nothing is known to go back to"),
        ("/rollback", {"service": "gremlin"}, "there is no service 'gremlin'"),
        ("/breakers", {"callees": ["gremlin"]}, "there is no service gremlin"),
        ("/breakers", {"callees": [], "settings": {"failures": 2}}, "must lie in"),
    ],
)
def test_an_order_that_can_not_be_carried_out_is_refused(
    shop: Shop, path: str, order: dict[str, object], message: str
) -> None:
    with pytest.raises(CourseError, match=message):
        shop.ask(path, order)


def test_a_release_is_rolled_back_by_hand(shop: Shop) -> None:
    shop.ask("/change", {"kind": "deploy", "service": "search", "detail": "v9"})
    assert shop.ask("/rollback", {"service": "search"}) == {
        "service": "search", "version": "v1", "from": "v9",
    }  # fmt: skip
    eventually(lambda: shop.ask("/status")["versions"]["search"] == "v1", 5, "v1 is back")

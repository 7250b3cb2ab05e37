"""How many users arrive, and when."""

from __future__ import annotations

import http.server
import threading
import time

import numpy as np
import pytest

from course.testbed.layout import JOURNEYS
from course.testbed.load import Generator, Plan, Surge, daily_level
from tests.testbed.conftest import eventually


def test_a_constant_rate_is_shared_by_the_journeys() -> None:
    rates = Plan(rate=20).rates(0.0, lambda journey, hour: 1.0)
    assert rates == {name: pytest.approx(20 * share) for name, share in JOURNEYS.items()}


def test_a_compressed_day_has_the_simulators_shape_and_mean() -> None:
    level = daily_level()
    hours = np.arange(0, 24, 0.25)
    for journey in JOURNEYS:
        levels = np.array([level(journey, hour) for hour in hours])
        assert levels.mean() == pytest.approx(1, abs=0.02)
        assert 15 <= hours[levels.argmax()] <= 20
        assert levels.min() > 0.4
    plan = Plan(rate=20, day_minutes=24, begin=0, hour=6)
    asked = [sum(plan.rates(minute * 60.0, level).values()) for minute in range(24)]
    assert 10 < min(asked) < 17
    assert 24 < max(asked) < 34
    assert asked[0] == pytest.approx(sum(20 * s * level(j, 6.0) for j, s in JOURNEYS.items()))


def test_a_surge_rises_and_falls_and_is_over() -> None:
    surge = Surge("flash_sale", begin=100, seconds=100, size=2.0, journeys={"checkout": 0.7})
    assert surge.extra("checkout", 99) == 0
    assert 0 < surge.extra("checkout", 105) < surge.extra("checkout", 150) == 1.4
    assert surge.extra("checkout", 201) == 0
    assert surge.extra("search", 150) == 0


def test_arrivals_do_not_wait_for_answers() -> None:
    """An open loop: a shop that answers nothing gets as many visits as one that answers."""
    visits: list[float] = []

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            visits.append(time.monotonic())
            time.sleep(3)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    generator = Generator(server.server_address[1])
    generator.control("/", {"rate": 30})
    time.sleep(2)
    generator.control("/", {"rate": 0})
    assert 35 <= len(visits) <= 90
    server.shutdown()


@pytest.mark.parametrize("order", [{"rate": -1}, {"rate": 1000}, {"rate": 5, "day_minutes": -1}])
def test_a_rate_that_two_cores_do_not_carry_is_refused(order: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Generator(1).control("/", order)


def test_visits_that_nobody_answers_are_counted() -> None:
    generator = Generator(1)
    generator.control("/", {"rate": 30})
    eventually(lambda: generator.sent["no answer"] > 3, 5, "failed visits are counted")
    generator.control("/", {"rate": 0})

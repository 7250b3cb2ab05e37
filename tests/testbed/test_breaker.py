"""A circuit breaker: closed, open, half open."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NoOpTracer

from course.testbed.breaker import CLOSED, HALF_OPEN, OPEN, Breaker, Breakers, BreakerSettings
from course.testbed.layout import Edge
from course.testbed.web import BREAKER_OPEN, CallFailed, Client, PooledServer
from tests.testbed.conftest import Script

EDGE = Edge("catalog", "GET /products", 1.0)
SETTINGS = BreakerSettings(window=10, least=4, failures=0.5, pause_s=2.0, trials=2)


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A breaker with a clock, and what it said."""

    def __init__(self, settings: BreakerSettings = SETTINGS) -> None:
        self.clock, self.said = Clock(), list[tuple[str, str]]()
        self.breaker = Breaker(
            settings, lambda old, new, why: self.said.append((old, new)), self.clock
        )

    def call(self, ok: bool) -> bool:
        """Make one call if it is let through; whether it was."""
        permit = self.breaker.permit()
        if permit is not None:
            self.breaker.result(permit, ok)
        return permit is not None

    def opened(self) -> Bench:
        """Fail until it opens."""
        for _ in range(4):
            self.call(False)
        assert self.breaker.state == OPEN
        return self


def test_it_opens_at_the_share_of_failures_and_not_before_the_least_number_of_calls() -> None:
    bench = Bench()
    for ok in (True, False, False):
        bench.call(ok)
    assert bench.breaker.state == CLOSED
    bench.call(True)
    assert bench.breaker.state == OPEN, "two of four are half"


def test_only_the_latest_calls_count() -> None:
    bench = Bench()
    for _ in range(7):
        bench.call(True)
    for _ in range(4):
        bench.call(False)
    assert bench.breaker.state == CLOSED, "four of the latest ten"
    bench.call(False)
    assert bench.breaker.state == OPEN


def test_open_it_refuses_until_the_pause_is_over() -> None:
    bench = Bench().opened()
    bench.clock.now += 1.99
    assert not bench.call(True)
    bench.clock.now += 0.01
    assert bench.call(True)
    assert bench.breaker.state == HALF_OPEN


def test_half_open_one_call_at_a_time_may_try() -> None:
    bench = Bench().opened()
    bench.clock.now += 2
    trial = bench.breaker.permit()
    assert trial is not None
    assert bench.breaker.permit() is None
    bench.breaker.result(trial, True)
    assert bench.breaker.permit() is not None


def test_good_trials_close_it_and_it_begins_anew() -> None:
    bench = Bench().opened()
    bench.clock.now += 2
    bench.call(True)
    bench.call(True)
    assert bench.said == [(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, CLOSED)]
    for _ in range(3):
        bench.call(False)
    assert bench.breaker.state == CLOSED, "failures from before it opened are forgotten"


def test_a_failed_trial_opens_it_for_another_pause() -> None:
    bench = Bench().opened()
    bench.clock.now += 2
    bench.call(True)
    bench.call(False)
    assert bench.breaker.state == OPEN
    bench.clock.now += 1
    assert not bench.call(True)


def test_an_answer_that_comes_late_does_not_count() -> None:
    bench = Bench()
    slow = bench.breaker.permit()
    assert slow is not None
    bench.opened()
    bench.clock.now += 2
    trial = bench.breaker.permit()
    assert trial is not None
    bench.breaker.result(slow, False)
    assert bench.breaker.state == HALF_OPEN
    bench.breaker.result(trial, True)
    assert bench.call(True)
    assert bench.breaker.state == CLOSED


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=60))
def test_whatever_happens_it_goes_from_closed_to_open_to_half_open(
    calls: list[tuple[bool, float]],
) -> None:
    bench = Bench()
    opened = 0.0
    for ok, pause in calls:
        bench.clock.now += pause
        before = bench.breaker.state
        let_through = bench.call(ok)
        if before == OPEN:
            assert let_through == (bench.clock.now - opened >= SETTINGS.pause_s)
        else:
            assert let_through
        if bench.breaker.state == OPEN and let_through:
            opened = bench.clock.now
    allowed = {(CLOSED, OPEN), (OPEN, HALF_OPEN), (HALF_OPEN, OPEN), (HALF_OPEN, CLOSED)}
    assert set(bench.said) <= allowed
    assert all(a[1] == b[0] for a, b in zip(bench.said, bench.said[1:], strict=False))


def test_among_threads_a_half_open_breaker_lets_one_call_through() -> None:
    bench = Bench().opened()
    bench.clock.now += 2
    start, permits = threading.Barrier(8), list[int | None]()

    def ask() -> None:
        start.wait()
        permits.append(bench.breaker.permit())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(permit is not None for permit in permits) == 1


@pytest.mark.parametrize(
    "values",
    [{"least": 0}, {"least": 30}, {"failures": 0.0}, {"failures": 1.1}, {"pause_s": 0.0},
     {"trials": 0}],
)  # fmt: skip
def test_settings_without_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        BreakerSettings(**values)


def test_a_client_with_an_open_breaker_does_not_reach_the_callee_nor_tries_again() -> None:
    failing = Script(*[503] * 9)
    server = PooledServer(4, 10, failing, lambda: None)
    outcomes, said = Counter[str](), list[tuple[str, ...]]()
    breakers = Breakers(lambda *change: said.append(change))
    breakers.switch(["catalog"], BreakerSettings(window=4, least=4, pause_s=60.0))
    client = Client(
        {"catalog": server.port}, NoOpTracer(),
        lambda callee, outcome: outcomes.update([outcome]), breakers,
    )  # fmt: skip
    for _ in range(5):
        with pytest.raises(CallFailed):
            client.call(EDGE, {}, time.time() + 5)
    assert failing.calls == 4
    begin = time.monotonic()
    with pytest.raises(CallFailed) as raised:
        client.call(EDGE, {}, time.time() + 5)
    assert time.monotonic() - begin < 0.02, "refused at once"
    assert (raised.value.reason, raised.value.code) == (BREAKER_OPEN, 503)
    assert outcomes["error"] == 4
    assert said == [("catalog", CLOSED, OPEN, "4 of the latest 4 calls failed")]
    assert breakers.states() == {"catalog": OPEN}
    breakers.switch([])
    assert breakers.before("catalog") is None


def test_a_caller_without_time_left_says_nothing_about_the_callee() -> None:
    breakers = Breakers(lambda *change: None)
    breakers.switch(["catalog"], BreakerSettings(window=1, least=1))
    server = PooledServer(1, 1, Script(503), lambda: None)
    client = Client({"catalog": server.port}, NoOpTracer(), lambda *_: None, breakers)
    with pytest.raises(CallFailed):
        client.call(EDGE, {}, time.time() - 1)
    assert breakers.states() == {"catalog": CLOSED}

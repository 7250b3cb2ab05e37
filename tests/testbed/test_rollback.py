"""When a release is taken back."""

from __future__ import annotations

import math

import pytest

from course.testbed.rollback import AutoRollback, ReleaseWatch, RollbackSettings
from tests.testbed.conftest import eventually


class Requests:
    """A monitoring that knows requests a second and the share that fails, before and now."""

    def __init__(self, rate: float, before: float, now: float) -> None:
        self.rate, self.before, self.now = rate, before, now

    def __call__(self, expression: str, at: float | None) -> float:
        share = self.now if at is None else self.before
        return self.rate * share if "5.." in expression else self.rate


def _checks(requests: Requests, times: int, settings: RollbackSettings | None = None) -> list[str]:
    watch = ReleaseWatch("cart", "v2", 100.0, settings or RollbackSettings(), requests, 15.0)
    return [watch.check(115.0 + i) for i in range(times)]


def test_a_release_that_fails_three_checks_in_a_row_is_taken_back_with_the_reason() -> None:
    first, second, third = _checks(Requests(10, 0.0, 0.2), 3)
    assert (first, second) == ("", "")
    assert third == "20.0% of 150 requests failed, 5.0% is accepted, in 3 checks in a row"


def test_a_good_release_stands() -> None:
    assert not any(_checks(Requests(10, 0.01, 0.049), 20))


def test_one_good_check_begins_the_count_anew() -> None:
    requests = Requests(10, 0.0, 0.2)
    watch = ReleaseWatch("cart", "v2", 100.0, RollbackSettings(), requests, 15.0)
    said = []
    for now, share in enumerate([0.2, 0.2, 0.0, 0.2, 0.2]):
        requests.now = share
        said.append(watch.check(115.0 + now))
    assert said == [""] * 5


def test_what_failed_before_the_release_is_not_laid_at_its_door() -> None:
    assert not any(_checks(Requests(10, 0.1, 0.29), 5))
    assert any(_checks(Requests(10, 0.1, 0.31), 5))


@pytest.mark.parametrize("rate", [0.0, 0.9, math.nan])
def test_too_few_requests_say_nothing(rate: float) -> None:
    assert not any(_checks(Requests(rate, 0.0, 1.0), 5))


def test_no_requests_before_the_release_is_no_failure_before() -> None:
    assert any(_checks(Requests(10, math.nan, 0.2), 5))


def test_the_watch_orders_one_rollback_and_outlives_a_monitoring_that_is_away() -> None:
    away = [OSError("not yet"), ValueError("neither")]
    requests, ordered = Requests(100, 0.0, 0.5), list[tuple[str, str]]()

    def ask(expression: str, at: float | None) -> float:
        if away:
            raise away.pop()
        return requests(expression, at)

    auto = AutoRollback(ask, lambda service, version, why: ordered.append((service, version)), 0.01)
    auto.released("cart", "v1")
    auto.switch(RollbackSettings(least=0.1))
    auto.released("cart", "v2")
    eventually(lambda: ordered, 5, "a rollback is ordered")
    eventually(lambda: not auto._watched, 5, "it is watched no longer")
    assert ordered == [("cart", "v2")], "not v1, which was released before the watch"
    assert auto.on


def test_switched_off_it_orders_nothing() -> None:
    ordered = list[str]()
    auto = AutoRollback(Requests(100, 0.0, 0.5), lambda *order: ordered.append("x"), 0.01)
    auto.switch(RollbackSettings(least=0.1))
    auto.switch(None)
    auto.released("cart", "v2")
    assert not auto.on
    assert not auto._watched
    assert not ordered

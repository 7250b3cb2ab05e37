"""The hidden checks of rates and quantiles: hostile answers get nothing, and nothing raises."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from course.lessons.checking import StudentError
from course.lessons.month_02.checks import prometheus as checks

COLUMNS = ["samples", "resets", "increase", "before_s", "after_s", "rate", "even", "covered"]


class Secret:
    """Seeds that depend on a number only."""

    def __init__(self, number: int) -> None:
        self.number = number

    def seed(self, name: str) -> int:
        return self.number + len(name)

    def cached(self, name: str, make: Callable[[], Any]) -> Any:
        return make()


class Answers:
    """A student whose every answer comes from one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def call(self, name: str, *args: Any, timeout: float | None = None) -> Any:
        return self.function(*args)

    def each(self, name: str, calls: list, timeout: float | None = None) -> list:
        return [self.function(*args) for args in calls]


def _refuse(*args: Any) -> None:
    raise StudentError("no answer")


def _filled(value: Any, columns: Any = COLUMNS) -> Callable[..., pd.DataFrame]:
    return lambda samples, times, window: pd.DataFrame(value, index=times, columns=columns)


@pytest.mark.parametrize(
    "answer",
    [
        _refuse,
        lambda samples, times, window: None,
        lambda samples, times, window: samples,
        lambda samples, times, window: pd.DataFrame(1.0, range(len(times)), COLUMNS),
        lambda samples, times, window: pd.DataFrame(1.0, times.tz_localize(None), COLUMNS),
        lambda samples, times, window: pd.DataFrame(1.0, times[:-1], COLUMNS),
        lambda samples, times, window: pd.DataFrame(1.0, times[::-1], COLUMNS),
        _filled("x"),
        _filled(None),
        _filled(np.inf),
        _filled(True),
        _filled(pd.Timestamp("2026-01-01")),
        _filled(1.0, [*COLUMNS, "rate"]),
        _filled(1.0, pd.MultiIndex.from_product([COLUMNS, ["a"]])),
    ],
)
def test_hostile_rates_get_nothing(answer: Callable[..., Any]) -> None:
    cases = checks.check_rate(Answers(answer), Secret(3))
    assert [case.score for case in cases] == [0.0] * 5
    assert all(case.message for case in cases)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        (0.5, 0.0, 1.0),
        {"value": True, "low": "0", "high": None},
        {"value": [1.0], "low": {}, "high": 1j},
        {"value": 10**399, "low": float("-inf"), "high": float("inf")},
        {"value": float("nan"), "low": float("nan"), "high": float("nan")},
    ],
)
def test_hostile_quantiles_get_nothing(answer: Any) -> None:
    cases = checks.check_histogram_quantile(Answers(lambda q, replicas: answer), Secret(3))
    assert [case.score for case in cases] == [0.0] * 5


def _exact(q: float, replicas: list[pd.Series]) -> dict[str, float]:
    buckets = checks.merged([list(replica.items()) for replica in replicas])
    value, low, high = checks.bucket_quantile(q, buckets)
    return {"value": value, "low": low, "high": high}


def test_a_histogram_without_an_answer_costs_its_own_kind_only() -> None:
    def fails_on_nothing(q: float, replicas: list[pd.Series]) -> dict[str, float]:
        return _refuse() or {} if not any(len(r) for r in replicas) else _exact(q, replicas)

    perfect = checks.check_histogram_quantile(Answers(_exact), Secret(3))
    partial = checks.check_histogram_quantile(Answers(fails_on_nothing), Secret(3))
    assert {case.score for case in perfect} == {1.0}
    assert {case.score for case in partial} <= {0.4, 1.0}
    assert any("no answer" in case.message for case in partial)


@pytest.mark.parametrize("kind", list(checks.KINDS))
def test_replicas_add_up_to_their_histogram(kind: str) -> None:
    rng = np.random.default_rng(4)
    lone = 0
    for _ in range(30):
        _, buckets = checks.make_histogram(rng, kind)
        replicas = checks.over_replicas(rng, buckets)
        assert checks.merged(replicas) == sorted(buckets)
        assert all(count >= 0 for replica in replicas for _, count in replica)
        lone += len(replicas) == 1
    assert lone < 15


def test_windows_side_by_side_add_up() -> None:
    samples = [(0, 3.0), (7_000, 9.0), (15_000, 2.0), (22_000, float("nan")), (30_000, 8.0)]
    parts = [checks.even_rate(samples, end, 5_000)["even"] * 5 for end in (5_000, 10_000, 15_000)]
    assert np.isclose(sum(parts), 6.0 + 2.0)
    assert checks.even_rate(samples, 15_000, 15_000) == {"even": 8 / 15, "covered": 1.0}
    assert np.isnan(checks.even_rate(samples, 29_000, 10_000)["even"])


@pytest.mark.parametrize("number", range(5))
def test_inputs_ask_for_every_rule_and_leave_nothing_to_rounding(number: int) -> None:
    rng = np.random.default_rng(number)
    for aligned in (False, True):
        counter = checks.make_counter(rng, aligned=aligned)
        stamps = [time for time, _ in counter.samples]
        assert stamps == sorted(set(stamps))
        assert len(set(counter.ends)) == len(counter.ends) >= 40
        touched = {end - counter.width for end in counter.ends} & set(stamps)
        assert bool(touched) == aligned
    for kind in checks.KINDS:
        q, buckets = checks.make_histogram(rng, kind)
        assert q != 0
        assert len({bound for bound, _ in buckets}) == len(buckets)

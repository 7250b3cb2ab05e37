"""Rates and quantiles are a real Prometheus's: recorded answers always, live ones where it is.

Three parties: the judge of month 2's hidden checks, the embedded evaluator, and Prometheus 2.42. What
changed with Prometheus 3 is stated by cases worked by hand.
"""

import math
import random

import numpy as np
import pytest

from course.lessons.month_02.checks.prometheus import (
    Counter,
    bucket_quantile,
    make_counter,
    windowed_rate,
)
from course.telemetry.prometheus.series import NONE, SAMPLE, STALE, Block
from course.telemetry.prometheus.windows import Windows, extrapolated
from tests.conftest import require
from tests.telemetry.prometheus import record_queries, server


def _equal(ours: float, theirs: float | str | None) -> bool:
    value = math.nan if theirs is None else float(theirs)
    if not math.isfinite(value):
        return math.isnan(ours) if math.isnan(value) else ours == value
    return math.isclose(ours, value, rel_tol=1e-9, abs_tol=1e-12)


def _unequal(questions: record_queries.Questions, answers: dict) -> list[str]:
    """Every question that the judge answers in another way than Prometheus 2 did."""
    found = []
    for number, (counter, rates) in enumerate(
        zip(questions.counters, answers["rates"], strict=True)
    ):
        for end, rate in zip(counter.ends, rates, strict=True):
            ours = windowed_rate(counter.samples, end, counter.width, release=2)["rate"]
            if not _equal(ours, rate):
                found.append(f"counter {number} at {end}: ours {ours}, theirs {rate}")
    asked = zip(questions.histograms, answers["quantiles"], strict=True)
    for number, ((q, buckets), quantile) in enumerate(asked):
        ours = bucket_quantile(q, buckets)[0]
        if buckets and not _equal(ours, quantile):
            found.append(f"histogram {number}: ours {ours}, theirs {quantile}")
    return found


@pytest.fixture(scope="module")
def recorded() -> tuple[record_queries.Questions, dict]:
    return record_queries.load()


def test_recorded_answers_are_enough_and_say_something(recorded) -> None:
    questions, answers = recorded
    rates = [rate for rates in answers["rates"] for rate in rates]
    assert len(rates) >= 3000
    assert 50 <= sum(rate is None for rate in rates) <= len(rates) / 5
    assert len({rate for rate in rates if rate}) > 2000
    finite = {value for value in answers["quantiles"] if isinstance(value, float)}
    assert len(finite) > 120
    assert {"nan", "inf", "-inf"} <= set(map(str, answers["quantiles"]))
    assert len(questions.histograms) == len(answers["quantiles"])


def test_the_judge_gives_every_recorded_answer(recorded) -> None:
    assert _unequal(*recorded) == []


def test_a_changed_answer_is_noticed(recorded) -> None:
    questions, answers = recorded
    rates = [[rate and rate * (1 + 1e-6) for rate in rates] for rates in answers["rates"]]
    assert len(_unequal(questions, {**answers, "rates": rates})) > 2500


def test_prometheus_3_differs_only_where_its_rules_do(recorded) -> None:
    """Clear of the left end, the same samples count; only the counter's zero may be judged later."""
    questions, answers = recorded
    clear = len(questions.counters) // 2
    judged_later = 0
    for counter, rates in zip(questions.counters[:clear], answers["rates"][:clear], strict=True):
        for end, rate in zip(counter.ends, rates, strict=True):
            new = windowed_rate(counter.samples, end, counter.width)
            if _equal(new["rate"], rate):
                continue
            old = windowed_rate(counter.samples, end, counter.width, release=2)
            assert old["samples"] == new["samples"]
            assert old["before_s"] > new["before_s"]
            judged_later += 1
    total = sum(len(rates) for rates in answers["rates"][:clear])
    assert 20 < judged_later < total / 10


def _embedded(counter: Counter, release: int) -> np.ndarray:
    times = np.array([time for time, _ in counter.samples])
    values = np.array([[value for _, value in counter.samples]])
    kinds = np.where(np.isnan(values), STALE, SAMPLE).astype(np.int8)
    assert NONE not in kinds
    order = np.argsort(counter.ends)
    windows = Windows(
        Block([()], times, values, kinds),
        np.array(counter.ends)[order],
        counter.width,
        release == 2,
    )
    with np.errstate(all="ignore"):
        rates = extrapolated(windows, counter=True, per_second=True)[0]
    found = np.empty(len(order))
    found[order] = np.where(windows.counts()[0] >= 2, rates, np.nan)
    return found


@pytest.mark.parametrize("release", [2, 3])
def test_judge_and_embedded_evaluator_agree_with_staleness_markers(release: int) -> None:
    rng = np.random.default_rng(5)
    for number in range(20):
        counter = make_counter(rng, aligned=number % 2 == 1)
        ours = [
            windowed_rate(counter.samples, end, counter.width, release=release)["rate"]
            for end in counter.ends
        ]
        np.testing.assert_allclose(ours, _embedded(counter, release), rtol=1e-9, atol=1e-12)


class TestWorkedByHand:
    """A counter that grows by 2 a second, scraped each minute from 0 s on."""

    samples = [(60_000 * minute, 1_000.0 + 120 * minute) for minute in range(10)]

    def test_the_left_end_is_out_since_prometheus_3(self) -> None:
        new = windowed_rate(self.samples, 300_000, 120_000)
        old = windowed_rate(self.samples, 300_000, 120_000, release=2)
        assert (new["samples"], old["samples"]) == (2, 3)
        assert (new["before_s"], old["before_s"]) == (60, 0)
        assert new["rate"] == pytest.approx(2.0) and old["rate"] == pytest.approx(2.0)

    def test_a_range_of_one_scrape_interval_has_no_rate_any_more(self) -> None:
        assert math.isnan(windowed_rate(self.samples, 300_000, 60_000)["rate"])
        assert windowed_rate(self.samples, 300_000, 60_000, release=2)["rate"] == pytest.approx(2.0)

    def test_a_counter_does_not_grow_before_it_was_zero(self) -> None:
        young = [(100_000, 30.0), (160_000, 90.0), (220_000, 150.0)]
        answer = windowed_rate(young, 240_000, 240_000)
        assert answer["before_s"] == pytest.approx(30.0)  # half a spacing, and the zero
        younger = [(time, value - 20) for time, value in young]
        assert windowed_rate(younger, 240_000, 240_000)["before_s"] == pytest.approx(10.0)

    def test_the_zero_counts_after_the_distance_since_2024(self) -> None:
        young = [(100_000, 50.0), (160_000, 110.0), (220_000, 170.0)]  # zero 50 s before
        new = windowed_rate(young, 240_000, 240_000)
        old = windowed_rate(young, 240_000, 240_000, release=2)
        assert (new["before_s"], old["before_s"]) == (30.0, 50.0)
        assert new["rate"] == pytest.approx(120 * (120 + 30 + 20) / 120 / 240)

    def test_a_reset_adds_what_was_counted_since(self) -> None:
        answer = windowed_rate(
            [(0, 5.0), (10_000, 9.0), (20_000, 2.0), (30_000, 4.0)], 30_000, 40_000
        )
        assert (answer["resets"], answer["increase"]) == (1, 8.0)

    def test_a_marker_is_no_sample(self) -> None:
        marked = [*self.samples[:3], (150_000, math.nan), *self.samples[3:]]
        plain = windowed_rate(self.samples, 300_000, 270_000)
        assert windowed_rate(marked, 300_000, 270_000) == plain


@pytest.mark.prometheus
def test_fresh_questions_get_the_same_answers_from_a_real_prometheus() -> None:
    require(
        server.PROMETHEUS and server.PROMTOOL,
        "prometheus is not installed; on Debian 12: apt install prometheus",
    )
    require(" 2." in server.version(), f"Prometheus 2.x is needed, found {server.version()}")
    seed = random.SystemRandom().randrange(10**9)
    questions = record_queries.make_questions(seed, counters=8, histograms=60)
    assert _unequal(questions, record_queries.answers(questions)) == [], seed

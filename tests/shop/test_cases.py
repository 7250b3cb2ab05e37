"""Windows of incidents, stretches before a breach, weeks at a natural rate, logs nobody has seen."""

from __future__ import annotations

import doctest
import importlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from course.shop import dialect
from course.shop.cases import elsewhere, incident_cases, stretches
from course.shop.causes import ASPECTS, FORMS, Cause, cause_cases, draw_causes
from course.shop.dialect import unseen_log
from course.shop.weeks import service_weeks, under_way

KINDS = ["cpu_saturation", "bad_deploy", "surge"]
SERVICES = ["cart", "checkout", "payment"]


@pytest.mark.parametrize("name", ["cases", "causes", "dialect", "weeks"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.shop.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def test_cases_are_balanced_and_one_seed_gives_the_same() -> None:
    cases = incident_cases(30, 7, services=SERVICES, kinds=KINDS)
    assert Counter(case.kind for case in cases) == dict.fromkeys(KINDS, 10)
    assert {case.service for case in cases} <= set(SERVICES)
    again = incident_cases(30, 7, services=SERVICES, kinds=KINDS)
    for one, other in zip(cases, again, strict=True):
        pd.testing.assert_frame_equal(one.metrics, other.metrics)
    assert not cases[0].metrics.equals(
        incident_cases(30, 8, services=SERVICES, kinds=KINDS)[0].metrics
    )


def test_a_case_says_nothing_of_its_kind_by_its_form() -> None:
    cases = incident_cases(12, 3, services=SERVICES, kinds=KINDS)
    assert {case.metrics.shape for case in cases} == {(90, 9)}
    assert len({case.metrics.index[0] for case in cases}) == 12
    order = [case.kind for case in cases]
    assert order != sorted(order)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kinds": ["no_such_fault"]}, "no_such_fault"),
        ({"kinds": ["slow_query"]}, "slow_query"),
        ({"minutes": 30}, "."),
    ],
)
def test_cases_that_cannot_be_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        incident_cases(2, 1, **{"services": SERVICES, "kinds": KINDS, **change})


def test_stretches_are_quiet_in_their_share() -> None:
    drawn = {"services": SERVICES, "kinds": ["memory_leak"]}
    assert {s.kind for s in stretches(6, 2, quiet_share=1.0, **drawn)} == {""}
    assert {s.kind for s in stretches(6, 2, quiet_share=0.0, **drawn)} == {"memory_leak"}
    with pytest.raises(ValueError, match="at least 120"):
        stretches(1, 1, minutes=60, **drawn)


def test_weeks_hold_incidents_at_about_the_rate_asked_for() -> None:
    weeks = service_weeks(
        5, start="2026-03-02T00:00Z", services=SERVICES, kinds=["cpu_saturation"], weeks=4,
        per_week=3.0,
    )  # fmt: skip
    assert 15 <= len(weeks.incidents) <= 60  # 36 on average
    assert set(weeks.incidents["service"]) <= set(SERVICES)
    on = under_way(weeks.slots.index, weeks.incidents)
    assert 0 < on.mean() < 0.1
    for service, time in weeks.slots.index[on]:
        own = weeks.incidents[weeks.incidents["service"] == service]
        assert ((own["start"] < time + pd.Timedelta("15min")) & (own["end"] >= time)).any()


def test_a_log_has_lines_of_statements_that_another_seed_does_not_have() -> None:
    log, other = unseen_log(1), unseen_log(2)
    assert len(log) == 2000
    assert log.equals(unseen_log(1))
    statements = log.columns[-1]
    counts = log[statements].value_counts()
    assert len(counts) > 10
    assert counts.iloc[0] > 10 * counts.iloc[-1]  # a few frequent ones, many rare ones
    assert not set(log.iloc[:, 0]) & set(other.iloc[:, 0])


def test_counts_are_whole_and_values_finite() -> None:
    found = stretches(4, 9, services=SERVICES, kinds=["memory_leak"])
    shares = [float(np.isfinite(s.metrics.to_numpy()).mean()) for s in found]
    assert min(shares) > 0.95


def test_elsewhere_scales_sizes_by_service_and_leaves_the_rest() -> None:
    cases = incident_cases(12, 3, services=SERVICES, kinds=KINDS)
    moved = elsewhere(cases, 4)
    factors: dict[str, set[float]] = {}
    for old, new in zip(cases, moved, strict=True):
        assert (old.kind, old.service) == (new.kind, new.service)
        ratio = (new.metrics / old.metrics)[["request_rate", "latency_p99_ms"]].mean()
        factors.setdefault(new.service, set()).add(tuple(ratio.round(6)))
        for kept in ("memory_utilization", "disk_utilization"):
            assert new.metrics[kept].equals(old.metrics[kept])
        for less in ("cpu_utilization", "pool_utilization", "error_ratio"):
            assert not (new.metrics[less] > old.metrics[less]).any()
    assert all(len(found) == 1 for found in factors.values())
    assert not elsewhere(cases, 5)[0].metrics.equals(moved[0].metrics)


def test_causes_differ_in_what_they_do() -> None:
    causes = draw_causes(7, 5)
    assert len({cause.name for cause in causes}) == 7
    assert sum(not cause.strength for cause in causes) == 1
    assert all(cause.strength for cause in draw_causes(4, 5, harmless=False))
    lines = np.array([[cause.strength.get(a, 0.0) for a in ASPECTS] for cause in causes])
    lengths = np.linalg.norm(lines, axis=1)
    assert np.isclose(lengths[lengths > 0], 1).all()
    alike = lines @ lines.T - np.eye(7)
    assert alike.max() <= 0.8
    assert draw_causes(7, 5) == causes
    assert draw_causes(7, 6) != causes
    with pytest.raises(ValueError, match="from 1 to 8"):
        draw_causes(9, 1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("aspect", "metric"),
    [
        ("latency", "latency_p50_ms"),
        ("tail", "latency_p99_ms"),
        ("errors", "error_ratio"),
        ("memory", "memory_utilization"),
    ],
)
def test_a_cause_moves_what_it_names_and_no_more(form: str, aspect: str, metric: str) -> None:
    drawn = {"services": ["cart"], "severity": (0.9, 1.0)}
    (struck,), (quiet,) = (
        cause_cases(1, 8, causes=[Cause("runbook-1", strength, form)], **drawn)
        for strength in ({aspect: 1.0}, {})
    )
    assert (struck.kind, struck.service) == ("runbook-1", "cart")
    assert struck.metrics.index.equals(quiet.metrics.index)
    assert struck.metrics.iloc[:55].equals(quiet.metrics.iloc[:55])
    late = slice(-20, None)
    assert struck.metrics[metric].iloc[late].mean() > 1.05 * quiet.metrics[metric].iloc[late].mean()
    same = ["request_rate", "cpu_utilization", "pool_utilization", "disk_utilization"]
    assert struck.metrics[same].equals(quiet.metrics[same])


def test_cause_cases_are_balanced_and_say_nothing_by_their_form() -> None:
    causes = draw_causes(3, 2)
    cases = cause_cases(12, 4, services=SERVICES, causes=causes)
    assert Counter(case.kind for case in cases) == {cause.name: 4 for cause in causes}
    assert {case.metrics.shape for case in cases} == {(90, 9)}
    again = cause_cases(12, 4, services=SERVICES, causes=causes)
    assert all(a.metrics.equals(b.metrics) for a, b in zip(cases, again, strict=True))
    values = pd.concat([case.metrics for case in cases])
    used = [name for name in values if name.endswith(("utilization", "ratio"))]
    assert values[used].min().min() >= 0
    assert values[used].max().max() <= 1
    assert 0 < values.isna().to_numpy().mean() < 0.02


def test_what_is_taken_for_good_leaves_the_minutes_to_full() -> None:
    drawn = {"services": SERVICES, "kinds": ["memory_leak"], "quiet_share": 0.0}
    empty, filled = stretches(4, 6, **drawn), stretches(4, 6, room=(0.01, 0.5), **drawn)
    for old, new in zip(empty, filled, strict=True):
        before, after = (one.metrics["memory_utilization"] for one in (old, new))
        assert after.min() >= 0.5
        np.testing.assert_allclose(
            after.diff() / (1 - after), before.diff() / (1 - before), atol=1e-9
        )


def test_siblings_differ_in_two_thirds_of_their_later_words() -> None:
    rng = np.random.default_rng(8)
    statements = [one.tokens for one in dialect._statements(rng, 200, dialect.WORDS)]
    siblings = 0
    for number, one in enumerate(statements):
        for other in statements[:number]:
            if len(one) != len(other) or one[:2] != other[:2]:
                continue
            siblings += 1
            plain = [p for p, token in enumerate(one) if p > 1 and isinstance(token, str)]
            same = sum(one[p] == other[p] for p in plain)
            assert len(plain) >= 4
            assert same <= len(plain) / 3
    assert siblings > 50


def test_words_and_names_of_a_log_can_be_chosen() -> None:
    words = [f"w{'abcdefghij'[n % 10] * (1 + n // 10)}" for n in range(120)]
    log = unseen_log(5, lines=600, words=words, names=["zzyx", "qqua"])
    first = {line.split("-")[0].split()[0] for line in log["message"]}
    assert first <= set(words)
    assert log["message"].str.contains("zzyx").any()
    usual = unseen_log(5, lines=600)
    assert not usual["message"].str.contains("zzyx").any()
    assert usual["statement"].equals(log["statement"])


@pytest.mark.parametrize("seed", range(12))
def test_statements_of_a_shape_differ_in_opening_or_in_most_of_their_later_words(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes: dict[tuple, list[dialect._Tokens]] = {}
    for statement in dialect._statements(rng, 80, dialect.WORDS):
        tokens = statement.tokens
        shapes.setdefault((len(tokens), *tokens[:2]), []).append(tokens)
    for alike in shapes.values():
        for place, one in enumerate(alike):
            plain = [i for i, token in enumerate(one) if i > 1 and isinstance(token, str)]
            for other in alike[:place]:
                same = sum(one[i] == other[i] for i in plain)
                assert 3 * same <= len(plain), (one, other)

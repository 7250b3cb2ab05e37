"""Burn-rate rule files: the embedded evaluator gives promtool's answers on fresh ones."""

import json
import random

import pytest

from tests.telemetry.prometheus import promtool
from tests.telemetry.prometheus.compare import differences, embedded_answer
from tests.telemetry.prometheus.generator import Case


def _case(seed: int) -> Case:
    rng = random.Random(seed)
    budget = rng.choice([0.001, 0.005, 0.05])
    rules = []
    for severity, factor, long, short in (("page", 14.4, "1h", "5m"), ("page", 6, "6h", "30m")):
        parts = [f"sum(rate(bad[{w}])) / sum(rate(total[{w}])) > {factor * budget:.6f}"
                 for w in (long, short)]  # fmt: skip
        rules.append({"alert": "BudgetBurn", "expr": " and ".join(f"({p})" for p in parts),
                      "labels": {"severity": severity, "window": long}})  # fmt: skip
    series: dict[str, list[float | None]] = {}
    begin, length = rng.randrange(30, 80), rng.randrange(5, 60)
    for instance in "ab":
        bad = total = 0.0
        bads: list[float | None] = []
        totals: list[float | None] = []
        for minute in range(200):
            burning = begin <= minute < begin + length
            total += rng.randrange(900, 1100)
            bad += rng.randrange(0, 2) + burning * int(40 * budget * 1000)
            bads.append(bad)
            totals.append(total)
        series[f'bad{{instance="{instance}"}}'] = bads
        series[f'total{{instance="{instance}"}}'] = totals
    return Case(json.dumps({"groups": [{"name": "burn", "rules": rules}]}), series, "gap", 60, 60)


def test_the_cases_fire() -> None:
    assert sum(bool(embedded_answer(_case(seed)).get("firing")) for seed in range(10)) >= 8


@pytest.mark.prometheus
@pytest.mark.usefixtures("real_promtool")
def test_fresh_burn_rate_files_are_equal() -> None:
    first = random.SystemRandom().randrange(10_000_000)
    unequal = {s: found[:3] for s in range(first, first + 6)
               if (found := differences(embedded_answer(_case(s)), promtool.answer(_case(s))))}  # fmt: skip
    assert not unequal

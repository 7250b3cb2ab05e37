"""Measure the shop simulator: speed against its promises, and difficulty against real data.

    python benchmarks/shop.py              everything
    python benchmarks/shop.py speed
    python benchmarks/shop.py difficulty

Difficulty compares simple baselines on the shop with the same baselines on real data: the robust-z
ranking on Nezha's Online Boutique and the EWMA at 4 sigma on NAB's AWS series.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from course import shop
from course.shop import Recording, Scenario

#: The metric on which each kind of fault is looked for, as NAB's series are chosen.
SYMPTOM = {
    "cpu_saturation": "cpu_utilization", "memory_leak": "memory_utilization",
    "slow_query": "latency_p99_ms", "cache_stampede": "latency_p99_ms",
    "pool_exhaustion": "pool_utilization", "bad_deploy": "latency_p99_ms",
    "bad_config": "latency_p50_ms", "network_delay": "latency_p50_ms",
    "network_loss": "latency_p99_ms", "third_party_outage": "latency_p99_ms",
    "disk_full": "disk_utilization", "retry_storm": "request_rate",
    "noisy_neighbour": "latency_p99_ms",
}  # fmt: skip

#: Kinds that take minutes to show; Nezha has none of them.
SLOW = {"memory_leak", "disk_full", "pool_exhaustion"}


def timed(name: str, limit: float, job: Callable[[], object]) -> None:
    """Run ``job`` and print its wall time beside the limit."""
    start = time.perf_counter()
    job()
    seconds = time.perf_counter() - start
    verdict = "ok" if seconds <= limit else "TOO SLOW"
    print(f"{name:<58}{seconds:7.2f} s   limit {limit:4.0f} s   {verdict}")


def speed() -> None:
    """Time what the course promises."""
    _ = shop.simulate(Scenario("2026-02-02T00:00Z", 60, seed=1)).metrics
    timed("30 days of all metrics at one minute", 5,
          lambda: shop.history("2026-02-02T00:00Z", 30, seed=1).metrics)  # fmt: skip
    timed("200 two-hour incidents at once", 3,
          lambda: [r.metrics for r in shop.simulate_many(shop.draw_incidents(200, seed=1))])  # fmt: skip
    timed("28 days of history, 40 incident days, 30 quiet days", 10, _months_work)
    recording = shop.simulate(shop.draw_incidents(1, seed=3)[0])
    window = recording.scenario.start, recording.scenario.start + pd.Timedelta(minutes=10)
    timed("logs of ten minutes", 2, lambda: recording.logs(*window))
    timed("traces of ten minutes", 2, lambda: recording.traces(*window))


def _months_work() -> None:
    _ = shop.history("2026-02-02T00:00Z", 28, seed=1).metrics
    days = shop.draw_incidents(40, seed=1, minutes=1440, start=pd.Timestamp("2026-03-02T00:00Z"))
    quiet = [Scenario("2026-03-02T00:00Z", 1440, seed=seed) for seed in range(30)]
    for recording in shop.simulate_many([*days, *quiet]):
        _ = recording.metrics


def difficulty(incidents: int = 300, series: int = 150) -> None:
    """Score simple baselines on random incidents."""
    print(f"Root cause by robust z, {incidents} incidents (Nezha, Online Boutique: "
          "AC@1 0.33, AC@3 0.60, AC@5 0.79, Avg@5 0.57; 10 services)")  # fmt: skip
    ranks = rank_roots(incidents)
    _print_ranks("all", np.concatenate(list(ranks.values())))
    sudden = [places for kind, places in ranks.items() if kind not in SLOW]
    _print_ranks("sudden kinds only", np.concatenate(sudden))
    for kind, places in sorted(ranks.items()):
        _print_ranks(kind, np.array(places))
    print(f"\nEWMA at 4 sigma, {series} series of 14 days at 5 minutes (NAB AWS: recall 0.83, "
          "precision 0.19, 1.33 alerts per series and day)")  # fmt: skip
    detect(series)


def rank_roots(incidents: int, seed: int = 11) -> dict[str, list[float]]:
    """Rank services by max over metrics of |after - median| / (IQR + 0.05 |median|).

    Five minutes before and three minutes after the onset, ties averaged, as measured on Nezha.
    """
    ranks: dict[str, list[float]] = defaultdict(list)
    for recording in shop.simulate_many(shop.draw_incidents(incidents, seed=seed)):
        fault = recording.scenario.faults[0]
        before = recording.values[fault.start - 5 : fault.start]
        after = recording.values[fault.start : fault.start + 3].mean(axis=0)
        low, middle, high = np.quantile(before, (0.25, 0.5, 0.75), axis=0)
        scale = high - low + 0.05 * np.abs(middle)
        score = (np.abs(after - middle) / np.maximum(scale, 1e-9)).max(axis=1)
        own = score[shop.SERVICES.index(fault.service)]
        ranks[fault.kind].append((score > own).sum() + ((score == own).sum() - 1) / 2)
    return ranks


def _print_ranks(name: str, places: np.ndarray) -> None:
    hits = [float((places < k).mean()) for k in range(1, 6)]
    print(f"  {name:<20} n {len(places):3d}   AC@1 {hits[0]:.2f}   AC@3 {hits[2]:.2f}   "
          f"AC@5 {hits[4]:.2f}   Avg@5 {np.mean(hits):.2f}")  # fmt: skip


def detect(series: int, seed: int = 12, days: int = 14) -> None:
    """Run the EWMA on one labelled metric per random incident and print event scores."""
    minutes = days * 1440
    probation = 0.15 * minutes
    hits: dict[str, list[bool]] = defaultdict(list)
    alerts = good = near = 0
    found_wide: list[bool] = []
    for drawn in shop.draw_incidents(series, seed=seed, minutes=minutes):
        fault = drawn.faults[0]
        shifted = replace(fault, start=max(fault.start, int(probation) + 60))
        recording = shop.simulate(replace(drawn, faults=(shifted,)))
        flags = _ewma_flags(recording, shifted.service, SYMPTOM[fault.kind])
        starts = _alert_starts(flags)
        starts = starts[starts * 5 >= probation]
        # The fault and a quarter of an hour; NAB's windows are a tenth of the series.
        inside = (starts * 5 >= shifted.start - 5) & (
            starts * 5 <= shifted.start + shifted.minutes + 15
        )
        wide = np.abs(starts * 5 - shifted.start - shifted.minutes / 2) <= 0.05 * minutes
        near += int(wide.sum())
        found_wide.append(bool(wide.any()))
        alerts += len(starts)
        good += int(inside.sum())
        hits[fault.kind].append(bool(inside.any()))
    found = [hit for kind in hits.values() for hit in kind]
    print(f"  recall {np.mean(found):.2f}   precision {good / max(alerts, 1):.2f}   "
          f"alerts per series and day {alerts / series / days / 0.85:.2f}")  # fmt: skip
    print(f"  with windows as wide as NAB's: recall {np.mean(found_wide):.2f}   "
          f"precision {near / max(alerts, 1):.2f}")  # fmt: skip
    print(
        "  recall by kind: " + ", ".join(f"{k} {np.mean(v):.2f}" for k, v in sorted(hits.items()))
    )


def _ewma_flags(recording: Recording, service: str, metric: str) -> np.ndarray:
    values = recording.service(service)[metric].resample("5min").mean()
    mean = values.ewm(span=60).mean().shift(1)
    deviation = values.ewm(span=60).std().shift(1)
    return np.asarray((values - mean).abs() > 4 * deviation)


def _alert_starts(flags: np.ndarray, merge: int = 12) -> np.ndarray:
    """Places at which alerts start; flags up to ``merge`` samples apart are one alert."""
    places = np.flatnonzero(flags)
    return places[np.diff(places, prepend=-merge - 1) > merge]


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["speed", "difficulty"]
    for name in chosen:
        {"speed": speed, "difficulty": difficulty}[name]()

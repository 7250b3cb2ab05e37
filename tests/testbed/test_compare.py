"""Directions of signals, in a recording and in the simulator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course.testbed.compare import (
    agreement,
    compare,
    directions,
    in_recording,
    in_simulator,
    strengths,
)
from course.testbed.layout import NODES

SIGNALS = pd.MultiIndex.from_tuples(
    [("cart", "latency_p50_ms"), ("cart", "error_ratio"), ("cart", "request_rate")],
    names=["service", "metric"],
)


def _quiet(rows: int = 20, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = np.array([20.0, 0.001, 5.0]) * rng.normal(1, 0.05, (rows, 3))
    return pd.DataFrame(values, columns=SIGNALS)


def test_a_change_has_a_direction_and_noise_has_none() -> None:
    assert directions(strengths(_quiet(), _quiet(seed=1))).tolist() == [0, 0, 0]
    changed = _quiet(seed=1) * [3, 1, 0.3] + [0, 0.2, 0]
    assert directions(strengths(_quiet(), changed)).tolist() == [1, 1, -1]


def test_a_change_within_the_noise_does_not_count() -> None:
    rng = np.random.default_rng(3)
    noisy = _quiet() * rng.lognormal(0, 1.0, (20, 3))
    assert abs(strengths(noisy, _quiet() * 1.5).iloc[0]) < 1


def test_a_signal_without_values_has_no_direction() -> None:
    assert directions(strengths(_quiet(), _quiet() * np.nan)).isna().all()


def test_a_recording_is_cut_at_its_faults() -> None:
    index = pd.date_range("2026-03-10", periods=80, freq="15s", tz="UTC")
    metrics = _quiet(80).set_index(index)
    metrics.iloc[40:60, 0] *= 4
    truth = pd.DataFrame(
        {"start": [index[40]], "end": [index[59]], "kind": ["slow_query"],
         "root_service": ["cart"], "severity": [0.8]}
    )  # fmt: skip
    assert directions(in_recording(metrics, truth).loc[0]).tolist() == [1, 0, 0]


def test_the_simulators_slow_query_slows_the_store_and_its_callers() -> None:
    found = in_simulator("slow_query", "orders-db", 0.9)
    assert found["orders-db", "latency_p99_ms"] > 2
    assert found["inventory", "latency_p99_ms"] > 1
    assert abs(found["search", "latency_p50_ms"]) < 0.5


@pytest.fixture(scope="module")
def simulated() -> pd.DataFrame:
    """A recording that the simulator made: it must agree with itself."""
    from course.shop import Fault, Scenario, simulate

    fault = Fault("slow_query", "orders-db", start=60, minutes=40, severity=0.9)
    scenario = Scenario("2026-03-10T10:00Z", 120, seed=11, faults=(fault,), background=False)
    metrics = simulate(scenario).metrics[list(NODES)]
    truth = pd.DataFrame(
        {"start": [metrics.index[60]], "end": [metrics.index[99]], "kind": ["slow_query"],
         "root_service": ["orders-db"], "severity": [0.9]}
    )  # fmt: skip
    return compare(metrics, truth)


def test_the_simulator_agrees_with_itself(simulated: pd.DataFrame) -> None:
    (row,) = agreement(simulated).to_dict("records")
    assert row["root"] == 1
    assert row["all"] > 0.7
    assert row["opposite"] == 0


def test_a_fault_that_the_simulator_lacks_is_left_out() -> None:
    index = pd.date_range("2026-03-10", periods=80, freq="15s", tz="UTC")
    truth = pd.DataFrame(
        {"start": [index[40]], "end": [index[59]], "kind": ["queue_backlog"],
         "root_service": ["fulfilment"], "severity": [0.8]}
    )  # fmt: skip
    assert compare(_quiet(80).set_index(index), truth).empty

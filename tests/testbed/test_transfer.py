"""The detector that is tried on both sides."""

from __future__ import annotations

import numpy as np
import pandas as pd

from course.testbed import transfer
from course.testbed.transfer import Setting

INDEX = pd.date_range("2026-03-10", periods=200, freq="1min", tz="UTC")
COLUMNS = pd.MultiIndex.from_product([["cart", "search"], ["error_ratio", "latency_p50_ms"]])


def _metrics(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = np.array([0.001, 20.0, 0.001, 40.0]) * rng.normal(1, 0.05, (200, 4))
    return pd.DataFrame(values, INDEX, COLUMNS)


def test_quiet_rows_are_not_odd_and_a_fault_is() -> None:
    metrics = _metrics()
    assert transfer.oddness(metrics, 4).max() < 0.5
    metrics.iloc[120:140, :2] *= [300, 3]
    odd = transfer.oddness(metrics, 4)
    assert odd.iloc[125:140].min() > 1
    assert odd.iloc[:120].max() < 0.5


def test_it_uses_the_past_only() -> None:
    metrics = _metrics()
    changed = metrics.copy()
    changed.iloc[150:] *= 9
    pd.testing.assert_series_equal(
        transfer.oddness(metrics, 4).iloc[:150], transfer.oddness(changed, 4).iloc[:150]
    )


def test_a_column_without_values_and_gaps_are_no_trouble() -> None:
    metrics = _metrics()
    metrics.iloc[:, 3] = np.nan
    metrics.iloc[50:55] = np.nan
    assert transfer.oddness(metrics, 4).max() < 0.5


def test_alerts_are_held() -> None:
    score = pd.Series(0.0, INDEX)
    score.iloc[10] = 2.0
    assert np.flatnonzero(transfer.flags(score, Setting(1.0, 4, 3))).tolist() == [10, 11, 12, 13]


def test_a_recording_is_read_on_the_simulators_clock() -> None:
    fast = _metrics().set_axis(pd.date_range("2026-11-01", periods=200, freq="15s", tz="UTC"))
    truth = pd.DataFrame(
        {"start": [fast.index[40]], "end": [fast.index[60]], "kind": ["slow_query"]}
    )
    slow, events = transfer.slowed(fast, truth)
    assert slow.index[1] - slow.index[0] == pd.Timedelta("1min")
    assert (events["start"].iloc[0], events["end"].iloc[0]) == (slow.index[40], slow.index[60])


def test_simulated_recordings_hold_their_plans() -> None:
    ((metrics, truth),) = transfer.simulated([3])
    assert len(metrics) == 520
    assert 10 <= len(truth) <= 13
    assert truth["start"].is_monotonic_increasing
    assert (truth["end"] <= metrics.index[-1] + pd.Timedelta("1min")).all()

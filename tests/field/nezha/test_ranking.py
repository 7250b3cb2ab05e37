"""The robust z by hand, and ties that are shared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course.field import nezha

START = pd.Timestamp("2022-08-22T03:00Z")
FAULT = pd.DatetimeIndex([START + pd.Timedelta("5min")])


def table(**metrics: list[float]) -> pd.DataFrame:
    index = pd.date_range(START, periods=8, freq="1min")
    return pd.DataFrame(metrics, index=index, dtype=float)


def test_z_is_the_move_over_range_and_floor() -> None:
    one = table(cpu=[1, 2, 3, 4, 5, 10, 11, 12])
    # median 3, IQR 2, floor 0.15, mean after 11
    assert nezha.robust_z(one, FAULT)["cpu"].iloc[0] == pytest.approx(8 / 2.15)


def test_missing_samples_are_left_out_not_taken_for_zero() -> None:
    gaps = table(cpu=[1, np.nan, 3, np.nan, 5, np.nan, 11, np.nan])
    assert nezha.robust_z(gaps, FAULT)["cpu"].iloc[0] == pytest.approx(8 / 2.15)


def test_without_samples_or_spread_there_is_no_z() -> None:
    dead = table(zero=[0.0] * 8, unread=[np.nan] * 8)
    assert nezha.robust_z(dead, FAULT).isna().all(axis=None)
    late = nezha.robust_z(dead, FAULT + pd.Timedelta("3D"))
    assert late.isna().all(axis=None)
    assert nezha.rank_pods({"a": dead, "b": dead}, FAULT).iloc[0].tolist() == [0.0, 0.0]


def test_the_order_of_pods_never_matters() -> None:
    scores = pd.Series({"a": 1.0, "b": 1.0, "c": 2.0})
    for names in (["a", "b", "c"], ["c", "b", "a"]):
        assert nezha.hits(scores[names], "b", top=3).tolist() == [0.0, 0.5, 1.0]
    assert nezha.hits(scores, "unknown", top=2).tolist() == [0.0, 0.0]

"""Alerts are scored as the definitions say, on windows small enough to check by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest

from course.field import nab
from course.field.nab.data import make_series
from course.field.nab.events import quick_counts

TIMES = pd.date_range("2014-01-01", periods=200, freq="1h", tz="UTC", name="time")


def series(*windows: tuple[int, int]) -> nab.NabSeries:
    values = pd.Series(np.arange(200.0), index=TIMES)
    return make_series("folder/a.csv", values, [(TIMES[a], TIMES[b]) for a, b in windows])


def flags(at: Iterable[int]) -> pd.Series:
    return pd.Series(np.isin(np.arange(200), list(at)), index=TIMES)


def counts(case: nab.NabSeries, at: Iterable[int]) -> tuple[float, ...]:
    row = nab.score_series(case, flags(at))
    return tuple(row[key] for key in ("found", "alerts", "hits", "found_at_onset"))


def test_flags_an_hour_apart_are_one_alert() -> None:
    assert counts(series((50, 60)), [52, 53, 54, 56]) == (1, 2, 2, 1)


def test_an_alert_that_overlaps_a_window_is_a_hit_though_it_starts_before() -> None:
    assert counts(series((50, 60)), [48, 49, 50]) == (1, 1, 1, 0)


def test_an_alert_next_to_a_window_is_a_false_alarm() -> None:
    assert counts(series((50, 60)), [61, 49]) == (0, 2, 0, 0)


def test_one_alert_can_find_two_windows() -> None:
    assert counts(series((50, 60), (70, 80)), range(58, 72)) == (2, 1, 1, 1)


def test_probation_is_not_scored() -> None:
    assert counts(series((50, 60)), range(30)) == (0, 0, 0, 0)


def test_silence_and_no_windows_are_defined() -> None:
    assert counts(series((50, 60)), []) == (0, 0, 0, 0)
    assert counts(series(), [100]) == (0, 1, 0, 0)
    nothing = nab.pooled(pd.DataFrame([nab.score_series(series(), flags([]))]))
    assert np.isnan(nothing["recall"]) and np.isnan(nothing["precision"])
    assert nothing["alerts_per_series_day"] == 0


def test_the_quick_count_used_in_tuning_agrees() -> None:
    case = series((50, 60), (120, 140))
    rng = np.random.default_rng(1)
    for share in (0.02, 0.1, 0.5):
        at = np.flatnonzero(rng.random(200) < share)
        row = nab.score_series(case, flags(at))
        assert quick_counts(case, flags(at)) == (row["found"], row["alerts"], row["hits"])


def test_chance_hits_a_window_as_often_as_it_is_long() -> None:
    chance = nab.chance_series(series((80, 100)), flags([150]), shifts=10_000)
    assert chance["hits"] / chance["alerts"] == pytest.approx(21 / 170)
    assert chance["found"] == pytest.approx(21 / 170)


def test_flags_of_another_form_are_refused() -> None:
    case = series((50, 60))
    with pytest.raises(ValueError, match="must be bool, found dtype int"):
        nab.score_series(case, flags([50]).astype(int))
    with pytest.raises(ValueError, match="on the index of the values"):
        nab.score_series(case, flags([50]).iloc[:-1])


def test_a_detector_that_scales_by_the_whole_series_is_caught() -> None:
    case = series((50, 60))
    assert nab.looks_ahead(lambda v: v > v.mean(), case)
    assert nab.looks_ahead(lambda v: v.rolling(5, center=True).mean() > 100, case)
    assert not nab.looks_ahead(lambda v: v > v.expanding().mean() + 1, case)

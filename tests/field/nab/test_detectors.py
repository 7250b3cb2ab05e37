"""Detectors find what they should, leave alone what is usual, and never look ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course.field import nab
from course.field.nab.data import make_series
from course.field.nab.detectors import refractory, usual_for_time_of_day

ROWS = 10 * 288
TIMES = pd.date_range("2014-01-01", periods=ROWS, freq="5min", tz="UTC", name="time")


@pytest.fixture
def noisy() -> nab.NabSeries:
    """Noise with a spike at the same time every day, and a new one in the afternoon of day 9."""
    rng = np.random.default_rng(7)
    values = rng.normal(10, 1, ROWS)
    values[100::288] += 15
    values[8 * 288 + 180] += 30
    return make_series("folder/a.csv", pd.Series(values, index=TIMES), [])


DETECTORS = {
    **nab.TEXTBOOK,
    "robust": nab.Robust(),
    "robust, all parts": nab.Robust(hourly=True, refractory_hours=6),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_no_detector_looks_ahead(name: str, noisy: nab.NabSeries) -> None:
    assert not nab.looks_ahead(DETECTORS[name], noisy)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_finds_the_new_spike(name: str, noisy: nab.NabSeries) -> None:
    assert DETECTORS[name](noisy.values).iloc[8 * 288 + 180]


def test_the_reference_leaves_alone_what_comes_every_day(noisy: nab.NabSeries) -> None:
    daily = np.arange(100 + 3 * 288, ROWS, 288)
    without = nab.Robust(time_of_day=False, habituation=0)(noisy.values)
    assert without.iloc[daily].all()
    assert nab.Robust(habituation=0)(noisy.values).iloc[daily].mean() < 0.5


def test_nothing_is_usual_on_the_first_day(noisy: nab.NabSeries) -> None:
    assert not usual_for_time_of_day(noisy.values).iloc[:280].any()


def test_a_constant_series_raises_no_alert_until_it_moves() -> None:
    values = pd.Series(5.0, index=TIMES)
    values.iloc[2000] = 6.0
    flags = nab.Robust()(make_series("folder/a.csv", values, []).values)
    assert flags.to_numpy().nonzero()[0].tolist() == [2000]


def test_a_refractory_period_counts_from_the_last_alert_that_was_raised() -> None:
    flags = pd.Series(False, index=TIMES[:100])
    flags.iloc[[0, 6, 12, 30]] = True
    assert refractory(flags, 1.0).to_numpy().nonzero()[0].tolist() == [0, 12, 30]


def test_a_detector_of_the_shops_form_is_fitted_on_the_probation_only(noisy: nab.NabSeries) -> None:
    seen: list[int] = []

    def fit(history: pd.DataFrame) -> float:
        seen.append(len(history))
        return float(history["value"].max())

    detector = nab.from_fit_detect(fit, lambda top, live: live["value"] > top)
    flags = detector(noisy.values)
    assert seen == [432]
    assert flags.dtype == bool and flags.index.equals(noisy.values.index)
    assert not flags.iloc[:432].any() and flags.iloc[8 * 288 + 180]

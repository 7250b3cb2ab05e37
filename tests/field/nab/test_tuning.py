"""Settings are chosen by the stated rule, from series that are not judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course.field import nab
from course.field.nab import tuning
from course.field.nab.data import make_series
from course.field.nab.detectors import static_score

TIMES = pd.date_range("2014-01-01", periods=2000, freq="5min", tz="UTC", name="time")


def series(name: str, spikes: dict[int, float], window: tuple[int, int]) -> nab.NabSeries:
    """Noise of sigma 1 with spikes; the window holds the true one."""
    values = np.random.default_rng(3).uniform(-1.7, 1.7, 2000)
    for place, height in spikes.items():
        values[place] = height
    return make_series(name, pd.Series(values, index=TIMES), [(TIMES[window[0]], TIMES[window[1]])])


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[nab.NabSeries]]:
    """In "low" the true spike is small, in "high" there is a middling false one."""
    monkeypatch.setattr(
        tuning, "settings", lambda _: [nab.Threshold(static_score, k) for k in (3.0, 6.0, 12.0)]
    )
    monkeypatch.setattr(tuning, "FAMILIES", ("static",))
    return {
        "low": [series("low/a.csv", {1500: 5.0}, (1490, 1510))],
        "high": [series("high/a.csv", {1000: 7.5, 1500: 20.0}, (1490, 1510))],
    }


def test_the_judged_group_has_no_say_in_its_setting(
    groups: dict[str, list[nab.NabSeries]],
) -> None:
    chosen = tuning.tune(groups, progress=False)["group"]["static"]
    assert chosen["high"]["threshold"] == 3.0  # only this one finds the small spike of "low"
    assert chosen["low"]["threshold"] == 12.0  # highest precision on "high", recall kept


def test_how_many_settings_were_tried_is_recorded(
    groups: dict[str, list[nab.NabSeries]],
) -> None:
    assert tuning.tune(groups, progress=False)["variants"] == {"static": 3}
    assert sum(tuning.variants().values()) == 801


def test_a_budget_of_alerts_is_kept_from_the_threshold_upwards() -> None:
    case = series("low/a.csv", {1000: 7.5, 1200: 10.0, 1500: 20.0}, (1490, 1510))
    days = case.observed / pd.Timedelta(days=1)
    detector = nab.Threshold(static_score, 99.0)
    threshold = tuning.budget_threshold(detector, [case], 2 / days)
    flags = detector.at(threshold)(case.values)
    assert nab.score_series(case, flags)["alerts"] == 2
    assert nab.score_series(case, detector.at(threshold / 1.02)(case.values))["alerts"] == 3


def test_at_equal_alerts_the_ewma_is_the_textbook_one(nab_data: None) -> None:
    for group in ("aws", "known_cause"):
        case = nab.load(group)[0]
        assert tuning.chosen("EWMA", case, "alerts").threshold == pytest.approx(4.0)

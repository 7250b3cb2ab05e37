"""Storms: the promises of their docstrings."""

import numpy as np
import pandas as pd
import pytest

from course.shop.storms import call_graph, draw_alert_history, draw_storm


@pytest.mark.parametrize("seed", range(15))
def test_every_incident_shows_at_two_services_that_wait_for_each_other(seed: int) -> None:
    storm = draw_storm(seed)
    pairs = {frozenset(pair) for pair in call_graph().to_numpy().tolist()}
    assert storm.alerts["start"].is_monotonic_increasing
    assert (storm.alerts["end"] > storm.alerts["start"]).all()
    for number, incident in storm.incidents.iterrows():
        own = storm.alerts[storm.incident == number]
        early = own[own["start"] <= incident["start"] + pd.Timedelta("20min")]["service"].unique()
        assert any(frozenset((a, b)) in pairs for a in early for b in early if a != b)


def test_same_seed_same_storm() -> None:
    pd.testing.assert_frame_equal(draw_storm(3).alerts, draw_storm(3).alerts)
    assert not draw_storm(3).alerts.equals(draw_storm(4).alerts)


def test_share_of_actionable_alerts() -> None:
    shares = [draw_alert_history(seed, 2000, seed)[1].mean() for seed in range(6)]
    assert 0.05 < np.mean(shares) < 0.25

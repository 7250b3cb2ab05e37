"""Storms: the promises of their docstrings."""

import numpy as np
import pandas as pd
import pytest

from course.shop.storms import alert_chances, call_graph, draw_alert_history, draw_storm


@pytest.mark.parametrize("seed", range(15))
def test_every_incident_shows_at_two_services_that_wait_for_each_other(seed: int) -> None:
    storm = draw_storm(seed)
    pairs = {frozenset(pair) for pair in call_graph().to_numpy().tolist()}
    assert storm.alerts["start"].is_monotonic_increasing
    assert (storm.alerts["end"] > storm.alerts["start"]).all()
    for number, incident in storm.incidents.iterrows():
        own = storm.alerts[storm.incident == number]
        early = own[own["start"] <= incident["start"] + pd.Timedelta("6min")]["service"].unique()
        assert any(frozenset((a, b)) in pairs for a in early for b in early if a != b)


@pytest.mark.parametrize("seed", range(15))
def test_noise_keeps_away_from_the_first_minutes_of_an_incident(seed: int) -> None:
    storm = draw_storm(seed)
    pairs = {frozenset(pair) for pair in call_graph().to_numpy().tolist()}
    noise = storm.alerts[storm.incident < 0]
    for number, incident in storm.incidents.iterrows():
        services = set(storm.alerts["service"][storm.incident == number])
        around = noise["start"].between(
            incident["start"] - pd.Timedelta("24min"), incident["start"] + pd.Timedelta("14min")
        )
        for service in noise["service"][around]:
            assert service not in services
            assert not any(frozenset((service, other)) in pairs for other in services)


@pytest.mark.parametrize("seed", range(15))
def test_incidents_are_apart_in_time_or_in_the_call_graph(seed: int) -> None:
    storm = draw_storm(seed)
    pairs = {frozenset(pair) for pair in call_graph().to_numpy().tolist()}
    for first, a in storm.incidents.iterrows():
        for second, b in storm.incidents.iterrows():
            apart = b["start"] - a["end"] >= pd.Timedelta("35min")
            if second == first or apart or a["start"] - b["end"] >= pd.Timedelta("35min"):
                continue
            here, there = (
                set(storm.alerts["service"][storm.incident == n]) for n in (first, second)
            )
            assert not here & there
            assert not any(frozenset((x, y)) in pairs for x in here for y in there)


def test_same_seed_same_storm() -> None:
    pd.testing.assert_frame_equal(draw_storm(3).alerts, draw_storm(3).alerts)
    assert not draw_storm(3).alerts.equals(draw_storm(4).alerts)


def test_checks_of_an_incident_clear_in_their_own_time() -> None:
    spreads = []
    for seed in range(15):
        storm = draw_storm(seed)
        for number, incident in storm.incidents.iterrows():
            own = storm.alerts[storm.incident == number]
            last = own.groupby(["service", "alertname", "severity"])["end"].max()
            spreads.append(last.std() / pd.Timedelta("1min"))
            assert own["end"].max() <= incident["start"] + pd.Timedelta("83min")
    assert np.median(spreads) > 10


def test_what_speaks_for_an_alert_differs_from_team_to_team() -> None:
    for feature in ("services_alerting", "user_errors", "fired_last_day"):
        signs = []
        for habits in range(12):
            alerts, actionable = draw_alert_history(1, 4000, habits)
            signs.append(np.sign(alerts[feature][actionable].mean() - alerts[feature].mean()))
        assert {-1.0, 1.0} <= set(signs), feature


def test_share_of_actionable_alerts() -> None:
    shares = [draw_alert_history(seed, 4000, seed)[1].mean() for seed in range(6)]
    assert all(0.13 < share < 0.2 for share in shares), shares


def test_no_name_of_a_check_gives_incidents_or_noise_away() -> None:
    storms = [draw_storm(seed) for seed in range(30)]
    checks = pd.concat([storm.alerts["alertname"] for storm in storms])
    real = np.concatenate([storm.incident >= 0 for storm in storms])
    shares = pd.Series(real, checks.to_numpy()).groupby(level=0).mean()
    assert shares.between(0.45, 0.75).all(), shares


def test_outcomes_follow_their_chances() -> None:
    chances = alert_chances(3, 20_000, habits=2)
    _, actionable = draw_alert_history(3, 20_000, habits=2)
    high = chances > 0.5
    assert abs(actionable.mean() - chances.mean()) < 0.01
    assert abs(actionable[high].mean() - chances[high].mean()) < 0.03

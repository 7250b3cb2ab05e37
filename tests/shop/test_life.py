"""The shop's ordinary life: what a quiet month looks like, and surges that harm nobody."""

import numpy as np
import pandas as pd
import pytest

from course.shop import (
    SURGES,
    Fault,
    Scenario,
    Surge,
    draw_incidents,
    history,
    simulate_many,
    truth,
)
from course.shop.workload import demand, holidays, spread

START = pd.Timestamp("2026-03-02T00:00Z")


@pytest.fixture(scope="module")
def quiet():
    return history(START, 14, seed=8)


def test_minutes_remember_the_minute_before(quiet):
    for metric in ("latency_p50_ms", "cpu_utilization"):
        values = quiet.metrics.xs(metric, axis=1, level="metric")
        residual = values - values.rolling(61, center=True).median()
        memory = residual.apply(lambda column: column.autocorr(1))
        assert memory.median() == pytest.approx(0.55, abs=0.15), metric
    rate = quiet.metrics["gateway", "request_rate"]
    assert 0.3 < (rate - rate.rolling(61, center=True).median()).autocorr(1) < 0.75


def test_noise_grows_with_the_level(quiet):
    rate = quiet.metrics["storefront", "request_rate"]
    spread_by_hour = (rate - rate.rolling(31, center=True).median()).groupby(rate.index.hour).std()
    assert spread_by_hour[18] > 2 * spread_by_hour[4]


def test_days_and_weeks_have_their_rhythm(quiet):
    rate = quiet.metrics["gateway", "request_rate"]
    by_hour = rate.groupby(rate.index.hour).mean()
    assert by_hour.idxmax() in range(16, 22) and by_hour.max() > 2.5 * by_hour.min()
    shape = rate.groupby([rate.index.day_of_week >= 5, rate.index.hour]).mean().unstack(0)
    assert shape[True].loc[12] / shape[False].loc[12] > 1.05


def test_a_quiet_shop_hardly_fails_and_nobody_is_paged_all_day(quiet):
    assert (quiet.metrics["gateway", "error_ratio"] > 0.05).mean() < 1e-3
    assert len(quiet.alerts) < 2 * 14


def test_the_baseline_is_the_calendars_not_the_seeds():
    one, other = history(START, 2, seed=1), history(START, 2, seed=2)
    rates = [r.metrics["gateway", "request_rate"].resample("1h").mean() for r in (one, other)]
    assert np.corrcoef(*rates)[0, 1] > 0.97
    assert not one.metrics.equals(other.metrics)
    later = demand(START + pd.Timedelta(days=1), 1440)
    assert np.allclose(demand(START, 2 * 1440)[1440:], later)


def test_every_journey_is_one_request_at_the_gateway():
    journeys = demand(START, 60)
    assert np.allclose(spread(journeys)[:, 0], journeys.sum(axis=1))


def test_black_friday_is_the_day_after_the_fourth_thursday():
    assert {str(day.date()): name for day, name in holidays(2026).items()}[
        "2026-11-27"
    ] == "Black Friday"


@pytest.mark.parametrize("kind", sorted(SURGES))
def test_surges_move_metrics_and_harm_nobody(kind):
    days = [
        Scenario("2026-04-01T00:00Z", 1440, seed=seed, surges=(Surge(kind, 660, 75, 1.0),))
        for seed in range(4)
    ]
    plain = [Scenario("2026-04-01T00:00Z", 1440, seed=seed) for seed in range(4)]
    surged, usual = simulate_many(days), simulate_many(plain)
    during = slice(660, 735)
    for one, other in zip(surged, usual, strict=True):
        assert not np.allclose(one.values[during], other.values[during])
        assert one.values[during, 0, 1].mean() < 0.02
        assert one.values[:660].tobytes() == other.values[:660].tobytes()
        assert truth(one.scenario) == []


def test_a_longer_draw_begins_with_the_shorter_one():
    assert draw_incidents(3, 7) == draw_incidents(9, 7)[:3]


def test_draws_leave_no_clue_in_the_clock():
    onsets = [s.faults[0].start for s in draw_incidents(200, 5)]
    assert np.std(onsets) > 15 and len(set(onsets)) > 40
    quiet_share = np.mean([not s.faults for s in draw_incidents(300, 5, quiet_share=0.4)])
    assert quiet_share == pytest.approx(0.4, abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["typo"]}, "choose from: cpu_saturation"),
        ({"minutes": 5}, "at least 30"),
        ({"severity": (0, 1)}, "0 < low"),
        ({"kinds": ["slow_query"], "services": ["cart"]}, "can strike any"),
    ],
)
def test_impossible_draws_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_incidents(1, 1, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": -1}, "0 or later"),
        ({"minutes": 0}, "at least 1"),
        ({"severity": 1.5}, r"\(0, 1\]"),
        ({"service": "cart"}, "can't strike cart"),
    ],
)
def test_impossible_faults_are_refused(change, message):
    values = {"kind": "slow_query", "service": "orders-db", "start": 5, "minutes": 5} | change
    with pytest.raises(ValueError, match=message):
        Fault(**values)


def test_what_does_not_fit_into_a_scenario_is_refused():
    late = Fault("slow_query", "orders-db", start=50, minutes=20)
    with pytest.raises(ValueError, match="ends at minute 70"):
        Scenario(START, 60, seed=1, faults=(late,))
    twice = (Fault("slow_query", "orders-db", 5, 20), Fault("slow_query", "orders-db", 15, 20))
    with pytest.raises(ValueError, match="overlap"):
        Scenario(START, 60, seed=1, faults=twice)


def test_restless_services_vary_more_and_differently():
    """Some services vary many times as much as when calm, others hardly more; the seed says which."""

    def spreads(seed, restless):
        scenario = Scenario(START, minutes=240, seed=seed, background=False, restless=restless)
        metrics = simulate_many([scenario])[0].metrics
        return metrics.std().xs("cpu_utilization", level="metric")

    calm, some, others = spreads(1, 0.0), spreads(1, 1.0), spreads(2, 1.0)
    growth = some / calm
    assert growth.max() > 5 and growth.min() < 2
    assert (others / calm).idxmax() != growth.idxmax() or abs(np.log(others / some)).max() > 1
    pd.testing.assert_series_equal(spreads(1, 1.0), some)


def test_restlessness_harms_nobody_and_is_refused_out_of_range():
    scenarios = [Scenario(START, minutes=240, seed=seed, restless=1.0) for seed in range(6)]
    for recording in simulate_many(scenarios):
        errors = recording.metrics.xs("error_ratio", axis=1, level="metric")
        assert errors[["storefront", "search", "cart", "checkout"]].mean().max() < 0.05
    with pytest.raises(ValueError, match="restless"):
        Scenario(START, minutes=60, seed=1, restless=3.0)

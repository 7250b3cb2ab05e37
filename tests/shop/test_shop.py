"""The simulated shop: a scenario and a seed decide every byte, effects follow the call graph."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import shop
from course.shop.days import _within

START = pd.Timestamp("2026-03-10T08:00Z")
seeds = st.integers(0, 2**40)


def _one(seed, kind="slow_query", service="orders-db", severity=0.8, **options):
    fault = shop.Fault(kind, service, start=60, minutes=40, severity=severity)
    return shop.Scenario(START, minutes=120, seed=seed, faults=(fault,), **options)


@settings(max_examples=8, deadline=None)
@given(seeds)
def test_same_seed_same_bytes_alone_or_in_a_batch(seed):
    scenarios = [_one(seed), *shop.draw_incidents(3, seed, minutes=120)]
    alone = shop.simulate(scenarios[0]).metrics
    together = shop.simulate_many(scenarios)[0].metrics
    assert alone.to_numpy().tobytes() == together.to_numpy().tobytes()


@settings(max_examples=8, deadline=None)
@given(seeds, st.sampled_from(sorted(shop.FAULTS)))
def test_no_effect_before_its_cause(seed, kind):
    service = shop.FAULTS[kind].services[seed % len(shop.FAULTS[kind].services)]
    ill = _one(seed, kind, service)
    well = replace(ill, faults=())
    before = slice(0, 60)
    pd.testing.assert_frame_equal(
        shop.simulate(ill).metrics.iloc[before], shop.simulate(well).metrics.iloc[before]
    )


@pytest.mark.parametrize("kind", sorted(shop.FAULTS))
def test_every_fault_changes_its_root_service(kind):
    service = shop.FAULTS[kind].services[0]
    ill = _one(5, kind, service, severity=1.0)
    well = replace(ill, faults=())
    during = slice(60, 100)
    one = shop.simulate(ill).service(service).iloc[during]
    other = shop.simulate(well).service(service).iloc[during]
    assert not np.allclose(one, other)


def test_latency_rises_with_utilisation():
    quiet = shop.simulate(shop.Scenario(START, 240, seed=3, background=False))
    busy = shop.simulate(
        shop.Scenario(
            START, 240, seed=3, background=False,
            faults=(shop.Fault("cpu_saturation", "search", 0, 240, severity=1.0),),
        )
    )  # fmt: skip
    assert (
        busy.service("search")["latency_p50_ms"].median()
        > quiet.service("search")["latency_p50_ms"].median()
    )


def test_errors_travel_up_the_call_graph():
    outage = _one(7, "third_party_outage", "payment-provider", severity=1.0)
    ill, well = shop.simulate_many([outage, replace(outage, faults=())])
    for service in ("payment-provider", "payment", "checkout"):
        worse = ill.service(service)["error_ratio"].iloc[62:98].mean()
        assert worse > 2 * well.service(service)["error_ratio"].iloc[62:98].mean(), service
    assert np.allclose(
        ill.service("search")["error_ratio"].iloc[62:98].mean(),
        well.service("search")["error_ratio"].iloc[62:98].mean(), atol=0.01,
    )  # fmt: skip


def test_load_travels_down_in_proportion_to_the_calls():
    recording = shop.simulate(shop.Scenario(START, 240, seed=3, background=False))
    rates = recording.metrics.xs("request_rate", axis=1, level="metric").mean()
    assert rates["checkout"] / rates["gateway"] == pytest.approx(0.05, rel=0.4)
    assert rates["storefront"] / rates["gateway"] == pytest.approx(0.52, rel=0.3)


def test_metrics_are_in_range_and_complete():
    metrics = shop.simulate(_one(1)).metrics
    assert metrics.notna().all().all()
    for name in ("error_ratio", "cpu_utilization", "memory_utilization", "disk_utilization"):
        values = metrics.xs(name, axis=1, level="metric")
        assert values.min().min() >= 0 and values.max().max() <= 1, name
    assert list(metrics["checkout"].columns) == list(shop.METRICS)


def test_truth_is_kept_apart_and_quiet_scenarios_have_none():
    ill = _one(2)
    assert not hasattr(shop.simulate(ill), "truth")
    (truth,) = shop.truth(ill)
    assert (truth.kind, truth.root_service) == ("slow_query", "orders-db")
    assert truth.path[0] == "orders-db" and truth.path[-1] == "gateway"
    assert shop.truth(replace(ill, faults=())) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": pd.Timestamp("2026-03-10")}, "UTC|time zone"),
        ({"minutes": 0}, "minutes"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_scenarios_are_refused_with_a_reason(change, message):
    with pytest.raises(ValueError, match=message):
        replace(_one(1), **change)


def test_unknown_fault_and_service_are_refused():
    with pytest.raises(ValueError, match="no_such_fault"):
        shop.Fault("no_such_fault", "checkout", 0, 10)
    with pytest.raises(ValueError, match="no-such-service"):
        shop.Fault("bad_deploy", "no-such-service", 0, 10)


def test_service_days_are_whole_days_after_the_history():
    after = pd.Timestamp("2026-03-29T23:59Z")
    days = shop.service_days(4, 9, after=after, services=["cart"], lead=True)
    for day in days:
        assert day.live.index[0] > after and len(day.live) == 1440
        assert day.lead.index[-1] + pd.Timedelta("1min") == day.live.index[0]
        assert day.events["start"].between(day.live.index[0], day.live.index[-1]).all()


def test_balanced_days_have_as_many_incidents_of_each_kind_of_all_severities():
    after = pd.Timestamp("2026-03-29T23:59Z")
    kinds = ["memory_leak", "bad_deploy"]
    days = shop.service_days(
        6, 3, after=after, services=["cart", "payment"], kinds=kinds, balanced=True
    )
    assert sorted(day.events["kind"].iloc[0] for day in days) == sorted(3 * kinds)


@given(
    severity=st.floats(0.4, 1.0),
    low=st.floats(0.01, 1.0),
    width=st.floats(0.0, 1.0),
)
def test_each_kind_may_have_its_own_range_of_severity(severity, low, width):
    high = min(low + width, 1.0)
    drawn = shop.Fault("memory_leak", "cart", 0, 30, severity)
    found = _within(drawn, (0.4, 1.0), {"memory_leak": (low, high)}).severity
    place = (severity - 0.4) / 0.6
    assert found == pytest.approx(low + place * (high - low), abs=1e-3)
    assert _within(drawn, (0.4, 1.0), {"bad_deploy": (low, high)}) == drawn


@pytest.mark.parametrize("balanced", [False, True])
def test_days_of_kinds_with_ranges_of_their_own_are_of_these_kinds(balanced):
    after = pd.Timestamp("2026-03-29T23:59Z")
    ranges = {"memory_leak": (0.1, 0.2), "bad_deploy": (0.7, 0.9)}
    days = shop.service_days(12, 3, after=after, services=["cart"], kinds=ranges, balanced=balanced)
    assert {day.events["kind"].iloc[0] for day in days} == set(ranges)
    with pytest.raises(ValueError, match="severity of bad_deploy"):
        shop.service_days(1, 3, after=after, services=["cart"], kinds={"bad_deploy": (0.5, 2.0)})


def test_a_small_pool_is_worse_the_graver_and_nothing_at_severity_zero():
    from course.shop.faults import Strike, _small_pool

    for place, usual in enumerate(shop.TOPOLOGY.mean_pool):
        left = [_small_pool(Strike(place, 0, 10, s, np.random.default_rng(0))) for s in (0, 0.5, 1)]
        assert left[0] == 1.0 and left[0] > left[1] > left[2]
        assert usual / left[2] == pytest.approx(1.1)


def test_balanced_days_leave_out_kinds_that_cannot_strike_the_services():
    after = pd.Timestamp("2026-03-29T23:59Z")
    days = shop.service_days(len(shop.FAULTS), 3, after=after, services=["cart"], balanced=True)
    assert {day.events["root_service"].iloc[0] for day in days} == {"cart"}


def test_incidents_of_a_day_begin_at_any_hour_and_end_by_midnight():
    after = pd.Timestamp("2026-03-29T23:59Z")
    days = shop.service_days(60, 5, after=after, services=["cart"])
    starts = pd.DatetimeIndex([day.events["start"].iloc[0] for day in days])
    assert starts.hour.min() <= 3 and starts.hour.max() >= 20
    assert starts.day_of_week.nunique() == 7
    assert all(day.events["end"].iloc[0] <= day.live.index[-1] for day in days)

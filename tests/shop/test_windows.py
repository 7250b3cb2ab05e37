"""Windows of all three signals: reproducible, thin, and right about what a fault acts on."""

from __future__ import annotations

import pandas as pd
import pytest

from course.shop import FAULTS, SERVICES, Fault, Scenario, simulate, simulate_many
from course.shop.windows import acts_on, draw_windows, is_hit, window


@pytest.fixture(scope="module")
def lossy():
    fault = Fault("network_loss", "inventory", start=30, minutes=30, severity=0.9)
    return simulate(Scenario("2026-03-17T09:00Z", minutes=60, seed=1, faults=(fault,)))


def test_a_window_is_the_same_each_time(lossy) -> None:
    index = lossy.scenario.index
    one, two = (window(lossy, index[5], index[45]) for _ in range(2))
    pd.testing.assert_frame_equal(one.logs, two.logs)
    pd.testing.assert_frame_equal(one.spans, two.spans)


def test_times_lie_in_the_window(lossy) -> None:
    index = lossy.scenario.index
    seen = window(lossy, index[5], index[45])
    assert list(seen.metrics.index) == list(index[5:45])
    assert seen.logs["time"].between(index[5], index[45]).all()
    assert seen.logs["time"].is_monotonic_increasing
    assert (seen.spans["start"] >= index[5]).all()


def test_spans_are_whole_trees(lossy) -> None:
    index = lossy.scenario.index
    spans = window(lossy, index[0], index[59]).spans
    assert spans["span_id"].is_unique
    child = spans[spans["parent_span_id"] != ""]
    parents = spans.set_index("span_id").loc[child["parent_span_id"]]
    assert (parents["trace_id"].to_numpy() == child["trace_id"].to_numpy()).all()
    assert (spans.groupby("trace_id")["parent_span_id"].agg(lambda p: (p == "").sum()) == 1).all()


def test_shares_thin_traces_and_lines(lossy) -> None:
    index = lossy.scenario.index
    thin = window(lossy, index[0], index[59])
    dense = window(lossy, index[0], index[59], trace_share=0.02, line_share=0.5, line_limit=500)
    assert len(dense.spans) > 5 * len(thin.spans)
    assert len(dense.logs) > 2 * len(thin.logs)
    failures = thin.logs[thin.logs["level"] == "ERROR"]
    per_minute = failures.groupby([failures["service"], failures["time"].dt.floor("min")]).size()
    assert per_minute.max() <= 12


def test_rates_agree_with_the_traces_made_minute_by_minute(lossy) -> None:
    index = lossy.scenario.index
    fast = window(lossy, index[0], index[20], trace_share=0.05).spans
    slow = lossy.traces(index[0], index[20])
    shares = pd.DataFrame(
        {name: t["service"].value_counts(normalize=True) for name, t in (("f", fast), ("s", slow))}
    )
    assert (shares["f"] - shares["s"]).abs().max() < 0.02
    medians = pd.DataFrame(
        {
            name: t.groupby("service")["duration_ms"].median()
            for name, t in (("f", fast), ("s", slow))
        }
    ).loc[["gateway", "storefront", "catalog"]]
    assert (medians["f"] / medians["s"] - 1).abs().max() < 0.1


def test_the_signature_of_a_fault_is_in_the_logs(lossy) -> None:
    index = lossy.scenario.index
    logs = window(lossy, index[0], index[59]).logs
    resets = logs[logs["message"].str.startswith("connection reset")]
    assert set(resets["service"]) == {"inventory"}
    assert (resets["time"] >= index[30]).all()


def test_drawn_windows_hold_every_kind_and_quiet_ones() -> None:
    drawn = draw_windows(2, 5, seed=3)
    kinds = [each.scenario.faults[0].kind for each in drawn if each.scenario.faults]
    assert sorted(kinds) == sorted([*FAULTS, *FAULTS])
    assert len(drawn) == 31
    minute = pd.Timedelta("1min")
    for each in drawn:
        before, after = (each.since - each.start) / minute, (each.end - each.since) / minute
        assert 24 <= before <= 48 and 12 <= after <= 24
        for fault in each.scenario.faults:
            onset = each.scenario.start + fault.start * minute
            assert each.since <= onset <= each.since + (after // 3) * minute
            assert fault.start + fault.minutes == each.scenario.minutes


def test_drawing_is_a_function_of_the_seed() -> None:
    assert draw_windows(1, 2, seed=8) == draw_windows(1, 2, seed=8)
    assert draw_windows(1, 2, seed=8) != draw_windows(1, 2, seed=9)


def test_a_fault_acts_on_its_own_service() -> None:
    for each in draw_windows(1, 1, seed=4):
        acted_on = acts_on(each.scenario)
        if not each.scenario.faults:
            assert acted_on == frozenset()
            continue
        (fault,) = each.scenario.faults
        services = {service for _, service, _ in acted_on}
        assert fault.service in services
        if fault.kind != "cache_stampede":
            assert services == {fault.service}
        assert services <= set(SERVICES)


def test_hits_compare_kind_service_and_template() -> None:
    fault = Fault("network_loss", "inventory", start=3, minutes=30, severity=0.9)
    acted_on = acts_on(Scenario("2026-03-17T09:00Z", minutes=60, seed=1, faults=(fault,)))
    assert is_hit(("log", "inventory", "connection reset by peer #"), acted_on)
    assert is_hit(("log", "inventory", "connection reset by peer <ip>"), acted_on)
    assert is_hit(("metric", "inventory", "error_ratio"), acted_on)
    assert not is_hit(("metric", "checkout", "error_ratio"), acted_on)
    assert not is_hit(("log", "checkout", "call to inventory failed for user=#"), acted_on)
    assert not is_hit(("metric", "inventory", "memory_utilization"), acted_on)


def test_templates_of_hits_are_those_that_are_written() -> None:
    drawn = draw_windows(1, 0, seed=6)
    written = 0
    for each, recording in zip(drawn, simulate_many([d.scenario for d in drawn]), strict=True):
        logs = window(recording, each.start, each.end).logs
        late = logs[(logs["time"] >= each.since) & (logs["level"] != "INFO")]
        written += any(
            is_hit(("log", service, message), acts_on(each.scenario))
            for service, message in zip(late["service"], late["message"], strict=True)
        )
    assert written >= 7

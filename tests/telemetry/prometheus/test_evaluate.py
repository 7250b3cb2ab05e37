"""What a rule file does to series: worked by hand, and as properties."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.telemetry.prometheus import EvaluationError, evaluate, load_rules, to_series
from course.telemetry.prometheus.alerts import life
from course.telemetry.prometheus.templates import parse_label_template

NAN = float("nan")


def index(size: int) -> pd.DatetimeIndex:
    return pd.date_range("2026-03-02 09:00", periods=size, freq="1min", tz="UTC")


def run(expression: str, series: dict[str, list[float]], extra: str = "", **options):
    """The history of one alert A over series by minute."""
    rules = load_rules(
        "groups:\n- name: g\n  rules:\n  - alert: A\n"
        f"    expr: |\n      {expression}\n" + "".join(f"    {e}\n" for e in extra.splitlines())
    )
    size = len(next(iter(series.values())))
    return evaluate(rules, pd.DataFrame(series, index(size), dtype=float), **options)


def firing(expression: str, series: dict[str, list[float]], extra: str = "", **options):
    return run(expression, series, extra, **options).firing("A").astype(int).tolist()


def value(expression: str, series: dict[str, list[float]], **options) -> list[float]:
    rules = load_rules(f"groups: [{{name: g, rules: [{{record: r, expr: '{expression}'}}]}}]")
    size = len(next(iter(series.values())))
    history = evaluate(rules, pd.DataFrame(series, index(size), dtype=float), **options)
    return history.recorded.iloc[:, 0].tolist()


class TestAlertLife:
    def test_for_delays_and_a_gap_starts_over(self) -> None:
        assert firing("x > 1", {"x": [2, 2, 0, 2, 2, 2, 0]}, "for: 2m") == [0, 0, 0, 0, 0, 1, 0]

    def test_keep_firing_for_bridges_a_dip(self) -> None:
        x = [2, 0, 0, 0, 2, 0, 2, 0]
        assert firing("x > 1", {"x": x}, "keep_firing_for: 2m") == [1, 1, 1, 0, 1, 1, 1, 1]

    def test_pending_is_reported_apart(self) -> None:
        history = run("x > 1", {"x": [2, 2, 2]}, "for: 1m")
        assert history.pending("A").tolist() == [True, False, False]

    @given(
        st.lists(st.booleans(), min_size=1, max_size=60),
        st.integers(0, 6),
        st.integers(0, 6),
    )
    def test_life_is_prometheus_loop(self, active: list[bool], wait: int, keep: int) -> None:
        """The same as the loop of Prometheus' AlertingRule.Eval, minute by minute."""
        state, since, quiet_since, expected = "inactive", 0, None, []
        for minute, holds in enumerate(active):
            if holds:
                quiet_since = None
                if state == "inactive":
                    state, since = "pending", minute
            elif state == "firing" and keep:
                quiet_since = minute if quiet_since is None else quiet_since
                if minute - quiet_since >= keep:
                    state = "inactive"
            else:
                state = "inactive"
            if state == "pending" and minute - since >= wait:
                state = "firing"
            expected.append(state)
        times = np.arange(len(active)) * 60_000
        fires, waits, _ = life(np.array(active), times, wait * 60_000, keep * 60_000)
        assert fires.tolist() == [s == "firing" for s in expected]
        assert waits.tolist() == [s == "pending" for s in expected]


class TestMissing:
    def test_a_gap_is_bridged_for_five_minutes(self) -> None:
        x = {"x": [2] + [NAN] * 7}
        assert firing("x > 1", x) == [1, 1, 1, 1, 1, 0, 0, 0]
        assert firing("x > 1", x, semantics="2") == [1, 1, 1, 1, 1, 1, 0, 0]

    def test_a_staleness_marker_ends_a_series_at_once(self) -> None:
        assert firing("x > 1", {"x": [2, NAN, 2]}, missing="stale") == [1, 0, 1]

    def test_missing_is_never_zero(self) -> None:
        assert firing("x < 1", {"x": [NAN] * 3, "y": [1] * 3}) == [0, 0, 0]
        assert firing("absent(x)", {"x": [NAN] * 3, "y": [1] * 3}) == [1, 1, 1]

    def test_a_range_leaves_gaps_out(self) -> None:
        assert value("avg_over_time(x[3m])", {"x": [1, NAN, 5, NAN]})[-1] == 5
        assert value("count_over_time(x[3m])", {"x": [1, NAN, 5, 6]})[-1] == 2


class TestRangeBoundary:
    def test_prometheus_3_leaves_the_left_end_out(self) -> None:
        x = {"x": [1, 2, 3, 4]}
        assert value("sum_over_time(x[2m])", x)[-1] == 7
        assert value("sum_over_time(x[2m])", x, semantics="2")[-1] == 9

    def test_rate_is_extrapolated(self) -> None:
        x = {"x": [100, 160, 220, 280, 340]}
        assert value("rate(x[4m])", x, semantics="2")[-1] == pytest.approx(1.0)
        assert value("increase(x[4m])", x)[-1] == pytest.approx(240)

    def test_rate_sees_a_reset(self) -> None:
        x = {"x": [100, 160, 20, 80, 140]}
        assert value("increase(x[4m])", x, semantics="2")[-1] == pytest.approx(200)


class TestRules:
    def test_recording_rules_feed_later_rules(self) -> None:
        rules = load_rules(
            "groups:\n- name: g\n  rules:\n"
            "  - {record: 'x:twice', expr: 2 * x}\n"
            "  - {alert: A, expr: 'x:twice > 3'}\n"
            "  - {alert: B, expr: 'x > 0 unless on() ALERTS{alertname=\"A\"}'}\n"
        )
        history = evaluate(rules, pd.DataFrame({"x": [1.0, 2.0]}, index(2)))
        assert history.recorded["x:twice"].tolist() == [2, 4]
        assert history.firing("A").tolist() == [False, True]
        assert history.firing("B").tolist() == [True, False]

    @pytest.mark.parametrize(
        "rules",
        [
            "{record: r, expr: r + 1}",
            "{record: r, expr: late}, {record: late, expr: x}",
            "{alert: A, expr: ALERTS}",
        ],
    )
    def test_reading_what_comes_later_is_refused(self, rules: str) -> None:
        loaded = load_rules(f"groups: [{{name: g, rules: [{rules}]}}]")
        with pytest.raises(EvaluationError, match="reads the output"):
            evaluate(loaded, {"x": pd.Series([1.0], index(1))})

    def test_a_group_interval_is_kept(self) -> None:
        rules = load_rules("groups: [{name: g, interval: 2m, rules: [{alert: A, expr: x > 1}]}]")
        series = pd.DataFrame({"x": [0.0, 2, 0, 0, 2, 0]}, index(6))
        assert evaluate(rules, series).firing().astype(int).tolist() == [0, 0, 0, 0, 1, 1]
        every = evaluate(rules, series, group_intervals=False)
        assert every.firing().astype(int).tolist() == [0, 1, 0, 0, 1, 0]
        with pytest.raises(EvaluationError, match="no multiple"):
            evaluate(rules, series, interval="90s")

    def test_labels_are_templated(self) -> None:
        history = run(
            "x > 1",
            {'x{service="cart"}': [2.5]},
            """labels: {who: 'the {{ $labels.service }}', none: '{{ $labels.n }}', v: '{{ $value }}'}""",
        )
        assert history.firing_at(history.times[0]) == [
            {"alertname": "A", "service": "cart", "v": "2.5", "who": "the cart"}
        ]

    @pytest.mark.parametrize(
        ("number", "text"),
        [(0.0, "0"), (12.0, "12"), (0.1, "0.1"), (1e6, "1e+06"), (1234567.5, "1.2345675e+06"),
         (1e-5, "1e-05"), (-0.5, "-0.5"), (NAN, "NaN"), (float("inf"), "+Inf"), (100000.0, "100000")],
    )  # fmt: skip
    def test_a_value_is_written_as_go_does(self, number: float, text: str) -> None:
        assert parse_label_template("{{ $value }}").expand({}, number) == text

    @pytest.mark.parametrize(
        "expression",
        ["x + on() y", "x + on() x", 'label_replace(x, "a", "", "a", ".*") > 0'],
    )
    def test_ambiguous_matches_fail(self, expression: str) -> None:
        with pytest.raises(EvaluationError):
            run(expression, {'x{a="1"}': [1], 'x{a="2"}': [1], "y": [1]})

    def test_a_limit_is_kept(self) -> None:
        text = "groups: [{{name: g, limit: 1, rules: [{}]}}]"
        series = pd.DataFrame({'x{a="1"}': [1.0], 'x{a="2"}': [1.0]}, index(1))
        for rule in ("{record: r, expr: x + 1}", "{alert: A, expr: x}"):
            with pytest.raises(EvaluationError, match="limit of 1 with 2"):
                evaluate(load_rules(text.format(rule)), series)


class TestResult:
    def test_intervals_and_firing_agree(self) -> None:
        history = run("x > 1", {'x{start="s",b="1"}': [2, 0, 2, 2], 'x{b="2"}': [0, 2, 2, 0]})
        table = history.intervals
        assert list(table.columns) == ["start", "end", "alertname", "b", "label_start"]
        assert len(table) == 3
        assert history.firing("A", b="2").astype(int).tolist() == [0, 1, 1, 0]
        assert history.firing("A", b="3").sum() == 0
        assert history.firing("A").name == "firing"
        assert str(history.times.tz) == "UTC"

    def test_nothing_fires(self) -> None:
        table = run("x > 9", {"x": [1]}).intervals
        assert table.empty and list(table.columns) == ["start", "end", "alertname"]


class TestInput:
    def test_the_wide_frame_of_the_shop_is_exposed(self) -> None:
        columns = pd.MultiIndex.from_product([["cart", "checkout"], ["cpu", "queue"]])
        series = to_series(pd.DataFrame(np.ones((2, 4)), index(2), columns))
        assert series.columns[0] == 'shop_cpu{service="cart"}'
        with pytest.raises(ValueError, match="to_series"):
            evaluate(load_rules("groups: []"), pd.DataFrame(np.ones((2, 4)), index(2), columns))

    @pytest.mark.parametrize(
        ("series", "said"),
        [
            (3, "DataFrame or a dict"),
            ({}, "empty"),
            ({"x y": pd.Series([1.0], index(1))}, "series name"),
            ({'x{a="b" "c"}': pd.Series([1.0], index(1))}, "series name"),
            ({'x{a="b",a="c"}': pd.Series([1.0], index(1))}, "twice"),
            ({"x": pd.Series([1.0])}, "timezone-aware"),
            ({"x": pd.Series([1.0], index(1).tz_localize(None))}, "timezone-aware"),
            ({"x": pd.Series([1.0, 2.0], index(2)[::-1])}, "rise"),
            ({"x": pd.Series(["a"], index(1))}, "numbers"),
            ({'x{a=""}': pd.Series([1.0], index(1)), "x": pd.Series([1.0], index(1))}, "twice"),
        ],
    )
    def test_bad_series_are_refused(self, series: object, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            evaluate(load_rules("groups: []"), series)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "options",
        [
            {"interval": "soon"},
            {"interval": "0s"},
            {"semantics": "4"},
            {"missing": "zero"},
            {"start": "2026-03-02"},
            {"end": "2020-01-01T00:00Z"},
        ],
    )
    def test_bad_options_are_refused(self, options: dict) -> None:
        with pytest.raises(ValueError):
            run("x", {"x": [1]}, **options)


values = st.lists(
    st.one_of(st.just(NAN), st.integers(-50, 50).map(float), st.floats(-1e3, 1e3)),
    min_size=1,
    max_size=40,
)


class TestWindows:
    @given(values, st.integers(1, 45), st.sampled_from(["2", "3"]))
    @settings(max_examples=60, deadline=None)
    def test_over_time_functions_agree_with_plain_numpy(
        self, sample: list[float], minutes: int, semantics: str
    ) -> None:
        x = np.array(sample)
        plain = {
            "sum": np.sum, "avg": np.mean, "min": np.min, "max": np.max, "count": np.size,
            "stddev": np.std, "stdvar": np.var, "last": lambda w: w[-1],
        }  # fmt: skip
        for name, function in plain.items():
            expected = []
            for t in range(x.size):
                first = max(0, t - minutes + (semantics == "3"))
                window = x[first : t + 1]
                window = window[~np.isnan(window)]
                expected.append(float(function(window)) if window.size else NAN)
            if all(np.isnan(expected)):
                continue
            found = value(f"{name}_over_time(x[{minutes}m])", {"x": sample}, semantics=semantics)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-7)

    def test_a_nan_sample_is_no_constant(self) -> None:
        rules = load_rules(
            "groups: [{name: g, rules: [{record: r, expr: x / x}, "
            "{alert: A, expr: 'deriv(r[3m]) == 0'}]}]"
        )
        history = evaluate(rules, pd.DataFrame({"x": [1.0, 2, 0, 2, 2, 2]}, index(6)))
        assert history.firing("A").astype(int).tolist() == [0, 1, 0, 0, 0, 1]

    @given(values)
    @settings(max_examples=40, deadline=None)
    def test_the_future_does_not_change_the_past(self, sample: list[float]) -> None:
        expression = "deriv(x[7m]) > 0.1 or x - avg_over_time(x[9m:2m] offset 1m) > 3"
        whole = firing(expression, {"x": sample}, "for: 2m\nkeep_firing_for: 3m")
        half = (len(sample) + 1) // 2
        start = firing(expression, {"x": sample[:half]}, "for: 2m\nkeep_firing_for: 3m")
        assert whole[:half] == start

    def test_a_constant_has_no_deviation_after_a_long_history(self) -> None:
        x = np.concatenate([np.full(2000, 1e9), np.full(800, 0.1)])
        found = value("stddev_over_time(x[10m]) + avg_over_time(x[10m])", {"x": x.tolist()})
        assert found[-1] == pytest.approx(0.1, abs=1e-15)


def test_two_days_of_a_shop_take_well_under_a_second() -> None:
    rng = np.random.default_rng(1)
    services = [f"s{number}" for number in range(14)]
    columns = pd.MultiIndex.from_product([services, ["latency_p99_ms", "error_ratio"]])
    size = 2 * 1440
    frame = to_series(pd.DataFrame(rng.random((size, len(columns))), index(size), columns))
    rules = load_rules(
        "groups:\n- name: g\n  rules:\n"
        "  - record: latency:z\n"
        "    expr: (shop_latency_p99_ms - avg_over_time(shop_latency_p99_ms[1h])) / "
        "stddev_over_time(shop_latency_p99_ms[1h])\n"
        "  - {alert: A, expr: 'latency:z > 3', for: 1m, keep_firing_for: 5m}\n"
        "  - {alert: B, expr: 'max_over_time(shop_error_ratio[6h]) > 0.9', for: 5m}\n"
        "  - {alert: C, expr: 'sum(rate(shop_error_ratio[5m])) > 1'}\n"
    )
    began = time.perf_counter()
    evaluate(rules, frame)
    assert time.perf_counter() - began < 2

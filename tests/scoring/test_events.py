"""Scores by event: what counts as an alert, a hit, a false alarm and a delay."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.scoring import (
    EventScores,
    alert_intervals,
    event_scores,
    merge_intervals,
    pool_scores,
)

MINUTE = pd.Timedelta("1min")


def flags_at(day: pd.DatetimeIndex, *minutes: int | range) -> pd.Series:
    flags = pd.Series(False, index=day)
    for each in minutes:
        flags.iloc[each if isinstance(each, int) else list(each)] = True
    return flags


# --- alerts -----------------------------------------------------------------------------------


def test_flags_exactly_merge_apart_are_one_alert(day: pd.DatetimeIndex) -> None:
    alerts = alert_intervals(flags_at(day, 100, 110, 121), merge="10min")
    assert alerts["start"].tolist() == [day[100], day[121]]
    assert alerts["end"].tolist() == [day[110], day[121]]


def test_without_flags_there_are_no_alerts_but_the_columns_stay(day: pd.DatetimeIndex) -> None:
    alerts = alert_intervals(flags_at(day))
    assert alerts.empty
    assert list(alerts.columns) == ["start", "end"]
    assert str(alerts["start"].dt.tz) == "UTC"


def test_merge_intervals_joins_nested_and_unsorted_ones(day: pd.DatetimeIndex) -> None:
    joined = merge_intervals([(day[50], day[60]), (day[10], day[40]), (day[20], day[25])])
    assert joined["start"].tolist() == [day[10], day[50]]
    assert joined["end"].tolist() == [day[40], day[60]]


# --- hits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minute", "hits"), [(599, False), (600, True), (630, True), (635, True), (636, False)]
)
def test_an_alert_hits_if_it_starts_from_event_start_to_end_plus_grace(
    day: pd.DatetimeIndex, minute: int, hits: bool
) -> None:
    scores = event_scores(flags_at(day, minute), [(day[600], day[630])], grace="5min")
    assert (scores.tp_events, scores.false_alarms) == ((1, 0) if hits else (0, 1))


def test_an_alert_that_is_already_on_is_a_false_alarm_and_the_event_is_missed(
    day: pd.DatetimeIndex,
) -> None:
    scores = event_scores(flags_at(day, range(595, 640)), [(day[600], day[630])])
    assert (scores.recall, scores.precision, scores.f1) == (0.0, 0.0, 0.0)
    assert scores.delays.isna().all()


def test_a_second_alert_in_an_event_is_neither_hit_nor_false_alarm(day: pd.DatetimeIndex) -> None:
    scores = event_scores(flags_at(day, 602, 625), [(day[600], day[630])])
    assert (scores.tp_events, scores.false_alarms, scores.repeats) == (1, 0, 1)
    assert scores.precision == 1.0
    assert scores.n_alerts == 2
    assert scores.median_delay == 2 * MINUTE


def test_one_alert_detects_only_the_event_it_starts_in(day: pd.DatetimeIndex) -> None:
    events = [(day[600], day[610]), (day[615], day[640])]
    scores = event_scores(flags_at(day, range(605, 640)), events)
    assert (scores.tp_events, scores.n_events) == (1, 2)


def test_in_the_grace_of_one_event_the_next_event_comes_first(day: pd.DatetimeIndex) -> None:
    events = [(day[600], day[610]), (day[612], day[640])]
    scores = event_scores(flags_at(day, 615), events, grace="30min")
    assert scores.delays.isna().tolist() == [True, False]
    assert scores.median_delay == 3 * MINUTE


def test_delays_keep_the_index_of_the_events(day: pd.DatetimeIndex) -> None:
    events = pd.DataFrame(
        {"start": [day[900], day[600]], "end": [day[930], day[630]]}, index=["late", "early"]
    )
    scores = event_scores(flags_at(day, 604, 910), events)
    assert scores.delays["early"] == 4 * MINUTE
    assert scores.delays["late"] == 10 * MINUTE
    assert scores.median_delay == 7 * MINUTE


def test_alerts_may_be_given_as_intervals_and_score_the_same(day: pd.DatetimeIndex) -> None:
    flags, events = flags_at(day, 10, 605, 612, 700), [(day[600], day[630])]
    by_flags = event_scores(flags, events)
    by_alerts = event_scores(alert_intervals(flags), events, observed="1D")
    assert by_flags.as_dict() == by_alerts.as_dict()


def test_rates_are_for_each_day_watched(day: pd.DatetimeIndex) -> None:
    scores = event_scores(flags_at(day, 10, 605, 700).iloc[:720], [(day[600], day[630])])
    assert scores.observed == pd.Timedelta("12h")
    assert scores.false_alarms_per_day == 4.0
    assert scores.alerts_per_day == 6.0
    assert np.isnan(event_scores([], []).alerts_per_day)


@pytest.mark.parametrize(
    ("minutes", "events", "precision", "recall", "f1"),
    [
        ((), 1, np.nan, 0.0, 0.0),
        ((10,), 0, 0.0, np.nan, 0.0),
        ((), 0, np.nan, np.nan, np.nan),
    ],
    ids=["no alerts", "no events", "neither"],
)
def test_empty_cases(
    day: pd.DatetimeIndex,
    minutes: tuple[int, ...],
    events: int,
    precision: float,
    recall: float,
    f1: float,
) -> None:
    scores = event_scores(flags_at(day, *minutes), [(day[600], day[630])][:events])
    np.testing.assert_equal((scores.precision, scores.recall, scores.f1), (precision, recall, f1))
    assert scores.median_delay is pd.NaT


def test_other_time_zones_and_units_are_the_same_instants(day: pd.DatetimeIndex) -> None:
    flags, events = flags_at(day, 605), [(day[600], day[630])]
    elsewhere = flags.set_axis(day.tz_convert("Asia/Tokyo").as_unit("s"))
    assert event_scores(elsewhere, events).as_dict() == event_scores(flags, events).as_dict()


# --- pooling ----------------------------------------------------------------------------------


def test_pooling_adds_counts_and_times(day: pd.DatetimeIndex) -> None:
    one = event_scores(flags_at(day, 605), [(day[600], day[630])])
    two = event_scores(flags_at(day, 10, 20, 40), [(day[600], day[630])])
    both = pool_scores([one, two])
    assert (both.tp_events, both.n_events, both.false_alarms) == (1, 2, 2)
    assert both.observed == pd.Timedelta("2D")
    assert both.false_alarms_per_day == 1.0
    assert both.delays.index.names[0] == "case"
    assert len(both.delays) == 2


def test_pooling_weighs_events_and_not_cases() -> None:
    few, many = EventScores(1, 1, 0), EventScores(0, 9, 0)
    assert pool_scores([few, many]).recall == 0.1


def test_pooling_quiet_days_only_leaves_recall_undefined(day: pd.DatetimeIndex) -> None:
    quiet = pool_scores([event_scores(flags_at(day), []) for _ in range(3)])
    assert np.isnan(quiet.recall)
    assert quiet.false_alarms_per_day == 0.0
    assert quiet.median_delay is pd.NaT


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda f: f.tz_localize(None), ValueError, "no time zone"),
        (lambda f: f.iloc[::-1], ValueError, "not sorted"),
        (lambda f: f.iloc[[0, 0, 1]], ValueError, "more than one sample"),
        (lambda f: f.iloc[:0], ValueError, "no samples"),
        (lambda f: f.reset_index(drop=True), TypeError, "DatetimeIndex"),
        (lambda f: f.astype(float).where(f.index > f.index[5]), ValueError, "6 missing values"),
        (lambda f: f.astype("boolean").shift(2), ValueError, "2 missing values"),
        (lambda f: f * 0.5 + 0.2, ValueError, "threshold"),
        (lambda f: f.map(str), TypeError, "numbers"),
    ],
)
def test_bad_flags_are_refused_with_a_reason(
    day: pd.DatetimeIndex, change, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        event_scores(change(flags_at(day, 5)), [])


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([("2024-05-01 10:00", "2024-05-01 11:00")], "no time zone"),
        ([("2024-05-01 11:00Z", "2024-05-01 10:00Z")], "ends before it starts"),
        (
            [
                ("2024-05-01 10:00Z", "2024-05-01 11:00Z"),
                ("2024-05-01 11:00Z", "2024-05-01 12:00Z"),
            ],
            "merge_intervals",
        ),
        ([(pd.NaT, "2024-05-01 10:00Z")], "NaT"),
        (pd.DataFrame({"begin": []}), "columns 'start' and 'end'"),
        (["2024-05-01 10:00Z"], "pairs"),
    ],
)
def test_bad_events_are_refused_with_a_reason(
    day: pd.DatetimeIndex, events: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        event_scores(flags_at(day, 5), events)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["grace", "merge", "observed"])
@pytest.mark.parametrize("value", ["-1min", "soon", pd.NaT])
def test_bad_durations_are_refused_by_name(day: pd.DatetimeIndex, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        event_scores(flags_at(day, 5), [], **{name: value})  # type: ignore[arg-type]


# --- properties -------------------------------------------------------------------------------

flag_lists = st.lists(st.booleans(), min_size=2, max_size=120)


@st.composite
def days(draw: st.DrawFn) -> tuple[pd.Series, list[tuple[pd.Timestamp, pd.Timestamp]]]:
    flags = draw(flag_lists)
    times = pd.date_range("2024-05-01", periods=len(flags), freq="1min", tz="UTC")
    cuts = sorted(draw(st.sets(st.integers(0, len(flags) - 1), max_size=10)))
    events = [(times[a], times[b]) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    return pd.Series(flags, index=times), events


@given(days(), st.integers(0, 10), st.integers(0, 10))
def test_agrees_with_a_loop_over_alerts_and_events(case, merge: int, grace: int) -> None:
    flags, events = case
    merge_time, grace_time = merge * MINUTE, grace * MINUTE
    alerts: list[list[pd.Timestamp]] = []
    for moment in flags.index[flags]:
        if alerts and moment - alerts[-1][1] <= merge_time:
            alerts[-1][1] = moment
        else:
            alerts.append([moment, moment])
    found: dict[int, pd.Timedelta] = {}
    false_alarms = 0
    for start, _ in alerts:
        begun = [number for number, event in enumerate(events) if event[0] <= start]
        if begun and start <= events[begun[-1]][1] + grace_time:
            found.setdefault(begun[-1], start - events[begun[-1]][0])
        else:
            false_alarms += 1
    scores = event_scores(flags, events, merge=merge_time, grace=grace_time)
    assert (scores.n_alerts, scores.false_alarms) == (len(alerts), false_alarms)
    assert scores.delays.dropna().to_dict() == found


@given(days())
def test_ratios_stay_in_bounds_and_delays_within_events(case) -> None:
    flags, events = case
    scores = event_scores(flags, events)
    for ratio in (scores.recall, scores.precision, scores.f1):
        assert np.isnan(ratio) or 0 <= ratio <= 1
    lengths = pd.Series([end - start for start, end in events], dtype="timedelta64[ns]")
    delays = scores.delays.dropna()
    assert (delays >= pd.Timedelta(0)).all()
    assert (delays <= lengths[delays.index]).all()


@given(days(), st.integers(-500_000, 500_000))
def test_a_shift_in_time_changes_nothing(case, minutes: int) -> None:
    flags, events = case
    shift = minutes * MINUTE
    moved = event_scores(
        flags.set_axis(flags.index + shift), [(start + shift, end + shift) for start, end in events]
    )
    # As text, since NaT equals nothing, itself included.
    assert str(moved.as_dict()) == str(event_scores(flags, events).as_dict())


@given(days())
def test_firing_at_the_start_of_every_event_and_never_else_is_perfect(case) -> None:
    flags, events = case
    perfect = pd.Series(flags.index.isin([start for start, _ in events]), index=flags.index)
    scores = event_scores(perfect, events, merge="0min")
    if events:
        assert (scores.recall, scores.precision, scores.f1) == (1.0, 1.0, 1.0)
        assert scores.median_delay == pd.Timedelta(0)
    assert scores.false_alarms == 0


@given(days(), st.integers(0, 30), st.integers(0, 30))
def test_more_grace_never_loses_a_hit(case, less: int, more: int) -> None:
    flags, events = case
    less, more = sorted((less, more))
    short, long = (event_scores(flags, events, grace=each * MINUTE) for each in (less, more))
    assert short.tp_events <= long.tp_events
    assert short.false_alarms >= long.false_alarms


@given(st.lists(days(), min_size=1, max_size=4))
def test_pooled_counts_are_sums(cases) -> None:
    scores = [event_scores(flags, events) for flags, events in cases]
    pooled = pool_scores(scores)
    for count in ("tp_events", "n_events", "false_alarms", "repeats", "n_alerts"):
        assert getattr(pooled, count) == sum(getattr(each, count) for each in scores)
    assert pooled.observed == sum((each.observed for each in scores), pd.Timedelta(0))


@settings(deadline=None)
@given(days())
def test_alerts_of_alerts_are_the_same_alerts(case) -> None:
    flags, _ = case
    alerts = alert_intervals(flags)
    pd.testing.assert_frame_equal(merge_intervals(alerts, gap="10min"), alerts)


# --- speed ------------------------------------------------------------------------------------


def test_seventy_cases_of_four_weeks_take_well_under_a_second(rng: np.random.Generator) -> None:
    times = pd.date_range("2024-05-01", periods=40_320, freq="1min", tz="UTC")
    cases = [pd.Series(rng.random(len(times)) < 0.01, index=times) for _ in range(70)]
    events = [(times[a], times[a + 60]) for a in range(1000, 40_000, 1000)]
    start = time.perf_counter()
    pool_scores([event_scores(flags, events) for flags in cases])
    assert time.perf_counter() - start < 1.0

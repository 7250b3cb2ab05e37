"""How each measure misleads: one case each, as the lessons show them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from course.scoring import (
    average_precision,
    best_f1,
    event_scores,
    nab_score,
    point_adjust,
    point_scores,
    range_precision,
    range_recall,
    vus_pr,
)


def labels_for(times: pd.DatetimeIndex, *ranges: tuple[int, int]) -> pd.Series:
    labels = pd.Series(False, index=times)
    for first, last in ranges:
        labels.iloc[first : last + 1] = True
    return labels


def test_an_alarm_that_is_always_on_has_full_recall_by_sample_and_by_range_but_not_by_event(
    day: pd.DatetimeIndex,
) -> None:
    labels = labels_for(day, (600, 659))
    always = pd.Series(True, index=day)
    assert point_scores(labels, always).recall == 1.0
    assert range_recall(labels, always) == 1.0
    assert event_scores(always, [(day[600], day[659])]).recall == 0.0


def test_an_alarm_that_starts_before_the_event_is_praised_by_ranges_and_missed_by_starts(
    day: pd.DatetimeIndex,
) -> None:
    """By starts it may even be unfair: an early warning of a real precursor is no hit either."""
    labels = labels_for(day, (600, 659))
    early = labels_for(day, (590, 659))
    assert range_recall(labels, early) == 1.0
    assert range_precision(labels, early) > 0.85
    assert event_scores(early, [(day[600], day[659])]).f1 == 0.0


def test_one_long_event_dominates_scores_by_sample(day: pd.DatetimeIndex) -> None:
    ranges = [(100, 699), (800, 804), (900, 904), (1000, 1004)]
    labels, flags = labels_for(day, *ranges), labels_for(day, (100, 699))
    assert point_scores(labels, flags).f1 > 0.98
    assert event_scores(flags, [(day[a], day[b]) for a, b in ranges]).recall == 0.25
    assert average_precision(labels, flags.astype(float)) > 0.97


def test_event_scores_do_not_see_how_late_within_a_long_event(day: pd.DatetimeIndex) -> None:
    """The delay must be read beside the F1."""
    scores = event_scores(labels_for(day, (699, 699)), [(day[100], day[699])])
    assert scores.f1 == 1.0
    assert scores.median_delay == pd.Timedelta("599min")


def test_the_median_delay_looks_better_when_hard_events_are_missed(day: pd.DatetimeIndex) -> None:
    events = [(day[100], day[199]), (day[400], day[499])]
    both = event_scores(labels_for(day, (101, 101), (480, 480)), events)
    easy = event_scores(labels_for(day, (101, 101)), events)
    assert easy.median_delay < both.median_delay
    assert easy.recall < both.recall


def test_a_wide_merge_hides_pages_and_can_swallow_a_detection(day: pd.DatetimeIndex) -> None:
    flags = labels_for(day, (580, 580), (605, 605))
    events = [(day[600], day[659])]
    assert event_scores(flags, events, merge="10min").recall == 1.0
    wide = event_scores(flags, events, merge="30min")
    assert (wide.n_alerts, wide.recall) == (1, 0.0)


def test_a_detector_that_flickers_within_an_event_costs_nothing_in_event_precision(
    day: pd.DatetimeIndex,
) -> None:
    """Repeats show in alerts a day only."""
    flickering = pd.Series(np.arange(1440) % 12 == 0, index=day) & labels_for(day, (600, 899))
    scores = event_scores(flickering, [(day[600], day[899])], merge="10min")
    assert scores.precision == 1.0
    assert scores.alerts_per_day == 25.0


def test_point_adjustment_turns_one_lucky_sample_into_a_whole_event(day: pd.DatetimeIndex) -> None:
    labels, lucky = labels_for(day, (600, 899)), labels_for(day, (899, 899))
    assert point_scores(labels, lucky).recall < 0.01
    assert point_scores(labels, point_adjust(labels, lucky)).recall == 1.0


def test_best_f1_of_noise_is_never_below_flagging_everything(rng: np.random.Generator) -> None:
    labels = np.arange(1000) < 400
    assert best_f1(labels, rng.random(1000)).f1 >= 2 * 0.4 / 1.4


def test_existence_alone_makes_range_recall_easy(day: pd.DatetimeIndex) -> None:
    labels, sparse = labels_for(day, (600, 899)), labels_for(day, (899, 899))
    assert range_recall(labels, sparse, alpha=1.0) == 1.0
    assert range_recall(labels, sparse, alpha=0.0) < 0.01


def test_average_precision_is_no_help_with_a_threshold(day: pd.DatetimeIndex) -> None:
    """A score that ranks well within each day but drifts has no threshold that serves for both."""
    one_day = labels_for(day, (600, 659)).to_numpy()
    labels = np.r_[one_day, one_day]
    drifting = np.r_[one_day.astype(float), one_day + 10.0]
    assert average_precision(one_day, one_day.astype(float)) == 1.0
    assert average_precision(labels, drifting) < 0.55


def test_vus_pr_pays_for_a_score_after_the_event_is_over(day: pd.DatetimeIndex) -> None:
    labels = labels_for(day, (600, 619)).astype(float)
    over = labels_for(day, (620, 629)).astype(float)
    assert vus_pr(labels, over, 0) < 0.02
    assert vus_pr(labels, over, 40) > 0.2


def test_nab_windows_reward_an_alarm_hours_before_the_label() -> None:
    """NAB's windows are drawn around the label, so firing by chance near it earns most."""
    times = pd.date_range("2024-05-01", periods=4000, freq="5min", tz="UTC")
    flags = pd.Series(False, index=times)
    flags.iloc[1900] = True  # the label is at 2000, the window reaches from 1800 to 2200
    assert nab_score(flags, [(times[1800], times[2200])]).score > 90


def test_nab_charges_for_every_sample_so_a_long_false_alarm_costs_like_many() -> None:
    times = pd.date_range("2024-05-01", periods=4000, freq="5min", tz="UTC")
    one, long = pd.Series(False, index=times), pd.Series(False, index=times)
    one.iloc[1000] = True
    long.iloc[1000:1040] = True
    assert nab_score(long, []).raw == 40 * nab_score(one, []).raw

"""NAB's score, by hand, beside a loop written from the paper, and by its own test's value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.scoring import (
    NAB_PROFILES,
    Weights,
    nab_score,
    nab_sweep,
    pool_nab,
    windows_to_events,
)

PLAIN = Weights(tp=1.0, fp=1.0, fn=1.0)


def series(n: int, *flagged: int) -> pd.Series:
    times = pd.date_range("2024-05-01", periods=n, freq="5min", tz="UTC")
    flags = pd.Series(False, index=times)
    flags.iloc[list(flagged)] = True
    return flags


def spans(flags: pd.Series, *windows: tuple[int, int]) -> list[tuple[Any, Any]]:
    return [(flags.index[a], flags.index[b]) for a, b in windows]


def sigma(x: float) -> float:
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def test_the_value_of_nabs_own_test() -> None:
    """`testScoringAllMetrics`: a hit at the left edge, one after it, a false positive, a miss."""
    flags = series(100, 30, 31, 37)
    result = nab_score(flags, spans(flags, (30, 34), (65, 69)), profile=PLAIN, probation=0)
    assert result.raw == pytest.approx(-0.9540, abs=5e-5)
    assert (result.windows, result.detected, result.false_positives) == (2, 1, 1)


def test_the_left_edge_earns_everything_and_the_right_edge_almost_nothing() -> None:
    flags = series(1000, 450)
    windows = spans(flags, (450, 549))
    assert nab_score(flags, windows, profile=PLAIN).raw == pytest.approx(1.0)
    assert nab_score(series(1000, 549), windows, profile=PLAIN).raw == pytest.approx(
        sigma(-1 / 100) / sigma(-1)
    )


@pytest.mark.parametrize(
    ("sample", "cost"), [(550, sigma(1 / 99)), (599, sigma(50 / 99)), (900, -1.0), (300, -1.0)]
)
def test_a_false_positive_costs_by_its_distance_behind_a_window(sample: int, cost: float) -> None:
    flags = series(1000, sample)
    result = nab_score(flags, spans(flags, (450, 549)), profile=PLAIN)
    assert result.raw == pytest.approx(cost - 1)


def test_probation_is_15_per_cent_and_at_most_750_samples() -> None:
    assert nab_score(series(1000, 149), []).false_positives == 0
    assert nab_score(series(1000, 150), []).false_positives == 1
    assert nab_score(series(20_000, 749), []).false_positives == 0
    assert nab_score(series(20_000, 750), []).false_positives == 1


def test_profiles_weigh_as_published() -> None:
    assert NAB_PROFILES["standard"] == (1.0, 0.11, 1.0)
    assert NAB_PROFILES["reward_low_FP_rate"] == (1.0, 0.22, 1.0)
    assert NAB_PROFILES["reward_low_FN_rate"] == (1.0, 0.11, 2.0)


@pytest.mark.parametrize("profile", list(NAB_PROFILES))
def test_null_is_0_and_perfect_is_100(profile: Any) -> None:
    silent = series(1000)
    windows = spans(silent, (300, 350), (700, 780))
    assert nab_score(silent, windows, profile=profile).score == 0.0
    assert nab_score(series(1000, 300, 700), windows, profile=profile).score == pytest.approx(100)


def test_a_corpus_is_normalised_as_one() -> None:
    found, missed, quiet = series(1000, 300), series(1000), series(1000, 400)
    windows = spans(found, (300, 350))
    parts = [nab_score(found, windows), nab_score(missed, windows), nab_score(quiet, [])]
    assert np.isnan(parts[2].score)
    # raw 1 - 1 - 0.11 between null -2 and perfect 2
    assert pool_nab(parts).score == pytest.approx(100 * (2 - 0.11) / 4)


def test_windows_read_from_nabs_labels() -> None:
    events = windows_to_events([["2014-04-10 07:15:00.000000", "2014-04-11 16:45:00.000000"]])
    assert events["start"][0] == pd.Timestamp("2014-04-10 07:15", tz="UTC")
    assert windows_to_events([]).empty


def test_two_samples_at_one_time_are_scored_one_by_one() -> None:
    flags = series(100, 50, 51)
    index = flags.index.to_series()
    index.iloc[51] = index.iloc[50]
    assert nab_score(flags.set_axis(pd.DatetimeIndex(index)), []).false_positives == 2


# --- against a loop ---------------------------------------------------------------------------


@st.composite
def scored(draw: st.DrawFn) -> tuple[pd.Series, list[tuple[int, int]]]:
    n = draw(st.integers(4, 60))
    cuts = sorted(draw(st.sets(st.integers(0, n - 1), max_size=6)))
    windows = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if b > a]
    levels = draw(st.lists(st.integers(0, 5), min_size=n, max_size=n))
    return series(n).astype(float) + np.array(levels) / 4, windows


def by_loop(flags: pd.Series, windows: list[tuple[int, int]], weights: Weights) -> float:
    probation = min(math.floor(0.15 * len(flags)), 750)
    total, previous = 0.0, None
    parts: dict[tuple[int, int], float] = {}
    for i, fired in enumerate(flags):
        inside = [window for window in windows if window[0] <= i <= window[1]]
        if inside:
            (left, right) = inside[0]
            if i >= probation:
                parts.setdefault((left, right), -weights.fn)
                if fired:
                    earned = weights.tp * sigma(-(right - i + 1) / (right - left + 1)) / sigma(-1)
                    parts[left, right] = max(parts[left, right], earned)
            if i == right:
                previous = (left, right)
        elif fired and i >= probation:
            distance = (i - previous[1]) / (previous[1] - previous[0]) if previous else 99.0
            total += weights.fp * sigma(distance)
    return total + sum(parts.values())


@settings(deadline=None)
@given(scored(), st.sampled_from(list(NAB_PROFILES)))
def test_agrees_with_a_loop_over_samples(case, profile) -> None:
    scores, windows = case
    flags = scores >= 0.75
    result = nab_score(flags, spans(flags, *windows), profile=profile)
    assert result.raw == pytest.approx(by_loop(flags, windows, NAB_PROFILES[profile]), abs=1e-9)


@settings(deadline=None)
@given(st.lists(scored(), min_size=1, max_size=3), st.sampled_from(list(NAB_PROFILES)))
def test_the_sweep_finds_the_best_threshold_over_all_series(cases, profile) -> None:
    every = [scores for scores, _ in cases]
    windows = [spans(scores, *limits) for scores, limits in cases]
    sweep = nab_sweep(every, windows, profile=profile)

    def at(threshold: float) -> float:
        parts = [
            nab_score(scores >= threshold, limits, profile=profile)
            for scores, limits in zip(every, windows, strict=True)
        ]
        return pool_nab(parts).raw

    thresholds = [np.inf, *np.unique(np.concatenate(every))]
    assert sweep.result.raw == pytest.approx(max(map(at, thresholds)), abs=1e-9)
    assert sweep.result.raw == pytest.approx(at(sweep.threshold), abs=1e-9)


# --- bad input --------------------------------------------------------------------------------


def test_bad_input_is_refused_with_a_reason() -> None:
    flags = series(100, 50)
    with pytest.raises(ValueError, match="overlap"):
        nab_score(flags, spans(flags, (10, 30), (20, 40)))
    with pytest.raises(ValueError, match="not sorted"):
        nab_score(flags.iloc[::-1], [])
    with pytest.raises(ValueError, match="DatetimeIndex in UTC"):
        nab_score(flags.tz_localize(None), [])
    with pytest.raises(ValueError, match="no samples"):
        nab_score(flags.iloc[:0], [])
    with pytest.raises(ValueError, match="profile must be one of"):
        nab_score(flags, [], profile="strict")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probation"):
        nab_score(flags, [], probation=15)
    with pytest.raises(ValueError, match="NaN"):
        nab_sweep([flags.astype(float).where(flags)], [[]])
    with pytest.raises(ValueError, match="as many"):
        nab_sweep([flags.astype(float)], [])

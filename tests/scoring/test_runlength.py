"""Average run length of a two-sided CUSUM."""

import numpy as np
import pytest

from course.scoring import average_run_length


def test_constant_excess_alarms_every_third_sample():
    # Sums 1, 2, 3 > 2.5: an alarm with every third sample.
    assert average_run_length(np.full(12, 1.5), k=0.5, h=2.5) == 3.0


def test_both_sides_count_alike():
    z = np.random.default_rng(0).normal(size=20_000)
    assert average_run_length(z, 0.5, 3.0) == average_run_length(-z, 0.5, 3.0)


def test_agrees_with_siegmund_on_independent_samples():
    z = np.random.default_rng(1).normal(size=400_000)
    b = 4 + 1.166
    siegmund = (np.exp(b) - b - 1) / (2 * 0.25) / 2
    assert average_run_length(z, 0.5, 4.0) == pytest.approx(siegmund, rel=0.08)


def test_silence_is_infinite_and_nan_is_refused():
    assert average_run_length(np.zeros(5), 0.5, 1.0) == float("inf")
    with pytest.raises(ValueError, match="1 NaN"):
        average_run_length(np.array([0.0, np.nan]), 0.5, 1.0)

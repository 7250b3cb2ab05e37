"""Average run length of a detector's alarms."""

import numpy as np
import pandas as pd
import pytest

from course.scoring import average_run_length


def test_samples_over_alarms_with_the_unfinished_run():
    alarms = pd.Series([False, True, False, True, False, False, False, False])
    assert average_run_length(alarms) == 4.0


def test_agrees_with_the_rate_of_independent_alarms():
    alarms = np.random.default_rng(0).uniform(size=200_000) < 0.01
    assert average_run_length(alarms) == pytest.approx(100, rel=0.08)


def test_silence_is_infinite():
    assert average_run_length(np.zeros(5, dtype=bool)) == float("inf")


def test_scores_are_refused():
    with pytest.raises(TypeError, match="must be bool.*float64"):
        average_run_length(np.array([0.0, 1.0]))

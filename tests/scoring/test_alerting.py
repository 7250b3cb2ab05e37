"""Measures of alerting against hand-worked cases."""

import numpy as np
import pytest

from course.scoring import adjusted_rand, lost_incidents, pages_per_shift


def test_noise_gathered_into_a_group_costs() -> None:
    incident = [0, 0, 0, 1, 1, -1, -1, -1]
    apart = adjusted_rand(incident, [0, 0, 0, 1, 1, 2, 3, 4])
    together = adjusted_rand(incident, [0, 0, 0, 1, 1, 2, 2, 2])
    assert apart == 1.0
    assert together < 0.7


def test_one_group_and_singletons_are_chance() -> None:
    incident = np.repeat([0, 1, 2], 5)
    assert adjusted_rand(incident, np.zeros(15)) == 0.0
    assert adjusted_rand(incident, np.arange(15)) == 0.0


def test_singletons_lose_nothing_and_one_group_loses_all_but_one() -> None:
    incident = [0, 1, 1, 2, -1]
    assert lost_incidents(incident, range(5)) == []
    assert lost_incidents(incident, [0] * 5) == [0, 2]


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="one label per alert"):
        adjusted_rand([0, 1], [0])
    with pytest.raises(ValueError, match="longer than zero"):
        pages_per_shift(1, "0h")

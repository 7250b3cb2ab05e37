"""Range-AUC-PR and VUS-PR beside the published implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.scoring import average_precision, range_auc_pr, vus_pr

labelled = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40).map(
    lambda rows: (np.array([row[0] for row in rows]), np.array([row[1] / 8 for row in rows]))
)


def test_volumes_agree_with_vus_and_tsb_ad(oracle: dict[str, Any]) -> None:
    labels, scores = oracle["labels"], oracle["scores"]
    for row in oracle["volume"]:
        current = vus_pr(labels, scores, row["window"])
        first = vus_pr(labels, scores, row["window"], version="2022")
        assert current == pytest.approx(row["vus_pr"]["current"], abs=1e-12)
        assert current == pytest.approx(row["vus_pr"]["tsb-ad"], abs=1e-12)
        assert first == pytest.approx(row["vus_pr"]["2022"], abs=1e-12)


def test_areas_agree_with_the_code_of_the_paper(oracle: dict[str, Any]) -> None:
    for row in oracle["volume"]:
        area = range_auc_pr(oracle["labels"], oracle["scores"], row["window"], version="2022")
        assert area == pytest.approx(row["range_auc_pr"]["2022"], abs=1e-12)


def test_the_volume_is_the_mean_of_the_areas(rng: np.random.Generator) -> None:
    labels, scores = np.arange(200) // 20 % 5 == 2, rng.random(200)
    areas = [range_auc_pr(labels, scores, width) for width in range(9)]
    assert vus_pr(labels, scores, 8) == pytest.approx(np.mean(areas))


@given(labelled)
def test_without_a_buffer_and_in_one_range_it_is_average_precision_of_found_ranges(case) -> None:
    labels, scores = case
    single = np.zeros(len(labels), dtype=bool)
    single[len(single) // 2] = True
    assert vus_pr(single, scores, 0) == pytest.approx(average_precision(single, scores))


@settings(deadline=None)
@given(labelled, st.integers(0, 6), st.sampled_from(["current", "2022"]))
def test_bounds_and_scale(case, window: int, version) -> None:
    labels, scores = case
    value = vus_pr(labels, scores, window, version=version)
    assert np.isnan(value) if not labels.any() else 0 <= value <= 1 + 1e-12
    np.testing.assert_equal(vus_pr(labels, 32 * scores - 5, window, version=version), value)


def test_a_perfect_score_is_one_now_and_was_less_in_2022() -> None:
    labels = np.zeros(300)
    labels[100:120] = 1
    assert vus_pr(labels, labels, 10) == pytest.approx(1.0)
    assert vus_pr(labels, labels, 10, version="2022") < 0.97


def test_a_constant_score_is_worth_the_base_rate_now_and_was_worth_half_in_2022() -> None:
    labels = np.zeros(1000)
    labels[100:120] = 1
    assert vus_pr(labels, np.zeros(1000), 0) == pytest.approx(0.02)
    assert vus_pr(labels, np.zeros(1000), 0, version="2022") == pytest.approx((1 + 0.02) / 2)


def test_a_slightly_late_score_loses_less_with_a_buffer() -> None:
    labels = np.zeros(300)
    labels[100:120] = 1
    late = np.roll(labels, 4)
    assert vus_pr(labels, late, 16) > vus_pr(labels, late, 0) + 0.05


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"window": -1}, "window"),
        ({"window": 2.5}, "window"),
        ({"window": 2, "thresholds": 1}, "thresholds"),
        ({"window": 2, "version": "new"}, "version"),
    ],
)
def test_bad_options_are_refused(how: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vus_pr([0, 1, 0], [0.1, 0.9, 0.2], **how)


def test_missing_scores_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        vus_pr([0, 1, 0], [0.1, np.nan, 0.2], 2)

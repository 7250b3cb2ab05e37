"""Groups of alerts: what is lost, what is split, and how many pages are left."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring import grouping_scores, pages_per_shift

ALERTS = st.lists(
    st.tuples(st.sampled_from(["db", "pay", "cart", None]), st.integers(0, 3)), min_size=1,
    max_size=30,
)  # fmt: skip
BEGIN = pd.Timestamp("2026-03-02T08:00Z")


@pytest.mark.parametrize(
    ("incidents", "groups", "lost", "split", "noise"),
    [
        (["db", "db", "pay"], [1, 1, 2], (), (), 0),
        (["db", "db", "pay"], [1, 1, 1], ("pay",), (), 0),
        (["db", "pay"], [1, 1], ("pay",), (), 0),  # as many: the first alert is on the page
        (["pay", "db"], [1, 1], ("db",), (), 0),
        (["db", "db", "pay", "pay"], [1, 2, 3, 3], (), ("db",), 0),
        ([None, None, "db"], [1, 1, 1], ("db",), (), 1),  # drowned in noise
        ([None, "db", "db"], [1, 1, 1], (), (), 0),
        ([None, None], [1, 2], (), (), 2),
    ],
)
def test_hand_worked_cases(incidents, groups, lost, split, noise) -> None:
    scores = grouping_scores(incidents, groups)
    assert (scores.lost, scores.split, scores.noise_pages) == (lost, split, noise)


@given(ALERTS)
def test_one_group_an_alert_loses_nothing_and_saves_nothing(alerts) -> None:
    incidents = [incident for incident, _ in alerts]
    scores = grouping_scores(incidents, range(len(incidents)))
    assert scores.lost == ()
    assert scores.compression == 0


@given(ALERTS)
def test_the_truth_is_perfect(alerts) -> None:
    incidents = [incident for incident, _ in alerts]
    truth = [name if name else f"noise {i}" for i, name in enumerate(incidents)]
    scores = grouping_scores(incidents, truth)
    assert scores.adjusted_rand == pytest.approx(1)
    assert (scores.lost, scores.split) == ((), ())


@given(ALERTS)
def test_every_incident_is_lost_or_pages_and_groups_add_up(alerts) -> None:
    incidents, groups = zip(*alerts, strict=True)
    scores = grouping_scores(incidents, groups)
    paged = {name for name in incidents if name} - set(scores.lost)
    assert set(scores.split) <= paged
    assert len(paged) + scores.noise_pages <= scores.groups == len(set(groups))
    assert 0 <= scores.compression < 1


def test_shifts_without_a_page_count_and_a_last_part_of_a_shift_does_not() -> None:
    times = [BEGIN - pd.Timedelta("1s"), BEGIN, BEGIN + pd.Timedelta("12h"),
             BEGIN + pd.Timedelta("13h"), BEGIN + pd.Timedelta("37h")]  # fmt: skip
    pages = pages_per_shift(pd.DatetimeIndex(times), BEGIN, BEGIN + pd.Timedelta("40h"))
    assert pages.tolist() == [1, 2, 0]
    assert pages.index[1] == BEGIN + pd.Timedelta("12h")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grouping_scores([], []), "no alerts"),
        (lambda: grouping_scores(["a"], [1, 2]), "1 alerts have"),
        (lambda: grouping_scores(["a"], [None]), "alert 0 has no group"),
        (lambda: pages_per_shift(pd.DatetimeIndex([BEGIN]), BEGIN, BEGIN), "no whole shift"),
        (
            lambda: pages_per_shift(
                pd.DatetimeIndex(["2026-03-02"]), BEGIN, BEGIN + pd.Timedelta("1D")
            ),
            "no time zone",
        ),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

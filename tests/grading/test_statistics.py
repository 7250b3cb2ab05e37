"""Item statistics by hand-worked cases, and what holds for any class."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.grading import statistics as items
from course.grading.api import Grade, Summary

# Four students, two exercises of 10 and 20 points.
POINTS = {"a": [10.0, 10.0, 5.0, 0.0], "b": [20.0, 0.0, 10.0, 0.0]}
MOST = {"a": 10.0, "b": 20.0}
MESSAGES = [{}, {"b": ["late by 3 s", "late by 5 s"]}, {"a": ["no 1"], "b": ["late by 7 s"]},
            {"a": ["no 2"], "b": ["not written"]}]  # fmt: skip


def test_a_small_class_by_hand() -> None:
    a, b = items.item_statistics(POINTS, MOST, MESSAGES)
    assert (a.exercise, a.n, a.difficulty, a.full, a.zero) == ("a", 4, 0.625, 0.5, 0.25)
    # Shares 1, 1, 0.5, 0: squared distances from the mean sum to 0.6875.
    assert a.deviation == pytest.approx(math.sqrt(0.6875 / 3))
    # With the other exercise as the rest: the products sum to 62.5, squares 68.75 and 275.
    assert a.discrimination == pytest.approx(62.5 / math.sqrt(68.75 * 275))
    assert b.discrimination == a.discrimination
    assert (a.message, a.message_count) == ("no #", 2)
    assert (b.difficulty, b.full, b.zero) == (0.375, 0.25, 0.5)
    assert (b.message, b.message_count) == ("late by # s", 2)


def test_who_lost_nothing_has_no_say_in_the_commonest_message() -> None:
    rows = items.item_statistics({"a": [10.0, 10.0, 0.0]}, MOST,
                                 [{"a": ["x"]}, {"a": ["x"]}, {"a": ["y"]}])  # fmt: skip
    assert (rows[0].message, rows[0].message_count) == ("y", 1)


@pytest.mark.parametrize(
    ("item", "totals", "wanted"),
    [
        ([1, 2, 3], [2, 4, 6], 1.0),
        ([1, 2, 3], [4, 4, 4], -1.0),
        ([0, 1, 0, 1], [0, 1, 1, 2], 0.0),
        ([1, 1, 1], [1, 2, 3], math.nan),
        ([1, 2, 3], [2, 3, 4], math.nan),
        ([1, 2], [2, 4], math.nan),
        ([], [], math.nan),
    ],
)
def test_discrimination(item: list, totals: list, wanted: float) -> None:
    assert items.discrimination(item, totals) == pytest.approx(wanted, abs=1e-9, nan_ok=True)


def test_henrysson_s_formula_agrees() -> None:
    rng = np.random.default_rng(0)
    item = rng.uniform(0, 10, 50)
    total = item + rng.uniform(0, 30, 50)
    r, s_t, s_i = np.corrcoef(item, total)[0, 1], total.std(), item.std()
    corrected = (r * s_t - s_i) / math.sqrt(s_i**2 + s_t**2 - 2 * r * s_i * s_t)
    assert items.discrimination(item, total) == pytest.approx(corrected)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("F1 0.31, 2.5 false alarms", "F1 #, # false alarms"),
        ("-3e-05 is not +7", "# is not #"),
        ("shape (3,) at 12:30:00", "shape (#,) at #"),
        ("two  spaces\n", "two spaces"),
        ("", ""),
    ],
)
def test_numbers_do_not_split_a_message(message: str, wanted: str) -> None:
    assert items.normalise(message) == wanted


def test_an_exercise_without_points_or_students_has_no_statistics() -> None:
    (row,) = items.item_statistics({"a": [0.0]}, {"a": 0.0})
    assert math.isnan(row.difficulty)
    (row,) = items.item_statistics({"a": []}, {"a": 5.0})
    assert (row.n, math.isnan(row.discrimination)) == (0, True)
    assert "-" in items.table([row])


_SHARE = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)


@given(st.integers(1, 30).flatmap(
    lambda n: st.lists(st.lists(_SHARE, min_size=n, max_size=n), min_size=1, max_size=5)),
    st.randoms(use_true_random=False))  # fmt: skip
def test_what_holds_for_any_class(columns: list[list[float]], chance: object) -> None:
    most = {str(i): 5.0 * (i + 1) for i in range(len(columns))}
    points = {name: [share * most[name] for share in column]
              for name, column in zip(most, columns, strict=True)}  # fmt: skip
    rows = items.item_statistics(points, most)
    order = list(range(len(columns[0])))
    chance.shuffle(order)  # type: ignore[attr-defined]
    shuffled = {name: [column[i] for i in order] for name, column in points.items()}
    for row, other in zip(rows, items.item_statistics(shuffled, most), strict=True):
        assert 0.0 <= row.difficulty <= 1.0 + 1e-12
        assert 0.0 <= row.zero + row.full <= 1.0
        assert math.isnan(row.discrimination) or -1.0 <= row.discrimination <= 1.0
        assert other.difficulty == pytest.approx(row.difficulty)
        assert other.discrimination == pytest.approx(row.discrimination, nan_ok=True, abs=1e-6)
        assert (other.full, other.zero) == (row.full, row.zero)
    if len(columns) == 1:
        assert math.isnan(rows[0].discrimination)


def test_the_distribution_counts_everybody() -> None:
    text = items.distribution([0.0, 30.0, 30.0, 15.0], 30.0)
    assert text.startswith("4 submissions, 30 points: mean 18.8")
    assert sum(int(line.split()[3]) for line in text.splitlines()[1:]) == 4


def test_a_formula_does_not_reach_a_spreadsheet(tmp_path: Path) -> None:
    items.write_csv(tmp_path / "a.csv", ["x", "y"], [["=1+1", 0.5], ["a,b", math.nan]])
    with (tmp_path / "a.csv").open() as file:
        assert list(csv.reader(file)) == [["x", "y"], ["'=1+1", "0.5"], ["a,b", ""]]


def _summary(n: int) -> Summary:
    grades = [Grade(f"s{i}", {"a": float(i % 11), "b": 0.0}, 30.0) for i in range(n)]
    return Summary("month", grades, MOST, graded=n, files=[Path("grades/month.csv")])


def test_few_students_are_listed_and_many_are_counted() -> None:
    few, many = str(_summary(40)), str(_summary(41))
    assert "s39" in few
    assert "s39" not in many
    assert "41 submissions, 30 points" in many
    for text in (few, many):
        assert "written: grades/month.csv" in text
        assert "discrimination" in text


def test_the_chart_is_a_png_of_a_readable_size(tmp_path: Path) -> None:
    from matplotlib.image import imread

    shares = {name: [p / MOST[name] for p in column] for name, column in POINTS.items()}
    rows = items.item_statistics(POINTS, MOST)
    totals = [sum(row) for row in zip(*POINTS.values(), strict=True)]
    items.write_chart(tmp_path / "a.png", "A month", totals, 30.0, shares, rows)
    height, width, _ = imread(tmp_path / "a.png").shape
    assert width >= 1200
    assert height >= 400

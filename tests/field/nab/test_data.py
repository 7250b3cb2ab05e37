"""NAB's files are read as they are, or refused by name and line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from course.field import nab
from course.field.nab.data import make_series, probation_rows, read_series


def write(folder: Path, text: str) -> Path:
    file = folder / "series.csv"
    file.write_text(text, "utf-8")
    return file


def test_times_are_utc_sorted_and_without_duplicates(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "timestamp,value\n2014-01-01 00:10:00,3\n2014-01-01 00:00:00,1\n2014-01-01 00:00:00,2\n",
    )
    series = read_series(file)
    assert str(series.index.tz) == "UTC"
    assert series.tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,value\n2014-01-01,1\n", r"columns \['time', 'value'\]"),
        ("timestamp,value\n2014-01-01,1\nyesterday,2\n", "line 3"),
        ("timestamp,value\n2014-01-01,\n", "line 2"),
        ("timestamp,value\n2014-01-01,inf\n", "line 2"),
        ("timestamp,value\n", "no rows"),
        ("", "not a CSV table"),
        ('timestamp,value\n"2014', "not a CSV table"),
    ],
)
def test_a_corrupt_file_is_refused_by_name_and_place(
    tmp_path: Path, text: str, message: str
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(nab.NabFormatError, match=message) as error:
        read_series(file)
    assert str(file) in str(error.value)


def test_probation_is_15_percent_but_at_most_750_rows() -> None:
    assert [probation_rows(n) for n in (100, 4032, 5000, 22695)] == [15, 604, 750, 750]


def test_a_series_knows_where_scoring_starts() -> None:
    values = pd.Series(0.0, index=pd.date_range("2014-01-01", periods=100, freq="5min", tz="UTC"))
    series = make_series("folder/a.csv", values, [("2014-01-01 04:00", "2014-01-01 05:00")])
    assert series.probation_end == values.index[15]
    assert series.short == "a"


def test_the_pinned_selection_and_what_it_lacks(nab_data: None) -> None:
    assert len(nab.load("aws")) == 12
    assert len(nab.load("known_cause")) == 5
    assert [name.split("/")[1] for name in nab.missing("known_cause")] == [
        "ambient_temperature_system_failure.csv",
        "cpu_utilization_asg_misconfiguration.csv",
    ]
    assert len(nab.missing("aws")) == 5


def test_an_unknown_group_is_an_error_that_lists_the_groups() -> None:
    with pytest.raises(ValueError, match="aws, known_cause"):
        nab.load("AWS")

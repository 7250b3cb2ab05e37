"""Alert lines of a supercomputer, on lines written by hand and on those of Loghub."""

from collections.abc import Callable

import pandas as pd
import pytest

from course.field import bgl
from course.field.bgl.__main__ import last_one, main

LINES = pd.DataFrame(
    [
        ("-", "100", "R01-M0-N1-C:J02-U01", "INFO"),
        ("KERNSTOR", "130", "R02-M1-N1-C:J02-U01", "FATAL"),
        ("KERNSTOR", "120", "R01-M0-N1-C:J02-U01", "FATAL"),
        ("KERNSTOR", "400", "R01-M0-N9-C:J02-U01", "FATAL"),
        ("APPREAD", "400", "UNKNOWN", "FATAL"),
    ],
    columns=["Label", "Timestamp", "Node", "Level"],
).assign(Component="KERNEL")


def test_lines_without_a_category_are_no_alerts_and_the_rest_is_sorted() -> None:
    alerts = bgl.read_alerts(LINES)
    assert alerts["alertname"].tolist() == ["KERNSTOR", "KERNSTOR", "KERNSTOR", "APPREAD"]
    assert alerts["start"].is_monotonic_increasing
    assert (alerts["end"] - alerts["start"] == pd.Timedelta("1s")).all()


def test_places_from_the_node_to_the_machine() -> None:
    assert bgl.read_alerts(LINES, "midplane")["service"].tolist() == [
        "R01-M0",
        "R02-M1",
        "R01-M0",
        "UNKNOWN",
    ]
    assert set(bgl.read_alerts(LINES, "machine")["service"]) == {""}
    with pytest.raises(ValueError, match="no place 'shelf'; there are: node, midplane"):
        bgl.read_alerts(LINES, "shelf")


def test_the_coarser_the_place_and_the_longer_the_hold_the_fewer_notifications() -> None:
    counts = bgl.notifications(last_one, ["5s", "5min"], table=LINES)
    assert counts.loc["5s"].tolist() == [4, 4, 4]
    assert counts.loc["5min"].tolist() == [4, 3, 2]


def test_loghubs_lines_hold_143_alerts(public_data: Callable[[str], None]) -> None:
    public_data("loghub")
    alerts = bgl.load_alerts()
    assert len(alerts) == 143
    assert alerts["alertname"].value_counts().iloc[0] == 60


def test_the_command_prints_the_study(
    public_data: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    public_data("loghub")
    assert main([]) == 0
    assert "143 of 2000" in capsys.readouterr().out

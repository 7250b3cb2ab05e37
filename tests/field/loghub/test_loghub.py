"""The field study on Loghub: reading, the simple parsers, drain3, and the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest

from course.field import loghub
from course.field.loghub.__main__ import main
from course.field.loghub.data import read_log
from course.scoring import parsing_scores

matplotlib.use("agg")

LINES = [
    "connection from 192.0.2.1 closed",
    "connection from 192.0.2.2 closed",
    "disk sda1 at 95 %",
    "disk sdb2 at 7 %",
]
HEAD = "LineId,Content,EventId,EventTemplate\n"


@pytest.fixture(scope="session")
def logs(public_data: Callable[[str], None]) -> list[loghub.LabelledLog]:
    public_data("loghub")
    return [loghub.load(system) for system in loghub.SYSTEMS]


def test_every_system_has_2000_labelled_lines(logs: list[loghub.LabelledLog]) -> None:
    for log in logs:
        assert len(log.lines) == len(log.statements) == 2000
        assert set(log.statements) == set(log.texts)
    assert {log.system: len(log.texts) for log in logs} == {
        "Apache": 6, "BGL": 120, "HDFS": 14, "Hadoop": 114, "OpenSSH": 27, "OpenStack": 43,
        "Zookeeper": 50,
    }  # fmt: skip


def test_words_that_look_like_numbers_or_gaps_stay_text(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text(HEAD + "1,NA,E1,NA\n2,007,E2,<*>\n3,nan,E3,nan\n", encoding="utf-8")
    assert read_log("Odd", file).lines == ["NA", "007", "nan"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no CSV table|not a CSV table"),
        ("LineId,Content\n1,a\n", "no column 'EventId'"),
        (HEAD, "no lines"),
        (HEAD + "1,a,E1,a\n2,b,,b\n", "line 3: no EventId"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(loghub.LoghubFormatError, match=message):
        read_log("Odd", file)


def test_an_unknown_system_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no system 'Linux'; there are: Apache"):
        loghub.load("Linux")


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("every text", [0, 1, 2, 3]),
        ("without numbers", [0, 0, 1, 2]),
        ("without words that hold digits", [0, 0, 1, 1]),
        ("first word and length", [0, 0, 1, 1]),
    ],
)
def test_simple_parsers(name: str, groups: list[int]) -> None:
    assert parsing_scores(groups, loghub.SIMPLE[name](LINES)).ga == 1


def test_an_empty_line_is_a_line() -> None:
    for parser in loghub.SIMPLE.values():
        assert len(parser(["", "a"])) == 2


def test_drain3_with_masks_groups_what_differs_in_parameters() -> None:
    found = loghub.drain3(LINES * 3, masks=[(r"\d+(\.\d+){3}", "IP"), (r"\bsd[a-z]\d\b", "DISK")])
    assert parsing_scores([0, 0, 1, 1] * 3, found).ga == 1


def test_the_table_holds_yours_the_simple_ones_and_the_published(
    logs: list[loghub.LabelledLog],
) -> None:
    table = loghub.study(lambda lines: lines, logs=logs)
    assert (table.loc[(slice(None), "yours"), "ga"].to_numpy() ==
            table.loc[(slice(None), "every text"), "ga"].to_numpy()).all()  # fmt: skip
    assert table.loc[("HDFS", "Drain, published"), "ga"] == 0.9975
    means = table.loc["mean", "ga"]
    assert means["without words that hold digits"] == pytest.approx(0.836, abs=5e-4)
    assert means["Drain, published"] == pytest.approx(0.9135, abs=5e-4)
    loghub.plot_study(table)


def test_drain3_is_where_it_was_measured(logs: list[loghub.LabelledLog]) -> None:
    """Over seven systems drain3 at its own settings hardly beats one regular expression."""
    table = loghub.study({"drain3": loghub.drain3}, logs=logs)
    assert table.loc[("mean", "drain3"), "ga"] == pytest.approx(0.845, abs=0.02)
    assert table.loc[("OpenStack", "drain3"), "ga"] == pytest.approx(0.31, abs=0.05)


def test_a_parser_that_loses_lines_is_told_so(logs: list[loghub.LabelledLog]) -> None:
    with pytest.raises(ValueError, match="'yours' on Apache: 2000 lines have a statement and 1999"):
        loghub.study(lambda lines: lines[1:], logs=logs[:1])


def test_the_command_prints_the_study_and_takes_no_arguments(
    logs: list[loghub.LabelledLog], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert "drain3, four masks" in capsys.readouterr().out
    assert main(["x"]) == 2

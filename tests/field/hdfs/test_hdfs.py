"""The field study on HDFS sessions: reading, the trivial detectors, and the natural base rate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.field import hdfs
from course.field.hdfs.__main__ import main
from course.field.hdfs.data import read_sessions

matplotlib.use("agg")

TRAIN = [(1, 2, 3), (1, 3, 2), (1, 2, 2, 3)]


@pytest.fixture(scope="session")
def sessions(public_data: Callable[[str], None]) -> hdfs.HdfsSessions:
    public_data("hdfs")
    return hdfs.load()


def test_sessions_are_those_that_the_card_describes(sessions: hdfs.HdfsSessions) -> None:
    assert (len(sessions.train), len(sessions.normal), len(sessions.abnormal)) == (
        3400,
        1455,
        16838,
    )
    normal = {tuple(sorted(session)) for session in (*sessions.train, *sessions.normal)}
    assert len(normal) == 62
    assert normal.isdisjoint(tuple(sorted(session)) for session in sessions.abnormal)


@pytest.mark.parametrize(
    ("name", "flagged", "passed"),
    [
        ("length outside the range", [(1, 2), (1, 2, 3, 1, 2)], [(9, 9, 9)]),
        ("unseen statement", [(1, 4)], [(3, 3, 3, 3, 3)]),
        ("unseen pair of statements", [(2, 1)], [(1, 2, 2, 2), (1,)]),
        ("unseen multiset of statements", [(1, 2), (1, 1, 2, 3)], [(3, 2, 1), (2, 1, 3, 2)]),
        ("unseen sequence", [(3, 2, 1)], TRAIN),
    ],
)
def test_trivial_detectors(name: str, flagged: list, passed: list) -> None:
    flags = hdfs.TRIVIAL[name](TRAIN)
    assert all(flags(session) for session in flagged)
    assert not any(flags(session) for session in passed)


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6).map(tuple), min_size=1))
def test_nothing_that_was_trained_on_is_flagged(train: list) -> None:
    for fit in hdfs.TRIVIAL.values():
        flags = fit(train)
        assert not any(flags(session) for session in train)


def test_the_table_is_at_the_natural_base_rate(sessions: hdfs.HdfsSessions) -> None:
    table = hdfs.study(lambda train: lambda session: True, sessions=sessions)
    assert abs(hdfs.BASE_RATE - 0.029) < 5e-4
    assert table.loc["yours", "precision"] == pytest.approx(hdfs.BASE_RATE)
    bags = table.loc["unseen multiset of statements"]
    assert bags["recall"] == 1
    assert bags["false_positive_rate"] == pytest.approx(10 / 1455)
    assert bags["f1"] == pytest.approx(0.8977, abs=5e-4)
    assert table.loc["unseen statement", "f1"] == pytest.approx(0.639, abs=5e-4)
    hdfs.plot_study(table)


def test_most_test_sessions_stand_in_the_training_set(sessions: hdfs.HdfsSessions) -> None:
    shared = hdfs.shared(sessions)
    assert shared["as a sequence"] == pytest.approx(0.87, abs=0.01)
    assert shared["as a multiset"] == pytest.approx(0.993, abs=0.001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no sessions"),
        ("1 2\nx 3\n", "line 2: 'x 3' is no list"),
        ("1\n\n2\n", "line 2 is empty"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "sessions"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(hdfs.HdfsFormatError, match=message):
        read_sessions(file)


def test_the_command_prints_the_study(
    sessions: hdfs.HdfsSessions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert "unseen multiset" in capsys.readouterr().out
    assert main(["x"]) == 2

"""The study's figures are those that are printed and quoted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from course.field import nezha
from course.field.nezha.__main__ import main
from course.telemetry import public

#: AC@1, AC@3, AC@5, Avg@5 by system and tables.
FIGURES = {
    ("Online Boutique", "as stamped"): (0.375, 0.667, 0.792, 0.625),
    ("Online Boutique", "as received"): (0.417, 0.750, 0.833, 0.683),
    ("Online Boutique", "chance"): (0.100, 0.300, 0.500, 0.300),
    ("Train Ticket", "as stamped"): (0.054, 0.127, 0.200, 0.120),
    ("Train Ticket", "as received"): (0.071, 0.107, 0.295, 0.146),
    ("Train Ticket", "chance"): (0.022, 0.065, 0.109, 0.065),
}


def on_the_minute(
    raw: pd.DataFrame, impossible: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A stand-in for a student's function: the minute of receipt, and nothing else."""
    table = nezha.as_received(raw)
    return table.set_axis(table.index.round("1min"), axis=0), {"not_measured": dict(impossible)}


def test_the_figures_are_reproduced(days: list[nezha.NezhaDay]) -> None:
    table, faults = nezha.study(days)
    for place, figures in FIGURES.items():
        row = table.loc[place, ["AC@1", "AC@3", "AC@5", "Avg@5"]]
        assert row.tolist() == pytest.approx(figures, abs=0.0006), place
    assert table["faults"].tolist() == [24] * 3 + [28] * 3
    assert nezha.by_type(faults, "Online Boutique", "as received")["faults"].sum() == 24


def test_a_wrong_clock_makes_a_service_invisible(days: list[nezha.NezhaDay]) -> None:
    _, faults = nezha.study(days[:1])
    own = faults[faults["service"] == "adservice"].set_index("tables")
    assert own.loc["as stamped", "AC@5"].tolist() == [0.0, 0.0]
    assert own.loc["as received", "AC@2"].tolist() == [1.0, 1.0]


def test_at_the_right_times_the_recorded_baseline_is_reached(days: list[nezha.NezhaDay]) -> None:
    recorded = nezha.published_table().loc[("Online Boutique", "robust z, both days")]
    tables, reports = nezha.repair_day(on_the_minute, days[0])
    table, _ = nezha.study(days[:1], {"Online Boutique": tables})
    for column in ("AC@1", "AC@3", "AC@5"):
        assert table.loc[("Online Boutique", "repaired"), column] >= recorded[column]
    found = nezha.findings(reports)
    assert len(found) == 11 and found.loc["adservice", "not_measured"] == 1
    assert "repaired" in nezha.plot_study(table).get_title()
    assert "113 of 1,209" in nezha.plot_clock(days[0].pods["adservice"], "adservice").get_title()


@pytest.mark.parametrize("answer", [None, pd.DataFrame(), (pd.DataFrame(), {}), ()])
def test_what_is_no_table_and_report_is_refused(days: list[nezha.NezhaDay], answer: object) -> None:
    with pytest.raises(ValueError, match="repair must return"):
        nezha.repair_day(lambda raw, impossible: answer, days[0])  # type: ignore[arg-type, return-value]


def test_the_command_prints_damage_figures_and_sources(
    days: list[nezha.NezhaDay], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for text in (
        "200,000,000 s ahead in 1,096 of 1,209 rows",
        "28,710 to 29,303 s in 24 of 28",
        "0 in 919 of 919 rows",
        "0.683",
        "ESEC/FSE 2023",
    ):
        assert text in printed
    assert main(["--surprise"]) == 2


def test_published_figures_carry_their_source() -> None:
    table = nezha.published_table()
    assert table.loc[("Train Ticket", "Nezha"), ["AC@1", "faults"]].tolist() == [0.867, 45]
    assert table["source"].str.len().gt(20).all()


def test_without_data_the_command_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and public.MIRROR in error

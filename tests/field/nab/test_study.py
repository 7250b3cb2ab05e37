"""The study's figures are those that are printed and quoted."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course.field import nab
from course.field.nab.__main__ import main
from course.field.nab.published import RECORDED
from course.field.nab.study import BLOCKS
from course.field.nab.tuning import REFERENCE, chosen
from course.telemetry import public

# (windows found, alerts, hits), by group; 23 windows on AWS and 16 on the known causes.
FIGURES = {
    ("aws", "static 3 sigma"): (19, 335, 46),
    ("aws", "rolling 6 MAD"): (18, 277, 36),
    ("aws", "EWMA 4 sigma"): (18, 236, 40),
    ("known_cause", "static 3 sigma"): (11, 124, 25),
    ("known_cause", "rolling 6 MAD"): (10, 57, 15),
    ("known_cause", "EWMA 4 sigma"): (8, 42, 15),
}


@pytest.fixture
def aws(nab_data: None) -> list[nab.NabSeries]:
    return nab.load("aws")


@pytest.mark.parametrize(("group", "name"), FIGURES)
def test_the_textbook_figures_are_reproduced(nab_data: None, group: str, name: str) -> None:
    every = nab.load(group)
    total = pd.DataFrame([nab.score_series(s, nab.TEXTBOOK[name](s.values)) for s in every]).sum()
    assert tuple(total[["found", "alerts", "hits"]]) == FIGURES[group, name]


@pytest.mark.parametrize("name", nab.TEXTBOOK)
def test_on_aws_they_lie_near_the_figures_recorded_on_all_17_series(
    nab_data: None, name: str
) -> None:
    found, alerts, hits = FIGURES["aws", name]
    recorded = RECORDED["aws", name]
    assert found / 23 == pytest.approx(recorded["recall"], abs=0.06)
    assert hits / alerts == pytest.approx(recorded["precision"], abs=0.04)


def test_the_reference_at_equal_alerts_finds_as_many_windows_with_more_hits(
    aws: list[nab.NabSeries],
) -> None:
    rows = [nab.score_series(s, chosen(REFERENCE, s, "alerts")(s.values)) for s in aws]
    total = pd.DataFrame(rows).sum()
    found, alerts, hits = FIGURES["aws", "EWMA 4 sigma"]
    assert total["alerts"] <= alerts
    assert total["found"] >= found
    assert total["hits"] > hits


def test_the_strict_choice_is_not_better_than_the_ewma(aws: list[nab.NabSeries]) -> None:
    rows = [nab.score_series(s, chosen(REFERENCE, s, "group")(s.values)) for s in aws]
    assert pd.DataFrame(rows)["found"].sum() == 16


def test_a_study_puts_a_function_beside_baselines_reference_and_chance(nab_data: None) -> None:
    table = nab.study(lambda v: v > v.mean(), name="peeks", groups=["known_cause"])
    assert table.loc["known_cause"].index.tolist() == ["peeks", *nab.TEXTBOOK, "reference"]
    assert table.loc[("known_cause", "peeks"), "looks_ahead"]
    assert not table.drop(("known_cause", "peeks"))["looks_ahead"].any()
    assert (table["chance_precision"] < 0.3).all()
    assert "recall" in nab.plot_study(table, group="known_cause").get_xlabel()


def test_a_series_is_drawn_with_its_windows(aws: list[nab.NabSeries]) -> None:
    ax = nab.plot_series(aws[0], nab.TEXTBOOK["EWMA 4 sigma"](aws[0].values))
    assert aws[0].short in ax.get_title()


def test_a_bootstrap_of_equals_finds_no_difference() -> None:
    counts = pd.DataFrame(
        {"found": [1, 2, 0], "events": [2, 2, 1], "hits": [3, 4, 0], "alerts": [9, 8, 5]}
    ).assign(days=1.0)
    interval = nab.bootstrap(counts, counts, draws=100)
    assert (interval[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)


def test_the_scoreboard_is_quoted_in_order_with_its_source() -> None:
    table = nab.published_table()
    assert table.loc["Numenta HTM", "standard"] == "70.5-69.7"
    assert table.loc["Windowed Gaussian", ["standard", "low_fp", "low_fn"]].tolist() == [
        "39.6",
        "20.9",
        "47.4",
    ]
    assert "2018" in nab.SOURCE and table["source"].str.len().gt(0).all()


def test_the_command_prints_tables_verdicts_and_what_is_missing(
    nab_data: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    for text in (*BLOCKS, "12 of 17 series", "5 of 7 series", "rds_cpu_utilization_e47b3b"):
        assert text in printed
    assert "equal alerts: higher precision at no lower recall" in printed
    assert "tuned, group left out: EWMA not beaten" in printed
    assert "optimised on the labels" in printed


def test_without_data_the_command_is_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(public.MIRROR, str(tmp_path))
    assert main([]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and public.MIRROR in error


@pytest.mark.release
def test_the_committed_settings_are_those_that_tuning_chooses(
    nab_data: None, tmp_path: Path
) -> None:
    assert main(["--tune", str(tmp_path / "chosen.json")]) == 0
    committed = json.loads(
        resources.files("course.field.nab").joinpath("chosen.json").read_text("utf-8")
    )
    made = json.loads((tmp_path / "chosen.json").read_text("utf-8"))
    assert made["series"] == committed["series"] and made["group"] == committed["group"]
    for family, thresholds in committed["alerts"].items():
        assert np.allclose(list(made["alerts"][family].values()), list(thresholds.values()))

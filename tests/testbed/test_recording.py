"""The recording of the testbed in `data/`, and the simulator judged against it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from course import telemetry
from course.shop import FAULTS, METRICS
from course.testbed import transfer
from course.testbed.compare import agree, agreement, compare, in_recording, in_simulator
from course.testbed.layout import NODES
from course.testbed.troubles import KINDS

NAME = "testbed-incidents"


@pytest.fixture(scope="module")
def metrics() -> pd.DataFrame:
    return telemetry.load(NAME)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    return telemetry.load(NAME, "truth")


def test_it_lasts_two_hours_and_holds_twelve_faults_of_all_kinds(
    metrics: pd.DataFrame, truth: pd.DataFrame
) -> None:
    assert metrics.index[-1] - metrics.index[0] >= pd.Timedelta("2h")
    assert len(truth) >= 12
    assert set(truth["kind"]) == set(KINDS)
    assert truth["severity"].between(0, 1, inclusive="right").all()
    # Faults do not overlap, and there is quiet time between.
    gaps = truth["start"].iloc[1:].reset_index(drop=True) - truth["end"].iloc[:-1]
    assert gaps.min() > pd.Timedelta("2min")


def test_a_real_prometheus_scraped_it(metrics: pd.DataFrame) -> None:
    card = (telemetry.folder() / f"{NAME}.md").read_text(encoding="utf-8")
    assert "Prometheus 2." in card or "Prometheus 3." in card
    assert "interrupted" not in card
    assert metrics.columns.tolist() == [(s, m) for s in NODES for m in METRICS]
    assert np.isfinite(metrics["gateway", "request_rate"]).all()
    steps = metrics.index.to_series().diff().dropna()
    assert (steps == pd.Timedelta("15s")).all()


def test_the_three_signals_join_by_trace_and_time(metrics: pd.DataFrame) -> None:
    traces, logs = telemetry.load(NAME, "traces"), telemetry.load(NAME, "logs")
    assert {"INFO", "ERROR"} <= set(logs["level"])
    failed = logs[(logs["level"] == "ERROR") & (logs["trace_id"] != "")]
    assert failed["trace_id"].isin(traces["trace_id"]).mean() > 0.5
    for table, column in ((traces, "start"), (logs, "time")):
        margin = pd.Timedelta("1min")
        inside = table[column].between(metrics.index[0] - margin, metrics.index[-1] + margin)
        assert inside.all()


def test_the_simulators_faults_leave_the_signature_of_the_real_ones(
    metrics: pd.DataFrame, truth: pd.DataFrame
) -> None:
    table = compare(metrics, truth)
    shares = agreement(table)
    print(shares.round(2).to_string(index=False))
    assert set(shares["kind"]) == set(truth["kind"]) & set(FAULTS)
    # Nothing moves up on one side and down on the other, and most of what moves moves on both.
    assert shares["opposite"].sum() == 0
    assert shares["root"].min() >= 0.65
    assert table["agree"].mean() >= 0.7


def test_what_a_fault_moves_most_in_the_simulator_moves_in_reality(
    metrics: pd.DataFrame, truth: pd.DataFrame
) -> None:
    recorded = in_recording(metrics, truth)
    missed = []
    for number, fault in enumerate(truth.itertuples()):
        if fault.kind not in FAULTS:
            continue
        root = str(fault.root_service)
        simulated = in_simulator(str(fault.kind), root, float(fault.severity))[root].dropna()
        strongest = str(simulated.abs().idxmax())
        here = float(recorded.loc[number, (root, strongest)])
        if not agree(here, float(simulated[strongest])):
            missed.append((fault.kind, root, strongest, round(here, 2)))
    assert missed == []


def test_a_detector_tuned_on_the_simulator_alone_works_on_the_recording(
    metrics: pd.DataFrame, truth: pd.DataFrame
) -> None:
    setting = transfer.tuned(transfer.simulated(transfer.TUNING))
    simulator = transfer.event_f1(transfer.simulated(transfer.HELD_OUT), setting)
    recording = transfer.event_f1([transfer.slowed(metrics, truth)], setting)
    print(f"event F1: simulator {simulator.f1:.2f}, recording {recording.f1:.2f}")
    assert simulator.f1 > 0.8  # else there would be nothing to lose
    assert recording.f1 >= simulator.f1 - 0.15

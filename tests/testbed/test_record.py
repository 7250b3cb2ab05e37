"""Recording: files that the course's loader reads, whole even after Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from course.errors import CourseError
from course.shop import METRICS
from course.shop.logs import COLUMNS as LOG_COLUMNS
from course.shop.traces import COLUMNS as TRACE_COLUMNS
from course.telemetry import datasets
from course.testbed.layout import NODES
from course.testbed.plan import Step
from course.testbed.record import record
from course.testbed.sampling import kept_logs, kept_traces
from tests.testbed.conftest import eventually, processes_of


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of ten minutes that Ctrl-C ends during its fault."""
    folder = tmp_path_factory.mktemp("record")
    plan = [
        {"at": 1, "action": "surge", "what": "flash_sale", "seconds": 3, "severity": 1.0},
        {"at": 2, "action": "change", "what": "flag", "service": "cart", "detail": "gift-wrap=on"},
        {"at": 4, "action": "fault", "what": "bad_deploy", "service": "storefront",
         "seconds": 60, "severity": 1.0},
    ]  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    log = folder / "out"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "course.cli", "testbed", "record", "--minutes", "10",
             "--plan", str(folder / "plan.json"), "--interval", "0.5", "--rate", "25",
             "--run", str(folder / "run"), str(folder / "data" / "try")],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        eventually(lambda: "bad_deploy" in log.read_text(), 40, "the fault begins")
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(20)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0, log.read_text()
    assert "interrupted; what is done is kept" in log.read_text()
    assert processes_of(folder / "run-record") == []
    return folder / "data"


@pytest.fixture
def data(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COURSE_DATA", str(interrupted))
    return interrupted


def test_the_loader_reads_every_part(data: Path) -> None:
    assert datasets.names() == ["try"]
    assert set(datasets.parts("try")) == {
        "metrics", "raw", "logs", "traces", "events", "alerts", "surges", "truth"
    }  # fmt: skip
    assert set(datasets.verify().values()) == {"ok"}


def test_metrics_have_the_shops_names_every_fifteen_seconds(data: Path) -> None:
    metrics = datasets.load("try")
    assert metrics.columns.tolist() == [(s, m) for s in NODES for m in METRICS]
    assert str(metrics.index.tz) == "UTC"
    assert set(metrics.index.second) <= {0, 15, 30, 45}
    last = metrics.iloc[-1]
    assert last["gateway", "request_rate"] > 5
    assert metrics["storefront", "error_ratio"].max() > 0.04
    assert 0 < last["orders-db", "disk_utilization"] < 1
    assert pd.isna(last["cart", "disk_utilization"])


def test_the_fault_is_in_the_truth_up_to_the_interruption(data: Path) -> None:
    (fault,) = datasets.load("try", "truth").to_dict("records")
    assert (fault["kind"], fault["root_service"]) == ("bad_deploy", "storefront")
    assert 18 < (fault["end"] - fault["start"]).total_seconds() < 40
    (surge,) = datasets.load("try", "surges").to_dict("records")
    assert surge["kind"] == "flash_sale"


def test_the_change_log_does_not_tell_good_from_bad(data: Path) -> None:
    events = datasets.load("try", "events")
    assert events.columns.tolist() == ["time", "kind", "service", "detail"]
    assert {"flag", "deploy"} <= set(events["kind"])
    assert not events["detail"].str.contains("bad|fault").any()


def test_logs_and_traces_have_the_simulators_columns(data: Path) -> None:
    logs, traces = datasets.load("try", "logs"), datasets.load("try", "traces")
    assert logs.columns.tolist() == LOG_COLUMNS
    assert traces.columns.tolist() == [*TRACE_COLUMNS, "weight"]
    exceptions = logs[logs["template_id"] == "exception"]
    assert set(exceptions["service"]) == {"storefront"}
    assert exceptions["message"].str.contains("KeyError 'currency'").all()
    assert exceptions["trace_id"].isin(set(traces["trace_id"])).mean() > 0.95


def test_spans_form_trees(data: Path) -> None:
    traces = datasets.load("try", "traces")
    inner = traces[traces["parent_span_id"] != ""]
    assert inner["parent_span_id"].isin(set(traces["span_id"])).mean() > 0.98
    roots = traces[traces["parent_span_id"] == ""]
    assert set(roots["service"]) == {"gateway"}
    assert roots["trace_id"].is_unique


def test_raw_counters_hold_the_buckets(data: Path) -> None:
    raw = datasets.load("try", "raw")
    buckets = raw.filter(like="shop_request_duration_seconds_bucket")
    assert buckets.shape[1] > 200
    assert (raw.filter(like="shop_requests_total").diff().iloc[1:].fillna(0) >= 0).all().all()


def test_the_card_says_how_and_names_no_machine(data: Path) -> None:
    card = (data / "try.md").read_text()
    assert "interrupted before its end" in card
    assert "bad_deploy at storefront" in card
    assert "opentelemetry-sdk" in card
    assert str(data) not in card


def test_a_plan_that_is_too_long_is_refused_before_anything_starts(tmp_path: Path) -> None:
    steps = [Step(50, "fault", "slow_query", "orders-db", seconds=30, severity=0.5)]
    with pytest.raises(CourseError, match="end after 1 minutes"):
        record(tmp_path / "x", steps, 1, tmp_path / "run", how="")
    assert list(tmp_path.iterdir()) == []


# --- sampling -----------------------------------------------------------------------------------


def _spans(traces: int, bad: int) -> pd.DataFrame:
    rows = []
    for number in range(traces):
        trace = f"{(number * 2654435761) % 2**32:08x}{number:024x}"
        status = "ERROR" if number < bad else "OK"
        for place, kind in enumerate(("SERVER", "CLIENT", "SERVER")):
            parent = f"{number:08x}{place - 1:08x}" if place else ""
            rows.append([trace, f"{number:08x}{place:08x}", parent, "gateway", "GET", kind,
                         number * 1000, 5.0, status])  # fmt: skip
    names = ["trace_id", "span_id", "parent_span_id", "service", "operation", "kind", "start_ns",
             "duration_ms", "status"]  # fmt: skip
    return pd.DataFrame(rows, columns=names).assign(
        duration_ms=lambda t: t["duration_ms"] + t.index / 1e4
    )


def test_every_bad_trace_is_kept_and_weights_make_up_for_the_rest() -> None:
    kept = kept_traces(_spans(40_000, 300))
    roots = kept[kept["parent_span_id"] == ""]
    assert (roots["status"] == "ERROR").sum() == 300
    assert set(roots.loc[roots["status"] == "ERROR", "weight"]) == {1.0}
    assert roots["weight"].sum() == pytest.approx(40_000, rel=1e-4)
    assert len(kept) < 60_000


def test_a_callees_parent_is_the_span_that_called() -> None:
    kept = kept_traces(_spans(10, 0))
    assert len(kept) == 20
    inner = kept[kept["parent_span_id"] != ""]
    assert inner["parent_span_id"].str.endswith("00000000").all()


def test_a_trace_that_the_end_has_cut_is_left_out() -> None:
    spans = _spans(10, 0)
    lost_root = (spans["trace_id"] == spans["trace_id"].iloc[0]) & (spans["parent_span_id"] == "")
    assert kept_traces(spans[~lost_root])["trace_id"].nunique() == 9


def test_nothing_recorded_gives_empty_tables_with_columns() -> None:
    assert kept_traces(pd.DataFrame()).columns.tolist() == [*TRACE_COLUMNS, "weight"]
    assert kept_logs(pd.DataFrame(columns=["service"])).columns.tolist() == LOG_COLUMNS


def test_a_statement_that_floods_the_log_is_thinned() -> None:
    logs = pd.DataFrame(
        {"time_ns": range(20_000), "service": "cart", "level": "ERROR", "template_id": "failed",
         "message": "x", "trace_id": ""}
    )  # fmt: skip
    rare = logs.head(5).assign(template_id="oom")
    kept = kept_logs(pd.concat([logs, rare]))
    assert (kept["template_id"] == "oom").sum() == 5
    assert 4000 < (kept["template_id"] == "failed").sum() <= 6000

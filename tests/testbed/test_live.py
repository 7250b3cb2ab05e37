"""The view of the last minutes: live while a testbed runs, else from the recording."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from course.errors import CourseError
from course.testbed import live
from tests.testbed.conftest import Shop, eventually


def _p50(view: live.View, service: str) -> float:
    return float(view.metrics[service, "latency_p50_ms"].dropna().tail(3).max())


def test_a_fault_is_in_the_plot_within_thirty_seconds(shop: Shop) -> None:
    eventually(
        lambda: len(live.recent(1, folder=shop.folder).metrics) > 10, 30, "there are metrics"
    )
    before = _p50(live.recent(1, folder=shop.folder), "orders-db")
    shop.ask("/fault", {"kind": "slow_query", "service": "orders-db", "severity": 1.0,
                        "seconds": 60})  # fmt: skip
    struck = time.monotonic()
    try:
        eventually(
            lambda: _p50(live.recent(1, folder=shop.folder), "orders-db") > 2 * before,
            30, "the database is slow in the view",
        )  # fmt: skip
        view = live.recent(1, folder=shop.folder)
    finally:
        shop.ask("/heal", {})
    assert time.monotonic() - struck < 35
    assert view.source.startswith("the testbed, live; monitoring: ")
    assert view.truth["kind"].tolist()[-1] == "slow_query"
    assert view.metrics.index[-1] > pd.Timestamp.now("UTC") - pd.Timedelta("40s")
    assert len(view.traces)


def test_without_a_testbed_the_recording_is_shown_around_its_fault(tmp_path: Path) -> None:
    view = live.recent(8, replay="slow_query", folder=tmp_path / "none")
    assert view.source == "the recording testbed-incidents, replayed"
    fault = view.truth[view.truth["kind"] == "slow_query"].iloc[0]
    span = view.metrics.index[-1] - view.metrics.index[0]
    assert pd.Timedelta("7min") < span <= pd.Timedelta("8min")
    assert view.metrics.index[0] < fault["start"] < view.metrics.index[-1]
    during = view.metrics.loc[fault["start"] + pd.Timedelta("1min") :, fault["root_service"]]
    earlier = view.metrics.loc[: fault["start"], fault["root_service"]]
    assert during["latency_p50_ms"].median() > 1.5 * earlier["latency_p50_ms"].median()
    for table, column in ((view.logs, "time"), (view.traces, "start")):
        assert table[column].between(view.metrics.index[0] - pd.Timedelta("20s"),
                                     view.metrics.index[-1] + pd.Timedelta("20s")).all()  # fmt: skip


def test_a_fault_that_was_not_recorded_is_named(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="no 'meteor'.*slow_query"):
        live.recent(8, replay="meteor", folder=tmp_path / "none")

"""Monitoring: rules, grouping, inhibition, and one answer from both kinds."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from course.shop import METRICS
from course.telemetry.prometheus import load_rules
from course.telemetry.prometheus.series import Block, Storage, format_series_name, parse_series_name
from course.testbed import commands, rundir
from course.testbed.ledger import read_lines
from course.testbed.query import Monitoring
from course.testbed.stack import rules
from course.testbed.stack.notifier import Notifier
from course.testbed.stack.process import programs
from course.testbed.stack.samples import Samples, evaluate_at, parse_text
from tests.conftest import require
from tests.testbed.conftest import Shop, eventually

CAUSE = {"alertname": "DiskFull", "service": "orders-db", "role": "cause", "cause": "disk"}
SYMPTOM = {"alertname": "UsersWait", "service": "gateway", "role": "symptom", "cause": "unknown"}


@pytest.mark.parametrize("interval", [0.5, 1, 5, 15])
def test_the_rule_file_is_understood_by_the_embedded_evaluator(interval: float) -> None:
    loaded = load_rules(rules.rule_file(interval))
    recorded = {rule.name for rule in loaded.rules if not rule.is_alert}
    assert recorded | {"shop_queue_length"} == {f"shop_{name}" for name in METRICS}
    assert {rule.labels["role"] for rule in loaded.alerts} == {"cause", "symptom"}


@pytest.mark.prometheus
def test_prometheus_own_tool_accepts_rules_and_configuration(tmp_path: Path) -> None:
    require(shutil.which("promtool"), "promtool: apt-get install prometheus")
    (tmp_path / "rules.yml").write_text(rules.rule_file(5))
    (tmp_path / "targets.json").write_text(rules.targets_file({"cart": 1234}))
    (tmp_path / "prometheus.yml").write_text(rules.prometheus_file(tmp_path, 5, 9093))
    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_scrape_is_read_with_the_targets_labels() -> None:
    text = '# TYPE x counter\nx_total{code="200",path="a\\"b"} 3\n'
    (labels,) = parse_text(text, {"job": "shop"})
    assert dict(labels) == {"__name__": "x_total", "code": "200", "path": 'a"b', "job": "shop"}


def test_samples_forget_the_oldest_rounds_and_end_a_series_that_is_gone() -> None:
    samples = Samples(keep=3)
    one, two = parse_series_name("one"), parse_series_name("two")
    for second in range(5):
        values = {one: float(second), **({two: 1.0} if second < 4 else {})}
        samples.add(second * 1000, values)
    storage = samples.storage()
    assert storage.blocks[0].times.tolist() == [2000, 3000, 4000]
    now = np.array([3000, 4000])
    assert evaluate_at(storage, "two", now, "2").present.tolist() == [[True, False]]
    assert evaluate_at(storage, "one", now, "2").values.tolist() == [[3.0, 4.0]]


# --- the notifier -------------------------------------------------------------------------------


def test_alerts_of_one_cause_are_one_notification() -> None:
    sent: list[dict[str, Any]] = []
    notifier = Notifier(sent.append, wait=0)
    other = {**CAUSE, "service": "catalog-db"}
    notifier.update([CAUSE, other], now=0)
    assert [len(note["alerts"]) for note in sent] == [2]
    notifier.update([CAUSE, other], now=60)
    assert len(sent) == 1


def test_a_cause_silences_symptoms_and_not_other_causes() -> None:
    sent: list[dict[str, Any]] = []
    notifier = Notifier(sent.append, wait=0)
    leak = {**CAUSE, "alertname": "MemoryLeakPredicted", "cause": "memory"}
    notifier.update([CAUSE, SYMPTOM, leak], now=0)
    assert {note["groupLabels"]["cause"] for note in sent} == {"disk", "memory"}
    notifier.update([SYMPTOM], now=1)
    assert sent[-1]["alerts"][0]["labels"] == SYMPTOM


def test_a_new_group_waits_for_its_cause() -> None:
    sent: list[dict[str, Any]] = []
    notifier = Notifier(sent.append, wait=10)
    notifier.update([SYMPTOM], now=0)
    notifier.update([SYMPTOM, CAUSE], now=5)
    notifier.update([SYMPTOM, CAUSE], now=15)
    assert [note["groupLabels"]["cause"] for note in sent] == ["disk"]


def test_what_was_told_is_resolved_and_what_was_not_is_not() -> None:
    sent: list[dict[str, Any]] = []
    notifier = Notifier(sent.append, wait=10)
    notifier.update([CAUSE], now=0)
    notifier.update([CAUSE], now=10)
    notifier.update([], now=11)
    notifier.update([SYMPTOM], now=12)
    notifier.update([], now=13)
    assert [note["status"] for note in sent] == ["firing", "resolved"]


# --- the running shop ---------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["real", "embedded"])
def each(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The shop under one kind of monitoring and then under the other."""
    if request.param == "real":
        require(programs(), "Prometheus: apt-get install prometheus prometheus-alertmanager")
        yield request.getfixturevalue("shop")
        return
    folder = tmp_path_factory.mktemp(request.param) / "run"
    commands.up(folder, interval=1.0, stack=request.param, quiet=True)
    found = Shop(folder, rundir.read_state(folder))
    found.ask("/load", {"rate": 25})
    yield found
    commands.down(folder)


@pytest.mark.prometheus
def test_a_fault_is_told_by_its_cause_and_its_symptoms_stay_silent(each: Shop) -> None:
    monitoring, begin = each.monitoring, time.time()
    assert monitoring.name.startswith("embedded" if each.state["stack"] == "embedded" else "Prom")
    eventually(
        lambda: len(monitoring.instant("shop_request_rate")) == 13, 25, "rules are evaluated"
    )
    each.ask(
        "/fault", {"kind": "disk_full", "service": "orders-db", "severity": 1.0, "seconds": 40}
    )

    def states() -> dict[tuple[str, str], str]:
        alerts = monitoring.alerts()
        return {(a.alertname, a.service): a.state for a in alerts.itertuples()}

    eventually(lambda: states().get(("DiskFull", "orders-db")) == "active", 25, "the cause fires")
    eventually(
        lambda: states().get(("ServiceErrors", "checkout")) == "suppressed",
        25, f"a symptom fires and is inhibited: {states()}",
    )  # fmt: skip
    time.sleep(3)
    each.ask("/heal", {})
    notes = [n for n in read_lines(each.folder / "notifications.jsonl") if n["time"] > begin]
    told = [note["groupLabels"]["cause"] for note in notes if note["status"] == "firing"]
    assert "disk" in told
    assert "unknown" not in told
    (first, *_) = [note for note in notes if note["groupLabels"]["cause"] == "disk"]
    assert first["groupLabels"] == {"role": "cause", "cause": "disk"}
    assert [a["labels"]["alertname"] for a in first["alerts"]] == ["DiskFull"]


@pytest.mark.prometheus
def test_a_range_has_the_times_that_were_asked_for(each: Shop) -> None:
    end = pd.Timestamp.now("UTC").floor("s")
    start = end - pd.Timedelta(seconds=6)
    table = each.monitoring.range("shop_request_rate", start, end, 2)
    assert table.index.tolist() == list(pd.date_range(start, end, freq="2s"))
    assert table.notna().any().all()
    assert table.filter(like='service="gateway"').iloc[-1, 0] > 5


@pytest.mark.prometheus
def test_a_wrong_query_says_what_is_wrong(each: Shop) -> None:
    with pytest.raises(Exception, match=r"refused: .+"):
        each.monitoring.instant("rate(shop_requests_total[")


@pytest.mark.prometheus
def test_both_give_the_same_answers_on_the_same_scrapes(shop: Shop) -> None:
    require(programs(), "Prometheus: apt-get install prometheus prometheus-alertmanager")
    monitoring = shop.monitoring
    eventually(
        lambda: len(monitoring.instant("shop_request_rate")) == 13, 25, "rules are evaluated"
    )
    time.sleep(3)
    end = pd.Timestamp.now("UTC").floor("s") - pd.Timedelta(seconds=1)
    start = end - pd.Timedelta(seconds=5)
    storage = _storage(monitoring, end)
    queries = [*rules.metric_queries(1.0).values(), 'up{job="shop"} == 0',
               "sum by (code) (increase(shop_requests_total[6s]))",
               "max_over_time(shop_pool_in_use[5s])", "predict_linear(shop_memory_used_bytes[6s], 60)",
               "topk(2, shop_memory_used_bytes)", "shop_queue_length > 1e9"]  # fmt: skip
    times = np.arange(round(start.timestamp()), round(end.timestamp()) + 1) * 1000
    compared = 0
    for query in queries:
        real = monitoring.range(query, start, end, 1)
        vector = evaluate_at(storage, query, times, "2")
        mine = pd.DataFrame(
            np.where(vector.present, vector.values, np.nan).T,
            columns=[format_series_name(labels) for labels in vector.labels],
        )
        mine = mine.loc[:, mine.notna().any()].sort_index(axis=1)
        real = real.loc[:, real.notna().any()].sort_index(axis=1).reset_index(drop=True)
        assert list(mine.columns) == list(real.columns), query
        np.testing.assert_allclose(mine, real, rtol=1e-9, err_msg=query)
        compared += mine.size
    assert compared > 500


def _storage(monitoring: Monitoring, end: pd.Timestamp) -> Storage:
    """The samples as Prometheus scraped them, each series at its own times."""
    storage = Storage([])
    for name, series in monitoring.raw('{job="shop"}', end - pd.Timedelta(minutes=6), end).items():
        times = series.index.as_unit("ms").tz_localize(None).asi8
        kinds = np.ones((1, len(series)), dtype=np.int8)
        storage.add(Block([parse_series_name(name)], times, series.to_numpy()[None], kinds))
    return storage

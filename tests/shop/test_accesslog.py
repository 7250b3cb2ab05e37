"""The access log agrees with the metrics of its recording."""

import numpy as np
import pytest

from course.shop import Fault, Scenario, simulate
from course.shop.accesslog import access_log


@pytest.fixture(scope="module")
def recording():
    fault = Fault("bad_deploy", "payment", start=5, minutes=20, severity=0.9)
    return simulate(Scenario("2026-03-10T10:00Z", 30, seed=3, faults=(fault,)))


def test_counts_and_failures_are_those_of_the_metrics(recording):
    log, metrics = access_log(recording, "payment"), recording.service("payment")
    by_minute = log.groupby(log["start"].dt.floor("min"))["status"]
    count = (metrics["request_rate"] * 60).round()
    assert by_minute.size().tolist() == count.tolist()
    failed = by_minute.apply(lambda status: (status >= 500).sum())
    assert failed.tolist() == (metrics["error_ratio"] * count).round().tolist()


def test_durations_have_the_median_of_the_metrics(recording):
    log = access_log(recording, "payment")
    median = log.groupby(log["start"].dt.floor("min"))["duration_ms"].median()
    ratio = median.to_numpy() / recording.service("payment")["latency_p50_ms"].to_numpy()
    assert np.abs(np.log(ratio)).max() < 0.25


def test_the_same_recording_gives_the_same_log(recording):
    assert access_log(recording, "cart").equals(access_log(recording, "cart"))

"""Nezha's files are read as they are, damage included, or refused by name and place."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from course.field import nezha
from course.field.nezha.data import read_faults, read_metrics, service_of

HEAD = "Time,TimeStamp,PodName,CpuUsage(m),PodSuccessRate(%)\n"
ROW = "2022-08-22 03:51:19.607158889 +0000 UTC m=+0.113,1861140279,adservice-5f-fn,1.5,0\n"


def write(folder: Path, text: str) -> Path:
    file = folder / "file"
    file.write_text(text, "utf-8")
    return file


def test_a_row_keeps_both_of_its_times(tmp_path: Path) -> None:
    table = read_metrics(write(tmp_path, HEAD + ROW))
    assert table.columns.tolist() == ["received", "timestamp", "CpuUsage", "PodSuccessRate"]
    assert table.iloc[0].tolist() == ["2022-08-22T03:51:19Z", 1861140279, 1.5, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TimeStamp,CpuUsage(m)\n1,2\n", "no column Time"),
        ("", "not a CSV table"),
        (HEAD + ROW + ROW.replace("+0000 UTC", "+0800 CST"), "line 3"),
        (HEAD + "yesterday,1,a,1,1\n", "line 2: 'yesterday'"),
    ],
)
def test_a_corrupt_metric_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(nezha.NezhaFormatError, match=message):
        read_metrics(write(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "[]", '{"03": [{"inject_time": "2022-08-22"}]}'])
def test_a_corrupt_fault_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(nezha.NezhaFormatError, match="not a list of faults by hour"):
        read_faults(write(tmp_path, text))


def test_a_service_is_its_pod_without_hashes() -> None:
    assert service_of("adservice-5f6585d649-fnmft_metric.csv") == "adservice"
    assert service_of("ts-travel2-service-5c66d57d58-6mp2b") == "ts-travel2-service"


def test_an_unknown_system_is_an_error_that_lists_the_systems() -> None:
    with pytest.raises(ValueError, match="Online Boutique, Train Ticket"):
        nezha.load("Sock Shop")


def test_adservice_is_200_000_000_seconds_ahead_and_at_times_more(
    days: list[nezha.NezhaDay],
) -> None:
    raw = days[0].pods["adservice"]
    received = pd.to_datetime(raw["received"], utc=True)
    ahead = raw["timestamp"] - (received - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    assert (ahead == 200_000_000).sum() == 1096
    assert ahead[ahead != 200_000_000].agg(["size", "min", "max"]).tolist() == [
        113,
        200_000_140,
        200_022_100,
    ]


def test_the_fault_stamps_of_train_ticket_lag_by_eight_hours_in_part(
    days: list[nezha.NezhaDay],
) -> None:
    faults = days[1].faults
    lag = (faults["time"] - faults["stamp"]).dt.total_seconds()
    assert len(lag) == 28 and lag[24:].tolist() == [0.0] * 4
    assert (lag[:24].min(), lag[:24].max()) == (28_710, 29_303)
    assert faults["stamp"].duplicated().sum() == 1


def test_a_success_rate_of_0_was_never_collected(days: list[nezha.NezhaDay]) -> None:
    boutique, ticket = days
    for day in (boutique, ticket):
        assert all((raw["PodSuccessRate"] == 0).all() for raw in day.pods.values())
    assert boutique.front["SuccessRate"].mean() > 99
    assert (ticket.front["SuccessRate"] == 0).all()
    assert ticket.contract(ticket.front) == {"SuccessRate": "LatencyP50 > 0"}

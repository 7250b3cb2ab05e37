"""From a run to the tables of a data set."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course._files import write_atomic
from course.shop.topology import METRICS
from course.testbed.control import ask
from course.testbed.layout import NODES
from course.testbed.ledger import read_lines
from course.testbed.query import Monitoring
from course.testbed.receiver import LOG_COLUMNS, SPAN_COLUMNS
from course.testbed.sampling import kept_logs, kept_traces
from course.testbed.stack.rules import metric_queries

STEP_S = 15
_BATCH_S = 2.0  # what the services have seen is sent in batches
_RAW = (
    "shop_requests_total", "shop_request_duration_seconds_bucket",
    "shop_request_duration_seconds_sum", "shop_request_duration_seconds_count",
    "shop_client_attempts_total", "shop_cpu_seconds_total", "shop_pool_busy_seconds_total",
    "shop_memory_used_bytes", "shop_queue_length", "shop_disk_used_bytes", "up",
)  # fmt: skip
_DECIMALS = {"error_ratio": 5, "cpu_utilization": 3, "memory_utilization": 3,
             "pool_utilization": 3, "queue_length": 0, "disk_utilization": 4}  # fmt: skip

Parts = dict[str, pd.DataFrame]


def gather(
    state: Mapping[str, Any], folder: Path, begin: pd.Timestamp, end: pd.Timestamp, interval: float
) -> Parts:
    """Read everything that a run has seen between two times, as a recording keeps it.

    Parameters
    ----------
    state, folder, begin, end, interval
        As in `seen`.

    Returns
    -------
    dict of DataFrame
        The tables of `seen`, and raw.
    """
    return {
        **seen(state, folder, begin, end, interval),
        "raw": raw(Monitoring(state), begin, end),
    }


def seen(
    state: Mapping[str, Any],
    folder: Path,
    begin: pd.Timestamp,
    end: pd.Timestamp,
    interval: float,
    step: float = STEP_S,
) -> Parts:
    """Read what a run has seen between two times, but for the raw series.

    Parameters
    ----------
    state : mapping
        Of the run.
    folder : Path
        The run folder.
    begin, end : Timestamp
        UTC.
    interval : float
        Seconds between scrapes.
    step : float
        Seconds between rows of the metrics.

    Returns
    -------
    dict of DataFrame
        metrics, logs, traces, events, alerts, surges, truth.
    """
    time.sleep(_BATCH_S)
    ask(state["receiver"], "/flush", {}, timeout=60)
    telemetry = folder / "telemetry"
    spans = _rows(telemetry, "spans", begin, end, "start_ns")
    logs = _rows(telemetry, "logs", begin, end, "time_ns")
    return {
        "metrics": metrics(Monitoring(state), begin, end, interval, step),
        "traces": kept_traces(spans),
        "logs": kept_logs(logs),
        "events": _events(folder, begin, end),
        "alerts": _alerts(folder, begin, end),
        "surges": _surges(folder, end),
        "truth": truth(folder, end),
    }


def monitoring_name(state: Mapping[str, Any]) -> str:
    """Which monitoring was asked."""
    return Monitoring(state).name


def metrics(
    monitoring: Monitoring,
    begin: pd.Timestamp,
    end: pd.Timestamp,
    interval: float,
    step: float = STEP_S,
) -> pd.DataFrame:
    """The shop's metrics, one row every ``step`` seconds, columns (service, metric), float32.

    NaN where a service has none of a kind (a disk), or had no request to measure.
    """
    every = f"{step:g}s"
    # A rate needs samples before its first time.
    first = (begin + pd.Timedelta(seconds=6 * interval)).ceil(every)
    columns = pd.MultiIndex.from_product([list(NODES), METRICS], names=["service", "metric"])
    found: dict[tuple[str, str], np.ndarray] = {}
    index = pd.date_range(first, end, freq=every, name="time")
    for metric, expression in metric_queries(interval).items():
        table = monitoring.range(expression, first, end, step)
        for name in table.columns:
            service = name.partition('service="')[2].partition('"')[0]
            found[service, metric] = _rounded(metric, table[name].to_numpy())
    wide = pd.DataFrame(found, index=index)
    return wide.reindex(columns=columns).astype("float32")


def _rounded(metric: str, values: np.ndarray) -> np.ndarray:
    """No more digits than are known: three of a latency, as the shop's embedded sets have it."""
    if metric.startswith("latency"):
        with np.errstate(invalid="ignore"):
            unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-3))) - 2)
        return np.asarray(np.round(values / unit) * unit)
    return np.round(values, _DECIMALS.get(metric, 3))


def raw(monitoring: Monitoring, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Counters, gauges and histogram buckets as they were scraped, every `STEP_S` seconds.

    Returns
    -------
    DataFrame
        UTC index "time", one column for each series, named as in Prometheus' text format.
    """
    first = begin.ceil(f"{STEP_S}s")
    tables = [monitoring.range(name, first, end, STEP_S) for name in _RAW]
    joined = pd.concat(tables, axis=1)
    joined.index.name = "time"
    joined.columns = joined.columns.astype("str")  # none yet, shortly after the start
    seconds = joined.columns.str.contains("_seconds_(?:sum|total)")
    joined.loc[:, seconds] = joined.loc[:, seconds].round(3)
    return joined


def _rows(
    folder: Path, name: str, begin: pd.Timestamp, end: pd.Timestamp, column: str
) -> pd.DataFrame:
    paths = sorted(folder.glob(f"{name}-*.parquet"))
    tables = []
    for path in paths:
        table = pd.read_parquet(path)
        inside = table[column].between(begin.value, end.value)
        tables.append(table[inside])
    if not tables:
        return pd.DataFrame(columns=list(SPAN_COLUMNS if name == "spans" else LOG_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def _events(folder: Path, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    rows = read_lines(folder / "events.jsonl")
    table = pd.DataFrame(rows, columns=["time", "kind", "service", "detail"])
    table["time"] = _times(table["time"])
    return table[table["time"].between(begin, end)].reset_index(drop=True)


def _alerts(folder: Path, begin: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """What the alert manager sent: one row for each alert of a notification."""
    names = ("alertname", "service", "role", "cause")
    rows = [
        [note["time"], alert["status"], *(alert["labels"].get(name, "") for name in names)]
        for note in read_lines(folder / "notifications.jsonl")
        for alert in note.get("alerts", [])
    ]
    table = pd.DataFrame(rows, columns=["time", "status", *names])
    table["time"] = _times(table["time"])
    return table[table["time"].between(begin, end)].reset_index(drop=True)


def truth(folder: Path, end: pd.Timestamp) -> pd.DataFrame:
    """The faults: start, end, kind, root_service, severity."""
    path = folder / "truth.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    table = pd.DataFrame(rows, columns=["start", "end", "kind", "root_service", "severity"])
    for name in ("start", "end"):
        table[name] = _times(table[name])
    table["end"] = table["end"].clip(upper=end)
    return table


def _surges(folder: Path, end: pd.Timestamp) -> pd.DataFrame:
    """Harmless surges: start, end, kind, size."""
    rows = read_lines(folder / "surges.jsonl")
    table = pd.DataFrame(rows, columns=["start", "end", "kind", "size"])
    for name in ("start", "end"):
        table[name] = _times(table[name])
    table["end"] = table["end"].clip(upper=end)
    return table


def _times(seconds: pd.Series) -> pd.Series:
    micro = (seconds.astype("float64") * 1e6).round().astype("int64")
    return pd.to_datetime(micro, unit="us", utc=True)


def write(target: Path, parts: Parts) -> list[Path]:
    """Write a set's parts as Parquet, whole or not at all, and enter their checksums.

    Parameters
    ----------
    target : Path
        Folder and name.
    parts : dict of DataFrame

    Returns
    -------
    list of Path
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for part, table in parts.items():
        suffix = "" if part == "metrics" else f".{part}"
        path = target.with_name(f"{target.name}{suffix}.parquet")
        temporary = path.with_name(f".{path.name}.part")
        table.to_parquet(temporary, compression="zstd", compression_level=19)
        temporary.replace(path)
        written.append(path)
    _enter_checksums(target.parent / "SHA256SUMS", written)
    return written


def _enter_checksums(path: Path, files: list[Path]) -> None:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    sums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    sums |= {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    write_atomic(path, "".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))

"""Scraped samples in memory, and PromQL over them."""

from __future__ import annotations

import http.client
import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from prometheus_client.parser import text_string_to_metric_families

from course.telemetry.prometheus.engine import Engine
from course.telemetry.prometheus.expressions import parse_expression
from course.telemetry.prometheus.series import (
    SAMPLE,
    STALE,
    Block,
    Labels,
    Storage,
    format_series_name,
    make_labels,
)
from course.telemetry.prometheus.vectors import Vector


def parse_text(text: str, extra: Mapping[str, str]) -> dict[Labels, float]:
    """Read one answer of /metrics; the target's labels are added to every series.

    Examples
    --------
    >>> parse_text('x_total{code="200"} 3', {"job": "shop"})
    {(('__name__', 'x_total'), ('code', '200'), ('job', 'shop')): 3.0}
    """
    return {
        make_labels({"__name__": sample.name, **sample.labels, **extra}): float(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Samples:
    """Samples of all series, one column for each round of scrapes.

    Parameters
    ----------
    keep : int
        Rounds that are kept; the oldest are forgotten.
    """

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self._rows: dict[Labels, int] = {}
        self._times: list[int] = []
        self._columns: list[dict[int, float]] = []
        self._lock = threading.Lock()

    def add(self, time_ms: int, values: Mapping[Labels, float]) -> None:
        """Add one round.

        Parameters
        ----------
        time_ms : int
            Milliseconds since 1970, later than the last round's.
        values : mapping
        """
        with self._lock:
            column = {
                self._rows.setdefault(labels, len(self._rows)): v for labels, v in values.items()
            }
            self._times.append(time_ms)
            self._columns.append(column)
            del self._times[: -self.keep], self._columns[: -self.keep]

    def storage(self, since_ms: int | None = None) -> Storage:
        """What the evaluator reads: a series that a round lacks ends there with a staleness marker."""
        with self._lock:
            first = 0 if since_ms is None else int(np.searchsorted(self._times, since_ms))
            labels, times = list(self._rows), np.array(self._times[first:], dtype=np.int64)
            columns = self._columns[first:]
            values = np.full((len(labels), len(columns)), math.nan)
            present = np.zeros(values.shape, bool)
            for place, column in enumerate(columns):
                rows = np.fromiter(column, int, len(column))
                values[rows, place] = np.fromiter(column.values(), float, len(column))
                present[rows, place] = True
        kinds = np.where(present, SAMPLE, STALE).astype(np.int8)
        used = np.asarray(present.any(axis=1))
        block = Block(labels, times, values, kinds).rows(used) if len(labels) else None
        storage = Storage([])
        if block is not None:
            storage.add(block)
        return storage

    def frame(self, since_ms: int) -> pd.DataFrame:
        """The samples as the rule evaluator takes them: UTC times down, series across."""
        storage = self.storage(since_ms)
        if not storage.blocks:
            return pd.DataFrame(index=pd.DatetimeIndex([], tz="UTC"))
        (block,) = storage.blocks
        index = pd.DatetimeIndex(block.times.astype("datetime64[ms]"), tz="UTC", name="time")
        names = [format_series_name(labels) for labels in block.labels]
        return pd.DataFrame(block.values.T, index, columns=names)


def evaluate_at(storage: Storage, expression: str, times_ms: np.ndarray, semantics: str) -> Vector:
    """Evaluate PromQL at given times.

    Parameters
    ----------
    storage : Storage
    expression : str
    times_ms : ndarray of int64, shape (times,)
    semantics : {"2", "3"}
        Of which Prometheus; see `course.telemetry.prometheus.evaluate`.

    Raises
    ------
    course.telemetry.prometheus.RuleFileError
        The expression is not understood, or uses what the evaluator lacks.
    """
    step = int(times_ms[1] - times_ms[0]) if len(times_ms) > 1 else 60_000
    engine = Engine(storage, times_ms, closed_left=semantics == "2", step_ms=step)
    return engine.vector(parse_expression(expression))


def scrape(port: int, timeout: float) -> str:
    """Read /metrics of a target.

    Raises
    ------
    OSError
        It does not answer, or not with 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain; version=0.0.4"})
        response = connection.getresponse()
        if response.status != 200:
            raise OSError(f"HTTP {response.status}")
        return response.read().decode("utf-8")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()


def scrape_all(targets: list[dict[str, Any]], timeout: float) -> dict[Labels, float]:
    """Scrape all targets side by side; ``up`` says which answered."""

    def one(target: dict[str, Any]) -> dict[Labels, float]:
        labels = {"job": "shop", **target["labels"]}
        address = str(target["targets"][0])
        up = make_labels({"__name__": "up", **labels})
        try:
            found = parse_text(scrape(int(address.rpartition(":")[2]), timeout), labels)
        except (OSError, ValueError):
            return {up: 0.0}
        return {**found, up: 1.0}

    if not targets:
        return {}
    with ThreadPoolExecutor(len(targets)) as pool:
        rounds = pool.map(one, targets)
    return {labels: value for found in rounds for labels, value in found.items()}

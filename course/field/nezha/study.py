"""Rank Nezha's faults on its tables as stamped and as repaired, beside chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from course.field.nezha.data import NezhaDay
from course.field.nezha.ranking import hits, rank_pods

Repair = Callable[[pd.DataFrame, dict[str, str]], tuple[pd.DataFrame, dict[str, Any]]]

TOP = 5
_COLUMNS = [f"AC@{k}" for k in range(1, TOP + 1)]


def as_stamped(raw: pd.DataFrame) -> pd.DataFrame:
    """A pod's metrics at the times that it stamped: what a study without repair does."""
    return _at(raw, pd.to_datetime(raw["timestamp"], unit="s", utc=True))


def as_received(raw: pd.DataFrame) -> pd.DataFrame:
    """A pod's metrics at the times of receipt, which are right in Nezha."""
    return _at(raw, pd.to_datetime(raw["received"], utc=True))


def repair_day(
    repair: Repair, day: NezhaDay
) -> tuple[dict[str, pd.DataFrame], dict[str, dict[str, Any]]]:
    """Repair every table of a day.

    Parameters
    ----------
    repair : callable
        (raw, impossible) -> (table, report), as in month 2.
    day : NezhaDay

    Returns
    -------
    tables : dict of str to pd.DataFrame
        By service, on a regular UTC grid.
    reports : dict of str to dict
        By service, and ``"front end"``.

    Raises
    ------
    ValueError
        If the function returns something else than a table and a report.
    """
    tables, reports = {}, {}
    for name, raw in {**day.pods, "front end": day.front}.items():
        answer = repair(raw, day.contract(raw))
        table, report = answer if isinstance(answer, tuple) and len(answer) == 2 else (None, None)
        if not isinstance(table, pd.DataFrame) or not isinstance(table.index, pd.DatetimeIndex):
            raise ValueError("repair must return a table on a DatetimeIndex, and a report")
        if not isinstance(report, dict):
            raise ValueError("the second thing that repair returns must be a dict, the report")
        tables[name], reports[name] = table, report
    del tables["front end"]
    return tables, reports


def findings(reports: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Reports of a day as a table: one row a pod, `not_measured` as a number of metrics."""
    rows = {
        name: {**report, "not_measured": len(report.get("not_measured", {}))}
        for name, report in reports.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def study(
    days: Sequence[NezhaDay], repaired: Mapping[str, Mapping[str, pd.DataFrame]] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the faults on tables as stamped and as repaired, beside chance.

    Parameters
    ----------
    days : sequence of NezhaDay
    repaired : mapping of system to tables, optional
        Tables from `repair_day`. Left out, the times of receipt stand in for a repair.

    Returns
    -------
    table : pd.DataFrame
        Indexed by (system, tables); columns `faults`, `pods`, AC@1 to AC@5 (share of faults whose
        service is among the first k, ties averaged) and Avg@5, their mean. ``as stamped`` takes
        the stamps of the faults as well, the others ``inject_time``.
    faults : pd.DataFrame
        One row a fault and table: `system`, `tables`, `time`, `service`, `type` and AC@1 to AC@5.

    Examples
    --------
    >>> table, faults = study([nezha.load("Online Boutique")])           # doctest: +SKIP
    """
    parts = []
    for day in days:
        stamped = {pod: as_stamped(raw) for pod, raw in day.pods.items()}
        parts.append(_ranked(day, "as stamped", stamped, "stamp"))
        if repaired is None:
            received = {pod: as_received(raw) for pod, raw in day.pods.items()}
            parts.append(_ranked(day, "as received", received, "time"))
        else:
            parts.append(_ranked(day, "repaired", repaired[day.system], "time"))
        parts.append(_chance(day))
    faults = pd.concat(parts, ignore_index=True)
    groups = faults.groupby(["system", "tables"], sort=False)
    table = groups[["pods", *_COLUMNS]].mean()
    table.insert(0, "faults", groups.size())
    table["Avg@5"] = table[_COLUMNS].mean(axis=1)
    return table.astype({"pods": int}), faults


def by_type(faults: pd.DataFrame, system: str, tables: str) -> pd.DataFrame:
    """Number of faults and AC@1 by type of fault, the easiest first."""
    rows = faults[(faults["system"] == system) & (faults["tables"] == tables)]
    table = rows.groupby("type")["AC@1"].agg(["size", "mean"])
    table.columns = ["faults", "AC@1"]
    return table.sort_values("AC@1", ascending=False, kind="stable")


def _at(raw: pd.DataFrame, times: pd.Series) -> pd.DataFrame:
    table = raw.drop(columns=["received", "timestamp"])
    return table.set_axis(pd.DatetimeIndex(times), axis=0).sort_index()


def _ranked(
    day: NezhaDay, name: str, tables: Mapping[str, pd.DataFrame], column: str
) -> pd.DataFrame:
    scores = rank_pods(tables, pd.DatetimeIndex(day.faults[column]))
    rows = [
        _row(day, name, fault, hits(scores.iloc[place], fault["service"], TOP))
        for place, fault in enumerate(day.faults.to_dict("records"))
    ]
    return pd.DataFrame(rows)


def _chance(day: NezhaDay) -> pd.DataFrame:
    found = np.minimum(np.arange(1, TOP + 1) / len(day.pods), 1.0)
    return pd.DataFrame(
        [_row(day, "chance", fault, found) for fault in day.faults.to_dict("records")]
    )


def _row(day: NezhaDay, name: str, fault: dict[str, Any], found: np.ndarray) -> dict[str, Any]:
    return {
        "system": day.system, "tables": name, "time": fault["time"], "service": fault["service"],
        "type": fault["type"], "pods": len(day.pods),
        **dict(zip(_COLUMNS, found.tolist(), strict=True)),
    }  # fmt: skip

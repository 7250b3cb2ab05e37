"""Rank Nezha's faults on its tables as stamped, as received and as repaired, beside chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from course.field.nezha.data import SYSTEMS, NezhaDay, load
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


def study(
    repair: Repair | None = None, *, systems: Sequence[str] = tuple(SYSTEMS)
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rank the faults on tables as stamped, as received and, if given, as repaired.

    Parameters
    ----------
    repair : callable, optional
        (raw, impossible) -> (table, report), as in month 2.
    systems : sequence of str
        Keys of `course.field.nezha.data.SYSTEMS`.

    Returns
    -------
    table : pd.DataFrame
        Indexed by (system, tables); columns `faults`, `pods`, AC@1 to AC@5 (share of faults whose
        service is among the first k, ties averaged) and Avg@5, their mean. As stamped takes the
        faults' stamps as well; the other two take ``inject_time``.
    faults : pd.DataFrame
        One row a fault and table: `system`, `tables`, `time`, `service`, `type` and AC@1 to AC@5.

    Raises
    ------
    PublicDataMissing
        Without the data; the message says how to get it.

    Examples
    --------
    >>> table, faults = study()                                          # doctest: +SKIP
    """
    parts = []
    for system in systems:
        day = load(system)
        parts.append(_ranked(day, "as stamped", _all(day, as_stamped), "stamp"))
        parts.append(_ranked(day, "as received", _all(day, as_received), "time"))
        if repair is not None:
            repaired = {pod: _repaired(repair, day, raw) for pod, raw in day.pods.items()}
            parts.append(_ranked(day, "repaired", repaired, "time"))
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


def findings(repair: Repair, day: NezhaDay) -> pd.DataFrame:
    """What a repair reports on each pod and the front end of a day; empty rows left out.

    Returns
    -------
    pd.DataFrame
        By table: the report's keys; `not_measured` as the number of metrics that were taken out.
    """
    rows = {}
    for name, raw in {**day.pods, "front end": day.front}.items():
        report = dict(repair(raw, day.contract(raw))[1])
        report["not_measured"] = len(report.get("not_measured", {}))
        rows[name] = report
    table = pd.DataFrame.from_dict(rows, orient="index")
    numbers = table.select_dtypes("number")
    return table[(numbers != 0).any(axis=1)]


def _at(raw: pd.DataFrame, times: pd.Series) -> pd.DataFrame:
    table = raw.drop(columns=["received", "timestamp"])
    return table.set_axis(pd.DatetimeIndex(times).as_unit("us"), axis=0).sort_index()


def _all(day: NezhaDay, indexed: Callable[[pd.DataFrame], pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {pod: indexed(raw) for pod, raw in day.pods.items()}


def _repaired(repair: Repair, day: NezhaDay, raw: pd.DataFrame) -> pd.DataFrame:
    answer = repair(raw, day.contract(raw))
    table = answer[0] if isinstance(answer, tuple | list) and len(answer) == 2 else None
    if not isinstance(table, pd.DataFrame) or not isinstance(table.index, pd.DatetimeIndex):
        raise ValueError("repair must return a table on a DatetimeIndex, and a report")
    return table.set_axis(table.index.as_unit("us"), axis=0)


def _ranked(
    day: NezhaDay, name: str, tables: Mapping[str, pd.DataFrame], column: str
) -> pd.DataFrame:
    rows = []
    for fault in day.faults.to_dict("records"):
        found = hits(rank_pods(tables, fault[column].as_unit("us")), fault["service"], TOP)
        rows.append(_row(day, name, fault, found))
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

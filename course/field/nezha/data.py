"""Load Nezha's pod metrics and faults.

What to know before trusting a number on Nezha:

- One day of each of its two systems is pinned here: 24 of the 56 faults of Online Boutique, 28 of
  the 45 of Train Ticket. Of each pod every metric sample of the day is there, one a minute.
- A row has two times: ``Time``, written by the collector, which is right, and ``TimeStamp``. On
  2022-08-22 the ``TimeStamp`` of adservice is 200,000,000 s (more than six years) ahead in 1,096 of
  1,209 rows, and 140 to 22,100 s more than that in the other 113: digits were replaced in a text.
- A fault has two times: ``inject_time`` (UTC), which is right, and ``inject_timestamp``, which on
  2023-01-29 lags it by about eight hours (28,710 to 29,303 s) in 24 of 28 faults; one repeats that
  of the fault before. One of 24 in Online Boutique is a minute off.
- ``PodSuccessRate(%)`` is 0 in every row of both days, while the front end of Online Boutique
  answers more than 99 % of its requests: it was never collected. So was the front end's own
  ``SuccessRate(%)`` on the Train Ticket day. Other columns are 0 all day in single pods.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course.telemetry import public

#: System to its day.
SYSTEMS: dict[str, str] = {"Online Boutique": "2022-08-22", "Train Ticket": "2023-01-29"}

#: Metric to a condition under which its 0 was not measured. A running pod uses memory, a request
#: takes time, and not every request of a working shop fails.
CONTRACT: dict[str, str] = {
    "PodSuccessRate": "PodWorkload > 0",
    "CpuUsage": "CpuUsage == 0",
    "CpuUsageRate": "CpuUsageRate == 0",
    "MemoryUsage": "MemoryUsage == 0",
    "MemoryUsageRate": "MemoryUsageRate == 0",
    "PodClientLatencyP90": "PodClientLatencyP90 == 0",
    "PodClientLatencyP95": "PodClientLatencyP95 == 0",
    "PodClientLatencyP99": "PodClientLatencyP99 == 0",
    "PodServerLatencyP90": "PodServerLatencyP90 == 0",
    "PodServerLatencyP95": "PodServerLatencyP95 == 0",
    "PodServerLatencyP99": "PodServerLatencyP99 == 0",
    "SuccessRate": "LatencyP50 > 0",
}


class NezhaFormatError(ValueError):
    """A file of Nezha is not what it should be; the message says which and how."""


@dataclass(frozen=True, eq=False)
class NezhaDay:
    """One day of one system, as collected.

    Attributes
    ----------
    system : str
        A key of `SYSTEMS`.
    pods : dict of str to pd.DataFrame
        By service: `received` (ISO text, UTC, whole seconds), `timestamp` (seconds since the
        epoch as written) and the pod's metrics, named as in the file without the unit.
    front : pd.DataFrame
        The same of the front end's service level: `SuccessRate` (%), `LatencyP50` (s) and so on.
    faults : pd.DataFrame
        `time` (``inject_time``, UTC), `stamp` (``inject_timestamp``, UTC), `service`, `type`.
    """

    system: str
    pods: dict[str, pd.DataFrame]
    front: pd.DataFrame
    faults: pd.DataFrame

    def contract(self, table: pd.DataFrame) -> dict[str, str]:
        """The conditions of `CONTRACT` for those metrics of a table that have a zero."""
        return {
            metric: text
            for metric, text in CONTRACT.items()
            if metric in table.columns and (table[metric] == 0).any()
        }


def load(system: str = "Online Boutique", *, progress: bool = True) -> NezhaDay:
    """Load a day as it was collected, with all of its damage.

    Parameters
    ----------
    system : {"Online Boutique", "Train Ticket"}
    progress : bool
        Show a progress bar if files have to be downloaded.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    NezhaFormatError
        If a file can't be read.

    Examples
    --------
    >>> len(load("Online Boutique").faults)                              # doctest: +SKIP
    24
    """
    if system not in SYSTEMS:
        raise ValueError(f"no system {system!r}; there are: {', '.join(SYSTEMS)}")
    folder = f"rca_data/{SYSTEMS[system]}/"
    paths = sorted(path for path in public.public_set("nezha").files if path.startswith(folder))
    root = public.fetch("nezha", only=paths, progress=progress)
    pods = {
        service_of(Path(path).name): read_metrics(root / path)
        for path in paths
        if path.endswith("_metric.csv")
    }
    front = read_metrics(root / folder / "metric/front_service.csv")
    faults = read_faults(root / folder / f"{SYSTEMS[system]}-fault_list.json")
    return NezhaDay(system, pods, front, faults)


def service_of(pod: str) -> str:
    """The service of a pod: its name without the two hashes at the end.

    Examples
    --------
    >>> service_of("ts-basic-service-5dc8d4f9fd-46997_metric.csv")
    'ts-basic-service'
    """
    return pod.removesuffix("_metric.csv").rsplit("-", 2)[0]


def read_metrics(file: Path) -> pd.DataFrame:
    """Read one metric file: `received`, `timestamp` and float metrics, in the order of the file.

    Raises
    ------
    NezhaFormatError
        Naming the file, and the column or line that is wrong.
    """
    try:
        table = pd.read_csv(file)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise NezhaFormatError(f"{file} is not a CSV table: {error}") from None
    if missing := {"Time", "TimeStamp"} - set(table.columns):
        raise NezhaFormatError(f"{file} has no column {', '.join(sorted(missing))}")
    # Go prints a time as "2022-08-22 03:51:19.607158889 +0000 UTC m=+0.113112869".
    text = table["Time"].astype(str)
    good = text.str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC.*")
    if not good.all():
        row = int((~good).to_numpy().argmax())
        raise NezhaFormatError(f"{file}, line {row + 2}: {text.iloc[row]!r} is not a UTC time")
    metrics = table.drop(columns=["Time", "TimeStamp"]).select_dtypes("number").astype(float)
    metrics.columns = [str(name).split("(")[0] for name in metrics.columns]
    metrics.insert(0, "timestamp", table["TimeStamp"])
    metrics.insert(0, "received", text.str[:10] + "T" + text.str[11:19] + "Z")
    return metrics


def read_faults(file: Path) -> pd.DataFrame:
    """Read a list of faults, in order of time.

    Raises
    ------
    NezhaFormatError
        If it is not a list of faults by hour.
    """
    try:
        hours = json.loads(file.read_text("utf-8"))
        faults = [
            {
                "time": pd.Timestamp(fault["inject_time"], tz="UTC"),
                "stamp": pd.Timestamp(int(fault["inject_timestamp"]), unit="s", tz="UTC"),
                "service": service_of(fault["inject_pod"]),
                "type": fault["inject_type"],
            }
            for hour in hours.values()
            for fault in hour
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NezhaFormatError(f"{file} is not a list of faults by hour: {error}") from None
    return pd.DataFrame(faults).sort_values("time", ignore_index=True)

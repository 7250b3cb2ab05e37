"""Load NAB's series and label windows.

What to know before trusting a number on NAB:

- A label window is 10 % of the series, divided by the number of its anomalies and centred on
  each: far wider than most anomalies. An alert hours before the anomaly is a "hit".
- The labels are disputed: Wu and Keogh ("Current time series anomaly detection benchmarks are
  flawed and are creating the illusion of progress", IEEE TKDE 2023,
  doi:10.1109/TKDE.2021.3112126) find
  series with wrong labels and anomalies that one line of code detects.
- The first 15 % of a series, at most 750 rows, are probation: not scored.
- Timestamps carry no time zone; here they are read as UTC. Five of the pinned series repeat
  timestamps and one runs backwards for an hour (a clock change); rows are sorted and the first of
  each timestamp is kept. Gaps are kept: they reach 3.5 days in the traffic series.
- 26 of the 58 labelled series are not in the pinned selection (see `missing`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from course.telemetry import public

GROUPS: dict[str, tuple[str, ...]] = {
    "aws": ("realAWSCloudwatch",),
    "known_cause": ("realKnownCause",),
    "traffic": ("realTraffic",),
    "artificial": ("artificialWithAnomaly", "artificialNoAnomaly"),
}
_LABELS = "labels/combined_windows.json"
_PROBATION_SHARE, _PROBATION_ROWS = 0.15, 750


class NabFormatError(ValueError):
    """A file of NAB is not what it should be; the message says which and how."""


@dataclass(frozen=True, eq=False)
class NabSeries:
    """One series with its labels.

    Attributes
    ----------
    name : str
        Folder and file, as in the label file: ``"realAWSCloudwatch/ec2_..._24ae8d.csv"``.
    values : pd.Series of float
        Sorted UTC index named ``time``, no duplicates; the unit is the metric's.
        ``values.attrs["probation_end"]`` is the first time that is scored.
    windows : pd.DataFrame
        Columns `start`, `end` (UTC): the label windows.
    """

    name: str
    values: pd.Series
    windows: pd.DataFrame

    @property
    def short(self) -> str:
        """File name without folder and ending."""
        return Path(self.name).stem

    @property
    def probation_end(self) -> pd.Timestamp:
        """First time that is scored."""
        return self.values.attrs["probation_end"]

    @property
    def observed(self) -> pd.Timedelta:
        """Length of the scored part."""
        return self.values.index[-1] - self.probation_end


def load(group: str = "aws", *, progress: bool = True) -> list[NabSeries]:
    """Load the series of a group.

    Parameters
    ----------
    group : {"aws", "known_cause", "traffic", "artificial"}
    progress : bool
        Show a progress bar if files have to be downloaded.

    Returns
    -------
    list of NabSeries
        In order of name.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    NabFormatError
        If a file can't be read as a series.

    Examples
    --------
    >>> len(load("aws"))                                                 # doctest: +SKIP
    12
    """
    if group not in GROUPS:
        raise ValueError(f"no group {group!r}; there are: {', '.join(GROUPS)}")
    pinned = public.public_set("nab").files
    paths = sorted(p for p in pinned if p.split("/")[1] in GROUPS[group])
    root = public.fetch("nab", only=[_LABELS, *paths], progress=progress)
    labels = json.loads((root / _LABELS).read_text("utf-8"))
    return [_load_one(root, path.removeprefix("data/"), labels) for path in paths]


def missing(group: str) -> list[str]:
    """Labelled series of a group that have no pinned file, so that nobody takes a part for all."""
    root = public.fetch("nab", only=[_LABELS], progress=False)
    pinned = public.public_set("nab").files
    labels = json.loads((root / _LABELS).read_text("utf-8"))
    return sorted(
        name
        for name in labels
        if name.split("/")[0] in GROUPS[group] and f"data/{name}" not in pinned
    )


def read_series(file: Path) -> pd.Series:
    """Read one CSV of NAB.

    Parameters
    ----------
    file : Path
        With the columns ``timestamp`` and ``value``.

    Returns
    -------
    pd.Series of float
        Sorted UTC index named ``time``, first of each repeated timestamp.

    Raises
    ------
    NabFormatError
        Naming the file, and the column or the line that is wrong.
    """
    try:
        table = pd.read_csv(file)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise NabFormatError(f"{file} is not a CSV table: {error}") from None
    if list(table.columns) != ["timestamp", "value"]:
        raise NabFormatError(
            f"{file} has the columns {list(table.columns)}, expected ['timestamp', 'value']"
        )
    if table.empty:
        raise NabFormatError(f"{file} has no rows")
    times = pd.to_datetime(table["timestamp"], errors="coerce", utc=True, format="ISO8601")
    values = pd.to_numeric(table["value"], errors="coerce")
    bad = times.isna() | ~np.isfinite(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise NabFormatError(
            f"{file}, line {row + 2}: {table.iloc[row].tolist()} is not a time and a finite number"
        )
    series = pd.Series(
        values.to_numpy(float), index=pd.DatetimeIndex(times, name="time"), name="value"
    )
    return series.sort_index(kind="stable").loc[lambda s: ~s.index.duplicated()]


def probation_rows(rows: int) -> int:
    """Rows that are not scored: 15 %, at most 750 (NAB's own rule, ``nab/util.py``)."""
    return min(int(_PROBATION_SHARE * rows), _PROBATION_ROWS)


def make_series(
    name: str, values: pd.Series, windows: Iterable[tuple[object, object]]
) -> NabSeries:
    """Put values and label windows together and mark the end of probation."""
    values = values.copy()
    values.attrs["probation_end"] = values.index[probation_rows(len(values))]
    table = pd.DataFrame(list(windows), columns=["start", "end"])
    return NabSeries(name, values, table.apply(pd.to_datetime, utc=True))


def _load_one(root: Path, name: str, labels: dict[str, list[tuple[str, str]]]) -> NabSeries:
    return make_series(name, read_series(root / "data" / name), labels[name])

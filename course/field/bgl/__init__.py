"""Field study: the alert lines of the Blue Gene/L supercomputer.

What to know before trusting a number:

- The operators gave each line of the log a category, "-" where they saw no alert (Oliner and Stearley, "What
  Supercomputers Say: A Study of Five System Logs", DSN 2007).
- Loghub's file holds 2,000 of the log's 4,747,963 lines. Of a burst of thousands of lines a handful is left, so what
  deduplication saves here is a lower bound.
- Nobody labelled incidents. How many notifications are left can be counted, whether they are the right ones can't.

>>> from course.field import bgl
>>> bgl.load_alerts().columns.tolist()                                   # doctest: +SKIP
['start', 'end', 'service', 'alertname', 'severity', 'source']

``python -m course.field.bgl`` prints the study with a plain deduplication.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from course.field import loghub

SOURCE = "Oliner and Stearley, What Supercomputers Say: A Study of Five System Logs, DSN 2007"
#: Lines and alert lines of the whole log, and lines of Loghub's sample.
LINES, ALERT_LINES, SAMPLED = 4_747_963, 348_460, 2_000
#: What may stand as the place in a fingerprint, from the finest to none.
PLACES = {"node": r"(.*)", "midplane": r"(R\d+-M\d)", "machine": r"()"}
_COLUMNS = ["start", "end", "service", "alertname", "severity", "source"]


def load_alerts(place: str = "node") -> pd.DataFrame:
    """Return the alert lines as alerts of one second, by start.

    Parameters
    ----------
    place : str
        What `service` says, one of `PLACES`.

    Returns
    -------
    DataFrame
        Columns start, end (UTC), service, alertname (the operators' category), severity (the
        level of the line), source.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    """
    return read_alerts(loghub.load("BGL", progress=False).table, place)


def read_alerts(table: pd.DataFrame, place: str = "node") -> pd.DataFrame:
    """Turn the lines of a structured file into alerts; see `load_alerts`."""
    if place not in PLACES:
        raise ValueError(f"no place {place!r}; there are: {', '.join(PLACES)}")
    lines = table[table["Label"] != "-"]
    start = pd.to_datetime(lines["Timestamp"].astype("int64"), unit="s", utc=True)
    found = lines["Node"].str.extract(f"^{PLACES[place]}", expand=False)
    alerts = pd.DataFrame(
        {
            "start": start,
            "end": start + pd.Timedelta("1s"),
            "service": found.fillna(lines["Node"]),
            "alertname": lines["Label"],
            "severity": lines["Level"],
            "source": lines["Component"],
        }
    )
    return alerts[_COLUMNS].sort_values("start", kind="stable", ignore_index=True)


def midplane_pairs(alerts: pd.DataFrame) -> pd.DataFrame:
    """Neighbours for a correlation: the two midplanes of each rack, columns caller and callee.

    Examples
    --------
    >>> midplane_pairs(pd.DataFrame({"service": ["R01-M1", "R30-M0"]})).to_numpy().tolist()
    [['R01-M0', 'R01-M1'], ['R30-M0', 'R30-M1']]
    """
    racks = sorted(set(alerts["service"].str.extract(r"^(R\d+)-M\d", expand=False).dropna()))
    return pd.DataFrame([(f"{r}-M0", f"{r}-M1") for r in racks], columns=["caller", "callee"])


def notifications(
    dedupe: Callable[[pd.DataFrame, pd.Timedelta], pd.DataFrame],
    holds: Sequence[str] = ("5s", "1min", "5min", "15min", "1h", "1D"),
    *,
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count what a deduplication leaves, by the place in the fingerprint and the hold time.

    Parameters
    ----------
    dedupe : callable
        Gets alerts and a hold time, returns one row per notification.
    holds : sequence of str
    table : DataFrame, optional
        Lines of a structured file; by default Loghub's.

    Returns
    -------
    DataFrame of int
        Index the hold, a column for each of `PLACES`.
    """
    lines = loghub.load("BGL", progress=False).table if table is None else table
    counts = {
        place: [len(dedupe(read_alerts(lines, place), pd.Timedelta(hold))) for hold in holds]
        for place in PLACES
    }
    return pd.DataFrame(counts, index=pd.Index(holds, name="hold"))

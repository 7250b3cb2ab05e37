"""Rank pods by how far their metrics moved at a fault: the robust z baseline.

For each metric of a pod, with the five minutes before the fault and the three from it on::

    z = |mean(after) - median(before)| / (IQR(before) + 0.05 |median(before)|)

The pod's score is its largest z; a metric without samples, or with nothing to divide by, has
none; a pod without any scores 0. Equal scores share their places: a service that ties with two others for the
first three places is first with a chance of one third. (Breaking ties by the order of files
instead moves the figures by several points.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

BEFORE, AFTER = pd.Timedelta("5min"), pd.Timedelta("3min")
_FLOOR = 0.05


def robust_z(table: pd.DataFrame, times: pd.DatetimeIndex) -> pd.DataFrame:
    """The z of each metric of one pod at some faults.

    Parameters
    ----------
    table : pd.DataFrame
        Metrics on an ascending UTC index; NaN where nothing was measured.
    times : pd.DatetimeIndex
        When the faults began, in UTC.

    Returns
    -------
    pd.DataFrame of float
        One row a fault, one column a metric; NaN where there is nothing to compare.
    """
    index, values = table.index.as_unit("us"), table.to_numpy(float)
    edges = [times - BEFORE, times, times + AFTER]
    places = np.stack([index.searchsorted(edge.as_unit("us")) for edge in edges], axis=1)
    rows = np.full((len(times), values.shape[1]), np.nan)
    for row, (start, middle, end) in enumerate(places):
        if start < middle < end:
            rows[row] = _z(np.sort(values[start:middle], axis=0), values[middle:end])
    return pd.DataFrame(rows, index=times, columns=table.columns)


def rank_pods(tables: Mapping[str, pd.DataFrame], times: pd.DatetimeIndex) -> pd.DataFrame:
    """The score of each pod (columns) at each fault (rows): its largest z, 0 if it has none."""
    scores = {pod: robust_z(table, times).max(axis=1) for pod, table in tables.items()}
    return pd.DataFrame(scores).fillna(0.0)


def hits(scores: pd.Series, truth: str, top: int = 5) -> np.ndarray:
    """The chance that the truth is among the first 1, 2, ... `top`, equal scores in random order.

    Examples
    --------
    >>> hits(pd.Series({"a": 3.0, "b": 1.0, "c": 1.0}), "c", top=3).tolist()
    [0.0, 0.5, 1.0]
    """
    if truth not in scores.index:
        return np.zeros(top)
    above = int((scores > scores[truth]).sum())
    equal = int((scores == scores[truth]).sum())
    return np.clip((np.arange(1, top + 1) - above) / equal, 0.0, 1.0)


def _z(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The z of each column, from the samples before (sorted, NaN last) and after."""
    low, centre, high = (_quantile(before, q) for q in (0.25, 0.5, 0.75))
    there = ~np.isnan(after)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, after, 0).sum(axis=0) / there.sum(axis=0)
        z = np.abs(mean - centre) / (high - low + _FLOOR * np.abs(centre))
    return np.where(np.isfinite(z), z, np.nan)


def _quantile(ordered: np.ndarray, q: float) -> np.ndarray:
    """Quantile of each column, linear as NumPy's, of columns sorted with the NaN last."""
    last = np.maximum((~np.isnan(ordered)).sum(axis=0) - 1, 0)
    place = q * last
    low = np.floor(place).astype(int)
    columns = np.arange(ordered.shape[1])
    below, above = ordered[low, columns], ordered[np.minimum(low + 1, last), columns]
    return below + (place - low) * (above - below)

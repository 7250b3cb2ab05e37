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


def robust_z(table: pd.DataFrame, time: pd.Timestamp) -> pd.Series:
    """The z of each metric of one pod at a fault.

    Parameters
    ----------
    table : pd.DataFrame
        Metrics on an ascending UTC index; NaN where nothing was measured.
    time : pd.Timestamp
        When the fault began, in UTC.

    Returns
    -------
    pd.Series of float
        By metric; NaN where there is nothing to compare.
    """
    start, middle, end = table.index.searchsorted(
        pd.DatetimeIndex([time - BEFORE, time, time + AFTER])
    )
    values = table.to_numpy(float)
    before, after = np.sort(values[start:middle], axis=0), values[middle:end]
    low, centre, high = (_quantile(before, q) for q in (0.25, 0.5, 0.75))
    there = ~np.isnan(after)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, after, 0).sum(axis=0) / there.sum(axis=0)
        z = np.abs(mean - centre) / (high - low + _FLOOR * np.abs(centre))
    return pd.Series(np.where(np.isfinite(z), z, np.nan), index=table.columns)


def rank_pods(tables: Mapping[str, pd.DataFrame], time: pd.Timestamp) -> pd.Series:
    """The score of each pod at a fault: its largest z, 0 if it has none; highest first."""
    scores = {}
    for pod, table in tables.items():
        z = robust_z(table, time).to_numpy()
        scores[pod] = float(np.nanmax(z)) if np.isfinite(z).any() else 0.0
    return pd.Series(scores, dtype=float).sort_values(ascending=False, kind="stable")


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


def _quantile(ordered: np.ndarray, q: float) -> np.ndarray:
    """Quantile of each column, linear as NumPy's, of columns sorted with the NaN last."""
    count = (~np.isnan(ordered)).sum(axis=0)
    if not len(ordered):
        return np.full(ordered.shape[1], np.nan)
    place = q * np.maximum(count - 1, 0)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(ordered.shape[1])
    below, above = ordered[low, columns], ordered[high, columns]
    return below + (place - low) * (above - below)

"""Measures of alerting: how well alerts are gathered, what is lost, what the pager costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course.scoring._inputs import as_timedelta


def adjusted_rand(incident: ArrayLike, found: ArrayLike) -> float:
    """Agreement of found groups with incidents, corrected for chance.

    Hubert and Arabie, Journal of Classification, 1985, as computed by scikit-learn. 1 is the same
    partition, 0 what chance gives. Each alert that no incident caused (-1) counts as a group of
    its own.

    Parameters
    ----------
    incident, found : array_like of int, shape (alerts,)

    Examples
    --------
    >>> adjusted_rand([0, 0, 1, 1, -1], [7, 7, 3, 3, 9])
    1.0
    """
    from sklearn.metrics import adjusted_rand_score

    true, groups = _labels(incident, found)
    alone = true < 0
    true[alone] = true.max(initial=0) + 1 + np.arange(alone.sum())
    return float(adjusted_rand_score(true, groups))


def lost_incidents(incident: ArrayLike, found: ArrayLike) -> list[int]:
    """Incidents that no group stands for.

    A group stands for the incident from which most of its alerts come that are not noise; where
    two are tied, for the smaller number. What is merged into a bigger one is lost.

    Examples
    --------
    >>> lost_incidents([0, 0, 0, 1, 1, 2], [5, 5, 5, 5, 5, 6])
    [1]
    """
    true, groups = _labels(incident, found)
    real = true >= 0
    table = pd.crosstab(groups[real], true[real])
    return sorted(set(true[real].tolist()) - set(table.idxmax(axis=1).tolist()))


def compression(alerts: int, pages: int) -> float:
    """Share of alerts that nobody was paged for: ``1 - pages / alerts``; 0 without alerts.

    Examples
    --------
    >>> compression(200, 10)
    0.95
    """
    return 1.0 - pages / alerts if alerts else 0.0


def pages_per_shift(pages: int, span: Any, shift: Any = "8h") -> float:
    """Mean number of pages in a shift of length ``shift`` over the time ``span``.

    Examples
    --------
    >>> pages_per_shift(6, "24h")
    2.0
    """
    length, one = as_timedelta(span, "span"), as_timedelta(shift, "shift")
    if not length or not one:
        raise ValueError("span and shift must be longer than zero")
    return float(pages / (length / one))


def minutes_to_first_page(
    page_times: pd.DatetimeIndex, page_incident: ArrayLike, incident_starts: pd.Series
) -> pd.Series:
    """Minutes from each incident's first alert to the first page that names one of its alerts.

    Parameters
    ----------
    page_times : DatetimeIndex, shape (pages,)
    page_incident : array_like of int, shape (pages,)
        The incident of the alert that a page names; -1 for noise.
    incident_starts : Series of Timestamp, indexed by incident

    Returns
    -------
    Series of float
        Infinite for an incident that never paged.

    Examples
    --------
    >>> at = pd.Timestamp("2026-03-02T09:00Z")
    >>> starts = pd.Series([at, at], index=[0, 1])
    >>> minutes_to_first_page(pd.DatetimeIndex([at + pd.Timedelta("3min")]), [1], starts).tolist()
    [inf, 3.0]
    """
    first = (
        pd.Series(page_times, dtype="datetime64[ns, UTC]").groupby(np.asarray(page_incident)).min()
    )
    waited = (first.reindex(incident_starts.index) - incident_starts) / pd.Timedelta("1min")
    return waited.astype(float).fillna(np.inf)


def _labels(incident: ArrayLike, found: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    true, groups = np.array(incident), np.asarray(found)
    if true.ndim != 1 or true.shape != groups.shape:
        raise ValueError(
            f"one label per alert is needed; found {true.shape} of incidents and {groups.shape} "
            "of groups"
        )
    return true.astype(int), groups

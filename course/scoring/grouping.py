"""Measures for alert correlation: are the alerts of an incident together, and is none lost?

Alerts are grouped so that a person gets one page a group. Two mistakes are not equally bad: an
incident that is split costs another page, an incident that is merged into another one is seen by
nobody.

Source of the adjusted Rand index: Hubert and Arabie, "Comparing partitions", Journal of
Classification 1985 (computed by scikit-learn).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from course.scoring._inputs import as_timedelta, check_times
from course.scoring.parsing import _codes


@dataclass(frozen=True)
class GroupingScores:
    """How well alerts are grouped into incidents.

    Attributes
    ----------
    adjusted_rand : agreement of the two partitions: 1 is equality, 0 what chance brings
    lost : incidents that are the main one of no group, in order
    split : incidents that are the main one of more than one group, in order
    noise_pages : groups in which alerts of no incident are the most
    groups, alerts : numbers of groups and alerts
    compression : 1 - groups / alerts
    """

    adjusted_rand: float
    lost: tuple[Hashable, ...]
    split: tuple[Hashable, ...]
    noise_pages: int
    groups: int
    alerts: int
    compression: float


def grouping_scores(incidents: Sequence[Hashable], groups: Sequence[Hashable]) -> GroupingScores:
    """Score groups of alerts against the incidents that they come from.

    Parameters
    ----------
    incidents : sequence of hashable, shape (n,)
        The incident of each alert, in order of time; missing (None, NaN) for one that belongs to
        none.
    groups : sequence of hashable, shape (n,)
        The group that each alert was put in.

    Returns
    -------
    GroupingScores
        In the adjusted Rand index each alert of no incident is an incident of its own. The main
        incident of a group is the one with most alerts in it, of several the one whose alert comes
        first.

    Raises
    ------
    ValueError
        No alerts, different lengths, or an alert without a group.

    Examples
    --------
    >>> scores = grouping_scores(["db", "db", "pay", "db", None], [1, 1, 1, 2, 3])
    >>> scores.lost, scores.split, scores.noise_pages, scores.compression
    (('pay',), ('db',), 1, 0.4)
    """
    from sklearn.metrics import adjusted_rand_score

    if len(incidents) != len(groups):
        raise ValueError(f"{len(incidents)} alerts have an incident and {len(groups)} a group.")
    if len(incidents) == 0:
        raise ValueError("there are no alerts to score.")
    truth, found = _codes(incidents), _codes(groups)
    if (found < 0).any():
        raise ValueError(f"alert {int(np.argmax(found < 0))} has no group.")
    noise = truth < 0
    singles = truth.copy()
    singles[noise] = truth.max() + 1 + np.arange(noise.sum())
    mains = pd.Series(truth).groupby(found).agg(_main)
    named = _names(incidents, truth)
    counts = mains[mains >= 0].value_counts()
    return GroupingScores(
        adjusted_rand=float(adjusted_rand_score(singles, found)),
        lost=tuple(name for code, name in enumerate(named) if code not in counts.index),
        split=tuple(name for code, name in enumerate(named) if counts.get(code, 0) > 1),
        noise_pages=int((mains < 0).sum()),
        groups=len(mains),
        alerts=len(truth),
        compression=1 - len(mains) / len(truth),
    )


def pages_per_shift(
    pages: pd.DatetimeIndex, start: pd.Timestamp, end: pd.Timestamp, *, shift: Any = "12h"
) -> pd.Series:
    """Number of pages in each shift.

    Parameters
    ----------
    pages : DatetimeIndex
        UTC, sorted, no two at one time; those outside of start <= time < end do not count.
    start, end : Timestamp
        With time zone. A last shift that would end after `end` is left out.
    shift : duration
        Greater than 0.

    Returns
    -------
    Series of int
        By the begin of the shift; a shift without a page has 0.

    Examples
    --------
    >>> begin = pd.Timestamp("2026-03-02T08:00Z")
    >>> pages = pd.DatetimeIndex(["2026-03-02T09:00Z", "2026-03-02T23:00Z", "2026-03-02T23:30Z"])
    >>> pages_per_shift(pages, begin, begin + pd.Timedelta("24h")).tolist()
    [1, 2]
    """
    length = as_timedelta(shift, "shift")
    if length <= pd.Timedelta(0) or end - start < length:
        raise ValueError(f"no whole shift of {length} fits between {start} and {end}.")
    begins = pd.date_range(start, end - length, freq=length)
    edges = begins.append(pd.DatetimeIndex([begins[-1] + length]))
    times = check_times(pages, "pages")
    places = np.searchsorted(edges.as_unit("ns").asi8, times.as_unit("ns").asi8, side="right") - 1
    inside = places[(places >= 0) & (places < len(begins))]
    return pd.Series(np.bincount(inside, minlength=len(begins)), index=begins, name="pages")


def _main(codes: pd.Series) -> int:
    """The code that occurs most, of several the one that comes first."""
    counts = codes.value_counts()
    first = codes[codes.isin(counts[counts == counts.max()].index)]
    return int(first.iloc[0])


def _names(incidents: Sequence[Hashable], codes: np.ndarray) -> list[Hashable]:
    values = list(incidents)
    firsts = pd.Series(np.arange(len(codes))).groupby(codes).min()
    return [values[place] for code, place in firsts.items() if code >= 0]

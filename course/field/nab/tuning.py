"""Choose settings without the labels that judge them.

The rule, one for all families: of the settings whose recall on the *other* series is at least
that of the textbook EWMA (4 sigma) there, take the one with the highest precision; if none
reaches that recall, the one with the highest recall. Two ways to say "other":

- ``"series"``: all series but the one that is judged (leave one series out);
- ``"group"``: all series of the other groups (leave one group out; stricter, since no series of
  the same kind is used).

`budget_threshold` needs no labels at all: it sets a threshold by the number of alerts alone.

The chosen settings are kept in ``chosen.json``; ``python -m course.field.nab --tune FILE`` makes
it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from course.field.nab.data import GROUPS, NabSeries
from course.field.nab.detectors import TEXTBOOK, Robust, Threshold
from course.field.nab.events import quick_counts

FAMILIES = ("static", "rolling MAD", "EWMA", "robust, time of day")
REFERENCE = "robust, time of day"
_TEXTBOOK_OF = dict(zip(FAMILIES, TEXTBOOK, strict=False))
_REFRACTORY_HOURS = (0.0, 6.0, 12.0)
_BASELINE_THRESHOLDS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)
_ROBUST_THRESHOLDS = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_HABITUATION = ((0.0, 1.0), (0.5, 1.0), (0.5, 3.0), (0.8, 1.0), (0.8, 3.0))
_BUDGET_THRESHOLDS = np.geomspace(0.5, 1000.0, 153)


def settings(family: str) -> list[Robust | Threshold]:
    """All settings of a family that tuning may choose from, in a fixed order."""
    if family == REFERENCE:
        return [
            Robust(k, days, hourly, time_of_day, habituation, habituation_days, refractory)
            for days, hourly, time_of_day, (
                habituation,
                habituation_days,
            ), k, refractory in product(
                (1.0, 3.0),
                (False, True),
                (False, True),
                _HABITUATION,
                _ROBUST_THRESHOLDS,
                _REFRACTORY_HOURS,
            )
        ]
    score = TEXTBOOK[_TEXTBOOK_OF[family]].score
    return [
        Threshold(score, k, hours) for k, hours in product(_BASELINE_THRESHOLDS, _REFRACTORY_HOURS)
    ]


def tune(groups: dict[str, list[NabSeries]], *, progress: bool = True) -> dict[str, Any]:
    """Choose settings for each series and each group, as the module's text says.

    Parameters
    ----------
    groups : dict of str to list of NabSeries
        All groups that take part, in order.

    Returns
    -------
    dict
        ``["series"][family][series name]`` and ``["group"][family][group]``: the setting's
        fields; ``["variants"][family]``: how many settings were tried.
    """
    names = [series.name for every in groups.values() for series in every]
    group_of = np.array([group for group, every in groups.items() for _ in every])
    reference = _counts([TEXTBOOK["EWMA 4 sigma"]], groups, "textbook EWMA", progress)[0]
    chosen: dict[str, Any] = {"series": {}, "group": {}, "variants": {}}
    for family in FAMILIES:
        candidates = settings(family)
        counts = _counts(candidates, groups, family, progress)

        def pick(others: np.ndarray, counts: Any = counts, candidates: Any = candidates) -> Any:
            best = _choose(counts[:, others].sum(axis=1), reference[others].sum(axis=0))
            return _fields(candidates[best])

        chosen["series"][family] = {
            name: pick(np.arange(len(names)) != i) for i, name in enumerate(names)
        }
        chosen["group"][family] = {group: pick(group_of != group) for group in groups}
        chosen["variants"][family] = len(candidates)
    return chosen


@cache
def _chosen() -> dict[str, Any]:
    text = resources.files("course.field.nab").joinpath("chosen.json").read_text("utf-8")
    return json.loads(text)


def variants() -> dict[str, int]:
    """How many settings of each family were tried in tuning."""
    return _chosen()["variants"]


def chosen(family: str, series: NabSeries, leave_out: str) -> Robust | Threshold:
    """The setting to use on a series.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    series : NabSeries
    leave_out : {"series", "group"}
        What was left out when the setting was chosen.
    """
    folder = series.name.split("/")[0]
    group = next(name for name, folders in GROUPS.items() if folder in folders)
    key = series.name if leave_out == "series" else group
    fields = _chosen()[leave_out][family][key]
    if family == REFERENCE:
        return Robust(**fields)
    return replace(TEXTBOOK[_TEXTBOOK_OF[family]], **fields)


def budget_threshold(
    detector: Robust | Threshold, group: Sequence[NabSeries], alerts_per_series_day: float
) -> float:
    """Smallest threshold that keeps to a budget of alerts; uses no labels.

    Parameters
    ----------
    detector : Robust or Threshold
        Its own threshold is ignored.
    group : sequence of NabSeries
    alerts_per_series_day : float
        Budget, pooled over the group.

    Returns
    -------
    float
        From a geometric grid of 153 values between 0.5 and 1000.
    """
    scores = [detector.score(series.values) for series in group]
    days = sum(series.observed / pd.Timedelta(days=1) for series in group)
    for threshold in _BUDGET_THRESHOLDS:
        at = detector.at(float(threshold))
        alerts = sum(
            quick_counts(series, at.flags(score))[1]
            for series, score in zip(group, scores, strict=True)
        )
        if alerts <= alerts_per_series_day * days:
            return float(threshold)
    return float(_BUDGET_THRESHOLDS[-1])


def _counts(
    candidates: Sequence[Robust | Threshold],
    groups: dict[str, list[NabSeries]],
    label: str,
    progress: bool,
) -> np.ndarray:
    """Shape (settings, series, 3): windows found, alerts, hits."""
    every = [series for group in groups.values() for series in group]
    counts = np.zeros((len(candidates), len(every), 3), dtype=int)
    for j, series in enumerate(tqdm(every, desc=label, unit="series", disable=not progress)):
        scores: dict[Any, pd.Series] = {}
        for i, candidate in enumerate(candidates):
            key = _score_key(candidate)
            if key not in scores:
                scores[key] = candidate.score(series.values)
            counts[i, j] = quick_counts(series, candidate.flags(scores[key]))
    return counts


def _choose(counts: np.ndarray, reference: np.ndarray) -> int:
    found, alerts, hits = counts.T
    precision = hits / np.maximum(alerts, 1)
    enough = found >= reference[0]
    if not enough.any():
        enough = found == found.max()
    return int(np.argmax(np.where(enough, precision, -1.0)))


def _score_key(candidate: Robust | Threshold) -> Any:
    if isinstance(candidate, Robust):
        return candidate.days, candidate.hourly, candidate.time_of_day
    return None


def _fields(candidate: Robust | Threshold) -> dict[str, Any]:
    if isinstance(candidate, Robust):
        return asdict(candidate)
    return {"threshold": candidate.threshold, "refractory_hours": candidate.refractory_hours}

"""Choose settings without the labels that judge them.

The rule, one for all families: of the settings whose recall on the *other* series is at least
that of the textbook EWMA (4 sigma) there, take the one with the highest precision; if none
reaches that recall, the one with the highest recall. Two ways to say "other":

- ``"series"``: all series but the one that is judged (leave one series out);
- ``"group"``: all series of the other groups (leave one group out; stricter, since no series of
  the same kind is used).

``"alerts"`` takes the form chosen with the group left out (for a baseline: the textbook form) and
sets its threshold without any label: `budget_threshold` finds the one that raises as many alerts on
the group as the textbook EWMA does. It sees the group's values as a whole, as a team does that
turns a threshold until the pages are bearable.

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
_BUDGET_THRESHOLDS = 4.0 * 1.02 ** np.arange(-100, 280)  # 0.55 to 1004, in steps of 2 %


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
    score = _textbook(family).score
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
        fields; ``["alerts"][family][group]``: the threshold at equal alerts;
        ``["variants"][family]``: how many settings were tried.
    """
    names = [series.name for every in groups.values() for series in every]
    group_of = np.array([group for group, every in groups.items() for _ in every])
    reference = _counts([TEXTBOOK["EWMA 4 sigma"]], groups, "textbook EWMA", progress)[0]
    budgets = {
        group: _alert_rate(TEXTBOOK["EWMA 4 sigma"], every) for group, every in groups.items()
    }
    chosen: dict[str, Any] = {"series": {}, "group": {}, "alerts": {}, "variants": {}}
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
        chosen["alerts"][family] = {
            group: budget_threshold(
                Robust(**chosen["group"][family][group])
                if family == REFERENCE
                else _textbook(family),
                every,
                budgets[group],
            )
            for group, every in groups.items()
        }
        chosen["variants"][family] = len(candidates)
    return chosen


@cache
def _chosen() -> dict[str, Any]:
    text = resources.files("course.field.nab").joinpath("chosen.json").read_text("utf-8")
    return json.loads(text)


def variants() -> dict[str, int]:
    """How many settings of each family were tried in tuning."""
    return _chosen()["variants"]


def chosen(family: str, series: NabSeries, way: str) -> Robust | Threshold:
    """The setting to use on a series.

    Parameters
    ----------
    family : str
        One of `FAMILIES`.
    series : NabSeries
    way : {"series", "group", "alerts"}
        How the setting was chosen; see the module's text.
    """
    folder = series.name.split("/")[0]
    group = next(name for name, folders in GROUPS.items() if folder in folders)
    if way == "alerts":
        form = chosen(family, series, "group") if family == REFERENCE else _textbook(family)
        return form.at(_chosen()["alerts"][family][group])
    fields = _chosen()[way][family][series.name if way == "series" else group]
    if family == REFERENCE:
        return Robust(**fields)
    return replace(_textbook(family), **fields)


def budget_threshold(
    detector: Robust | Threshold, group: Sequence[NabSeries], alerts_per_series_day: float
) -> float:
    """Smallest threshold from which upwards a budget of alerts is kept; uses no labels.

    Far below it the number of alerts falls again, as alerts grow together until one lasts for
    ever. So the search comes from above and stops where the budget is first broken.

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
        From a grid between 0.55 and 1004 in steps of 2 % that contains 4.
    """
    scores = [detector.score(series.values) for series in group]
    days = sum(series.observed / pd.Timedelta(days=1) for series in group)
    kept = float(_BUDGET_THRESHOLDS[-1])
    for threshold in _BUDGET_THRESHOLDS[::-1]:
        at = detector.at(float(threshold))
        alerts = sum(
            quick_counts(series, at.flags(score))[1]
            for series, score in zip(group, scores, strict=True)
        )
        if alerts > alerts_per_series_day * days:
            break
        kept = float(threshold)
    return kept


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


def _textbook(family: str) -> Threshold:
    return TEXTBOOK[_TEXTBOOK_OF[family]]


def _alert_rate(detector: Threshold, group: Sequence[NabSeries]) -> float:
    alerts = sum(quick_counts(series, detector(series.values))[1] for series in group)
    return alerts / sum(series.observed / pd.Timedelta(days=1) for series in group)


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

"""Detectors of the field study: score functions, a threshold, and what is done about repeats.

Every detector is causal: the flag at a time depends on values up to that time, and on the
probation (the first 15 %, whose end is given in ``values.attrs["probation_end"]``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd

Detector = Callable[[pd.Series], pd.Series]
ScoreFunction = Callable[[pd.Series], pd.Series]

_EPSILON = 1e-9
_SIGMA_PER_MAD = 1.4826  # for normal data (Hampel 1974)
_DAYS_BACK = 7


def static_score(values: pd.Series) -> pd.Series:
    """Distance from the mean of the probation, in its standard deviations."""
    quiet = values[values.index < values.attrs["probation_end"]]
    return (values - quiet.mean()).abs() / max(quiet.std(), _EPSILON)


def mad_score(values: pd.Series, *, days: float = 1.0) -> pd.Series:
    """Distance from the median of the last day, in robust sigmas (1.4826 MAD)."""
    rows = max(24, round(days * rows_per_day(values)))
    past = values.shift()
    median = past.rolling(rows, min_periods=rows // 4).median()
    mad = (past - median).abs().rolling(rows, min_periods=rows // 4).median()
    return (values - median).abs() / (_SIGMA_PER_MAD * mad).clip(lower=_EPSILON)


def ewma_score(values: pd.Series, *, span: int = 288) -> pd.Series:
    """Distance from the exponentially weighted mean, in exponentially weighted sigmas."""
    past = values.shift().ewm(span=span)
    return (values - past.mean()).abs() / past.std().clip(lower=_EPSILON)


@dataclass(frozen=True)
class Robust:
    """The reference: a robust z-score that also has to be unusual for the time of day.

    score = |x - median of the last `days`| / max(1.4826 MAD, std / 2) over the same days, and 0
    while x lies within the range seen within half an hour of this time of day on the last seven
    days. Half a standard deviation keeps the scale from vanishing where more than half of the
    values are equal, as on an idle machine. `hourly` takes the greater of the scores of the value
    and of its hourly mean. A score must exceed `threshold` and `habituation` times the greatest
    score of the last `habituation_days` (the last hour left out); after an alert there is none
    for `refractory_hours`.

    A detector with four tricks needs a reason for each: the study's tuning chose which of them
    to use on series that are not in the group that is judged.
    """

    threshold: float = 5.0
    days: float = 3.0
    hourly: bool = False
    time_of_day: bool = True
    habituation: float = 0.5
    habituation_days: float = 1.0
    refractory_hours: float = 0.0

    def score(self, values: pd.Series) -> pd.Series:
        """Score of each value; 0 where there is too little past to tell."""
        score = _robust_score(values, self.days)
        if self.hourly:
            hour = values.rolling(max(1, rows_per_day(values) // 24), min_periods=1).mean()
            score = np.fmax(score, _robust_score(hour, self.days))
        score = score.fillna(0.0)
        return score.where(~usual_for_time_of_day(values), 0.0) if self.time_of_day else score

    def flags(self, score: pd.Series) -> pd.Series:
        """Turn scores into flags by threshold, habituation and refractory period."""
        level: Any = self.threshold
        if self.habituation:
            rows = rows_per_day(score)
            recent = score.shift(max(1, rows // 24)).rolling(
                max(1, round(self.habituation_days * rows)), min_periods=1
            )
            level = (self.habituation * recent.max().fillna(0.0)).clip(lower=self.threshold)
        return refractory(score > level, self.refractory_hours)

    def __call__(self, values: pd.Series) -> pd.Series:
        """Flags of a series."""
        return self.flags(self.score(values))

    def at(self, threshold: float) -> Robust:
        """The same detector at another threshold."""
        return replace(self, threshold=threshold)


@dataclass(frozen=True)
class Threshold:
    """A score function with a fixed threshold and, if asked for, a refractory period."""

    score: ScoreFunction
    threshold: float
    refractory_hours: float = 0.0

    def flags(self, score: pd.Series) -> pd.Series:
        """Turn scores into flags."""
        return refractory(score > self.threshold, self.refractory_hours)

    def __call__(self, values: pd.Series) -> pd.Series:
        """Flags of a series."""
        return self.flags(self.score(values))

    def at(self, threshold: float) -> Threshold:
        """The same detector at another threshold."""
        return replace(self, threshold=threshold)


TEXTBOOK: dict[str, Threshold] = {
    "static 3 sigma": Threshold(static_score, 3.0),
    "rolling 6 MAD": Threshold(mad_score, 6.0),
    "EWMA 4 sigma": Threshold(ewma_score, 4.0),
}


def from_fit_detect(
    fit_detector: Callable[[pd.DataFrame], Any],
    detect: Callable[[Any, pd.DataFrame], pd.Series],
    *,
    column: str = "value",
) -> Detector:
    """Let a detector of the shop's form run on a series of NAB.

    Parameters
    ----------
    fit_detector, detect : callable
        ``fit_detector(history) -> model`` and ``detect(model, live) -> flags``, where history and
        live are DataFrames with a UTC index.
    column : str
        Name of the single column that they get.

    Returns
    -------
    callable
        values -> flags: fitted on the probation, False there, ``detect`` after it.

    Examples
    --------
    >>> detector = from_fit_detect(
    ...     lambda history: history["value"].max(), lambda top, live: live["value"] > top
    ... )
    """

    def detector(values: pd.Series) -> pd.Series:
        table = values.to_frame(column)
        quiet = values.index < values.attrs["probation_end"]
        flags = pd.Series(False, index=values.index)
        live = table[~quiet]
        if len(live):
            flags[~quiet] = np.asarray(detect(fit_detector(table[quiet]), live), dtype=bool)
        return flags

    return detector


def refractory(flags: pd.Series, hours: float) -> pd.Series:
    """Keep a flag only if no flag was kept within the last `hours`."""
    if not hours:
        return flags
    times = flags.index.as_unit("ns").asi8
    wait = int(hours * 3600e9)
    kept = np.zeros(len(flags), dtype=bool)
    last: int | None = None
    for i in np.flatnonzero(flags.to_numpy()):
        if last is None or times[i] - last >= wait:
            kept[i], last = True, times[i]
    return pd.Series(kept, index=flags.index)


def usual_for_time_of_day(values: pd.Series) -> pd.Series:
    """True where a value lies in the range seen at this time of day on earlier days.

    The range is that of the values within half an hour of this time on each of the last seven
    days; on the first day there is none and nothing is usual. Rows stand for time: after a gap
    the comparison is shifted until a week has passed.
    """
    rows = rows_per_day(values)
    half = max(1, rows // 48)
    low = pd.Series(np.inf, index=values.index)
    high = -low
    for day in range(1, _DAYS_BACK + 1):
        around = values.shift(day * rows - half).rolling(2 * half + 1)
        low = np.fmin(low, around.min())
        high = np.fmax(high, around.max())
    return (values >= low) & (values <= high)


def rows_per_day(values: pd.Series) -> int:
    """Samples a day, from the median step of the first 100 (so that the future can't change it)."""
    step = pd.Series(values.index[:100]).diff().median()
    return max(1, round(cast(float, pd.Timedelta(days=1) / step)))


def _robust_score(values: pd.Series, days: float) -> pd.Series:
    rows = max(24, round(days * rows_per_day(values)))
    past = values.shift()
    window = past.rolling(rows, min_periods=rows // 4)
    median = window.median()
    mad = (past - median).abs().rolling(rows, min_periods=rows // 4).median()
    scale = np.maximum(_SIGMA_PER_MAD * mad, 0.5 * window.std()).clip(lower=_EPSILON)
    return (values - median).abs() / scale

"""Demand on the shop as a function of the calendar: the same for every seed.

Five journeys enter at the gateway. Each has its own daily curve for working days and weekends.
A week has its rhythm, the year its slow growth and its season, and holidays their own level.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from course.shop.topology import MEAN_GATEWAY_RATE, TOPOLOGY

MINUTES_PER_DAY = 1440

#: Entry service of each journey, in the order of every journey axis.
JOURNEYS: tuple[str, ...] = ("storefront", "search", "cart", "checkout", "account")

# Log-harmonics of a day: (amplitude, hour of the peak) of one and of two waves a day.
_WORKDAY = {
    "storefront": ((0.62, 17.5), (0.17, 20.0)),
    "search": ((0.58, 17.0), (0.15, 20.5)),
    "cart": ((0.66, 18.0), (0.19, 20.0)),
    "checkout": ((0.62, 18.0), (0.22, 19.5)),
    "account": ((0.50, 15.5), (0.12, 20.0)),
}
_WEEKEND = {
    "storefront": ((0.58, 16.0), (0.10, 20.5)),
    "search": ((0.54, 15.5), (0.09, 20.5)),
    "cart": ((0.62, 16.0), (0.11, 20.5)),
    "checkout": ((0.58, 15.5), (0.12, 20.0)),
    "account": ((0.46, 14.5), (0.08, 20.0)),
}
#: Level of a day, Monday first; they average to one.
_WEEKDAY_LEVEL = np.array([1.00, 0.97, 0.96, 0.99, 1.03, 1.06, 0.99])
_GROWTH_PER_YEAR = 0.16
_FIXED_HOLIDAYS = {
    (1, 1): ("New Year", 0.72),
    (5, 1): ("Labour Day", 0.85),
    (12, 24): ("Christmas Eve", 0.78),
    (12, 25): ("Christmas Day", 0.62),
    (12, 26): ("Boxing Day", 1.22),
}


def holidays(year: int) -> dict[pd.Timestamp, str]:
    """Return the holidays of a year that change demand: UTC midnight -> name."""
    days = {
        pd.Timestamp(year=year, month=month, day=day, tz="UTC"): name
        for (month, day), (name, _) in _FIXED_HOLIDAYS.items()
    }
    days[_black_friday(year)] = "Black Friday"
    days[_black_friday(year) + pd.Timedelta(days=3)] = "Cyber Monday"
    return dict(sorted(days.items()))


def demand(start: pd.Timestamp, minutes: int) -> np.ndarray:
    """Return expected requests per second of each journey, [minute, journey].

    Parameters
    ----------
    start : pd.Timestamp
        Time zone aware; the calendar is read in UTC.
    minutes : int

    Notes
    -----
    level(t) = mean rate x journey share x day level x daily curve(t), where the day level (week,
    year, holiday) is interpolated between noons and the curve blends working day and weekend.
    """
    first = int(start.timestamp()) // 60
    minute = first + np.arange(minutes)
    day = minute // MINUTES_PER_DAY
    within = minute % MINUTES_PER_DAY
    days = np.arange(day[0] - 1, day[-1] + 2)
    noons = days * MINUTES_PER_DAY + MINUTES_PER_DAY // 2
    level = np.interp(minute, noons, [_day_level(int(number)) for number in days])
    weekend = np.interp(minute, noons, [float(_weekday(int(number)) >= 5) for number in days])
    work_curve, free_curve = _curves()
    curve = work_curve[within] * (1 - weekend[:, None]) + free_curve[within] * weekend[:, None]
    shares = TOPOLOGY.call_matrix[0][[TOPOLOGY.position[name] for name in JOURNEYS]]
    return MEAN_GATEWAY_RATE * shares * level[:, None] * curve


def spread(journeys: np.ndarray) -> np.ndarray:
    """Send journeys [minute, journey] down the call graph: requests per second [minute, service].

    Every journey is one request at the gateway and one at its entry service; below that the
    calls per request of the topology hold.
    """
    rate = np.zeros((len(journeys), len(TOPOLOGY.services)))
    for place, name in enumerate(JOURNEYS):
        visits = TOPOLOGY.visits[TOPOLOGY.position[name]].copy()
        visits[0] = 1.0
        rate += journeys[:, place, None] * visits
    return rate


@lru_cache(maxsize=1)
def _curves() -> tuple[np.ndarray, np.ndarray]:
    return _daily(_WORKDAY), _daily(_WEEKEND)


def _daily(shapes: Mapping[str, tuple[tuple[float, float], ...]]) -> np.ndarray:
    hour = np.arange(MINUTES_PER_DAY) / 60.0
    columns = []
    for name in JOURNEYS:
        log_level = np.zeros(MINUTES_PER_DAY)
        for waves, (amplitude, peak) in enumerate(shapes[name], start=1):
            log_level += amplitude * np.cos(2 * np.pi * waves * (hour - peak) / 24.0)
        columns.append(np.exp(log_level) / np.exp(log_level).mean())
    return np.stack(columns, axis=1)


def _weekday(day: int) -> int:
    return (day + 3) % 7  # 1970-01-01 was a Thursday


@lru_cache(maxsize=4096)
def _day_level(day: int) -> float:
    """Level of the day that is ``day`` days after 1970-01-01: week, growth, season, holiday."""
    date = pd.Timestamp(day, unit="D", tz="UTC")
    year = (date.day_of_year - 1) / 365.0
    growth = 1.0 + _GROWTH_PER_YEAR * (year - 0.5)
    if date.day_of_year <= 14:  # the year's growth is given back in the January lull
        growth += _GROWTH_PER_YEAR * (1 - date.day_of_year / 14) * 0.8
    level = growth * float(_WEEKDAY_LEVEL[_weekday(day)])
    if (date.month, date.day) in _FIXED_HOLIDAYS:
        return level * _FIXED_HOLIDAYS[date.month, date.day][1]
    if date.month == 11:
        friday = _black_friday(date.year)
        level *= {0: 1.30, 3: 1.22}.get((date - friday).days, 1.0)
    return level


def _black_friday(year: int) -> pd.Timestamp:
    first = pd.Timestamp(year=year, month=11, day=1, tz="UTC")
    thursday = first + pd.Timedelta(days=(3 - first.day_of_week) % 7 + 21)
    return thursday + pd.Timedelta(days=1)

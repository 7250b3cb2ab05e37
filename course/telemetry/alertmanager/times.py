"""Time intervals that mute or activate a route: times of the day and weekdays, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from course.telemetry.alertmanager.errors import ConfigError

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Alertmanager counts from Sunday, so a range may run from Sunday to Saturday but not across it.
_WEEK = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)


@dataclass(frozen=True)
class TimeInterval:
    """Minutes of the day as (start, stop) with stop excluded, and weekdays (Monday is 0).

    An empty tuple stands for any.
    """

    minutes: tuple[tuple[int, int], ...]
    weekdays: frozenset[int]

    def holds(self, time: pd.Timestamp) -> bool:
        """Whether a UTC time lies in the interval."""
        minute = time.hour * 60 + time.minute
        timely = not self.minutes or any(start <= minute < stop for start, stop in self.minutes)
        return timely and (not self.weekdays or time.weekday() in self.weekdays)


def read_interval(entry: object) -> TimeInterval:
    """Read one entry of ``time_intervals``; only ``times`` and ``weekdays`` are supported.

    Examples
    --------
    >>> night = read_interval({"times": [{"start_time": "22:00", "end_time": "24:00"}],
    ...                        "weekdays": ["monday:friday"]})
    >>> night.holds(pd.Timestamp("2026-03-06T22:30Z")), night.holds(pd.Timestamp("2026-03-07T23:00Z"))
    (True, False)
    """
    if not isinstance(entry, dict) or not set(entry) <= {"times", "weekdays"}:
        raise ConfigError("a time interval may hold `times` and `weekdays`; months, years, days "
                          "of the month and locations are not supported")  # fmt: skip
    minutes = []
    for span in entry.get("times") or []:
        if not isinstance(span, dict) or set(span) != {"start_time", "end_time"}:
            raise ConfigError("each of `times` needs start_time and end_time and nothing else")
        start, stop = (_minute(span[key]) for key in ("start_time", "end_time"))
        if start >= stop:
            raise ConfigError(f"start_time must be before end_time, found {span}; split at 24:00")
        minutes.append((start, stop))
    days: set[int] = set()
    for text in entry.get("weekdays") or []:
        days |= _weekdays(text)
    return TimeInterval(tuple(minutes), frozenset(days))


def _minute(text: object) -> int:
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"{text!r} is no time of the day; write HH:MM, up to 24:00")
    return 1440 if match[1] is None else int(match[1]) * 60 + int(match[2])


def _weekdays(text: object) -> set[int]:
    ends = text.lower().split(":") if isinstance(text, str) else []
    if not 1 <= len(ends) <= 2 or not set(ends) <= set(_WEEK):
        raise ConfigError(f"{text!r} is no weekday or range such as monday:friday")
    first, last = _WEEK.index(ends[0]), _WEEK.index(ends[-1])
    if first > last:
        raise ConfigError(f"{text!r} runs backwards: a week begins on Sunday")
    return {_DAYS.index(day) for day in _WEEK[first : last + 1]}

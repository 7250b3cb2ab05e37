"""What may happen in the shop: faults, surges, deploys and flags on a stretch of calendar time."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pandas as pd

from course.shop.faults import FAULTS
from course.shop.surges import SURGES
from course.shop.topology import SERVICES, TOPOLOGY

MAX_MINUTES = 400 * 1440


@dataclass(frozen=True)
class Fault:
    """One fault: ``kind`` strikes ``service`` at minute ``start`` of its scenario.

    Parameters
    ----------
    kind : str
        A key of ``course.shop.FAULTS``.
    service : str
        A service at which this kind can strike (``FAULTS[kind].services``).
    start : int
        Minutes after the start of the scenario.
    minutes : int
        How long the fault acts; backlogs and restarts may last longer.
    severity : float
        0 < severity <= 1; a low one may drown in noise.

    Raises
    ------
    ValueError
        If a value is outside what is allowed; the message says what is allowed.
    """

    kind: str
    service: str
    start: int
    minutes: int
    severity: float = 0.6

    def __post_init__(self) -> None:
        _one_of("fault kind", self.kind, FAULTS)
        _one_of("service", self.service, SERVICES)
        if self.service not in FAULTS[self.kind].services:
            raise ValueError(
                f"{self.kind} can't strike {self.service}; "
                f"choose one of: {', '.join(FAULTS[self.kind].services)}"
            )
        _span("fault", self.start, self.minutes)
        if not 0 < self.severity <= 1:
            raise ValueError(f"severity is {self.severity}; it must lie in (0, 1]")


@dataclass(frozen=True)
class Surge:
    """A harmless burst of demand or work. ``size`` 1.0 is the kind's usual size.

    ``kind`` is a key of ``course.shop.SURGES``; ``start`` and ``minutes`` as in `Fault`.
    """

    kind: str
    start: int
    minutes: int
    size: float = 1.0

    def __post_init__(self) -> None:
        _one_of("surge kind", self.kind, SURGES)
        _span("surge", self.start, self.minutes)
        if not 0 < self.size <= 3:
            raise ValueError(f"size is {self.size}; it must lie in (0, 3]")


@dataclass(frozen=True)
class Deploy:
    """A harmless release of ``service`` at minute ``start``, unlike a `Fault` bad_deploy."""

    service: str
    start: int
    version: str = ""

    def __post_init__(self) -> None:
        _one_of("service", self.service, SERVICES)
        _span("deploy", self.start, 1)
        if TOPOLOGY.service(self.service).kind == "third_party":
            raise ValueError(f"{self.service} is a third party: the shop can't deploy it")


@dataclass(frozen=True)
class Flag:
    """A harmless switch of a feature flag of ``service`` at minute ``start``."""

    service: str
    start: int
    name: str = "new-layout"
    enabled: bool = True

    def __post_init__(self) -> None:
        _one_of("service", self.service, SERVICES)
        _span("flag", self.start, 1)


@dataclass(frozen=True)
class Scenario:
    """A stretch of the shop's time; with the seed it decides every byte of its recording.

    Parameters
    ----------
    start : pd.Timestamp
        First minute, time zone aware, on a whole minute. Converted to UTC.
    minutes : int
        Number of samples, one a minute.
    seed : int
        Non-negative, of any size (a 128-bit HMAC is fine).
    faults, surges, deploys, flags : tuple
        What happens on top of the shop's ordinary life. Each must lie within the scenario.
    background : bool
        Whether the ordinary life (harmless deploys, blips, GC pauses, batch jobs) takes place.
    restless : float
        How much some services vary by themselves, before and during whatever happens: 0 not at
        all, 1 as in an old and crowded cluster. The seed decides which service varies in what.

    Examples
    --------
    >>> from course.shop import Fault, Scenario
    >>> fault = Fault("slow_query", "orders-db", start=40, minutes=30, severity=0.7)
    >>> Scenario("2026-03-10T02:30Z", minutes=120, seed=7, faults=(fault,)).start.hour
    2
    """

    start: pd.Timestamp
    minutes: int
    seed: int
    faults: tuple[Fault, ...] = ()
    surges: tuple[Surge, ...] = ()
    deploys: tuple[Deploy, ...] = ()
    flags: tuple[Flag, ...] = ()
    background: bool = True
    restless: float = 0.0

    def __post_init__(self) -> None:
        start = pd.Timestamp(self.start)
        if start is pd.NaT or start.tzinfo is None:
            raise ValueError(
                f"start is {self.start!r}, without a time zone; "
                'give UTC, for example pd.Timestamp("2026-03-10T03:00", tz="UTC")'
            )
        start = start.tz_convert("UTC").as_unit("us")
        if start != start.floor("min"):
            raise ValueError(f"start is {start}; it must lie on a whole minute")
        object.__setattr__(self, "start", start)
        if not 1 <= self.minutes <= MAX_MINUTES:
            raise ValueError(f"minutes is {self.minutes}; it must lie in 1..{MAX_MINUTES}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ValueError(f"seed is {self.seed!r}; it must be a non-negative int")
        if not 0.0 <= self.restless <= 2.0:
            raise ValueError(f"restless is {self.restless!r}; it must lie in 0..2")
        for field_name in ("faults", "surges", "deploys", "flags"):
            object.__setattr__(self, field_name, tuple(getattr(self, field_name)))
        items: tuple[Any, ...] = (*self.faults, *self.surges, *self.deploys, *self.flags)
        for item in items:
            last = item.start + getattr(item, "minutes", 1)
            if last > self.minutes:
                raise ValueError(
                    f"{item} ends at minute {last}, after the scenario's {self.minutes} minutes; "
                    "start it earlier, shorten it or lengthen the scenario"
                )
        self._refuse_overlaps()

    @property
    def end(self) -> pd.Timestamp:
        """The last minute of the scenario (inclusive)."""
        return self.start + pd.Timedelta(minutes=self.minutes - 1)

    @property
    def index(self) -> pd.DatetimeIndex:
        """The minutes of the scenario, UTC, named "time"."""
        return pd.date_range(self.start, periods=self.minutes, freq="min", name="time")

    def _refuse_overlaps(self) -> None:
        by_place = sorted(self.faults, key=lambda fault: (fault.kind, fault.service, fault.start))
        for one, two in itertools.pairwise(by_place):
            same = (one.kind, one.service) == (two.kind, two.service)
            if same and two.start < one.start + one.minutes:
                raise ValueError(
                    f"two {one.kind} faults overlap at {one.service} "
                    f"(minutes {one.start} and {two.start}); merge them or move one"
                )


def _one_of(what: str, value: str, allowed: object) -> None:
    names = list(allowed)  # type: ignore[call-overload]
    if value not in names:
        raise ValueError(f"unknown {what} {value!r}; choose one of: {', '.join(names)}")


def _span(what: str, start: int, minutes: int) -> None:
    if start < 0:
        raise ValueError(f"{what} starts at minute {start}; it must be 0 or later")
    if minutes < 1:
        raise ValueError(f"{what} lasts {minutes} minutes; it must last at least 1")

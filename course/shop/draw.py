"""Random incidents: what strikes, where, when, how long and how hard is all left to the seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.faults import FAULTS
from course.shop.scenario import Fault, Scenario, Surge
from course.shop.surges import SURGES

#: The first day from which incidents are drawn, and the number of days.
CALENDAR = (pd.Timestamp("2026-01-19", tz="UTC"), 270)


def draw_incidents(
    n: int,
    seed: int,
    *,
    minutes: int = 120,
    kinds: Sequence[str] | None = None,
    services: Sequence[str] | None = None,
    quiet_share: float = 0.0,
    surge_share: float = 0.25,
    severity: tuple[float, float] = (0.25, 1.0),
    start: pd.Timestamp | None = None,
) -> list[Scenario]:
    """Draw ``n`` scenarios with at most one fault each.

    Parameters
    ----------
    n : int
    seed : int
        Decides everything; the first scenarios are the same for any larger ``n``.
    minutes : int
        Length of each scenario, at least 30.
    kinds, services : sequence of str, optional
        Restrict what may strike and where. By default every kind is as likely as any other, and
        so is every service at which it can strike.
    quiet_share : float
        Probability that a scenario has no fault.
    surge_share : float
        Probability of a harmless surge, independent of the fault.
    severity : (float, float)
        Range of the uniform severity.
    start : pd.Timestamp, optional
        Calendar start of every scenario. By default a random minute of the `CALENDAR`.

    Returns
    -------
    list of Scenario
        The fault starts at a random minute between one sixth and two thirds of the scenario and
        lasts between 10 minutes and what is left, 90 minutes at most.
    """
    if n < 0:
        raise ValueError(f"n is {n}; it must be 0 or more")
    if minutes < 30:
        raise ValueError(f"minutes is {minutes}; an incident needs at least 30")
    low, high = severity
    if not 0 < low <= high <= 1:
        raise ValueError(f"severity is {severity}; it must satisfy 0 < low <= high <= 1")
    places = places_of(kinds, services)
    return [
        _draw(seeds.stream(seed, seeds.DRAW, number), places, minutes,
              quiet_share, surge_share, severity, start)
        for number in range(n)
    ]  # fmt: skip


def places_of(
    kinds: Sequence[str] | None, services: Sequence[str] | None
) -> list[tuple[str, list[str]]]:
    """The kinds that can strike any of the services, each with the services that it can strike."""
    chosen = list(FAULTS) if kinds is None else list(kinds)
    for kind in chosen:
        if kind not in FAULTS:
            raise ValueError(f"unknown fault kind {kind!r}; choose from: {', '.join(FAULTS)}")
    places = [
        (kind, [s for s in FAULTS[kind].services if services is None or s in services])
        for kind in chosen
    ]
    places = [(kind, where) for kind, where in places if where]
    if not places:
        raise ValueError(f"none of the kinds {chosen} can strike any of the services {services}")
    return places


def _draw(
    rng: np.random.Generator,
    places: list[tuple[str, list[str]]],
    minutes: int,
    quiet_share: float,
    surge_share: float,
    severity: tuple[float, float],
    start: pd.Timestamp | None,
) -> Scenario:
    quiet, surging = rng.random(2) < (quiet_share, surge_share)
    offset = int(rng.integers(CALENDAR[1] * 1440))
    kind, where = places[int(rng.integers(len(places)))]
    service = where[int(rng.integers(len(where)))]
    onset = int(rng.integers(minutes // 6, 2 * minutes // 3))
    length = int(rng.integers(10, max(11, min(minutes - onset, 90) + 1)))
    hardness = float(rng.uniform(*severity))
    fault = Fault(kind, service, onset, length, round(hardness, 3))
    surge = _surge(rng, minutes)
    own_seed = int(rng.integers(2**63))
    return Scenario(
        start=CALENDAR[0] + pd.Timedelta(minutes=offset) if start is None else start,
        minutes=minutes,
        seed=own_seed,
        faults=() if quiet else (fault,),
        surges=(surge,) if surging else (),
    )


def _surge(rng: np.random.Generator, minutes: int) -> Surge:
    kinds = [kind for kind in SURGES if kind != "holiday"]
    kind = kinds[int(rng.integers(len(kinds)))]
    onset = int(rng.integers(0, minutes - 15))
    length = int(rng.integers(12, max(13, min(minutes - onset, 75) + 1)))
    return Surge(kind, onset, min(length, minutes - onset), round(float(rng.uniform(0.3, 1.2)), 3))

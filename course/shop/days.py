"""Days of one service, quiet or with one incident: what a detector is tuned and judged on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import draw_incidents, places_of
from course.shop.scenario import Fault, Scenario
from course.shop.simulator import simulate_many
from course.shop.truth import events

_DAY = 1440
#: An incident begins in any minute of the day but the first and the last hour.
_FIRST, _LAST = 60, _DAY - 60


@dataclass(frozen=True)
class ServiceDay:
    """One day as one service's team saw it, and what was wrong.

    Attributes
    ----------
    service : str
    live : DataFrame
        The service's metrics, one row a minute, UTC.
    events : DataFrame
        `start`, `end`, `kind`, `root_service` of the incidents; empty for a quiet day.
    lead : DataFrame
        The quiet day before, like `live`; empty unless asked for.
    """

    service: str
    live: pd.DataFrame
    events: pd.DataFrame
    lead: pd.DataFrame


def service_days(
    n: int,
    seed: int,
    *,
    after: pd.Timestamp,
    services: Sequence[str],
    kinds: Sequence[str] | Mapping[str, tuple[float, float]] | None = None,
    quiet_share: float = 0.0,
    severity: tuple[float, float] = (0.4, 1.0),
    lead: bool = False,
    balanced: bool = False,
    begins: tuple[int, int] = (_FIRST, _LAST),
    surge_share: float = 0.25,
) -> list[ServiceDay]:
    """Simulate days in the week after a history, each watched at one service.

    Parameters
    ----------
    n : int
        Number of days.
    seed : int
        Decides everything.
    after : Timestamp
        End of the history; the days are whole days of the seven that follow.
    services : sequence of str
        Where an incident has its root.
    kinds : sequence of str, or mapping of str to (float, float), optional
        Of which kinds it may be; with a mapping each kind has its own range of severity.
    quiet_share : float
        Probability that nothing is wrong.
    severity : (float, float)
        Range of the uniform severity of kinds that have no range of their own.
    lead : bool
        Whether to simulate the day before as well.
    balanced : bool
        Draw in strata: as many incidents of one kind as of another, of each kind as many slight
        as grave ones, in random order. Leaves less to luck than independent draws.
    begins : (int, int)
        Minutes of the day between which an incident begins, 60 to 1380 at the widest. If the first
        is the later one, they are the evening and the morning around a midnight:
        ``(1140, 660)`` is from 19:00 to 23:00 or from 01:00 to 11:00.
    surge_share : float
        Probability of a harmless surge on a day, quiet or not.

    Returns
    -------
    list of ServiceDay
        Weekday, service and the minute in which an incident begins are random; what would last
        beyond midnight ends there.

    Raises
    ------
    ValueError
        `begins` does not lie within the day, less its first and last hour, or a severity not
        within 0 and 1.

    Examples
    --------
    >>> import pandas as pd
    >>> after = pd.Timestamp("2026-03-02", tz="UTC")
    >>> day = service_days(1, seed=4, after=after, services=["checkout"])[0]
    >>> day.service, len(day.live), len(day.events)
    ('checkout', 1440, 1)
    """
    if not all(_FIRST <= minute <= _LAST for minute in begins) or begins[0] == begins[1]:
        raise ValueError(f"begins is {begins}; incidents begin between {_FIRST} and {_LAST}")
    own = dict(kinds) if isinstance(kinds, Mapping) else {}
    names = None if kinds is None else list(kinds)
    for kind, (low, high) in own.items():
        if not 0 < low <= high <= 1:
            raise ValueError(f"severity of {kind} is {(low, high)}; it must be within 0 and 1")
    spans = [begins] if begins[0] < begins[1] else [(_FIRST, begins[1]), (begins[0], _LAST)]
    minutes = np.concatenate([np.arange(*span) for span in spans])
    first = after.ceil("D")
    if balanced:
        drawn = _in_strata(n, seed, services, names, quiet_share, severity, surge_share)
    else:
        drawn = draw_incidents(
            n, seed, minutes=_DAY, kinds=names, services=services,
            quiet_share=quiet_share, severity=severity, surge_share=surge_share,
        )  # fmt: skip
    scenarios, watched = [], []
    for number, scenario in enumerate(drawn):
        rng = seeds.stream(seed, seeds.DRAW, number, 1)
        day, place, other = rng.integers((0, 0, 0), (7, len(minutes), len(services)))
        begin = minutes[place]
        scenario = replace(
            scenario,
            start=first + pd.Timedelta(days=int(day)),
            faults=tuple(
                _begins_at(_within(fault, severity, own), int(begin)) for fault in scenario.faults
            ),
        )
        watched.append(scenario.faults[0].service if scenario.faults else services[other])
        scenarios.append(_with_lead(scenario) if lead else scenario)
    days = []
    for service, scenario, recording in zip(
        watched, scenarios, simulate_many(scenarios), strict=True
    ):
        metrics = recording.service(service)
        days.append(
            ServiceDay(service, metrics.iloc[-_DAY:], events(scenario), metrics.iloc[:-_DAY])
        )
    return days


def _in_strata(
    n: int,
    seed: int,
    services: Sequence[str],
    kinds: Sequence[str] | None,
    quiet_share: float,
    severity: tuple[float, float],
    surge_share: float,
) -> list[Scenario]:
    rng = seeds.stream(seed, seeds.DRAW, n, 2)
    possible = [kind for kind, _ in places_of(kinds, services)]
    each = max(1, -(-n // len(possible)))
    edges = np.linspace(*severity, each + 1)
    strata = [(kind, place) for kind in possible for place in range(each)]
    chosen = [strata[number] for number in rng.permutation(len(strata))[:n]]
    return [
        draw_incidents(
            1, int(rng.integers(2**63)), minutes=_DAY, kinds=[kind], services=services,
            quiet_share=quiet_share, severity=(float(edges[place]), float(edges[place + 1])),
            surge_share=surge_share,
        )[0]
        for kind, place in chosen
    ]  # fmt: skip


def _within(fault: Fault, drawn: tuple[float, float], own: dict[str, tuple[float, float]]) -> Fault:
    """The fault with its place in the range it was drawn from, in the range of its own kind."""
    if fault.kind not in own:
        return fault
    place = (fault.severity - drawn[0]) / max(drawn[1] - drawn[0], 1e-9)
    low, high = own[fault.kind]
    return replace(fault, severity=round(low + min(max(place, 0.0), 1.0) * (high - low), 3))


def _begins_at(fault: Fault, minute: int) -> Fault:
    return replace(fault, start=minute, minutes=min(fault.minutes, _DAY - minute))


def _with_lead(scenario: Scenario) -> Scenario:
    """Begin the scenario a day earlier; what happens in it keeps its time."""
    return replace(
        scenario,
        start=scenario.start - pd.Timedelta(days=1),
        minutes=scenario.minutes + _DAY,
        faults=tuple(replace(fault, start=fault.start + _DAY) for fault in scenario.faults),
        surges=tuple(replace(surge, start=surge.start + _DAY) for surge in scenario.surges),
    )

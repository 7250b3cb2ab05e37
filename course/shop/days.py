"""Days of one service, quiet or with one incident: what a detector is tuned and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from course.shop.draw import draw_incidents
from course.shop.scenario import Scenario
from course.shop.simulator import simulate_many
from course.shop.truth import events

_DAY = 1440


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
    kinds: Sequence[str] | None = None,
    quiet_share: float = 0.0,
    severity: tuple[float, float] = (0.4, 1.0),
    lead: bool = False,
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
    services, kinds : sequence of str
        Where an incident has its root, and of which kinds it may be.
    quiet_share : float
        Probability that nothing is wrong. One day in four has a harmless surge, quiet or not.
    severity : (float, float)
        Range of the uniform severity.
    lead : bool
        Whether to simulate the day before as well.

    Returns
    -------
    list of ServiceDay

    Examples
    --------
    >>> import pandas as pd
    >>> after = pd.Timestamp("2026-03-02", tz="UTC")
    >>> day = service_days(1, seed=4, after=after, services=["checkout"])[0]
    >>> day.service, len(day.live), len(day.events)
    ('checkout', 1440, 1)
    """
    first = after.ceil("D")
    drawn = draw_incidents(
        n, seed, minutes=_DAY, kinds=kinds, services=services,
        quiet_share=quiet_share, severity=severity,
    )  # fmt: skip
    scenarios = [
        replace(scenario, start=first + pd.Timedelta(days=number % 7))
        for number, scenario in enumerate(drawn)
    ]
    if lead:
        scenarios = [_with_lead(scenario) for scenario in scenarios]
    days = []
    for number, (scenario, recording) in enumerate(
        zip(scenarios, simulate_many(scenarios), strict=True)
    ):
        roots = [fault.service for fault in scenario.faults]
        service = roots[0] if roots else services[number % len(services)]
        metrics = recording.service(service)
        days.append(
            ServiceDay(service, metrics.iloc[-_DAY:], events(scenario), metrics.iloc[:-_DAY])
        )
    return days


def _with_lead(scenario: Scenario) -> Scenario:
    """Begin the scenario a day earlier; what happens in it keeps its time."""
    return replace(
        scenario,
        start=scenario.start - pd.Timedelta(days=1),
        minutes=scenario.minutes + _DAY,
        faults=tuple(replace(fault, start=fault.start + _DAY) for fault in scenario.faults),
        surges=tuple(replace(surge, start=surge.start + _DAY) for surge in scenario.surges),
    )

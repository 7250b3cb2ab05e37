"""Days of one service, quiet or with one incident: what a detector is tuned and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from course.shop.draw import draw_incidents
from course.shop.simulator import simulate_many
from course.shop.truth import events


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
    """

    service: str
    live: pd.DataFrame
    events: pd.DataFrame


def service_days(
    n: int,
    seed: int,
    *,
    after: pd.Timestamp,
    services: Sequence[str],
    kinds: Sequence[str] | None = None,
    quiet_share: float = 0.0,
    severity: tuple[float, float] = (0.4, 1.0),
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
    scenarios = [
        replace(scenario, start=first + pd.Timedelta(days=number % 7))
        for number, scenario in enumerate(
            draw_incidents(
                n, seed, minutes=1440, kinds=kinds, services=services,
                quiet_share=quiet_share, severity=severity,
            )
        )
    ]  # fmt: skip
    days = []
    for number, (scenario, recording) in enumerate(
        zip(scenarios, simulate_many(scenarios), strict=True)
    ):
        roots = [fault.service for fault in scenario.faults]
        service = roots[0] if roots else services[number % len(services)]
        days.append(ServiceDay(service, recording.service(service), events(scenario)))
    return days

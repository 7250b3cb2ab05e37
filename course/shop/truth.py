"""What really happened in a scenario: for checks and charts, never for a detector."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from course.shop.faults import FAULTS
from course.shop.scenario import Fault, Scenario
from course.shop.topology import TOPOLOGY

# Faults that leave the load on what lies below as it is.
_LOADS_BELOW = ("retry_storm",)


@dataclass(frozen=True)
class Truth:
    """One fault as it really was.

    Attributes
    ----------
    kind : str
    root_service : str
    start, end : pd.Timestamp
        First and last minute in which the fault acts, UTC, both inclusive.
    path : tuple of str
        From the root cause up to the last service whose users wait for it.
    affected : tuple of str
        Services that the fault can be seen at: the root, those that wait for it, and those that
        it loads, in topological order.
    remedies : tuple of str
        Actions that help, best first.
    severity : float
    """

    kind: str
    root_service: str
    start: pd.Timestamp
    end: pd.Timestamp
    path: tuple[str, ...]
    affected: tuple[str, ...]
    remedies: tuple[str, ...]
    severity: float


def truth(scenario: Scenario) -> list[Truth]:
    """Return the truths of a scenario in order of start; an empty list if nothing is wrong.

    Surges, deploys and flags are harmless and do not appear.
    """
    return [_truth(scenario, fault) for fault in sorted(scenario.faults, key=lambda f: f.start)]


def events(scenario: Scenario) -> pd.DataFrame:
    """Return the truths as a table: start, end, kind, root_service (for `course.scoring`)."""
    rows = [(t.start, t.end, t.kind, t.root_service) for t in truth(scenario)]
    table = pd.DataFrame(rows, columns=["start", "end", "kind", "root_service"])
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return table


def _truth(scenario: Scenario, fault: Fault) -> Truth:
    minute = pd.Timedelta(minutes=1)
    affected = {fault.service, *TOPOLOGY.upstream(fault.service)}
    if fault.kind == "cache_stampede":
        store = TOPOLOGY.backing[fault.service]
        affected |= {store, *TOPOLOGY.upstream(store)}
    if fault.kind in _LOADS_BELOW:
        affected |= set(TOPOLOGY.callees(fault.service))
    if fault.kind == "noisy_neighbour":
        host = TOPOLOGY.service(fault.service).host
        affected |= {service.name for service in TOPOLOGY.services if service.host == host}
    return Truth(
        kind=fault.kind,
        root_service=fault.service,
        start=scenario.start + fault.start * minute,
        end=scenario.start + (fault.start + fault.minutes - 1) * minute,
        path=tuple(TOPOLOGY.path_to_gateway(fault.service)),
        affected=tuple(name for name in TOPOLOGY.names if name in affected),
        remedies=FAULTS[fault.kind].remedies,
        severity=fault.severity,
    )

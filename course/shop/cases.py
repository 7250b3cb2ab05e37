"""Short windows around an incident, each watched at the service where it began."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import CALENDAR, draw_incidents, places_of
from course.shop.scenario import Fault, Scenario, Surge
from course.shop.simulator import simulate_many

#: The name of a window in which nothing is wrong: a harmless surge of customers.
SURGE = "surge"
_SURGES = ("flash_sale", "marketing_mail")
_WARM_UP = 30


@dataclass(frozen=True)
class IncidentCase:
    """What the on-call engineer of one service sees when paged.

    Attributes
    ----------
    service : str
        Where the fault is.
    metrics : DataFrame
        The service's metrics, one row a minute (UTC), columns `course.shop.METRICS`. The fault
        begins somewhere in the second half and lasts to the end.
    kind : str
        Kind of the fault, or "surge".
    """

    service: str
    metrics: pd.DataFrame
    kind: str


def incident_cases(
    n: int,
    seed: int,
    *,
    services: Sequence[str],
    kinds: Sequence[str],
    severity: tuple[float, float] | Mapping[str, tuple[float, float]] = (0.5, 1.0),
    minutes: int = 90,
    lasts: tuple[int, int] = (20, 35),
) -> list[IncidentCase]:
    """Draw windows with one incident each, as many of one kind as of another.

    Parameters
    ----------
    n : int
    seed : int
        Decides everything.
    services : sequence of str
        Where an incident may be.
    kinds : sequence of str
        Keys of `course.shop.FAULTS`, and "surge" for a burst of customers without a fault.
    severity : (float, float), or mapping of kind to (float, float)
        Range of the uniform severity (the size of a surge); kinds that the mapping leaves out have
        0.5 to 1.
    minutes : int
        Length of a window.
    lasts : (int, int)
        Least and most minutes that the fault has lasted at the window's end.

    Returns
    -------
    list of IncidentCase
        In random order; calendar time, service, onset and severity are random.

    Raises
    ------
    ValueError
        An unknown kind, no service that a kind can strike, or a fault longer than half the window.

    Examples
    --------
    >>> case = incident_cases(2, 5, services=["cart"], kinds=["cpu_saturation", "surge"])[0]
    >>> case.service, case.metrics.shape
    ('cart', (90, 9))
    """
    if not 1 <= lasts[0] <= lasts[1] <= minutes // 2:
        raise ValueError(f"lasts is {lasts}; it must lie within 1 and half of {minutes} minutes")
    places = {kind: _places(kind, services) for kind in kinds}
    rng = seeds.stream(seed, seeds.DRAW, n, 4)
    order = rng.permutation(np.resize(np.arange(len(places)), n))
    drawn = []
    for kind in (list(places)[number] for number in order):
        low, high = severity.get(kind, (0.5, 1.0)) if isinstance(severity, Mapping) else severity
        service = str(rng.choice(places[kind]))
        hard = round(float(rng.uniform(low, high)), 3)
        length = int(rng.integers(lasts[0], lasts[1] + 1))
        begin = CALENDAR[0] + pd.Timedelta(minutes=int(rng.integers(CALENDAR[1] * 1440)))
        at, total = _WARM_UP + minutes - length, _WARM_UP + minutes
        fault = () if kind == SURGE else (Fault(kind, service, at, length, hard),)
        surge = (Surge(str(rng.choice(_SURGES)), at, length, hard),) if kind == SURGE else ()
        own = int(rng.integers(2**63))
        drawn.append((service, kind, Scenario(begin, total, own, faults=fault, surges=surge)))
    recordings = simulate_many(scenario for _, _, scenario in drawn)
    return [
        IncidentCase(service, recording.service(service).iloc[_WARM_UP:], kind)
        for (service, kind, _), recording in zip(drawn, recordings, strict=True)
    ]


def _places(kind: str, services: Sequence[str]) -> list[str]:
    return list(services) if kind == SURGE else places_of([kind], services)[0][1]


def elsewhere(cases: Sequence[IncidentCase], seed: int) -> list[IncidentCase]:
    """Move incidents to services of another size, on other machines.

    Traffic, durations, errors, CPU and pool of each service are multiplied by factors of its own:
    traffic by 0.05 to 20, both latencies by 0.1 to 10, errors, CPU and pool by 0.2 to 1 each;
    small factors are as likely as large ones (log-uniform).

    Parameters
    ----------
    cases : sequence of IncidentCase
    seed : int
        Decides the factors.

    Returns
    -------
    list of IncidentCase
        In the same order; kinds and services as they were.

    Examples
    --------
    >>> cases = incident_cases(2, 5, services=["cart"], kinds=["cpu_saturation", "surge"])
    >>> ratio = elsewhere(cases, 1)[0].metrics / cases[0].metrics
    >>> bool(ratio["latency_p50_ms"].std() < 1e-9), bool(ratio["memory_utilization"].eq(1).all())
    (True, True)
    """
    rng = seeds.stream(seed, seeds.DRAW, len(cases), 8)
    factors = {}
    for service in sorted({case.service for case in cases}):
        traffic, duration, errors, cpu, pool = np.exp(
            rng.uniform(np.log([0.05, 0.1, 0.2, 0.2, 0.2]), np.log([20, 10, 1, 1, 1]))
        )
        factors[service] = {
            "request_rate": traffic, "error_ratio": errors, "latency_p50_ms": duration,
            "latency_p99_ms": duration, "cpu_utilization": cpu, "pool_utilization": pool,
        }  # fmt: skip
    return [
        replace(case, metrics=case.metrics.assign(
            **{name: case.metrics[name] * by for name, by in factors[case.service].items()}
        ))
        for case in cases
    ]  # fmt: skip


@dataclass(frozen=True)
class Stretch:
    """Some hours of one service, in which a fault may build up.

    Attributes
    ----------
    service : str
    metrics : DataFrame
        One row a minute (UTC), columns `course.shop.METRICS`.
    kind : str
        Kind of the fault, or "" if there is none.
    """

    service: str
    metrics: pd.DataFrame
    kind: str


def stretches(
    n: int,
    seed: int,
    *,
    services: Sequence[str],
    kinds: Sequence[str],
    minutes: int = 240,
    quiet_share: float = 0.3,
    severity: tuple[float, float] = (0.4, 1.0),
    lasts: tuple[int, int] = (30, 90),
    room: tuple[float, float] = (1.0, 1.0),
) -> list[Stretch]:
    """Draw stretches of single services, each with at most one fault.

    Parameters
    ----------
    n : int
    seed : int
        Decides everything.
    services, kinds : sequence of str
        Where, and what may strike.
    minutes : int
        Length of a stretch, at least 120. A fault begins after its first sixth.
    quiet_share : float
        Probability that there is none.
    severity : (float, float)
    lasts : (int, int)
        Least and most minutes that a fault lasts; what would go on beyond the stretch ends there.
    room : (float, float)
        Range of the share of memory and of disk that is the service's; something else on the same
        machine has taken the rest for good. Drawn for each stretch and each of the two, small shares
        as likely as large ones (log-uniform). The shop's own use fills the service's share.

    Returns
    -------
    list of Stretch

    Examples
    --------
    >>> found = stretches(2, 4, services=["checkout"], kinds=["memory_leak"], quiet_share=0.0)
    >>> [(stretch.service, stretch.kind, len(stretch.metrics)) for stretch in found]
    [('checkout', 'memory_leak', 240), ('checkout', 'memory_leak', 240)]
    """
    if minutes < 120:
        raise ValueError(f"minutes is {minutes}; a stretch needs at least 120")
    rng = seeds.stream(seed, seeds.DRAW, n, 6)
    drawn = draw_incidents(
        n, seed, minutes=minutes, kinds=kinds, services=services, quiet_share=quiet_share,
        severity=severity, surge_share=0.4,
    )  # fmt: skip
    lengths = rng.integers(lasts[0], lasts[1] + 1, n)
    scenarios = [
        replace(scenario, faults=tuple(
            replace(fault, minutes=int(min(length, minutes - fault.start)))
            for fault in scenario.faults
        ))
        for scenario, length in zip(drawn, lengths, strict=True)
    ]  # fmt: skip
    others = rng.choice(list(services), n)
    low, high = (float(np.log(share)) for share in room)
    own = np.exp(rng.uniform(low, high, (n, len(STORES))))
    found = []
    for scenario, recording, other, share in zip(
        scenarios, simulate_many(scenarios), others, own, strict=True
    ):
        fault = scenario.faults[0] if scenario.faults else None
        service = fault.service if fault else str(other)
        metrics = recording.service(service).copy()
        metrics[STORES] = 1 - share * (1 - metrics[STORES])
        found.append(Stretch(service, metrics, fault.kind if fault else ""))
    return found


#: What fills up.
STORES = ["memory_utilization", "disk_utilization"]

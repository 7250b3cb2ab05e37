"""Weeks of several services with incidents as rare as they are: what a classifier is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import places_of
from course.shop.scenario import Fault, Scenario, Surge
from course.shop.simulator import simulate

_SURGES = ("flash_sale", "marketing_mail", "bot_crawl", "batch_job")
#: Minutes between two incidents of one service, so that each can be told from the next.
_APART = 240


@dataclass(frozen=True)
class ServiceWeeks:
    """Slots of several services, and the incidents that people wrote down.

    Attributes
    ----------
    slots : DataFrame
        Index (service, time), time the begin of a slot (UTC); the means of all metrics in the slot,
        and the highest minute as `error_ratio_max` and `latency_p99_ms_max`.
    incidents : DataFrame
        `service`, `start`, `end` (first and last minute), `kind`; in order of start.
    """

    slots: pd.DataFrame
    incidents: pd.DataFrame


def service_weeks(
    seed: int,
    *,
    start: pd.Timestamp | str,
    services: Sequence[str],
    kinds: Sequence[str],
    weeks: int = 8,
    per_week: float = 2.0,
    surges_per_week: float = 10.0,
    severity: tuple[float, float] = (0.3, 0.9),
    slot: str = "15min",
) -> ServiceWeeks:
    """Simulate weeks in which incidents strike at a natural rate.

    Parameters
    ----------
    seed : int
        Decides everything.
    start : Timestamp or str
        With time zone.
    services, kinds : sequence of str
        What may strike, and where.
    weeks : int
    per_week : float
        Mean number of incidents a service has in a week; they come at random.
    surges_per_week : float
        Mean number of harmless surges of the whole shop in a week.
    severity : (float, float)
        Range of the uniform severity.
    slot : str
        Length of a slot; a divisor of a day.

    Returns
    -------
    ServiceWeeks

    Raises
    ------
    ValueError
        No kind can strike any of the services, or a severity outside 0 and 1.

    Examples
    --------
    >>> found = service_weeks(3, start="2026-03-02T00:00Z", services=["cart", "payment"],
    ...                       kinds=["cpu_saturation"], weeks=1)
    >>> found.slots.loc["cart"].shape
    (672, 11)
    """
    rng = seeds.stream(seed, seeds.DRAW, weeks, 5)
    total = weeks * 7 * 1440
    faults: list[Fault] = []
    for service in services:
        possible = [kind for kind, _ in places_of(kinds, [service])]
        begin = 60.0
        while (begin := begin + _APART + rng.exponential(7 * 1440 / per_week)) < total - 120:
            lasts = int(rng.integers(15, 91))
            hard = round(float(rng.uniform(*severity)), 3)
            faults.append(Fault(str(rng.choice(possible)), service, int(begin), lasts, hard))
            begin += lasts
    bursts = [
        Surge(str(rng.choice(_SURGES)), int(at), int(rng.integers(15, 90)),
              round(float(rng.uniform(0.3, 1.2)), 3))
        for at in rng.uniform(0, total - 120, int(rng.poisson(surges_per_week * weeks)))
    ]  # fmt: skip
    recording = simulate(
        Scenario(pd.Timestamp(start), total, int(rng.integers(2**63)), tuple(faults), tuple(bursts))
    )
    frames = {}
    for service in services:
        grouped = recording.service(service).resample(slot)
        frame = grouped.mean()
        for metric in ("error_ratio", "latency_p99_ms"):
            frame[f"{metric}_max"] = grouped[metric].max()
        frames[service] = frame
    slots = pd.concat(frames, names=["service", "time"])
    minute, first = pd.Timedelta("1min"), recording.scenario.start
    table = pd.DataFrame(
        [(f.service, first + f.start * minute, first + (f.start + f.minutes - 1) * minute, f.kind)
         for f in sorted(faults, key=lambda fault: (fault.start, fault.service))],
        columns=["service", "start", "end", "kind"],
    )  # fmt: skip
    for name in ("start", "end"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return ServiceWeeks(slots, table)


def under_way(index: pd.MultiIndex, incidents: pd.DataFrame, *, slot: str = "15min") -> np.ndarray:
    """Say of each slot whether an incident of its service overlaps it.

    Parameters
    ----------
    index : MultiIndex
        (service, time), time the begin of a slot.
    incidents : DataFrame
        `service`, `start`, `end`, as in `ServiceWeeks`.
    slot : str

    Returns
    -------
    ndarray of bool, shape (len(index),)

    Examples
    --------
    >>> time = pd.Timestamp("2026-03-02T10:00Z")
    >>> index = pd.MultiIndex.from_tuples([("cart", time), ("cart", time + pd.Timedelta("10min"))])
    >>> table = pd.DataFrame({"service": ["cart"], "start": [time + pd.Timedelta("3min")],
    ...                       "end": [time + pd.Timedelta("9min")]})
    >>> under_way(index, table).tolist()
    [True, False]
    """
    names = index.get_level_values(0)
    times = index.get_level_values(1)
    length = pd.Timedelta(slot)
    hit = np.zeros(len(index), dtype=bool)
    for service, own in incidents.groupby("service"):
        rows = np.flatnonzero(names == service)
        begins = times[rows]
        for start, end in zip(own["start"], own["end"], strict=True):
            hit[rows[(begins <= end) & (begins > start - length)]] = True
    return hit

"""Incidents of causes that no catalogue holds: a seed decides what each cause does.

The kinds of `course.shop.FAULTS` are the same everywhere. At work the causes are those of the house:
a runbook's number stands for "latency and pool rise together, CPU a little, in waves". Here a cause
is drawn: which aspects of a service it moves, in what proportion, and in what form over time. It is
laid over healthy telemetry of the shop, in which the load moves for reasons of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.cases import IncidentCase
from course.shop.draw import CALENDAR
from course.shop.scenario import Scenario
from course.shop.simulator import simulate_many

#: What a cause can move, and how far at strength 1: as a factor's logarithm, or as a share added.
ASPECTS: dict[str, float] = {
    "latency": 1.5,  # both quantiles
    "tail": 1.5,  # the 99th percentile only
    "errors": 0.12,
    "cpu": 1.3,
    "memory": 0.5,  # of what is free
    "pool": 1.5,
}
#: How its strength goes over time: at once and steady, ever stronger, on and off.
FORMS = ("step", "ramp", "waves")
#: Causes of one draw are at most so alike (cosine of their strengths).
_ALIKE = 0.8
_WARM_UP = 30
# Services of one scenario that are made into windows.
_TOGETHER = 4


@dataclass(frozen=True)
class Cause:
    """What one cause does.

    Attributes
    ----------
    name : str
        Such as "runbook-17"; it says nothing.
    strength : mapping of str to float
        For some of `ASPECTS`, from 0 to 1; the squares add up to 1. Empty for a harmless one, in
        which nothing but the load moves.
    form : str
        One of `FORMS`.
    """

    name: str
    strength: Mapping[str, float]
    form: str


def draw_causes(n: int, seed: int, *, harmless: bool = True) -> list[Cause]:
    """Draw causes that differ in what they do.

    Parameters
    ----------
    n : int
        At most 8.
    seed : int
        Decides everything.
    harmless : bool
        Whether one of them is no fault: the load moves, as it does in the others, and nothing else.

    Returns
    -------
    list of Cause
        In random order.

    Raises
    ------
    ValueError
        More causes than can be told apart.

    Examples
    --------
    >>> [len(cause.strength) for cause in draw_causes(3, 4, harmless=False)]
    [2, 2, 3]
    """
    if not 1 <= n <= 8:
        raise ValueError(f"n is {n}; from 1 to 8 causes can be drawn")
    rng = seeds.stream(seed, seeds.DRAW, n, 9)
    names = [f"runbook-{number}" for number in rng.choice(np.arange(10, 100), n, replace=False)]
    drawn: list[np.ndarray] = []
    while len(drawn) < n - harmless:
        strength = np.zeros(len(ASPECTS))
        moved = rng.choice(len(ASPECTS), int(rng.integers(2, 5)), replace=False)
        strength[moved] = rng.uniform(0.3, 1, len(moved))
        strength /= np.linalg.norm(strength)
        if all(strength @ other <= _ALIKE for other in drawn):
            drawn.append(strength)
    if harmless:
        drawn.insert(int(rng.integers(n)), np.zeros(len(ASPECTS)))
    return [
        Cause(name, {a: float(s) for a, s in zip(ASPECTS, one, strict=True) if s}, str(form))
        for name, one, form in zip(names, drawn, rng.choice(FORMS, n), strict=True)
    ]


def cause_cases(
    n: int,
    seed: int,
    *,
    services: Sequence[str],
    causes: Sequence[Cause],
    severity: tuple[float, float] = (0.5, 1.0),
    minutes: int = 90,
    lasts: tuple[int, int] = (20, 35),
) -> list[IncidentCase]:
    """Draw windows with one incident each, as many of one cause as of another.

    In each the load moves as well when the incident begins, by 0.5 to 2.2 times, and CPU, pool and
    queue with it: an incident brings customers back or drives them away.

    Parameters
    ----------
    n : int
    seed : int
        Decides everything but the causes.
    services : sequence of str
        Where.
    causes : sequence of Cause
        From `draw_causes`.
    severity : (float, float)
        Range of the uniform severity, which multiplies a cause's strengths.
    minutes : int
        Length of a window.
    lasts : (int, int)
        Least and most minutes that the incident has lasted at the window's end.

    Returns
    -------
    list of IncidentCase
        In random order, the name of the cause as `kind`; some samples are missing (NaN).

    Examples
    --------
    >>> causes = draw_causes(2, 4)
    >>> case = cause_cases(2, 5, services=["cart"], causes=causes)[0]
    >>> case.service, case.metrics.shape, case.kind in {cause.name for cause in causes}
    ('cart', (90, 9), True)
    """
    rng = seeds.stream(seed, seeds.DRAW, n, 10)
    total = _WARM_UP + minutes
    scenarios = [
        Scenario(
            CALENDAR[0] + pd.Timedelta(minutes=int(rng.integers(CALENDAR[1] * 1440))),
            total,
            int(rng.integers(2**63)),
        )
        for _ in range(-(-n // _TOGETHER))
    ]
    order = rng.permutation(np.resize(np.arange(len(causes)), n)).tolist()
    places = rng.choice(list(services), n).tolist()
    quiet = [
        recording.service(service).iloc[_WARM_UP:]
        for recording, group in zip(
            simulate_many(scenarios),
            (places[i : i + _TOGETHER] for i in range(0, n, _TOGETHER)),
            strict=True,
        )
        for service in group
    ]
    found = []
    for number, service, metrics in zip(order, places, quiet, strict=True):
        cause = causes[number]
        length = int(rng.integers(lasts[0], lasts[1] + 1))
        struck = _struck(metrics, cause, length, float(rng.uniform(*severity)), rng)
        found.append(IncidentCase(service, struck, cause.name))
    return found


def _struck(
    metrics: pd.DataFrame, cause: Cause, length: int, severity: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Lay the effects of a cause, and a move of the load, over the end of a quiet window."""
    at = slice(len(metrics) - length, len(metrics))
    age = np.arange(1.0, length + 1)
    form = {
        "step": np.minimum(age / 2, 1),
        "ramp": age / length * 1.3,
        "waves": 1.5 * ((age + rng.integers(8)) % int(rng.integers(5, 9)) < 3.5),
    }[cause.form]
    form = form * severity * np.exp(0.1 * rng.standard_normal(length))
    moved = {
        aspect: cause.strength.get(aspect, 0.0) * size * form for aspect, size in ASPECTS.items()
    }
    load = np.exp(rng.uniform(np.log(0.5), np.log(2.2)) * np.minimum(age / 3, 1))
    struck = metrics.to_numpy(dtype=float, copy=True)
    end = {name: struck[at, place] for place, name in enumerate(metrics.columns)}
    slower = np.exp(moved["latency"])
    end["request_rate"] *= load
    end["latency_p50_ms"] *= slower
    end["latency_p99_ms"] *= slower * np.exp(moved["tail"])
    end["queue_length"] *= load * slower
    end["error_ratio"][:] = np.minimum(end["error_ratio"] + moved["errors"], 1)
    end["memory_utilization"] += (1 - end["memory_utilization"]) * np.minimum(moved["memory"], 1)
    # A utilisation comes near 1 and does not pass it.
    for name in ("cpu", "pool"):
        used = end[f"{name}_utilization"]
        used[:] = 1 - (1 - used) ** (load * np.exp(moved[name]))
    struck[rng.random(struck.shape) < 0.005] = np.nan
    return pd.DataFrame(struck, metrics.index, metrics.columns)

"""The shop's ordinary life: noise with memory, batch jobs, deploys, blips, all of it harmless.

Detectors have to live with it: most of what looks odd on a quiet day is in this module.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.effects import Effects
from course.shop.scenario import Deploy, Scenario
from course.shop.topology import SERVICES, TOPOLOGY
from course.shop.workload import JOURNEYS

_OWN = [place for place, s in enumerate(TOPOLOGY.services) if s.kind != "third_party"]
_COLLECTED = [p for p, s in enumerate(TOPOLOGY.services) if s.kind in ("edge", "app", "worker")]
_DEPLOYED = [s.name for s in TOPOLOGY.services if s.kind in ("edge", "app", "worker")]

_DEMAND_MEMORY = np.array([0.85, 0.55])  # lag-1 autocorrelation: common part, own part
_DEMAND_SIGMA = np.array([0.035, 0.045])
_WORK_MEMORY = 0.6
#: How many times a day each kind of harmless trouble comes.
_PER_DAY = {"pause": 50.0, "blip": 16.0, "burst": 6.0, "steal": 16.0, "slow": 20.0, "deploy": 3.2}
#: Habits of a restless service at full strength, as added to the fields of `Effects`.
_HABITS = {"work": 0.5, "hog": 0.25, "fail": 0.004, "tail": 0.5, "leak": 0.03, "fill": 0.005}
_PULSES = 0.5  # share of the minutes with a pulse of memory or disk


def demand_noise(scenario: Scenario) -> np.ndarray:
    """Return the factor on expected demand, [minute, journey]: AR(1) with a changing variance."""
    rng = seeds.stream(scenario.seed, seeds.DEMAND)
    size = len(JOURNEYS)
    draws = rng.standard_normal((scenario.minutes + 1, 2 * size + 1))
    volatility = np.exp(0.25 * _autoregress(draws[:, -1:], 0.98))[1:]
    common = _DEMAND_SIGMA[0] * _autoregress(draws[:, :1], _DEMAND_MEMORY[0])
    own = _DEMAND_SIGMA[1] * _autoregress(draws[:, 1 : size + 1], _DEMAND_MEMORY[1])
    return np.exp((common + own)[1:] * volatility)


def work_noise(scenario: Scenario) -> np.ndarray:
    """Return the factor on request times, [minute, service]."""
    rng = seeds.stream(scenario.seed, seeds.WORK)
    size = len(SERVICES)
    draws = rng.standard_normal((scenario.minutes + 1, size + 1))
    volatility = np.exp(0.2 * _autoregress(draws[:, -1:], 0.97))
    noise = TOPOLOGY.column("noise") * _autoregress(draws[:, :size], _WORK_MEMORY)
    return np.exp((noise * volatility)[1:])


def live(effects: Effects, scenario: Scenario) -> list[Deploy]:
    """Write a scenario's ordinary life into ``effects``; return the harmless deploys in it."""
    _nightly_jobs(effects, scenario)
    rng = seeds.stream(scenario.seed, seeds.LIFE)
    days = scenario.minutes / 1440
    counts = {kind: int(rng.poisson(rate * days)) for kind, rate in _PER_DAY.items()}
    for _ in range(counts["pause"]):  # a garbage collection or a compaction stops the service
        place, where = _some(rng, _COLLECTED, scenario.minutes, 1, 2)
        effects.tail[where, place] += rng.gamma(2.0, 0.18)
        effects.work[where, place] *= 1 + rng.gamma(1.5, 0.12)
    for _ in range(counts["blip"]):  # a client with a bad token, a link that flaps
        place, where = _some(rng, range(len(SERVICES)), scenario.minutes, 1, 4)
        effects.add_failures(where, place, min(rng.lognormal(-4.4, 0.8), 0.3))
    for _ in range(counts["burst"]):  # a crawler, a mail, a mention somewhere
        entry = SERVICES.index(str(rng.choice(JOURNEYS[:3])))
        _, where = _some(rng, [entry], scenario.minutes, 3, 18)
        extra = effects.rate[where, entry, None] * min(rng.gamma(2.0, 0.14), 0.6)
        effects.rate[where] += extra * TOPOLOGY.visits[entry]
        effects.rate[where, 0] += extra[:, 0]
    for _ in range(counts["steal"]):  # a short job on the host
        place, where = _some(rng, _OWN, scenario.minutes, 2, 12)
        share = min(rng.gamma(2.0, 0.06), 0.22)
        effects.share[where, place] *= 1 - share
        effects.hog[where, place] += share * float(rng.integers(2))
    for _ in range(counts["slow"]):  # a heavy customer, a cold page cache
        place, where = _some(rng, range(len(SERVICES)), scenario.minutes, 2, 15)
        effects.work[where, place] *= 1 + rng.gamma(2.0, 0.11)
    return _deploys(effects, scenario, rng, counts["deploy"])


def restlessness(effects: Effects, scenario: Scenario) -> None:
    """Write into ``effects`` how much each service varies by itself, all the time.

    A service draws a strength for each of its habits: heavy and light requests, a neighbour on its
    host, clients that send nonsense, garbage collection, temporary files. Most strengths are small
    and few are large, so that what is a great change of one service is any minute of another.
    """
    rng = seeds.stream(scenario.seed, seeds.LIFE, 3)
    size = len(SERVICES)
    strength = scenario.restless * 10 ** -rng.uniform(0.0, 2.0, (len(_HABITS), size))
    work, hog, fail, tail, leak, fill = (
        most * each for most, each in zip(_HABITS.values(), strength, strict=True)
    )
    draws = rng.standard_normal((scenario.minutes + 1, 2 * size))
    wander = _autoregress(draws, _WORK_MEMORY)[1:]
    effects.work *= np.exp(work * wander[:, :size])
    effects.hog += hog * np.abs(wander[:, size:])
    shape = (scenario.minutes, size)
    broken = np.minimum(fail * rng.exponential(size=shape), 0.5)
    effects.add_failures(slice(None), slice(None), broken)
    effects.tail += tail * rng.exponential(size=shape)
    own = np.isin(np.arange(size), _OWN)
    effects.leak += own * leak * rng.exponential(size=shape) * (rng.random(shape) < _PULSES)
    effects.fill += own * fill * rng.exponential(size=shape) * (rng.random(shape) < _PULSES)


def deploy(effects: Effects, release: Deploy, rng: np.random.Generator) -> None:
    """Write a harmless release into ``effects``: some minutes of cold caches and restarts."""
    place = TOPOLOGY.position[release.service]
    where = slice(release.start, release.start + int(rng.integers(3, 9)))
    length = len(effects.work[where])
    fade = np.exp(-np.arange(length) / 2.5)
    effects.work[where, place] *= 1 + rng.gamma(3.0, 0.1) * fade
    effects.tail[where, place] += 0.25 * fade
    effects.scale[where, place] *= 1 - 0.5 / TOPOLOGY.services[place].replicas


def resting_memory(scenario: Scenario) -> np.ndarray:
    """Return memory at rest, [minute, service]: slow growth over the day, as caches fill."""
    minute = _minute_of_day(scenario)[:, None]
    phase = 137 * np.arange(len(SERVICES)) % 1440
    return TOPOLOGY.column("memory") + 0.02 * (((minute - phase) % 1440) / 1440 - 0.5)


def resting_disk(scenario: Scenario) -> np.ndarray:
    """Return disk at rest, [minute, service]: a week's growth, cleaned up on Sunday at 04:00."""
    minute = int(scenario.start.timestamp()) // 60 + np.arange(scenario.minutes)
    into_week = ((minute + 4 * 1440 - 240) % (7 * 1440)) / (7 * 1440)
    growth = 0.02 + 0.08 * TOPOLOGY.column("disk") ** 2
    return TOPOLOGY.column("disk") + (into_week[:, None] - 0.5) * growth


def _deploys(
    effects: Effects, scenario: Scenario, rng: np.random.Generator, count: int
) -> list[Deploy]:
    """Working days, working hours: a draw that falls elsewhere does not take place."""
    done = []
    for _ in range(count):
        start = int(rng.integers(scenario.minutes))
        service = str(rng.choice(_DEPLOYED))
        version = f"v{rng.integers(100, 1000)}"
        when = scenario.start + pd.Timedelta(minutes=start)
        release = Deploy(service, start, version)
        if when.day_of_week < 5 and 7 <= when.hour < 17:
            deploy(effects, release, rng)
            done.append(release)
    return sorted(done, key=lambda release: release.start)


def _nightly_jobs(effects: Effects, scenario: Scenario) -> None:
    """Calendar work: re-index 02:00, backup 03:20, mails 06:30, hourly reports."""
    minute = _minute_of_day(scenario)
    orders, catalog, search, worker = (
        TOPOLOGY.position[name] for name in ("orders-db", "catalog-db", "search", "fulfilment")
    )
    jobs = ((catalog, 120, 35, 0.22), (search, 122, 30, 0.15), (orders, 200, 50, 0.26),
            (worker, 390, 20, 0.2), (orders, 395, 12, 0.1))  # fmt: skip
    rng = seeds.stream(scenario.seed, seeds.LIFE, 1)
    jitter = rng.integers(-2, 8, size=len(jobs))
    stretch = rng.uniform(0.8, 1.3, size=len(jobs))
    for (place, begin, length, share), late, factor in zip(jobs, jitter, stretch, strict=True):
        on = (minute >= begin + late) & (minute < begin + late + length * factor)
        effects.share[on, place] *= 1 - share
        effects.hog[on, place] += share
    hourly = minute % 60 < 3
    effects.share[hourly, orders] *= 0.94
    effects.hog[hourly, orders] += 0.06


def _minute_of_day(scenario: Scenario) -> np.ndarray:
    first = scenario.start.hour * 60 + scenario.start.minute
    return (first + np.arange(scenario.minutes)) % 1440


def _some(
    rng: np.random.Generator, places: range | list[int], minutes: int, low: int, high: int
) -> tuple[int, slice]:
    """Draw a place and a stretch of ``low``..``high`` minutes."""
    place = places[int(rng.integers(len(places)))]
    start = int(rng.integers(minutes))
    return place, slice(start, start + int(rng.integers(low, high + 1)))


def _autoregress(innovations: np.ndarray, memory: float) -> np.ndarray:
    """AR(1) of unit variance along the first axis; row 0 is the stationary start."""
    scaled = innovations * np.sqrt(1 - memory**2)
    scaled[0] = innovations[0]
    return _lfilter()([1.0], [1.0, -memory], scaled, axis=0)


@lru_cache(maxsize=1)
def _lfilter():  # type: ignore[no-untyped-def]  # scipy.signal is slow to import
    from scipy.signal import lfilter

    return lfilter

"""The kinds of fault: where they strike, what they do over time, what helps.

A kind's ``apply`` writes its effect into `Effects`. Shapes differ on purpose: a leak ramps, a bad
release steps up while it rolls out, a stampede comes in spikes, a neighbour comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course.shop.effects import Effects
from course.shop.topology import SERVICES, TOPOLOGY

_THIRD = tuple(service.name for service in TOPOLOGY.services if service.kind == "third_party")
_OWN = tuple(name for name in SERVICES if name not in _THIRD)
_APPS = tuple(s.name for s in TOPOLOGY.services if s.kind in ("edge", "app", "worker"))
_SQL = tuple(s.name for s in TOPOLOGY.services if s.kind == "sql")
_CACHES = tuple(TOPOLOGY.backing)
_DISKS = (*_SQL, "order-queue", "search", "gateway")


@dataclass(frozen=True)
class Strike:
    """One fault at work: where, from when, how hard, and its own luck."""

    place: int
    start: int
    minutes: int
    severity: float
    rng: np.random.Generator

    @property
    def where(self) -> slice:
        """The minutes in which the fault acts."""
        return slice(self.start, self.start + self.minutes)

    @property
    def age(self) -> np.ndarray:
        """Minutes since the start, [active minute], from 1."""
        return np.arange(1.0, self.minutes + 1)

    def ramp(self, over: float) -> np.ndarray:
        """Rise from 0 to 1 in ``over`` minutes, then stay, [active minute]."""
        return np.minimum(self.age / over, 1.0)

    def jitter(self, sigma: float) -> np.ndarray:
        """Log-normal luck with mean about one, [active minute]."""
        return np.exp(sigma * self.rng.standard_normal(self.minutes) - sigma**2 / 2)


@dataclass(frozen=True)
class FaultType:
    """A kind of fault.

    Attributes
    ----------
    kind : name, the key in `FAULTS`
    services : names of the services at which it can strike
    shape : how the effect looks over time, in words
    summary : what goes wrong, in a sentence
    remedies : actions that help, best first
    apply : writes the effect of a `Strike` into an `Effects`
    announced : kind of the event in the change log that comes with it ("deploy", "config" or "")
    """

    kind: str
    services: tuple[str, ...]
    shape: str
    summary: str
    remedies: tuple[str, ...]
    apply: Callable[[Effects, Strike], None]
    announced: str = ""


def _cpu_saturation(effects: Effects, strike: Strike) -> None:
    taken = strike.severity * 0.75 * strike.ramp(3) * np.minimum(strike.jitter(0.08), 1.2)
    effects.share[strike.where, strike.place] *= 1 - taken
    effects.hog[strike.where, strike.place] += taken


def _memory_leak(effects: Effects, strike: Strike) -> None:
    free = 1 - TOPOLOGY.services[strike.place].memory
    minutes_to_full = 110 - 90 * strike.severity
    effects.leak[strike.where, strike.place] += free / minutes_to_full * strike.jitter(0.3)


def _slow_query(effects: Effects, strike: Strike) -> None:
    slow = strike.severity * strike.ramp(2) * strike.jitter(0.15)
    effects.work[strike.where, strike.place] *= 1 + 1.5 * slow
    effects.tail[strike.where, strike.place] += 0.6 * slow


def _cache_stampede(effects: Effects, strike: Strike) -> None:
    period = strike.rng.integers(5, 13)
    phase = (strike.age - 1) % period
    spike = np.exp(-phase / 1.2) * strike.jitter(0.35)
    cold = np.minimum(0.06 + 0.5 * strike.severity * spike, 0.95)
    effects.add_misses(strike.where, strike.place, cold)
    refills = effects.rate[strike.where, strike.place] * 0.4 * cold  # what missed is written anew
    effects.inject[strike.where, strike.place] += refills
    effects.work[strike.where, strike.place] *= 1 + 0.9 * strike.severity * spike


def _pool_exhaustion(effects: Effects, strike: Strike) -> None:
    lost = (1 - _small_pool(strike)) * strike.ramp(32 - 24 * strike.severity)
    effects.pool[strike.where, strike.place] *= 1 - lost


def _bad_deploy(effects: Effects, strike: Strike) -> None:
    replicas = TOPOLOGY.services[strike.place].replicas
    minutes_per_replica = strike.rng.integers(1, 3)
    rolled = np.minimum(np.ceil(strike.age / minutes_per_replica) / replicas, 1.0)
    slow, broken = strike.rng.dirichlet((1.0, 1.0)) * strike.severity
    effects.work[strike.where, strike.place] *= 1 + 1.6 * slow * rolled
    effects.add_failures(strike.where, strike.place, 0.24 * broken * rolled * strike.jitter(0.1))
    effects.tail[strike.where, strike.place] += 0.3 * slow * rolled


def _bad_config(effects: Effects, strike: Strike) -> None:
    variant = strike.rng.integers(3)
    if variant == 0:  # a time limit that is too short: the slow requests fail
        effects.add_failures(strike.where, strike.place, 0.10 * strike.severity)
        effects.tail[strike.where, strike.place] -= 0.12 * strike.severity
    elif variant == 1:  # a pool that is too small
        effects.pool[strike.where, strike.place] *= _small_pool(strike)
    else:  # debug logging: every request costs more
        effects.work[strike.where, strike.place] *= 1 + 1.1 * strike.severity
        effects.fill[strike.where, strike.place] += 2e-4 * strike.severity


def _network_delay(effects: Effects, strike: Strike) -> None:
    wave = 1 + 0.3 * np.sin(2 * np.pi * strike.age / strike.rng.uniform(9, 25))
    usual = 15 + 0.7 * TOPOLOGY.services[strike.place].service_ms
    delay = 2.2 * usual * strike.severity * wave * strike.jitter(0.25)
    effects.delay[strike.where, strike.place] += delay


def _network_loss(effects: Effects, strike: Strike) -> None:
    lost = 0.09 * strike.severity * strike.jitter(0.7)
    effects.delay[strike.where, strike.place] += 200 * lost
    effects.tail[strike.where, strike.place] += np.minimum(5 * lost, 0.9)
    effects.add_failures(strike.where, strike.place, lost**1.3)


def _third_party_outage(effects: Effects, strike: Strike) -> None:
    out = _telegraph(strike, stays=0.93, share_on=0.75)
    effects.add_failures(strike.where, strike.place, 0.75 * strike.severity * out)
    effects.delay[strike.where, strike.place] += 1500 * strike.severity**2 * out


def _disk_full(effects: Effects, strike: Strike) -> None:
    free = 1 - TOPOLOGY.services[strike.place].disk
    minutes_to_full = 70 - 58 * strike.severity
    effects.fill[strike.where, strike.place] += free / minutes_to_full * strike.jitter(0.2)


def _retry_storm(effects: Effects, strike: Strike) -> None:
    trigger = slice(strike.start, strike.start + min(4, strike.minutes))
    effects.add_failures(trigger, strike.place, 0.15 + 0.45 * strike.severity)
    effects.eager[strike.where, strike.place] += 0.6 + 2.4 * strike.severity
    effects.work[strike.where, strike.place] *= 1 + 0.5 * strike.severity
    effects.add_failures(strike.where, strike.place, 0.04 * strike.severity)


def _noisy_neighbour(effects: Effects, strike: Strike) -> None:
    on = _telegraph(strike, stays=0.8, share_on=0.55) * np.minimum(strike.jitter(0.2), 1.4)
    host = TOPOLOGY.services[strike.place].host
    for place, service in enumerate(TOPOLOGY.services):
        if service.host == host:
            hit = strike.severity * (0.55 if place == strike.place else 0.12)
            effects.share[strike.where, place] *= 1 - hit * on
            effects.tail[strike.where, place] += 0.5 * hit * on


def _small_pool(strike: Strike) -> float:
    """What is left of a pool: its use grows in proportion to severity.

    In a mean minute of the week the usual share of it is in use at severity 0, 1.1 times all that is
    left at severity 1.
    """
    usual = float(TOPOLOGY.mean_pool[strike.place])
    return usual / (usual + (1.1 - usual) * strike.severity)


def _telegraph(strike: Strike, stays: float, share_on: float) -> np.ndarray:
    """On and off at random, on at first, [active minute] of 0.0 and 1.0."""
    draws = strike.rng.random((strike.minutes, 2))
    changes = draws[:, 0] > stays
    changes[0] = True
    values = (draws[:, 1] < share_on).astype(float)
    values[0] = 1.0
    last_change = np.maximum.accumulate(np.where(changes, np.arange(strike.minutes), 0))
    return values[last_change]


_KINDS = (
    FaultType("cpu_saturation", _OWN, "step within 3 minutes",
              "A runaway process in the container takes CPU away from the service.",
              ("restart", "scale_out"), _cpu_saturation),
    FaultType("memory_leak", _APPS, "ramp of memory, then restarts like a saw",
              "Memory is never given back until the kernel kills a replica.",
              ("restart", "roll_back"), _memory_leak),
    FaultType("slow_query", _SQL, "step, long tail",
              "A query lost its index: the store works longer for each request.",
              ("kill_query", "fail_over"), _slow_query),
    FaultType("cache_stampede", _CACHES, "spikes",
              "Many keys expire together; their misses hit the store behind the cache.",
              ("warm_cache", "shed_load"), _cache_stampede),
    FaultType("pool_exhaustion", (*_APPS, *_SQL), "ramp, then a cliff",
              "Connections are not given back; what is left of the pool is too small.",
              ("restart", "scale_out"), _pool_exhaustion),
    FaultType("bad_deploy", _APPS, "stairs while it rolls out, then level",
              "A release is slower or fails.", ("roll_back",), _bad_deploy, "deploy"),
    FaultType("bad_config", _OWN, "step",
              "A changed setting: a short time limit, a small pool or debug logging.",
              ("roll_back",), _bad_config, "config"),
    FaultType("network_delay", _OWN, "step with waves",
              "Answers of the service take longer on the wire.",
              ("fail_over",), _network_delay),
    FaultType("network_loss", _OWN, "spiky tail and failures",
              "Packets are lost: some answers come late, some never.",
              ("fail_over",), _network_loss),
    FaultType("third_party_outage", _THIRD, "on and off",
              "The third party fails or hangs.", ("open_breaker", "fail_over"),
              _third_party_outage),
    FaultType("disk_full", _DISKS, "ramp of disk, then a cliff of failures",
              "Files pile up until writes fail.", ("flush", "scale_out"), _disk_full),
    FaultType("retry_storm", _APPS, "pulse that feeds itself",
              "A short failure is kept alive by callers that retry without backoff.",
              ("shed_load", "open_breaker"), _retry_storm),
    FaultType("noisy_neighbour", _OWN, "on and off, neighbours on the host too",
              "Another tenant of the machine takes CPU; the service's own CPU does not show it.",
              ("fail_over", "scale_out"), _noisy_neighbour),
)  # fmt: skip

#: The kinds of fault by name.
FAULTS: dict[str, FaultType] = {fault.kind: fault for fault in _KINDS}

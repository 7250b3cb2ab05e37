"""From scenarios to recordings: prepare the inputs, run the engine, observe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from course.shop import life, seeds
from course.shop.effects import Effects
from course.shop.engine import INPUTS, Engine
from course.shop.faults import FAULTS, Strike
from course.shop.observe import observe, spread_of_own_time
from course.shop.recording import Recording
from course.shop.scenario import Deploy, Scenario
from course.shop.surges import surge_demand, surge_work
from course.shop.topology import TOPOLOGY
from course.shop.workload import demand, spread

#: Scenario-minutes that go through the engine at once; bounds memory, not results.
_BATCH_MINUTES = 60_000
_ENGINE = Engine()


def simulate(scenario: Scenario) -> Recording:
    """Simulate one scenario.

    Examples
    --------
    >>> from course.shop import Scenario, simulate
    >>> recording = simulate(Scenario("2026-03-10T02:00Z", minutes=60, seed=1))
    >>> recording.metrics["checkout", "error_ratio"].shape
    (60,)
    """
    return simulate_many([scenario])[0]


def simulate_many(scenarios: Iterable[Scenario]) -> list[Recording]:
    """Simulate scenarios together; each recording is the same, byte for byte, as when alone.

    Scenarios of equal length share one run of the engine: 200 two-hour incidents take little
    longer than one.
    """
    scenarios = list(scenarios)
    for scenario in scenarios:
        if not isinstance(scenario, Scenario):
            raise TypeError(
                f"simulate_many takes Scenario objects, found {type(scenario).__name__}"
            )
    recordings: list[Recording | None] = [None] * len(scenarios)
    for places in _batches(scenarios):
        batch = _run([scenarios[place] for place in places])
        for place, recording in zip(places, batch, strict=True):
            recordings[place] = recording
    return [recording for recording in recordings if recording is not None]


def history(start: pd.Timestamp | str, days: float, seed: int) -> Recording:
    """Simulate quiet days: no fault, no surge, only the shop's ordinary life.

    A later scenario of the same calendar fits on to it: the baseline does not depend on the seed.

    Parameters
    ----------
    start : pd.Timestamp or str
        Time zone aware.
    days : float
        Whole minutes are kept.
    seed : int
    """
    return simulate(Scenario(pd.Timestamp(start), minutes=round(days * 1440), seed=seed))


def prepare(scenario: Scenario) -> tuple[Effects, list[Deploy]]:
    """Return what acts on the shop in a scenario, and the deploys of its ordinary life."""
    journeys = demand(scenario.start, scenario.minutes) * life.demand_noise(scenario)
    for surge in scenario.surges:
        journeys *= surge_demand(
            surge.kind, surge.start, surge.minutes, surge.size, scenario.minutes
        )
    effects = Effects.neutral(spread(journeys))
    effects.work *= life.work_noise(scenario)
    deploys = life.live(effects, scenario) if scenario.background else []
    if scenario.restless:
        life.restlessness(effects, scenario)
    for surge in scenario.surges:
        surge_work(effects, surge.kind, surge.start, surge.minutes, surge.size)
    for number, release in enumerate(scenario.deploys):
        life.deploy(effects, release, seeds.stream(scenario.seed, seeds.LIFE, 2, number))
    for number, fault in enumerate(scenario.faults):
        strike = Strike(
            place=TOPOLOGY.position[fault.service],
            start=fault.start,
            minutes=fault.minutes,
            severity=fault.severity,
            rng=seeds.stream(scenario.seed, seeds.FAULT, number),
        )
        FAULTS[fault.kind].apply(effects, strike)
    return effects, deploys


def engine_inputs(effects: Effects, scenario: Scenario) -> np.ndarray:
    """Return the engine's inputs for one scenario, [minute, input, service]."""
    columns = {
        "rate": effects.rate,
        "inject": effects.inject,
        "capacity": TOPOLOGY.capacity * effects.scale * effects.share / effects.work,
        "service_ms": TOPOLOGY.column("service_ms") * effects.work / effects.share**0.5,
        "pool": effects.pool * effects.scale,
        "delay": effects.delay,
        "log_ok": -np.log1p(-effects.fail),
        "leak": effects.leak,
        "fill": effects.fill,
        "eager": effects.eager,
        "memory": life.resting_memory(scenario),
        "disk": life.resting_disk(scenario),
    }
    return np.stack([columns[name] for name in INPUTS], axis=1)


def _run(scenarios: list[Scenario]) -> list[Recording]:
    prepared = [prepare(scenario) for scenario in scenarios]
    inputs = np.stack(
        [engine_inputs(effects, s) for (effects, _), s in zip(prepared, scenarios, strict=True)],
        axis=2,
    )
    outputs = _ENGINE.run(inputs)
    recordings = []
    for place, (scenario, (effects, deploys)) in enumerate(zip(scenarios, prepared, strict=True)):
        own_outputs = np.ascontiguousarray(outputs[:, :, place])
        sigma = spread_of_own_time(own_outputs, effects)
        values = observe(scenario.seed, own_outputs, effects, sigma)
        recordings.append(Recording(scenario, values, own_outputs, sigma, tuple(deploys)))
    return recordings


def _batches(scenarios: list[Scenario]) -> Iterator[list[int]]:
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, scenario in enumerate(scenarios):
        by_length[scenario.minutes].append(place)
    for minutes, places in by_length.items():
        size = max(1, _BATCH_MINUTES // minutes)
        for first in range(0, len(places), size):
            yield places[first : first + size]

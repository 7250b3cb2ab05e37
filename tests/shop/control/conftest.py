"""What the tests of the shop under control share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from course.shop import SERVICES
from course.shop.control import PLACES, STEPS, WARM_UP, Action, ControlScenario, draw_scenarios
from course.shop.control.incidents import BLIP
from course.shop.control.simulation import Simulation

EACH = 6


class Bench:
    """Scenarios of one kind, in which one action is tried at a time; no action fails by chance."""

    def __init__(self, kind: str) -> None:
        share = 1.0 if kind == BLIP else 0.0
        kinds = None if kind == BLIP else [kind]
        drawn = draw_scenarios(8 * EACH, 7, kinds=kinds, control_share=share)
        self.scenarios = [s for s in drawn if s.kind == kind][:EACH]
        self.home = np.array([SERVICES.index(s.incident.service) for s in self.scenarios])
        self.start = np.array([s.incident.start for s in self.scenarios])
        self.simulation = Simulation(self.scenarios)
        self.simulation._luck[:] = 1.0
        self.nothing = self.lost()

    def lost(
        self,
        action: Action = Action.NO_OP,
        level: int = 0,
        where: np.ndarray | None = None,
        when: Callable[[Simulation], np.ndarray] | None = None,
    ) -> np.ndarray:
        """SLO minutes lost and charged in each step, [scenario, step]."""
        simulation = self.simulation
        simulation.restart()
        found = []
        while not simulation.over:
            chosen = np.zeros((len(self.scenarios), 3), dtype=int)
            if action:
                go = simulation.minute == self.start + 8 if when is None else when(simulation)
                chosen[go, 0] = action
                chosen[go, 1] = (self.home if where is None else where)[go]
                chosen[go, 2] = level
            tally = simulation.step(chosen)
            found.append(tally.lost + tally.cost)
        return np.array(found).T

    def saved(self, *args, **options) -> np.ndarray:
        """SLO minutes saved against doing nothing, costs taken off, [scenario]."""
        return (self.nothing - self.lost(*args, **options)).sum(axis=1)


@pytest.fixture(scope="session")
def bench() -> Callable[[str], Bench]:
    """A `Bench` of each kind, made once."""
    made: dict[str, Bench] = {}

    def get(kind: str) -> Bench:
        if kind not in made:
            made[kind] = Bench(kind)
        return made[kind]

    return get


@pytest.fixture(scope="session")
def mixed() -> list[ControlScenario]:
    """One scenario of each kind, and some without a fault."""
    drawn = draw_scenarios(120, 3)
    first = {scenario.kind: scenario for scenario in reversed(drawn)}
    assert first.keys() == {*PLACES, ""}
    assert all(s.shop.minutes == WARM_UP + STEPS for s in drawn)
    return list(first.values())

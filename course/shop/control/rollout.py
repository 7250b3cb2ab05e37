"""Run a policy over scenarios, and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.shop.control.env import Observation, ShopVectorEnv
from course.shop.control.incidents import ControlScenario

#: From a batch of observations to an action a scenario, [scenario, (action, service, level)].
Policy = Callable[[Observation], np.ndarray]

_COLUMNS = ["scenario", "step", "action", "service", "level", "refused", "cost", "evidence",
            "touched", "fault"]  # fmt: skip


@dataclass(frozen=True)
class Rollout:
    """What a policy did and what it came to.

    Attributes
    ----------
    lost : SLO minutes lost in each step, [scenario, step]
    cost : SLO minutes charged for actions, [scenario, step]
    good : good requests per second of all journeys (goodput), [scenario, step]
    faulty : whether something was wrong that does not pass by itself, [scenario]
    actions : DataFrame
        One row an action: scenario, step, action, service, level, whether it was refused, its
        cost, whether telemetry gave reason to act (some journey with more than 2 % of bad requests in
        2 of the last 5 minutes), how many services the policy had its hands on (blast radius),
        and whether a fault was at work.
    """

    lost: np.ndarray
    cost: np.ndarray
    good: np.ndarray
    faulty: np.ndarray
    actions: pd.DataFrame


def do_nothing(observation: Observation) -> np.ndarray:
    """Wait, whatever happens: the policy that all others are compared with."""
    return np.zeros((len(observation["metrics"]), 3), dtype=int)


def rollout(policy: Policy, scenarios: Sequence[ControlScenario] | ShopVectorEnv) -> Rollout:
    """Run a policy in closed loop over scenarios, all at once.

    Parameters
    ----------
    policy : callable
        Is given the batch of observations and returns [scenario, (action, service, level)].
    scenarios : sequence of ControlScenario, or ShopVectorEnv
        An environment that holds them is prepared only once for several policies.

    Examples
    --------
    >>> from course.shop.control import draw_scenarios
    >>> run = rollout(do_nothing, draw_scenarios(3, seed=5))
    >>> run.lost.shape, len(run.actions)
    ((3, 120), 0)
    """
    envs = scenarios if isinstance(scenarios, ShopVectorEnv) else ShopVectorEnv(scenarios)
    observation, _ = envs.reset()
    while not envs.simulation.over:
        observation, *_ = envs.step(policy(observation))
    lost, cost, good = (
        np.stack([getattr(tally, name) for tally in envs.tally], axis=1)
        for name in ("lost", "cost", "good")
    )
    faulty = np.array([scenario.faulty for scenario in envs.simulation.scenarios])
    actions = pd.DataFrame(envs.simulation.records, columns=_COLUMNS)
    return Rollout(lost, cost, good, faulty, actions)

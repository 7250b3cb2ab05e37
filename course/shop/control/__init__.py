"""The shop under control: act on it, minute by minute, as in an incident.

An episode is two hours of the shop by day, after an hour of telemetry in which nobody may act. Once a
minute a policy sees what monitoring shows (`observation_space` says it field by field) and chooses an
action, a service and a level (`ACTIONS` says what each does, needs and costs). Actions take minutes,
may fail, and are refused where they are impossible. The reward is minus the SLO minutes of that minute:
one is lost if all requests of one of the five journeys of `JOURNEYS` fail or take longer than
`OBJECTIVE_MS`; the price of an action is in the same unit.

`draw_scenarios` draws episodes from a seed: one incident each, or something harmless that looks like
one. Among the incidents are metastable overloads, which outlast their trigger because callers retry:
they end only when the load is cut. `rollout` runs a policy over many episodes at once.

>>> from course.shop.control import ShopVectorEnv, do_nothing, draw_scenarios, rollout
>>> scenarios = draw_scenarios(4, seed=1, kinds=["metastable"], control_share=0)
>>> run = rollout(do_nothing, scenarios)
>>> bool((run.lost[:, -10:].mean(axis=1) > 0.15).all())
True

A policy by hand, on one episode: shed load where most calls are retries.

>>> import numpy as np
>>> env = ShopEnv(scenarios[0])
>>> seen, _ = env.reset()
>>> total, over = 0.0, False
>>> while not over:
...     retries = seen["metrics"][:, CONTROL_METRICS.index("retry_ratio")]
...     act = retries.max() > 0.6 and not seen["pending"].any()
...     action = (Action.SHED, int(retries.argmax()), 3) if act else (Action.NO_OP, 0, 0)
...     seen, reward, _, over, _ = env.step(action)
...     total -= reward
>>> bool(total < 0.6 * run.lost[0].sum())
True
"""

import gymnasium

from course.shop.control.actions import ACTIONS, LEVELS, Action, ActionType
from course.shop.control.env import LEVERS, ShopEnv, ShopVectorEnv, action_space, observation_space
from course.shop.control.incidents import (
    HARMLESS,
    PLACES,
    STEPS,
    WARM_UP,
    ControlScenario,
    Incident,
    draw_scenarios,
)
from course.shop.control.rollout import Policy, Rollout, do_nothing, rollout
from course.shop.control.simulation import CHANGES, EVIDENCE
from course.shop.control.telemetry import CONTROL_METRICS, OBJECTIVE_MS
from course.shop.workload import JOURNEYS

gymnasium.register(
    "course/Shop-v0",
    entry_point="course.shop.control.env:ShopEnv",
    vector_entry_point="course.shop.control.env:ShopVectorEnv",
)

__all__ = [
    "ACTIONS",
    "CHANGES",
    "CONTROL_METRICS",
    "EVIDENCE",
    "HARMLESS",
    "JOURNEYS",
    "LEVELS",
    "LEVERS",
    "OBJECTIVE_MS",
    "PLACES",
    "STEPS",
    "WARM_UP",
    "Action",
    "ActionType",
    "ControlScenario",
    "Incident",
    "Policy",
    "Rollout",
    "ShopEnv",
    "ShopVectorEnv",
    "action_space",
    "do_nothing",
    "draw_scenarios",
    "observation_space",
    "rollout",
]

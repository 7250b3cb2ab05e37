"""The shop under control: act on it, minute by minute, as in an incident.

>>> from course.shop.control import ShopVectorEnv, do_nothing, draw_scenarios, rollout
>>> scenarios = draw_scenarios(4, seed=1, kinds=["metastable"], control_share=0)
>>> run = rollout(do_nothing, scenarios)
>>> bool((run.lost[:, -10:].mean(axis=1) > 0.15).all())
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

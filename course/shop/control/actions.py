"""What a policy may do to a service: cost, delay, chance to fail, and where it is possible."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from course.shop.topology import BACKING, TOPOLOGY


class Action(IntEnum):
    """Kinds of action, by their number in the action space."""

    NO_OP = 0
    RESTART = 1
    SCALE = 2
    ROLL_BACK = 3
    SHED = 4
    OPEN_BREAKER = 5
    FLUSH_CACHE = 6
    FAIL_OVER = 7
    RAISE_LIMIT = 8


@dataclass(frozen=True)
class ActionType:
    """A kind of action.

    Attributes
    ----------
    action : Action
    summary : what it does
    needs : its precondition, in words; an action that breaks it is refused and does nothing
    delay : minutes until it takes effect (stores and the queue take `STORE_DELAY` more to scale)
    fails : chance that nothing comes of it; known only when the delay is over
    cost : SLO minutes, due at once
    upkeep : SLO minutes for each minute and level in which it is in force
    levels : what level 1, 2 and 3 mean; empty if the level is ignored. Level 0 takes back what is
        in force, after `TAKE_BACK_DELAY`
    """

    action: Action
    summary: str
    needs: str
    delay: int
    fails: float
    cost: float
    upkeep: float = 0.0
    levels: tuple[float, ...] = ()


_TYPES = (
    ActionType(Action.NO_OP, "Waits.", "nothing", 0, 0.0, 0.0),
    ActionType(Action.RESTART, "Restarts the replicas in turn: memory, runaway processes and "
               "connections are given back; a minute with a replica less and 5 % failures; a "
               "cache loses half of its entries.",
               "a service of the shop's own", 2, 0.05, 0.1),
    ActionType(Action.SCALE, "Runs 1, 2 or 3 replicas more than usual, at most half as many again; "
               "they do not get ready while callers flood them with retries.",
               "a service of the shop's own", 3, 0.05, 0.1, 0.01, (1, 2, 3)),
    ActionType(Action.ROLL_BACK, "Puts the last release or settings back; minutes of cold caches.",
               "a deploy or a changed setting of the service within 60 minutes, not yet rolled back",
               3, 0.1, 0.4),
    ActionType(Action.SHED, "Turns 25, 50 or 75 % of the requests away for 10 minutes, with an "
               "error that nobody retries.",
               "a service of the shop's own that others wait for", 1, 0.02, 0.1, 0.0,
               (0.25, 0.5, 0.75)),
    ActionType(Action.OPEN_BREAKER, "Callers stop calling but for probes, for 3, 6 or 12 minutes and "
               "for as long as the probes fail; "
               "they fail at once, or fall back where there is a fallback.",
               "a service that another calls and waits for", 1, 0.02, 0.1, 0.0, (3, 6, 12)),
    ActionType(Action.FLUSH_CACHE, "Empties a cache: every lookup misses, for minutes.",
               "a cache", 1, 0.02, 0.1),
    ActionType(Action.FAIL_OVER, "Moves the service to its standby on another host: two minutes "
               "with 15 % failures; the standby is used up for an hour.",
               "a free standby, which the shop's own services have", 2, 0.15, 0.5),
    ActionType(Action.RAISE_LIMIT, "Gives the service 1.5, 2 or 3 times its pool, memory and disk.",
               "a service of the shop's own", 2, 0.05, 0.2, 0.01, (1.5, 2.0, 3.0)),
)  # fmt: skip

#: The kinds of action, in the order of the action space.
ACTIONS: dict[Action, ActionType] = {kind.action: kind for kind in _TYPES}
#: Actions that can be taken back by level 0.
TAKEN_BACK = (Action.SCALE, Action.SHED, Action.OPEN_BREAKER, Action.RAISE_LIMIT)
LEVELS = 4
STORE_DELAY = 5
TAKE_BACK_DELAY = 1
REFUSED_COST = 0.1
#: How long after a change it can be rolled back, in minutes.
ROLL_BACK_WITHIN = 60
SHED_MINUTES = 10
STANDBY_MINUTES = 60

_KIND = np.array([service.kind for service in TOPOLOGY.services])
_OWN = _KIND != "third_party"
_WAITED = _KIND != "worker"
_CALLED = np.array([any(c.waits for c in TOPOLOGY.calls if c.callee == s) for s in TOPOLOGY.names])
_CACHE = np.isin(np.array(TOPOLOGY.names), list(BACKING))

#: Where an action is possible at all, [action, service].
POSSIBLE = np.stack([
    np.ones_like(_OWN), _OWN, _OWN, _OWN, _OWN & _WAITED, _CALLED, _CACHE, _OWN, _OWN,
])  # fmt: skip
#: Replicas that can be added, [service].
QUOTA = np.ceil(TOPOLOGY.column("replicas") / 2)
#: Minutes until an action takes effect, [action, service].
DELAY = np.repeat(np.array([kind.delay for kind in _TYPES])[:, None], len(_KIND), axis=1)
DELAY[Action.SCALE] += STORE_DELAY * np.isin(_KIND, ("sql", "cache", "queue"))
FAILS = np.array([kind.fails for kind in _TYPES])
COST = np.array([kind.cost for kind in _TYPES])
UPKEEP = np.array([kind.upkeep for kind in _TYPES])


def level_value(action: Action, level: np.ndarray, off: float) -> np.ndarray:
    """What a level means, elementwise; level 0 means ``off``."""
    return np.array((off, *ACTIONS[action].levels))[level]

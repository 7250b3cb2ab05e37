"""Actions on their way and in force.

All arrays are [scenario, service] or [action, scenario, service]; every operation is elementwise
or reduces over services, so that a scenario does not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.shop.control.actions import (
    COST,
    DELAY,
    FAILS,
    POSSIBLE,
    QUOTA,
    REFUSED_COST,
    ROLL_BACK_WITHIN,
    SHED_MINUTES,
    STANDBY_MINUTES,
    TAKE_BACK_DELAY,
    TAKEN_BACK,
    UPKEEP,
    Action,
    level_value,
)
from course.shop.control.incidents import PLACES, POISONED
from course.shop.engine import MEMORIES
from course.shop.topology import TOPOLOGY

#: What became of an action in a minute.
NOTHING, DONE, FAILED, REFUSED = range(4)
#: Which action takes an incident away from the service that it is aimed at.
CURES: dict[Action, tuple[str, ...]] = {
    Action.RESTART: ("cpu_saturation", POISONED),
    Action.ROLL_BACK: ("bad_deploy", "bad_config"),
    Action.FLUSH_CACHE: (POISONED,),
    Action.FAIL_OVER: ("cpu_saturation", "slow_query", "network_delay", "network_loss",
                       "noisy_neighbour"),
}  # fmt: skip

_CURE = np.array([[kind in CURES.get(action, ()) for kind in (*PLACES, "")] for action in Action])
_MOVING_MINUTES = 2
_FADES = 0.7  # part of a cold start, or of a cache's emptiness, that is left a minute later
_FLOOD = 2.0  # attempts per call above which new replicas do not get ready
_EMPTIES = {Action.FLUSH_CACHE: 0.95, Action.RESTART: 0.5}
_CACHE = POSSIBLE[Action.FLUSH_CACHE]
_LEAKED, _FILLED = MEMORIES.index("leaked"), MEMORIES.index("filled")


@dataclass
class Levers:
    """What is on its way (``due``, ``level``, ``doomed``) and what is in force.

    Attributes
    ----------
    due : minutes until an action takes effect, [action, scenario, service]; 0 is none
    level, doomed : its level, and whether nothing will come of it
    extra : replicas beyond the usual
    ready : whether they serve: under a flood of retries they never get ready
    shed, shed_left : share turned away, and for how many minutes more
    open_left : minutes for which the breaker stays open
    limit : factor on pool, memory and disk
    restarting : whether replicas restart in this minute
    moving : minutes of a fail-over that are left
    standby_left : minutes until there is a standby again
    empty : share of a cache's entries that are gone
    cold : strength of a cold start, 1 at first
    cured : whether the incident is gone from a service
    rolled_back : whether the last change has been rolled back
    set_back : minutes by which a pool's slow loss was set back, [scenario]
    """

    due: np.ndarray
    level: np.ndarray
    doomed: np.ndarray
    extra: np.ndarray
    ready: np.ndarray
    shed: np.ndarray
    shed_left: np.ndarray
    open_left: np.ndarray
    limit: np.ndarray
    restarting: np.ndarray
    moving: np.ndarray
    standby_left: np.ndarray
    empty: np.ndarray
    cold: np.ndarray
    cured: np.ndarray
    rolled_back: np.ndarray
    set_back: np.ndarray

    @classmethod
    def at_rest(cls, scenarios: int) -> Levers:
        """No action on its way or in force."""
        here = (scenarios, len(TOPOLOGY.services))
        each = (len(Action), *here)
        return cls(
            due=np.zeros(each, int), level=np.zeros(each, int), doomed=np.zeros(each, bool),
            extra=np.zeros(here), ready=np.zeros(here, bool), shed=np.zeros(here), shed_left=np.zeros(here, int),
            open_left=np.zeros(here, int), limit=np.ones(here), restarting=np.zeros(here, bool),
            moving=np.zeros(here, int), standby_left=np.zeros(here, int), empty=np.zeros(here),
            cold=np.zeros(here), cured=np.zeros(here, bool), rolled_back=np.zeros(here, bool),
            set_back=np.zeros(scenarios, int),
        )  # fmt: skip

    @property
    def touched(self) -> np.ndarray:
        """Services at which an action is on its way or in force, [scenario, service]."""
        return np.asarray(
            (self.due > 0).any(axis=0) | (self.extra > 0) | (self.shed > 0)
            | (self.open_left > 0) | (self.limit > 1) | (self.moving > 0)
        )  # fmt: skip

    def accept(
        self, actions: np.ndarray, since_change: np.ndarray, luck: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Send one action a scenario on its way, or refuse it.

        Parameters
        ----------
        actions : np.ndarray
            [scenario, (action, service, level)] of int.
        since_change : np.ndarray
            Minutes since the last deploy or changed setting, [scenario, service].
        luck : np.ndarray
            Uniform in 0..1, [scenario]: below the chance to fail nothing will come of the action.

        Returns
        -------
        refused, cost : np.ndarray
            [scenario] of bool, and SLO minutes, [scenario].
        """
        kind, service, level = actions.T
        rows = np.arange(len(actions))
        self.rolled_back &= since_change > 0  # what changes later can be rolled back again
        changed = since_change <= ROLL_BACK_WITHIN
        here = rows, service
        in_force = {
            Action.SCALE: self.extra[here] > 0,
            Action.SHED: self.shed[here] > 0,
            Action.OPEN_BREAKER: self.open_left[here] > 0,
            Action.RAISE_LIMIT: self.limit[here] > 1,
        }
        good = POSSIBLE[kind, service] & (self.due[kind, rows, service] == 0)
        good &= (kind != Action.ROLL_BACK) | (changed & ~self.rolled_back)[here]
        good &= (kind != Action.FAIL_OVER) | (self.standby_left[here] == 0)
        for action in TAKEN_BACK:
            good &= (kind != action) | (level > 0) | in_force[action]
        acts = kind != Action.NO_OP
        go = good & acts
        back = np.isin(kind, TAKEN_BACK) & (level == 0)
        where = kind[go], rows[go], service[go]
        self.due[where] = np.where(back, TAKE_BACK_DELAY, DELAY[kind, service])[go] + 1
        self.level[where] = level[go]
        self.doomed[where] = (luck < FAILS[kind])[go]
        cost = np.where(good, np.where(back, 0.0, COST[kind]), REFUSED_COST) * acts
        return acts & ~good, cost

    def take_effect(
        self, kinds: np.ndarray, home: np.ndarray, age: np.ndarray, state: np.ndarray
    ) -> np.ndarray:
        """Let what is due in this minute take effect.

        Parameters
        ----------
        kinds : np.ndarray
            Number of each scenario's kind of incident in `PLACES`, [scenario].
        home : np.ndarray
            Where the incident struck, [scenario, service] of bool.
        age : np.ndarray
            Minutes since it began, [scenario]; negative before.
        state : np.ndarray
            The engine's memory, [memory, scenario, service]; changed.

        Returns
        -------
        np.ndarray
            `NOTHING`, `DONE` or `FAILED`, [action, scenario, service].
        """
        waiting = self.due > 0
        self.due -= waiting
        over = waiting & (self.due == 0)
        result = np.where(over, np.where(self.doomed, FAILED, DONE), NOTHING)
        done = result == DONE
        self.restarting = done[Action.RESTART]
        if not done.any():
            return result
        # What is put right before it breaks can break all the same.
        there = (age >= 0)[:, None]
        self.cured |= (done & _CURE[:, kinds][:, :, None]).any(axis=0) & there
        moved = done[Action.FAIL_OVER]
        renewed = (self.restarting | moved) & home & there
        self.set_back = np.where(renewed.any(axis=1), age, self.set_back)
        self.rolled_back |= done[Action.ROLL_BACK]
        self.cold = np.where(moved | done[Action.ROLL_BACK], 1.0, self.cold)
        self.cold = np.where(self.restarting, np.maximum(self.cold, 0.25), self.cold)
        for action, share in _EMPTIES.items():
            self.empty = np.where(done[action] & _CACHE, np.maximum(self.empty, share), self.empty)
        self.moving = np.where(moved, _MOVING_MINUTES, self.moving)
        self.standby_left = np.where(moved, STANDBY_MINUTES, self.standby_left)

        on, level = done, self.level
        self.extra = np.where(on[Action.SCALE], np.minimum(level[Action.SCALE], QUOTA), self.extra)
        turned = level_value(Action.SHED, level[Action.SHED], 0.0)
        self.shed = np.where(on[Action.SHED], turned, self.shed)
        self.shed_left = np.where(on[Action.SHED], SHED_MINUTES * (turned > 0), self.shed_left)
        minutes = level_value(Action.OPEN_BREAKER, level[Action.OPEN_BREAKER], 0).astype(int)
        self.open_left = np.where(on[Action.OPEN_BREAKER], minutes, self.open_left)
        limit = level_value(Action.RAISE_LIMIT, level[Action.RAISE_LIMIT], 1.0)
        limit = np.where(on[Action.RAISE_LIMIT], limit, self.limit)
        state[_LEAKED][moved] = 0.0
        state[[_LEAKED, _FILLED]] *= self.limit / limit
        self.limit = limit
        return result

    def upkeep(self) -> np.ndarray:
        """SLO minutes that what is in force costs in a minute, [scenario]."""
        return np.asarray(
            (UPKEEP[Action.SCALE] * self.extra + UPKEEP[Action.RAISE_LIMIT] * (self.limit - 1)).sum(
                axis=1
            )
        )

    def pass_minute(self, attempts: np.ndarray, sick: np.ndarray) -> None:
        """Let a minute pass for all that ends by itself.

        Parameters
        ----------
        attempts : np.ndarray
            Calls made per call wanted, [scenario, service].
        sick : np.ndarray
            Services whose probes fail, [scenario, service]: an open breaker stays open.
        """
        self.ready = (self.extra > 0) & (self.ready | (attempts <= _FLOOD))
        self.open_left += sick & (self.open_left == 1)
        for left in (self.shed_left, self.open_left, self.moving, self.standby_left):
            left -= left > 0
        self.shed = np.where(self.shed_left > 0, self.shed, 0.0)
        for fading in (self.empty, self.cold):
            fading *= _FADES
            fading[fading < 0.01] = 0.0

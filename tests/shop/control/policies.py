"""Policies to compare with: simple ones that should lose, and a rule that an engineer would write."""

from __future__ import annotations

import numpy as np

from course.shop import SERVICES, TOPOLOGY
from course.shop.control import CONTROL_METRICS, Action

_M = {name: place for place, name in enumerate(CONTROL_METRICS)}
_PLACE = TOPOLOGY.position
_CACHES = [_PLACE["catalog-cache"], _PLACE["session-cache"]]
_STORES = [_PLACE["catalog-db"], _PLACE["orders-db"]]
_PROVIDER = _PLACE["payment-provider"]
_CALLEES = [[_PLACE[c] for c in TOPOLOGY.callees(name)] for name in SERVICES]
_SCALABLE = [p for p, s in enumerate(TOPOLOGY.services) if s.kind in ("edge", "app")]


class RandomPolicy:
    """Acts at random, one minute in ten."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def __call__(self, observation) -> np.ndarray:
        n = len(observation["metrics"])
        chosen = self._rng.integers(0, (len(Action), len(SERVICES), 4), (n, 3))
        chosen[self._rng.random(n) > 0.1] = 0
        return chosen


class AlwaysRestart:
    """Restarts the service that looks worst, every ten minutes, as long as users suffer."""

    def __init__(self) -> None:
        self._next = None

    def __call__(self, observation) -> np.ndarray:
        n = len(observation["metrics"])
        self._next = np.zeros(n, int) if self._next is None else self._next - 1
        chosen = np.zeros((n, 3), int)
        worst = _oddness(observation)[..., 1:].max(axis=-1)
        worst[:, _PROVIDER] = 0
        go = (observation["bad_ratio"].max(axis=1) > 0.02) & (self._next <= 0)
        chosen[go, 0], chosen[go, 1] = Action.RESTART, worst.argmax(axis=1)[go]
        self._next[go] = 10
        return chosen


class Rule:
    """What an engineer would write after a week with the shop: a table of symptoms.

    Acts only while users suffer or something runs full, one action at a time, and waits to see what
    comes of it.
    """

    def __init__(self) -> None:
        self._wait = self._burning = None
        self._tried: list[dict] = []

    def __call__(self, observation) -> np.ndarray:
        n = len(observation["metrics"])
        if self._wait is None:
            self._wait, self._burning = np.zeros(n, int), np.zeros(n)
            self._tried = [{} for _ in range(n)]
        self._wait = np.maximum(self._wait - 1, 0)
        for row, *key in np.argwhere(observation["result"] == 2):  # failed: may be tried again
            self._tried[row][tuple(key)] -= 1
        burns = observation["bad_ratio"].max(axis=1) > 0.03
        self._burning = np.where(burns, self._burning + 1, 0)
        odd = _oddness(observation)
        chosen = np.zeros((n, 3), int)
        for row in np.flatnonzero(self._wait == 0):
            action = self._choose({k: v[row] for k, v in observation.items()}, odd[row],
                                  self._burning[row], self._tried[row])  # fmt: skip
            if action is None:
                continue
            chosen[row] = action
            key = tuple(action[:2])
            self._tried[row][key] = self._tried[row].get(key, 0) + 1
            self._wait[row] = 8
        return chosen

    def _choose(self, seen, odd, burning, tried):
        now, usual = seen["metrics"], seen["usual"]

        def fresh(action, service, level=0, times=1):
            free = seen["pending"][action].sum() == 0
            if free and tried.get((action, service), 0) < times:
                return action, service, level
            return None

        def column(name):
            return now[:, _M[name]]

        disk, memory = column("disk_utilization"), column("memory_utilization")
        full = disk.argmax()
        if disk[full] > 0.9 and (act := fresh(Action.RAISE_LIMIT, full, 3, 2)):
            return act
        leaking = (memory - usual[:, _M["memory_utilization"]]).argmax()
        grown = memory[leaking] - usual[leaking, _M["memory_utilization"]]
        restart = memory[leaking] > 0.86 and grown > 0.12
        if restart and (act := fresh(Action.RESTART, leaking, 0, 6)):
            return act
        if burning < 2:
            return None
        retries = column("retry_ratio")
        storm = retries.max() > 0.55 and burning >= 5
        if storm and (act := fresh(Action.SHED, retries.argmax(), 3, 4)):
            return act
        sick = self._deepest(now, usual, odd)
        if sick == _PROVIDER:
            return fresh(Action.OPEN_BREAKER, sick, 3, 8)
        recent = seen["changes"][:, :2].min(axis=1)
        changed = np.flatnonzero((recent <= burning + 12) & (odd.max(axis=1) > 6))
        if len(changed) and (act := fresh(
            Action.ROLL_BACK, changed[odd[changed].max(axis=1).argmax()]
        )):  # fmt: skip
            return act
        if burning < 4 or sick is None:
            return None
        errors = column("error_ratio") - usual[:, _M["error_ratio"]]
        if sick in _CACHES and errors[sick] > 0.05:
            return fresh(Action.FLUSH_CACHE, sick, 0, 2)
        busy = column("cpu_utilization")[sick]
        more = column("request_rate")[sick] / max(usual[sick, _M["request_rate"]], 0.1)
        pool = column("pool_utilization")
        full = int(np.flatnonzero(pool > 0.9)[-1]) if (pool > 0.9).any() else None
        if full is not None and busy < 0.75 and (act := fresh(Action.RAISE_LIMIT, full, 3, 2)):
            return act
        if sick in _STORES:
            if more > 1.25:
                return fresh(Action.SCALE, sick, 3)
            return fresh(Action.FAIL_OVER, sick)
        if busy > 0.7 and more < 1.5:
            return fresh(Action.RESTART, sick, 0, 2) or fresh(Action.SCALE, sick, 3)
        if more > 1.5:
            return fresh(Action.SCALE, sick, 3)
        return fresh(Action.FAIL_OVER, sick)

    @staticmethod
    def _deepest(now, usual, odd):
        """The sick service that has no sick callee; the sickest of several."""
        sick = odd.max(axis=1) > 8
        roots = [s for s in np.flatnonzero(sick) if not any(sick[c] for c in _CALLEES[s])]
        return max(roots, key=lambda s: odd[s].max()) if roots else None


def _oddness(observation) -> np.ndarray:
    """How far failures, latency and utilisation are above the usual, [scenario, service, 5]."""
    names = ("error_ratio", "latency_p50_ms", "latency_p99_ms", "cpu_utilization",
             "pool_utilization")  # fmt: skip
    places = [_M[name] for name in names]
    usual = observation["usual"][..., places]
    floor = np.array([0.004, 0, 0, 0.02, 0.02]) + np.array([0, 0.08, 0.12, 0, 0]) * usual
    scale = observation["deviation"][..., places] + floor
    return np.maximum(observation["metrics"][..., places] - usual, 0) / scale

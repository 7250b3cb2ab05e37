"""Many control scenarios in closed loop: one array step a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from course.shop import life, seeds
from course.shop.changes import change_log
from course.shop.control.actions import ACTIONS, Action
from course.shop.control.incidents import (
    PLACES,
    STEPS,
    WARM_UP,
    ControlScenario,
    strike,
)
from course.shop.control.levers import NOTHING, REFUSED, Levers
from course.shop.control.telemetry import Minute, Monitor
from course.shop.effects import Effects
from course.shop.engine import INPUTS, MEMORIES, OUTPUTS, Controls, Engine
from course.shop.simulator import prepare
from course.shop.topology import BACKING, SERVICES, TOPOLOGY

#: Kinds of change in the order of the observation's axis.
CHANGES = ("deploy", "config", "flag", "scale")
#: What "minutes since the last change" says if there was none: longer than an episode.
NO_CHANGE = 240
#: A journey with more bad requests than this in 2 of the last 5 minutes gives reason to act. On a quiet
#: day that is so in 2 % of the minutes.
EVIDENCE = 0.02
#: Calls that an open breaker stops are answered otherwise where the caller can: an order is taken
#: and charged later; standard rates and the best sellers are shown.
FALLBACK = {"payment-provider": 0.9, "shipping": 0.6, "recommendation": 0.6}

_ENGINE = Engine()
_LUCK = 21  # purpose of the stream that decides which actions fail
_PROBES = 0.05  # share of the calls that an open breaker lets through
_MOVING_FAILS = 0.15
_SICK = 0.2  # share of failing probes from which a breaker stays open
_TOLERATED = 0.02  # as in the engine
_EVIDENCE_MINUTES, _EVIDENCE_TWICE = 5, 2
_FIELDS = {field.name: place for place, field in enumerate(fields(Effects))}
_REPLICAS = TOPOLOGY.column("replicas")
_SERVICE_MS = TOPOLOGY.column("service_ms")
_ERRORS = np.ascontiguousarray(TOPOLOGY.error_visits)
_FAILING = MEMORIES.index("failing")
_FAILURE, _RATE, _ATTEMPTS = (OUTPUTS.index(name) for name in ("failure", "rate", "attempts"))
_STORES = {TOPOLOGY.position[c]: TOPOLOGY.position[s] for c, s in BACKING.items()}
#: Share of the calls that callers see fail because an open breaker stopped them.
_STOPPED = (1 - _PROBES) * (1 - np.array([FALLBACK.get(name, 0.0) for name in SERVICES]))


@dataclass(frozen=True)
class Tally:
    """What a minute came to, for each scenario.

    Attributes
    ----------
    lost : SLO minutes: sum over the journeys of the share of bad requests
    cost : SLO minutes charged for actions
    good : good requests per second of all journeys
    """

    lost: np.ndarray
    cost: np.ndarray
    good: np.ndarray


class Simulation:
    """A batch of scenarios, from the end of the warm-up to the end of the episode.

    Parameters
    ----------
    scenarios : sequence of ControlScenario

    Attributes
    ----------
    minute : the next minute to be simulated, of the scenario
    levers : what is on its way and in force
    seen : the last minute's telemetry
    usual, deviation : median and scaled median absolute deviation of the metrics over the warm-up,
        [scenario, service, metric]
    engine_inputs, controls : what the engine was given for the last minute
    result : what became of each action in the last minute, [action, scenario, service]
    records : one dict for each action that a policy chose
    """

    def __init__(self, scenarios: Sequence[ControlScenario]) -> None:
        self.scenarios = tuple(scenarios)
        self.seen: Minute
        size = len(self.scenarios)
        kinds, minutes = (*PLACES, ""), WARM_UP + STEPS
        self._kind = np.array([kinds.index(s.kind) for s in self.scenarios])
        self._home = np.zeros((size, len(SERVICES)), dtype=bool)
        self._start = np.full(size, 10_000)
        self._waste = np.zeros((size, len(SERVICES)))
        # What acts on the shop without and with the incident, [minute, field, scenario, service].
        self._well = np.empty((minutes, len(_FIELDS), size, len(SERVICES)))
        self._ill = np.empty_like(self._well)
        self._rest = np.empty((2, minutes, size, len(SERVICES)))  # memory and disk
        self._since = np.empty((minutes, size, len(SERVICES), len(CHANGES)), dtype=np.int64)
        for row, scenario in enumerate(self.scenarios):
            effects, deploys = prepare(scenario.shop)
            for name, place in _FIELDS.items():
                self._well[:, place, row] = self._ill[:, place, row] = getattr(effects, name)
            struck = Effects(*(self._ill[:, place, row] for place in _FIELDS.values()))
            self._waste[row] = strike(struck, scenario)
            self._rest[0, :, row] = life.resting_memory(scenario.shop)
            self._rest[1, :, row] = life.resting_disk(scenario.shop)
            log = change_log(scenario.announced, tuple(deploys))
            self._since[:, row] = _since_change(log, scenario)
            if scenario.incident:
                self._home[row, TOPOLOGY.position[scenario.incident.service]] = True
                self._start[row] = scenario.incident.start
        begin = [s.shop.start for s in self.scenarios]
        self._begin = np.array([[t.hour * 60 + t.minute, t.day_of_week] for t in begin])
        self._luck = np.stack(
            [seeds.stream(s.shop.seed, _LUCK).random(minutes) for s in self.scenarios],
            axis=1,
        )
        self._monitor = Monitor([s.shop.seed for s in self.scenarios], minutes)
        self._warm_up()

    def _warm_up(self) -> None:
        size = len(self.scenarios)
        self._engine_state = _ENGINE.calm(size)
        self._outputs = np.zeros((len(OUTPUTS), size, len(SERVICES)))
        self.levers, self.minute = Levers.at_rest(size), 0
        self._burning = np.zeros((_EVIDENCE_MINUTES, size), dtype=bool)
        self.result = np.zeros(self.levers.due.shape, dtype=int)
        metrics = []
        for _ in range(WARM_UP):
            self._advance()
            metrics.append(self.seen.metrics)
        self.usual = np.median(metrics, axis=0)
        self.deviation = 1.4826 * np.median(np.abs(np.array(metrics) - self.usual), axis=0)
        self.records: list[dict] = []
        self._ready = (self._engine_state, self._outputs, self.seen, self._burning,
                       self._monitor.state)  # fmt: skip

    def restart(self) -> None:
        """Go back to the end of the warm-up."""
        self._engine_state, self._outputs, self.seen, burning, streams = self._ready
        self._burning = burning.copy()
        self._monitor.state = streams
        self.levers, self.minute = Levers.at_rest(len(self.scenarios)), WARM_UP
        self.result = np.zeros(self.levers.due.shape, dtype=int)
        self.records = []

    @property
    def since_change(self) -> np.ndarray:
        """Minutes since each service's last change, [scenario, service, kind of `CHANGES`]."""
        return np.asarray(self._since[self.minute - 1])

    @property
    def clock(self) -> np.ndarray:
        """Minute of the day and day of the week, Monday first, [scenario, 2]."""
        total = self._begin[:, 0] + self.minute - 1
        return np.stack([total % 1440, (self._begin[:, 1] + total // 1440) % 7], axis=1)

    @property
    def over(self) -> bool:
        """Whether the episode is over."""
        return self.minute >= WARM_UP + STEPS

    def step(self, actions: np.ndarray) -> Tally:
        """Act, then let a minute pass.

        Parameters
        ----------
        actions : np.ndarray
            [scenario, (action, service, level)] of int.
        """
        since = self.since_change[..., :2].min(axis=-1)
        evidence = self._burning.sum(axis=0) >= _EVIDENCE_TWICE
        refused, cost = self.levers.accept(actions, since, self._luck[self.minute])
        self._record(actions, refused, cost, evidence)
        cost = cost + self._advance()
        kind, service, _ = actions.T
        rows = np.flatnonzero(refused)
        where = kind[rows], rows, service[rows]
        self.result[where] = np.where(self.result[where] == NOTHING, REFUSED, self.result[where])
        return Tally(self.seen.bad.sum(axis=1), cost, self.seen.good.sum(axis=1))

    def _advance(self) -> np.ndarray:
        """Simulate a minute; return the upkeep of what is in force."""
        now, levers, state = self.minute, self.levers, self._engine_state.copy()
        age = now - self._start
        self.result = levers.take_effect(self._kind, self._home, age, state)
        effects = self._effects(now)
        admit = 1 - levers.shed
        open_ = levers.open_left > 0
        inputs, controls = self._inputs(now, effects, state, admit, open_)
        self.engine_inputs, self.controls = inputs, controls
        after, outputs = _ENGINE.step(state, inputs, controls)
        self._forgive(state, after, outputs, np.where(open_, -np.log1p(-_STOPPED), -np.log(admit)))
        sick = self._probes_fail(effects, outputs)
        self._engine_state, self._outputs = after, outputs
        shown = {name: effects[place] for name, place in _FIELDS.items()}
        if open_.any():
            outputs = outputs.copy()
            outputs[_RATE] *= np.where(open_, _PROBES, 1.0)  # callers do not call
        self.seen = self._monitor.read(now, outputs, shown)
        self._burning = np.roll(self._burning, 1, axis=0)
        self._burning[0] = (self.seen.bad_ratio > EVIDENCE).any(axis=1)
        upkeep = levers.upkeep()
        levers.pass_minute(outputs[_ATTEMPTS], sick)
        self.minute += 1
        return upkeep

    def _effects(self, now: int) -> np.ndarray:
        """What acts on the shop in this minute, actions included, [field, scenario, service]."""
        levers, ill = self.levers, self._ill[now]
        effects = np.where(levers.cured, self._well[now], ill)
        if levers.set_back.any():  # a restarted pool is as full as it was so many minutes ago
            rows = np.arange(len(levers.set_back))
            earlier = self._ill[now - levers.set_back, _FIELDS["pool"], rows]
            effects[_FIELDS["pool"]] = np.maximum(effects[_FIELDS["pool"]], earlier)
        effects[_FIELDS["scale"]] *= 1 + levers.extra * levers.ready / _REPLICAS
        effects[_FIELDS["pool"]] *= levers.limit
        effects[_FIELDS["work"]] *= 1 + 0.4 * levers.cold
        effects[_FIELDS["tail"]] += 0.25 * levers.cold
        effects[_FIELDS["delay"]] *= np.where(levers.open_left > 0, _PROBES, 1.0)
        fails = effects[_FIELDS["fail"]]
        moving = np.where(levers.moving > 0, _MOVING_FAILS, 0.0)
        effects[_FIELDS["fail"]] = np.where(moving > 0, 1 - (1 - fails) * (1 - moving), fails)
        self._misses(effects, ill)
        return effects

    def _misses(self, effects: np.ndarray, ill: np.ndarray) -> None:
        """Lookups that a cache can't answer go to its store; fewer lookups, fewer misses."""
        levers, rate = self.levers, self._outputs[_RATE]
        acting = ((levers.shed > 0) | (levers.open_left > 0)).any(axis=1)
        inject = effects[_FIELDS["inject"]]
        for cache, store in _STORES.items():
            nominal = ill[_FIELDS["rate"]][:, cache]
            part = np.where(acting, np.minimum(rate[:, cache] / nominal, 1.0), 1.0)
            inject[:, store] *= part
            inject[:, store] += levers.empty[:, cache] * nominal * part

    def _inputs(
        self, now: int, effects: np.ndarray, state: np.ndarray, admit: np.ndarray, open_: np.ndarray
    ) -> tuple[np.ndarray, Controls]:
        """The engine's inputs, as `course.shop.simulator.engine_inputs` makes them."""
        field = dict(zip(_FIELDS, effects, strict=True))
        limit = self.levers.limit
        log_ok = -np.log1p(-field["fail"])
        # The engine fails what is not admitted; an open breaker has its own share of failures.
        log_ok = np.where(open_, _breaker_loss(field["fail"]) + np.log(_PROBES), log_ok)
        columns = {
            "rate": field["rate"],
            "inject": field["inject"],
            "capacity": TOPOLOGY.capacity * field["scale"] * field["share"] / field["work"]
            / (1 + self._waste * state[_FAILING]),
            "service_ms": _SERVICE_MS * field["work"] / field["share"] ** 0.5,
            "pool": field["pool"] * field["scale"],
            "delay": field["delay"],
            "log_ok": log_ok,
            "leak": field["leak"] / limit,
            "fill": field["fill"] / limit,
            "eager": field["eager"],
            "memory": self._rest[0, now] / limit,
            "disk": self._rest[1, now] / limit,
        }  # fmt: skip
        controls = Controls(
            capacity=np.ones_like(admit),
            admit=np.where(open_, _PROBES, admit),
            restart=self.levers.restarting.astype(float),
        )
        return np.stack([columns[name] for name in INPUTS]), controls

    def _forgive(
        self, before: np.ndarray, after: np.ndarray, outputs: np.ndarray, turned_away: np.ndarray
    ) -> None:
        """Take what was turned away on purpose out of the failures that cause retries.

        Requests that are shed are told not to come back; an open breaker does not retry.
        """
        if not turned_away.any():
            return
        purpose = np.add.reduce(turned_away[:, None, :] * _ERRORS, axis=2)
        lost = -np.log1p(-np.minimum(outputs[_FAILURE], 1 - 1e-9))
        other = 1 - np.exp(-np.maximum(lost - purpose, 0.0))
        mean = 0.5 * (before[_FAILING] + np.maximum(other - _TOLERATED, 0.0))
        corrected = np.where(mean > 1e-3, mean, 0.0)
        after[_FAILING] = np.where(purpose > 0, corrected, after[_FAILING])

    def _probes_fail(self, effects: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Where an open breaker's probes fail too often to close it, [scenario, service]."""
        fail = effects[_FIELDS["fail"]]
        lost = -np.log1p(-np.minimum(outputs[_FAILURE], 1 - 1e-9))
        callees = np.maximum(lost - _breaker_loss(fail), 0.0)
        return np.asarray(1 - (1 - fail) * np.exp(-callees) > _SICK)

    def _record(
        self, actions: np.ndarray, refused: np.ndarray, cost: np.ndarray, evidence: np.ndarray
    ) -> None:
        kind, service, level = actions.T
        touched = self.levers.touched.sum(axis=1)
        for row in np.flatnonzero(kind != Action.NO_OP):
            what = Action(kind[row])
            self.records.append({
                "scenario": int(row),
                "step": self.minute - WARM_UP,
                "action": what.name.lower(),
                "service": SERVICES[service[row]],
                "level": int(level[row]) if ACTIONS[what].levels else 0,
                "refused": bool(refused[row]),
                "cost": float(cost[row]),
                "evidence": bool(evidence[row]),
                "touched": int(touched[row]),
                "fault": bool(
                    self.scenarios[row].faulty and self.minute >= self._start[row]
                ),
            })  # fmt: skip


def _breaker_loss(fail: np.ndarray) -> np.ndarray:
    """What callers of a service with an open breaker see fail of itself, as -log(1 - share)."""
    return -np.log1p(-(_PROBES * fail + _STOPPED))


def _since_change(log: pd.DataFrame, scenario: ControlScenario) -> np.ndarray:
    """Minutes since the last change at the end of each minute, [minute, service, change]."""
    minutes = scenario.shop.minutes
    since = np.full((minutes, len(SERVICES), len(CHANGES)), NO_CHANGE)
    at = ((log["time"] - scenario.shop.start) // pd.Timedelta(minutes=1)).to_numpy()
    for minute, kind, service in zip(at, log["kind"], log["service"], strict=True):
        later = np.arange(minutes - minute)
        since[minute:, TOPOLOGY.position[service], CHANGES.index(kind)] = later
    return since

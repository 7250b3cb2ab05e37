"""A day on duty: the shop is replayed in steps of five minutes, and what you do changes it.

Several days run at once. Each has three incidents and two harmless surges; an action that removes
an incident's cause ends it, any other costs time and does its own small harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.changes import change_log
from course.shop.effects import Effects
from course.shop.engine import OUTPUTS, Controls, Engine
from course.shop.observe import observe, spread_of_own_time
from course.shop.scenario import Deploy, Fault, Scenario, Surge
from course.shop.simulator import engine_inputs, prepare, simulate_many
from course.shop.topology import METRICS, SERVICES, TOPOLOGY
from course.shop.workload import JOURNEYS

#: Minutes between two decisions.
STEP = 5
#: What may be done, and the kind of incident that it ends at the service where it is done.
ACTIONS: dict[str, str] = {
    "roll_back": "bad_deploy",
    "restart": "pool_exhaustion",
    "open_breaker": "third_party_outage",
    "flush": "disk_full",
    "fail_over": "network_loss",
}
#: Minutes that an action which removes no cause costs, beside the harm that it does to the shop.
FALSE_ACTION_MIN = 10.0
#: Share of a journey's requests that may fail in a minute.
OBJECTIVE = 0.02

_DAY = 1440
_REMEDY_MIN = 3  # from an action to the end of the cause
_STRAIN = {"roll_back": 0.85, "flush": 0.95, "fail_over": 0.8, "restart": 1.0, "open_breaker": 1.0}
_STRAIN_MIN = 5
_REMEMBERED_MIN = 60
_CHANGES_MIN = 30
_WEEKS = 4
_PLACES = {
    # Most services can suffer from several kinds, so that a name is no diagnosis.
    "bad_deploy": ("storefront", "search", "cart", "checkout", "account", "catalog", "pricing",
                   "inventory", "payment", "shipping"),
    "pool_exhaustion": ("storefront", "search", "checkout", "account", "catalog", "pricing",
                        "inventory", "payment"),
    "third_party_outage": ("payment-provider",),
    "disk_full": ("catalog-db", "orders-db", "order-queue", "search"),
    "network_loss": ("storefront", "search", "cart", "checkout", "account", "order-queue",
                     "catalog", "pricing", "inventory", "payment", "session-cache", "orders-db"),
}  # fmt: skip
_FIRST = pd.Timestamp("2026-03-02", tz="UTC")
_APART = 120  # minutes between two starts
_LONG_ENOUGH = 30  # minutes of violation of an incident that is worth an action
_ENTRIES = [TOPOLOGY.position[journey] for journey in JOURNEYS]
_FAILURE = OUTPUTS.index("failure")
_ENGINE = Engine()
_BY_NAME = np.argsort(SERVICES)
_ROWS, _COLUMNS = pd.Index(sorted(SERVICES)), pd.Index(METRICS)


def duty_days(n: int, seed: int) -> list[Scenario]:
    """Draw days with three incidents and two harmless surges in random order.

    Each incident, left alone, violates the objective for at least half an hour.

    Parameters
    ----------
    n : int
        Number of days.
    seed : int
        Decides everything.

    Returns
    -------
    list of Scenario

    Examples
    --------
    >>> day = duty_days(1, seed=1)[0]
    >>> len(day.faults), len(day.surges)
    (3, 2)
    """
    return [_draw_day(seeds.stream(seed, seeds.DRAW, number, 3)) for number in range(n)]


def violations(outputs: np.ndarray) -> np.ndarray:
    """Tell in which minutes more than 2 % of some journey's requests fail.

    Parameters
    ----------
    outputs : np.ndarray
        Of the engine or of a recording, [minute, output, ..., service].

    Returns
    -------
    np.ndarray
        Boolean, [minute, ...].
    """
    return np.asarray((outputs[:, _FAILURE][..., _ENTRIES] > OBJECTIVE).any(axis=-1))


@dataclass
class Account:
    """What a day on duty came to.

    Attributes
    ----------
    untouched : minutes of violation if nobody acts
    violated : minutes of violation as it went
    right, false : number of actions that removed a cause, and of all others
    log : what was done: minute, action, service, whether it removed a cause
    """

    untouched: int
    violated: int = 0
    right: int = 0
    false: int = 0
    log: list[tuple[int, str, str, bool]] = field(default_factory=list)

    @property
    def saved(self) -> float:
        """Minutes of violation saved, less 10 minutes for each false action."""
        return self.untouched - self.violated - FALSE_ACTION_MIN * self.false


class Duty:
    """Days on duty, all at once: give the observations, take an action for each day.

    Parameters
    ----------
    days : sequence of Scenario
        Of a whole day each, from `duty_days`.

    Attributes
    ----------
    days : list of Scenario
        As given; they name the incidents.
    accounts : list of Account
        What each day came to, filled in at midnight.

    Examples
    --------
    >>> duty = Duty(duty_days(1, seed=1))
    >>> observations, done = duty.reset(), False
    >>> while not done:
    ...     observations, done = duty.step([None])
    >>> duty.accounts[0].saved
    0.0
    """

    def __init__(self, days: Sequence[Scenario]) -> None:
        self.days = list(days)
        self._plain = simulate_many(self.days)
        self._usual = [_usual(day) for day in self.days]

    def reset(self) -> list[dict[str, Any]]:
        """Begin anew; return what is seen at the end of the first five minutes of each day."""
        self._scenarios = list(self.days)
        prepared = [prepare(day) for day in self.days]
        self._changes = [
            _changes(day, tuple(deploys))
            for day, (_, deploys) in zip(self.days, prepared, strict=True)
        ]
        self._effects = [effects for effects, _ in prepared]
        self._inputs = np.stack(
            [engine_inputs(e, day) for e, day in zip(self._effects, self.days, strict=True)],
            axis=2,
        )
        self._state = _ENGINE.calm(len(self.days))
        shape = (_DAY, len(self.days), len(SERVICES))
        self._levers = Controls(np.ones(shape), np.ones(shape), np.zeros(shape))  # minute by minute
        self._minute = 0
        self._outputs = np.zeros((_DAY, len(OUTPUTS), len(self.days), len(SERVICES)))
        self._seen: list[pd.DataFrame | None] = [None] * len(self.days)
        self.accounts = [Account(int(violations(plain.outputs).sum())) for plain in self._plain]
        return self._go_on()

    def step(self, actions: Any) -> tuple[list[dict[str, Any]], bool]:
        """Act, go on by five minutes, and return what is seen then.

        Parameters
        ----------
        actions : list
            For each day None or a pair (action, service).

        Returns
        -------
        observations, done
            At midnight the observations are those of the last five minutes.

        Raises
        ------
        ValueError
            An action is none; the message says which there are.
        """
        if not isinstance(actions, list | tuple) or len(actions) != len(self.days):
            raise ValueError(f"give a list of {len(self.days)} actions, one a day")
        chosen = [_action(action) for action in actions]
        for day, action in enumerate(chosen):
            if action is not None:
                self._act(day, *action)
        observations = self._go_on()
        done = self._minute >= _DAY
        if done:
            violated = violations(self._outputs).sum(axis=0)
            for account, minutes in zip(self.accounts, violated, strict=True):
                account.violated = int(minutes)
        return observations, done

    def violated(self, day: int) -> pd.Series:
        """Minutes of violation of one day as it went, boolean by time."""
        return pd.Series(violations(self._outputs)[:, day], self.days[day].index)

    def _act(self, day: int, action: str, service: str) -> None:
        """Pull the levers of an action from this minute on; end the cause if it is the right one."""
        now, scenario, place = self._minute, self._scenarios[day], TOPOLOGY.position[service]
        cured = [
            fault for fault in scenario.faults
            if fault.kind == ACTIONS[action] and fault.service == service
            and fault.start < now < fault.start + fault.minutes - _REMEDY_MIN
        ]  # fmt: skip
        account, levers = self.accounts[day], self._levers
        account.log.append((now, action, service, bool(cured)))
        account.right += bool(cured)
        account.false += not cured
        levers.capacity[now : now + _STRAIN_MIN, day, place] *= _STRAIN[action]
        if action == "restart":
            levers.restart[now, day, place] = 1.0
        if action == "open_breaker" and not cured:
            levers.admit[now : now + 2 * _STRAIN_MIN, day, place] = 0.5
        if not cured:
            return
        ended = [
            replace(fault, minutes=now + _REMEDY_MIN - fault.start) if fault in cured else fault
            for fault in scenario.faults
        ]
        self._scenarios[day] = replace(scenario, faults=tuple(ended))
        healed, _ = prepare(self._scenarios[day])
        inputs = engine_inputs(healed, self._scenarios[day])
        for column in fields(Effects):
            getattr(self._effects[day], column.name)[now:] = getattr(healed, column.name)[now:]
        self._inputs[now:, :, day] = inputs[now:]

    def _go_on(self) -> list[dict[str, Any]]:
        first, last = self._minute, self._minute + STEP
        for minute in range(first, last):
            levers = Controls(
                self._levers.capacity[minute], self._levers.admit[minute],
                self._levers.restart[minute],
            )  # fmt: skip
            inputs = np.ascontiguousarray(self._inputs[minute])
            self._state, self._outputs[minute] = _ENGINE.step(self._state, inputs, levers)
        self._minute = last
        return [self._observe(day, slice(first, last)) for day in range(len(self.days))]

    def _observe(self, day: int, where: slice) -> dict[str, Any]:
        effects = Effects(
            **{
                column.name: getattr(self._effects[day], column.name)[where]
                for column in fields(Effects)
            }
        )
        outputs = np.ascontiguousarray(self._outputs[where, :, day])
        seed = seeds.stream(self.days[day].seed, seeds.TRUTH, where.start).integers(2**63)
        values = observe(int(seed), outputs, effects, spread_of_own_time(outputs, effects))
        now = _table(values.mean(axis=0))
        earlier, self._seen[day] = self._seen[day], now
        usual, spread = self._usual[day]
        slot, minute = where.start // STEP, where.stop
        return {
            "now": now,
            "earlier": now if earlier is None else earlier,
            "usual": _table(usual[slot]),
            "spread": _table(spread[slot]),
            "changes": [
                {"minutes_ago": minute - time, "kind": kind, "service": service}
                for time, kind, service in self._changes[day]
                if 0 < minute - time <= _CHANGES_MIN
            ],
            "actions": [
                {"minutes_ago": minute - time, "action": action, "service": service}
                for time, action, service, _ in self.accounts[day].log
                if minute - time <= _REMEMBERED_MIN
            ],
        }  # fmt: skip


def _changes(day: Scenario, deploys: tuple[Deploy, ...]) -> list[tuple[int, str, str]]:
    """The change log as minute of the day, kind and service."""
    log = change_log(day, deploys)
    minutes = (log["time"] - day.start) // pd.Timedelta("1min")
    return [
        (int(minute), str(kind), str(service))
        for minute, kind, service in zip(minutes, log["kind"], log["service"], strict=True)
    ]


def _action(action: Any) -> tuple[str, str] | None:
    if action is None:
        return None
    if isinstance(action, list | tuple) and len(action) == 2:
        name, service = action
        # Types first: a list is in no dict.
        if isinstance(name, str) and name in ACTIONS and service in SERVICES:
            return name, str(service)
    raise ValueError(
        f"{action!r:.100} is no action: give None or (action, service), the action one of "
        f"{', '.join(ACTIONS)}, the service one of the shop's"
    )


def _table(values: np.ndarray) -> pd.DataFrame:
    """Rows by name: the order of `SERVICES` follows the calls and would tell who is below whom."""
    return pd.DataFrame(values[_BY_NAME], index=_ROWS, columns=_COLUMNS)


def _usual(day: Scenario) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the 5-minute means around this time, four weeks before."""
    weeks = [
        Scenario(
            day.start - pd.Timedelta(weeks=week), _DAY,
            int(seeds.stream(day.seed, seeds.TRUTH, week, 1).integers(2**63)),
        )
        for week in range(1, _WEEKS + 1)
    ]  # fmt: skip
    slots = np.stack(
        [
            r.values.reshape(-1, STEP, len(SERVICES), len(METRICS)).mean(1)
            for r in simulate_many(weeks)
        ]
    )
    around = np.concatenate([np.roll(slots, shift, axis=1) for shift in range(-2, 3)])
    return around.mean(axis=0), around.std(axis=0)


def _draw_day(rng: np.random.Generator) -> Scenario:
    """Draw a day until each of its three incidents hurts: a fault's luck hangs on the day's seed."""
    while True:
        start = _FIRST + pd.Timedelta(days=int(rng.integers(180)))
        # At least two hours apart, and the last is over before midnight.
        room = _DAY - 30 - 5 * _APART
        starts = 30 + np.sort(rng.integers(0, room, 5)) + _APART * np.arange(5)
        places = rng.permutation(starts)
        day: Scenario | None = Scenario(start, _DAY, int(rng.integers(2**63)))
        for kind, place in zip(rng.permutation(list(_PLACES))[:3], places[:3], strict=True):
            day = day and _with_fault(rng, day, str(kind), int(place))
        surges = tuple(_draw_surge(rng, int(place)) for place in places[3:])
        if day is not None:
            return replace(day, surges=surges)


def _draw_surge(rng: np.random.Generator, minute: int) -> Surge:
    kind = str(rng.choice(["flash_sale", "marketing_mail", "bot_crawl", "batch_job"]))
    return Surge(kind, minute, int(rng.integers(40, 90)), float(rng.uniform(0.6, 1.2)))


def _with_fault(rng: np.random.Generator, day: Scenario, kind: str, minute: int) -> Scenario | None:
    """Add a fault of a kind that hurts for long enough; None if none does on this day."""
    low = 0.9 if kind == "pool_exhaustion" else 0.55
    for _ in range(20):
        service = str(rng.choice(_PLACES[kind]))
        fault = Fault(
            kind, service, minute, int(rng.integers(60, 95)), float(rng.uniform(low, 1.0))
        )
        tried = replace(day, faults=(*day.faults, fault))
        effects, _ = prepare(tried)
        span = slice(minute - 10, minute + fault.minutes)
        outputs = _ENGINE.run(engine_inputs(effects, tried)[span, :, None])
        if violations(outputs).sum() >= _LONG_ENOUGH:
            return tried
    return None

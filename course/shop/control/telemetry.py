"""What monitoring shows of one minute of many scenarios, and how many requests were really bad.

The metrics are those of `course.shop.observe`, from the same random streams: a scenario in which
nobody acts has the same telemetry here as from `course.shop.simulate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from course.shop import seeds
from course.shop.engine import OUTPUTS
from course.shop.observe import Z99
from course.shop.topology import METRICS, SERVICES, TOPOLOGY
from course.shop.workload import JOURNEYS

#: Metrics of a service: the shop's, then what shows retries and what gets through.
CONTROL_METRICS: tuple[str, ...] = (*METRICS, "retry_ratio", "goodput")
#: A request of a journey is bad if it fails or takes longer than this, in milliseconds.
OBJECTIVE_MS = {"storefront": 400.0, "search": 350.0, "cart": 150.0, "checkout": 1200.0,
                "account": 150.0}  # fmt: skip

_EXTRA = 20  # purpose of the stream for what `observe` does not show
_DECIMALS = (6, 6, 2, 2, 4, 4, 4, 1, 5, 4, 4)
_WAITS = np.ascontiguousarray(TOPOLOGY.wait_visits)
_SERVICE_MS = TOPOLOGY.column("service_ms")
_TAIL = TOPOLOGY.column("tail")
_BROKER, _CONSUMER = TOPOLOGY.position["order-queue"], TOPOLOGY.position["fulfilment"]
_ENTRIES = [TOPOLOGY.position[name] for name in JOURNEYS]
_SHARES = TOPOLOGY.call_matrix[0, _ENTRIES]
_OBJECTIVE = np.array([OBJECTIVE_MS[name] for name in JOURNEYS])


@dataclass
class Minute:
    """One minute of telemetry of every scenario.

    Attributes
    ----------
    metrics : [scenario, service, metric] in the order of `CONTROL_METRICS`
    bad_ratio : counted share of bad requests, [scenario, journey]
    bad : expected share of bad requests, [scenario, journey]: never shown
    good : expected good requests per second, [scenario, journey]: never shown
    """

    metrics: np.ndarray
    bad_ratio: np.ndarray
    bad: np.ndarray
    good: np.ndarray


class Monitor:
    """The random streams of a batch of scenarios, read minute by minute.

    Parameters
    ----------
    seed_of : list of int
        One a scenario.
    minutes : int
    """

    def __init__(self, seed_of: list[int], minutes: int) -> None:
        size = len(SERVICES)

        def normal(purpose: int, *shape: int) -> np.ndarray:
            drawn = [
                seeds.stream(seed, purpose).standard_normal((minutes, *shape)) for seed in seed_of
            ]
            return np.stack(drawn, axis=1)

        self._counts = normal(seeds.COUNTS, size)
        self._times = normal(seeds.QUANTILES, 2, size)
        self._gauges = normal(seeds.GAUGES, 4, size)
        self._more = normal(_EXTRA, size + len(JOURNEYS))
        self._errors = [seeds.stream(seed, seeds.ERRORS) for seed in seed_of]

    @property
    def state(self) -> list[Any]:
        """Where the streams of errors stand, to go back to."""
        return [generator.bit_generator.state for generator in self._errors]

    @state.setter
    def state(self, states: list[Any]) -> None:
        for generator, state in zip(self._errors, states, strict=True):
            generator.bit_generator.state = state

    def read(self, minute: int, outputs: np.ndarray, shown: dict[str, np.ndarray]) -> Minute:
        """Observe a minute.

        Parameters
        ----------
        minute : int
        outputs : np.ndarray
            Of the engine, [output, scenario, service].
        shown : dict of str to np.ndarray
            "rate", "tail", "share", "hog", "work" and "delay" as in `Effects`, [scenario, service].
        """
        raw = dict(zip(OUTPUTS, outputs, strict=True))
        values = np.empty((*raw["rate"].shape, len(CONTROL_METRICS)))
        expected = raw["rate"] * 60.0
        count = np.maximum(np.rint(expected + np.sqrt(expected) * self._counts[minute]), 0.0)
        errors = np.stack([
            generator.poisson(rate)
            for generator, rate in zip(self._errors, count * raw["failure"], strict=True)
        ])  # fmt: skip
        errors = np.minimum(errors, count)
        values[..., 0] = count / 60.0
        values[..., 1] = errors / np.maximum(count, 1.0)

        sigma = np.maximum(_TAIL + shown["tail"], 0.05)
        sigma = sigma + 0.35 * np.minimum(raw["pool"], 1.0) ** 4
        variance = raw["own"] ** 2 * np.expm1(sigma**2)
        total = np.add.reduce(variance[:, None, :] * _WAITS, axis=2)
        spread = np.sqrt(np.log1p(total / raw["latency"] ** 2))
        noise = self._times[minute]
        sampled = spread / np.sqrt(np.maximum(count, 4.0))
        heavy = noise[:, 1] * (1 + 0.12 * noise[:, 1] ** 2)
        p50 = raw["latency"] * np.exp(-(spread**2) / 2 + 1.25 * sampled * noise[:, 0])
        values[..., 2] = p50
        values[..., 3] = p50 * np.exp(np.maximum(Z99 * spread + 2.5 * sampled * heavy, 0.05))

        gauge = self._gauges[minute]
        busy = np.minimum(raw["busy"], 1.0) * shown["share"] + shown["hog"]
        values[..., 4] = _unit(busy * (1 + 0.03 * gauge[:, 0]) + 0.004 * gauge[:, 0])
        values[..., 5] = _unit(raw["memory"] + 0.06 * busy + 0.004 * gauge[:, 1])
        pool = np.minimum(raw["pool"], 1.0)
        values[..., 6] = _unit(pool + np.sqrt(pool * (1 - pool) / TOPOLOGY.pool / 60) * gauge[:, 2])
        waited = raw["own"] - _SERVICE_MS * shown["work"] - shown["delay"]
        waiting = np.maximum(np.maximum(waited, 0.0) * raw["rate"] / 1000.0, raw["backlog"])
        waiting[:, _BROKER] += waiting[:, _CONSUMER]
        values[..., 7] = np.maximum(np.rint(waiting + np.sqrt(waiting) * gauge[:, 3]), 0.0)
        values[..., 8] = _unit(raw["disk"] + 0.0003 * gauge[:, 1])

        more = self._more[minute]
        again = 1 - 1 / raw["attempts"]
        luck = np.sqrt(again * (1 - again) / np.maximum(count, 1.0)) * more[:, : len(SERVICES)]
        values[..., 9] = _unit(again + luck)
        values[..., 10] = (count - errors) / 60.0
        for place, decimals in enumerate(_DECIMALS):
            np.round(values[..., place], decimals, out=values[..., place])

        bad = _bad(raw, spread)
        wanted = shown["rate"][:, _ENTRIES]
        users = wanted * 60.0
        counted = users * bad + np.sqrt(users * bad * (1 - bad)) * more[:, len(SERVICES) :]
        ratio = np.rint(np.clip(counted, 0.0, users)) / np.maximum(users, 1.0)
        return Minute(values, np.round(_unit(ratio), 5), bad, wanted * (1 - bad))


def _bad(raw: dict[str, np.ndarray], spread: np.ndarray) -> np.ndarray:
    """Share of each journey's requests that fail or are too slow, [scenario, journey].

    A journey passes the gateway and its entry service; the gateway's own failures are what is left
    of its failures once those of the entries are taken out.
    """
    lost = -np.log1p(-np.minimum(raw["failure"], 1 - 1e-9))
    entry = lost[:, _ENTRIES]
    gateway = np.maximum(lost[:, 0] - np.add.reduce(entry * _SHARES, axis=1), 0.0)
    answered = np.exp(-entry - gateway[:, None])
    spread = spread[:, _ENTRIES]
    middle = np.log(raw["latency"][:, _ENTRIES] + raw["own"][:, :1]) - spread**2 / 2
    late = ndtr((middle - np.log(_OBJECTIVE)) / spread)
    return np.clip(1 - answered * (1 - late), 0.0, 1.0)


def _unit(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 1.0)

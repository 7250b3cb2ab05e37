"""From the engine's exact state to what a monitoring system would have recorded.

Counts are Poisson, errors are counted, quantiles come from finite samples, gauges are read once a
minute. Vectorised over the minutes of one scenario; every kind of noise has its own stream, in
time order, so that nothing that happens later changes an earlier reading.
"""

from __future__ import annotations

import numpy as np

from course.shop import seeds
from course.shop.effects import Effects
from course.shop.engine import OUTPUTS
from course.shop.topology import METRICS, TOPOLOGY

#: 99th percentile of the standard normal.
Z99 = 2.3263478740408408
_DECIMALS = (6, 6, 2, 2, 4, 4, 4, 1, 5)
_WAITS_T = TOPOLOGY.wait_visits.T.copy()


def spread_of_own_time(outputs: np.ndarray, effects: Effects) -> np.ndarray:
    """Return sigma of the log-normal time that a request spends in a service, [minute, service]."""
    sigma = np.maximum(TOPOLOGY.column("tail") + effects.tail, 0.05)
    return sigma + 0.35 * np.minimum(outputs[:, OUTPUTS.index("pool")], 1.0) ** 4


def observe(seed: int, outputs: np.ndarray, effects: Effects, sigma: np.ndarray) -> np.ndarray:
    """Return the metrics of one scenario, [minute, service, metric] in the order of `METRICS`.

    Parameters
    ----------
    seed : int
        Seed of the scenario.
    outputs : np.ndarray
        The engine's outputs, [minute, output, service].
    effects : Effects
        The inputs under which the engine ran.
    sigma : np.ndarray
        From `spread_of_own_time`.

    Notes
    -----
    A request's time is a sum of log-normal parts; the sum is taken as log-normal with the same
    mean and variance (Fenton 1960). ``request_rate`` is a count of one minute over 60 and
    ``error_ratio`` is errors / requests of the same minute, so both counts can be recovered.
    """
    raw = dict(zip(OUTPUTS, outputs.swapaxes(0, 1), strict=True))
    minutes, _, services = outputs.shape
    values = np.empty((minutes, services, len(METRICS)))

    expected = raw["rate"] * 60.0
    counted = expected + np.sqrt(expected) * _normal(seed, seeds.COUNTS, minutes, services)
    count = np.maximum(np.rint(counted), 0.0)
    errors = seeds.stream(seed, seeds.ERRORS).poisson(count * raw["failure"])
    values[..., 0] = count / 60.0
    values[..., 1] = np.minimum(errors, count) / np.maximum(count, 1.0)

    p50, p99 = _quantiles(seed, raw, sigma, count)
    values[..., 2], values[..., 3] = p50, p99

    gauge = _normal(seed, seeds.GAUGES, minutes, 4, services)
    busy = np.minimum(raw["busy"], 1.0) * effects.share + effects.hog
    values[..., 4] = _unit(busy * (1 + 0.03 * gauge[:, 0]) + 0.004 * gauge[:, 0])
    values[..., 5] = _unit(raw["memory"] + 0.06 * busy + 0.004 * gauge[:, 1])
    pool = np.minimum(raw["pool"], 1.0)
    values[..., 6] = _unit(pool + np.sqrt(pool * (1 - pool) / TOPOLOGY.pool / 60) * gauge[:, 2])
    values[..., 7] = _queue(raw, gauge[:, 3], effects)
    values[..., 8] = _unit(raw["disk"] + 0.0003 * gauge[:, 1])
    for place, decimals in enumerate(_DECIMALS):
        np.round(values[..., place], decimals, out=values[..., place])
    return values


def _quantiles(
    seed: int, raw: dict[str, np.ndarray], sigma: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    minutes, services = count.shape
    variance = raw["own"] ** 2 * np.expm1(sigma**2)
    spread = np.sqrt(np.log1p((variance @ _WAITS_T) / raw["latency"] ** 2))
    noise = _normal(seed, seeds.QUANTILES, minutes, 2, services)
    sampled = spread / np.sqrt(np.maximum(count, 4.0))
    heavy = noise[:, 1] * (1 + 0.12 * noise[:, 1] ** 2)  # p99 of few samples has a long tail
    p50 = raw["latency"] * np.exp(-(spread**2) / 2 + 1.25 * sampled * noise[:, 0])
    p99 = p50 * np.exp(np.maximum(Z99 * spread + 2.5 * sampled * heavy, 0.05))
    return p50, p99


def _queue(raw: dict[str, np.ndarray], gauge: np.ndarray, effects: Effects) -> np.ndarray:
    """Requests waiting; the broker shows the messages that its consumer has not taken yet."""
    waited = raw["own"] - TOPOLOGY.column("service_ms") * effects.work - effects.delay
    waiting = np.maximum(waited, 0.0) * raw["rate"] / 1000.0
    waiting = np.maximum(waiting, raw["backlog"])
    broker, consumer = TOPOLOGY.position["order-queue"], TOPOLOGY.position["fulfilment"]
    waiting[:, broker] += waiting[:, consumer]
    return np.maximum(np.rint(waiting + np.sqrt(waiting) * gauge), 0.0)


def _normal(seed: int, purpose: int, *shape: int) -> np.ndarray:
    return seeds.stream(seed, purpose).standard_normal(shape)


def _unit(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 1.0)

"""A service's access log: one row for every request behind a recording's metrics."""

from __future__ import annotations

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.observe import Z99
from course.shop.recording import Recording
from course.shop.topology import TOPOLOGY

_NOT_FOUND = 0.01  # share of requests that the client got wrong


def access_log(recording: Recording, service: str) -> pd.DataFrame:
    """Return every request that a service answered in a recording.

    Parameters
    ----------
    recording : Recording
        Of minutes or hours; a busy service answers thousands of requests a minute.
    service : str
        Which service.

    Returns
    -------
    DataFrame
        In order of `start` (UTC): `service`, `replica`, `duration_ms`, `status` (an HTTP code;
        200, 404 for what the client got wrong, 503 for failures).

    Notes
    -----
    Counts and failures of a minute are those of the metrics. Durations are log-normal with the
    minute's median and 99th percentile.

    Examples
    --------
    >>> from course.shop import Scenario, simulate
    >>> log = access_log(simulate(Scenario("2026-03-10T10:00Z", 5, seed=1)), "checkout")
    >>> log["replica"].nunique()
    3
    """
    metrics = recording.service(service)
    place = TOPOLOGY.position[service]
    rng = seeds.stream(recording.scenario.seed, seeds.REQUESTS, place, 1)
    count = (metrics["request_rate"] * 60).round().to_numpy(dtype=int)
    failed = (metrics["error_ratio"] * count).round().to_numpy(dtype=int)
    minute = np.repeat(np.arange(len(metrics)), count)
    rank = np.arange(len(minute)) - np.repeat(np.cumsum(count) - count, count)
    median = metrics["latency_p50_ms"].to_numpy()
    sigma = np.log(metrics["latency_p99_ms"].to_numpy() / median) / Z99
    duration = median[minute] * np.exp(sigma[minute] * rng.standard_normal(len(minute)))
    status = np.where(rng.random(len(minute)) < _NOT_FOUND, 404, 200)
    status[rank < failed[minute]] = 503
    second = rng.uniform(0, 60, len(minute))
    replicas = TOPOLOGY.service(service).replicas
    log = pd.DataFrame(
        {
            "start": metrics.index[minute] + pd.to_timedelta(second.round(3), unit="s"),
            "service": service,
            "replica": [
                f"{service}-{number}" for number in rng.integers(1, replicas + 1, len(minute))
            ],
            "duration_ms": duration.round(1),
            "status": status,
        }
    )
    return log.sort_values("start", ignore_index=True)

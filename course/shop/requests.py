"""Single requests behind the metrics: whole call trees of a sample of the gateway's requests.

A minute's requests come from the minute's own random stream, so that a window asked for today and
a longer one asked for tomorrow agree where they overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from course.shop import seeds
from course.shop.engine import OUTPUTS
from course.shop.topology import TOPOLOGY
from course.shop.workload import JOURNEYS

if TYPE_CHECKING:
    from course.shop.recording import Recording

#: Share of the gateway's requests whose whole trace is kept (head sampling).
TRACE_SHARE = 0.05

_RATE, _FAILURE, _OWN, _BACKLOG = (
    OUTPUTS.index(name) for name in ("rate", "failure", "own", "backlog")
)
#: Place of each journey's entry service, in the order of `JOURNEYS`.
ENTRIES = np.array([TOPOLOGY.position[name] for name in JOURNEYS])
_SIZE = len(TOPOLOGY.services)
_NESTED = np.zeros((_SIZE, _SIZE))  # share of a callee's failures that its caller passes on
#: Share of a callee's failures that its caller hides by a fallback; 1 where it does not wait.
OPTIONAL = np.zeros((_SIZE, _SIZE))
for _call in TOPOLOGY.calls:
    _pair = TOPOLOGY.position[_call.caller], TOPOLOGY.position[_call.callee]
    OPTIONAL[_pair] = _call.optional if _call.waits else 1.0
    _NESTED[_pair] = _call.per_request * (1 - OPTIONAL[_pair])


@dataclass
class Spans:
    """Spans as columns; a parent stands before its children, the root's ``parent`` is -1.

    ``start`` and ``duration`` are milliseconds, ``start`` from the start of the minute; ``failed``
    says that the request failed, ``cause`` is the service whose own failure it was (or -1).
    """

    trace: np.ndarray
    parent: np.ndarray
    service: np.ndarray
    start: np.ndarray
    duration: np.ndarray
    failed: np.ndarray
    cause: np.ndarray
    identity: np.ndarray  # [span, 3] of 64-bit words: trace id high, trace id low, span id


def own_failure(outputs: np.ndarray) -> np.ndarray:
    """Return -log(1 - share of requests that fail in the service itself), [minute, service]."""
    total = -np.log1p(-np.minimum(outputs[:, _FAILURE], 1 - 1e-9))
    return np.maximum(total - total @ _NESTED.T, 0.0)


def calls_made(outputs: np.ndarray) -> np.ndarray:
    """Return mean calls per request, [minute, caller, callee], as the measured load implies.

    Retries raise it, failures before the call and full caches lower it. The gateway's row is the
    mix of journeys of the minute.
    """
    rate = outputs[:, _RATE]
    calls = np.repeat(TOPOLOGY.call_matrix[None], len(outputs), axis=0)
    from_gateway = calls[:, 0].copy()
    from_gateway[:, ENTRIES] = rate[:, ENTRIES] / rate[:, :1]
    calls[:, 0] = from_gateway
    expected = np.einsum("ti,tij->tj", rate, calls)
    return calls * (rate / np.maximum(expected, 1e-9))[:, None, :]


def minute_of_requests(recording: Recording, minute: int) -> Spans:
    """Return the spans of the traces that begin in ``minute`` and were kept."""
    outputs = recording.outputs[minute : minute + 1]
    rng = seeds.stream(recording.scenario.seed, seeds.REQUESTS, minute)
    requests = round(float(recording.values[minute, 0, 0]) * 60)
    kept = int(rng.binomial(requests, TRACE_SHARE))
    parent, service, trace = grow_trees(rng, np.zeros(kept, dtype=int), calls_made(outputs))
    fail_here = -np.expm1(-own_failure(outputs)[0])
    duration_here = outputs[0, _OWN][service] * np.exp(
        recording.sigma[minute][service] * rng.standard_normal(len(service))
        - recording.sigma[minute][service] ** 2 / 2
    )
    failed_here = rng.random(len(service)) < fail_here[service]
    hidden = rng.random(len(service)) < OPTIONAL[service[parent], service]
    duration, failed, cause = pass_up(parent, service, duration_here, failed_here, hidden)
    begins = np.sort(rng.uniform(0, 60_000, kept))
    lag = outputs[0, _BACKLOG] / np.maximum(outputs[0, _RATE], 1e-6) * 1000.0
    start = pass_down(parent, service, begins[trace], duration_here, duration, lag[service])
    words = rng.integers(1, 2**63, size=(kept, 2), dtype=np.uint64)
    span_words = rng.integers(1, 2**63, size=len(service), dtype=np.uint64)
    identity = np.column_stack([words[trace], span_words])
    return Spans(trace, parent, service, start, duration, failed, cause, identity)


def grow_trees(
    rng: np.random.Generator, root_minute: np.ndarray, calls: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grow call trees service by service, callers first, for all minutes together.

    ``root_minute``, [trace], is the place in ``calls``, [minute, caller, callee], of the minute in
    which a trace begins.
    """
    roots = len(root_minute)
    into = np.cumsum(calls[:, 0, ENTRIES], axis=1)
    drawn = rng.random(roots) * into[root_minute, -1]
    entry = ENTRIES[(drawn[:, None] >= into[root_minute, :-1]).sum(axis=1)]
    attempts = calls[:, 0].sum(axis=1)
    blocks: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(_SIZE)]
    blocks[0].append((np.full(roots, -1), np.arange(roots)))
    parents, services, traces, count = [], [], [], 0
    for place in range(_SIZE):
        parent = np.concatenate([block[0] for block in blocks[place]] or [np.empty(0, int)])
        trace = np.concatenate([block[1] for block in blocks[place]] or [np.empty(0, int)])
        spans = count + np.arange(len(parent))
        parents.append(parent)
        traces.append(trace)
        services.append(np.full(len(parent), place))
        count += len(parent)
        for callee in np.flatnonzero(calls[:, place].any(axis=0)):
            mean = attempts if place == 0 else calls[:, place, callee]
            mean = mean[root_minute[trace]]
            made = mean.astype(int) + (rng.random(len(trace)) < mean % 1.0)
            if place == 0:  # one journey each; less if the gateway fails, more if it retries
                made = made * (entry == callee)
            chosen = np.repeat(np.arange(len(trace)), made)
            blocks[callee].append((spans[chosen], trace[chosen]))
    return np.concatenate(parents), np.concatenate(services), np.concatenate(traces)


def pass_up(
    parent: np.ndarray,
    service: np.ndarray,
    duration_here: np.ndarray,
    failed_here: np.ndarray,
    hidden: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latencies add and failures travel from callees to the callers that wait for them."""
    duration, failed = duration_here.copy(), failed_here.copy()
    cause = np.where(failed_here, service, -1)
    queue = TOPOLOGY.position["order-queue"]
    for place in range(_SIZE - 1, 0, -1):
        spans = np.flatnonzero(service == place)
        above = parent[spans]
        waits = service[above] != queue
        np.add.at(duration, above[waits], duration[spans[waits]])
        passing = spans[failed[spans] & ~hidden[spans]]
        fresh = passing[~failed[parent[passing]]]
        failed[parent[passing]] = True
        cause[parent[fresh]] = cause[fresh]
    return duration, failed, cause


def pass_down(
    parent: np.ndarray,
    service: np.ndarray,
    begin: np.ndarray,
    duration_here: np.ndarray,
    duration: np.ndarray,
    lag: np.ndarray,
) -> np.ndarray:
    """Calls follow one another after the first half of the caller's own work.

    Times are milliseconds; ``lag``, [span], is how long a message waits before it is taken.
    """
    order = np.argsort(parent, kind="stable")
    elapsed = np.cumsum(duration[order])
    first_of_family = np.searchsorted(parent[order], parent[order], side="left")
    before = np.empty_like(duration)
    before[order] = (elapsed - duration[order]) - (elapsed - duration[order])[first_of_family]
    start = begin.copy()
    queue = TOPOLOGY.position["order-queue"]
    for place in range(1, _SIZE):
        spans = np.flatnonzero(service == place)
        above = parent[spans]
        offset = 0.5 * duration_here[above] + before[spans]
        asynchronous = service[above] == queue
        offset = np.where(asynchronous, duration[above] + lag[spans], offset)
        start[spans] = start[above] + offset
    return start

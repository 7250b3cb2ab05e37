"""The shop's one step function: queues, pools, retries and restarts, minute by minute.

All arrays are [scenario, service]. Nothing here is random: noise, demand, faults and surges come
in as inputs, so that the same step makes months of history, hundreds of incidents at once, and
one step of a control environment. Operations are elementwise or reduce over services only, hence
a scenario's bytes do not depend on what else is in the batch.

Sources of the formulas: waiting time in an M/M/c queue by Sakasegawa's approximation (1977), as
in Hopp and Spearman, Factory Physics, ch. 8; failure of independent calls in series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.shop.topology import TOPOLOGY, Topology

#: Inputs of a step, in the order of its first axis.
INPUTS: tuple[str, ...] = (
    "rate", "inject", "capacity", "service_ms", "pool", "delay", "log_ok", "leak", "fill",
    "eager", "memory", "disk",
)  # fmt: skip
#: What a step gives, in the order of its first axis.
OUTPUTS: tuple[str, ...] = (
    "rate",  # requests per second, retries included
    "failure",  # share of requests that fail, callees' failures included
    "latency",  # mean milliseconds, callees included
    "own",  # mean milliseconds spent here
    "busy",  # requests / capacity, may exceed 1
    "pool",  # workers in use / limit, may exceed 1
    "backlog",  # waiting requests or messages
    "memory",
    "disk",
    "attempts",  # calls made per call wanted (1: no retries)
    "lost",  # share of requests that never go on to callees
)
#: What the shop remembers from one minute to the next; all zero is a calm shop.
MEMORIES: tuple[str, ...] = (
    "backlog",  # waiting requests or messages
    "leaked",  # memory not given back, as a fraction of the limit
    "filled",  # disk not cleaned up, as a fraction of its size
    "failing",  # failures beyond what callers tolerate: they cause retries
    "lost",  # share of requests that never went on to callees
    "stuck",  # milliseconds of waiting for a pool that is nearly used up
    "restarting",  # minutes until a replica is back
)
_FULL = 0.97  # utilisation above which the queue formula hands over to the backlog
_TOLERATED = 0.02  # failures below this cause no noticeable retries or loss of onward calls
_RESTART_MINUTES = 3.0
_HEAP_STRAIN = 0.88  # memory above which garbage collection slows the service
_DISK_STRAIN = 0.96  # disk above which writes fail
_RECOVERY = 0.5  # part of a leak that is left a minute after its cause is gone
_BLOCK = 2048  # scenario-minutes looked at together while the shop is calm


@dataclass
class Controls:
    """Levers of an operator or a policy, each [scenario, service]; the defaults change nothing.

    Attributes
    ----------
    capacity : factor on the replicas
    admit : share of incoming requests that are let in (0..1), the rest is shed with an error
    restart : 1.0 restarts a replica in this minute and gives its leaked memory back
    """

    capacity: np.ndarray
    admit: np.ndarray
    restart: np.ndarray

    @classmethod
    def neutral(cls, scenarios: int, services: int) -> Controls:
        """Controls that leave everything as it is."""
        shape = (scenarios, services)
        return cls(np.ones(shape), np.ones(shape), np.zeros(shape))


class Engine:
    """Constants of a topology and the step over it.

    Examples
    --------
    >>> engine = Engine()
    >>> state, outputs = engine.step(engine.calm(1), engine.resting_inputs(1))
    >>> dict(zip(OUTPUTS, outputs))["rate"].shape
    (1, 19)
    """

    def __init__(self, topology: Topology = TOPOLOGY) -> None:
        self._topology = topology
        self._services = len(topology.services)
        self._calls = np.ascontiguousarray(topology.call_matrix.T)  # [callee, caller]
        self._waits = np.ascontiguousarray(topology.wait_visits)  # [service, callee]
        self._errors = np.ascontiguousarray(topology.error_visits)
        self._depth = topology.depth
        self._servers = topology.column("replicas") * 2.0
        self._exponent = np.sqrt(2 * (self._servers + 1)) - 1
        self._workers = topology.pool
        self._pool_exponent = np.sqrt(2 * (self._workers + 1)) - 1
        self._deadline = topology.column("deadline_ms")
        self._limit = topology.column("backlog")
        self._retries = topology.column("retries")
        self._without_one = 1 - 1 / np.maximum(topology.column("replicas"), 2.0)
        # A message that waits in the broker costs the worker nothing and never times out.
        self._queue_ms = np.array([1000.0 * (s.kind != "worker") for s in topology.services])

    def calm(self, scenarios: int) -> np.ndarray:
        """State of a calm shop, [memory, scenario, service], in the order of `MEMORIES`."""
        return np.zeros((len(MEMORIES), scenarios, self._services))

    def resting_inputs(self, scenarios: int) -> np.ndarray:
        """Inputs of the mean minute of the week, [input, scenario, service]."""
        topology = self._topology
        zeros, ones = np.zeros_like(topology.mean_rate), np.ones_like(topology.mean_rate)
        rows = (
            topology.mean_rate, zeros, topology.capacity, topology.column("service_ms"), ones,
            zeros, -np.log1p(-topology.column("error")), zeros, zeros, zeros,
            topology.column("memory"), topology.column("disk"),
        )  # fmt: skip
        return np.repeat(np.stack(rows)[:, None], scenarios, axis=1)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Run all minutes of ``inputs`` [minute, input, scenario, service] from a calm start.

        Returns
        -------
        np.ndarray
            [minute, output, scenario, service], outputs in the order of `OUTPUTS`.

        Notes
        -----
        A calm shop remembers nothing, so its next minute does not depend on the one before. All
        minutes are first stepped as if each began calm; the minutes after one that did not end
        calm are then stepped in turn, for the scenarios concerned, until they are calm again.
        This is the same as stepping minute by minute, to the byte, and much faster.
        """
        minutes, _, scenarios, services = inputs.shape
        outputs = np.empty((minutes, len(OUTPUTS), scenarios, services))
        after: dict[tuple[int, int], np.ndarray] = {}  # state after minutes that end in trouble
        block = max(1, _BLOCK // scenarios)
        for first in range(0, minutes, block):
            part = inputs[first : first + block]
            rows = part.swapaxes(0, 1).reshape(len(INPUTS), -1, services)
            state, out = self.step(self.calm(rows.shape[1]), rows)
            shape = (len(OUTPUTS), len(part), scenarios, services)
            outputs[first : first + block] = out.reshape(shape).swapaxes(0, 1)
            for row in np.flatnonzero(state.any(axis=(0, 2))):
                minute, scenario = divmod(int(row), scenarios)
                after[first + minute, scenario] = state[:, row]

        troubled: dict[int, np.ndarray] = {}
        for minute in range(minutes):
            if troubled:
                places = list(troubled)
                state = np.stack([troubled[place] for place in places], axis=1)
                state, out = self.step(state, np.ascontiguousarray(inputs[minute][:, places]))
                outputs[minute][:, places] = out
                keeps = np.asarray(state.any(axis=(0, 2)))
                stepped = set(places)
                troubled = {place: state[:, row] for row, place in enumerate(places) if keeps[row]}
            else:
                stepped = set()
            for scenario in range(scenarios):
                if scenario not in stepped and (minute, scenario) in after:
                    troubled[scenario] = after[minute, scenario]
        return outputs

    def step(
        self, state: np.ndarray, inputs: np.ndarray, controls: Controls | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move the shop on by one minute.

        Parameters
        ----------
        state : np.ndarray
            [memory, scenario, service] in the order of `MEMORIES`; not changed.
        inputs : np.ndarray
            [input, scenario, service] in the order of `INPUTS`.
        controls : Controls, optional
            Levers pulled in this minute.

        Returns
        -------
        state, outputs : np.ndarray
            The state after the minute, and [output, scenario, service] in the order of `OUTPUTS`.
        """
        (demand, inject, capacity, service_ms, pool, delay, log_ok, leak, fill, eager,
         resting_memory, resting_disk) = inputs  # fmt: skip
        backlog, leaked, filled, failing, lost, stuck, restarting = state

        leaked = _accumulate(leaked, leak)
        filled = _accumulate(filled, fill)
        if controls is not None:
            leaked = leaked * (1 - controls.restart)
            restarting = np.maximum(restarting, controls.restart)
        memory = np.minimum(resting_memory + leaked, 1.0)
        disk = np.minimum(resting_disk + filled, 1.0)
        strain = 1 + 12.0 * np.maximum(memory - _HEAP_STRAIN, 0.0)
        down = restarting > 0
        service_ms = service_ms * strain
        capacity = capacity / strain * np.where(down, self._without_one, 1.0)
        if controls is not None:
            capacity = capacity * controls.capacity

        rate, attempts = self._load(demand, inject, eager, failing, lost)
        admitted = rate if controls is None else rate * controls.admit

        # CPU queue: waiting by utilisation; what is beyond capacity piles up, then is refused.
        busy = admitted / capacity
        load = np.minimum(busy, _FULL)
        wait = service_ms * load**self._exponent / (self._servers * (1 - load))
        waiting = np.maximum(backlog + (admitted - capacity) * 60.0, 0.0)
        backlog = np.minimum(waiting, self._limit)
        refused = np.minimum((waiting - backlog) / (admitted * 60.0 + 1e-9), 0.99)
        working = service_ms + wait
        answer = working + delay + backlog * (self._queue_ms / capacity)

        # Worker or connection pool: held while this service works and while it waits for others.
        held = working + _sum_over_callees(answer + stuck, self._waits) - answer - stuck
        workers = self._workers * pool
        used = admitted * held / (workers * 1000.0)
        part = np.minimum(used, _FULL)
        pool_wait = held * part**self._pool_exponent / (workers * (1 - part))
        pool_wait = np.minimum(pool_wait, 0.5 * self._deadline)
        no_worker = 0.85 * (1 - 1 / np.maximum(used, 1.0))

        own = np.minimum(answer + pool_wait, 1.5 * self._deadline)
        lateness = own / self._deadline
        lateness = lateness * lateness
        served = (1 - refused) * (1 - no_worker) / (1 + lateness * lateness)
        if controls is not None:
            served = served * np.maximum(controls.admit, 1e-3)
        log_loss = log_ok - np.log(served) + 9.0 * np.maximum(disk - _DISK_STRAIN, 0.0)
        log_loss = log_loss + np.where(down, 0.05, 0.0)

        # Up the call graph: failures multiply, latencies add.
        failure = 1 - np.exp(-_sum_over_callees(log_loss, self._errors))
        latency = _sum_over_callees(own, self._waits)

        out_of_memory = memory >= 1.0
        lost = _follow(lost, np.maximum(1 - np.exp(-log_loss) - _TOLERATED, 0.0))
        after = np.stack((
            backlog,
            np.where(out_of_memory, 0.0, leaked),
            filled,
            _follow(failing, np.maximum(failure - _TOLERATED, 0.0)),
            lost,
            np.maximum(pool_wait - 0.1 * self._deadline, 0.0),
            np.where(out_of_memory, _RESTART_MINUTES, np.maximum(restarting - 1.0, 0.0)),
        ))  # fmt: skip
        outputs = np.stack((rate, failure, latency, own, busy, used, backlog, memory, disk,
                            attempts, lost))  # fmt: skip
        return after, outputs

    def _load(
        self,
        demand: np.ndarray,
        inject: np.ndarray,
        eager: np.ndarray,
        failing: np.ndarray,
        lost: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return requests per second and attempts per call: load travels down the call graph.

        rate[j] = attempts[j] x mix[j] x sum over i of rate[i] (1 - lost[i]) calls[i, j] + inject[j],
        where mix[j] is how much of j this minute's journeys want beside the mean call graph.
        ``demand`` already holds the sum for a calm shop, so only the difference is sent down; it
        is exactly zero where nothing fails.
        """
        attempts = 1 + (self._retries + eager) * failing
        if not (failing.any() or inject.any() or lost.any()):
            return demand, attempts
        mean = _sum_over_callees(demand, self._calls)
        mix = np.where(mean > 0, demand / np.maximum(mean, 1e-12), 1.0)
        difference = start = (attempts - 1) * demand + inject
        for _ in range(self._depth):
            onward = (1 - lost) * difference - lost * demand
            difference = start + attempts * (mix * _sum_over_callees(onward, self._calls))
        return np.maximum(demand + difference, 1e-6), attempts


def _sum_over_callees(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """weights @ values for each scenario, without BLAS: its sums depend on the batch size."""
    return np.add.reduce(values[:, None, :] * weights, axis=2)


def _follow(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Move half-way from what was to what is: callers notice a change within minutes."""
    mean = 0.5 * (before + now)
    return np.where(mean > 1e-3, mean, 0.0)


def _accumulate(held: np.ndarray, gained: np.ndarray) -> np.ndarray:
    """Add what is gained; once nothing is, give back by halves and drop the last crumb."""
    kept = np.where(gained > 0, held + gained, held * _RECOVERY)
    return np.where(kept > 1e-4, kept, np.where(gained > 0, kept, 0.0))

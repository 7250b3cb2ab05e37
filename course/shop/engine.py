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
    "passed",  # share of requests that go on to callees
)
_FULL = 0.97  # utilisation above which the queue formula hands over to the backlog
_RESTART_MINUTES = 3
_TOLERATED = 0.02  # failures below this cause no noticeable retries or loss of onward calls


@dataclass
class State:
    """What the shop remembers from minute to minute; each array is [scenario, service]."""

    backlog: np.ndarray
    leaked: np.ndarray
    filled: np.ndarray
    failure: np.ndarray
    passed: np.ndarray
    downstream: np.ndarray
    restarting: np.ndarray

    @classmethod
    def fresh(cls, scenarios: int, services: int) -> State:
        """A shop with empty queues, just started."""
        return cls(*(np.zeros((scenarios, services)) for _ in range(4)),
                   np.ones((scenarios, services)),
                   *(np.zeros((scenarios, services)) for _ in range(2)))  # fmt: skip


@dataclass
class Controls:
    """Levers of an operator or a policy, each [scenario, service]; the defaults change nothing.

    Attributes
    ----------
    capacity : factor on the replicas
    admit : share of incoming requests that are let in, the rest is shed with an error
    restart : True restarts the service in this minute
    """

    capacity: np.ndarray
    admit: np.ndarray
    restart: np.ndarray

    @classmethod
    def neutral(cls, scenarios: int, services: int) -> Controls:
        """Controls that leave everything as it is."""
        shape = (scenarios, services)
        return cls(np.ones(shape), np.ones(shape), np.zeros(shape, dtype=bool))


class Engine:
    """Constants of a topology and the step over it.

    Examples
    --------
    >>> engine = Engine()
    >>> state = State.fresh(1, len(engine.names))
    >>> outputs = engine.step(state, engine.resting_inputs(1))
    >>> dict(zip(OUTPUTS, outputs))["rate"].shape
    (1, 19)
    """

    def __init__(self, topology: Topology = TOPOLOGY) -> None:
        self.names = topology.names
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
        # A message that waits in the broker costs the worker nothing and never times out.
        in_line = np.array([service.kind != "worker" for service in topology.services])
        self._queue_ms = 1000.0 * in_line
        self._restart_share = 1 - 1 / topology.column("replicas")
        self._topology = topology

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

    def settled(self, inputs: np.ndarray) -> State:
        """State of a shop that has long been running under ``inputs`` [input, scenario, service]."""
        state = State.fresh(*inputs.shape[1:])
        for _ in range(3):
            self.step(state, inputs)
        state.leaked[:] = 0
        state.filled[:] = 0
        return state

    def run(self, inputs: np.ndarray, state: State | None = None) -> np.ndarray:
        """Run all minutes of ``inputs`` [minute, input, scenario, service].

        Returns
        -------
        np.ndarray
            [minute, output, scenario, service], outputs in the order of `OUTPUTS`.
        """
        state = self.settled(inputs[0]) if state is None else state
        outputs = np.empty((len(inputs), len(OUTPUTS), *inputs.shape[2:]))
        step = self.step
        for minute, now in enumerate(inputs):
            step(state, now, out=outputs[minute])
        return outputs

    def step(
        self,
        state: State,
        inputs: np.ndarray,
        controls: Controls | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Move ``state`` on by one minute and return the outputs [output, scenario, service].

        Parameters
        ----------
        state : State
            Changed in place.
        inputs : np.ndarray
            [input, scenario, service] in the order of `INPUTS`.
        controls : Controls, optional
            Levers pulled in this minute.
        out : np.ndarray, optional
            Where to write the outputs.
        """
        out = np.empty((len(OUTPUTS), *inputs.shape[1:])) if out is None else out
        demand, inject, capacity, service_ms, pool, delay, log_ok, leak, fill, eager, \
            memory_rest, disk_rest = inputs  # fmt: skip
        rate, failure, latency, own, busy, pool_use, backlog, memory, disk, attempts, passed = out

        memory, disk = self._resources(state, leak, fill, memory_rest, disk_rest, out)
        strain = np.maximum(memory - 0.88, 0.0)  # a full heap collects garbage all the time
        service_ms = service_ms * (1 + 12.0 * strain)
        capacity = capacity / (1 + 12.0 * strain)
        if state.restarting.any():
            capacity = np.where(state.restarting > 0, capacity * self._restart_share, capacity)
        if controls is not None:
            capacity = capacity * controls.capacity * np.where(controls.restart, 0.5, 1.0)

        self._load(state, demand, inject, eager, rate, attempts)
        admitted = rate if controls is None else rate * controls.admit

        # CPU queue: waiting by utilisation; what is beyond capacity piles up, then is refused.
        np.divide(admitted, capacity, out=busy)
        load = np.minimum(busy, _FULL)
        wait = service_ms * load**self._exponent / (self._servers * (1 - load))
        waiting = state.backlog + (admitted - capacity) * 60.0
        np.clip(waiting, 0.0, self._limit, out=backlog)
        refused = np.maximum(waiting - self._limit, 0.0) / (admitted * 60.0 + 1e-9)
        state.backlog = backlog

        # Worker or connection pool: held while this service works and while it waits for others.
        held = service_ms + wait + state.downstream
        np.divide(admitted * held, self._workers * pool * 1000.0, out=pool_use)
        used = np.minimum(pool_use, _FULL)
        pool_wait = held * used**self._pool_exponent / (self._workers * pool * (1 - used))
        short = 0.85 * (1 - 1 / np.maximum(pool_use, 1.0))

        np.add(service_ms + wait, pool_wait + delay + backlog * (self._queue_ms / capacity), out=own)
        ratio = own / self._deadline
        ratio *= ratio
        ratio *= ratio
        np.minimum(own, 1.5 * self._deadline, out=own)
        lost = (1 - np.minimum(refused, 0.99)) * (1 - short)
        if controls is not None:
            lost = lost * np.maximum(controls.admit, 1e-3)
        disk_trouble = np.maximum(disk - 0.96, 0.0)
        log_loss = log_ok + np.log1p(ratio) - np.log(lost) + 9.0 * disk_trouble
        if state.restarting.any():
            log_loss = log_loss + np.where(state.restarting > 0, 0.05, 0.0)

        # Up the call graph: failures multiply, latencies add.
        log_loss_all = np.add.reduce(log_loss[:, None, :] * self._errors, axis=2)
        np.subtract(1.0, np.exp(-log_loss_all), out=failure)
        np.add.reduce(own[:, None, :] * self._waits, axis=2, out=latency)
        np.subtract(latency, own, out=state.downstream)
        np.minimum(1.0, np.exp(-log_loss) + _TOLERATED, out=passed)
        state.failure, state.passed = failure, passed
        return out

    def _load(
        self,
        state: State,
        demand: np.ndarray,
        inject: np.ndarray,
        eager: np.ndarray,
        rate: np.ndarray,
        attempts: np.ndarray,
    ) -> None:
        """Write requests per second and attempts per call: load travels down the call graph.

        rate[j] = (demand entering at j + sum of rate[i] passed[i] calls[i, j]) attempts[j] +
        inject[j]. ``demand`` already holds the sum for a calm shop, so only the difference is
        sent down; it is exactly zero where nothing fails.
        """
        wish = np.maximum(state.failure - _TOLERATED, 0.0)
        if not (wish.any() or inject.any() or (state.passed < 1.0).any()):
            rate[:] = demand
            attempts[:] = 1.0
            return
        np.add(1.0, (self._retries + eager) * wish, out=attempts)
        retried = attempts - 1.0
        gone = 1.0 - state.passed
        base = retried * demand + inject
        extra = base
        for _ in range(self._depth):
            onward = state.passed * extra - gone * demand
            extra = base + attempts * np.add.reduce(onward[:, None, :] * self._calls, axis=2)
        np.maximum(demand + extra, 1e-6, out=rate)

    def _resources(
        self,
        state: State,
        leak: np.ndarray,
        fill: np.ndarray,
        memory_rest: np.ndarray,
        disk_rest: np.ndarray,
        out: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Move memory and disk on; a service out of memory is restarted, and the leak starts anew."""
        state.leaked += leak
        state.filled += fill
        memory, disk = out[7], out[8]
        np.add(memory_rest, state.leaked, out=memory)
        np.add(disk_rest, state.filled, out=disk)
        np.minimum(disk, 1.0, out=disk)
        state.restarting = np.maximum(state.restarting - 1.0, 0.0)
        full = memory >= 1.0
        if full.any():
            state.leaked[full] = 0.0
            state.restarting[full] = _RESTART_MINUTES
            np.minimum(memory, 1.0, out=memory)
        return memory, disk

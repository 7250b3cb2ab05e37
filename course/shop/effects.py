"""What acts on the services, minute by minute: the engine's inputs.

Demand, faults, surges and the shop's ordinary life all write into one `Effects`; the engine reads
it. Each array is [minute, service].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.shop.topology import TOPOLOGY


@dataclass
class Effects:
    """Inputs of the engine for one scenario, each [minute, service].

    Attributes
    ----------
    rate : requests per second that the journeys bring, retries not included
    work : factor on the time of one request
    share : part of the CPU that the service can use (0..1)
    hog : part of the CPU that another process in the service's own container burns (0..1)
    scale : replicas / ordinary replicas
    pool : part of the worker or connection pool that can be used (0..1)
    delay : milliseconds added to every answer
    fail : probability that a request fails here of itself
    leak : memory lost per minute, as a fraction of the limit
    fill : disk filled per minute, as a fraction of its size
    inject : requests per second from nowhere in the call graph (a cache's misses, a crawler)
    eager : further attempts that callers make on top of the service's ordinary retries
    tail : added to the sigma of the log-normal request time
    """

    rate: np.ndarray
    work: np.ndarray
    share: np.ndarray
    hog: np.ndarray
    scale: np.ndarray
    pool: np.ndarray
    delay: np.ndarray
    fail: np.ndarray
    leak: np.ndarray
    fill: np.ndarray
    inject: np.ndarray
    eager: np.ndarray
    tail: np.ndarray

    @classmethod
    def neutral(cls, rate: np.ndarray) -> Effects:
        """Effects under which the shop just serves ``rate``."""
        ones, zeros = np.ones_like, np.zeros_like
        fail = np.broadcast_to(TOPOLOGY.column("error"), rate.shape).copy()
        return cls(
            rate=rate, work=ones(rate), share=ones(rate), hog=zeros(rate), scale=ones(rate),
            pool=ones(rate), delay=zeros(rate), fail=fail, leak=zeros(rate), fill=zeros(rate),
            inject=zeros(rate), eager=zeros(rate), tail=zeros(rate),
        )  # fmt: skip

    def add_failures(
        self, where: slice, place: int | slice, probability: np.ndarray | float
    ) -> None:
        """Let requests fail with ``probability``, independently of what fails already."""
        survive = (1 - self.fail[where, place]) * (1 - np.minimum(probability, 0.98))
        self.fail[where, place] = 1 - survive

    def add_misses(self, where: slice, place: int, cold: np.ndarray) -> None:
        """Send the share ``cold`` of a cache's lookups on to the store behind it."""
        store = TOPOLOGY.position[TOPOLOGY.backing[TOPOLOGY.names[place]]]
        self.inject[where, store] += self.rate[where, place] * cold

"""The faults of one service: what is wrong with it at a moment.

`condition` is a function of the active faults and the time; the service's threads do what it
says: burn CPU, keep memory, hold workers, fill the disk, fail, wait. Kinds and their shapes over
time follow `course.shop.faults`, with minutes scaled to the fault's length.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course.testbed.layout import NODES, callers

_SLOT_S = 5.0  # a fault that comes and goes may change once in a slot


@dataclass
class Condition:
    """What is wrong at a moment; the defaults are a healthy service.

    Attributes
    ----------
    burn : share of a core that a runaway thread takes
    leaked : share of the free memory that is never given back
    held : share of the workers or connections that is never given back
    filled : share of the free disk that is taken
    scan : share of the table that every statement scans, 0 where the index is used
    slow : factor on the service's own time
    fail : probability that a request fails
    raises : probability that the code of a bad release meets its own mistake
    delay_ms : time that answers take on the wire
    loss : probability that an answer is lost
    eager : callee -> further attempts without pause
    """

    burn: float = 0.0
    leaked: float = 0.0
    held: float = 0.0
    filled: float = 0.0
    scan: float = 0.0
    slow: float = 1.0
    fail: float = 0.0
    raises: float = 0.0
    delay_ms: float = 0.0
    loss: float = 0.0
    eager: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Trouble:
    """One fault as a service sees it.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    root : str
        The service at which the fault strikes; another one may be told because it calls the root.
    severity : float
        0 < severity <= 1.
    begin : float
        Unix seconds.
    seconds : float
    since : float
        When this process began to suffer: later than ``begin`` after a restart.
    seed : int
        Luck of faults that come and go.
    """

    kind: str
    root: str
    severity: float
    begin: float
    seconds: float
    since: float
    seed: int = 0

    def ramp(self, now: float, share: float) -> float:
        """Rise from 0 to 1 within a share of the fault's length."""
        return min((now - self.begin) / max(share * self.seconds, 1e-9), 1.0)


def _cpu_saturation(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.burn += (0.35 + 0.6 * t.severity) * t.ramp(now, 0.05)


def _memory_leak(c: Condition, t: Trouble, now: float, service: str) -> None:
    to_full = t.seconds * (1.0 - 0.75 * t.severity)
    c.leaked += (now - t.since) / to_full


def _slow_query(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.scan += 0.6 * t.severity


def _pool_exhaustion(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.held += (0.75 + 0.25 * t.severity) * t.ramp(now, 0.4 - 0.3 * t.severity)


def _bad_deploy(c: Condition, t: Trouble, now: float, service: str) -> None:
    rolled = min(math.ceil(8 * t.ramp(now, 0.15)) / 8, 1.0)
    c.raises += 0.3 * t.severity * rolled
    c.slow *= 1 + 0.8 * t.severity * rolled


def _network_delay(c: Condition, t: Trouble, now: float, service: str) -> None:
    wave = 1 + 0.3 * math.sin(2 * math.pi * (now - t.begin) / 45.0)
    c.delay_ms += 2.2 * (15 + 0.7 * NODES[service].service_ms) * t.severity * wave


def _network_loss(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.loss += 0.09 * t.severity


def _third_party_outage(c: Condition, t: Trouble, now: float, service: str) -> None:
    if comes_and_goes(t.seed, now - t.begin, share_on=0.75):
        c.fail += 0.75 * t.severity
        c.delay_ms += 1500 * t.severity**2


def _disk_full(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.filled += t.ramp(now, 0.7 - 0.6 * t.severity)


def _retry_storm(c: Condition, t: Trouble, now: float, service: str) -> None:
    if service != t.root:
        c.eager[t.root] = 1 + round(3 * t.severity)
        return
    c.slow *= 1 + 0.5 * t.severity
    c.fail += 0.04 * t.severity
    if now - t.begin < min(60.0, 0.35 * t.seconds):
        c.fail += 0.15 + 0.45 * t.severity


def _queue_backlog(c: Condition, t: Trouble, now: float, service: str) -> None:
    c.slow *= 1 + 24 * t.severity


_APPS = tuple(n.name for n in NODES.values() if n.kind in ("edge", "app", "worker"))
_SQL = tuple(n.name for n in NODES.values() if n.kind == "sql")
_DISKS = tuple(n.name for n in NODES.values() if n.disk_mb)
_THIRD = tuple(n.name for n in NODES.values() if n.kind == "third_party")
_OWN = tuple(name for name in NODES if name not in _THIRD)
_SERVERS = tuple(name for name in _APPS if name != "fulfilment")

Effect = Callable[[Condition, Trouble, float, str], None]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: where it can strike, what it does, which event announces it.

    ``tells_callers`` is True where the services that call the root take part.
    """

    services: tuple[str, ...]
    apply: Effect
    announced: str = ""
    tells_callers: bool = False


#: The kinds of fault by name; all but queue_backlog are kinds of the simulator too.
KINDS: dict[str, Kind] = {
    "cpu_saturation": Kind(_OWN, _cpu_saturation),
    "memory_leak": Kind(_APPS, _memory_leak),
    "slow_query": Kind(_SQL, _slow_query),
    "pool_exhaustion": Kind((*_APPS, *_SQL), _pool_exhaustion),
    "bad_deploy": Kind(_APPS, _bad_deploy, announced="deploy"),
    "network_delay": Kind(tuple(n for n in _OWN if n != "fulfilment"), _network_delay),
    "network_loss": Kind(tuple(n for n in _OWN if n != "fulfilment"), _network_loss),
    "third_party_outage": Kind(_THIRD, _third_party_outage),
    "disk_full": Kind(_DISKS, _disk_full),
    "retry_storm": Kind(tuple(n for n in _SERVERS if callers(n)), _retry_storm, tells_callers=True),
    "queue_backlog": Kind(("fulfilment",), _queue_backlog),
}


def condition(service: str, troubles: Iterable[Trouble], now: float) -> Condition:
    """Return what is wrong with a service now.

    Examples
    --------
    >>> trouble = Trouble("slow_query", "orders-db", 0.5, begin=0, seconds=60, since=0)
    >>> condition("orders-db", [trouble], now=30).scan
    0.3
    >>> condition("orders-db", [trouble], now=61).scan
    0.0
    """
    found = Condition()
    for trouble in troubles:
        if trouble.begin <= now < trouble.begin + trouble.seconds:
            KINDS[trouble.kind].apply(found, trouble, now, service)
    return found


def comes_and_goes(seed: int, age: float, share_on: float) -> bool:
    """Whether a fault that comes and goes is on; in its first slot it is."""
    slot = int(age / _SLOT_S)
    return slot == 0 or random.Random(f"{seed}:{slot}").random() < share_on


def concerned(kind: str, root: str) -> list[str]:
    """Services that must be told of a fault: the root, and its callers where they take part."""
    return [root, *(callers(root) if KINDS[kind].tells_callers else [])]


__all__ = ["KINDS", "Condition", "Kind", "Trouble", "concerned", "condition"]

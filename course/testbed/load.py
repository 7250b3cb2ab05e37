"""The load generator: users who arrive whether or not the shop answers (an open loop).

Arrivals are a Poisson process. Their rate may follow the simulator's day, in less time than a
day, and a harmless surge may be laid over it.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from course.testbed import lifeline
from course.testbed.control import listen
from course.testbed.layout import JOURNEYS
from course.testbed.web import Pool

DEFAULT_RATE = 20.0
MAX_RATE = 60.0
_USERS_AT_ONCE = 96
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Surge:
    """A harmless burst: extra demand of each journey as a fraction of its own."""

    kind: str
    begin: float
    seconds: float
    size: float
    journeys: dict[str, float]

    def extra(self, journey: str, now: float) -> float:
        """The extra demand of a journey: up within a tenth of the time, down within a fifth."""
        age = now - self.begin
        if not 0 <= age < self.seconds:
            return 0.0
        rise = min(age / (0.1 * self.seconds), (self.seconds - age) / (0.2 * self.seconds), 1.0)
        return self.size * self.journeys.get(journey, 0.0) * rise


@dataclass
class Plan:
    """How many users arrive.

    Parameters
    ----------
    rate : float
        Mean arrivals per second, all journeys together; 0 for none.
    day_minutes : float
        Minutes that a day takes; 0 for a constant rate.
    begin : float
        Unix seconds at which the compressed day stands at ``hour``.
    hour : float
    surges : tuple of Surge
    """

    rate: float = 0.0
    day_minutes: float = 0.0
    begin: float = 0.0
    hour: float = 9.0
    surges: tuple[Surge, ...] = ()

    def rates(self, now: float, day: Callable[[str, float], float]) -> dict[str, float]:
        """Arrivals per second of each journey.

        Parameters
        ----------
        now : float
            Unix seconds.
        day : callable
            Level of a journey at an hour of the day; its mean is about one.
        """
        found = {}
        for journey, share in JOURNEYS.items():
            level = 1.0
            if self.day_minutes > 0:
                passed = (now - self.begin) / 60 / self.day_minutes * 24
                level = day(journey, (self.hour + passed) % 24)
            extra = sum(surge.extra(journey, now) for surge in self.surges)
            found[journey] = self.rate * share * level * (1 + extra)
        return found


def daily_level() -> Callable[[str, float], float]:
    """The simulator's working day, flattened so that the night still has enough requests.

    The square root of its level keeps the shape; two cores carry the peak with room.
    """
    import numpy as np
    import pandas as pd

    from course.shop.workload import JOURNEYS as ORDER
    from course.shop.workload import demand

    table = np.sqrt(demand(pd.Timestamp("2026-03-10", tz="UTC"), 1440))
    table /= table.mean(axis=0)
    place = {name: ORDER.index(name) for name in JOURNEYS}
    return lambda journey, hour: float(table[int(hour * 60) % 1440, place[journey]])


class Generator:
    """Sends users to the gateway.

    Parameters
    ----------
    gateway : int
        Its port; `control` changes it.
    """

    def __init__(self, gateway: int) -> None:
        self.gateway = gateway
        self.plan = Plan()
        self.sent: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._day: Callable[[str, float], float] = lambda journey, hour: 1.0
        self._order = 0
        self._pool = Pool(_USERS_AT_ONCE, 4 * _USERS_AT_ONCE, self._visit)
        threading.Thread(target=self._arrive, name="arrivals", daemon=True).start()

    def control(self, path: str, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out a control request: ``gateway``, ``rate`` with ``day_minutes``, ``surge``."""
        if "gateway" in order:
            self.gateway = int(order["gateway"])
        if "rate" in order:
            rate, minutes = float(order["rate"]), float(order.get("day_minutes", 0))
            if not 0 <= rate <= MAX_RATE:
                raise ValueError(f"rate is {rate:g}; it must lie in 0..{MAX_RATE:g} a second")
            if minutes < 0:
                raise ValueError(f"day_minutes is {minutes:g}; it must be 0 or more")
            if minutes > 0:
                self._day = daily_level()
            self.plan = Plan(rate, minutes, time.time(), float(order.get("hour", 9.0)))
        if "surge" in order:
            surge = Surge(begin=time.time(), **order["surge"])
            running = (s for s in self.plan.surges if s.begin + s.seconds > time.time())
            self.plan.surges = (*running, surge)
        return {"rate": self.plan.rate, "day_minutes": self.plan.day_minutes, **self._counts()}

    def _counts(self) -> dict[str, Any]:
        with self._lock:
            return {"outcomes": dict(self.sent)}

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.sent[outcome] += 1

    def _arrive(self) -> None:
        due = time.time()
        while True:
            rates = self.plan.rates(time.time(), self._day)
            total = sum(rates.values())
            if total <= 0:
                time.sleep(0.1)
                due = time.time()
                continue
            due = max(due + random.expovariate(total), time.time() - 1.0)
            time.sleep(max(due - time.time(), 0))
            (journey,) = random.choices(list(rates), weights=list(rates.values()))
            if not self._pool.submit(journey):
                self._count("not sent")

    def _visit(self, journey: str) -> None:
        with self._lock:
            self._order += 1
            order = f"{100_000 + self._order}-{random.randrange(10**6):06d}"
        body = {
            "user": random.randrange(10_000, 100_000),
            "order": order,
            "sku": random.randrange(100_000),
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway, timeout=_PATIENCE_S)
        try:
            connection.request("POST", f"/{journey}", json.dumps(body))
            response = connection.getresponse()
            response.read()
            self._count("ok" if response.status == 200 else f"HTTP {response.status}")
        except TimeoutError:
            self._count("timeout")
        except (OSError, http.client.HTTPException):
            self._count("no answer")
        finally:
            connection.close()


def main() -> None:
    """Run the generator until the supervisor is gone; it sends nobody until told."""
    config = json.loads(sys.stdin.buffer.readline())
    lifeline.die_with_parent(config["parent"])
    threading.stack_size(512 * 1024)
    generator = Generator(config["gateway"])
    port = listen(config["token"], generator.control)
    print(json.dumps({"port": port}), flush=True)
    lifeline.watch(sys.stdin.fileno(), lifeline.exit_now).join()


if __name__ == "__main__":
    main()

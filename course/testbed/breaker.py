"""A circuit breaker between a service and one that it calls.

Closed, it lets every call through and counts. Open, it refuses at once: the caller keeps its workers, the callee
gets time. After a pause it is half open: one call at a time may try, a failure opens it again, several good answers in a row
close it (Nygard, *Release It!*, 2nd ed., Pragmatic Bookshelf 2018, chapter 5).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: States in the order of the metric's values.
STATES = ("closed", "half-open", "open")
CLOSED, HALF_OPEN, OPEN = STATES


@dataclass(frozen=True)
class BreakerSettings:
    """When a breaker opens and closes.

    Parameters
    ----------
    window : int
        Latest calls that count.
    least : int
        With fewer calls in the window it stays closed.
    failures : float
        Share of failed calls in the window (0..1] from which it opens.
    pause_s : float
        Seconds that it stays open.
    trials : int
        Good answers in a row that close it when it is half open.

    Raises
    ------
    ValueError
        A value makes no sense.
    """

    window: int = 20
    least: int = 8
    failures: float = 0.5
    pause_s: float = 3.0
    trials: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.window <= 10_000:
            raise ValueError(
                f"least is {self.least} and window {self.window}; it must hold that "
                "1 <= least <= window <= 10000"
            )
        if not 0 < self.failures <= 1:
            raise ValueError(f"failures is {self.failures:g}; it must lie in (0, 1]")
        if not 0 < self.pause_s <= 3600:
            raise ValueError(f"pause_s is {self.pause_s:g}; it must lie in (0, 3600]")
        if not 1 <= self.trials <= 1000:
            raise ValueError(f"trials is {self.trials}; it must lie in 1..1000")


class Breaker:
    """The breaker of one callee in one process; safe among threads.

    Parameters
    ----------
    settings : BreakerSettings
    changed : callable
        Told old state, new state and why, outside of the lock.
    clock : callable
        Seconds that only grow.

    Examples
    --------
    >>> breaker = Breaker(BreakerSettings(window=4, least=2), lambda *_: None)
    >>> for _ in range(2):
    ...     breaker.result(breaker.permit(), False)
    >>> breaker.state, breaker.permit()
    ('open', None)
    """

    def __init__(
        self,
        settings: BreakerSettings,
        changed: Callable[[str, str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self._changed, self._clock = settings, changed, clock
        self._lock = threading.Lock()
        self._state = CLOSED
        self._latest: deque[bool] = deque(maxlen=settings.window)
        self._period = 1  # counts the changes of state
        self._until = 0.0
        self._trying = False
        self._good = 0

    @property
    def state(self) -> str:
        """One of `STATES`."""
        return self._state

    def permit(self) -> int | None:
        """Leave to make one call now, to be handed to `result`; None where the call is refused."""
        with self._lock:
            before, why = self._state, ""
            if before == OPEN and self._clock() >= self._until:
                self._change(HALF_OPEN)
                why = f"{self.settings.pause_s:g} s are over"
            refused = self._state == OPEN or (self._state == HALF_OPEN and self._trying)
            self._trying = self._state == HALF_OPEN
            permit = None if refused else self._period
            after = self._state
        self._tell(before, after, why)
        return permit

    def result(self, permit: int, ok: bool) -> None:
        """Count the outcome of a call; one that began before the latest change of state does not."""
        with self._lock:
            before, why = self._state, ""
            if permit != self._period:
                return
            if before == CLOSED:
                self._latest.append(ok)
                bad, calls = self._latest.count(False), len(self._latest)
                if calls >= self.settings.least and bad >= self.settings.failures * calls:
                    why = f"{bad} of the latest {calls} calls failed"
                    self._open()
            else:  # half open: while it is open there are no permits
                self._trying = False
                self._good += ok
                if not ok:
                    why = "a trial failed"
                    self._open()
                elif self._good >= self.settings.trials:
                    why = f"{self._good} trials in a row went well"
                    self._change(CLOSED)
            after = self._state
        self._tell(before, after, why)

    def _open(self) -> None:
        self._change(OPEN)
        self._until = self._clock() + self.settings.pause_s

    def _change(self, state: str) -> None:
        self._state, self._period = state, self._period + 1
        self._good, self._trying = 0, False
        self._latest.clear()

    def _tell(self, before: str, after: str, why: str) -> None:
        if after != before:
            self._changed(before, after, why)


class Breakers:
    """The breakers of one process, one for each callee that is guarded; at first none is.

    Parameters
    ----------
    changed : callable
        Told callee, old state, new state and why.
    """

    def __init__(self, changed: Callable[[str, str, str, str], None]) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._settings = BreakerSettings()
        self._guarded: frozenset[str] = frozenset()
        self._by_callee: dict[str, Breaker] = {}

    def switch(self, callees: Iterable[str], settings: BreakerSettings | None = None) -> None:
        """Put closed breakers before these callees and take all others away."""
        with self._lock:
            self._settings, self._guarded = settings or BreakerSettings(), frozenset(callees)
            self._by_callee = {}

    def before(self, callee: str) -> Breaker | None:
        """The breaker before a callee, or None where there is none."""
        with self._lock:
            if callee not in self._guarded:
                return None
            if callee not in self._by_callee:
                self._by_callee[callee] = Breaker(
                    self._settings,
                    lambda old, new, why: self._changed(callee, old, new, why),
                )
            return self._by_callee[callee]

    def states(self) -> dict[str, str]:
        """State by callee, as far as it has been called."""
        with self._lock:
            return {callee: breaker.state for callee, breaker in self._by_callee.items()}

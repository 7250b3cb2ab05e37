"""The threads that make a fault real inside a process: burn CPU, keep memory."""

from __future__ import annotations

import threading
import time

import psutil

_CYCLE_S = 0.1
_BURNERS = 2
_CHUNK = 1 << 20


class Burner:
    """Threads that take CPU, and with it the interpreter's lock, from the rest of the process."""

    def __init__(self) -> None:
        self._duty = 0.0
        self._go = threading.Event()
        for number in range(_BURNERS):
            threading.Thread(target=self._burn, name=f"burner-{number}", daemon=True).start()

    def set(self, duty: float) -> None:
        """Burn this share of a core from now on, 0..1."""
        self._duty = min(duty, 0.98)
        if duty > 0:
            self._go.set()
        else:
            self._go.clear()

    def _burn(self) -> None:
        while True:
            self._go.wait()
            begin = time.monotonic()
            while time.monotonic() - begin < self._duty * _CYCLE_S:
                sum(number * number for number in range(500))
            time.sleep((1 - self._duty) * _CYCLE_S)


class Ballast:
    """Memory that is never given back.

    Parameters
    ----------
    limit : int
        Bytes at which the process will be killed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = 0
        self._kept: list[bytes] = []

    def keep(self, share: float) -> None:
        """Keep a share of what was free when the leak began; above 1 exceeds the limit."""
        if share <= 0:
            self._kept.clear()
            return
        if not self._kept:
            self._free = max(self._limit - psutil.Process().memory_info().rss, _CHUNK)
        while len(self._kept) * _CHUNK < min(share, 1.5) * self._free:
            self._kept.append(b"\x01" * _CHUNK)  # written to, so that it is resident

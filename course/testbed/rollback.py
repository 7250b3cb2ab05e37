"""Automatic rollback: a release whose requests fail is taken back.

What tools such as Flagger and Argo Rollouts do: after a release the monitoring is asked again and again
for the share of failed requests; a release that fails several checks in a row is taken back.
"""

from __future__ import annotations

import json
import math
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

_TIMEOUT_S = 5.0

#: Asks the monitoring: (expression, Unix seconds or None for now) -> value, NaN where there is none.
Ask = Callable[[str, float | None], float]


@dataclass(frozen=True)
class RollbackSettings:
    """When a release is taken back.

    Parameters
    ----------
    limit : float
        Share of failed requests (0..1) that is always accepted.
    factor : float
        Accepted is also this many times the share in the minute before the release.
    least : float
        A check needs this many requests; with fewer it says nothing.
    checks : int
        Failed checks in a row that take a release back.
    watch_s : float
        Seconds after the release in which it is checked.
    """

    limit: float = 0.05
    factor: float = 3.0
    least: float = 15.0
    checks: int = 3
    watch_s: float = 300.0


class ReleaseWatch:
    """The checks of one release.

    Parameters
    ----------
    service : str
    version : str
    at : float
        Unix seconds of the release.
    settings : RollbackSettings
    ask : callable
        The monitoring; see `Ask`.
    window_s : float
        Seconds over which a check counts requests.
    """

    def __init__(
        self, service: str, version: str, at: float, settings: RollbackSettings, ask: Ask,
        window_s: float,
    ) -> None:  # fmt: skip
        self.service, self.version, self.at = service, version, at
        self.settings, self._ask, self._window_s = settings, ask, window_s
        self.failed = 0
        self._before: float | None = None

    def check(self, now: float) -> str:
        """Check once; the reason for a rollback, or an empty string.

        Parameters
        ----------
        now : float
            Unix seconds.
        """
        seconds = min(now - self.at, self._window_s)
        if self._before is None:
            self._before = self._share(60.0, self.at)[0]
        share, requests = self._share(seconds, None)
        if not requests >= self.settings.least:
            return ""
        before = 0.0 if math.isnan(self._before) else self._before
        accepted = max(self.settings.limit, self.settings.factor * before)
        self.failed = self.failed + 1 if share > accepted else 0
        if self.failed < self.settings.checks:
            return ""
        return (
            f"{share:.1%} of {requests:.0f} requests failed, {accepted:.1%} is accepted, "
            f"in {self.failed} checks in a row"
        )

    def over(self, now: float) -> bool:
        """Whether the release has stood its time."""
        return now - self.at > self.settings.watch_s

    def _share(self, seconds: float, at: float | None) -> tuple[float, float]:
        """Share of failed requests and their number within some seconds."""
        span = f"{max(round(seconds), 1)}s"
        every = f'sum(rate(shop_requests_total{{service="{self.service}"}}[{span}]))'
        bad = f'sum(rate(shop_requests_total{{service="{self.service}",code=~"5.."}}[{span}]))'
        rate = self._ask(every, at)
        return (self._ask(bad, at) / rate if rate > 0 else float("nan")), rate * seconds


class AutoRollback:
    """Watches all releases in a thread and orders rollbacks.

    Parameters
    ----------
    ask : callable
        See `Ask`.
    roll_back : callable
        Told service, version and reason; may raise ValueError if it is too late.
    interval : float
        Seconds between checks.
    """

    def __init__(
        self, ask: Ask, roll_back: Callable[[str, str, str], object], interval: float
    ) -> None:
        self._ask, self._roll_back, self._interval = ask, roll_back, interval
        self._lock = threading.Lock()
        self._settings: RollbackSettings | None = None
        self._watched: dict[str, ReleaseWatch] = {}
        self._thread: threading.Thread | None = None

    def switch(self, settings: RollbackSettings | None) -> None:
        """Watch the releases from now on, or none (None)."""
        with self._lock:
            self._settings = settings
            self._watched = {}
            if settings and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rollback", daemon=True)
                self._thread.start()

    @property
    def on(self) -> bool:
        """Whether releases are watched."""
        return self._settings is not None

    def released(self, service: str, version: str) -> None:
        """Watch a release that has just been made; it takes the place of an earlier one."""
        with self._lock:
            if self._settings is not None:
                self._watched[service] = ReleaseWatch(
                    service, version, time.time(), self._settings, self._ask,
                    max(15.0, 5 * self._interval),
                )  # fmt: skip

    def forget(self, service: str) -> None:
        """Watch the service's release no longer."""
        with self._lock:
            self._watched.pop(service, None)

    def _run(self) -> None:
        while True:
            time.sleep(self._interval)
            with self._lock:
                watched = list(self._watched.values())
            for watch in watched:
                now = time.time()
                try:
                    why = watch.check(now)
                    if why:
                        self._roll_back(watch.service, watch.version, why)
                except (OSError, ValueError):
                    continue  # the monitoring is away, or the release is: the next turn sees
                if why or watch.over(now):
                    self._end(watch)

    def _end(self, watch: ReleaseWatch) -> None:
        with self._lock:
            if self._watched.get(watch.service) is watch:
                del self._watched[watch.service]


def prometheus(port: Callable[[], int]) -> Ask:
    """The instant queries of a Prometheus on this machine.

    Parameters
    ----------
    port : callable
        Returns where it listens now.
    """

    def ask(expression: str, at: float | None) -> float:
        given = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        address = f"http://127.0.0.1:{port()}/api/v1/query?{urllib.parse.urlencode(given)}"
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as response:
            result = json.loads(response.read())["data"]["result"]
        return float(result[0]["value"][1]) if result else float("nan")

    return ask

"""What was recorded in a scenario, as an operator would see it: never the truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from course.shop.alerts import legacy_alerts
from course.shop.changes import change_log
from course.shop.scenario import Deploy, Scenario
from course.shop.topology import METRICS, SERVICES, TOPOLOGY

_COLUMNS = pd.MultiIndex.from_product([SERVICES, METRICS], names=["service", "metric"])


@dataclass(frozen=True, eq=False)
class Recording:
    """Telemetry of one scenario.

    Attributes
    ----------
    scenario : Scenario
        What was simulated. It names the faults: keep it away from what you test.
    metrics : pd.DataFrame
        One row a minute (UTC index "time"), columns (service, metric), float64.
    events : pd.DataFrame
        The change log: time, kind ("deploy", "config", "flag", "scale"), service, detail.
    alerts : pd.DataFrame
        The shop's old static-threshold alerts: start, end, service, metric, value, severity.
    """

    scenario: Scenario
    values: np.ndarray = field(repr=False)
    outputs: np.ndarray = field(repr=False)
    sigma: np.ndarray = field(repr=False)
    deploys: tuple[Deploy, ...] = field(repr=False, default=())

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """All metrics, wide."""
        flat = self.values.reshape(len(self.values), -1)
        return pd.DataFrame(flat, index=self.scenario.index, columns=_COLUMNS)

    def service(self, name: str) -> pd.DataFrame:
        """Metrics of one service: one row a minute, columns `METRICS`."""
        TOPOLOGY.service(name)
        values = self.values[:, TOPOLOGY.position[name]]
        return pd.DataFrame(values, index=self.scenario.index, columns=list(METRICS))

    def tidy(self) -> pd.DataFrame:
        """Metrics in long form: time, service, metric, value."""
        minutes, services, metrics = self.values.shape
        return pd.DataFrame(
            {
                "time": np.repeat(self.scenario.index, services * metrics),
                "service": np.tile(np.repeat(np.array(SERVICES), metrics), minutes),
                "metric": np.tile(np.array(METRICS), minutes * services),
                "value": self.values.ravel(),
            }
        )

    @cached_property
    def events(self) -> pd.DataFrame:
        """Change log, in order of time."""
        return change_log(self.scenario, self.deploys)

    @cached_property
    def alerts(self) -> pd.DataFrame:
        """Static-threshold alerts, in order of their start."""
        return legacy_alerts(self.metrics)

    def logs(
        self, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Log lines of the minutes from ``start`` up to, not including, ``end``.

        Made on demand: ask for minutes or hours, not for months. See `course.shop.logs`.
        """
        from course.shop.logs import log_lines

        return log_lines(self, *self._window(start, end))

    def traces(
        self, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """Spans of the traces kept in the minutes from ``start`` up to, not including, ``end``.

        Made on demand: ask for minutes or hours, not for months. See `course.shop.traces`.
        """
        from course.shop.traces import spans

        return spans(self, *self._window(start, end))

    def _window(self, start: pd.Timestamp | None, end: pd.Timestamp | None) -> tuple[int, int]:
        """First minute and the one after the last, from times; None is the scenario's own."""
        minutes = []
        for name, time, default in (("start", start, 0), ("end", end, self.scenario.minutes)):
            if time is None:
                minutes.append(default)
                continue
            time = pd.Timestamp(time)
            if time.tzinfo is None:
                raise ValueError(f"{name} is {time}, without a time zone; give UTC")
            minutes.append(int((time - self.scenario.start) // pd.Timedelta(minutes=1)))
        first, last = minutes
        if not 0 <= first < last <= self.scenario.minutes:
            raise ValueError(
                f"the window {start} .. {end} is empty or outside the recording "
                f"({self.scenario.start} .. {self.scenario.end})"
            )
        return first, last

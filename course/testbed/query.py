"""PromQL over HTTP: the same questions to Prometheus and to the embedded default."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import pandas as pd

from course.errors import CourseError
from course.telemetry.prometheus.series import format_series_name, make_labels

_TIMEOUT_S = 30.0
_MAX_POINTS = 10_000


class Monitoring:
    """What watches a run.

    Parameters
    ----------
    state : mapping
        Of the run, from `course.testbed.rundir.read_state`.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._prometheus, self._alertmanager = int(state["prometheus"]), int(state["alertmanager"])

    @property
    def name(self) -> str:
        """Which of the two answers: "Prometheus" with its version, or "embedded"."""
        version = _get(self._prometheus, "/api/v1/status/buildinfo")["data"]["version"]
        return "embedded" if version == "embedded" else f"Prometheus {version}"

    def instant(self, expression: str) -> pd.Series:
        """Evaluate an expression now.

        Returns
        -------
        Series
            One value for each series, by its name.
        """
        result = self._result("/api/v1/query", query=expression)
        return pd.Series(
            {_name(item["metric"]): float(item["value"][1]) for item in result}, dtype="float64"
        )

    def range(
        self, expression: str, start: pd.Timestamp, end: pd.Timestamp, step: float
    ) -> pd.DataFrame:
        """Evaluate an expression at times from ``start`` to ``end``, both included.

        Parameters
        ----------
        expression : str
            PromQL.
        start, end : Timestamp
            Time zone aware.
        step : float
            Seconds.

        Returns
        -------
        DataFrame
            UTC index "time", one column for each series; NaN where a series has no value.
        """
        index = pd.date_range(start, end, freq=pd.Timedelta(seconds=step), name="time")
        pieces = []
        for first in range(0, len(index), _MAX_POINTS):
            part = index[first : first + _MAX_POINTS]
            result = self._result(
                "/api/v1/query_range", query=expression, start=f"{part[0].timestamp():.3f}",
                end=f"{part[-1].timestamp():.3f}", step=f"{step:g}",
            )  # fmt: skip
            pieces.append(_frame(result, part))
        return pd.concat(pieces) if pieces else pd.DataFrame(index=index)

    def raw(self, selector: str, start: pd.Timestamp, end: pd.Timestamp) -> dict[str, pd.Series]:
        """The samples themselves, as they were scraped (Prometheus only)."""
        seconds = max(int((end - start).total_seconds()), 1)
        result = self._result(
            "/api/v1/query", query=f"{selector}[{seconds}s]", time=f"{end.timestamp():.3f}"
        )
        return {_name(item["metric"]): _series(item["values"]) for item in result}

    def alerts(self) -> pd.DataFrame:
        """Alerts that fire: alertname, service, role, cause, and state (active, suppressed)."""
        found = _get(self._alertmanager, "/api/v2/alerts")
        names = ["alertname", "service", "role", "cause"]
        rows = [
            [*(alert["labels"].get(name, "") for name in names), alert["status"]["state"]]
            for alert in found
        ]
        table = pd.DataFrame(rows, columns=[*names, "state"])
        return table.sort_values(names, ignore_index=True)

    def _result(self, path: str, **given: str) -> list[dict[str, Any]]:
        answer = _get(self._prometheus, f"{path}?{urllib.parse.urlencode(given)}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


def _get(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}{path}", timeout=_TIMEOUT_S
        ) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode("utf-8", "replace")
        with contextlib.suppress(ValueError):
            text = json.loads(text).get("error", text)
        raise CourseError(f"the query was refused: {text}") from None
    except OSError as error:
        raise CourseError(f"the testbed's monitoring does not answer: {error}") from None


def _name(metric: Mapping[str, str]) -> str:
    return format_series_name(make_labels(metric))


def _series(values: list[list[Any]]) -> pd.Series:
    times = pd.to_datetime([round(float(time) * 1000) for time, _ in values], unit="ms", utc=True)
    return pd.Series([float(value) for _, value in values], times)


def _frame(result: list[dict[str, Any]], index: pd.DatetimeIndex) -> pd.DataFrame:
    stamps = index.as_unit("ms")
    columns = {
        _name(item["metric"]): _series(item["values"]).reindex(stamps).to_numpy() for item in result
    }
    return pd.DataFrame(columns, index=index, dtype="float64")

"""The life of alerts: inactive, pending, firing, kept firing."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.rulefile import Rule
from course.telemetry.prometheus.series import Labels, format_series_name, make_labels
from course.telemetry.prometheus.vectors import Vector, drop_name


@dataclass(frozen=True)
class Alert:
    """One label set of one alerting rule over the evaluation times.

    Attributes
    ----------
    labels : dict of str
        Among them ``alertname``.
    firing, pending : ndarray of bool, shape (times,)
    active_at : ndarray of int64, shape (times,)
        When the present activity began, in milliseconds; 0 where inactive.
    """

    labels: dict[str, str]
    firing: np.ndarray
    pending: np.ndarray
    active_at: np.ndarray


def alerts_of(rule: Rule, vector: Vector, times: np.ndarray) -> list[Alert]:
    """The alerts that a rule raises from its expression's value.

    Raises
    ------
    EvaluationError
        If two series get the same labels at the same time.
    """
    alerts = []
    for labels, active in _labelled(rule, vector).items():
        firing, pending, active_at = life(active, times, rule.for_ms, rule.keep_firing_for_ms)
        alerts.append(Alert(dict(labels), firing, pending, active_at))
    return alerts


def _labelled(rule: Rule, vector: Vector) -> dict[Labels, np.ndarray]:
    """Where each alert's expression holds, by the alert's labels."""
    active: dict[Labels, np.ndarray] = {}
    for row, series in enumerate(vector.labels):
        for labels, there in _row_labels(rule, series, vector.values[row], vector.present[row]):
            before = active.setdefault(labels, np.zeros(there.size, bool))
            if (before & there).any():
                raise EvaluationError(
                    f"vector contains metrics with the same labelset after applying alert labels: "
                    f"{format_series_name(labels)}; keep a label that tells them apart"
                )
            active[labels] = before | there
    return active


def _row_labels(
    rule: Rule, series: Labels, values: np.ndarray, present: np.ndarray
) -> Iterable[tuple[Labels, np.ndarray]]:
    """The alert's labels for one series; several where a label shows the value."""
    if not present.any():
        return
    source = dict(series)
    if not any(template.uses_value for template in rule.templates.values()):
        yield _alert_labels(rule, series, source, 0.0), present
        return
    for value in np.unique(values[present]):
        same = np.isnan(values) if np.isnan(value) else values == value
        yield _alert_labels(rule, series, source, float(value)), present & same


def _alert_labels(rule: Rule, series: Labels, source: dict[str, str], value: float) -> Labels:
    pairs = dict(drop_name(series))
    for name, template in rule.templates.items():
        pairs[name] = template.expand(source, value)
    pairs["alertname"] = rule.name
    return make_labels(pairs)


def life(
    active: np.ndarray, times: np.ndarray, for_ms: int, keep_ms: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Firing, pending and since when, from where the expression holds.

    An alert fires once it has been active for `for_ms`; after the expression stops holding it
    stays on while less than `keep_ms` have passed since the first evaluation without it.

    Examples
    --------
    >>> active = np.array([True, True, True, False, False, False])
    >>> firing, pending, _ = life(active, np.arange(6) * 60_000, 60_000, 120_000)
    >>> firing.astype(int).tolist(), pending.astype(int).tolist()
    ([0, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0])
    """
    firing, pending = np.zeros(active.size, bool), np.zeros(active.size, bool)
    active_at = np.zeros(active.size, np.int64)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    since = 0
    following = np.append(starts, active.size)[1:]
    for start, stop, next_start in zip(starts, stops, following, strict=True):
        if start > 0 and firing[start - 1]:  # kept firing until the expression held again
            fires = start
        else:
            since = int(times[start])
            fires = min(np.searchsorted(times, since + for_ms), stop)
        kept = stop
        if fires < stop < active.size and keep_ms > 0:
            kept = min(np.searchsorted(times, times[stop] + keep_ms), next_start)
        pending[start:fires] = True
        firing[fires:kept] = True
        active_at[start:kept] = since
    return firing, pending, active_at


@dataclass(frozen=True)
class AlertHistory:
    """What the rules did over the evaluation times.

    Attributes
    ----------
    times : DatetimeIndex
        The evaluation times, UTC.
    alerts : list of Alert
        Every label set that was ever pending or firing.
    recorded : DataFrame
        What the recording rules recorded; one column per series, NaN where nothing was recorded.
    """

    times: pd.DatetimeIndex
    alerts: list[Alert]
    recorded: pd.DataFrame

    def firing(self, alertname: str | None = None, **labels: str) -> pd.Series:
        """Whether any alert of this name and these labels fires, at each evaluation time."""
        return self._any("firing", alertname, labels)

    def pending(self, alertname: str | None = None, **labels: str) -> pd.Series:
        """Whether any alert of this name and these labels is pending."""
        return self._any("pending", alertname, labels)

    def _any(self, state: str, alertname: str | None, labels: dict[str, str]) -> pd.Series:
        if alertname is not None:
            labels = {**labels, "alertname": alertname}
        flags = np.zeros(len(self.times), bool)
        for alert in self.alerts:
            if all(alert.labels.get(name, "") == value for name, value in labels.items()):
                flags |= getattr(alert, state)
        return pd.Series(flags, self.times, name=state)

    @property
    def intervals(self) -> pd.DataFrame:
        """One row per stretch of firing.

        Returns
        -------
        DataFrame
            Columns ``start`` and ``end``, the first and the last evaluation that fired, and one
            column per label (empty where an alert lacks it; a label called start or end becomes
            ``label_start`` or ``label_end``), by start.
        """
        rows = []
        for alert in self.alerts:
            padded = np.concatenate([[0], alert.firing.astype(np.int8), [0]])
            edges = np.flatnonzero(np.diff(padded))
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                named = {_column(name): value for name, value in alert.labels.items()}
                rows.append({"start": self.times[start], "end": self.times[stop - 1], **named})
        if not rows:
            stamps = pd.DatetimeIndex([], dtype=self.times.dtype)
            return pd.DataFrame(
                {"start": stamps, "end": stamps, "alertname": pd.Series([], dtype="str")}
            )
        table = pd.DataFrame(rows)
        names = sorted(set(table.columns) - {"start", "end", "alertname"})
        table = table[["start", "end", "alertname", *names]]
        table[names] = table[names].fillna("")
        return table.sort_values(["start", "alertname", *names], ignore_index=True)

    def firing_at(self, time: pd.Timestamp) -> list[dict[str, str]]:
        """Labels of the alerts that fire at an evaluation time."""
        position = self.times.get_loc(time)
        return [alert.labels for alert in self.alerts if alert.firing[position]]


def _column(label: str) -> str:
    return f"label_{label}" if label in ("start", "end") else label

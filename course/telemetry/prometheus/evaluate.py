"""Rules evaluated over series."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from course.telemetry.durations import format_duration
from course.telemetry.prometheus.alerts import Alert, AlertHistory, alerts_of
from course.telemetry.prometheus.engine import Engine
from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.expressions import Selector, selectors
from course.telemetry.prometheus.rulefile import Rule, RuleFile, RuleGroup
from course.telemetry.prometheus.series import (
    NONE,
    SAMPLE,
    STALE,
    Block,
    Storage,
    format_series_name,
    make_labels,
    read_series,
)
from course.telemetry.prometheus.vectors import Vector, merged

MAX_CELLS = 50_000_000


def evaluate(
    rules: RuleFile,
    series: pd.DataFrame | Mapping[str, pd.Series],
    *,
    interval: str = "1min",
    start: pd.Timestamp | str | None = None,
    end: pd.Timestamp | str | None = None,
    semantics: str = "3",
    missing: str = "gap",
    group_intervals: bool = True,
) -> AlertHistory:
    """Evaluate a rule file as Prometheus would have done while the series were scraped.

    Groups and rules run in the order of the file; a rule reads what earlier rules recorded at the
    same time. A sample counts for five minutes, and a series that has none is absent, never zero.

    Parameters
    ----------
    rules : RuleFile
    series : DataFrame or dict of Series
        UTC times down, one series a column (or key), named as in ``up{job="shop"}``.
    interval : str
        Evaluation interval, a pandas offset such as ``"1min"`` or ``"30s"`` (``"1m"`` too).
    start, end : Timestamp or str, optional
        First and last evaluation; by default the first and last time of the series.
    semantics : {"3", "2"}
        Prometheus 3 leaves out a sample exactly at the left end of a range, a subquery or the
        lookback, and Prometheus 2 includes it. rate() near a counter's zero differs as well.
    missing : {"gap", "stale"}
        What a NaN is: a scrape that is not there, or a staleness marker, which ends a series at
        once (a scrape that failed).
    group_intervals : bool
        Whether a group with an `interval` is evaluated only at its multiples from `start`;
        ``promtool test rules`` evaluates every group at the test's interval (False).

    Returns
    -------
    AlertHistory

    Raises
    ------
    EvaluationError
        Where Prometheus' rule would fail (duplicate series, many-to-many matching, limit), and
        where a rule reads what it or a later rule produces.
    ValueError
        If the series or the other arguments are not of this form.

    Examples
    --------
    >>> from course.telemetry.prometheus import load_rules
    >>> rules = load_rules('groups: [{name: g, rules: [{alert: High, expr: x > 1, for: 1m}]}]')
    >>> index = pd.date_range("2026-03-01", periods=5, freq="1min", tz="UTC")
    >>> history = evaluate(rules, {"x": pd.Series([0.0, 2, 2, 2, 0], index)})
    >>> history.firing("High").astype(int).tolist()
    [0, 0, 1, 1, 0]
    """
    if semantics not in ("2", "3"):
        raise ValueError(f'semantics must be "2" or "3", found {semantics!r}')
    storage = read_series(series, missing)
    step = _step(interval)
    times = _grid(storage, step, start, end)
    engine = Engine(storage, times, closed_left=semantics == "2", step_ms=step)
    waiting = list(rules.rules)
    alerts: list[Alert] = []
    recorded: list[tuple[Vector, np.ndarray]] = []
    for group in rules.groups:
        every = _every(group, step) if group_intervals else 1
        local = replace(engine, times=times[::every])
        for rule in group.rules:
            _refuse_later_output(rule, waiting)
            waiting.pop(0)
            try:
                vector = local.vector(rule.ast)
                if rule.is_alert:
                    raised = alerts_of(rule, vector, local.times)
                    _check_limit(group, sum((a.firing | a.pending for a in raised), start=0))
                    _store_alerts(storage, raised, local.times)
                    alerts += [_spread(alert, every, times.size) for alert in raised]
                else:
                    _check_limit(group, vector.present.sum(axis=0))
                    vector = _record(rule, vector, storage, local.times)
                    recorded.append((vector, local.times))
            except EvaluationError as error:
                raise EvaluationError(f"{rule.where}: {error}") from None
    index = _index(times)
    return AlertHistory(index, alerts, _recorded_frame(recorded, index))


def _step(interval: str) -> int:
    text = interval[:-1] + "min" if interval.endswith("m") else interval
    try:
        step = round(pd.Timedelta(text) / pd.Timedelta("1ms"))
    except ValueError:
        raise ValueError(f'interval must look like "1min" or "30s", found {interval!r}') from None
    if step <= 0:
        raise ValueError(f"interval must be longer than zero, found {interval!r}")
    return step


def _moment(value: pd.Timestamp | str, name: str) -> int:
    stamp = pd.Timestamp(value)
    if stamp.tzinfo is None:
        raise ValueError(f"{name} must have a time zone, such as 2026-03-01T00:00Z; found {value}")
    return int(stamp.tz_convert("UTC").tz_localize(None).as_unit("ms").asm8.astype("int64"))


def _grid(
    storage: Storage,
    step: int,
    start: pd.Timestamp | str | None,
    end: pd.Timestamp | str | None,
) -> np.ndarray:
    filled = [block.times for block in storage.blocks if block.times.size]
    if not filled and (start is None or end is None):
        raise ValueError("the series are empty; give start and end, or series with samples")
    first = min(t[0] for t in filled) if start is None else _moment(start, "start")
    last = max(t[-1] for t in filled) if end is None else _moment(end, "end")
    if last < first:
        raise ValueError("end lies before start")
    count = (int(last) - int(first)) // step + 1
    rows = max(1, sum(len(block.labels) for block in storage.blocks))
    if count * rows > MAX_CELLS:
        raise ValueError(
            f"{rows} series at {count} evaluation times are more than {MAX_CELLS} cells; "
            "evaluate a shorter stretch or fewer series"
        )
    return int(first) + step * np.arange(count)


def _every(group: RuleGroup, step: int) -> int:
    if group.interval_ms is None:
        return 1
    if group.interval_ms % step:
        raise EvaluationError(
            f"group {group.name!r}: interval {format_duration(group.interval_ms)} is no multiple "
            f"of the evaluation interval {format_duration(step)}; evaluate with a finer one"
        )
    return group.interval_ms // step


def _refuse_later_output(rule: Rule, waiting: list[Rule]) -> None:
    """A rule that reads its own or a later rule's output would see it one evaluation late."""
    for selector in selectors(rule.ast):
        for other in waiting:
            if _may_produce(other, selector):
                which = "itself" if other is rule else f"rule {other.name!r}, which comes later"
                raise EvaluationError(
                    f"{rule.where}: reads the output of {which}; a rule may read only what rules "
                    "before it produce: change the order"
                )


def _may_produce(rule: Rule, selector: Selector) -> bool:
    names = ["ALERTS", "ALERTS_FOR_STATE"] if rule.is_alert else [rule.name]
    if rule.is_alert:
        fixed = {
            name: template.expand({}, 0.0)
            for name, template in rule.templates.items()
            if all(isinstance(part, str) for part in template.parts)
        }
        fixed["alertname"] = rule.name
    else:
        fixed = dict(rule.labels)
    for name in names:
        known = {**fixed, "__name__": name}
        if all(m.name not in known or m.matches([known[m.name]])[0] for m in selector.matchers):
            return True
    return False


def _check_limit(group: RuleGroup, counts: np.ndarray | int) -> None:
    most = int(np.max(np.asarray(counts, int), initial=0))
    if group.limit > 0 and most > group.limit:
        raise EvaluationError(f"exceeded the group's limit of {group.limit} with {most} series")


def _record(rule: Rule, vector: Vector, storage: Storage, times: np.ndarray) -> Vector:
    labels = [
        make_labels({**dict(series), "__name__": rule.name, **rule.labels})
        for series in vector.labels
    ]
    vector = merged(labels, vector.values, vector.present)
    keep = np.any(vector.present, axis=1)
    labels = [series for series, kept in zip(vector.labels, keep, strict=True) if kept]
    vector = Vector(labels, vector.values[keep], vector.present[keep])
    for series in labels:
        if series in storage.known:
            raise EvaluationError(
                f"records {format_series_name(series)}, which is there already; change the name"
            )
    storage.add(Block(labels, times, vector.values, _kinds(vector.present)))
    return vector


def _kinds(present: np.ndarray) -> np.ndarray:
    """Samples, and a staleness marker where a series is gone at the next evaluation."""
    kinds = np.where(present, SAMPLE, NONE).astype(np.int8)
    kinds[:, 1:][present[:, :-1] & ~present[:, 1:]] = STALE
    return kinds


def _store_alerts(storage: Storage, alerts: list[Alert], times: np.ndarray) -> None:
    """The series that Prometheus writes for every active alert."""
    if not alerts:
        return
    for state in ("pending", "firing"):
        present = np.stack([getattr(alert, state) for alert in alerts])
        labels = [
            make_labels({**alert.labels, "__name__": "ALERTS", "alertstate": state})
            for alert in alerts
        ]
        storage.add(Block(labels, times, np.ones(present.shape), _kinds(present)))
    labels = [make_labels({**alert.labels, "__name__": "ALERTS_FOR_STATE"}) for alert in alerts]
    present = np.stack([alert.firing | alert.pending for alert in alerts])
    since = np.stack([alert.active_at // 1000 for alert in alerts]).astype(float)
    storage.add(Block(labels, times, since, _kinds(present)))


def _spread(alert: Alert, every: int, size: int) -> Alert:
    """An alert keeps its state between its group's evaluations."""
    if every == 1:
        return alert
    at = np.arange(size) // every
    return Alert(alert.labels, alert.firing[at], alert.pending[at], alert.active_at[at])


def _index(times: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(times.astype("datetime64[ms]"), tz="UTC", name="time")


def _recorded_frame(
    recorded: list[tuple[Vector, np.ndarray]], index: pd.DatetimeIndex
) -> pd.DataFrame:
    columns = {}
    for vector, times in recorded:
        for row, labels in enumerate(vector.labels):
            values = np.where(vector.present[row], vector.values[row], np.nan)
            columns[format_series_name(labels)] = pd.Series(values, _index(times)).reindex(index)
    return pd.DataFrame(columns, index)

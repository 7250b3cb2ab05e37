"""All three signals of a short window, thinly sampled and made at once: many incidents to rank.

`Recording.logs` and `Recording.traces` go minute by minute, so that windows that overlap agree.
Where nobody looks twice, a window of its own random stream is made some thirty times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import CALENDAR
from course.shop.effects import Effects
from course.shop.engine import OUTPUTS
from course.shop.faults import FAULTS, Strike
from course.shop.logs import draw_causes, next_towards
from course.shop.logtext import TEMPLATES, access_template, failure_template, warnings
from course.shop.requests import (
    OPTIONAL,
    calls_made,
    grow_trees,
    own_failure,
    pass_down,
    pass_up,
)
from course.shop.scenario import Deploy, Fault, Scenario, Surge
from course.shop.surges import SURGES
from course.shop.topology import SERVICES, TOPOLOGY
from course.shop.traces import OPERATIONS, hex_words
from course.shop.workload import demand, spread

if TYPE_CHECKING:
    from course.shop.recording import Recording

_SIZE = len(SERVICES)
_OWN, _BACKLOG, _RATE = (OUTPUTS.index(name) for name in ("own", "backlog", "rate"))
_NAMES = np.array(SERVICES, dtype=object)
_RELEASED = [s.name for s in TOPOLOGY.services if s.kind in ("edge", "app", "worker")]
_SEVERITY = (0.65, 1.0)
_MINUTES = 75  # of a drawn scenario
_RESTLESS = 1.0


@dataclass(frozen=True)
class Window:
    """Metrics, logs and spans of one stretch of time, as an operator would fetch them.

    Attributes
    ----------
    metrics : pd.DataFrame
        One row a minute (UTC index "time"), columns (service, metric).
    logs : pd.DataFrame
        time, service, level, message, trace_id, in order of time.
    spans : pd.DataFrame
        As `Recording.traces`: whole traces of a sample of the gateway's requests.
    """

    metrics: pd.DataFrame
    logs: pd.DataFrame
    spans: pd.DataFrame


@dataclass
class _Requests:
    """Columns of the sampled spans, as in `course.shop.requests.Spans`, with their minute."""

    minute: np.ndarray
    trace: np.ndarray
    parent: np.ndarray
    service: np.ndarray
    start: np.ndarray
    duration: np.ndarray
    failed: np.ndarray
    cause: np.ndarray
    trace_id: np.ndarray
    span_id: np.ndarray


def window(
    recording: Recording,
    start: pd.Timestamp,
    end: pd.Timestamp,
    *,
    trace_share: float = 0.0015,
    line_share: float = 0.1,
    line_limit: int = 12,
) -> Window:
    """Return what was seen from ``start`` up to, not including, ``end``.

    Parameters
    ----------
    recording : Recording
    start, end : pd.Timestamp
        Whole minutes within the recording.
    trace_share : float
        Share of the gateway's requests whose traces are kept.
    line_share : float
        Share of the lines on failed requests, and of those of kept traces on success, that is
        kept; warnings are all kept.
    line_limit : int
        Lines on failed requests that a service writes at most in a minute.

    Examples
    --------
    >>> from course.shop import Scenario, simulate
    >>> recording = simulate(Scenario("2026-03-10T02:00Z", minutes=60, seed=1))
    >>> seen = window(recording, recording.scenario.index[10], recording.scenario.index[30])
    >>> len(seen.metrics), list(seen.logs.columns)
    (20, ['time', 'service', 'level', 'message', 'trace_id'])
    """
    begin = recording.scenario.start
    first, last = (int((time - begin) // pd.Timedelta(minutes=1)) for time in (start, end))
    rng = seeds.stream(recording.scenario.seed, seeds.REQUESTS, first, last, 2)
    made = _requests(recording, first, last, trace_share, rng)
    return Window(
        recording.metrics.iloc[first:last],
        _logs(recording, first, last, made, line_share, line_limit, rng),
        _spans(recording.scenario.index[first], made),
    )


def _requests(
    recording: Recording, first: int, last: int, share: float, rng: np.random.Generator
) -> _Requests:
    outputs = recording.outputs[first:last]
    calls = calls_made(outputs)
    requests = np.rint(recording.values[first:last, 0, 0] * 60).astype(int)
    root_minute = np.repeat(np.arange(last - first), rng.binomial(requests, share))
    parent, service, trace = grow_trees(rng, root_minute, calls)
    minute = root_minute[trace]
    sigma = recording.sigma[first:last][minute, service]
    own = outputs[minute, _OWN, service]
    own = own * np.exp(sigma * rng.standard_normal(len(service)) - sigma**2 / 2)
    failing = -np.expm1(-own_failure(outputs))
    failed_here = rng.random(len(service)) < failing[minute, service]
    hidden = rng.random(len(service)) < OPTIONAL[service[parent], service]
    duration, failed, cause = pass_up(parent, service, own, failed_here, hidden)
    begins = rng.uniform(0, 60_000, len(root_minute)) + 60_000.0 * root_minute
    waiting = outputs[:, _BACKLOG] / np.maximum(outputs[:, _RATE], 1e-6) * 1000.0
    start = pass_down(parent, service, begins[trace], own, duration, waiting[minute, service])
    words = rng.integers(1, 2**63, size=(3, max(len(service), 1)), dtype=np.uint64)
    traces = hex_words(words[0, : len(root_minute)]) + hex_words(words[1, : len(root_minute)])
    return _Requests(minute, trace, parent, service, start, duration, failed, cause,
                     traces[trace], hex_words(words[2, : len(service)]))  # fmt: skip


def _spans(begin: pd.Timestamp, made: _Requests) -> pd.DataFrame:
    operations = np.array([OPERATIONS[name] for name in SERVICES], dtype=object)
    return pd.DataFrame(
        {
            "trace_id": made.trace_id,
            "span_id": made.span_id,
            "parent_span_id": np.where(made.parent >= 0, made.span_id[made.parent], ""),
            "service": _NAMES[made.service],
            "operation": operations[made.service],
            "start": begin + pd.to_timedelta(np.rint(made.start * 1000).astype("int64"), unit="us"),
            "duration_ms": np.round(made.duration, 3),
            "status": np.where(made.failed, "ERROR", "OK"),
        }
    )


def _logs(
    recording: Recording,
    first: int,
    last: int,
    made: _Requests,
    share: float,
    limit: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    rows: list[tuple[float, str, str, str, str]] = []  # ms, service, level, message, trace

    def write(at: float, place: int, name: str, trace: str, **parameters: float | str) -> None:
        template = TEMPLATES[name]
        text = template.fill(rng, **parameters)  # type: ignore[arg-type]
        rows.append((at, SERVICES[place], template.level, text, trace))

    end = np.minimum(made.start + made.duration, (made.minute + 1) * 60_000.0 - 1)
    for span in np.flatnonzero(~made.failed & (rng.random(len(made.failed)) < share)):
        place = int(made.service[span])
        name = access_template(TOPOLOGY.services[place].kind)
        write(end[span], place, name, made.trace_id[span], ms=made.duration[span])

    own = own_failure(recording.outputs[first:last])
    values = recording.values[first:last]
    errors = np.rint(values[..., 0] * 60 * values[..., 1]).astype(int)
    kept = np.minimum(rng.binomial(errors, share), limit)
    spans = np.flatnonzero(made.failed)
    group = made.minute[spans] * _SIZE + made.service[spans]
    order = np.argsort(group, kind="stable")
    spans = spans[order]
    bounds = np.searchsorted(group[order], np.arange((last - first) * _SIZE + 1))
    for minute in range(last - first):
        outputs = dict(zip(OUTPUTS, recording.outputs[first + minute], strict=True))
        begin = 60_000.0 * minute
        for failing in np.flatnonzero(kept[minute]):
            place = int(failing)
            at = minute * _SIZE + place
            here = spans[bounds[at] : bounds[at + 1]][: kept[minute, place]]
            alone = int(kept[minute, place]) - len(here)
            times = [*end[here], *(begin + rng.uniform(0, 60_000, alone))]
            words = rng.integers(1, 2**63, size=(2, max(alone, 1)), dtype=np.uint64)
            traces = [*made.trace_id[here], *(hex_words(words[0]) + hex_words(words[1]))[:alone]]
            causes = [*made.cause[here],
                      *draw_causes(rng, recording, first + minute, place, own[minute], alone)]  # fmt: skip
            for ms, trace, cause in zip(times, traces, causes, strict=True):
                name = failure_template(
                    recording.scenario, first + minute, place, int(cause), outputs
                )
                callee = SERVICES[next_towards(place, int(cause))]
                deadline = TOPOLOGY.services[place].deadline_ms
                write(ms, place, name, trace, ms=deadline, callee=callee)
        for place in range(_SIZE):
            for name, number in warnings(place, outputs):
                ms = float(begin + rng.uniform(0, 60_000))
                write(ms, place, name, "", ms=outputs["own"][place], number=number)
    starts = recording.scenario.index[first]
    changes = recording.events[recording.events["kind"].isin(["deploy", "config", "flag"])]
    for change in changes.itertuples():
        ms = (change.time - starts) / pd.Timedelta(milliseconds=1)
        if 0 <= ms < 60_000 * (last - first):
            rows.append((ms, change.service, "INFO", f"{change.kind} applied: {change.detail}", ""))
    rows.sort()
    table = pd.DataFrame(rows, columns=["time", "service", "level", "message", "trace_id"])
    micros = np.rint(table["time"].to_numpy(dtype=float) * 1000).astype("int64")
    table["time"] = starts + pd.to_timedelta(micros, unit="us")
    return table


@dataclass(frozen=True)
class DrawnWindow:
    """A scenario and the window of it that somebody looks at.

    Attributes
    ----------
    scenario : Scenario
        One fault or none; perhaps a surge or a harmless deploy. Some services are restless.
    start, since, end : pd.Timestamp
        The window is ``start <= time < end``. Before ``since`` nothing is broken; a fault begins
        in the first third of what comes after and lasts until the end.
    """

    scenario: Scenario
    start: pd.Timestamp
    since: pd.Timestamp
    end: pd.Timestamp


def draw_windows(per_kind: int, harmless: int, seed: int) -> list[DrawnWindow]:
    """Draw windows: of every kind of fault equally many, and some where nothing is wrong.

    Parameters
    ----------
    per_kind : int
        Windows for each kind of `FAULTS`.
    harmless : int
        Windows without a fault.
    seed : int
        Decides place, time, lengths, severity (0.65 to 1), company and order.

    Examples
    --------
    >>> drawn = draw_windows(1, 3, seed=5)
    >>> len(drawn), sum(not each.scenario.faults for each in drawn)
    (16, 3)
    """
    rng = seeds.stream(seed, seeds.DRAW, 2)
    kinds = [*np.repeat(np.array(list(FAULTS), dtype=object), per_kind), *[""] * harmless]
    return [_draw(rng, str(kinds[place])) for place in rng.permutation(len(kinds))]


def _draw(rng: np.random.Generator, kind: str) -> DrawnWindow:
    length = int(rng.integers(12, 25))
    quiet = int(rng.integers(24, 49))
    since = int(rng.integers(quiet, _MINUTES + 1 - length))
    latest = since + length // 3
    begin = CALENDAR[0] + pd.Timedelta(minutes=int(rng.integers(CALENDAR[1] * 1440)))
    faults: tuple[Fault, ...] = ()
    root = ""
    if kind:
        root = str(rng.choice(FAULTS[kind].services))
        onset = int(rng.integers(since, latest + 1))
        severity = round(float(rng.uniform(*_SEVERITY)), 3)
        faults = (Fault(kind, root, onset, _MINUTES - onset, severity),)
    surges: tuple[Surge, ...] = ()
    deploys: tuple[Deploy, ...] = ()
    company = rng.random()
    if company < 1 / 3:
        onset = int(rng.integers(since - 10, latest + 1))
        surge = str(rng.choice([name for name in SURGES if name != "holiday"]))
        size = round(float(rng.uniform(0.3, 1.0)), 3)
        surges = (Surge(surge, onset, _MINUTES - onset, size),)
    elif company < 2 / 3:
        released = str(rng.choice([name for name in _RELEASED if name != root]))
        onset = int(rng.integers(since, latest + 1))
        deploys = (Deploy(released, onset, f"v{rng.integers(100, 1000)}"),)
    own_seed = int(rng.integers(2**63))
    scenario = Scenario(begin, _MINUTES, own_seed, faults, surges, deploys, restless=_RESTLESS)
    times = [begin + pd.Timedelta(minutes=m) for m in (since - quiet, since, since + length)]
    return DrawnWindow(scenario, *times)


def acts_on(scenario: Scenario) -> frozenset[tuple[str, str, str]]:
    """Return the signals that the faults of a scenario act on: (kind, service, name).

    Kinds are "metric", "span" (names "duration" and "errors") and "log" (names are regular
    expressions of the message). They come from what a fault writes into `Effects` at the place
    where it strikes, not from what follows in other services. A cache stampede also acts on the
    requests of the store behind the cache; a noisy neighbour counts where it is worst.

    Examples
    --------
    >>> from course.shop import Fault
    >>> fault = Fault("memory_leak", "payment", start=10, minutes=20)
    >>> found = acts_on(Scenario("2026-03-10T02:00Z", minutes=60, seed=1, faults=(fault,)))
    >>> sorted(name for kind, service, name in found if kind == "metric")
    ['error_ratio', 'latency_p50_ms', 'latency_p99_ms', 'memory_utilization']
    """
    found: set[tuple[str, str, str]] = set()
    rate = spread(demand(scenario.start, scenario.minutes))
    for number, fault in enumerate(scenario.faults):
        calm, struck = Effects.neutral(rate), Effects.neutral(rate)
        root = TOPOLOGY.position[fault.service]
        rng = seeds.stream(scenario.seed, seeds.FAULT, number)
        strike = Strike(root, fault.start, fault.minutes, fault.severity, rng)
        FAULTS[fault.kind].apply(struck, strike)
        for field, signals in _ACTS_ON.items():
            changed = (getattr(calm, field) != getattr(struck, field)).any(axis=0)
            for place in np.flatnonzero(changed):
                if place == root or field == "inject":
                    found |= {(kind, SERVICES[place], name) for kind, name in _named(signals)}
    return frozenset(found)


def is_hit(entry: Sequence[str], acted_on: Collection[tuple[str, str, str]]) -> bool:
    """Return whether an entry (kind, service, name) names one of the signals from `acts_on`.

    The name of a log entry is a message whose numbers are masked, by whatever mask.

    Examples
    --------
    >>> is_hit(("log", "search", "pool at # %"), {("log", "search", r"pool\\ at\\ .+\\ %")})
    True
    """
    kind, service, name = entry
    return any(
        (kind, service) == (signal, place)
        and (re.fullmatch(known, name) is not None if kind == "log" else name == known)
        for signal, place, known in acted_on
    )


def _named(signals: str) -> list[tuple[str, str]]:
    """Split "metric:name log:template ..." and write a log's template as a regular expression."""
    named = []
    for signal in signals.split():
        kind, name = signal.split(":")
        if kind == "log":
            fixed = re.split(r"\{\w+\}|\d+", TEMPLATES[name].text)
            name = ".+".join(re.escape(part) for part in fixed)
        named.append((kind, name))
    return named


_TIME = "metric:latency_p50_ms metric:latency_p99_ms span:duration log:slow log:slow_query "
_FAIL = "metric:error_ratio span:errors "
_BUSY = (_TIME + _FAIL + "metric:pool_utilization metric:queue_length log:pool log:backlog "
         "log:timeout log:refused log:no_connection ")  # fmt: skip
# What a fault writes into a field of `Effects` -> the service's own signals that it moves.
_ACTS_ON = {
    "work": _BUSY + "metric:cpu_utilization",
    "share": _BUSY,
    "hog": "metric:cpu_utilization",
    "pool": _BUSY,
    "delay": _TIME + "log:timeout",
    "tail": "metric:latency_p99_ms span:duration",
    "fail": _FAIL + "log:failed log:exception log:timeout log:reset log:bad_setting "
                    "log:provider_503",
    "leak": "metric:memory_utilization log:heap log:oom " + _TIME + _FAIL,
    "fill": "metric:disk_utilization log:disk log:no_space " + _FAIL,
    "inject": "metric:request_rate metric:cpu_utilization " + _BUSY,
    "eager": "metric:request_rate log:retrying",
}  # fmt: skip

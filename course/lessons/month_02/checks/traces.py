"""Span trees, and traces joined and sampled, on telemetry never seen before."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import Case, CheckFunction, Hidden, Student, tried
from course.shop import SERVICES, Fault, Recording, Scenario, simulate
from course.shop.otel import otel_logs, otel_points, otel_spans, otel_traces

_START, _END = "start_time_unix_nano", "end_time_unix_nano"
_TRACE_COLUMNS = ["trace_id", "span_id", "parent_span_id", "name", "kind", _START, _END,
                  "status_code", "service.name", "host.name", "server.address"]  # fmt: skip
_MINUTE_NS = 60_000_000_000
_DAY = pd.Timestamp("2026-01-05T00:00Z")

# ---------------------------------------------------------------- span trees

_TREE_PARTS = ("root", "start_ns", "self_ns", "critical_ns")
_TREE_POINTS = (1.0, 0.36, 0.08)  # by the number of wrong parts of a table
_TOLERANCE_NS = 1000


def _shop_minutes(rng: np.random.Generator, minutes: int) -> tuple[Recording, pd.DataFrame]:
    """A quarter of an hour of a day in which something fails, and the spans of its last minutes."""
    minute = 1440 * int(rng.integers(200)) + int(rng.integers(8 * 60, 21 * 60))
    start = _DAY + pd.Timedelta(minutes=minute)
    kind, place = [
        ("third_party_outage", "payment-provider"), ("bad_deploy", "payment"),
        ("network_loss", "inventory"), ("pool_exhaustion", "checkout"),
    ][int(rng.integers(4))]  # fmt: skip
    fault = Fault(kind, place, 2, 16, round(float(rng.uniform(0.6, 1.0)), 3))
    scenario = Scenario(start, minutes=18, seed=int(rng.integers(2**31)), faults=(fault,))
    recording = simulate(scenario)
    return recording, otel_spans(recording, start + pd.Timedelta(minutes=18 - minutes))


def _grown(rng: np.random.Generator) -> pd.DataFrame:
    """A trace that no shop has: children beside each other, after their parent, longer than it."""
    services = [str(name) for name in rng.choice(SERVICES, 6, replace=False)]
    begin = 1_770_000_000_000_000_000 + int(rng.integers(10**15))
    rows: list[list[Any]] = []

    def grow(parent: str, service: str, kind: str, low: int, high: int, depth: int) -> None:
        span = f"{len(rows):016x}"
        rows.append([span, parent, kind, service, low, high, ""])
        length = high - low
        if depth == 0 or length < 1000:
            return
        for _ in range(int(rng.integers(0, 4))):
            one, two = sorted(int(low + u * length) for u in rng.uniform(size=2))
            two = max(two, one + 1)
            other = services[int(rng.integers(6))]
            draw = rng.uniform()
            if draw < 0.3:  # work in the same process, some of it goes on after the parent's end
                late = length // 2 if rng.uniform() < 0.4 else 0
                grow(span, service, "INTERNAL", one, two + late, depth - 1)
            elif draw < 0.45:
                wait = int(rng.integers(1, 2 * length))
                grow(span, other, "CONSUMER", one + wait, two + wait, depth - 1)
            elif draw < 0.6:  # a call whose callee sends no spans, or one that does
                rows.append([f"{len(rows):016x}", span, "CLIENT", service, one, two, other])
                if rng.uniform() < 0.5 and two - one > 4:
                    quarter = (two - one) // 4
                    client = rows[-1][0]
                    grow(client, other, "SERVER", one + quarter, two - quarter, depth - 1)
            elif draw < 0.7:  # the caller gives up
                grow(span, other, "SERVER", one, one + length + int(rng.integers(1, length)), 1)
            else:
                grow(span, other, "SERVER", one, two, depth - 1)

    while len(rows) < 9 or len(rows) > 40:
        rows.clear()
        grow("", services[0], "SERVER", begin, begin + int(rng.integers(10**8, 10**9)), 4)
    table = pd.DataFrame(
        rows,
        columns=["span_id", "parent_span_id", "kind", "service.name", _START, _END,
                 "server.address"],
    )  # fmt: skip
    host = {name: f"host-{rng.integers(4)}" for name in services}
    return table.assign(
        trace_id=f"{rng.integers(2**62):032x}",
        name="work",
        status_code=np.where(rng.uniform(size=len(table)) < 0.25, "ERROR", "UNSET"),
        **{"host.name": table["service.name"].map(host)},
    )[_TRACE_COLUMNS]


def _damaged(rng: np.random.Generator, trace: pd.DataFrame, lost_root: bool) -> pd.DataFrame:
    """Wrong clocks on some hosts, lost spans and spans that came twice."""
    trace = trace.copy()
    length = int(trace[_END].max() - trace[_START].min())
    first = trace.loc[trace["parent_span_id"] == "", "host.name"].iloc[0]
    for host in trace["host.name"].unique():
        if host != first and rng.uniform() < 0.6:
            shift = int(rng.choice([-1, 1]) * rng.uniform(0.02, 1.6) * length)
            trace.loc[trace["host.name"] == host, [_START, _END]] += shift
    inner = trace.index[trace["parent_span_id"] != ""]
    lost = list(rng.choice(inner, max(1, len(inner) // 12), replace=False))
    if lost_root:
        lost += list(trace.index[trace["parent_span_id"] == ""])
    trace = trace.drop(index=lost)
    return pd.concat([trace, trace.sample(2, random_state=int(rng.integers(2**31)))])


def _shuffled(rng: np.random.Generator, table: pd.DataFrame) -> pd.DataFrame:
    """The rows in another order, under labels that are no positions."""
    table = table.sample(frac=1, random_state=int(rng.integers(2**31)))
    table.index = pd.Index(rng.choice(10**6, len(table), replace=False))
    return table


def _trace_tables(seed: int) -> list[list[pd.DataFrame]]:
    """Six tables of eight traces; the first with right clocks and all spans."""
    rng = np.random.default_rng(seed)
    _, spans = _shop_minutes(rng, 3)
    size = spans.groupby("trace_id")["span_id"].transform("size")
    large = spans[(size >= 9) & (size <= 40)]
    ids = rng.permutation(large["trace_id"].unique())
    tables = []
    for number in range(6):
        traces = [spans[spans["trace_id"] == one][_TRACE_COLUMNS] for one in ids[:3]]
        ids = ids[3:]
        traces += [_grown(rng) for _ in range(5)]
        if number:
            without_root = set(rng.choice(len(traces), 2, replace=False))
            traces = [_damaged(rng, one, place in without_root) for place, one in enumerate(traces)]
        tables.append([_shuffled(rng, traces[place]) for place in rng.permutation(len(traces))])
    return tables


def _judge_tree(spans: pd.DataFrame) -> dict[str, tuple[str, int, int, int]]:
    """Root, start, self time and time on the critical path of every span, as the text says."""
    record: dict[str, Any] = {row["span_id"]: row for row in spans.to_dict("records")}
    below: dict[str, list[str]] = {name: [] for name in record}
    for name, row in record.items():
        if row["parent_span_id"] in record:
            below[row["parent_span_id"]].append(name)
    roots = [name for name, row in record.items() if row["parent_span_id"] not in record]
    place: dict[str, tuple[int, int]] = {}
    top: dict[str, str] = {}

    def settle(name: str, root: str, begin: int) -> None:
        row = record[name]
        finish = begin + row[_END] - row[_START]
        place[name], top[name] = (begin, finish), root
        for child in below[name]:
            other = record[child]
            one, two = other[_START], other[_END]
            if other["host.name"] == row["host.name"]:
                target = one + begin - row[_START]
            elif other["kind"] == "CONSUMER":
                target = max(one, begin)
            elif two - one > finish - begin:
                target = one if begin <= one <= finish else begin
            elif begin <= one and two <= finish:
                target = one
            else:
                target = begin + (finish - begin - (two - one)) // 2
            settle(child, root, target)

    for root in roots:
        settle(root, root, record[root][_START])

    def waited(name: str, low: int, high: int) -> list[tuple[int, int, str]]:
        found = []
        for child in below[name]:
            if record[child]["kind"] != "CONSUMER":
                one, two = max(place[child][0], low), min(place[child][1], high)
                if one < two:
                    found.append((one, two, child))
        return found

    def alone(name: str) -> int:
        low, high = place[name]
        parts = waited(name, low, high)
        edges = sorted({low, high, *(t for part in parts for t in part[:2])})
        return sum(
            right - left
            for left, right in pairwise(edges)
            if not any(one <= left and right <= two for one, two, _ in parts)
        )

    spent = dict.fromkeys(record, 0)

    def walk(name: str, low: int, high: int) -> None:
        now = high
        while True:
            before = [part for part in waited(name, low, high) if part[1] <= now]
            if not before:
                break
            last = max(two for _, two, _ in before)
            one, two, child = min(part for part in before if part[1] == last)
            spent[name] += now - two
            walk(child, one, two)
            now = one
        spent[name] += now - low

    given = [name for name in roots if record[name]["parent_span_id"] == ""]
    main = given[0] if given else min(roots, key=lambda name: (record[name][_START], name))
    walk(main, *place[main])
    return {name: (top[name], place[name][0], alone(name), spent[name]) for name in record}


def _judge_graph(spans: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    calls: Counter[tuple[str, str]] = Counter()
    errors: Counter[tuple[str, str]] = Counter()
    for _, trace in spans.groupby("trace_id"):
        record: dict[str, Any] = {row["span_id"]: row for row in trace.to_dict("records")}
        parents = {row["parent_span_id"] for row in record.values()}
        for name, row in record.items():
            pairs = []
            above = record.get(row["parent_span_id"])
            if above is not None and above["service.name"] != row["service.name"]:
                pairs.append((above["service.name"], row["service.name"]))
            if above is None and row["parent_span_id"] and row["kind"] in ("SERVER", "CONSUMER"):
                pairs.append(("unknown", row["service.name"]))
            if row["kind"] == "CLIENT" and row["server.address"] and name not in parents:
                pairs.append((row["service.name"], row["server.address"]))
            for pair in pairs:
                calls[pair] += 1
                errors[pair] += row["status_code"] == "ERROR"
    return {pair: (count, errors[pair]) for pair, count in calls.items()}


def _numbers(column: Any) -> np.ndarray | None:
    """A column as numbers, or None."""
    try:
        values = np.asarray(column)
        if values.dtype.kind in "iuf":
            return values
        return np.asarray([float(value) for value in values], dtype=float)
    except (TypeError, ValueError, OverflowError):
        return None


def _wrong_in_tree(answer: Any, expected: dict[str, tuple[str, int, int, int]]) -> set[str]:
    """The parts of one trace's answer that are wrong."""
    every = set(_TREE_PARTS)
    if not isinstance(answer, pd.DataFrame) or not {"span_id", *_TREE_PARTS} <= set(answer.columns):
        return every
    if not answer.columns.is_unique:
        return every
    ids = [str(name) for name in answer["span_id"]]
    if len(ids) != len(expected) or set(ids) != set(expected):
        return every
    wrong = set()
    if [str(root) for root in answer["root"]] != [expected[name][0] for name in ids]:
        wrong.add("root")
    for place, part in enumerate(_TREE_PARTS[1:], start=1):
        values = _numbers(answer[part])
        wanted = np.array([expected[name][place] for name in ids])
        if values is None or not np.all(np.isfinite(values)):
            wrong.add(part)
            continue
        near = (values >= wanted - _TOLERANCE_NS) & (values <= wanted + _TOLERANCE_NS)
        if not near.all():
            wrong.add(part)
    return wrong


def _graph_of(answer: Any) -> dict[tuple[str, str], tuple[float, float]] | None:
    columns = ["caller", "callee", "calls", "errors"]
    if not isinstance(answer, pd.DataFrame) or not set(columns) <= set(answer.columns):
        return None
    if not answer.columns.is_unique:
        return None
    calls, errors = _numbers(answer["calls"]), _numbers(answer["errors"])
    if calls is None or errors is None:
        return None
    pairs = [
        (str(one), str(two)) for one, two in zip(answer["caller"], answer["callee"], strict=True)
    ]
    if len(set(pairs)) != len(pairs):
        return None
    return dict(zip(pairs, zip(calls.tolist(), errors.tolist(), strict=True), strict=True))


def check_span_tree(student: Student, hidden: Hidden) -> list[Case]:
    """Six tables of traces."""
    seed = hidden.seed("span-tree")

    def make() -> list[tuple[list[pd.DataFrame], pd.DataFrame, list[dict], dict]]:
        made = []
        for number, traces in enumerate(_trace_tables(seed)):
            rng = np.random.default_rng(seed + number)
            together = _shuffled(rng, pd.concat(traces))
            trees = [_judge_tree(trace) for trace in traces]
            made.append((traces, together, trees, _judge_graph(together)))
        return made

    tables = hidden.cached("span-tree tables", make)
    return [
        tried(_tree_case, student, f"table {number + 1}", table)
        for number, table in enumerate(tables)
    ]


def _tree_case(
    student: Student,
    name: str,
    table: tuple[list[pd.DataFrame], pd.DataFrame, list[dict], dict],
) -> Case:
    traces, together, trees, graph = table
    answers = student.each("span_tree", [(trace,) for trace in traces], timeout=2)
    wrong: Counter[str] = Counter()
    for answer, expected in zip(answers, trees, strict=True):
        wrong.update(_wrong_in_tree(answer, expected))
    found = _graph_of(student.call("service_graph", together, timeout=2))
    parts = [f"{part} in {wrong[part]} of 8 traces" for part in _TREE_PARTS if wrong[part]]
    if found != graph:
        parts.append("the service graph")
    score = _TREE_POINTS[len(parts)] if len(parts) < len(_TREE_POINTS) else 0.0
    return Case(name, score, f"wrong or missing: {', '.join(parts)}" if parts else "")


# ---------------------------------------------------------------- joining and sampling

_WINDOWS = 3
_SEEDS = {"tight": 110, "normal": 12, "roomy": 2}  # samples a budget
_LIMIT = 4.0  # standard errors
_CLASSES = ("error", "slow", "ordinary")
_JOIN_KEYS = ("spans", "logs", "points", "origin")


_Evidence = tuple[list[pd.DataFrame], list[tuple[str, int, dict[str, Any]]]]


def _window(seed: int) -> tuple[_Evidence, _Window]:
    """Some minutes of the shop: the evidence to join, and the traces to sample."""
    rng = np.random.default_rng(seed)
    while True:
        recording, spans = _shop_minutes(rng, 4)
        traces = otel_traces(spans)
        if len(traces) < 480:
            continue
        window, evidence = _Window(rng, traces), _evidence(rng, recording, spans)
        if window.usable and evidence is not None:
            return evidence, window


def _evidence(
    rng: np.random.Generator, recording: Recording, spans: pd.DataFrame
) -> _Evidence | None:
    """Spans, logs and points, and traces of which the evidence is asked for; None if it can't be."""
    roots = spans[spans["parent_span_id"] == ""]
    bad = roots[(roots["http.route"] == "/checkout") & (roots["status_code"] == "ERROR")]
    if len(bad) < 3:
        return None
    logs = otel_logs(recording, recording.scenario.start + pd.Timedelta("14min"))
    one, two = map(str, rng.choice(bad["trace_id"].to_numpy(), 2, replace=False))
    spans, logs = _astride(rng, spans, logs, one)
    own = spans[spans["trace_id"] == one]
    points = otel_points(spans)
    # An exemplar that is exported late, in a minute that its trace does not touch.
    far = points[
        (points["time_unix_nano"] <= own[_START].min())
        | (points["start_time_unix_nano"] >= own[_END].max())
    ]
    if far.empty:
        return None
    points.loc[rng.choice(far.index), "exemplar.trace_id"] = one
    around = int(rng.integers(200, 3000))
    logs = pd.concat([_near(rng, logs, own, around), _unlabelled(rng, own, around)])
    spans = pd.concat([spans[spans["trace_id"].isin([one, two])], _others(rng, spans, own)])
    spans = _shuffled(rng, spans.drop_duplicates())
    logs, points = _shuffled(rng, logs), _shuffled(rng, points)
    missing = logs["trace_id"][~logs["trace_id"].isin(spans["trace_id"]) & (logs["trace_id"] != "")]
    asked = [one, two, str(rng.choice(missing.to_numpy()))]
    questions = [
        (trace, around, _judge_join(trace, spans, logs, points, around))
        for trace in map(str, rng.permutation(asked))
    ]
    return [spans, logs, points], questions


def _astride(
    rng: np.random.Generator, spans: pd.DataFrame, logs: pd.DataFrame, trace: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move one trace and its records so that it lies astride the end of a minute."""
    spans, logs = spans.copy(), logs.copy()
    own = spans["trace_id"] == trace
    root = spans[own & (spans["parent_span_id"] == "")].iloc[0]
    middle = root[_START] + int(rng.uniform(0.2, 0.8) * (root[_END] - root[_START]))
    begin = spans.loc[spans["parent_span_id"] == "", _START].min() // _MINUTE_NS
    shift = int((begin + int(rng.integers(1, 4))) * _MINUTE_NS - middle)
    spans.loc[own, [_START, _END]] += shift
    logs.loc[logs["trace_id"] == trace, "time_unix_nano"] += shift
    return spans, logs


def _near(
    rng: np.random.Generator, logs: pd.DataFrame, own: pd.DataFrame, around: int
) -> pd.DataFrame:
    """The records around a trace, thinned, and all of its own."""
    margin = (around + 4000) * 1_000_000
    near = logs["time_unix_nano"].between(own[_START].min() - margin, own[_END].max() + margin)
    mine = logs["trace_id"] == own["trace_id"].iloc[0]
    keep = rng.uniform(size=len(logs)) < 1500 / max(int(near.sum()), 1)
    return logs[(near & keep) | mine | (logs["trace_id"] == "")]


def _others(rng: np.random.Generator, spans: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Other traces; the spans of some carry ids that the trace in question has, too."""
    ids = rng.choice(spans["trace_id"].unique(), 60, replace=False)
    others = spans[spans["trace_id"].isin(ids) & ~spans["trace_id"].isin(own["trace_id"])].copy()
    failed = own.loc[own["status_code"] == "ERROR", "span_id"].to_numpy()
    chosen = rng.choice(others.index, min(40, len(others)), replace=False)
    others.loc[chosen, "parent_span_id"] = rng.choice(failed, len(chosen))
    others.loc[chosen, "status_code"] = "ERROR"
    return others


def _unlabelled(rng: np.random.Generator, own: pd.DataFrame, around: int) -> pd.DataFrame:
    """Records without a trace id: within and outside, at the very edges, of all services."""
    first = int(own[_START].min()) - around * 1_000_000
    last = int(own[_END].max()) + around * 1_000_000
    inside = sorted((set(own["service.name"]) | set(own["server.address"])) - {""})
    outside = sorted(set(SERVICES) - set(inside))
    times = [first, last, first - 1, last + 1]
    rows = [(time, str(rng.choice(inside))) for time in times]
    rows += [(int(t), str(rng.choice(inside))) for t in rng.uniform(first, last, 4)]
    addresses = [name for name in own["server.address"].unique() if name]
    rows += [(int(t), str(rng.choice(addresses))) for t in rng.uniform(first, last, 3)]
    rows += [(int(t), str(rng.choice(outside))) for t in rng.uniform(first, last, 3)]
    spread = 2_000_000_000
    rows += [(first - int(t), str(rng.choice(inside))) for t in rng.uniform(2, spread, 2)]
    rows += [(last + int(t), str(rng.choice(inside))) for t in rng.uniform(2, spread, 2)]
    return pd.DataFrame(rows, columns=["time_unix_nano", "service.name"]).assign(
        severity_number=13, severity_text="WARN", body="pool at 97 %", trace_id=""
    )


def _judge_join(
    trace: str, spans: pd.DataFrame, logs: pd.DataFrame, points: pd.DataFrame, around: int
) -> dict[str, Any]:
    own = [row for row in spans.to_dict("records") if row["trace_id"] == trace]
    own.sort(key=lambda row: (row[_START], row["span_id"]))
    low = min((row[_START] for row in own), default=0) - around * 1_000_000
    high = max((row[_END] for row in own), default=0) + around * 1_000_000
    services = {row["service.name"] for row in own} | {row["server.address"] for row in own}
    lines = {
        label
        for label, name, service, time in zip(
            logs.index, logs["trace_id"], logs["service.name"], logs["time_unix_nano"], strict=True
        )
        if name == trace or (own and not name and service in services and low <= time <= high)
    }
    touched = set()
    for label, row in zip(points.index, points.to_dict("records"), strict=True):
        if row["exemplar.trace_id"] == trace or any(
            one["service.name"] == row["service.name"]
            and one[_START] < row["time_unix_nano"]
            and one[_END] > row["start_time_unix_nano"]
            for one in own
        ):
            touched.add(label)
    failed = {row["span_id"]: row for row in own if row["status_code"] == "ERROR"}
    above = {row["parent_span_id"] for row in failed.values()}
    leaves = [(row[_END], name) for name, row in failed.items() if name not in above]
    return {
        "spans": [row["span_id"] for row in own], "logs": lines, "points": touched,
        "origin": min(leaves)[1] if leaves else None,
    }  # fmt: skip


def _wrong_in_join(answer: Any, expected: dict[str, Any]) -> list[str]:
    if not isinstance(answer, dict):
        return list(_JOIN_KEYS)
    wrong = []
    for key in _JOIN_KEYS:
        found = answer.get(key)
        if isinstance(found, np.ndarray | pd.Index | pd.Series):
            found = found.tolist()
        if key in ("logs", "points"):
            right = (
                isinstance(found, list)
                and all(isinstance(label, int) for label in found)
                and len(found) == len(set(found))
                and set(found) == expected[key]
            )
        elif key == "spans":
            right = isinstance(found, list) and found == expected[key]
        else:
            right = type(found) is type(expected[key]) and found == expected[key]
        if not right:
            wrong.append(key)
    return wrong


class _Window:
    """Traces of one window, the budgets that are tried on them, and what a sample must obey."""

    def __init__(self, rng: np.random.Generator, traces: pd.DataFrame) -> None:
        self.usable = any(self._draw(rng, traces) for _ in range(20))

    def _draw(self, rng: np.random.Generator, table: pd.DataFrame) -> bool:
        """Set traces, threshold and budgets; False where the window does not allow it."""
        table = table.sample(int(rng.integers(380, 480)), random_state=int(rng.integers(2**31)))
        table = table.sort_index().reset_index(drop=True)
        n = len(table)
        # Errors, as often as the incident has it, more of them on some routes and late.
        risk = pd.Series(rng.uniform(0.2, 3.0, 8))[pd.factorize(table["http.route"])[0] % 8]
        chance = risk.to_numpy() * (0.5 + np.arange(n) / n)
        new = rng.choice(n, int(rng.integers(50, 80)), replace=False, p=chance / chance.sum())
        table.loc[new, "status_code"] = "ERROR"
        in_error = (table["status_code"] == "ERROR").to_numpy()
        size = table["bytes"].to_numpy() * rng.uniform(0.7, 1.4, n) + 1500 * in_error
        # Attributes of many kilobytes on some traces, of any class.
        swollen = rng.uniform(size=n) < rng.uniform(0.08, 0.12)
        size[swollen] = size[swollen] + rng.uniform(60_000, 90_000, int(swollen.sum()))
        table["bytes"] = size.astype(int)
        fine = np.sort(table["duration_ms"].to_numpy()[~in_error])[::-1]
        self.slow_ms = float(fine[int(rng.integers(50, 80))])
        table["duration_ms"] = table["duration_ms"].round(6)
        self.traces = table
        self.slow_ms = round(self.slow_ms, 6)
        self.position = {name: place for place, name in enumerate(table["trace_id"])}
        self.size = table["bytes"].to_numpy()
        slow = ~in_error & (table["duration_ms"].to_numpy() >= self.slow_ms)
        self.members = dict(zip(_CLASSES, (in_error, slow, ~in_error & ~slow), strict=True))
        total = {name: int(self.size[rows].sum()) for name, rows in self.members.items()}
        bad = total["error"] + total["slow"]
        most = {name: self._largest(name, 3) for name in _CLASSES}
        tight = int(5 * max(most["slow"], most["ordinary"]) * rng.uniform(1.01, 1.06))
        enough = max(total["error"] / 0.6, bad / 0.8, bad + most["ordinary"])
        normal = int(enough * rng.uniform(1.01, 1.06)) + 5
        roomy = int(max(total["error"] / 0.6, bad / 0.8, sum(total.values())) * 1.02) + 5
        self.budgets = {"tight": tight, "normal": normal, "roomy": roomy}
        self.groups = self._groups()
        return (
            most["error"] < 0.6 * tight < 0.8 * total["error"]
            and 1.6 * tight // 5 < total["slow"]
            and normal - bad < 0.7 * total["ordinary"]
            and all(rows.sum() >= 30 for rows in self.members.values())
        )

    def _largest(self, name: str, number: int) -> int:
        return int(np.sort(self.size[self.members[name]])[::-1][:number].sum())

    def _groups(self) -> dict[str, dict[str, np.ndarray]]:
        """For each class groups of traces whose numbers are estimated."""
        order = np.arange(len(self.size))
        found: dict[str, dict[str, np.ndarray]] = {}
        for name, rows in self.members.items():
            size, length = self.size[rows], self.traces["duration_ms"].to_numpy()[rows]
            groups = {
                "large traces": rows & (self.size >= np.quantile(size, 0.9)),
                "small traces": rows & (self.size <= np.median(size)),
                "long traces": rows & (self.traces["duration_ms"] >= np.median(length)).to_numpy(),
                "early traces": rows & (order <= np.median(order[rows])),
                "all traces": rows,
            }
            for route in self.traces["http.route"].unique():
                on = rows & (self.traces["http.route"] == route).to_numpy()
                if on.sum() >= 0.15 * rows.sum():
                    groups[f"traces of {route}"] = on
            found[name] = groups
        return found

    def weights(self, answer: Any, budget: int) -> tuple[np.ndarray | None, str]:
        """The weight of every trace (0: not kept), or what is wrong with the answer."""
        kept = answer.get("kept") if isinstance(answer, dict) else None
        if not isinstance(kept, pd.DataFrame) or not {"trace_id", "weight"} <= set(kept.columns):
            return None, "return a dict with kept, a DataFrame with trace_id and weight"
        if not kept.columns.is_unique:
            return None, "kept has a column twice"
        values = _numbers(kept["weight"])
        places = [self.position.get(name) if isinstance(name, str) else None
                  for name in kept["trace_id"]]  # fmt: skip
        if values is None or None in places or len(set(places)) != len(places):
            return None, "kept must hold traces of the input, each once, with a number as weight"
        if not np.all(np.isfinite(values)) or np.any(values < 1 - 1e-9):
            return None, "a weight is 1 / probability: never below 1"
        weight = np.zeros(len(self.size))
        weight[np.array(places, dtype=int)] = values
        return weight, self._rules(weight, answer.get("dropped"), budget)

    def _rules(self, weight: np.ndarray, dropped: Any, budget: int) -> str:
        chosen = weight > 0
        left = budget
        reserved = {name: budget // 5 * int(self.members[name].any()) for name in _CLASSES[1:]}
        for name in _CLASSES:
            reserved.pop(name, 0)
            rows = self.members[name]
            allowance = left - sum(reserved.values())
            used = int(self.size[rows & chosen].sum())
            number, total = int((rows & chosen).sum()), int(rows.sum())
            if used > allowance:
                return f"{name}: more bytes than allowed"
            if self.size[rows].sum() <= allowance:
                if number < total or not np.allclose(weight[rows], 1, atol=1e-9):
                    return f"{name}: fits, so it must be kept whole with weight 1"
            elif number < int((np.sort(self.size[rows])[::-1].cumsum() <= allowance).sum()):
                return f"{name}: fewer traces than would fit, were they the largest"
            if not isinstance(dropped, dict) or not _is_count(dropped.get(name), total - number):
                return f"{name}: the number of dropped traces is wrong"
            left -= used
        return ""


def _is_count(found: Any, expected: int) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and found == expected


class _Means:
    """Are sums of weights right on average? By window, and over all of them."""

    def __init__(self) -> None:
        self.over: dict[str, list[float]] = {}
        self.worst = 0.0

    def judge(self, window: _Window, weights: np.ndarray) -> str:
        """Compare the mean sums of weights of one budget, [sample, trace], with true numbers."""
        for name, groups in window.groups.items():
            inside = weights[:, window.members[name]]
            kept = (inside > 0).sum(axis=1).mean()
            size = inside.shape[1]
            if kept == size:
                continue
            for group, rows in groups.items():
                true = int(rows.sum())
                sums = weights[:, rows].sum(axis=1)
                # A sum varies about as that of a random sample of this size; one that varies less
                # is judged as if it did, so that rare hits are no evidence.
                variance = max(float(sums.var(ddof=1)), true * size / max(kept, 1e-9))
                z = (sums.mean() - true) / np.sqrt(variance / len(sums))
                if not group.startswith("traces of"):
                    self.over.setdefault(f"{group}, {name}", []).append(z)
                    self.over.setdefault(group, []).append(z)
                self.worst = max(self.worst, abs(z))
                if not abs(z) < _LIMIT:
                    return (
                        f"biased: the mean sum of weights of {group} ({name}) is not their number"
                    )
        return ""

    def together(self) -> tuple[float, str]:
        """The largest mean over all windows in standard errors, and whose it is."""
        if not self.over:
            return 0.0, ""
        z = {group: abs(sum(values)) / np.sqrt(len(values)) for group, values in self.over.items()}
        worst = max(z, key=lambda group: z[group])
        return z[worst], worst


def check_join_and_sample(student: Student, hidden: Hidden) -> list[Case]:
    """Three windows of the shop: the evidence of three traces each, and samples of all traces."""
    seed = hidden.seed("join-and-sample")
    made = hidden.cached(
        "join-and-sample windows", lambda: [_window(seed + n) for n in range(_WINDOWS)]
    )
    joined = [
        tried(_join_case, student, f"evidence {n + 1}", *evidence, weight=2)
        for n, (evidence, _) in enumerate(made)
    ]
    means = _Means()
    rng = np.random.default_rng(seed)
    sampled = [
        tried(_sample_case, student, f"sample {n + 1}", one, means, rng, weight=2)
        for n, (_, one) in enumerate(made)
    ]
    far, group = means.together()
    if far > _LIMIT:
        message = f"biased over all windows: {group} are counted wrongly on average"
        sampled = [Case(case.name, 0.0, case.message or message, case.weight) for case in sampled]
    both = [
        Case(f"both {n + 1}", min(one.score, two.score), "", 1.0)
        for n, (one, two) in enumerate(zip(joined, sampled, strict=True))
    ]
    return [*joined, *sampled, *both]


def _join_case(
    student: Student, name: str, tables: list[pd.DataFrame], questions: list[tuple[str, int, dict]]
) -> Case:
    held = [student.hold(table) for table in tables]
    calls = [(trace, *held, around) for trace, around, _ in questions]
    answers = student.each("join_signals", calls, timeout=2)
    wrong: Counter[str] = Counter()
    for answer, (_, _, expected) in zip(answers, questions, strict=True):
        wrong.update(_wrong_in_join(answer, expected))
    message = ", ".join(f"{key} of {wrong[key]} traces" for key in _JOIN_KEYS if wrong[key])
    return Case(name, float(not wrong), f"wrong: {message}" if wrong else "")


def _sample_case(
    student: Student, name: str, window: _Window, means: _Means, rng: np.random.Generator
) -> Case:
    held = student.hold(window.traces)
    calls = [
        (held, window.budgets[kind], window.slow_ms, int(one))
        for kind, number in _SEEDS.items()
        for one in rng.integers(0, 2**31, number)
    ]
    calls.append(calls[0])  # once more: the same seed, the same answer
    answers = student.each("tail_sample", calls, timeout=1)
    place = 0
    for kind, number in _SEEDS.items():
        rows = []
        for answer in answers[place : place + number]:
            weight, wrong = window.weights(answer, window.budgets[kind])
            if weight is None or wrong:
                return Case(name, 0.0, f"{wrong} ({kind} budget)")
            rows.append(weight)
        place += number
        if wrong := means.judge(window, np.array(rows)):
            return Case(name, 0.0, f"{wrong} ({kind} budget)")
    first, again = (window.weights(one, window.budgets["tight"])[0] for one in answers[::place])
    if first is None or again is None or not np.allclose(again, first):
        return Case(name, 0.0, "the same seed must give the same answer")
    return _edge_cases(student, name, window)


def _edge_cases(student: Student, name: str, window: _Window) -> Case:
    """No slow traces, only good ones, none at all."""
    everything = window.traces
    for what, rows in [
        ("without slow traces", ~window.members["slow"]),
        ("without errors and slow traces", window.members["ordinary"]),
        ("without any trace", np.zeros(len(everything), dtype=bool)),
    ]:
        part = object.__new__(_Window)
        part.traces = everything[rows].reset_index(drop=True)
        part.position = {one: place for place, one in enumerate(part.traces["trace_id"])}
        part.size = part.traces["bytes"].to_numpy()
        part.members = {key: members[rows] for key, members in window.members.items()}
        budget = window.budgets["tight"]
        answer = student.call("tail_sample", part.traces, budget, window.slow_ms, 1, timeout=1)
        weight, wrong = part.weights(answer, budget)
        if weight is None or wrong:
            return Case(name, 0.0, f"{wrong} ({what})")
    return Case(name, 1.0)


CHECKS: dict[str, CheckFunction] = {
    "span-tree": check_span_tree,
    "join-and-sample": check_join_and_sample,
}

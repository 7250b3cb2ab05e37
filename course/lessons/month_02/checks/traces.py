"""Span trees, and traces joined and sampled, on telemetry never seen before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import Case, CheckFunction, Hidden, Student, tried
from course.shop import SERVICES, Fault, Scenario, simulate
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


def _shop_minutes(rng: np.random.Generator, minutes: int) -> tuple[Scenario, pd.DataFrame]:
    """A quarter of an hour in which payment fails or is slow, and spans of its last minutes."""
    start = _DAY + pd.Timedelta(minutes=int(rng.integers(200 * 1440)))
    kind, place = [
        ("third_party_outage", "payment-provider"), ("bad_deploy", "payment"),
        ("network_loss", "inventory"), ("pool_exhaustion", "checkout"),
    ][int(rng.integers(4))]  # fmt: skip
    fault = Fault(kind, place, 2, 16, round(float(rng.uniform(0.6, 1.0)), 3))
    scenario = Scenario(start, minutes=18, seed=int(rng.integers(2**31)), faults=(fault,))
    window = scenario.start + pd.Timedelta(minutes=18 - minutes), scenario.end
    return scenario, otel_spans(simulate(scenario), *window)


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
            traces = [
                _damaged(rng, one, place in without_root) for place, one in enumerate(traces)
            ]
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
            for left, right in zip(edges[:-1], edges[1:], strict=True)
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
        if values.dtype.kind == "u":
            values = values.astype(float)
        if not np.all(np.abs(values - wanted) <= _TOLERANCE_NS):
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


CHECKS: dict[str, CheckFunction] = {"span-tree": check_span_tree}

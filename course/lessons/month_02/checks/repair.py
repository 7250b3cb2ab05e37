"""Hidden check of telemetry repair: tables of the shop, damaged at random, and clean ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from course import shop
from course.lessons.checking import Case, CheckFunction, Hidden, Student, given, tried

_EPOCH = pd.Timestamp(0, tz="UTC")
_KINDS = ("clock", "zone", "rows", "zeros", "strays")
_SINGLE = ("wrong clock", "time zone", "duplicates and gaps", "zeros", "unusable rows")
_MIXED, _CLEAN = 8, 2
#: Points of the five, the eight and the two.
_POINTS = (3.0, 10.0, 2.0)
#: Of eight mixed tables, how many have a kind of damage: ignoring it costs most of the points.
_OFTEN = 6
_ENDS = ("count", "total", "number", "sum")
#: Errors of senseless stamps: no half hours, and late delivery leaves their rounding as it is.
_STRAYS = (790, 1_600, 22_300, 2_000_500, -1_010, -22_600, -2_001_000)
_SERVICES = ("checkout", "payment", "storefront", "cart", "search", "catalog", "account", "pricing")


@dataclass(frozen=True)
class _Case:
    name: str
    raw: pd.DataFrame
    impossible: dict[str, str]
    table: pd.DataFrame
    report: dict[str, Any]
    weight: float


def _clean(rng: np.random.Generator, source: shop.Recording) -> tuple[pd.DataFrame, dict[str, str]]:
    """Some hours of a service with zeros that are true, and the contract of its columns."""
    service = source.service(str(rng.choice(_SERVICES)))
    minutes = int(rng.integers(120, 300))
    first = int(rng.integers(len(service) - minutes))
    part = service.iloc[first : first + minutes]
    ask, fail, good, slow, cpu, mem, wait = (
        f"{word}_{rng.choice(_ENDS)}{int(rng.integers(10, 99))}"
        for word in ("ask", "fail", "good", "latency", "cpu", "memory", "wait")
    )
    requests = (60 * part["request_rate"]).round().clip(lower=20).to_numpy().copy()
    errors = rng.binomial(requests.astype(int), rng.uniform(0.003, 0.012)).astype(float)
    latency = part["latency_p50_ms"].to_numpy().copy()
    load = rng.uniform(0.0, 4.0) * (rng.uniform(size=minutes) < 0.3) * rng.integers(0, 3, minutes)
    # True zeros stand in the first third, a dead exporter in the others (see `_kill`).
    half = minutes // 6
    begin = int(rng.integers(2, half - 7))
    failing = slice(begin, begin + int(rng.integers(3, 9)))
    errors[failing] = requests[failing]
    ratio = np.round(1 - errors / requests, 6)
    begin = int(rng.integers(half + 4, 2 * half - 9))
    idle = slice(begin, begin + int(rng.integers(3, 9)))
    requests[idle] = errors[idle] = 0.0
    ratio[idle] = latency[idle] = np.nan
    table = pd.DataFrame(
        {
            ask: requests, fail: errors, good: ratio, slow: latency,
            cpu: part["cpu_utilization"].clip(lower=0.001).to_numpy(),
            mem: part["memory_utilization"].clip(lower=0.001).to_numpy(), wait: load,
        },
        index=part.index,
    )  # fmt: skip
    holes = rng.uniform(size=table.shape) < 0.004
    holes[:, :3] = False  # what serves as a witness stays whole, so that runs are as written
    table = table.mask(holes)
    contract = {
        ask: f"{fail} > 0 or {slow} > 0",
        fail: f"{good} > 0 and {good} < 1",
        good: f"{fail} < {ask}",
        slow: f"{slow} == 0",
        cpu: f"{cpu} < 0.0005",
        mem: f"{mem} == 0",
    }
    return table[list(rng.permutation(table.columns))], contract


def _kill(rng: np.random.Generator, table: pd.DataFrame, word: str) -> None:
    """Write 0 into a metric from some moment of the last two thirds on, for good or for a while."""
    metric = next(name for name in table.columns if name.startswith(f"{word}_"))
    minutes = len(table)
    begin = int(rng.integers(minutes // 3 + 1, minutes // 2))
    end = minutes if rng.uniform() < 0.4 else begin + int(rng.integers(15, minutes // 3))
    table.iloc[begin:end, table.columns.get_loc(metric)] = 0.0


def _make(
    rng: np.random.Generator, source: shop.Recording, name: str, kinds: set[str], weight: float
) -> _Case:
    table, contract = _clean(rng, source)
    if "zeros" in kinds:
        # One of three that witness for each other, and at times one that is never 0.
        _kill(rng, table, str(rng.choice(["ask", "fail", "good"])))
        if rng.uniform() < 0.5:
            _kill(rng, table, str(rng.choice(["memory", "cpu", "latency"])))
    n = len(table)
    sampled = (table.index - _EPOCH) // pd.Timedelta("1s") + rng.integers(-8, 9, n)
    delay = rng.integers(0, 6, n)
    late = rng.choice(n, max(4, int(n * rng.uniform(0.02, 0.07))), replace=False)
    delay[late] = rng.integers(70, 560, len(late))
    rows = table.reset_index(drop=True)
    rows.insert(0, "at", sampled.to_numpy())
    rows.insert(0, "arrived", sampled.to_numpy() + delay)
    rows["skew"] = 0
    if "zone" in kinds:
        size = int(n * rng.uniform(0.15, 0.33))
        begin = int(rng.choice([0, n - size, int(rng.integers(1, n - size))]))
        halves = int(rng.integers(2, 24)) * int(rng.choice([-1, 1]))
        rows.loc[begin : begin + size - 1, "skew"] = 1800 * halves
    if "strays" in kinds:
        stray = rng.choice(n, max(3, int(n * rng.uniform(0.015, 0.03))), replace=False)
        rows.loc[stray, "skew"] += rng.choice(_STRAYS, len(stray))
    if "rows" in kinds:
        rows = _resend_and_lose(rng, rows)
    if "clock" in kinds:
        size = int(10 ** rng.uniform(2.7, 8.4)) * int(rng.choice([-1, 1]))
        rows["skew"] += size
    rows["timestamp"] = (rows["at"] + rows["skew"]).astype("int64")
    if rng.uniform() < 0.3:
        rows["timestamp"] = 1000 * rows["timestamp"] + rng.integers(0, 400, len(rows))
    rows["received"] = pd.to_datetime(rows["arrived"], unit="s", utc=True).dt.strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    raw = rows.drop(columns=["at", "arrived", "skew"]).sample(
        frac=1, random_state=int(rng.integers(2**31))
    )
    raw = raw[list(rng.permutation(raw.columns))]
    raw.index = pd.Index(rng.permutation(len(raw)))
    fixed, report = _repaired(raw, contract)
    if not _tells(kinds, fixed, report, n):
        return _make(rng, source, name, kinds, weight)
    return _Case(name, raw, contract, fixed, report, weight)


def _tells(kinds: set[str], table: pd.DataFrame, report: dict[str, Any], rows: int) -> bool:
    """Whether enough of each kind of damage was left by the others (rows are lost at random)."""
    true_zeros = any((table[metric] == 0).any() for metric in report["not_measured"])
    return (
        ("zone" in kinds) == (report["zone_rows"] > 0.13 * rows)
        and ("zeros" in kinds) == true_zeros
        and ("strays" in kinds) == (report["unusable"] >= 2)
    )


def _resend_and_lose(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    """Lose some rows; send others again, as they were or corrected."""
    n = len(rows)
    lost = set(rng.choice(n, int(rng.integers(1, 5)), replace=False).tolist())
    for _ in range(int(rng.integers(1, 4))):
        begin = int(rng.integers(n - 20))
        lost |= set(range(begin, begin + int(rng.integers(2, 16))))
    kept = rows.drop(index=sorted(lost))
    again = kept.sample(int(rng.integers(6, 16)), random_state=int(rng.integers(2**31))).copy()
    half = len(again) // 2
    corrected = again.index[half:]
    again.loc[corrected, "arrived"] = again.loc[corrected, "at"] + rng.integers(
        565, 600, len(corrected)
    )
    for word in ("cpu", "memory", "wait"):
        metric = next(name for name in rows.columns if name.startswith(f"{word}_"))
        again.loc[corrected, metric] += 0.25
    return pd.concat([kept, again])


def _repaired(raw: pd.DataFrame, impossible: dict[str, str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rules of the text, row by row."""
    metrics = [name for name in raw.columns if name not in ("received", "timestamp")]
    stamps = raw["timestamp"].to_numpy(float)
    unit = "ms" if stamps[0] > 1e11 else "s"
    stamps = stamps / 1000 if unit == "ms" else stamps
    arrived = ((pd.to_datetime(raw["received"], utc=True) - _EPOCH) / pd.Timedelta("1s")).to_numpy()
    ahead = stamps - arrived
    clock = float(np.median(ahead))
    clock = clock if abs(clock) > 60 else 0.0
    left = ahead - clock
    halves = np.rint(left / 1800) * 1800
    shifts, counts = np.unique(halves[halves != 0], return_counts=True)
    zone = float(shifts[counts.argmax()]) if len(counts) and counts.max() >= len(raw) / 10 else 0.0
    shifted = (halves == zone) & (zone != 0)
    left = np.where(shifted, left - zone, left)
    usable = (left >= -630) & (left <= 30)
    refuted = {name: raw.eval(condition).to_numpy(bool) for name, condition in impossible.items()}
    winner: dict[int, int] = {}
    for row in np.flatnonzero(usable):
        minute = round((arrived[row] + left[row]) / 60)
        if minute not in winner or arrived[row] >= arrived[winner[minute]]:
            winner[minute] = int(row)
    minutes = sorted(winner)
    places = [winner[minute] for minute in minutes]
    values = raw[metrics].to_numpy(float)[places]
    taken = {}
    for name, lies in refuted.items():
        column = values[:, metrics.index(name)]
        runs: list[list[int]] = [[]]
        for place, value in enumerate(column):
            if value == 0:
                runs[-1].append(place)
            elif not math.isnan(value):
                runs.append([])
        gone = [p for run in runs if any(lies[places[q]] for q in run) for p in run]
        column[gone] = np.nan
        if gone:
            taken[name] = len(gone)
    index = pd.to_datetime(60 * np.array(minutes), unit="s", utc=True)
    table = pd.DataFrame(values, index=index, columns=metrics).asfreq("1min")
    report = {
        "unit": unit, "clock_s": clock, "zone_s": zone, "zone_rows": int(shifted.sum()),
        "unusable": int((~usable).sum()), "duplicates": int(usable.sum()) - len(minutes),
        "lost": len(table) - len(minutes), "not_measured": taken,
    }  # fmt: skip
    return table, report


def _cases(seed: int) -> list[_Case]:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-01-05", tz="UTC") + pd.Timedelta(int(rng.integers(3600)), "h")
    source = shop.simulate(shop.Scenario(start, minutes=480, seed=int(rng.integers(2**31))))
    single, mixed, clean = (
        p / n for p, n in zip(_POINTS, (len(_KINDS), _MIXED, _CLEAN), strict=True)
    )
    cases = [
        _make(rng, source, f"one damage: {text}", {kind}, single)
        for kind, text in zip(_KINDS, _SINGLE, strict=True)
    ]
    present = {kind: rng.permutation(_MIXED) < _OFTEN for kind in _KINDS}
    for number in range(_MIXED):
        kinds = {kind for kind in _KINDS if present[kind][number]}
        cases.append(_make(rng, source, f"mixed damage {number + 1}", kinds, mixed))
    cases += [_make(rng, source, f"clean table {n + 1}", set(), clean) for n in range(_CLEAN)]
    return cases


def check_repair(student: Student, hidden: Hidden) -> list[Case]:
    """Five tables with one damage, eight mixed, two clean."""
    seed = hidden.seed("repair")
    cases = hidden.cached("repair", lambda: _cases(seed))
    judged = [tried(_judge, student, case.name, case, weight=case.weight) for case in cases]
    damaged = judged[:-_CLEAN]
    total = sum(case.weight for case in damaged)
    share = sum(case.score * case.weight for case in damaged) / total
    clean = [given(case, share, "the damaged tables are") for case in judged[-_CLEAN:]]
    return damaged + clean


def _judge(student: Student, name: str, case: _Case) -> Case:
    answer = student.call("repair", case.raw, dict(case.impossible), timeout=2)
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return Case(name, 0.0, "return two things: the table and the report")
    table, report = answer
    problem = _table_problem(case.table, table)
    wrong = _report_problems(case.report, report)
    right = 1 - len(wrong) / len(case.report)
    score = 0.1 * right if problem else 0.7 + 0.3 * right
    said = [problem] if problem else []
    if wrong:
        said.append(f"report: wrong or missing {', '.join(wrong)}")
    return Case(name, score, "; ".join(said))


def _table_problem(expected: pd.DataFrame, table: Any) -> str:
    """Say what is wrong with a table, or nothing."""
    if not isinstance(table, pd.DataFrame):
        return f"the first thing returned must be a DataFrame, not {type(table).__name__}"
    if set(table.columns) != set(expected.columns) or len(table.columns) != len(expected.columns):
        return "the table must have exactly the metrics of raw as columns"
    index = table.index
    if not isinstance(index, pd.DatetimeIndex) or str(index.tz) != "UTC":
        return "the table needs a DatetimeIndex in UTC"
    if len(index) != len(expected):
        return f"the table has {len(index)} minutes, expected {len(expected)}; see rules 1 to 4"
    if not (index == expected.index).all():
        return "right number of minutes, wrong times; see rules 1 to 4"
    ordered = table[list(expected.columns)]
    if not all(kind.kind == "f" for kind in ordered.dtypes):
        return "the metrics must be float columns"
    found = ordered.to_numpy(float, na_value=np.nan)
    wanted = expected.to_numpy(float)
    close = np.isclose(found, wanted, rtol=1e-9, atol=1e-9, equal_nan=True)
    if close.all():
        return ""
    filled = ~close & np.isnan(wanted)
    emptied = ~close & np.isnan(found)
    return (
        f"right minutes, but {(~close).sum()} values differ: {filled.sum()} should be NaN, "
        f"{emptied.sum()} should not; see rules 4 and 5"
    )


def _report_problems(expected: dict[str, Any], report: Any) -> list[str]:
    if not isinstance(report, dict):
        return list(expected)
    return [key for key, value in expected.items() if not _same(key, value, report.get(key))]


def _same(key: str, expected: Any, found: Any) -> bool:
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and set(found) == set(expected)
            and all(_same("", value, found[name]) for name, value in expected.items())
        )
    if isinstance(expected, str):
        return isinstance(found, str) and found == expected
    if isinstance(found, bool) or not isinstance(found, int | float):
        return False
    tolerance = 10.0 if key == "clock_s" else 0.0
    return math.isfinite(found) and abs(found - expected) <= tolerance


CHECKS: dict[str, CheckFunction] = {"repair": check_repair}

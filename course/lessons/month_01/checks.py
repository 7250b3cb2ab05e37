"""Hidden checks of month 1: what the student's functions do on data never seen before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import (
    Case,
    CheckFunction,
    Hidden,
    Student,
    StudentError,
    drive,
    given,
    ramp,
    tried,
)
from course.shop import SERVICES
from course.shop.duty import STEP, Duty, duty_days

_MINUTE = pd.Timedelta("1min")
#: Points by the number of wrong parts: one mistake costs more than half.
_PARTS = (1.0, 0.4, 0.1)


def _start(rng: np.random.Generator) -> pd.Timestamp:
    day = pd.Timestamp("2026-01-05", tz="UTC") + pd.Timedelta(days=int(rng.integers(200)))
    return day + int(rng.integers(1440)) * _MINUTE


def _share_of_parts(wrong: list[str], name: str) -> Case:
    """Score by the number of parts that are wrong, which the message names."""
    score = _PARTS[len(wrong)] if len(wrong) < len(_PARTS) else 0.0
    return Case(name, score, f"wrong or missing: {', '.join(wrong)}" if wrong else "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(found: Any, expected: float, tolerance: float) -> bool:
    if not _is_number(found):
        return False
    if math.isnan(expected) or math.isinf(expected):
        return math.isnan(found) if math.isnan(expected) else found == expected
    return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance)


def _compare(answer: Any, expected: dict[str, float], name: str, tolerance: float) -> Case:
    if not isinstance(answer, dict):
        return Case(name, 0.0, f"return a dict, not {type(answer).__name__}")
    wrong = [key for key, value in expected.items() if not _same(answer.get(key), value, tolerance)]
    return _share_of_parts(wrong, name)


def _mean(cases: list[Case]) -> float:
    return float(np.mean([case.score for case in cases]))


# ---------------------------------------------------------------- exercise 1

_SIGNALS = ("traffic", "error_ratio", "p50_ms", "p99_ms", "saturation")
_Requests = tuple[pd.DataFrame, dict[str, int], pd.Timestamp, pd.Timestamp]


def _requests(rng: np.random.Generator) -> _Requests:
    """Requests of some services over some minutes: replicas that differ, pauses, long requests."""
    start, minutes = _start(rng), int(rng.integers(12, 25))
    services = [str(name) for name in rng.choice(SERVICES, int(rng.integers(2, 5)), False)]
    rows = []
    for service in services:
        base, paused = rng.uniform(50, 400), rng.choice(minutes, 3, replace=False)
        for replica in range(1, int(rng.integers(3, 5))):
            slower, share = rng.uniform(1, 6), rng.uniform(0.2, 1.5)
            n = int(rng.poisson(25 * share * minutes))
            minute = rng.integers(-3, minutes + 2, n)
            kept = ~np.isin(minute, paused)
            duration = base * slower * np.exp(rng.normal(0, 0.7, n))
            long = rng.uniform(size=n) < 0.02
            duration[long] = rng.uniform(20_000, 200_000, long.sum())
            failed = rng.uniform(size=n) < rng.uniform(0.02, 0.3)
            duration[failed] *= 0.05
            status = np.where(
                failed, rng.choice([500, 502, 503], n), rng.choice([200, 201, 404], n)
            )
            seconds = 60 * minute + rng.uniform(0, 59.9, n).round(3)
            rows.append(
                pd.DataFrame(
                    {
                        "start": start + pd.to_timedelta(seconds, unit="s"),
                        "service": service, "replica": f"{service}-{replica}",
                        "duration_ms": duration.round(1), "status": status,
                    }
                )[kept]
            )  # fmt: skip
    table = pd.concat(rows)
    # One minute in which nothing succeeds, and a service that nobody asked for.
    table.loc[table["start"].between(start + 5 * _MINUTE, start + 6 * _MINUTE), "status"] = 503
    table = table.sample(frac=1, random_state=int(rng.integers(2**31))).reset_index(drop=True)
    workers = {name: int(rng.integers(8, 60)) for name in services[1:]}
    return table, workers, start, start + minutes * _MINUTE


def _signals(inputs: _Requests) -> dict[tuple[str, pd.Timestamp], list[float]]:
    """The golden signals, minute by minute, as the text says."""
    requests, workers, start, end = inputs
    found = {}
    for service, count in workers.items():
        own = requests[requests["service"] == service]
        begin = own["start"].to_numpy("datetime64[us]").astype("int64") / 1e6
        finish = begin + own["duration_ms"].to_numpy() / 1e3
        failed = own["status"].to_numpy() >= 500
        for minute in pd.date_range(start, end, freq="1min", inclusive="left"):
            low = minute.timestamp()
            here = (begin >= low) & (begin < low + 60)
            busy = np.clip(np.minimum(finish, low + 60) - np.maximum(begin, low), 0, None).sum()
            good = own["duration_ms"].to_numpy()[here & ~failed]
            p50, p99 = np.percentile(good, [50, 99]) if len(good) else (np.nan, np.nan)
            ratio = failed[here].mean() if here.any() else np.nan
            found[service, minute] = [here.sum() / 60, ratio, p50, p99, busy / (60 * count)]
    return found


def check_golden_signals(student: Student, hidden: Hidden) -> list[Case]:
    """Five tables of requests."""
    rng = np.random.default_rng(hidden.seed("golden-signals"))
    return [tried(_signals_case, student, f"table {n + 1}", _requests(rng)) for n in range(5)]


def _signals_case(student: Student, name: str, inputs: _Requests) -> Case:
    answer = student.call("golden_signals", *inputs, timeout=5)
    columns = {"service", "minute", *_SIGNALS}
    if not isinstance(answer, pd.DataFrame) or not columns <= set(answer.columns):
        return Case(name, 0.0, f"return a DataFrame with the columns {', '.join(sorted(columns))}")
    expected = _signals(inputs)
    try:
        keys = list(
            zip(
                answer["service"].astype(str), pd.to_datetime(answer["minute"], utc=True),
                strict=True,
            )
        )  # fmt: skip
    except (TypeError, ValueError):
        return Case(name, 0.0, "the column minute must hold times in UTC")
    if len(keys) != len(expected) or set(keys) != set(expected):
        return Case(name, 0.0, "there must be one row for each service of workers and each minute")
    wanted = np.array([expected[key] for key in keys])
    wrong = []
    for place, column in enumerate(_SIGNALS):
        try:
            values = answer[column].to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError):
            values = np.full(len(keys), np.inf)
        if not np.allclose(values, wanted[:, place], rtol=1e-6, atol=1e-8, equal_nan=True):
            wrong.append(column)
    return _share_of_parts(wrong, name)


# ---------------------------------------------------------------- exercise 2


def _incident_list(rng: np.random.Generator, kind: str) -> tuple[pd.DataFrame, pd.Timestamp]:
    """Incidents with long tails; whole minutes, so that several end at the same time."""
    now, n = _start(rng), int(rng.integers(15, 80))
    # Many began minutes ago: whoever takes what is open for long, or leaves it out, is wrong.
    age = np.round(np.exp(rng.uniform(np.log(2), np.log(rng.uniform(300, 900)), n)))
    detect = np.round(rng.lognormal(np.log(rng.uniform(5, 20)), 0.9, n))
    take = np.round(rng.lognormal(np.log(rng.uniform(4, 15)), 0.8, n))
    solve = np.round(rng.lognormal(np.log(rng.uniform(40, 120)), 1.1, n))
    if kind == "many still open":
        solve *= 20
    if kind == "closed incidents only":
        age += 20_000
    after = {"detected": detect, "acknowledged": detect + take, "resolved": detect + take + solve}
    began = now - pd.to_timedelta(age, unit="min")
    table = pd.DataFrame({"began": began})
    for column, minutes in after.items():
        table[column] = (began + pd.to_timedelta(minutes, unit="min")).where(minutes <= age)
    if kind == "wrong clocks":
        for column, shift in (("detected", -30), ("acknowledged", -400), ("resolved", 900)):
            rows = rng.choice(n, 5, replace=False)
            table.loc[rows, column] = table.loc[rows, column] + pd.Timedelta(shift, "min")
        rows = rng.choice(n, 3, replace=False)
        table.loc[rows, "began"] = now + pd.Timedelta("7min")
        table.loc[rows, ["detected", "acknowledged", "resolved"]] = pd.NaT
    if kind == "few detected":
        rows = rng.choice(n, int(0.4 * n), replace=False)
        table.loc[rows, ["detected", "acknowledged", "resolved"]] = pd.NaT
    return table, now


def _survival_median(begin: pd.Series, end: pd.Series, now: pd.Timestamp) -> float:
    spans = []
    for one, two in zip(begin, end, strict=True):
        if one is pd.NaT or one > now or (two is not pd.NaT and two < one):
            continue
        ended = two is not pd.NaT and two <= now
        spans.append((((two if ended else now) - one) / _MINUTE, ended))
    # Ends go before censorings at the same time.
    spans.sort(key=lambda span: (span[0], not span[1]))
    share, left = 1.0, len(spans)
    for minutes, ended in spans:
        share *= 1 - ended / left
        left -= 1
        if ended and share <= 0.5 + 1e-9:
            return float(minutes)
    return math.inf if spans else math.nan


def check_response_times(student: Student, hidden: Hidden) -> list[Case]:
    """Six lists of incidents, of kinds that need different care."""
    rng = np.random.default_rng(hidden.seed("response-times"))
    kinds = (
        "closed incidents only", "some still open", "many still open", "wrong clocks",
        "few detected", "wrong clocks",
    )  # fmt: skip
    cases = [
        tried(_times_case, student, f"list {n + 1}: {kind}", _incident_list(rng, kind))
        for n, kind in enumerate(kinds)
    ]
    # Where all are closed, whatever is done with open ones is right.
    return [given(cases[0], _mean(cases[1:]), "the other lists are"), *cases[1:]]


def _times_case(student: Student, name: str, inputs: tuple[pd.DataFrame, pd.Timestamp]) -> Case:
    table, now = inputs
    expected = {
        "ttd": _survival_median(table["began"], table["detected"], now),
        "tta": _survival_median(table["detected"], table["acknowledged"], now),
        "ttr": _survival_median(table["began"], table["resolved"], now),
    }
    return _compare(student.call("response_times", table, now, timeout=5), expected, name, 1e-6)


# ---------------------------------------------------------------- exercise 3


def _counts(rng: np.random.Generator) -> pd.DataFrame:
    """Two days of one service with a quiet night, an incident and hours that nobody counted."""
    index = pd.date_range(_start(rng), periods=2880, freq="min")
    load = np.exp(2.5 * np.sin(2 * np.pi * np.arange(2880) / 1440 + rng.uniform(0, 6)))
    total = rng.poisson(rng.uniform(2, 30) * load)
    ratio = np.full(2880, rng.uniform(0.002, 0.01))
    ratio[load < 0.3] *= rng.uniform(4, 9)
    for begin in (int(rng.integers(200, 2500)), int(rng.integers(2700, 2840))):
        ratio[begin : begin + int(rng.integers(30, 90))] = rng.uniform(0.1, 0.4)
    table = pd.DataFrame({"good": total - rng.binomial(total, ratio), "total": total}, index)
    gone = np.zeros(2880, dtype=bool)
    for begin in rng.integers(100, 2600, 3):
        gone[begin : begin + int(rng.integers(60, 200))] = True
    # One gap shortly before the end, so that the last window has one as well.
    gone[-int(rng.integers(12, 15)) : -4] = True
    return table[~gone]


def _burn(counts: pd.DataFrame, slo: float, window: str) -> np.ndarray:
    """Burn rates by sums between places of the index."""
    times = counts.index.as_unit("us").asi8
    first = np.searchsorted(times, times - pd.Timedelta(window).value // 1000, side="right")
    sums = np.vstack([np.zeros(2), np.cumsum(counts[["good", "total"]].to_numpy(float), axis=0)])
    good, total = (sums[1:] - sums[first]).T
    return np.where(total > 0, (total - good) / np.maximum(total, 1), 0.0) / (1 - slo)


def check_error_budget(student: Student, hidden: Hidden) -> list[Case]:
    """Four services for each function; what is fixed counts beside what is not."""
    rng = np.random.default_rng(hidden.seed("error-budget"))
    tables = [_counts(rng) for _ in range(4)]
    shares = [float(1 - t["good"].sum() / t["total"].sum()) for t in tables]
    # Some budget is left in all but the last.
    slos = [1 - share / rng.uniform(0.2, 0.9) for share in shares[:3]] + [1 - shares[3] / 1.4]
    # Without failures in the last hours nothing burns; nights without an event stay in.
    tables[2].iloc[-400:, 0] = tables[2].iloc[-400:, 1]
    tables[1].iloc[300:420] = 0
    windows = ["1h", f"{int(rng.integers(15, 50))}min", "3h", f"{int(rng.integers(2, 9))}h"]
    left = [
        tried(_left_case, student, f"budget_left {n + 1}", table, slo)
        for n, (table, slo) in enumerate(zip(tables, slos, strict=True))
    ]
    burn = [
        tried(_burn_case, student, f"burn_rate {n + 1} over {w}", table, slo, w)
        for n, (table, slo, w) in enumerate(zip(tables, slos, windows, strict=True))
    ]
    hours = [
        tried(_hours_case, student, f"hours_to_exhaustion {n + 1}", table, slo, w, period)
        for n, (table, slo, w, period) in enumerate(
            [
                (tables[0], slos[0], windows[0], "30D"),
                (tables[1], slos[1], windows[1], "28D"),
                (tables[2], slos[2], windows[2], "7D"),
                (tables[3], 1 - shares[3] / 1.4, windows[3], "30D"),
            ]
        )
    ]
    # What is right for a fixed answer, too, counts only beside what is not.
    hours[2:] = [given(case, _mean(hours[:2]), "the others are") for case in hours[2:]]
    return [
        replace(case, weight=weight / 4)
        for cases, weight in ((left, 3.0), (burn, 7.0), (hours, 5.0))
        for case in cases
    ]


def _left_case(student: Student, name: str, table: pd.DataFrame, slo: float) -> Case:
    found = student.call("budget_left", table, slo, timeout=5)
    right = _same(found, _left(table, slo), 1e-6)
    return Case(name, float(right), "" if right else f"{found!r:.60} is not the share that is left")


def _left(table: pd.DataFrame, slo: float) -> float:
    total = int(table["total"].sum())
    return 1 - (total - int(table["good"].sum())) / ((1 - slo) * total)


def _burn_case(student: Student, name: str, table: pd.DataFrame, slo: float, window: str) -> Case:
    found = student.call("burn_rate", table, slo, window, timeout=5)
    if not isinstance(found, pd.Series) or not found.index.equals(table.index):
        return Case(name, 0.0, "return a Series on the index of counts")
    values = pd.to_numeric(found, errors="coerce").to_numpy(dtype=float)
    close = np.isclose(values, _burn(table, slo, window), rtol=1e-6, atol=1e-9)
    message = "" if close.all() else f"{(~close).sum()} of {len(close)} rows are wrong"
    return Case(name, float(close.all()), message)


def _hours_case(
    student: Student, name: str, table: pd.DataFrame, slo: float, window: str, period: str
) -> Case:
    left, burn = _left(table, slo), float(_burn(table, slo, window)[-1])
    hours = left * (pd.Timedelta(period) / pd.Timedelta("1h")) / burn if burn > 0 else math.inf
    expected = 0.0 if left <= 0 else hours
    found = student.call("hours_to_exhaustion", table, slo, window, period, timeout=5)
    right = _same(found, expected, 1e-6)
    return Case(name, float(right), "" if right else f"{found!r:.60} is not right")


# ---------------------------------------------------------------- exercise 4

_Watch = tuple[pd.DataFrame, pd.DataFrame, pd.Timestamp, pd.Timestamp]


def _watch(rng: np.random.Generator, kind: str) -> _Watch:
    """Some days of pages and incidents: overlaps, empty shifts, names that contain each other."""
    start, shifts = _start(rng), int(rng.integers(6, 15))
    end = start + shifts * pd.Timedelta("12h")
    names = [*rng.choice(SERVICES, 5, replace=False), "cart", "cart-db", "carts"]
    length = shifts * 720
    begins = np.sort(rng.choice(np.arange(30, length - 200), 9, replace=False))
    begins[5] = begins[4] + int(rng.integers(2, 12))  # two at once
    incidents = pd.DataFrame(
        {
            "start": start + pd.to_timedelta(begins, unit="min"),
            "end": start + pd.to_timedelta(begins + rng.integers(40, 150, 9), unit="min"),
            "services": [" ".join(rng.choice(names, 3, replace=False)) for _ in range(9)],
        }
    )
    incidents.loc[5, "services"] = incidents.loc[4, "services"]
    # Incidents of cart-db or carts, during which cart, which is well, rings.
    alike = [0, 2, 7, 8]
    for place in alike:
        incidents.loc[place, "services"] = f"{names[0]} {names[1]} {rng.choice(names[6:])}"
    incidents = incidents.drop_duplicates("start")
    rows = []
    for place, incident in enumerate(incidents.itertuples(index=False)):
        for _ in range(int(rng.integers(0, 9)) if place != 5 else 3):
            minutes = rng.uniform(0, (incident.end - incident.start) / _MINUTE)
            time = incident.start + pd.Timedelta(round(minutes), "min")
            own = [*incident.services.split(), "cart-db", "carts", "cart"]
            rows.append((time, str(rng.choice(own))))
        rows.append((incident.end, incident.services.split()[0]))
        if place in alike:
            rows.append((incident.start + _MINUTE, "cart"))
    for minute in rng.integers(-900, length + 900, int(rng.integers(8, 25))):
        rows.append((start + pd.Timedelta(int(minute), "min"), str(rng.choice(names))))
    pages = pd.DataFrame(rows, columns=["time", "service"])
    actions = rng.choice(np.array(["", "asked", "restart", "rolled back"]), len(pages))
    pages["action"] = pd.Series(actions, dtype=object).where(rng.uniform(size=len(pages)) > 0.2)
    # A whole shift without a page, whatever else happens.
    quiet = start + int(rng.integers(shifts)) * pd.Timedelta("12h")
    pages = pages[~pages["time"].between(quiet, quiet + pd.Timedelta("11h59min"))]
    if kind == "no pages":
        pages = pages.iloc[:0]
    if kind == "no incidents":
        incidents = incidents.iloc[:0]
    order = rng.permutation(len(pages))
    return (
        pages.iloc[order].reset_index(drop=True),
        incidents.sample(frac=1, random_state=int(rng.integers(2**31))).reset_index(drop=True),
        start,
        end,
    )


def _telling_watch(rng: np.random.Generator, kind: str) -> _Watch:
    """A watch on which whole names, and the incident that began last, make a difference."""
    while True:
        watch = _watch(rng, kind)
        right = _audit(watch)
        mistaken = (_audit(watch, fragments=True), _audit(watch, choose=min))
        if kind != "ordinary" or all(
            sum(right[key] != other[key] for key in right) > 1 for other in mistaken
        ):
            return watch


def _audit(
    watch: _Watch, *, fragments: bool = False, choose: Callable[..., Any] = max
) -> dict[str, float]:
    pages, incidents, start, end = watch
    nan, owned, stray, acted = math.nan, dict[int, int](), 0, 0
    shifts = np.zeros(round((end - start) / pd.Timedelta("12h")))
    for time, service, action in pages[["time", "service", "action"]].itertuples(index=False):
        if not start <= time < end:
            continue
        shifts[int((time - start) // pd.Timedelta("12h"))] += 1
        acted += isinstance(action, str) and action != ""
        fits = [
            (incident.start, number)
            for number, incident in enumerate(incidents.itertuples(index=False))
            if incident.start <= time <= incident.end
            and service in (incident.services if fragments else incident.services.split(" "))
        ]
        if fits:
            owner = choose(fits)[1]
            owned[owner] = owned.get(owner, 0) + 1
        else:
            stray += 1
    n, hits = int(shifts.sum()), len(owned)
    return {
        "actionable": acted / n if n else nan,
        "pages_per_shift": float(shifts.mean()),
        "worst_shift": float(shifts.max()),
        "duplicates_per_incident": (sum(owned.values()) - hits) / hits if hits else nan,
        "precision": hits / (hits + stray) if hits + stray else nan,
        "recall": hits / len(incidents) if len(incidents) else nan,
    }


def check_audit_pages(student: Student, hidden: Hidden) -> list[Case]:
    """Six audits; without pages or incidents most numbers are fixed."""
    rng = np.random.default_rng(hidden.seed("audit-pages"))
    kinds = ("ordinary",) * 4 + ("no pages", "no incidents")
    cases = [
        tried(_audit_case, student, f"audit {n + 1}: {kind}", _telling_watch(rng, kind))
        for n, kind in enumerate(kinds)
    ]
    return [*cases[:4], *(given(case, _mean(cases[:4]), "the others are") for case in cases[4:])]


def _audit_case(student: Student, name: str, inputs: _Watch) -> Case:
    answer = student.call("audit_pages", *inputs, timeout=5)
    return _compare(answer, _audit(inputs), name, 1e-9)


# ---------------------------------------------------------------- exercise 5

_ORDER = ("no AI", "rule", "statistics", "unsupervised", "supervised", "causal")
_BOARD = dict(
    zip(
        "ABCDEFGHIJKL",
        (1, 2, 4, 5, 0, 3, 0, 4, 5, 1, 2, 0),
        strict=True,
    )
)


def _sheet(rng: np.random.Generator) -> dict[str, Any]:
    chosen = rng.permutation(_ORDER[1:])[: int(rng.integers(4, 6))]
    return {
        "cases": int(rng.integers(1, 30)), "gain": int(rng.integers(20, 900)),
        "false_cost": int(rng.integers(10, 120)), "labels": int(rng.choice([0, 12, 49, 50, 800])),
        "condition_known": bool(rng.uniform() < 0.5), "changes": int(rng.choice([0, 19, 20, 60])),
        "question": str(rng.choice(["what", "what", "why"])),
        "options": {
            str(name): {
                "recall": round(float(rng.uniform(0.5, 0.95)), 2),
                "false": int(rng.integers(0, 15)), "run": int(rng.integers(10, 700)),
            }
            for name in chosen
        },
    }  # fmt: skip


def _judge_sheet(sheet: dict[str, Any], margin: float = 0.9, rules: bool = True) -> dict[str, Any]:
    closed: dict[str, str] = {}
    worth = {"no AI": 0.0}
    for name, option in sheet["options"].items():
        barred = [
            ("why", sheet["question"] == "why" and name in _ORDER[2:5]),
            ("labels", name == "supervised" and sheet["labels"] < 50),
            ("condition", name == "rule" and not sheet["condition_known"]),
            ("changes", name == "causal" and sheet["changes"] < 20),
        ]
        reason = next((reason for reason, holds in barred if holds), "") if rules else ""
        if reason:
            closed[name] = reason
            continue
        worth[name] = (
            sheet["cases"] * sheet["gain"] * option["recall"]
            - sheet["false_cost"] * option["false"]
            - option["run"]
        )
    best = max(worth.values())
    enough = sorted((n for n in worth if worth[n] >= margin * best), key=_ORDER.index)
    choice = enough[0]
    others = {n: "simplicity" if n in enough else "value" for n in worth if n != choice}
    return {"approach": choice, "net": worth[choice], "rejected": closed | others}


def _sheets(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Twelve sheets: nine on which the margin and the rules decide, three that want no AI."""
    found: list[dict[str, Any]] = []
    wanted = [*_ORDER[1:5], *_ORDER[1:5], "rule"]
    while wanted:
        sheet = _sheet(rng)
        right = _judge_sheet(sheet)
        tempting = (
            _judge_sheet(sheet, rules=False)["approach"] != right["approach"]
            and _judge_sheet(sheet, margin=1.0)["approach"] != right["approach"]
        )
        clear = all(abs(_net(sheet, n) - 0.9 * _best(sheet)) > 0.01 for n in sheet["options"])
        if right["approach"] in wanted and tempting and clear:
            wanted.remove(right["approach"])
            found.append(sheet)
    while len(found) < 12:
        sheet = {**_sheet(rng), "cases": 1, "gain": int(rng.integers(5, 60))}
        open_without_rules = _judge_sheet(sheet, rules=False)["approach"]
        if _judge_sheet(sheet)["approach"] == "no AI" and open_without_rules != "no AI":
            found.append(sheet)
    return [found[place] for place in rng.permutation(12)]


def _net(sheet: dict[str, Any], name: str) -> float:
    option = sheet["options"][name]
    found = sheet["cases"] * sheet["gain"] * option["recall"]
    return float(found - sheet["false_cost"] * option["false"] - option["run"])


def _best(sheet: dict[str, Any]) -> float:
    return float(_judge_sheet(sheet, margin=1.0)["net"])


def check_triage(student: Student, hidden: Hidden) -> list[Case]:
    """Twelve unseen sheets, and the board."""
    rng = np.random.default_rng(hidden.seed("triage"))
    cases = [
        tried(_sheet_case, student, f"sheet {n + 1}", sheet, weight=0.75)
        for n, sheet in enumerate(_sheets(rng))
    ]
    return [*cases, tried(_board_case, student, "the board", weight=6.0)]


def _sheet_case(student: Student, name: str, sheet: dict[str, Any]) -> Case:
    answer, right = student.call("choose_approach", sheet, timeout=5), _judge_sheet(sheet)
    if not isinstance(answer, dict):
        return Case(name, 0.0, f"return a dict, not {type(answer).__name__}")
    if answer.get("approach") != right["approach"]:
        return Case(name, 0.0, f"the approach is not {answer.get('approach')!r:.40}")
    net = answer.get("net")
    if not _is_number(net) or not abs(net - right["net"]) <= 0.01:  # type: ignore[operator]
        return Case(name, 0.0, f"the approach is right, its net is not {net!r:.40}")
    if answer.get("rejected") != right["rejected"]:
        return Case(name, 1 / 3, "approach and net are right, not all reasons of the others")
    return Case(name, 1.0)


def _board_case(student: Student, name: str) -> Case:
    answer = student.call("triage_board", timeout=5)
    if not isinstance(answer, dict):
        return Case(name, 0.0, f"return a dict, not {type(answer).__name__}")
    right = sum(answer.get(letter) == _ORDER[place] for letter, place in _BOARD.items())
    blind = max(list(_BOARD.values()).count(place) for place in range(len(_ORDER)))
    message = "" if right == 12 else f"{right} of 12 are right"
    return Case(name, max(right - blind, 0) / (12 - blind), message)


# ---------------------------------------------------------------- exercise 6

_DAYS = 3
_FOOT, _TOP = 0.50, 0.65


def check_milestone(student: Student, hidden: Hidden) -> list[Case]:
    """Three days on duty in a closed loop, and twelve diagnoses."""
    seed = hidden.seed("milestone")
    days = tried(_duty_case, student, "three unseen days", hidden, seed, weight=21.0)
    looks = hidden.cached("milestone diagnoses", lambda: _looks(seed + 1))
    right = 0
    message = ""
    for observation, truth in looks:
        try:
            found = student.call("diagnose", observation, timeout=2)
        except StudentError as error:
            message = str(error)
            continue
        right += isinstance(found, list | tuple) and tuple(map(str, found)) == truth
    share = right / len(looks)
    message = message or ("" if share == 1 else f"{right} of {len(looks)} causes are right")
    causes = Case("diagnose", ramp(share, 0.5, 0.8), message, 4.0, share, 0.5, 0.8)
    return [days, causes]


def _duty_case(student: Student, name: str, hidden: Hidden, seed: int) -> Case:
    duty = hidden.cached("milestone days", lambda: Duty(duty_days(_DAYS, seed)))
    try:
        drive(student, "loop", duty, timeout=2)
    except ValueError as error:
        return Case(name, 0.0, f"the replay ended: {error}")
    accounts = duty.accounts
    untouched = sum(account.untouched for account in accounts)
    share = sum(account.saved for account in accounts) / untouched
    message = (
        f"of {untouched} minutes of violation {untouched - sum(a.violated for a in accounts)} were "
        f"saved, with {sum(a.right for a in accounts)} right and "
        f"{sum(a.false for a in accounts)} false actions: a share of {share:.2f}"
    )
    return Case(name, ramp(share, _FOOT, _TOP), message, 1.0, share, _FOOT, _TOP)


def _looks(seed: int) -> list[tuple[dict[str, Any], tuple[str, str]]]:
    """Observations after ten minutes in which users suffered from an incident, with its cause."""
    duty = Duty(duty_days(4, seed))
    seen, done = [duty.reset()], False
    while not done:
        observations, done = duty.step([None] * 4)
        seen.append(observations)
    found = []
    for day, scenario in enumerate(duty.days):
        hurt = duty.violated(day).to_numpy()
        for fault in scenario.faults:
            # The first ten minutes most of which hurt, or those that hurt most.
            slots = range(fault.start // STEP + 2, (fault.start + fault.minutes) // STEP)
            harm = [int(hurt[STEP * (k - 1) : STEP * (k + 1)].sum()) for k in slots]
            place = slots[int(np.argmax(np.minimum(harm, 8)))]
            found.append((seen[place][day], (fault.service, fault.kind)))
    return found


CHECKS: dict[str, CheckFunction] = {
    "golden-signals": check_golden_signals,
    "response-times": check_response_times,
    "error-budget": check_error_budget,
    "audit-pages": check_audit_pages,
    "triage": check_triage,
    "milestone": check_milestone,
}

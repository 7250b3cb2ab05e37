"""Hidden checks of month 5: rules, groups and pages on alerts never seen before."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from course import scoring
from course.lessons.checking import (
    Case,
    CheckFunction,
    Hidden,
    Student,
    StudentError,
    given,
    ramp,
    tried,
)
from course.shop.storms import Storm, alert_chances, call_graph, draw_alert_history, draw_storm
from course.telemetry import alertmanager, prometheus

_STEP = pd.Timedelta("2min")

# ---------------------------------------------------------------- exercise 1

_WINDOWS = (("page", 0.02, 1, "1h", "5m"), ("page", 0.05, 6, "6h", "30m"),
            ("ticket", 0.10, 72, "3d", "6h"))  # fmt: skip


# Three documents at a time are scored by the worst, so that no table of thresholds fits all. Each: candidate
# targets, days, the kind of counter, requests in two minutes, candidates for the least number of failures.
_MANY, _FEW = 60_000, 2
_GROUPS = (
    (((0.9, 0.92), 30, "bad", _MANY, (0,)), ((0.999, 0.9995), 90, "good", _MANY, (0,)),
     ((0.999, 0.9995), 30, "bad", _FEW, (4, 6))),
    (((0.9995, 0.9998), 7, "bad", _MANY, (0,)), ((0.995, 0.998), 28, "good", _MANY, (0,)),
     ((0.9996, 0.9998), 30, "good", _FEW, (4, 6))),
)  # fmt: skip


@dataclass(frozen=True)
class _Slo:
    """An SLO, counters, and when the right rules fire over each long window."""

    what: str
    labels: dict[str, str]
    document: str
    failures: int
    series: dict[str, pd.Series]
    firing: list[pd.Series]
    rules: int


def check_burn_rate(student: Student, hidden: Hidden) -> list[Case]:
    """Firing on unseen burns, next to rules made here."""
    groups = hidden.cached("burn-rate", lambda: _slos(hidden.seed("burn-rate")))
    cases = []
    for number, group in enumerate(groups):
        name = f"SLOs {3 * number + 1} to {3 * number + 3}"
        judged = [tried(_burns, student, name, slo) for slo in group]
        cases.append(min(judged, key=lambda case: case.score))
    return cases


def _slos(seed: int) -> list[list[_Slo]]:
    rng = np.random.default_rng(seed)
    return [[_slo(rng, *row) for row in group] for group in _GROUPS]


def _slo(
    rng: np.random.Generator, targets: tuple[float, ...], days: int, kind: str, traffic: int,
    least: tuple[int, ...],
) -> _Slo:  # fmt: skip
    target, failures = float(rng.choice(targets)), int(rng.choice(least))
    service, slo = f"svc{rng.integers(1000)}", f"slo-{rng.integers(1000)}"
    queries = {
        kind: f'{kind}_total{{service="{service}"}}',
        "total": f'all_total{{service="{service}"}}',
    }
    metric: dict[str, Any] = {
        key: {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}
        for key, query in queries.items()
    }
    document = json.dumps({
        "apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": slo},
        "spec": {"service": service, "budgetingMethod": "Occurrences",
                 "timeWindow": [{"duration": f"{days}d", "isRolling": True}],
                 "indicator": {"metadata": {"name": "errors"},
                               "spec": {"ratioMetric": {"counter": True, **metric}}},
                 "objectives": [{"target": target}]}})  # fmt: skip
    series = (_few if traffic == _FEW else _counters)(rng, service, kind, 1 - target, days, traffic)
    rules = prometheus.load_rules(_rules(queries, kind, target, days, service, slo, failures))
    labels = {"service": service, "slo": slo}
    what = f"SLO of {kind} events" + (" with little traffic" if traffic == _FEW else "")
    firing = _firing(prometheus.evaluate(rules, series, interval="2min"), labels)
    return _Slo(what, labels, document, failures, series, firing, len(rules.alerts))


def _firing(history: prometheus.AlertHistory, labels: dict[str, str]) -> list[pd.Series]:
    return [
        history.firing("BudgetBurn", severity=severity, window=window, **labels)
        for severity, *_, window, _ in _WINDOWS
    ]


def _burns(student: Student, name: str, slo: _Slo) -> Case:
    text = student.call("burn_rate_rules", slo.document, slo.failures, timeout=5)
    if not isinstance(text, str):
        return Case(name, 0.0, f"burn_rate_rules must return text, not {type(text).__name__}")
    try:
        rules = prometheus.load_rules(text)
        if len(rules.alerts) != len({a.expr for a in rules.alerts}) or len(rules.alerts) > 12:
            return Case(name, 0.0, "one rule per row of the table")
        found = prometheus.evaluate(rules, slo.series, interval="2min")
    except (prometheus.RuleFileError, prometheus.EvaluationError) as error:
        return Case(name, 0.0, f"{slo.what}: the rules can't be evaluated: {error}")
    stray = [a for a in found.alerts if a.firing.any() and (
        any(a.labels.get(key) != value for key, value in slo.labels.items())
        or set(a.labels) != {"alertname", "severity", "service", "slo", "window"})]  # fmt: skip
    if stray:
        return Case(
            name, 0.0, f"labels {stray[0].labels}: only alertname, severity, service, slo, window"
        )
    if len(rules.alerts) != slo.rules:
        return Case(name, 0.0, f"{len(rules.alerts)} rules, but {slo.rules} of them can ever fire")
    pairs = zip(slo.firing, _firing(found, slo.labels), strict=True)
    shares = [_agree(wanted, have) for wanted, have in pairs]
    score = float(np.prod(shares))
    return Case(name, score, "" if score == 1 else
                f"{slo.what}: agreement of the rules over 1 h {shares[0]:.0%}, 6 h {shares[1]:.0%}, 3 d "
                f"{shares[2]:.0%}: burn rates, both windows, sums over instances, least failures?")  # fmt: skip


def _rules(
    queries: dict[str, str], kind: str, target: float, days: int, service: str, slo: str,
    failures: int,
) -> str:  # fmt: skip
    rules = []
    for severity, share, hours, long, short in _WINDOWS:
        limit = share * days * 24 / hours * (1 - target)
        if limit >= 1:
            continue
        ratios = [f"sum(rate({queries[kind]}[{w}])) / sum(rate({queries['total']}[{w}]))"
                  for w in (long, short)]  # fmt: skip
        ratios = [f"(1 - {r})" if kind == "good" else f"({r})" for r in ratios]
        parts = [f"{r} > {limit:.12f}" for r in ratios]
        if failures:
            failed = f"sum(increase({queries[kind]}[{long}]))"
            if kind == "good":
                failed = f"(sum(increase({queries['total']}[{long}])) - {failed})"
            parts.append(f"{failed} >= {failures}")
        rules.append({"alert": "BudgetBurn", "expr": " and ".join(parts),
                      "labels": {"severity": severity, "service": service, "slo": slo, "window": long}})  # fmt: skip
    return json.dumps({"groups": [{"name": "g", "rules": rules}]})


def _index(rng: np.random.Generator) -> pd.DatetimeIndex:
    start = pd.Timestamp("2026-01-05T00:00Z") + pd.Timedelta(days=int(rng.integers(200)))
    return pd.date_range(start, periods=int(rng.integers(2592, 3024)), freq=_STEP)


def _counters(
    rng: np.random.Generator, service: str, kind: str, budget: float, days: int, traffic: int
) -> dict[str, pd.Series]:
    """Four days of two instances, one of which fails; short, long and slow burns at random times."""
    index = _index(rng)
    ratio = np.full(len(index), 0.1 * budget)
    scale = days / 30
    place = int(rng.integers(200, 350))
    for burn, length in rng.permutation(
        [
            (rng.uniform(30, 60), 40),
            (rng.uniform(9, 11), 150),
            (rng.uniform(40, 80), 2),
            (rng.uniform(3, 4.5), 420),
        ]
    ).tolist():
        stop = place + int(length * rng.uniform(0.9, 1.2))
        ratio[place:stop] = min(0.95, burn * budget * scale)
        place = stop + int(rng.integers(260, 420))
    return _series(rng, index, service, kind, ratio, traffic)


def _few(
    rng: np.random.Generator, service: str, kind: str, budget: float, days: int, traffic: int
) -> dict[str, pd.Series]:
    """Four days with a request a minute: outages of an hour or two, and failures all alone."""
    index = _index(rng)
    ratio = np.zeros(len(index))
    place = int(rng.integers(300, 500))
    while place < len(index) - 100:
        length = int(rng.integers(30, 60)) if rng.random() < 0.25 else 1
        ratio[place : place + length] = 0.8 if length > 1 else 0.95
        place += length + int(rng.integers(120, 330))
    return _series(rng, index, service, kind, ratio, traffic)


def _series(
    rng: np.random.Generator, index: pd.DatetimeIndex, service: str, kind: str, ratio: np.ndarray,
    traffic: int,
) -> dict[str, pd.Series]:  # fmt: skip
    series = {}
    for number, weight in enumerate((0.7, 0.3)):
        total = rng.poisson(traffic * weight, len(index))
        failing = np.minimum(ratio * (1.3 if number == 0 else 0.3), 0.99)
        bad = rng.binomial(total, failing)
        counted = total - bad if kind == "good" else bad
        for metric, values in ((f"{kind}_total", counted), ("all_total", total)):
            name = f'{metric}{{instance="{number}",service="{service}"}}'
            series[name] = pd.Series(values.cumsum().astype(float), index)
    return series


def _agree(wanted: pd.Series, found: pd.Series) -> float:
    """Precision and recall of episodes, times the shares with the right begin and end."""
    want, have = _episodes(wanted), _episodes(found)
    if not want:
        return float(not have)
    hits = [[b for b in have if b[0] <= a[1] and a[0] <= b[1]] for a in want]
    recall = np.mean([bool(h) for h in hits])
    precision = np.mean([any(b in h for h in hits) for b in have]) if have else 0.0
    begins = np.mean(
        [bool(h) and abs(h[0][0] - a[0]) <= 2 for a, h in zip(want, hits, strict=True)]
    )
    ends = np.mean([bool(h) and abs(h[-1][1] - a[1]) <= 2 for a, h in zip(want, hits, strict=True)])
    return float(precision * recall * begins * ends)


def _episodes(flags: pd.Series) -> list[tuple[int, int]]:
    """First and last place of each run of True; runs less than 20 minutes apart are one."""
    places = np.flatnonzero(flags.to_numpy())
    runs = np.split(places, np.flatnonzero(np.diff(places) > 10) + 1) if len(places) else []
    return [(int(run[0]), int(run[-1])) for run in runs]


# ---------------------------------------------------------------- exercise 2


def _dedupe(alerts: pd.DataFrame, hold: pd.Timedelta) -> list[tuple[Any, ...]]:
    running: dict[tuple[str, str, str], list[Any]] = {}
    done = []
    for row in alerts.sort_values(["start", "end"]).itertuples():
        key = (row.service, row.alertname, row.severity)
        if key in running and row.start <= running[key][1] + hold:
            running[key][1] = max(running[key][1], row.end)
            running[key][2] += 1
            continue
        if key in running:
            done.append((*key, *running[key]))
        running[key] = [row.start, row.end, 1]
    done += [(*key, *value) for key, value in running.items()]
    return sorted(done, key=lambda r: (r[3], r[:3]))


_HOLDS = (5, 30, 10, 20)  # two pairs: a hold by heart fails one of each


def check_dedupe(student: Student, hidden: Hidden) -> list[Case]:
    """Equality on storms in any order of rows."""
    rng = np.random.default_rng(hidden.seed("dedupe"))
    calls, names = [], []
    for number, minutes in enumerate(_HOLDS):
        alerts = draw_storm(int(rng.integers(2**60))).alerts
        # A long alert with a short one inside, and one at exactly the hold after it.
        first = alerts.iloc[[0, 0, 0]].copy()
        begin = alerts["end"].max() + pd.Timedelta("5h")
        first["start"] = [
            begin,
            begin + pd.Timedelta("5min"),
            begin + pd.Timedelta(minutes=40 + minutes),
        ]
        first["end"] = [begin + pd.Timedelta("40min"), begin + pd.Timedelta("6min"),
                        begin + pd.Timedelta(minutes=41 + minutes)]  # fmt: skip
        table = pd.concat([alerts, first]).sample(frac=1, random_state=int(rng.integers(2**31)))
        calls.append((table.reset_index(drop=True), pd.Timedelta(minutes=minutes)))
        names.append(f"storm {number + 1}")
    cases = []
    columns = ["service", "alertname", "severity", "start", "end", "count"]
    for name, (table, hold), found in zip(
        names, calls, student.each("dedupe", calls, timeout=5), strict=True
    ):
        if not isinstance(found, pd.DataFrame) or not set(columns) <= set(found.columns):
            cases.append(Case(name, 0.0, f"dedupe must return a frame with the columns {columns}"))
            continue
        wanted = _dedupe(table, hold)
        rows = list(found[columns].itertuples(index=False, name=None))
        message = (
            f"{len(rows)} notifications, expected {len(wanted)}, or other times, counts or order"
        )
        cases.append(Case(name, float(rows == wanted), "" if rows == wanted else message))
    if len(cases) < len(_HOLDS):
        return cases
    pairs = {"storms 1 and 2": cases[:2], "storms 3 and 4": cases[2:]}
    return [
        replace(min(pair, key=lambda case: case.score), name=name) for name, pair in pairs.items()
    ]


# ---------------------------------------------------------------- exercises 3 and 6


def _storms(hidden: Hidden, name: str) -> list[tuple[Storm, pd.DataFrame, pd.DataFrame]]:
    """Storm, alerts as a student sees them, call graph: every other one with names of its own."""

    def make() -> list[tuple[Storm, pd.DataFrame, pd.DataFrame]]:
        rng = np.random.default_rng(hidden.seed(name))
        made = []
        for number in range(10):
            storm, calls = draw_storm(int(rng.integers(2**60))), call_graph()
            alerts = storm.alerts
            if number % 2:
                known = sorted({*calls["caller"], *calls["callee"], *alerts["service"]})
                other = dict(
                    zip(known, [f"s{n}" for n in rng.permutation(len(known))], strict=True)
                )
                alerts = alerts.assign(service=alerts["service"].map(other))
                calls = calls.apply(lambda column, other=other: column.map(other))
                calls = calls.sample(frac=1, random_state=1).reset_index(drop=True)
            made.append((storm, alerts, calls))
        return made

    return hidden.cached(name, make)


def _whole(found: Any, length: int | None = None) -> bool:
    return (isinstance(found, list) and all(type(n) is int for n in found)
            and (length is None or len(found) == length))  # fmt: skip


# Incidents that nobody hears of, in ten storms, at which no points are left.
_FORGIVEN = 3
_RAND = (0.66, 0.76)  # foot and top of the mean adjusted Rand index


def check_correlate(student: Student, hidden: Hidden) -> list[Case]:
    """Adjusted Rand index and lost incidents over ten storms."""
    storms = _storms(hidden, "correlate")
    answers = student.each("correlate", [(a, c) for _, a, c in storms], timeout=10)
    rand, lost, total = [], 0, 0
    for (storm, alerts, _), found in zip(storms, answers, strict=True):
        if not _whole(found, len(alerts)):
            return [Case("storms", 0.0, "correlate must return a list of integers, one per alert")]
        rand.append(scoring.adjusted_rand(storm.incident, found))
        lost += len(scoring.lost_incidents(storm.incident, found))
        total += len(storm.incidents)
    mean = float(np.mean(rand))
    return _together([
        ("groups", mean, *_RAND, f"mean adjusted Rand index {mean:.2f}"),
        ("incidents lost", float(lost), float(_FORGIVEN), 0.0,
         f"{lost} of {total} incidents were lost"),
    ])  # fmt: skip


def _together(parts: list[tuple[str, float, float, float, str]]) -> list[Case]:
    """A case for each (name, measured, foot, top, message); the score of each is the product of all."""
    shares = [ramp(measured, foot, top) for _, measured, foot, top, _ in parts]
    product = float(np.prod(shares))
    cases = []
    for (name, measured, foot, top, text), share in zip(parts, shares, strict=True):
        message = "" if product == 1 else text
        if share == 1 and product < 1:
            message += ": enough, but the parts are multiplied"
        cases.append(Case(name, product, message, 1.0, measured, foot, top))
    return cases


def check_milestone(student: Student, hidden: Hidden) -> list[Case]:
    """Incidents found, pages per incident, time to the first page; then the cut storms."""
    storms = [(storm, alerts.drop(columns="end"), calls)
              for storm, alerts, calls in _storms(hidden, "milestone")]  # fmt: skip
    answers = student.each("pages", [(a, c) for _, a, c in storms], timeout=10)
    waits: list[float] = []
    sent = alerts_seen = 0
    for (storm, alerts, _), rows in zip(storms, answers, strict=True):
        if (
            not _whole(rows)
            or rows != sorted(set(rows))
            or any(not 0 <= r < len(alerts) for r in rows)
        ):
            return [Case("storms", 0.0, "pages must return row numbers, ascending, each once")]
        times = pd.DatetimeIndex(storm.alerts["start"].iloc[rows])
        waits += scoring.minutes_to_first_page(
            times, storm.incident[rows], storm.incidents["start"]
        ).tolist()
        sent, alerts_seen = sent + len(rows), alerts_seen + len(alerts)
    rng = np.random.default_rng(hidden.seed("cuts"))
    student.restart()
    for (_, alerts, calls), rows in list(zip(storms, answers, strict=True))[:4]:
        cut = int(rng.integers(len(alerts) // 4, len(alerts)))
        cut = rows[len(rows) // 2] + 1 if rows and rng.random() < 0.5 else cut
        early = student.call("pages", alerts.iloc[:cut], calls, timeout=10)
        if early != [row for row in rows if row < cut]:
            return [Case("storms", 0.0, "other pages for the first part alone: this looks ahead")]
    missed = int(np.isinf(waits).sum())
    load, wait = sent / len(waits), float(np.median(waits))
    cost = (
        f"{load:.1f} pages per incident, compression {scoring.compression(alerts_seen, sent):.0%}"
    )
    return _together([
        ("incidents never paged", float(missed), float(_FORGIVEN), 0.0,
         f"{missed} of {len(waits)} incidents were never paged"),
        ("pages per incident", load, 3.0, 2.0, cost),
        ("minutes to the first page", wait, 6.0, 3.0, f"first page after {wait:.1f} min (median)"),
    ])  # fmt: skip


# ---------------------------------------------------------------- exercise 4


# Foot and top: Brier skill and users reached, as shares of what the true chances have.
_SKILL, _REACHED = (0.65, 0.80), (0.87, 0.95)
# Teams, alerts to judge for each, and pages.
_TEAMS, _JUDGED, _BUDGET = 5, 6000, 180
_HARDEST = 3  # of the teams, whose mean counts: weights that fit some team by luck don't help


def check_actionable(student: Student, hidden: Hidden) -> list[Case]:
    """Calibration and users reached within the budget, on teams with other habits."""
    rng = np.random.default_rng(hidden.seed("actionable"))
    cases = [tried(_choice, student, f"choice {n + 1}", rng) for n in range(3)]
    right = float(np.prod([case.score for case in cases]))
    shares, reached, best = [], 0.0, 0.0
    try:
        for _ in range(_TEAMS):
            habits, first, second = (int(n) for n in rng.integers(2**60, size=3))
            history, actionable = draw_alert_history(first, 3000, habits)
            alerts, outcome = draw_alert_history(second, _JUDGED, habits)
            model = student.keep("fit_actionable", history, actionable, timeout=20)
            p = student.call("actionable_probability", model, alerts, timeout=20)
            if not isinstance(p, np.ndarray) or p.shape != (_JUDGED,) or p.dtype.kind != "f" or not (
                (p >= 0) & (p <= 1)).all():  # fmt: skip
                return [Case("teams", 0.0, "actionable_probability: one probability per alert")]
            users = alerts["users"].to_numpy()
            chances = alert_chances(second, _JUDGED, habits)
            expected = users * chances
            chosen = student.call("choose_pages", p, users, _BUDGET, timeout=20)
            if not _flags(chosen, _JUDGED) or chosen.sum() > _BUDGET:
                return [Case("teams", 0.0, "choose_pages: a Boolean array, at most `budget` True")]
            shares.append(_brier_skill(p, outcome) / _brier_skill(chances, outcome))
            reached += float(expected[chosen].sum())
            best += float(np.sort(expected)[-_BUDGET:].sum())
    except StudentError as error:
        return [Case("teams", 0.0, str(error))]
    skill, value = float(np.mean(sorted(shares)[:_HARDEST])), reached / best
    calibrated = ramp(skill, *_SKILL)
    both = [
        Case("calibration", calibrated, "" if calibrated == 1 else 
             f"Brier skill: {skill:.0%} of what the true chances have", 1.0, skill, *_SKILL),
        given(Case("users reached", ramp(value, *_REACHED), "" if value >= _REACHED[1] else
                   f"{value:.0%} of what the true chances reach", 1.0, value, *_REACHED),
              calibrated, "the calibration is"),
    ]  # fmt: skip
    return [given(case, right, "choose_pages is") for case in both]


def _brier_skill(chances: np.ndarray, outcome: np.ndarray) -> float:
    return float(1 - np.mean((chances - outcome) ** 2) / outcome.var())


def _choice(student: Student, name: str, rng: np.random.Generator) -> Case:
    p, users = np.round(rng.random(40), 1), rng.integers(1, 6, 40)
    budget = int(rng.integers(3, 45))
    expected = p * users
    order = sorted(range(40), key=lambda n: (-expected[n], n))[:budget]
    wanted = np.isin(np.arange(40), order) & (expected > 0)
    found = student.call("choose_pages", p, users, budget, timeout=20)
    right = _flags(found, 40) and bool((found == wanted).all())
    return Case(name, float(right), "" if right else "not the largest expected numbers of users")


def _flags(found: Any, length: int) -> bool:
    return isinstance(found, np.ndarray) and found.dtype == bool and found.shape == (length,)


# ---------------------------------------------------------------- exercise 5


_MINUTE_MS = 60_000


@dataclass(frozen=True)
class _Table:
    """Teams, alerts, and what the right tree makes of them."""

    teams: dict[str, str]
    alerts: list[alertmanager.TimedAlert]
    views: list[Any]


def check_routing(student: Student, hidden: Hidden) -> list[Case]:
    """Receivers, groups, inhibition and times for unseen teams and alerts."""
    tables = hidden.cached("routing", lambda: _tables(hidden.seed("routing")))
    shares = []
    for table in tables:
        text = student.call("routing_config", table.teams, timeout=5)
        try:
            config = alertmanager.load_config(text)
        except (alertmanager.ConfigError, TypeError, AttributeError) as error:
            return [Case("configuration", 0.0, f"it can't be loaded: {error}")]
        pairs = zip(table.views, _views(config, table.alerts), strict=True)
        shares.append([float(wanted == have) for wanted, have in pairs])
    receivers, groups, muted, messages = np.min(shares, axis=0)
    parts = (("groups", groups, 2.0), ("inhibition", muted, 2.0), ("messages", messages, 9.0))
    cases = [_part("receivers", receivers, 2.0)]
    return cases + [given(_part(*part), receivers, "receivers are") for part in parts]


def _tables(seed: int) -> list[_Table]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(4):
        services = [f"svc-{n}" for n in rng.choice(1000, 8, replace=False)]
        names = [f"team{n}" for n in rng.choice(100, 3, replace=False)]
        teams = {service: str(rng.choice(names)) for service in [*services[:5], services[7]]}
        alerts = _alerts(rng, services)
        views = _views(alertmanager.load_config(_tree(teams)), alerts)
        made.append(_Table(teams, alerts, views))
    return made


def _part(name: str, share: float, weight: float) -> Case:
    message = "" if share == 1 else "not right for each of the four tables of teams"
    return Case(name, float(share), message, weight)


def _alerts(rng: np.random.Generator, services: list[str]) -> list[alertmanager.TimedAlert]:
    # Some working day or Sunday, from hours before the office opens to after it has closed.
    begin = pd.Timestamp("2026-03-01T00:00Z") + pd.Timedelta(days=int(rng.integers(5)))
    begin += pd.Timedelta(minutes=int(rng.choice([1, 8]) * 60 + rng.integers(60)))
    made: dict[tuple[tuple[str, str], ...], alertmanager.TimedAlert] = {}
    # Every table holds a mute of each kind and what must not be muted.
    fixed = [
        {"service": services[0], "severity": s, "alertname": "A", "n": s}
        for s in ("page", "ticket")
    ]
    fixed += [{"alertname": "ZoneDown", "severity": "page", "zone": "z1", "service": services[6]},
              {"alertname": "ZoneDown", "severity": "ticket", "zone": "z1", "service": services[1]},
              {"alertname": "B", "severity": "info", "zone": "z1", "service": services[5]},
              {"alertname": "B", "severity": "page", "zone": "z2", "service": services[2]},
              {"alertname": "ZoneDown", "severity": "info"}]  # fmt: skip
    for _ in range(22):
        labels = {"alertname": str(rng.choice(["A", "B", "C"])), "n": str(rng.integers(50)),
                  "severity": str(rng.choice(["page", "ticket", "info"], p=[0.4, 0.4, 0.2])),
                  "service": str(rng.choice(services[:7]))}  # fmt: skip
        fixed.append(labels)
    for labels in fixed:
        start = begin + pd.Timedelta(seconds=int(rng.integers(0, 900)))
        start += pd.Timedelta(hours=int(rng.choice([0, 0, 0, 9])))
        end = start + pd.Timedelta(minutes=int(rng.integers(20, 600)))
        made[tuple(sorted(labels.items()))] = alertmanager.TimedAlert(labels, start, end)
    # A ticket that no page mutes and that is still on when the office has been open for hours.
    labels = {"alertname": "D", "severity": "ticket", "service": services[7]}
    lasting = alertmanager.TimedAlert(labels, begin, begin + pd.Timedelta("40h"))
    return [*made.values(), lasting]


def _views(config: alertmanager.Config, alerts: list[alertmanager.TimedAlert]) -> list[Any]:
    """Receivers, groups, inhibition, and times of messages, in a form that can be compared."""
    labels = [alert.labels for alert in alerts]
    reached = [alertmanager.match_routes(config, each) for each in labels]
    # Groups that are looked at every second would be played for hours.
    hurried = any(route.group_interval < _MINUTE_MS for routes in reached for route in routes)
    messages = [] if hurried else alertmanager.notify(config, alerts)
    return [
        [sorted(route.receiver for route in routes) for routes in reached],
        sorted((g.receiver, g.alerts) for g in alertmanager.group_alerts(config, labels)),
        [alertmanager.inhibited(config, each, labels) for each in labels],
        sorted((n.time, n.receiver, n.firing) for n in messages),
    ]


def _tree(teams: dict[str, str]) -> str:
    page, ticket = {"severity": "page"}, {"severity": "ticket"}
    routes: list[dict[str, Any]] = [{"match": page, "receiver": "audit", "group_by": ["..."],
                                     "group_wait": "0s", "continue": True}]  # fmt: skip
    for team in sorted(set(teams.values())):
        own = {"service": "|".join(s for s, t in teams.items() if t == team)}
        routes += [
            {"match": page, "match_re": own, "receiver": f"page-{team}", "group_by": ["service"],
             "group_wait": "30s", "repeat_interval": "1h"},
            {"match": ticket, "match_re": own, "receiver": f"ticket-{team}",
             "group_by": ["alertname"], "group_wait": "5m", "repeat_interval": "24h",
             "active_time_intervals": ["office"]},
        ]  # fmt: skip
    routes.append({"receiver": "catch-all"})
    names = {"audit", "catch-all", *(r["receiver"] for r in routes)}
    return json.dumps({
        "route": {"receiver": "catch-all", "group_wait": "1m", "routes": routes},
        "receivers": [{"name": name} for name in sorted(names)],
        "time_intervals": [{"name": "office", "time_intervals": [
            {"weekdays": ["monday:friday"],
             "times": [{"start_time": "09:00", "end_time": "17:00"}]}]}],
        "inhibit_rules": [
            {"source_match": page, "target_match": ticket, "equal": ["service"]},
            {"source_match": {"alertname": "ZoneDown"}, "equal": ["zone"],
             "target_matchers": ['alertname!="ZoneDown"', 'zone!=""']},
        ]})  # fmt: skip


CHECKS: dict[str, CheckFunction] = {
    "burn-rate": check_burn_rate,
    "dedupe": check_dedupe,
    "correlate": check_correlate,
    "actionable": check_actionable,
    "routing": check_routing,
    "milestone": check_milestone,
}

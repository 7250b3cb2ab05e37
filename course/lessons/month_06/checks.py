"""Hidden checks of month 6: causes, rankings and slices on telemetry never seen before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from course import shop
from course.lessons.checking import (
    Case,
    CheckFunction,
    Hidden,
    Student,
    StudentError,
    given,
    ramp,
)
from course.scoring.ranking import accuracy_at, ranking_scores
from course.shop.windows import Window, draw_windows, window

Edges: TypeAlias = list[tuple[str, str]]
_MINUTE = pd.Timedelta("1min")


def _share(name: str, right: list[bool], message: str, weight: float = 1.0) -> Case:
    score = float(np.mean(right))
    return Case(name, score, "" if score == 1 else f"{message}: {score:.0%} right", weight)


def _risen(name: str, right: list[bool], message: str) -> Case:
    """From half of the cases on: what one rule for all gets right by chance earns nothing."""
    share = float(np.mean(right))
    score = ramp(share, 0.5, 1.0)
    return Case(
        name, score, "" if score == 1 else f"{message}: {share:.0%} right, points from 50 %"
    )


def _shop_calls() -> pd.DataFrame:
    rows = [(call.caller, call.callee, call.waits) for call in shop.TOPOLOGY.calls]
    return pd.DataFrame(rows, columns=["caller", "callee", "waits"])


def _random_calls(rng: np.random.Generator) -> pd.DataFrame:
    """Calls among six to twelve services, with repeats, messages, cycles and calls to oneself."""
    names = [f"s{number}" for number in rng.permutation(100)[: int(rng.integers(6, 13))]]
    size = int(1.6 * len(names))
    rows = [(*map(str, rng.choice(names, 2)), bool(rng.random() < 0.75)) for _ in range(size)]
    rows += [rows[int(rng.integers(size))], (names[0], names[0], True)]
    return pd.DataFrame(rows, columns=["caller", "callee", "waits"])


# ---------------------------------------------------------------- exercise 1


def _harms(calls: pd.DataFrame) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: set() for name in [*calls["caller"], *calls["callee"]]}
    for row in calls.itertuples():
        if row.waits and row.caller != row.callee:
            found[row.callee].add(row.caller)
    return found


def _steps(harms: dict[str, set[str]], cause: str) -> dict[str, int]:
    """Services that a cause harms, with the fewest steps to each."""
    steps, queue = {cause: 0}, [cause]
    for service in queue:
        for other in harms.get(service, set()) - set(steps):
            steps[other] = steps[service] + 1
            queue.append(other)
    return steps


def _reaching(calls: pd.DataFrame, symptoms: list[str]) -> dict[str, int]:
    """Candidates with the distance to the farthest symptom."""
    if not symptoms:
        return {}
    harms = _harms(calls)
    found = {name: _steps(harms, name) for name in {*harms, *symptoms}}
    return {
        name: max(steps[symptom] for symptom in symptoms)
        for name, steps in found.items()
        if set(symptoms) <= set(steps)
    }


def check_candidates(student: Student, hidden: Hidden) -> list[Case]:
    """Exact equality on the shop's graph and on random ones."""
    rng = np.random.default_rng(hidden.seed("candidates"))
    graphs = [_random_calls(rng) for _ in range(15)]
    asked = []
    for graph in [_shop_calls(), *graphs]:
        names = sorted({*graph["caller"], *graph["callee"]})
        for size in (1, 2, 3):
            asked.append((graph, [str(name) for name in rng.choice(names, size, replace=False)]))
    asked += [(graphs[0], []), (graphs[0], ["stranger"])]
    turned = student.each("causal_graph", [(graph,) for graph in graphs], timeout=5)
    wanted = [
        {name: sorted(callers) for name, callers in _harms(graph).items()} for graph in graphs
    ]
    first = _share("causal graph", [a == b for a, b in zip(turned, wanted, strict=True)],
                   "messages, repeats, calls to oneself, services that harm nobody?")  # fmt: skip
    found = student.each("candidates", asked, timeout=5)
    right, plural = [], []
    for (graph, symptoms), answer in zip(asked, found, strict=True):
        far = _reaching(graph, symptoms)
        right.append(answer == sorted(far, key=lambda name: (far[name], name)))
        if len(symptoms) > 1:
            plural.append(right[-1])
    # Half of the questions have an answer that is easily guessed; those with several symptoms do not.
    message = "all symptoms reached, farthest one decides, names break ties?"
    score = min(float(np.mean(right)), ramp(float(np.mean(plural)), 0.5, 1.0))
    return [first, Case("candidates", score, "" if score == 1 else message)]


# ---------------------------------------------------------------- exercise 2


def _robust(metrics: pd.DataFrame, since: pd.Timestamp) -> pd.Series:
    found: dict[str, float] = {}
    before = metrics.index < since
    for service, name in metrics.columns:
        values = metrics[service, name].to_numpy(float)
        x, y = values[before], values[~before]
        x, y = x[~np.isnan(x)], y[~np.isnan(y)]
        found.setdefault(service, 0.0)
        if len(x) and len(y):
            low, middle, high = np.quantile(x, [0.25, 0.5, 0.75])
            below = high - low + 0.05 * abs(middle)
            if below > 0:
                found[service] = max(found[service], float(np.abs(y - middle).max() / below))
    return pd.Series(found).sort_index()


def _series_equal(found: Any, wanted: pd.Series) -> bool:
    return (isinstance(found, pd.Series) and list(found.index) == list(wanted.index)
            and found.dtype.kind in "fi"
            and np.allclose(found.to_numpy(float), wanted, rtol=1e-6, atol=1e-9))  # fmt: skip


def _number(found: Any, wanted: float) -> bool:
    if type(found) not in (float, int):
        return False
    return math.isnan(found) if math.isnan(wanted) else math.isclose(found, wanted, abs_tol=1e-9)


def check_robust_score(student: Student, hidden: Hidden) -> list[Case]:
    """Agreement on damaged telemetry, tied rankings and causes that are no candidates."""
    seed = hidden.seed("robust-score")
    frames = hidden.cached("robust-frames", lambda: _frames(seed))
    rng = np.random.default_rng(seed)
    scores = student.each("robust_scores", frames, timeout=5)
    right = [_series_equal(a, _robust(*frame)) for a, frame in zip(scores, frames, strict=True)]
    cases = [_risen("robust scores", right, "missing values, constant metrics, order of names?")]

    rankings = []
    for number in range(40):
        names = [f"s{n}" for n in rng.permutation(40)[: int(rng.integers(3, 15))]]
        values = rng.integers(0, 4, len(names)).astype(float)
        if number % 2:
            values[rng.random(len(names)) < 0.4] = np.nan
        cause = "nobody" if number % 8 == 7 else str(rng.choice(names))
        rankings.append((pd.Series(values, names), cause))
    calls = [(ranking, cause, int(rng.integers(1, 6))) for ranking, cause in rankings]
    found = student.each("accuracy_at", calls, timeout=5)
    exact = [_number(a, _expected(*call)) for a, call in zip(found, calls, strict=True)]
    # Where nothing ties at the edge many rules agree: those cases count nothing.
    telling = [ok for ok, call in zip(exact, calls, strict=True) if 0 < _expected(*call) < 1]
    cases.append(_risen("AC@k", min((exact, telling), key=np.mean),
                        "ties by lot, NaN last, a cause that is no candidate?"))  # fmt: skip
    sets = [(rankings[8 * n : 8 * n + 8], k) for n, k in enumerate((5, 3, 1, 4, 5))]
    answers = student.each("average_accuracy", [*sets, ([], 5)], timeout=5)
    pairs = [_averages(*one) for one in sets] + [(math.nan, math.nan)]
    right = [
        isinstance(a, tuple | list) and len(a) == 2 and _number(a[0], w[0]) and _number(a[1], w[1])
        for a, w in zip(answers, pairs, strict=True)
    ]
    cases.append(_risen("Avg@k and chance", right, "mean over k and cases, chance by candidates?"))
    return cases


def _expected(scores: pd.Series, cause: str, k: int) -> float:
    return accuracy_at(scores, [cause], list(scores.index), k) if cause in scores.index else 0.0


def _averages(cases: list[tuple[pd.Series, str]], k: int) -> tuple[float, float]:
    steps = range(1, k + 1)
    reached = [_expected(scores, cause, j) for scores, cause in cases for j in steps]
    chance = [min(1.0, j / len(s)) * (cause in s.index) for s, cause in cases for j in steps]
    return float(np.mean(reached)), float(np.mean(chance))


def _frames(seed: int) -> list[tuple[pd.DataFrame, pd.Timestamp]]:
    rng = np.random.default_rng([seed & (2**64 - 1), 1])
    drawn = shop.draw_incidents(10, seed, minutes=60)
    made = []
    for _scenario, recording in zip(drawn, shop.simulate_many(drawn), strict=True):
        table = recording.metrics.copy()
        start, length = int(rng.integers(0, 8)), int(rng.integers(44, 52))
        table = table.iloc[start : start + length, rng.permutation(table.shape[1])[:70]]
        table = table.mask(rng.random(table.shape) < 0.1)
        for number in rng.permutation(table.shape[1])[:18]:
            kind = int(rng.integers(3))
            if kind == 0:
                table.iloc[:, number] = np.nan
            elif kind == 1:
                table.iloc[: int(rng.integers(35, 44)), number] = np.nan
            else:
                table.iloc[:40, number] = 0.0
        silent = str(table.columns[0][0])
        table.loc[:, [column for column in table.columns if column[0] == silent]] = np.nan
        made.append((table, table.index[int(rng.integers(24, 36))]))
    return made


# ---------------------------------------------------------------- exercise 3


@dataclass(frozen=True)
class _Model:
    """A causal question: graph, what is observed, the size of the smallest set, a frame, the effect."""

    edges: Edges
    treatment: str
    outcome: str
    observed: list[str]
    size: int | None
    frame: pd.DataFrame
    effect: float


def check_backdoor(student: Student, hidden: Hidden) -> list[Case]:
    """Sets by d-separation, effects by the truth of the model."""
    models = hidden.cached("backdoor", lambda: _models(hidden.seed("backdoor")))
    sets = student.each(
        "adjustment_set", [(m.edges, m.treatment, m.outcome, m.observed) for m in models], timeout=5
    )
    effects = student.each(
        "causal_effect", [(m.frame, m.edges, m.treatment, m.outcome) for m in models], timeout=5
    )
    good = [_set_right(model, found) for model, found in zip(models, sets, strict=True)]
    near = [_effect_right(model, found) for model, found in zip(models, effects, strict=True)]
    kinds = ["none" if m.size is None else "empty" if m.size == 0 else "some" for m in models]

    def worst(right: list[bool]) -> float:
        parts = [[ok for ok, one in zip(right, kinds, strict=True) if one == kind] for kind in set(kinds)]  # fmt: skip
        return float(min(np.mean(part) for part in parts))

    cases = []
    for name, right, weight in (("adjustment sets", good, 8.0), ("effects", near, 7.0)):
        score = worst(right)
        cases.append(Case(name, score, "" if score == 1 else
                          f"{score:.0%} right of the worst kind (some, nothing, or no set): colliders, "
                          "mediators, what is not observed, the smallest set?", weight))  # fmt: skip
    return cases


def _set_right(model: _Model, found: Any) -> bool:
    if model.size is None or found is None:
        return found is None and model.size is None
    if not isinstance(found, list | tuple) or not all(type(name) is str for name in found):
        return False
    return (len(found) == len(set(found)) == model.size and set(found) <= set(model.observed)
            and _backdoor(model.edges, model.treatment, model.outcome, set(found)))  # fmt: skip


def _effect_right(model: _Model, found: Any) -> bool:
    if type(found) not in (float, int):
        return False
    if model.size is None:
        return math.isnan(found)
    return abs(found - model.effect) <= 0.1


def _descendants(edges: Edges, name: str) -> set[str]:
    found, queue = {name}, [name]
    for one in queue:
        for cause, effect in edges:
            if cause == one and effect not in found:
                found.add(effect)
                queue.append(effect)
    return found


def _backdoor(edges: Edges, treatment: str, outcome: str, chosen: set[str]) -> bool:
    """Whether a set meets the backdoor criterion: no descendant, no open path into the treatment."""
    if chosen & (_descendants(edges, treatment) | {treatment, outcome}):
        return False
    cut = [(cause, effect) for cause, effect in edges if cause != treatment]
    opened = {
        name for name in {n for edge in cut for n in edge} if _descendants(cut, name) & chosen
    }
    # Walk along paths; a state is a node and whether it was entered along an arrow into it.
    seen: set[tuple[str, bool]] = set()
    queue = [(treatment, False)]
    while queue:
        name, into = queue.pop()
        if (name, into) in seen:
            continue
        seen.add((name, into))
        if name == outcome:
            return False
        for cause, effect in cut:
            if cause == name and name not in chosen:
                queue.append((effect, True))
            if effect == name and (name in opened if into else name not in chosen):
                queue.append((cause, False))
    return True


def _smallest(edges: Edges, treatment: str, outcome: str, observed: list[str]) -> int | None:
    others = [name for name in observed if name not in (treatment, outcome)]
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            if _backdoor(edges, treatment, outcome, set(chosen)):
                return size
    return None


def _models(seed: int) -> list[_Model]:
    """Six questions of each kind: some adjustment, none needed, none possible."""
    rng = np.random.default_rng(seed)
    wanted = {"some": 8, "empty": 4, "none": 6}
    made: list[_Model] = []
    while any(wanted.values()):
        names = [str(name) for name in rng.permutation(_VARIABLES)[: int(rng.integers(6, 10))]]
        edges = [(a, b) for a, b in combinations(names, 2) if rng.random() < 0.38]
        early, late = sorted(rng.choice(len(names), 2, replace=False))
        treatment, outcome = names[early], names[late]
        parents = {cause for cause, effect in edges if effect == treatment}
        if not parents or outcome not in _descendants(edges, treatment):
            continue
        unseen = {name for name in names if rng.random() < 0.25} - {treatment, outcome}
        observed = [str(n) for n in rng.permutation(sorted(set(names) - unseen))]
        size = _smallest(edges, treatment, outcome, observed)
        kind = "none" if size is None else "empty" if size == 0 else "some"
        if not wanted[kind]:
            continue
        frame, effect = _sample(rng, names, edges, treatment, outcome)
        frame = frame[observed]
        # Neither no adjustment nor that for everything may come near the truth.
        everything = [name for name in observed if name not in (treatment, outcome)]
        bias = [abs(_slope(frame, treatment, outcome, z) - effect) for z in ([], everything)]
        if (kind == "some" and min(bias) < 0.25) or (kind == "empty" and bias[1] < 0.25):
            continue
        wanted[kind] -= 1
        edges = [edges[n] for n in rng.permutation(len(edges))]
        made.append(_Model(edges, treatment, outcome, observed, size, frame, effect))
    return made


_VARIABLES = ["load", "pool", "cpu", "queue", "latency", "errors", "retries", "misses", "disk", "gc",
              "tickets", "orders", "hour", "sale"]  # fmt: skip


def _sample(
    rng: np.random.Generator, names: list[str], edges: Edges, treatment: str, outcome: str
) -> tuple[pd.DataFrame, float]:
    weights = {
        edge: float(rng.uniform(0.4, 1.2) * rng.choice([-1, 1], p=[0.3, 0.7])) for edge in edges
    }
    values: dict[str, np.ndarray] = {}
    total = dict.fromkeys(names, 0.0)
    total[treatment] = 1.0
    for name in names:  # in causal order
        above = [(cause, weight) for (cause, effect), weight in weights.items() if effect == name]
        values[name] = rng.normal(0, rng.uniform(0.5, 1.0), 3000)
        for cause, weight in above:
            values[name] = values[name] + weight * values[cause]
        if name != treatment:
            total[name] = sum(weight * total[cause] for cause, weight in above)
    return pd.DataFrame(values), float(total[outcome])


def _slope(frame: pd.DataFrame, treatment: str, outcome: str, chosen: list[str]) -> float:
    design = np.column_stack([frame[[treatment, *chosen]], np.ones(len(frame))])
    return float(np.linalg.lstsq(design, frame[outcome].to_numpy(), rcond=None)[0][0])


# ---------------------------------------------------------------- exercise 4

_SEEN_ON_TRACES = ("bad_deploy", "bad_config", "network_delay", "network_loss", "slow_query",
                   "third_party_outage")  # fmt: skip
_TRACES = (0.03, 0.08)  # above the better of two simple rankings on the same incidents


def check_ochiai(student: Student, hidden: Hidden) -> list[Case]:
    """Avg@5 on incidents, then the formula."""
    incidents = hidden.cached("ochiai", lambda: _traced(hidden.seed("ochiai")))
    answers = student.each("localise_spans", [(s, t) for s, t, _ in incidents], timeout=5)
    rankings = []
    for answer, (_, _, cause) in zip(answers, incidents, strict=True):
        if not isinstance(answer, pd.Series) or answer.dtype.kind not in "fi":
            return [Case("incidents", 0.0, "localise_spans must return a Series of float")]
        rankings.append((answer, [cause], shop.SERVICES))
    try:
        value = ranking_scores(rankings, k=5).avg
    except ValueError as error:
        return [Case("incidents", 0.0, str(error))]
    usual = hidden.cached("ochiai-simple", lambda: _simple(incidents))
    score = ramp(value - usual, *_TRACES)
    first = Case("incidents", score, "" if score == 1 else f"Avg@5 {value:.2f}, the better simple ranking {usual:.2f}; full "
                 f"points from {_TRACES[1]} above it, none up to {_TRACES[0]}", 2.0, value - usual, *_TRACES)  # fmt: skip
    rng = np.random.default_rng(hidden.seed("ochiai-table"))
    right = []
    tables = [_spectrum(rng, number) for number in range(8)]
    for found, table in zip(student.each("ochiai", tables, timeout=5), tables, strict=True):
        wanted = _ochiai(*table)
        right.append(_series_equal(found, wanted))
    second = _share("the formula", right, "order of the parts, denominators of 0?")
    return [first, given(second, score, "the incidents are")]


def _spectrum(rng: np.random.Generator, number: int) -> tuple[pd.DataFrame, pd.Series]:
    index = [f"t{n}" for n in rng.permutation(60)]
    columns = [f"p{n}" for n in rng.permutation(9)]
    covered = pd.DataFrame(rng.random((60, 9)) < rng.random(9), index, columns)
    covered.iloc[:, int(rng.integers(9))] = False
    failed = pd.Series(rng.random(60) < (0.0 if number == 3 else 0.3), index)
    return covered, failed


def _ochiai(covered: pd.DataFrame, failed: pd.Series) -> pd.Series:
    found = {}
    for part in covered.columns:
        ef = int((covered[part] & failed).sum())
        below = math.sqrt(int(failed.sum()) * int(covered[part].sum()))
        found[part] = ef / below if below else 0.0
    return pd.Series(found, dtype=float)


def _traced(seed: int) -> list[tuple[pd.DataFrame, pd.Timestamp, str]]:
    rng = np.random.default_rng([seed & (2**64 - 1), 1])
    drawn = shop.draw_incidents(
        24, seed, minutes=90, kinds=_SEEN_ON_TRACES, severity=(0.65, 1.0), surge_share=0.3
    )
    made = []
    for scenario, recording in zip(drawn, shop.simulate_many(drawn), strict=True):
        fault, index = scenario.faults[0], scenario.index
        begin = max(fault.start - 20, 0)
        end = min(fault.start + 10, len(index) - 1)
        spans = window(recording, index[begin], index[end], trace_share=0.008, line_share=0.0).spans
        spans = spans.iloc[rng.permutation(len(spans))].reset_index(drop=True)
        made.append((spans, index[fault.start], fault.service))
    return made


def _simple(incidents: list[tuple[pd.DataFrame, pd.Timestamp, str]]) -> float:
    """Avg@5 of the better of two rankings that know nothing of who misbehaved by itself."""
    longer, failed = [], []
    for spans, since, cause in incidents:
        late = spans["start"] >= since
        after, before = (
            spans[rows].groupby("service")["duration_ms"].mean() for rows in (late, ~late)
        )
        longer.append(((after - before).dropna(), [cause], shop.SERVICES))
        errors = spans[late & (spans["status"] == "ERROR")]
        failed.append((errors.groupby("service").size().astype(float), [cause], shop.SERVICES))
    return max(ranking_scores(rankings, k=5).avg for rankings in (longer, failed))


# ---------------------------------------------------------------- exercise 5

_SLICES = (0.7, 0.95)


def check_revenue(student: Student, hidden: Hidden) -> list[Case]:
    """Slices found exactly, and silence where nothing is wrong."""
    tables = hidden.cached("revenue", lambda: _tables(hidden.seed("revenue")))
    answers = student.each("localise_drop", [(t, d) for t, d, _ in tables], timeout=5)
    found, calm = list[bool](), list[bool]()
    for answer, (_, _, truth) in zip(answers, tables, strict=True):
        if not isinstance(answer, dict):
            return [
                Case(
                    "slices", 0.0, f"localise_drop must return a dict, not {type(answer).__name__}"
                )
            ]
        (found if truth else calm).append(answer == truth)
    value, silent = float(np.mean(found)), float(np.mean(calm))
    score = ramp(value, *_SLICES) * silent
    return [Case("slices", score, "" if score == 1 else f"{value:.0%} of the slices found exactly (from "
                 f"{_SLICES[0]:.0%} to {_SLICES[1]:.0%}), {silent:.0%} of the tables with nothing wrong", 1.0,
                 value, *_SLICES)]  # fmt: skip


def _tables(seed: int) -> list[tuple[pd.DataFrame, list[str], dict[str, str]]]:
    rng = np.random.default_rng(seed)
    made = []
    for number in rng.permutation(40):
        count = int(rng.integers(2, 5))
        names = [
            str(n)
            for n in rng.permutation(["region", "version", "method", "channel", "plan"])[:count]
        ]
        levels = [[f"{name[0]}{n}" for n in range(int(rng.integers(3, 7)))] for name in names]
        table = pd.MultiIndex.from_product(levels, names=names).to_frame(index=False)
        table["expected"] = rng.lognormal(5, 1.3, len(table)).round(2) + 1
        actual = table["expected"] * rng.normal(1, rng.uniform(0.02, 0.06), len(table))
        truth: dict[str, str] = {}
        if number % 4:
            size = int(rng.integers(1, min(count - 1, 3) + 1))
            for place in rng.choice(count, size, replace=False):
                truth[names[place]] = str(rng.choice(levels[place]))
            hit = np.logical_and.reduce([table[name] == value for name, value in truth.items()])
            actual = actual * np.where(hit, 1 - rng.uniform(0.25, 0.8), 1)
        table["actual"] = actual.clip(lower=0)
        table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
        made.append((table, names, truth))
    return made


# ---------------------------------------------------------------- exercise 6


def check_changes(student: Student, hidden: Hidden) -> list[Case]:
    """Pairs of logs: one with suspects, one in which the like of them are excused."""
    rng = np.random.default_rng(hidden.seed("changes"))
    calls: list[tuple[Any, ...]] = []
    wanted: list[list[int]] = []
    while len(calls) < 40:
        asked = _change_case(rng)
        right = _suspects(*asked)
        if bool(right) == (len(calls) % 2 == 0) and len(right) != 1:
            calls.append(asked)
            wanted.append(right)
    found = student.each("rank_changes", calls, timeout=5)
    right_ones = [
        type(a) is list and all(type(row) is int for row in a) and a == w
        for a, w in zip(found, wanted, strict=True)
    ]
    pairs = [right_ones[n] and right_ones[n + 1] for n in range(0, 40, 2)]
    return [
        _share(
            "pairs of logs",
            pairs,
            "window and slack, kinds, all symptoms reached, order, positions?",
        )
    ]


def _change_case(rng: np.random.Generator) -> tuple[Any, ...]:
    graph = _shop_calls() if rng.random() < 0.5 else _random_calls(rng)
    names = sorted({*graph["caller"], *graph["callee"]})
    symptoms = [str(n) for n in rng.choice(names, int(rng.integers(1, 3)), replace=False)]
    onset = pd.Timestamp("2026-05-04T00:00Z") + int(rng.integers(20_000)) * _MINUTE
    width, slack = int(rng.choice([10, 20, 30, 45])), int(rng.integers(2, 7))
    size = int(rng.integers(10, 22))
    offsets = rng.integers(-width - 8, 10, size)
    offsets[:4] = [-width, slack, -width - 1, slack + 1]
    offsets[4 : 4 + size // 2] = rng.integers(
        -slack, slack + 1, size // 2
    )  # before as well as after
    kinds = rng.choice(["deploy", "config", "flag", "scale"], size, p=[0.4, 0.2, 0.2, 0.2])
    table = pd.DataFrame({
        "time": [onset + int(minutes) * _MINUTE for minutes in offsets],
        "kind": kinds.tolist(),
        "service": [str(n) for n in rng.choice(names, size)],
        "detail": [f"v{n}" for n in rng.integers(100, 999, size)],
    }).iloc[rng.permutation(size)]  # fmt: skip
    return table, graph, symptoms, onset, width * _MINUTE, slack * _MINUTE


def _suspects(
    changes: pd.DataFrame, calls: pd.DataFrame, symptoms: list[str], onset: pd.Timestamp,
    width: pd.Timedelta, slack: pd.Timedelta,
) -> list[int]:  # fmt: skip
    far = _reaching(calls, symptoms)
    rows = [
        (abs(row.time - onset), far[row.service], place)
        for place, row in enumerate(changes.itertuples())
        if row.kind != "scale" and row.service in far and onset - width <= row.time <= onset + slack
    ]
    return [place for *_, place in sorted(rows)]


# ---------------------------------------------------------------- exercise 7

_PER_KIND, _CALM = 3, 24
_AVERAGE, _PATHS, _SILENT = (0.66, 0.75), (0.6, 0.69), (0.25, 0.45)


def check_milestone(student: Student, hidden: Hidden) -> list[Case]:
    """Avg@5 and true paths, both by silence where nothing is wrong."""
    windows = hidden.cached("milestone", lambda: _windows(hidden.seed("milestone")))
    name = "the cause ranks high"
    try:
        answers = student.each("diagnose", [call for call, _ in windows], timeout=4)
    except StudentError as error:
        return [Case(name, 0.0, str(error))]
    steps = set(_steps_up())
    ends = {service for service in shop.SERVICES if service not in {cause for cause, _ in steps}}
    average, traced, silent = [], [], []
    for answer, (_, cause) in zip(answers, windows, strict=True):
        problem = _malformed(answer)
        if problem:
            return [Case(name, 0.0, problem)]
        ranking, path = answer
        if not cause:
            silent.append(not ranking)
            continue
        average.append(np.mean([cause in ranking[:k] for k in range(1, 6)]))
        traced.append(ranking[:1] == [cause] == path[:1] and path[-1] in ends
                      and all(pair in steps for pair in pairwise(path)))  # fmt: skip
    still, high, shown = (float(np.mean(part)) for part in (silent, average, traced))
    quiet, ranked, evident = ramp(still, *_SILENT), ramp(high, *_AVERAGE), ramp(shown, *_PATHS)
    note = "" if quiet == 1 else (
        f"; silent in {still:.0%} of the windows with nothing wrong (none up to {_SILENT[0]:.0%}, full from {_SILENT[1]:.0%})"
    )  # fmt: skip
    note += "" if evident == 1 else (
        f"; the cause first, with a true path, in {shown:.0%} of the incidents (none up to {_PATHS[0]:.0%}, "
        f"full from {_PATHS[1]:.0%})"
    )  # fmt: skip
    score = ranked * quiet * evident
    first = Case(name, score, "" if score == 1 else f"Avg@5 {high:.2f}; full points from {_AVERAGE[1]}, none up "
                 f"to {_AVERAGE[0]}{note}", 12.0, high, *_AVERAGE)  # fmt: skip
    parts = [
        ("evidence: the cause first, with a true path", shown, _PATHS),
        ("silence where nothing is wrong", still, _SILENT),
    ]
    return [first, *(
        Case(part, score, "" if score == 1 else f"{value:.0%}, in so far as the other two parts hold", 4.0, value, *ends)
        for part, value, ends in parts
    )]  # fmt: skip


def _steps_up() -> Edges:
    return [(call.callee, call.caller) for call in shop.TOPOLOGY.calls if call.waits]


def _malformed(answer: Any) -> str:
    if type(answer) not in (tuple, list) or len(answer) != 2:
        return "diagnose must return a tuple of two lists"
    for part in answer:
        if type(part) is not list or any(type(name) is not str for name in part):
            return "ranking and path must be lists of str"
    ranking, path = answer
    if len(ranking) > 5 or len(set(ranking)) < len(ranking) or len(path) > 40:
        return "the ranking holds at most five services, each once"
    return "" if ranking or not path else "an empty ranking has an empty path"


def _windows(seed: int) -> list[tuple[tuple[Any, ...], str]]:
    rng = np.random.default_rng([seed & (2**64 - 1), 1])
    drawn = draw_windows(_PER_KIND, _CALM, seed)
    made = []
    for each, recording in zip(
        drawn, shop.simulate_many([one.scenario for one in drawn]), strict=True
    ):
        seen: Window = window(recording, each.start, each.end)
        tables = [
            table.iloc[rng.permutation(len(table))].reset_index(drop=True)
            for table in (seen.logs, seen.spans)
        ]
        metrics = seen.metrics.iloc[:, rng.permutation(seen.metrics.shape[1])]
        happened = recording.events
        happened = happened[happened["time"].between(each.start, each.end, inclusive="left")]
        call = (metrics, *tables, happened.reset_index(drop=True), _shop_calls(), each.since)
        made.append((call, each.scenario.faults[0].service if each.scenario.faults else ""))
    return made


CHECKS: dict[str, CheckFunction] = {
    "candidates": check_candidates,
    "robust-score": check_robust_score,
    "backdoor": check_backdoor,
    "ochiai": check_ochiai,
    "revenue": check_revenue,
    "changes": check_changes,
    "milestone": check_milestone,
}

"""Hidden check of the milestone: rank what changed in windows never seen before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import Case, CheckFunction, Hidden, Student, StudentError, given, ramp
from course.shop.simulator import simulate, simulate_many
from course.shop.topology import METRICS, SERVICES
from course.shop.windows import DrawnWindow, Window, acts_on, draw_windows, is_hit, window

_PER_KIND, _HARMLESS = 6, 24
_AT_ONCE = 34  # windows that are simulated together
# Of the incidents, at most so many of which a plain limit has nothing among five, has the cause
# among them, has it first. As many of the last as there are of the first.
_HARD, _MIDDLE = 16, 7
_TIMEOUT = 2.0
# Ends of the ramps: rankings by limits from the quiet minutes, the reference.
_TOP_FIVE = (0.58, 0.64)
_FIRST = (0.51, 0.60)
_SILENT = (0.45, 0.58)

_Signals = frozenset[tuple[str, str, str]]
_Call = tuple[Any, Any, Any, Any]


def _windows(seed: int) -> list[tuple[Window, _Call, _Signals]]:
    """Windows to ask for, their rows and columns in random order, with what is right."""
    rng = np.random.default_rng([seed & (2**64 - 1), 1])
    drawn = draw_windows(_PER_KIND, _HARMLESS, seed)
    made = []
    for first in range(0, len(drawn), _AT_ONCE):
        some = drawn[first : first + _AT_ONCE]
        for each, recording in zip(
            some, simulate_many([one.scenario for one in some]), strict=True
        ):
            seen = window(recording, each.start, each.end)
            made.append((seen, _shuffled(rng, seen, each), acts_on(each.scenario)))
    return [made[place] for place in _mixed([(call, hits) for _, call, hits in made])]


def _mixed(windows: list[tuple[_Call, _Signals]]) -> list[int]:
    """Choose incidents of which a plain limit finds a fixed share; keep all calm windows."""
    places = [_place(by_limit(call[0], call[3]), hits) if hits else 0 for call, hits in windows]
    hard = [at for at, place in enumerate(places) if place > 5][:_HARD]
    middle = [at for at, place in enumerate(places) if 1 < place <= 5][:_MIDDLE]
    easy = [at for at, place in enumerate(places) if place == 1][: len(hard)]
    calm = [at for at, place in enumerate(places) if place == 0]
    return sorted([*hard, *middle, *easy, *calm])


def by_limit(metrics: pd.DataFrame, since: pd.Timestamp) -> list[tuple[str, str, str]]:
    """Rank metrics by their late median over a limit, 1.1 times the quiet maximum."""
    quiet = metrics.index < since
    limit = 1.1 * metrics[quiet].max()
    level = metrics[~quiet].iloc[(~quiet).sum() // 3 :].median()
    over = (level / (limit + 1e-9))[(level > limit) & (level > 1e-3)]
    best = over.sort_values(ascending=False).index[:5]
    return [("metric", str(service), str(name)) for service, name in best]


def _shuffled(rng: np.random.Generator, seen: Window, drawn: DrawnWindow) -> _Call:
    metrics = seen.metrics.iloc[:, rng.permutation(seen.metrics.shape[1])]
    logs = seen.logs.iloc[rng.permutation(len(seen.logs))].reset_index(drop=True)
    spans = seen.spans.iloc[rng.permutation(len(seen.spans))].reset_index(drop=True)
    return metrics, logs, spans, drawn.since


def _without_pipelines(seed: int) -> list[tuple[_Call, _Signals]]:
    """Three windows with a fault that metrics alone show; logs and spans never arrived."""
    rng = np.random.default_rng([seed & (2**64 - 1), 2])
    made = []
    for each in draw_windows(1, 0, seed):
        if each.scenario.faults[0].kind in ("cpu_saturation", "memory_leak", "disk_full"):
            seen = window(simulate(each.scenario), each.start, each.end)
            bare = Window(seen.metrics, seen.logs.iloc[:0], seen.spans.iloc[:0])
            made.append((_shuffled(rng, bare, each), acts_on(each.scenario)))
    return made


def _entries(answer: Any) -> list[tuple[str, str, str]] | str:
    """Return a plain list of at most five entries, or what is wrong with the answer."""
    if type(answer) is not list:
        return f"insight returned {type(answer).__name__}, expected a list"
    entries = []
    for entry in answer[:5]:
        if type(entry) not in (tuple, list) or len(entry) != 3:
            return "an entry is not a tuple (kind, service, name)"
        if not all(type(part) is str and len(part) <= 300 for part in entry):
            return "kind, service and name of an entry must be strings"
        kind, service, name = entry
        if kind not in ("metric", "log", "span"):
            return 'the kind of an entry is not "metric", "log" or "span"'
        if service not in SERVICES:
            return "an entry names a service that is not in the shop"
        if kind == "metric" and name not in METRICS:
            return "an entry names a metric that is not among the columns"
        if kind == "span" and name not in ("duration", "errors"):
            return 'the name of a span entry is not "duration" or "errors"'
        entries.append((kind, service, name))
    return entries


def _place(entries: list[tuple[str, str, str]], acted_on: Collection[tuple[str, str, str]]) -> int:
    """Place of the first hit, from 1; 99 where there is none."""
    hits = (place for place, entry in enumerate(entries, 1) if is_hit(entry, acted_on))
    return next(hits, 99)


def check_insight(student: Student, hidden: Hidden) -> list[Case]:
    """Multiply hits in first place, hits among five, and silence where it is due."""
    windows = hidden.cached("insight-windows", lambda: _windows(hidden.seed("insight")))
    bare = hidden.cached("insight-bare", lambda: _without_pipelines(hidden.seed("insight-bare")))
    names = ("the cause is among the first five", "the cause comes first")
    try:
        answers = student.each("insight", [call for _, call, _ in windows], timeout=_TIMEOUT)
    except StudentError as error:
        return [Case(names[0], 0.0, str(error), 20.0)]
    lists = [_entries(answer) for answer in answers]
    wrong = [entries for entries in lists if isinstance(entries, str)]
    if wrong:
        return [Case(names[0], 0.0, wrong[0], 20.0)]

    places, silent = [], []
    for entries, (_, _, acted_on) in zip(lists, windows, strict=True):
        assert isinstance(entries, list)
        if acted_on:
            places.append(_place(entries, acted_on))
        else:
            silent.append(not entries)
    quiet = ramp(float(np.mean(silent)), *_SILENT)
    note = (
        f"{sum(silent)} of {len(silent)} windows without a fault gave an empty list; "
        f"full points from {_SILENT[1]:.0%}, none up to {_SILENT[0]:.0%}"
    )
    five, first = (float(np.mean([place <= best for place in places])) for best in (5, 1))
    both = ramp(first, *_FIRST) * ramp(five, *_TOP_FIVE) * quiet
    cases = []
    for name, value, ends, weight in (
        (names[0], five, _TOP_FIVE, 7.0),
        (names[1], first, _FIRST, 10.0),
    ):
        message = (
            f"hit in {value:.0%} of {len(places)} incidents; none up to {ends[0]:.0%}, full from "
            f"{ends[1]:.0%}; the results of both, and of silence, are multiplied"
        )
        message = f"{message}; {note}" if quiet < 1 else message
        message = "" if both == 1 else message
        cases.append(Case(name, both, message, weight, value, ends[0], ends[1]))
    cases.append(
        Case("silent where nothing is wrong", both, "" if quiet == 1 else note, 1.0,
             float(np.mean(silent)), *_SILENT)
    )  # fmt: skip
    return [*cases, given(_bare(student, bare), both, "the three parts above are")]


def _bare(student: Student, bare: list[tuple[_Call, _Signals]]) -> Case:
    name = "metrics alone, logs and spans did not arrive"
    try:
        answers = student.each("insight", [call for call, _ in bare], timeout=_TIMEOUT)
    except StudentError as error:
        return Case(name, 0.0, str(error), 2.0)
    right = 0
    for answer, (_, acted_on) in zip(answers, bare, strict=True):
        entries = _entries(answer)
        right += isinstance(entries, list) and _place(entries, acted_on) <= 5
    score = min(right / 2, 1.0)
    return Case(
        name,
        score,
        "" if score == 1 else "two of three must have the cause among the first five",
        2.0,
    )


CHECKS: dict[str, CheckFunction] = {"insight": check_insight}

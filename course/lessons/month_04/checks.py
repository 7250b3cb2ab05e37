"""Hidden checks of month 4: features, templates, models and groups on telemetry never seen before."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import adjusted_rand_score, f1_score

from course import scoring
from course.lessons.checking import (
    Case,
    CheckFunction,
    Handle,
    Hidden,
    Student,
    StudentError,
    given,
    ramp,
    tried,
)
from course.shop.cases import STORES, IncidentCase, Stretch, elsewhere, stretches
from course.shop.causes import cause_cases, draw_causes
from course.shop.dialect import unseen_log
from course.shop.weeks import ServiceWeeks, service_weeks, under_way

_MINUTE = pd.Timedelta("1min")


def _start(rng: np.random.Generator) -> pd.Timestamp:
    return pd.Timestamp("2026-01-05", tz="UTC") + _MINUTE * int(rng.integers(200 * 1440))


def _two_parts(first: list[Case], second: list[Case], both: str) -> list[Case]:
    """A third of the points for each part, and a third for the product of their shares."""
    shares = [float(np.mean([case.score for case in part])) for part in (first, second)]
    cases = [
        replace(case, weight=5 / len(part)) for part in (first, second) for case in part
    ]  # fmt: skip
    together = float(np.prod(shares))
    message = (
        ""
        if together == 1
        else f"{shares[0]:.0%} of the first part and {shares[1]:.0%} of the second"
    )
    return [*cases, Case(both, together, message, 5.0)]


# ---------------------------------------------------------------- exercise 1


def check_leak_free(student: Student, hidden: Hidden) -> list[Case]:
    """Features and folds of unseen tables, each right in all places or not."""
    tables, rows = hidden.cached("tables", lambda: _leak_free(hidden.seed("leak-free")))
    features = [tried(_features, student, f"features of table {n + 1}", *one)
                for n, one in enumerate(tables)]  # fmt: skip
    folds = [tried(_folds, student, f"folds of table {n + 1}", *one) for n, one in enumerate(rows)]
    return _two_parts(features, folds, "features and folds")


def _leak_free(seed: int) -> tuple[list[Any], list[Any]]:
    """Tables with their features, and rows of a table with their folds."""
    rng = np.random.default_rng(seed)
    return [_draw_table(rng) for _ in range(6)], [_draw_rows(rng) for _ in range(6)]


def _draw_table(rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    minutes = int(rng.integers(200, 700))
    there = rng.random(minutes) > rng.uniform(0.02, 0.2)
    hole = int(rng.integers(20, minutes - 60))
    there[hole : hole + int(rng.integers(5, 50))] = False
    index = _start(rng) + _MINUTE * np.flatnonzero(there)
    names = [f"m{n}" for n in rng.choice(100, int(rng.integers(1, 4)), replace=False)]
    values = rng.normal(5, 2, (len(index), len(names)))
    values[rng.random(values.shape) < rng.uniform(0, 0.2)] = np.nan
    metrics = pd.DataFrame(values, pd.DatetimeIndex(index), names)
    lags = tuple(int(n) for n in rng.choice(np.arange(1, 40), 2, replace=False))
    windows = tuple(int(n) for n in rng.choice(np.arange(4, 61, 4), 2, replace=False))
    share = float(rng.choice([0.25, 0.5, 0.75, 1.0]))
    options = {"lags": lags, "windows": windows, "min_share": share}
    return metrics, options, _lag_features(metrics, lags, windows, share)


def _features(
    student: Student, name: str, metrics: pd.DataFrame, options: dict[str, Any],
    wanted: pd.DataFrame,
) -> Case:  # fmt: skip
    found = student.call("lag_features", metrics, timeout=5, **options)
    if not isinstance(found, pd.DataFrame) or not found.index.equals(metrics.index):
        return Case(name, 0.0, "lag_features must return a DataFrame on the index of its input")
    if set(found.columns) != set(wanted.columns) or len(found.columns) != len(wanted.columns):
        return Case(name, 0.0, f"the columns are {sorted(map(str, found.columns))[:6]}, ...")
    for column in wanted:
        have = pd.to_numeric(found[column], errors="coerce").to_numpy(dtype=float)
        right = np.isclose(have, wanted[column], rtol=1e-9, atol=1e-9, equal_nan=True)
        if not right.all():
            place = int(np.argmin(right))
            message = (f"{(~right).sum()} of {len(right)} values of {column} differ, the first at "
                       f"{metrics.index[place]}; min_share={options['min_share']}")  # fmt: skip
            return Case(name, 0.0, message)
    return Case(name, 1.0)


def _lag_features(
    metrics: pd.DataFrame, lags: Sequence[int], windows: Sequence[int], share: float
) -> pd.DataFrame:
    """The features on a grid of all minutes, by hand."""
    at = np.asarray((metrics.index - metrics.index[0]) // _MINUTE)
    found = {}
    for name in metrics:
        grid = np.full(at[-1] + 1, np.nan)
        grid[at] = metrics[name]
        for lag in lags:
            found[f"{name}_lag{lag}"] = [grid[t - lag] if t >= lag else np.nan for t in at]
        for window in windows:
            means = []
            for t in at:
                inside = grid[max(t - window + 1, 0) : t + 1]
                inside = inside[~np.isnan(inside)]
                means.append(inside.mean() if len(inside) >= max(share * window, 1) else np.nan)
            found[f"{name}_mean{window}"] = means
            found[f"{name}_rise{window}"] = metrics[name].to_numpy() - means
    return pd.DataFrame(found, metrics.index, dtype=float)


_Folds = list[tuple[list[int], list[int]]]


def _draw_rows(
    rng: np.random.Generator,
) -> tuple[pd.DatetimeIndex, np.ndarray, dict[str, Any], _Folds]:
    distinct = int(rng.integers(60, 160))
    step, services = int(rng.choice([1, 5, 10])), int(rng.integers(1, 5))
    starts = np.sort(rng.choice(np.arange(3 * distinct), distinct, replace=False))
    times = np.tile(starts, services)
    sessions = np.full(len(times), -1)
    for number in range(int(rng.integers(6, 14))):
        first, length = int(rng.integers(distinct)), int(rng.integers(2, distinct // 4))
        place = int(rng.integers(services)) * distinct
        sessions[place + first : place + min(first + length, distinct)] = 7 * number + 3
    keep = rng.permutation(len(times))[: int(rng.uniform(0.7, 1) * len(times))]
    index = pd.DatetimeIndex(_start(rng) + _MINUTE * step * times[keep])
    n_folds = int(rng.integers(2, 6))
    # A horizon that ends exactly at the seam for some rows: "before" must not be "until".
    horizon = step * int(rng.integers(2, 12))
    options = {"n_folds": n_folds, "horizon": f"{horizon}min"}
    wanted = _time_folds(times[keep] * step, sessions[keep], n_folds, horizon)
    return index, sessions[keep], options, wanted


def _folds(
    student: Student, name: str, index: pd.DatetimeIndex, sessions: np.ndarray,
    options: dict[str, Any], wanted: _Folds,
) -> Case:  # fmt: skip
    found = student.call("time_folds", index, sessions, timeout=5, **options)
    if not isinstance(found, list | tuple) or len(found) != len(wanted):
        return Case(name, 0.0, f"time_folds must return a list of {len(wanted)} pairs")
    for number, (pair, (train, test)) in enumerate(zip(found, wanted, strict=True)):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return Case(name, 0.0, f"fold {number + 1} is no pair (train, test)")
        for part, have, want in (("train", pair[0], train), ("test", pair[1], test)):
            if not _whole(have):
                return Case(name, 0.0, f"{part} of fold {number + 1} must be an array of int")
            if np.asarray(have).tolist() != want:
                message = (f"{part} of fold {number + 1} holds {len(have)} rows, expected "
                           f"{len(want)}, or others, or in another order")  # fmt: skip
                return Case(name, 0.0, message)
    return Case(name, 1.0)


def _whole(values: Any) -> bool:
    """Whether these are whole numbers in a flat array or list."""
    if isinstance(values, np.ndarray):
        return (values.ndim == 1 and values.dtype.kind in "iu") or values.size == 0
    return isinstance(values, list) and all(type(value) is int for value in values)


def _time_folds(minutes: np.ndarray, sessions: np.ndarray, n_folds: int, horizon: int) -> _Folds:
    blocks = np.array_split(np.unique(minutes), n_folds + 1)
    folds = []
    for block in blocks[1:]:
        test = [row for row, minute in enumerate(minutes) if block[0] <= minute <= block[-1]]
        seen = {int(sessions[row]) for row in test} - {-1}
        train = [row for row, minute in enumerate(minutes)
                 if minute + horizon < block[0] and int(sessions[row]) not in seen]  # fmt: skip
        folds.append((train, test))
    return folds


# ---------------------------------------------------------------- exercise 2

_SYLLABLES = [
    c + v for c in "bcdfghjklmnprstvz" for v in ("a", "e", "i", "o", "an", "er", "il", "or")
]
_PARSED = (0.80, 0.95)


def _vocabulary(rng: np.random.Generator, n: int) -> list[str]:
    """Words that no list holds."""
    found: dict[str, None] = {}
    while len(found) < n:
        found["".join(rng.choice(_SYLLABLES, int(rng.integers(2, 5))))] = None
    return list(found)


def check_templates(student: Student, hidden: Hidden) -> list[Case]:
    """Rules of `mine` on lists full of edges; groups of `parse` on logs of words that are no words."""
    drawn = hidden.cached("lists", lambda: _lists(hidden.seed("templates")))
    lists = [tried(_mined, student, f"list {n + 1}", *one, weight=7 / len(drawn))
             for n, one in enumerate(drawn)]  # fmt: skip
    right = float(np.mean([case.score for case in lists]))

    def make() -> list[pd.DataFrame]:
        own = np.random.default_rng(hidden.seed("logs"))
        logs = []
        for _ in range(4):
            words = _vocabulary(own, 200)
            seed = int(own.integers(2**60))
            logs.append(unseen_log(seed, lines=1500, words=words[:150], names=words[150:]))
        return logs

    logs = hidden.cached("logs", make)
    cases = lists
    try:
        scores = [_parsed(student, log) for log in logs]
    except StudentError as error:
        return [*cases, Case("unseen logs", 0.0, str(error), 8.0)]
    mean = float(np.mean(scores))
    message = "" if mean >= _PARSED[1] else f"mean of GA and FGA {mean:.2f}"
    parsed = Case("unseen logs", ramp(mean, *_PARSED), message, 8.0, mean, *_PARSED)
    return [*cases, given(parsed, right, "the lists of mine are")]


def _parsed(student: Student, log: pd.DataFrame) -> float:
    found = student.call("parse", log["message"].tolist(), timeout=5)
    if not isinstance(found, list) or len(found) != len(log):
        raise StudentError("parse must return a list with a group for each line")
    if not all(type(group) in (int, str) for group in found):
        raise StudentError("parse must return int or str as groups")
    scores = scoring.parsing_scores(log["statement"], found)
    return (scores.ga + scores.fga) / 2


def _lists(seed: int) -> list[tuple[list[str], int, float, list[int], list[str]]]:
    """Lines and settings, with the groups and templates that are right."""
    rng = np.random.default_rng(seed)
    found = []
    for size in (60, 90, 120, 200, 300, 1500):
        while True:
            messages, prefix, similarity = _lines(rng, size)
            groups, templates = _mine(messages, prefix, similarity)
            # A list on which two likely mistakes would not show is drawn anew.
            mistakes = ({"newest": True}, {"eroding": True})
            if all(_mine(messages, prefix, similarity, **one)[0] != groups for one in mistakes):
                break
        found.append((messages, prefix, similarity, groups, templates))
    return found


def _mined(
    student: Student, name: str, messages: list[str], prefix: int, similarity: float,
    groups: list[int], templates: list[str],
) -> Case:  # fmt: skip
    size = len(messages)
    found = student.call("mine", messages, prefix=prefix, similarity=similarity, timeout=5)
    if not isinstance(found, pd.DataFrame) or not {"group", "template"} <= set(found.columns):
        return Case(name, 0.0, "mine must return a DataFrame with the columns group and template")
    if len(found) != size:
        return Case(name, 0.0, f"{size} lines, but {len(found)} rows")
    for column, wanted in (("group", groups), ("template", templates)):
        have = found[column].tolist()
        if have != wanted:
            place = next(p for p in range(size) if have[p] != wanted[p])
            message = (f"{column} of line {place + 1} of {size} is {have[place]!r:.80}; "
                       f"prefix={prefix}, similarity={similarity:.2f}")  # fmt: skip
            return Case(name, 0.0, message)
    return Case(name, 1.0)


def _lines(rng: np.random.Generator, size: int) -> tuple[list[str], int, float]:
    """Lines of a few words that often differ in one, and settings."""
    words = [*_vocabulary(rng, 6), "<*>", "<*>", f"v{rng.integers(10)}", str(rng.integers(10, 99))]
    kinds = [[str(w) for w in rng.choice(words, int(rng.integers(1, 9)))] for _ in range(12)]
    messages = []
    for _ in range(size):
        line = list(kinds[int(rng.integers(len(kinds)))])
        for place in range(len(line)):
            if rng.random() < 0.25:
                line[place] = str(rng.choice(words))
        # Some lines hold more than one blank between two words.
        messages.append((" " if rng.random() < 0.9 else "  ").join(line))
    similarity = float(rng.choice([0.25, 0.5, 0.75, *rng.uniform(0.3, 0.7, 3)]))
    return messages, int(rng.integers(0, 4)), similarity


def _mine(
    messages: list[str], prefix: int, similarity: float, *, newest: bool = False,
    eroding: bool = False,
) -> tuple[list[int], list[str]]:  # fmt: skip
    """Groups and templates by the rules; with a mistake, if asked for one."""
    templates: list[list[str]] = []
    born: list[int] = []
    leaves: dict[tuple[Any, ...], list[int]] = {}
    groups = []
    for message in messages:
        words = message.split()
        opening = ["<*>" if any("0" <= c <= "9" for c in w) else w for w in words[:prefix]]
        leaf = leaves.setdefault((len(words), *opening), [])
        chosen, best = -1, -1.0
        for group in leaf:
            template = templates[group]
            alike = sum(a == b and a != "<*>" for a, b in zip(template, words, strict=True))
            size = sum(a != "<*>" for a in template) if eroding else born[group]
            share = alike / size if size else 1.0
            if share >= similarity and (share > best or (newest and share == best)):
                chosen, best = group, share
        if chosen < 0:
            chosen = len(templates)
            leaf.append(chosen)
            templates.append(list(words))
            born.append(sum(word != "<*>" for word in words))
        templates[chosen] = [
            a if a == b else "<*>" for a, b in zip(templates[chosen], words, strict=True)
        ]
        groups.append(chosen)
    return groups, [" ".join(templates[group]) for group in groups]


# ---------------------------------------------------------------- exercise 3

_KNOWN = ("checkout", "payment", "account", "inventory")
_STRANGERS = ("storefront", "search", "catalog", "recommendation", "cart", "pricing", "shipping")
_HOUSES, _CAUSES_A_HOUSE, _KNOWN_CASES, _STRANGE_CASES = 3, 7, 112, 105
_MACRO_F1 = (0.80, 0.86)


def check_incident_kind(student: Student, hidden: Hidden) -> list[Case]:
    """Macro-F1 on causes never seen at services never seen, and the same answers in other company."""
    houses = hidden.cached("houses", lambda: _houses(hidden.seed("houses")))
    rng = np.random.default_rng(hidden.seed("company"))
    reached = []
    for known, strange in houses:
        kinds = [case.kind for case in known]
        windows = [case.metrics for case in strange]
        model = student.keep("fit_classifier", [case.metrics for case in known], kinds, timeout=20)
        found = student.call("classify", model, windows, timeout=20)
        if not _names(found, len(windows)):
            return [Case("kinds", 0.0, "classify must return a list of str, a kind a window")]
        order = rng.permutation(len(windows))[: int(rng.integers(20, 40))].tolist()
        again = student.call("classify", model, [windows[place] for place in order], timeout=20)
        if again != [found[place] for place in order]:
            return [Case("kinds", 0.0, "asked among fewer windows, some get another kind: an answer "
                         "must not depend on the company it is asked in")]  # fmt: skip
        truth = [case.kind for case in strange]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            score = f1_score(
                truth, found, labels=sorted(set(truth)), average="macro", zero_division=0
            )
        reached.append(float(score))
    macro = float(np.mean(reached))
    message = "" if macro >= _MACRO_F1[1] else f"mean macro-F1 {macro:.2f}"
    return [Case("kinds", ramp(macro, *_MACRO_F1), message, 1.0, macro, *_MACRO_F1)]


def _houses(seed: int) -> list[tuple[list[IncidentCase], list[IncidentCase]]]:
    """Incidents to learn from and to be judged on, of several houses with causes of their own."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_HOUSES):
        causes = draw_causes(_CAUSES_A_HOUSE, int(rng.integers(2**60)))
        known, strange = (
            cause_cases(n, int(rng.integers(2**60)), services=services, causes=causes,
                        severity=(0.2, 0.7))
            for n, services in ((_KNOWN_CASES, _KNOWN), (_STRANGE_CASES, _STRANGERS))
        )  # fmt: skip
        found.append((known, elsewhere(strange, int(rng.integers(2**60)))))
    return found


def _names(found: Any, length: int) -> bool:
    return (
        isinstance(found, list) and len(found) == length and all(type(one) is str for one in found)
    )


# ---------------------------------------------------------------- exercise 4

_SLOW, _SUDDEN = ("memory_leak", "disk_full"), ("network_loss", "retry_storm", "bad_deploy")
_EARLIER = ("checkout", "payment", "search", "account", "shipping", "catalog-db")
_LATER = ("gateway", "storefront", "recommendation", "orders-db", "cart", "inventory")
_USED = [*STORES, "cpu_utilization", "pool_utilization"]
_RANKS = (0.3, 0.7)  # of the way from the best rival to the bare division
_ECE, _SKILL, _COST = (0.05, 0.025), (0.10, 0.18), (1.0, 0.85)


def check_breach_risk(student: Student, hidden: Hidden) -> list[Case]:
    """Labels of unseen series; ranks, probabilities and costs at services never seen."""
    rng = np.random.default_rng(hidden.seed("breach-risk"))
    labels = [tried(_labelled, student, f"labels of series {n + 1}", rng, n) for n in range(6)]
    cases = [replace(case, weight=0.5) for case in labels]
    right = float(np.mean([case.score for case in cases]))
    past, future = hidden.cached("stretches", lambda: _stretches(hidden))
    try:
        rated = _risks(student, past, future, rng)
    except StudentError as error:
        return [*cases, Case("ranks, probabilities and costs", 0.0, str(error), 12.0)]
    rivals = hidden.cached("rivals of risk", lambda: _risk_rivals(past, future))
    truth, slow = hidden.cached("truth of risk", lambda: _known(future))
    known = ~np.isnan(truth)
    ranked = known & slow
    reached = scoring.average_precision(truth[ranked] == 1, rated[ranked])
    foot, top = rivals["foot"], rivals["top"]
    message = "" if reached >= top else f"PR-AUC {reached:.2f}, points from {foot:.2f} to {top:.2f}"
    ranks = Case("ranks", ramp(reached, foot, top), message, 4.0, reached, foot, top)
    ranks = given(ranks, right, "the labels are")
    hits, said = truth[known] == 1, rated[known]
    ece = scoring.expected_calibration_error(hits, said)
    skill = 1 - scoring.brier_score(hits, said) / (hits.mean() * (1 - hits.mean()))
    calibrated = min(ramp(ece, *_ECE), ramp(skill, *_SKILL))
    message = "" if calibrated == 1 else f"ECE {ece:.3f}, Brier skill {skill:.2f}"
    calibration = Case("calibration", calibrated, message, 4.0, ece, *_ECE)
    ratios = {
        miss: scoring.cost(
            hits, said >= scoring.threshold_from_costs(1, miss), false_alarm=1, miss=miss
        ) / rivals["costs"][miss]
        for miss in rivals["costs"]
    }  # fmt: skip
    worst = max(ratios.values())
    message = "" if worst <= _COST[1] else f"{worst:.2f} times the cost of the cheapest rival"
    costs = Case("costs", ramp(worst, *_COST), message, 4.0, worst, *_COST)
    what = "the ranks are"
    return [*cases, ranks, given(calibration, ranks.score, what), given(costs, ranks.score, what)]


def _labelled(student: Student, name: str, rng: np.random.Generator, number: int) -> Case:
    length, horizon = int(rng.integers(60, 300)), int(rng.integers(5, 25))
    errors = rng.uniform(0, 0.012, length)
    for _ in range(int(rng.integers(1, 4))):
        begin = int(rng.integers(0, length - 10))
        errors[begin : begin + int(rng.integers(1, 25))] += rng.uniform(0.03, 0.3)
    if number == 0:
        # Not a single minute in breach.
        errors = rng.uniform(0, 0.012, length)
    if number == 1:
        # Broken from the first minute on.
        errors[:3] += 0.1
    errors[rng.random(length) < 0.08] = np.nan
    if number == 2:
        # Seven minutes in which nothing was recorded: for a while there is no mean.
        hole = int(rng.integers(20, length - 20))
        errors[hole : hole + 7] = np.nan
    series = pd.Series(errors, pd.date_range(_start(rng), periods=length, freq="min"))
    found = student.call("breach_labels", series, horizon=horizon, timeout=30)
    if not isinstance(found, pd.Series) or not found.index.equals(series.index):
        return Case(name, 0.0, "breach_labels must return a Series on the index of its input")
    wanted = _breach_labels(series.to_numpy(), horizon)
    have = pd.to_numeric(found, errors="coerce").to_numpy(dtype=float)
    right = np.isclose(have, wanted, equal_nan=True)
    if right.all():
        return Case(name, 1.0)
    message = (f"{(~right).sum()} of {length} labels differ, the first in minute "
               f"{int(np.argmin(right)) + 1}; horizon={horizon}")  # fmt: skip
    return Case(name, 0.0, message)


def _breach_labels(errors: np.ndarray, horizon: int = 15) -> np.ndarray:
    breach = np.zeros(len(errors), dtype=bool)
    for minute in range(len(errors)):
        last = errors[max(minute - 4, 0) : minute + 1]
        last = last[~np.isnan(last)]
        breach[minute] = len(last) > 0 and last.mean() > 0.02
    labels = np.full(len(errors), np.nan)
    for minute in np.flatnonzero(~breach).tolist():
        ahead = breach[minute + 1 : minute + 1 + horizon]
        if ahead.any() or len(ahead) == horizon:
            labels[minute] = float(ahead.any())
    return labels


def _stretches(hidden: Hidden) -> tuple[list[Stretch], list[Stretch]]:
    options: dict[str, Any] = {
        "kinds": _SLOW + _SUDDEN, "minutes": 200, "severity": (0.15, 1.0), "room": (0.003, 1.0),
    }  # fmt: skip
    past = stretches(120, hidden.seed("past"), services=_EARLIER, **options)
    return past, stretches(160, hidden.seed("future"), services=_LATER, **options)


def _known(future: list[Stretch]) -> tuple[np.ndarray, np.ndarray]:
    """The label of each minute, and whether its stretch has no sudden fault."""
    labels = [_breach_labels(stretch.metrics["error_ratio"].to_numpy()) for stretch in future]
    slow = [np.full(len(one.metrics), one.kind not in _SUDDEN) for one in future]
    return np.concatenate(labels), np.concatenate(slow)


def _risks(
    student: Student, past: list[Stretch], future: list[Stretch], rng: np.random.Generator
) -> np.ndarray:
    """The probabilities of all minutes; raise if they are none, or look ahead."""
    model = student.keep("fit_risk", [stretch.metrics for stretch in past], timeout=30)
    frames = [stretch.metrics for stretch in future]
    found = student.call("risk", model, frames, timeout=30)
    _probable(found, frames)
    some = rng.choice(len(frames), 12, replace=False).tolist()
    cut = [frames[place].iloc[: int(rng.integers(60, 190))] for place in some]
    early = student.call("risk", model, cut, timeout=30)
    _probable(early, cut)
    for number, part in zip(some, early, strict=True):
        if not np.allclose(part, found[number].iloc[: len(part)], rtol=0, atol=1e-6):
            raise StudentError("the risk of a minute changes when later minutes are cut off, "
                               "or when it is asked among other frames")  # fmt: skip
    return np.concatenate(found)


def _probable(found: Any, frames: list[pd.DataFrame]) -> None:
    if not isinstance(found, list) or len(found) != len(frames):
        raise StudentError("risk must return a list of Series, one a frame")
    for one, frame in zip(found, frames, strict=True):
        if not isinstance(one, pd.Series) or not one.index.equals(frame.index):
            raise StudentError("each Series of risk must be on the index of its frame")
        if one.dtype.kind != "f" or not one.between(0, 1).all():
            raise StudentError("risk must give a probability from 0 to 1 for every minute")


def _risk_rivals(past: list[Stretch], future: list[Stretch]) -> dict[str, Any]:
    """What a line on the utilisation, trees on raw metrics, and the bare division reach."""
    truth, slow = _known(future)
    known = ~np.isnan(truth)
    ranked = known & slow
    hits = truth[ranked] == 1
    used = np.concatenate([s.metrics[_USED].max(axis=1).ffill() for s in future])
    learned, _ = _known(past)
    usable = ~np.isnan(learned)
    rivals = [used[ranked]]
    for lags in ((), (10,), (5, 10, 20)):
        table, asked = (
            np.vstack([_raw(s.metrics, lags) for s in group]) for group in (past, future)
        )
        trees = _trees().fit(table[usable], learned[usable])
        rivals.append(trees.predict_proba(asked)[ranked, 1])
    best = max(scoring.average_precision(hits, rival) for rival in rivals)
    division = np.concatenate([_share_a_minute(s.metrics[STORES]) for s in future])
    bare = scoring.average_precision(hits, division[ranked])
    costs = {}
    hits, used = truth[known] == 1, used[known]
    for miss in (5, 10):
        lines = np.unique(np.quantile(used, np.linspace(0.5, 1, 60)))
        with_line = [scoring.cost(hits, used >= x, false_alarm=1, miss=miss) for x in lines]
        costs[miss] = min(miss * hits.mean(), 1 - hits.mean(), *with_line)
    foot, top = (best + share * (bare - best) for share in _RANKS)
    return {"foot": foot, "top": top, "costs": costs}


def _raw(frame: pd.DataFrame, lags: Sequence[int]) -> np.ndarray:
    """The metrics as they are, and their differences over some minutes."""
    frame = frame.ffill().fillna(0)
    return np.hstack([frame, *[frame.diff(lag).fillna(0) for lag in lags]])


def _share_a_minute(stores: pd.DataFrame, minutes: int = 10) -> pd.Series:
    """Share of what is left that goes each minute, by the pace of the last ten."""
    pace = stores.ffill().diff(minutes) / minutes
    return (pace / (1 - stores.ffill()).clip(lower=1e-4)).max(axis=1).fillna(0)


def _trees(**options: Any) -> HistGradientBoostingClassifier:
    usual = {"max_iter": 80, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 40,
             "l2_regularization": 1.0, "random_state": 0}  # fmt: skip
    return HistGradientBoostingClassifier(**{**usual, **options})


# ---------------------------------------------------------------- exercise 5

_RAND = (0.60, 0.80)


def check_patterns(student: Student, hidden: Hidden) -> list[Case]:
    """Groups of unseen incidents beside their kinds; matrix profiles, each value right or not."""
    sets = hidden.cached("sets", lambda: _sets(hidden.seed("sets")))
    try:
        groups = [_grouped(student, cases) for cases in sets]
    except StudentError as error:
        clusters = Case("groups", 0.0, str(error))
    else:
        mean = float(np.mean(groups))
        message = "" if mean >= _RAND[1] else f"mean adjusted Rand index {mean:.2f}"
        clusters = Case("groups", ramp(mean, *_RAND), message, 1.0, mean, *_RAND)
    series = hidden.cached("series", lambda: _series(hidden.seed("profiles")))
    profiles = [tried(_profiled, student, f"matrix profile {n + 1}", *one)
                for n, one in enumerate(series)]  # fmt: skip
    return _two_parts([clusters], profiles, "groups and profiles")


def _sets(seed: int) -> list[list[IncidentCase]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(6):
        n, number = int(rng.integers(60, 121)), int(rng.integers(3, 6))
        causes = draw_causes(number, int(rng.integers(2**60)), harmless=False)
        cases = cause_cases(
            n, int(rng.integers(2**60)), services=_KNOWN + _STRANGERS, causes=causes
        )
        found.append(elsewhere(cases, int(rng.integers(2**60))))
    return found


def _grouped(student: Student, cases: list[IncidentCase]) -> float:
    found = student.call("cluster_incidents", [case.metrics for case in cases], timeout=15)
    if not isinstance(found, list) or len(found) != len(cases):
        raise StudentError("cluster_incidents must return a list, a group a window")
    if not all(type(group) is int for group in found):
        raise StudentError("cluster_incidents must return int as groups")
    return float(adjusted_rand_score([case.kind for case in cases], found))


def _series(seed: int) -> list[tuple[np.ndarray, int, np.ndarray]]:
    """Series and lengths of a window, with the distances that are right."""
    rng = np.random.default_rng(seed)
    drawn = [_draw_series(rng, number) for number in range(6)]
    return [(values, m, _nearest(values, m)) for values, m in drawn]


def _draw_series(rng: np.random.Generator, number: int) -> tuple[np.ndarray, int]:
    n, m = int(rng.integers(300, 1200)), int(rng.integers(8, 60))
    if number == 5:
        n = 2500
    values = rng.normal(size=n).cumsum() * 0.3 + 100 * rng.random()
    shape = rng.normal(size=m).cumsum()
    for place in rng.choice(n - m, 3, replace=False).tolist():
        values[place : place + m] = shape * rng.uniform(0.5, 4) + rng.normal(0, 0.02, m)
    if number % 3 != 0:
        hole = int(rng.integers(0, n - 3))
        values[hole : hole + int(rng.integers(1, 4))] = np.nan
    if number % 3 != 1:
        flat = int(rng.integers(0, n - 2 * m))
        values[flat : flat + m + int(rng.integers(1, m))] = float(rng.integers(1, 9))
    if number == 4:
        # Hardly two windows that do not overlap.
        m, values = 20, values[: int(rng.integers(41, 52))]
        values[np.isnan(values)] = 0.5
        values += rng.normal(size=len(values))
    return values, m


def _profiled(student: Student, name: str, values: np.ndarray, m: int, nearest: np.ndarray) -> Case:
    found = student.call("matrix_profile", values, m, timeout=15)
    if not isinstance(found, list | tuple) or len(found) != 2:
        return Case(name, 0.0, "matrix_profile must return two arrays")
    distance, neighbour = (np.asarray(one) for one in found)
    length = len(values) - m + 1
    if distance.shape != (length,) or neighbour.shape != (length,):
        return Case(name, 0.0, f"both arrays must have n - m + 1 = {length} entries")
    if distance.dtype.kind != "f" or neighbour.dtype.kind not in "iu":
        return Case(name, 0.0, "distances must be float, neighbours int")
    none = ~np.isfinite(nearest)
    wrong = none != np.isnan(distance)
    wrong |= none != (neighbour == -1)
    wrong |= (neighbour < -1) | (neighbour >= length)
    rows = np.flatnonzero(~wrong & ~none)
    wrong[rows] |= np.abs(distance[rows] - nearest[rows]) > 1e-4
    # Of equally near ones any will do.
    shapes, usable = _shapes(values, m)
    chosen = neighbour[rows]
    between = _between((shapes[rows] * shapes[chosen]).sum(axis=1), m)
    wrong[rows] |= (between > nearest[rows] + 1e-4) | ~usable[chosen] | (np.abs(rows - chosen) < m)
    if not wrong.any():
        return Case(name, 1.0)
    message = (f"{wrong.sum()} of {length} windows differ, the first is number "
               f"{int(np.argmax(wrong))}; n={len(values)}, m={m}")  # fmt: skip
    return Case(name, 0.0, message)


def _shapes(values: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows scaled to mean 0 and spread 1, and which of them have a shape."""
    windows = np.lib.stride_tricks.sliding_window_view(values, m)
    spread = windows.std(axis=1)
    usable = spread >= 1e-9
    shapes = np.zeros(windows.shape)
    centred = windows[usable] - windows[usable].mean(axis=1, keepdims=True)
    shapes[usable] = centred / spread[usable, None]
    return shapes, usable


def _between(products: np.ndarray, m: int) -> np.ndarray:
    """Distances of shapes from their scalar products."""
    return np.sqrt(np.maximum(2 * m - 2 * products, 0))


def _nearest(values: np.ndarray, m: int) -> np.ndarray:
    """Distance of each window to the nearest that counts, infinite where there is none."""
    shapes, usable = _shapes(values, m)
    found = _between(shapes @ shapes.T, m)
    place = np.arange(len(shapes))
    found[np.abs(place[:, None] - place) < m] = np.inf
    found[~usable] = np.inf
    found[:, ~usable] = np.inf
    return found.min(axis=1)


# ---------------------------------------------------------------- exercise 6

_TEAM = ("checkout", "payment", "inventory", "search", "cart", "account", "storefront", "catalog")
_CAUSES = ("cpu_saturation", "memory_leak", "pool_exhaustion", "network_delay", "network_loss",
           "bad_deploy")  # fmt: skip
_FACTS = ("trained_from", "trained_to", "rows", "base_rate", "trivial_pr_auc")
_PAGING = (0.7, 0.5)


def check_milestone(student: Student, hidden: Hidden) -> list[Case]:
    """PR-AUC and cost on two weeks to come, a card that tells the truth, a model that is kept."""
    weeks = hidden.cached("weeks", lambda: _weeks(hidden.seed("weeks")))
    times = weeks.slots.index.get_level_values("time")
    until = times.min() + pd.Timedelta("42D")
    early = np.asarray(times < until)
    slots = weeks.slots[early]
    incidents = weeks.incidents[weeks.incidents["start"] < until].reset_index(drop=True)
    truth = under_way(weeks.slots.index, weeks.incidents)
    model = student.keep("train", slots, incidents, timeout=40)
    live = weeks.slots[np.asarray(times >= until - pd.Timedelta("1D"))]
    scored = np.asarray(live.index.get_level_values("time") >= until)
    said = _said(student, model, live)
    rng = np.random.default_rng(hidden.seed("cut"))
    stop = until + pd.Timedelta("15min") * int(rng.integers(130, 1200))
    before = np.asarray(live.index.get_level_values("time") < stop)
    if not np.allclose(_said(student, model, live[before]), said[before], rtol=0, atol=1e-6):
        return [Case("two weeks", 0.0, "probabilities change when later slots are cut off: a "
                     "feature looks ahead, or takes from another service")]  # fmt: skip
    rivals = hidden.cached("rivals of the milestone", lambda: _slot_rivals(weeks))
    hits, said = truth[~early], said[scored]
    reached = scoring.average_precision(hits, said)
    foot, top = rivals["foot"], rivals["top"]
    message = "" if reached >= top else f"PR-AUC {reached:.2f}, points from {foot:.2f} to {top:.2f}"
    ranks = Case("two weeks", ramp(reached, foot, top), message, 11.0, reached, foot, top)
    what = "the ranks are"
    if ranks.score == 0:
        return [ranks, given(Case("cost, card and saving", 1.0, weight=14.0), 0.0, what)]
    card = student.call("model_card", model, slots, incidents, timeout=40)
    if not isinstance(card, dict):
        return [ranks, Case("card", 0.0, "model_card must return a dict", 14.0)]
    facts = given(_facts(card, slots, truth[early]), ranks.score, what)
    honest = _honest(student, card, slots, incidents, truth[early])
    cost = given(_paging(card, hits, said, rivals["cost"]), ranks.score, what)
    saving = given(_saved(student, model, card, live), ranks.score, what)
    # A card that promises what the model does not hold makes the whole delivery worth half.
    cases = [ranks, cost, facts, saving]
    return [given(case, 0.5 + 0.5 * honest.score, "the card's pr_auc is") for case in cases] + [
        replace(honest, weight=0.0)
    ]


def _weeks(seed: int) -> ServiceWeeks:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2025-09-01", tz="UTC") + pd.Timedelta(days=int(rng.integers(300)))
    return service_weeks(
        int(rng.integers(2**60)), start=start, services=_TEAM, kinds=_CAUSES, per_week=3.0,
        severity=(0.15, 0.7),
    )  # fmt: skip


def _said(student: Student, model: Handle, slots: pd.DataFrame) -> np.ndarray:
    found = student.method(model, "predict_proba", slots, timeout=40)
    if not isinstance(found, np.ndarray) or found.shape != (len(slots), 2):
        raise StudentError("predict_proba must return an array with a row a slot and two columns")
    if found.dtype.kind != "f" or not ((found >= 0) & (found <= 1)).all():
        raise StudentError("predict_proba must give probabilities from 0 to 1")
    return found[:, 1]


def _slot_rivals(weeks: ServiceWeeks) -> dict[str, float]:
    """What trees on raw slots reach, with and without the service, and the largest z-score."""
    names = weeks.slots.index.get_level_values(0)
    times = weeks.slots.index.get_level_values(1)
    early = np.asarray(times < times.min() + pd.Timedelta("42D"))
    truth = under_way(weeks.slots.index, weeks.incidents)
    hits, raw = truth[~early], weeks.slots
    options = {"max_iter": 150, "learning_rate": 0.06, "max_leaf_nodes": 15, "min_samples_leaf": 30}
    reached = []
    for table, extra in (
        (raw, {}),
        (raw.assign(service=pd.Categorical(names).codes), {"categorical_features": ["service"]}),
    ):
        trees = _trees(**options, **extra).fit(table[early], truth[early])
        reached.append(scoring.average_precision(hits, trees.predict_proba(table[~early])[:, 1]))
    usual = raw[early].groupby(level=0).agg(["mean", "std"]).reindex(names)
    mean, spread = (usual.xs(part, axis=1, level=1).to_numpy() for part in ("mean", "std"))
    largest = ((raw.to_numpy() - mean) / (spread + 1e-9)).max(axis=1)
    reached.append(scoring.average_precision(hits, largest[~early]))
    errors = raw["error_ratio"].to_numpy()[~early]
    lines = np.unique(np.quantile(errors, 1 - np.geomspace(1e-3, 0.5, 60)))
    costs = [scoring.cost(hits, errors >= line, false_alarm=1, miss=10) for line in lines]
    foot = max(reached)
    return {"foot": foot, "top": foot + 0.2 * (1 - foot),
            "cost": min(10 * hits.mean(), 1 - hits.mean(), *costs)}  # fmt: skip


def _facts(card: dict[str, Any], slots: pd.DataFrame, truth: np.ndarray) -> Case:
    times = slots.index.get_level_values(1)
    sixth = np.asarray(times >= times.max() + pd.Timedelta("15min") - pd.Timedelta("7D"))
    wanted: dict[str, Any] = {
        "trained_from": times.min().isoformat(), "trained_to": times.max().isoformat(),
        "rows": len(slots), "base_rate": float(truth[sixth].mean()),
        "trivial_pr_auc": scoring.average_precision(truth[sixth], slots["error_ratio"][sixth]),
    }  # fmt: skip
    wrong = [key for key in _FACTS if not _same(card.get(key), wanted[key])]
    limits = card.get("limits")
    if not (
        isinstance(limits, list)
        and len(set(map(str, limits))) >= 2
        and all(type(one) is str and len(one.strip()) >= 20 for one in limits)
    ):
        wrong.append("limits")
    message = f"not as asked: {', '.join(wrong)}" if wrong else ""
    return Case("facts of the card", 1 - len(wrong) / (len(_FACTS) + 1), message, 6.0)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float):
        return type(found) in (int, float) and abs(found - wanted) <= 1e-6
    return type(found) is type(wanted) and found == wanted


def _honest(
    student: Student, card: dict[str, Any], slots: pd.DataFrame, incidents: pd.DataFrame,
    truth: np.ndarray,
) -> Case:  # fmt: skip
    """Is `pr_auc` what a model of the first five weeks reaches in the sixth?"""
    times = slots.index.get_level_values(1)
    sixth = np.asarray(times >= times.max() + pd.Timedelta("15min") - pd.Timedelta("7D"))
    promised = card.get("pr_auc")
    name = "what the card promises"
    if promised is None or type(promised) not in (int, float):
        return Case(name, 0.0, "pr_auc must be a number")
    begun = incidents[incidents["start"] <= times[~sixth].max()].reset_index(drop=True)
    model = student.keep("train", slots[~sixth], begun, timeout=40)
    measured = scoring.average_precision(truth[sixth], _said(student, model, slots)[sixth])
    right = abs(promised - measured) <= 0.005
    message = f"pr_auc is {promised:.2f}, in the sixth week it is {measured:.2f}"
    return Case(name, float(right), "" if right else message)


def _paging(card: dict[str, Any], hits: np.ndarray, said: np.ndarray, cheapest: float) -> Case:
    threshold = card.get("threshold")
    if type(threshold) not in (int, float):
        return Case("cost of paging", 0.0, "threshold must be a number", 4.0)
    ratio = scoring.cost(hits, said >= threshold, false_alarm=1, miss=10) / cheapest
    message = "" if ratio <= _PAGING[1] else f"{ratio:.2f} times the cost of the cheapest rival"
    return Case("cost of paging", ramp(ratio, *_PAGING), message, 4.0, ratio, *_PAGING)


def _saved(student: Student, model: Handle, card: dict[str, Any], live: pd.DataFrame) -> Case:
    """Save, and load in a kernel that has run the notebook's cells and nothing else."""
    some = live.groupby(level=0, sort=False).head(300)
    try:
        before = _said(student, model, some)
        student.call("save", model, card, "kept/model", timeout=40)
        student.kill()
        again = student.call("read_card", "kept/model", timeout=40)
        after = _said(student, student.keep("load", "kept/model", timeout=40), some)
    except StudentError as error:
        return Case("saved and loaded", 0.0, str(error), 4.0)
    if not np.allclose(before, after, rtol=0, atol=1e-9):
        return Case("saved and loaded", 0.0, "the loaded model gives other probabilities", 4.0)
    if not isinstance(again, dict) or again != card:
        return Case("saved and loaded", 0.5, "read_card gives another card", 4.0)
    return Case("saved and loaded", 1.0, weight=4.0)


CHECKS: dict[str, CheckFunction] = {
    "leak-free": check_leak_free,
    "templates": check_templates,
    "incident-kind": check_incident_kind,
    "breach-risk": check_breach_risk,
    "patterns": check_patterns,
    "milestone": check_milestone,
}

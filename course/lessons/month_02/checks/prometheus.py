"""Hidden checks of month 2: what Prometheus makes of counters and of histograms.

The two functions that judge, `windowed_rate` and `bucket_quantile`, are written sample by sample,
apart from the evaluator in `course.telemetry.prometheus`. Tests prove both equal to recorded answers of a
real Prometheus.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import Case, CheckFunction, Hidden, Student, StudentError, tried

#: Points by the number of wrong parts: one mistake costs more than half.
_PARTS = (1.0, 0.4, 0.1)
_RELATIVE = 1e-6


def _share_of_parts(wrong: dict[str, str], name: str) -> Case:
    """Score by the number of wrong parts; each comes with what was wrong about it."""
    score = _PARTS[len(wrong)] if len(wrong) < len(_PARTS) else 0.0
    return Case(name, score, "; ".join(f"{part}: {what}" for part, what in wrong.items()))


def _close(found: float, expected: float, absolute: float = 1e-9) -> bool:
    """The same number, infinities and NaN included."""
    if not math.isfinite(expected):
        return math.isnan(found) if math.isnan(expected) else found == expected
    return math.isclose(found, expected, rel_tol=_RELATIVE, abs_tol=absolute)


# ---------------------------------------------------------------- rate

_COLUMNS = (
    "samples", "resets", "increase", "before_s", "after_s", "rate", "even", "covered",
)  # fmt: skip
#: Seconds since 1970 as floats are good to a quarter of a microsecond.
_ABSOLUTE = {"before_s": 5e-6, "after_s": 5e-6, "covered": 1e-6}
#: A window covered for a shorter time (ms) would ask for more digits than such seconds have.
_SHORTEST = 1000
#: Below this distance from 1.1 mean spacings, rounding would decide.
_TIE = 1e-6


def windowed_rate(
    samples: Sequence[tuple[int, float]], end: int, width: int, *, release: int = 3
) -> dict[str, float]:
    """Say what Prometheus makes of a counter in one window.

    Parameters
    ----------
    samples : sequence of (int, float)
        Time in milliseconds and value, rising in time; NaN is a staleness marker.
    end, width : int
        The evaluation time and the range, in milliseconds.
    release : {2, 3}
        3: the window is ``(end - width, end]``. 2 (as 2.42): ``[end - width, end]``, and the
        counter's zero is looked for before the distance to the first sample is judged.

    Returns
    -------
    dict
        `samples`, `resets`, `increase`, `before_s`, `after_s` and `rate`; NaN where there are
        fewer than two samples.

    Notes
    -----
    Source of the rules: Prometheus, promql/functions.go, versions 2.42 and 3.0 (Apache-2.0).
    """
    begin = end - width
    inside = [
        (time, value)
        for time, value in samples
        if (begin < time or (release == 2 and begin == time)) and time <= end and value == value
    ]
    if len(inside) < 2:
        nothing = dict.fromkeys(("increase", "before_s", "after_s", "rate"), math.nan)
        return {"samples": len(inside), "resets": 0, **nothing}
    resets, increase = 0, 0.0
    for (_, before), (_, value) in itertools.pairwise(inside):
        fell = value < before
        resets += fell
        increase += value if fell else value - before
    spanned = (inside[-1][0] - inside[0][0]) / 1000
    spacing = spanned / (len(inside) - 1)
    head, tail = (inside[0][0] - begin) / 1000, (end - inside[-1][0]) / 1000
    to_zero = spanned * inside[0][1] / increase if increase > 0 else math.inf
    if release == 2:
        head = min(head, to_zero)
        head = head if head < 1.1 * spacing else spacing / 2
    else:
        head = min(head if head < 1.1 * spacing else spacing / 2, to_zero)
    tail = tail if tail < 1.1 * spacing else spacing / 2
    return {
        "samples": len(inside),
        "resets": resets,
        "increase": increase,
        "before_s": head,
        "after_s": tail,
        "rate": increase * (head + spanned + tail) / spanned / (width / 1000),
    }


def even_rate(samples: Sequence[tuple[int, float]], end: int, width: int) -> dict[str, float]:
    """Spread the growth between neighbouring samples evenly and take the window's part of it.

    Parameters
    ----------
    samples : sequence of (int, float)
        As in `windowed_rate`; samples outside the window count as well.
    end, width : int
        The window's end and length, in milliseconds.

    Returns
    -------
    dict
        `even` (1/s; NaN where nothing is covered) and `covered` (share of the window).

    Examples
    --------
    >>> even_rate([(0, 0.0), (10_000, 5.0)], end=15_000, width=10_000)
    {'even': 0.25, 'covered': 0.5}
    """
    grown = seen = 0.0
    for (time, before), (later, value) in itertools.pairwise(samples):
        overlap = min(later, end) - max(time, end - width)
        if before == before and value == value and overlap > 0:
            grown += (value - before if value >= before else value) * overlap / (later - time)
            seen += overlap
    return {"even": grown / (width / 1000) if seen else math.nan, "covered": seen / width}


@dataclass(frozen=True)
class Counter:
    """A counter as it was scraped: samples, evaluation times and range, all in milliseconds."""

    samples: list[tuple[int, float]]
    ends: list[int]
    width: int


def make_counter(rng: np.random.Generator, *, aligned: bool) -> Counter:
    """Draw a counter and the times at which its rate is asked.

    Parameters
    ----------
    rng : Generator
    aligned : bool
        Whether scrapes fall on multiples of their interval, and half of the windows begin or end
        exactly at a sample. Otherwise no window begins or ends at a sample.

    Returns
    -------
    Counter
        Every rule of the exercise decides some of its windows.
    """
    while True:
        step = int(rng.choice([5, 10, 15, 30, 60])) * 1000
        samples = _scrapes(rng, step, aligned)
        width = step * int(rng.integers(3, 9))
        if not aligned:
            width += int(rng.integers(1, step))
        ends = _ends(rng, samples, step, width, aligned)
        if len(ends) >= 40 and _says_all(samples, ends, width, aligned):
            return Counter(samples, ends, width)


def _scrapes(rng: np.random.Generator, step: int, aligned: bool) -> list[tuple[int, float]]:
    """Scrape a process that dies and comes back now and then, some scrapes being lost."""
    time = int(rng.integers(1_767_225_600, 1_790_000_000)) * 1000 // step * step
    a_step = float(rng.choice([3, 40, 2500]))
    whole = rng.uniform() < 0.7
    old = whole and rng.uniform() < 0.5
    samples: list[tuple[int, float]] = []
    for life in range(int(rng.integers(5, 8))):
        value = 1e6 * a_step if old and life == 0 else a_step * rng.uniform(0.0, 1.0)
        for _ in range(int(rng.integers(4, 30))):
            value += a_step * float(rng.choice([0.0, 1.0, 1.0, 1.0, 4.0])) * rng.uniform(0.5, 1.5)
            jitter = 0 if aligned else int(rng.integers(-step // 12, step // 12))
            if rng.uniform() > 0.1:
                samples.append((time + jitter, float(round(value)) if whole else value))
            time += step
        if rng.uniform() < 0.5:
            if rng.uniform() < 0.7:
                samples.append((time, math.nan))
            time += step * int(rng.integers(1, 6))
    return samples


def _ends(
    rng: np.random.Generator, samples: list[tuple[int, float]], step: int, width: int, aligned: bool
) -> list[int]:
    """Choose times, none of which leaves it to rounding whether 1.1 spacings are reached."""
    first, last = samples[0][0], samples[-1][0]
    taken = {time for time, _ in samples}
    found = []
    for _ in range(400):
        end = int(rng.integers(first - step, last + width))
        if aligned and rng.uniform() < 0.6:
            end = end // step * step
        elif end in taken or end - width in taken:
            continue
        if end not in found and _decided(samples, end, width):
            found.append(end)
        if len(found) == 60:
            break
    return found


def _decided(samples: list[tuple[int, float]], end: int, width: int) -> bool:
    seen = even_rate(samples, end, width)["covered"] * width
    at_an_edge = any(time in (end - width, end) for time, _ in samples)
    if seen < _SHORTEST and (seen > 0 or at_an_edge):
        return False
    inside = [time for time, value in samples if end - width < time <= end and value == value]
    if len(inside) < 2:
        return True
    spacing = (inside[-1] - inside[0]) / (len(inside) - 1)
    reached = ((inside[0] - end + width) / spacing, (end - inside[-1]) / spacing)
    return all(abs(share - 1.1) > _TIE for share in reached)


def _says_all(samples: list[tuple[int, float]], ends: list[int], width: int, aligned: bool) -> bool:
    """Whether each rule changes the rate in two windows or more."""
    marked = {time for time, value in samples if value != value}
    counts = dict.fromkeys(["few", "reset", "half", "zero", "order", "stale", "left"], 0)
    for end in ends:
        new, old = (windowed_rate(samples, end, width, release=r) for r in (3, 2))
        counts["stale"] += any(end - width < time <= end for time in marked)
        counts["few"] += new["samples"] < 2
        if new["samples"] < 2:
            continue
        inside = [s for s in samples if end - width < s[0] <= end and s[1] == s[1]]
        spacing = (inside[-1][0] - inside[0][0]) / 1000 / (len(inside) - 1)
        head = (inside[0][0] - end + width) / 1000
        counts["reset"] += new["resets"] > 0
        counts["half"] += _close(new["before_s"], spacing / 2) and head > 1.1 * spacing
        counts["zero"] += new["before_s"] < min(head, spacing / 2) - 1e-3
        counts["left"] += old["samples"] != new["samples"]
        same = old["samples"] == new["samples"]
        counts["order"] += same and abs(old["before_s"] - new["before_s"]) > 1e-3
    if not aligned:
        del counts["left"]
    return min(counts.values()) >= 2


def check_rate(student: Student, hidden: Hidden) -> list[Case]:
    """Two counters whose samples keep clear of every boundary, three that do not."""
    counters = hidden.cached("rate-counters", lambda: _counters(hidden.seed("rate")))
    cases = []
    for number, (aligned, counter) in enumerate(counters):
        what = "samples on boundaries" if aligned else "samples clear of boundaries"
        cases.append(tried(_rate_case, student, f"counter {number + 1}, {what}", counter))
    return cases


def _counters(seed: int) -> list[tuple[bool, Counter]]:
    """Counters, and whether their samples lie on boundaries."""
    rng = np.random.default_rng(seed)
    return [(number >= 2, make_counter(rng, aligned=number >= 2)) for number in range(5)]


def _rate_case(student: Student, name: str, counter: Counter) -> Case:
    stamps, values = zip(*counter.samples, strict=True)
    samples = pd.Series(values, pd.to_datetime(list(stamps), unit="ms", utc=True))
    times = pd.to_datetime(counter.ends, unit="ms", utc=True)
    answer = student.call(
        "counter_rate", samples, times, pd.Timedelta(counter.width, "ms"), timeout=5
    )
    if not isinstance(answer, pd.DataFrame):
        return Case(name, 0.0, f"return a DataFrame, not {type(answer).__name__}")
    if missing := [column for column in _COLUMNS if list(answer.columns).count(column) != 1]:
        return Case(name, 0.0, f"these columns must be there once: {', '.join(missing)}")
    if not isinstance(answer.index, pd.DatetimeIndex) or answer.index.tz is None:
        return Case(name, 0.0, "the index must hold the evaluation times, in UTC")
    if not answer.index.tz_convert("UTC").as_unit("ms").equals(times.as_unit("ms")):
        return Case(name, 0.0, "one row for each evaluation time, in the order in which they came")
    expected = pd.DataFrame(
        [
            windowed_rate(counter.samples, end, counter.width)
            | even_rate(counter.samples, end, counter.width)
            for end in counter.ends
        ]
    )
    near_even = _RELATIVE * float(np.nanmax(np.abs(expected["even"])))
    wrong = {}
    for column in _COLUMNS:
        try:
            found = answer[column].to_numpy(dtype=float, na_value=np.nan)
        except (TypeError, ValueError):
            wrong[column] = "not numbers"
            continue
        near = near_even if column == "even" else _ABSOLUTE.get(column, 1e-9)
        pairs = zip(found.tolist(), expected[column], strict=True)
        right = [_close(value, wanted, near) for value, wanted in pairs]
        if not all(right):
            wrong[column] = f"wrong in {right.count(False)} of {len(right)} windows"
    return _share_of_parts(wrong, name)


# ---------------------------------------------------------------- histogram_quantile

#: What a batch holds, and the part that it counts for: `no answer` is drawn in four ways.
KINDS = {
    "middle": "middle",
    "rank on a count": "middle",
    "first bucket": "first bucket",
    "first bound at most 0": "first bucket",
    "+Inf bucket": "+Inf bucket",
    "repaired counts": "repaired counts",
    "q outside": "q outside",
    "no answer": "no answer",
}
#: Counts are multiples of this, so that sums over replicas are exact.
_UNIT = 1 / 1024
#: So many failing calls are asked for; what comes after them counts as wrong.
_PATIENCE = 12
_NOTHING = (math.nan, math.nan, math.nan)


def bucket_quantile(q: float, buckets: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Say what Prometheus makes of a classic histogram, and between which bounds it is sure.

    Parameters
    ----------
    q : float
    buckets : sequence of (float, float)
        Upper bound and cumulative count, in any order.

    Returns
    -------
    tuple of float
        The quantile and the two bounds of the bucket that it lies in.

    Notes
    -----
    Source of the rules: Prometheus, promql/quantile.go, versions 2.42 and 3.0 (Apache-2.0).
    """
    if math.isnan(q):
        return _NOTHING
    if not 0 <= q <= 1:
        return (math.copysign(math.inf, q), math.nan, math.nan)
    ordered = sorted(buckets)
    if len(ordered) < 2 or ordered[-1][0] != math.inf:
        return _NOTHING
    bounds, highest, counts = [bound for bound, _ in ordered], -math.inf, []
    for _, count in ordered:
        highest = max(highest, count)
        counts.append(highest)
    if counts[-1] == 0:
        return _NOTHING
    rank = q * counts[-1]
    place = next(number for number, count in enumerate(counts) if count >= rank)
    if place == len(counts) - 1:
        return (bounds[-2], bounds[-2], math.inf)
    if place == 0 and bounds[0] <= 0:
        return (bounds[0], -math.inf, bounds[0])
    low, below = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    share = (rank - below) / (counts[place] - below) if counts[place] != below else math.nan
    return (low + (bounds[place] - low) * share, low, bounds[place])


_Query = tuple[float, list[tuple[float, float]]]


def make_histogram(rng: np.random.Generator, kind: str) -> _Query:
    """Draw a quantile and a histogram of one kind, where rounding doesn't decide."""
    while True:
        q, buckets = _draw(rng, kind)
        buckets = [(bound, round(count / _UNIT) * _UNIT) for bound, count in buckets]
        value, low, high = bucket_quantile(q, buckets)
        total = max((count for _, count in buckets), default=0.0)  # as repaired
        near = any(0 < abs(q * total - count) < 1e-6 * total for _, count in buckets)
        if near or (q == 0 and math.isnan(value)):
            continue
        inner = math.isfinite(low) and low != 0 and math.isfinite(high)
        is_kind = {
            "middle": inner,
            "rank on a count": inner,
            "repaired counts": inner,
            "first bucket": low == 0 and math.isfinite(value) and min(buckets)[0] > 0,
            "first bound at most 0": low == -math.inf,
            "+Inf bucket": high == math.inf,
        }.get(kind, True)
        if is_kind:
            return q, buckets


def _draw(rng: np.random.Generator, kind: str) -> _Query:
    size = int(rng.integers(3, 12))
    signed = kind == "first bound at most 0" or rng.uniform() < 0.2
    widths = rng.uniform(0.1, 2, size) * float(rng.choice([0.01, 1, 250]))
    begin = -rng.uniform(0, 1.2) * widths.sum() if signed else 0.0
    if signed and rng.uniform() < 0.2:
        begin = -widths[0]
    bounds = [float(f"{bound:.4g}") for bound in begin + np.cumsum(widths)] + [math.inf]
    if signed and begin == -widths[0]:
        bounds[0] = 0.0
    share = 0.4 if kind == "+Inf bucket" else 0.1
    added = rng.poisson(rng.choice([0, 2, 30], size + 1, p=[0.3, 0.3, 0.4])).astype(float)
    if KINDS[kind] == "first bucket":
        added[0] += rng.integers(5, 60)
    added[-1] = rng.poisson(share * added.sum())
    q = float(rng.choice([0.5, 0.9, 0.95, 0.99, 1.0, round(rng.uniform(0.02, 1), 3)]))
    if kind == "rank on a count":
        q, added = _on_a_count(rng, size)
    elif rng.uniform() < 0.4:  # counts per second
        added = added * rng.uniform(0.01, 0.9)
    if not added.any():
        added[int(rng.integers(size))] = 4.0
    counts = np.cumsum(added)
    if kind == "repaired counts":
        return _unrepaired(rng, q, bounds, counts)
    if kind == "q outside":
        q = float(rng.choice([-0.1, -3, 1.001, 2, 95, math.nan, -math.inf, math.inf]))
    buckets = list(zip(bounds, counts.tolist(), strict=True))
    if kind == "no answer":
        lacks = rng.integers(4)
        if lacks == 0:
            buckets = [(bound, 0.0) for bound in bounds]
        elif lacks == 1:
            buckets = buckets[:-1]
        elif lacks == 2:
            buckets = buckets[-1:]
        else:
            buckets = []
    shuffled = rng.permutation(len(buckets))
    return q, [buckets[place] for place in shuffled]


def over_replicas(
    rng: np.random.Generator, buckets: list[tuple[float, float]]
) -> list[list[tuple[float, float]]]:
    """Share a histogram out over replicas, each of which has bounds of its own as well.

    Returns
    -------
    list of list of (float, float)
        One list of (bound, count) a replica, in any order. At the bounds that all of them have the
        counts add up to the histogram.
    """
    if not buckets:
        nothing: list[list[list[tuple[float, float]]]] = [
            [], [[], []], [[(0.1, 3.0), (math.inf, 5.0)], [(0.2, 4.0)]],
        ]  # fmt: skip
        return nothing[int(rng.integers(len(nothing)))]
    number = int(rng.choice([1, 2, 3], p=[0.15, 0.5, 0.35]))
    bounds, counts = zip(*sorted(buckets), strict=True)
    units = np.rint(np.array(counts) / _UNIT).astype(int)
    shares = []
    for left in range(number, 1, -1):
        step = np.diff(units, prepend=0)
        share = np.sign(step) * rng.binomial(np.abs(step), rng.uniform(0.2, 1.4 / left))
        shares.append(np.clip(np.cumsum(share), 0, units))
        units = units - shares[-1]
    shares.append(units)
    replicas = []
    for place, share in enumerate(shares):
        own = list(zip(bounds, (share * _UNIT).tolist(), strict=True))
        if number > 1:
            own += _bounds_of_its_own(rng, own, (place + 1) / (number + 2))
            if place == 0 and bounds[-1] != math.inf:  # the other replicas lack +Inf
                own.append((math.inf, max(count for _, count in own) + 2.0))
        replicas.append([own[at] for at in rng.permutation(len(own))])
    return [replicas[at] for at in rng.permutation(number)]


def _bounds_of_its_own(
    rng: np.random.Generator, buckets: list[tuple[float, float]], where: float
) -> list[tuple[float, float]]:
    """Between neighbouring bounds of a replica, at a place that no other replica uses."""
    finite = [(bound, count) for bound, count in buckets if bound < math.inf]
    gaps = [(a + where * (b - a), (low + high) / 2)
            for (a, low), (b, high) in itertools.pairwise(finite)]  # fmt: skip
    if not gaps:
        return [(where, buckets[0][1] / 2)]
    chosen = rng.choice(len(gaps), min(len(gaps), int(rng.integers(1, 4))), replace=False)
    return [gaps[int(at)] for at in chosen]


def merged(replicas: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Add up the counts at the bounds that all replicas have."""
    tables = [dict(replica) for replica in replicas]
    common = set(tables[0]).intersection(*tables[1:]) if tables else set()
    return [(bound, sum(table[bound] for table in tables)) for bound in sorted(common)]


def _on_a_count(rng: np.random.Generator, size: int) -> tuple[float, np.ndarray]:
    """Draw counts per bucket of which some add up to the rank, and the next bucket is empty."""
    q, place = float(rng.choice([0.25, 0.5, 0.75])), int(rng.integers(1, size - 1))
    added = np.zeros(size + 1)
    added[: place + 1] = 3.0 + 3 * rng.poisson(5, place + 1)
    added[int(rng.integers(place + 2, size + 1))] = added.sum() * (1 - q) / q
    return q, added


def _unrepaired(
    rng: np.random.Generator, q: float, bounds: list[float], counts: np.ndarray
) -> _Query:
    """Let some counts fall below those of smaller bounds, so that it matters to the quantile."""
    while True:
        broken = counts * np.where(rng.uniform(size=len(counts)) < 0.5, rng.uniform(0.2, 0.95), 1)
        buckets = list(zip(bounds, broken.tolist(), strict=True))
        rank = q * broken[-1]
        late = next((place for place, count in enumerate(broken) if count >= rank), 0)
        plain = bounds[late], broken[late] - (broken[late - 1] if late else 0.0)
        value = bucket_quantile(q, buckets)
        if (broken[1:] < broken[:-1]).any() and not _close(value[2], plain[0]):
            return q, [buckets[place] for place in rng.permutation(len(buckets))]
        q = round(rng.uniform(0.3, 1), 3)
        counts = np.cumsum(rng.poisson(20, len(counts))).astype(float) + 1.0


def check_histogram_quantile(student: Student, hidden: Hidden) -> list[Case]:
    """Five batches of histograms, each with several of every kind."""
    rng = np.random.default_rng(hidden.seed("histogram-quantile"))
    cases = []
    for number in range(5):
        parts = list(KINDS.values())
        kinds = [kind for kind, part in KINDS.items() for _ in range(6 // parts.count(part))]
        order = rng.permutation(len(kinds))
        batch = []
        for place in order:
            q, buckets = make_histogram(rng, kinds[place])
            batch.append((kinds[place], q, over_replicas(rng, buckets)))
        cases.append(tried(_quantile_case, student, f"batch {number + 1}", batch))
    return cases


def _quantile_case(
    student: Student, name: str, batch: list[tuple[str, float, list[list[tuple[float, float]]]]]
) -> Case:
    calls = [(q, [_as_series(buckets) for buckets in replicas]) for _, q, replicas in batch]
    answers, refused = _answers(student, calls)
    missed: dict[str, int] = {}
    for (kind, q, replicas), answer in zip(batch, answers, strict=False):
        expected = bucket_quantile(q, merged(replicas))
        given = answer if isinstance(answer, dict) else {}
        found: list[Any] = [given.get(key) for key in ("value", "low", "high")]
        right = [_is_number(f) and _close(f, e) for f, e in zip(found, expected, strict=True)]
        if not all(right):
            missed[KINDS[kind]] = missed.get(KINDS[kind], 0) + 1
    case = _share_of_parts({part: f"{count} wrong" for part, count in missed.items()}, name)
    return replace(case, message=f"{case.message} ({refused})") if refused else case


def _answers(student: Student, calls: list[tuple[float, list[pd.Series]]]) -> tuple[list[Any], str]:
    """Ask for all; where some call fails, one by one, so that it costs its own kind only."""
    try:
        answers = student.each("histogram_quantile", calls, timeout=5)
        return (answers if isinstance(answers, list) else []) + [None] * len(calls), ""
    except StudentError:
        pass
    found: list[Any] = []
    refused: list[str] = []
    for call in calls:
        try:
            found.append(student.call("histogram_quantile", *call, timeout=5))
        except StudentError as error:
            refused.append(str(error))
            found.append(None)
        if len(refused) > _PATIENCE:
            break
    return found + [None] * len(calls), refused[0] if refused else ""


def _as_series(buckets: list[tuple[float, float]]) -> pd.Series:
    index = pd.Index([bound for bound, _ in buckets], dtype=float, name="le")
    return pd.Series([count for _, count in buckets], index, dtype=float)


def _is_number(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < 2**1000  # a greater one has no float
    return isinstance(value, float)


CHECKS: dict[str, CheckFunction] = {
    "rate": check_rate,
    "histogram-quantile": check_histogram_quantile,
}

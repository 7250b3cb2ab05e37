"""Functions of instant vectors.

Source of the semantics: Prometheus, promql/functions.go and quantile.go, version 2.42 (Apache-2.0).
"""

import re
from collections.abc import Callable

import numpy as np

from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.expressions import Expr, Range, Selector
from course.telemetry.prometheus.series import Labels, make_labels
from course.telemetry.prometheus.vectors import Vector, drop_name, without
from course.telemetry.regexes import regex_matches

ELEMENTWISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sgn": np.sign,
}


def _date_part(part: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda seconds: _calendar(seconds)[part]


def _calendar(seconds: np.ndarray) -> dict[str, np.ndarray]:
    stamps = np.nan_to_num(seconds).astype("int64").astype("datetime64[s]")
    days, months, years = (stamps.astype(f"datetime64[{unit}]") for unit in "DMY")
    day_number = days.astype("int64")
    within_day = stamps.astype("int64") - day_number * 86_400
    one_month = np.timedelta64(1, "M")
    parts = {
        "hour": within_day // 3_600,
        "minute": within_day // 60 % 60,
        "day_of_week": (day_number + 4) % 7,
        "day_of_month": (days - months.astype("datetime64[D]")).astype("int64") + 1,
        "day_of_year": (days - years.astype("datetime64[D]")).astype("int64") + 1,
        "days_in_month": (
            (months + one_month).astype("datetime64[D]") - months.astype("datetime64[D]")
        ).astype("int64"),
        "month": months.astype("int64") % 12 + 1,
        "year": years.astype("int64") + 1970,
    }
    return {name: part.astype(float) for name, part in parts.items()}


CALENDAR = {
    name: _date_part(name)
    for name in (
        [
            "hour",
            "minute",
            "day_of_week",
            "day_of_month",
            "day_of_year",
            "days_in_month",
            "month",
            "year",
        ]
    )
}


def round_to(values: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Nearest multiple, halves up."""
    inverse = 1.0 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def clamp(vector: Vector, low: np.ndarray, high: np.ndarray) -> Vector:
    """Values held between two limits; nothing where the limits cross."""
    limited = np.maximum(low, np.minimum(high, vector.values))
    return vector.where(~(high < low)).mapped(limited)


def absent_labels(argument: Expr) -> Labels:
    """The labels that absent() can know: those of the selector's = matchers."""
    selector = argument.expr if isinstance(argument, Range) else argument
    if not isinstance(selector, Selector) or getattr(argument, "step_ms", None) is not None:
        return ()
    pairs: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == "__name__":
            continue
        if matcher.op == "=" and matcher.name not in seen:
            pairs[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            pairs.pop(matcher.name, None)
    return make_labels(pairs)


def absent(argument: Expr, present: np.ndarray) -> Vector:
    """1 where no series has a sample; `present` has shape (series, times)."""
    missing = ~np.any(present, axis=0)
    return Vector([absent_labels(argument)], np.ones((1, missing.size)), missing[None])


def label_replace(vector: Vector, target: str, replacement: str, source: str, regex: str) -> Vector:
    """Set a label from another one by a regular expression."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pattern = rf"\A(?:{regex})\z"
    rewrite = re.sub(r"\$\{?(\d)\}?", r"\\\1", replacement)

    def replaced(labels: Labels) -> Labels:
        pairs = dict(labels)
        value = pairs.get(source, "")
        if not regex_matches(pattern, [value])[0]:
            return labels
        try:
            pairs[target] = pc.replace_substring_regex(
                pa.array([value], pa.string()), pattern=pattern, replacement=rewrite
            )[0].as_py()
        except ValueError as error:
            raise EvaluationError(f"label_replace(): {error}") from None
        return make_labels(pairs)

    return vector.renamed(replaced)


def histogram_quantile(q: np.ndarray, vector: Vector) -> Vector:
    """The quantile of classic histogram buckets (label `le`), interpolated within a bucket."""
    groups: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        try:
            bound = float(dict(labels)["le"])
        except (KeyError, ValueError):
            continue
        key = without(drop_name(labels), ("le",))
        groups.setdefault(key, []).append((bound, row))
    shape = (len(groups), vector.values.shape[1])
    values, present = np.empty(shape), np.empty(shape, bool)
    for number, buckets in enumerate(groups.values()):
        buckets.sort()
        bounds = np.array([bound for bound, _ in buckets])
        rows = [row for _, row in buckets]
        present[number] = np.any(vector.present[rows], axis=0)
        values[number] = _bucket_quantile(q, bounds, vector.values[rows], vector.present[rows])
    return Vector(list(groups), values, present)


def _bucket_quantile(
    q: np.ndarray, bounds: np.ndarray, counts: np.ndarray, present: np.ndarray
) -> np.ndarray:
    """Walk through the buckets by bound; a bucket that is not present at a time is passed over."""
    size = q.size
    rising = np.maximum.accumulate(np.where(present, counts, -np.inf), axis=0)
    observations = rising[-1]
    rank = q * observations
    result, found = np.full(size, np.nan), np.zeros(size, bool)
    last_bound, last_count = np.full(size, np.nan), np.zeros(size)
    seen = np.zeros(size, int)
    for bound, count, there in zip(bounds, rising, present, strict=True):
        hit = there & ~found & (count >= rank)
        if np.isinf(bound) and bound > 0:
            value = last_bound
        else:
            start = np.where(seen == 0, 0.0, last_bound)
            inner = start + (bound - start) * ((rank - last_count) / (count - last_count))
            value = np.where((seen == 0) & (bound <= 0), bound, inner)
        result = np.where(hit, value, result)
        found |= hit
        last_bound = np.where(there, bound, last_bound)
        last_count = np.where(there, count, last_count)
        seen += there
    complete = present[-1] & np.isposinf(bounds[-1]) & (seen >= 2) & (observations != 0)
    result = np.where(complete, result, np.nan)
    result = np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result))
    return np.where(np.isnan(q), np.nan, result)

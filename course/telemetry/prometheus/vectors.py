"""Instant vectors over all evaluation times: aggregation and binary operators.

Source of the semantics: Prometheus, promql/engine.go, version 2.42 (Apache-2.0).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.expressions import COMPARISONS, Aggregate, Binary
from course.telemetry.prometheus.series import Labels, format_series_name, make_labels
from course.telemetry.prometheus.windows import interpolate, quantile_limits


@dataclass(frozen=True)
class Vector:
    """Rows of one label set each.

    Attributes
    ----------
    labels : list of Labels
    values, present : ndarray of float and bool, shape (series, times)
        A cell that is not present has no sample; its value means nothing.
    """

    labels: list[Labels]
    values: np.ndarray
    present: np.ndarray

    def where(self, keep: np.ndarray) -> "Vector":
        """The same samples, only where `keep`."""
        return Vector(self.labels, self.values, self.present & keep)

    def renamed(self, rename: Callable[[Labels], Labels]) -> "Vector":
        """New labels; rows that become alike are joined."""
        return merged([rename(labels) for labels in self.labels], self.values, self.present)

    def without_name(self) -> "Vector":
        """The metric's name dropped."""
        return self.renamed(drop_name)

    def mapped(self, values: np.ndarray) -> "Vector":
        """New values, name dropped."""
        return Vector(self.labels, values, self.present).without_name()


def empty_vector(times: int) -> Vector:
    """No series."""
    return Vector([], np.empty((0, times)), np.empty((0, times), bool))


def drop_name(labels: Labels) -> Labels:
    """Labels without the metric's name."""
    return tuple(pair for pair in labels if pair[0] != "__name__")


def without(labels: Labels, names: Iterable[str]) -> Labels:
    """Labels without those named."""
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Iterable[str]) -> Labels:
    """Only the labels named."""
    return tuple(pair for pair in labels if pair[0] in names)


def merged(labels: list[Labels], values: np.ndarray, present: np.ndarray) -> Vector:
    """Rows joined by label set.

    Raises
    ------
    EvaluationError
        If two rows of one label set have a sample at the same time.
    """
    groups = _grouped(labels)
    if len(groups) == len(labels):
        return Vector(labels, values, present)
    for label_set, rows in groups.items():
        if (present[rows].sum(axis=0) > 1).any():
            raise EvaluationError(
                f"vector cannot contain metrics with the same labelset "
                f"({format_series_name(label_set)}); keep a label that tells them apart"
            )
    joined = [_overlay(values[rows], present[rows]) for rows in groups.values()]
    return Vector(list(groups), np.stack([v for v, _ in joined]), np.stack([p for _, p in joined]))


def _overlay(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one row that is present at each time."""
    chosen = present.argmax(axis=0)
    return np.take_along_axis(values, chosen[None], axis=0)[0], np.any(present, axis=0)


def _grouped(labels: list[Labels]) -> dict[Labels, list[int]]:
    groups: dict[Labels, list[int]] = {}
    for row, label_set in enumerate(labels):
        groups.setdefault(label_set, []).append(row)
    return groups


def aggregate(
    node: Aggregate, vector: Vector, param: np.ndarray | None, prometheus_2: bool
) -> Vector:
    """``sum by (…) (…)`` and the like; `param` has shape (times,).

    Of equal values, topk and bottomk keep those whose labels sort first; Prometheus promises no
    order.
    """
    if node.without:
        keys = [without(labels, (*node.labels, "__name__")) for labels in vector.labels]
    else:
        keys = [only(labels, node.labels) for labels in vector.labels]
    groups = _grouped(keys)
    if not groups:
        return vector
    if node.op in ("topk", "bottomk"):
        assert param is not None
        keep = np.zeros_like(vector.present)
        for rows in groups.values():
            keep[rows] = _extremes(vector.values[rows], vector.present[rows], param, node.op)
        return vector.where(keep)
    out = []
    for rows in groups.values():
        values, present = vector.values[rows], vector.present[rows]
        if node.op == "quantile":
            assert param is not None
            out.append(_quantile(values, present, param))
        else:
            result = _AGGREGATIONS[node.op](values, present)
            if prometheus_2 and node.op in ("stddev", "stdvar"):
                result = _lone_variance_is_zero(result, present)
            out.append(result)
    present = np.stack([np.any(vector.present[rows], axis=0) for rows in groups.values()])
    return Vector(list(groups), np.stack(out), present)


def _extremes(values: np.ndarray, present: np.ndarray, k: np.ndarray, op: str) -> np.ndarray:
    key = -values if op == "topk" else values
    rank_class = np.where(~present, 2, np.where(np.isnan(values), 1, 0))
    order = np.lexsort((np.nan_to_num(key, nan=0.0), rank_class), axis=0)
    ranks = np.argsort(order, axis=0)
    return present & (ranks < np.floor(np.nan_to_num(k, nan=0.0)))


def _quantile(values: np.ndarray, present: np.ndarray, q: np.ndarray) -> np.ndarray:
    nan = present & np.isnan(values)
    ordered = np.sort(np.where(present, np.where(nan, -np.inf, values), np.inf), axis=0).T
    counts = present.sum(axis=0)
    result = interpolate(ordered, counts, q)
    result[np.floor(q * (counts - 1)) < nan.sum(axis=0)] = np.nan
    return quantile_limits(result, q)


def _sum(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    total = np.zeros(values.shape[1])
    for row, there in zip(values, present, strict=True):
        total = np.where(there, total + row, total)
    return total


def _avg(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return _sum(values, present) / present.sum(axis=0)


def _min(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return np.fmin.reduce(np.where(present, values, np.nan), axis=0)


def _max(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return np.fmax.reduce(np.where(present, values, np.nan), axis=0)


def _count(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return present.sum(axis=0).astype(float)


def _group(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return np.ones(values.shape[1])


def _stdvar(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Welford's running variance."""
    count = np.zeros(values.shape[1])
    mean, squares = np.zeros_like(count), np.zeros_like(count)
    for row, there in zip(values, present, strict=True):
        count = count + there
        delta = np.where(there, row - mean, 0.0)
        mean = mean + delta / np.maximum(count, 1)
        squares = squares + np.where(there, delta * (row - mean), 0.0)
    return squares / count


def _lone_variance_is_zero(result: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Prometheus 2 gives a lone sample the variance 0 even where it is NaN or infinite."""
    return np.where(present.sum(axis=0) == 1, 0.0, result)


def _stddev(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    return np.sqrt(_stdvar(values, present))


_AGGREGATIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "count": _count,
    "group": _group,
    "stddev": _stddev,
    "stdvar": _stdvar,
}

OPERATORS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def with_scalar(node: Binary, vector: Vector, scalar: np.ndarray, scalar_left: bool) -> Vector:
    """Vector and scalar; a comparison keeps the vector's value wherever the scalar stands."""
    sides = (scalar, vector.values) if scalar_left else (vector.values, scalar)
    result = OPERATORS[node.op](*sides)
    if node.op not in COMPARISONS:
        return vector.mapped(result)
    if node.return_bool:
        return vector.mapped(result.astype(float))
    return vector.where(result)


def set_operation(node: Binary, left: Vector, right: Vector) -> Vector:
    """``and``, ``or``, ``unless``."""
    other = left if node.op == "or" else right
    matched: dict[Labels, np.ndarray] = {}
    for signature, there in zip(_signatures(node, other), other.present, strict=True):
        matched[signature] = matched.get(signature, False) | there
    target = right if node.op == "or" else left
    nowhere = np.zeros(target.values.shape[1], bool)
    hits = [matched.get(signature, nowhere) for signature in _signatures(node, target)]
    mask = np.stack(hits) if hits else target.present
    if node.op == "and":
        return left.where(mask)
    if node.op == "unless":
        return left.where(~mask)
    return merged(
        left.labels + right.labels,
        np.concatenate([left.values, right.values]),
        np.concatenate([left.present, right.present & ~mask]),
    )


def _signatures(node: Binary, vector: Vector) -> list[Labels]:
    if node.on:
        return [only(labels, node.labels) for labels in vector.labels]
    return [without(labels, (*node.labels, "__name__")) for labels in vector.labels]


def with_vector(node: Binary, left: Vector, right: Vector) -> Vector:
    """One-to-one, many-to-one or one-to-many matching.

    Raises
    ------
    EvaluationError
        If several series match on a side that must be unique.
    """
    swapped = node.card == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    one_rows = _grouped(_signatures(node, one))
    many_rows = _grouped(_signatures(node, many))
    _check_one_side(one, one_rows, np.any(many.present, axis=0))
    labels, values, present = [], [], []
    for signature, rows in many_rows.items():
        kept_rows = []
        for row in rows:
            for partner in one_rows.get(signature, []):
                both = many.present[row] & one.present[partner]
                sides = (many.values[row], one.values[partner])
                result, keep = _combine(node, *(reversed(sides) if swapped else sides))
                labels.append(_result_labels(node, many.labels[row], one.labels[partner]))
                values.append(result)
                present.append(both & keep)
                kept_rows.append(both & keep)
        if node.card == "one-to-one" and kept_rows and (np.sum(kept_rows, axis=0) > 1).any():
            raise EvaluationError(
                f"multiple matches for labels {format_series_name(signature)}: "
                "many-to-one matching must be explicit (group_left/group_right)"
            )
    if not labels:
        return empty_vector(left.values.shape[1])
    return merged(labels, np.stack(values), np.stack(present))


def _check_one_side(one: Vector, groups: dict[Labels, list[int]], needed: np.ndarray) -> None:
    for signature, rows in groups.items():
        if len(rows) > 1 and ((one.present[rows].sum(axis=0) > 1) & needed).any():
            names = ", ".join(format_series_name(one.labels[row]) for row in rows[:2])
            raise EvaluationError(
                f"found duplicate series for the match group {format_series_name(signature)}: "
                f"{names}; many-to-many matching is not allowed: "
                "matching labels must be unique on one side"
            )


def _combine(node: Binary, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    result = OPERATORS[node.op](left, right)
    everywhere = np.ones(left.shape, bool)
    if node.op not in COMPARISONS:
        return result, everywhere
    if node.return_bool:
        return result.astype(float), everywhere
    return left, result


def _result_labels(node: Binary, many: Labels, one: Labels) -> Labels:
    labels = many
    if node.op not in COMPARISONS or node.return_bool:
        labels = drop_name(labels)
    if node.card == "one-to-one":
        labels = only(labels, node.labels) if node.on else without(labels, node.labels)
    if not node.include:
        return labels
    pairs, source = dict(labels), dict(one)
    for name in node.include:
        pairs[name] = source.get(name, "")
    return make_labels(pairs)

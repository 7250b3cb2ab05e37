"""PromQL evaluated at all times at once."""

from dataclasses import dataclass, replace

import numpy as np

from course.telemetry.prometheus import functions, windows
from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.expressions import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Expr,
    Negate,
    Number,
    Paren,
    Range,
    Selector,
    Text,
)
from course.telemetry.prometheus.series import NONE, SAMPLE, Block, Storage
from course.telemetry.prometheus.vectors import (
    OPERATORS,
    Vector,
    aggregate,
    empty_vector,
    merged,
    set_operation,
    with_scalar,
    with_vector,
)

LOOKBACK_MS = 300_000
MAX_SUBQUERY_STEPS = 500_000

Value = Vector | np.ndarray  # an array of shape (times,) is a scalar


@dataclass(frozen=True)
class Engine:
    """Evaluates expressions.

    Attributes
    ----------
    storage : Storage
    times : ndarray of int64, shape (times,)
        Evaluation times in milliseconds, rising.
    closed_left : bool
        Prometheus 2: a range and the lookback include their left end.
    step_ms : int
        Step of a subquery that gives none.
    """

    storage: Storage
    times: np.ndarray
    closed_left: bool
    step_ms: int

    def vector(self, expr: Expr) -> Vector:
        """The value of a rule's expression; a scalar becomes a series without labels."""
        with np.errstate(all="ignore"):
            value = self._value(expr)
        if isinstance(value, Vector):
            return value
        return Vector([()], value[None], np.ones((1, value.size), bool))

    def _value(self, expr: Expr) -> Value:
        if isinstance(expr, Number):
            return np.full(self.times.size, expr.value)
        if isinstance(expr, Paren):
            return self._value(expr.expr)
        if isinstance(expr, Selector):
            return self._select(expr)
        if isinstance(expr, Negate):
            value = self._value(expr.expr)
            return value.mapped(-value.values) if isinstance(value, Vector) else -value
        if isinstance(expr, Aggregate):
            param = self._scalar(expr.param) if expr.param is not None else None
            return aggregate(expr, self._vector(expr.expr), param, self.closed_left)
        if isinstance(expr, Binary):
            return self._binary(expr)
        assert isinstance(expr, Call)
        return self._call(expr)

    def _vector(self, expr: Expr) -> Vector:
        value = self._value(expr)
        assert isinstance(value, Vector)
        return value

    def _scalar(self, expr: Expr) -> np.ndarray:
        value = self._value(expr)
        assert isinstance(value, np.ndarray)
        return value

    def _select(self, selector: Selector) -> Vector:
        """The newest sample within the lookback, unless a staleness marker follows it."""
        ends = self.times - selector.offset_ms
        labels, values, present = [], [], []
        for block in self.storage.select(selector.matchers):
            window = windows.Windows(block, ends, LOOKBACK_MS, self.closed_left)
            last = windows.previous_valid(block.kinds != NONE)[:, np.maximum(window.high - 1, 0)]
            found = (last >= window.low) & (window.high > 0)
            last = np.maximum(last, 0)
            kinds = np.take_along_axis(block.kinds, last, axis=1)
            labels += block.labels
            values.append(window.values_at(last))
            present.append(found & (kinds == SAMPLE))
        return self._joined(labels, values, present)

    def _joined(self, labels: list, values: list, present: list) -> Vector:
        if not labels:
            return empty_vector(self.times.size)
        order = sorted(range(len(labels)), key=labels.__getitem__)
        return merged(
            [labels[row] for row in order],
            np.concatenate(values)[order],
            np.concatenate(present)[order],
        )

    def _windows(self, node: Range) -> list[windows.Windows]:
        ends = self.times - node.offset_ms
        if node.step_ms is None:
            assert isinstance(node.expr, Selector)
            blocks = self.storage.select(node.expr.matchers)
        else:
            blocks = self._subquery(node, ends)
        return [windows.Windows(b, ends, node.range_ms, self.closed_left) for b in blocks]

    def _subquery(self, node: Range, ends: np.ndarray) -> list[Block]:
        """The inner expression at multiples of the step since 1970."""
        step = node.step_ms or self.step_ms
        first = -(-(int(ends[0]) - node.range_ms) // step) * step
        steps = (int(ends[-1]) - first) // step + 1
        if steps > MAX_SUBQUERY_STEPS:
            raise EvaluationError(
                f"a subquery needs {steps} steps; at most {MAX_SUBQUERY_STEPS} are evaluated; "
                "use a longer step or a recording rule"
            )
        times = first + step * np.arange(max(steps, 0))
        if not times.size:
            return []
        inner = replace(self, times=times)._vector(node.expr)
        if not inner.labels:
            return []
        kinds = np.where(inner.present, SAMPLE, NONE).astype(np.int8)
        return [Block(inner.labels, times, inner.values, kinds)]

    def _binary(self, node: Binary) -> Value:
        left, right = self._value(node.lhs), self._value(node.rhs)
        if isinstance(left, Vector) and isinstance(right, Vector):
            if node.op in SET_OPERATORS:
                return set_operation(node, left, right)
            return with_vector(node, left, right)
        if isinstance(left, Vector):
            assert isinstance(right, np.ndarray)
            return with_scalar(node, left, right, scalar_left=False)
        if isinstance(right, Vector):
            return with_scalar(node, right, left, scalar_left=True)
        result = OPERATORS[node.op](left, right)
        return result.astype(float) if node.op in COMPARISONS else result

    def _call(self, node: Call) -> Value:
        name, args = node.name, node.args
        ranges = [arg for arg in args if isinstance(_bare(arg), Range)]
        if ranges:
            return self._range_call(node, ranges[0])
        if name in functions.ELEMENTWISE:
            vector = self._vector(args[0])
            return vector.mapped(functions.ELEMENTWISE[name](vector.values))
        if name in functions.CALENDAR:
            seconds = self._vector(args[0]) if args else self._constant(self.times / 1000.0)
            return seconds.mapped(functions.CALENDAR[name](seconds.values))
        method = getattr(self, f"_call_{name}")
        result: Value = method(*args)
        return result

    def _constant(self, values: np.ndarray) -> Vector:
        return Vector([()], values[None], np.ones((1, self.times.size), bool))

    def _call_time(self) -> Value:
        return self.times / 1000.0

    def _call_vector(self, arg: Expr) -> Value:
        return self._constant(self._scalar(arg))

    def _call_scalar(self, arg: Expr) -> Value:
        """The value of the only series, NaN where there is none or more than one."""
        vector = self._vector(arg)
        single = vector.present.sum(axis=0) == 1
        return np.where(single, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan)

    def _call_absent(self, arg: Expr) -> Value:
        return functions.absent(arg, self._vector(arg).present)

    def _call_round(self, arg: Expr, nearest: Expr | None = None) -> Value:
        vector = self._vector(arg)
        to = self._scalar(nearest) if nearest is not None else np.ones(self.times.size)
        return vector.mapped(functions.round_to(vector.values, to))

    def _call_clamp(self, arg: Expr, low: Expr, high: Expr) -> Value:
        return functions.clamp(self._vector(arg), self._scalar(low), self._scalar(high))

    def _call_clamp_min(self, arg: Expr, low: Expr) -> Value:
        vector = self._vector(arg)
        return vector.mapped(np.maximum(self._scalar(low), vector.values))

    def _call_clamp_max(self, arg: Expr, high: Expr) -> Value:
        vector = self._vector(arg)
        return vector.mapped(np.minimum(self._scalar(high), vector.values))

    def _call_histogram_quantile(self, q: Expr, arg: Expr) -> Value:
        return functions.histogram_quantile(self._scalar(q), self._vector(arg))

    def _call_label_replace(self, arg: Expr, *texts: Expr) -> Value:
        strings = [text.value for text in texts if isinstance(text, Text)]
        return functions.label_replace(self._vector(arg), *strings)

    def _range_call(self, node: Call, argument: Expr) -> Value:
        bare = _bare(argument)
        assert isinstance(bare, Range)
        name = node.name
        labels, values, present = [], [], []
        for window in self._windows(bare):
            counts = window.counts()
            labels += window.block.labels
            values.append(self._range_values(node, window))
            present.append(counts >= (2 if name in windows.NEEDS_TWO else 1))
        if name == "absent_over_time":
            there = np.concatenate(present) if present else np.zeros((1, self.times.size), bool)
            return functions.absent(argument, there)
        vector = self._joined(labels, values, present)
        return vector if name == "last_over_time" else vector.without_name()

    def _range_values(self, node: Call, window: windows.Windows) -> np.ndarray:
        if node.name == "quantile_over_time":
            return windows.quantile_over_time(window, self._scalar(node.args[0]))
        if node.name == "predict_linear":
            return windows.predict_linear(window, self._scalar(node.args[1]), self.times)
        if node.name == "absent_over_time":
            return windows.present_over_time(window)
        return windows.SIMPLE[node.name](window)


def _bare(expr: Expr) -> Expr:
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr

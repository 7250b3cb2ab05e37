"""Range functions, for every evaluation time at once.

A window is a run of samples of a block. Sums, extremes and moments over all windows come from
blocks of 1, 2, 4, … samples that are joined as the binary digits of each window's length say:
the work grows with the logarithm of the range, and nothing is subtracted from a running total,
so no precision is lost over a long history.

Source of the formulas: Prometheus, promql/functions.go, versions 2.42 and 3.0 (Apache-2.0).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course.telemetry.prometheus.errors import EvaluationError
from course.telemetry.prometheus.series import SAMPLE, Block

MAX_QUANTILE_WORK = 200_000_000
_CHUNK = 4_000_000

State = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Windows:
    """The samples in ``[end - range, end]`` (semantics 2) or ``(end - range, end]`` (3).

    Attributes
    ----------
    block : Block
    ends : ndarray of int64, shape (times,)
        Right ends in milliseconds, rising.
    range_ms : int
    closed_left : bool
        Whether a sample exactly at the left end counts.
    """

    block: Block
    ends: np.ndarray
    range_ms: int
    closed_left: bool

    @property
    def low(self) -> np.ndarray:
        """First sample position of each window, shape (times,)."""
        beginnings = self.ends - self.range_ms
        if self.closed_left:
            return np.searchsorted(self.block.times, beginnings, side="left")
        return np.searchsorted(self.block.times, beginnings, side="right")

    @property
    def high(self) -> np.ndarray:
        """One past the last sample position, shape (times,)."""
        return np.searchsorted(self.block.times, self.ends, side="right")

    @property
    def valid(self) -> np.ndarray:
        """Which cells of the block hold a sample, shape (series, samples)."""
        return self.block.kinds == SAMPLE

    def counts(self) -> np.ndarray:
        """Samples in each window, shape (series, times)."""
        return self.total(self.valid)

    def total(self, cells: np.ndarray) -> np.ndarray:
        """How many of the marked cells lie in each window."""
        running = np.zeros((cells.shape[0], cells.shape[1] + 1), np.int64)
        np.cumsum(cells, axis=1, out=running[:, 1:])
        return running[:, self.high] - running[:, self.low]

    def first(self) -> np.ndarray:
        """Position of the first sample; only meaningful where there is one."""
        size = self.block.times.size
        positions = np.where(self.valid, np.arange(size), size)
        ahead = np.minimum.accumulate(positions[:, ::-1], axis=1)[:, ::-1]
        return np.minimum(ahead[:, np.minimum(self.low, size - 1)], size - 1)

    def last(self) -> np.ndarray:
        """Position of the last sample; only meaningful where there is one."""
        return np.maximum(previous_valid(self.valid)[:, np.maximum(self.high - 1, 0)], 0)

    def values_at(self, positions: np.ndarray) -> np.ndarray:
        """Values at positions, shape (series, times)."""
        return np.take_along_axis(self.block.values, positions, axis=1)

    def fold(
        self, leaves: State, empty: tuple[float, ...], join: Callable[[State, State], State]
    ) -> State:
        """Join the leaves of each window, from left to right.

        Parameters
        ----------
        leaves : tuple of ndarray, each (series, samples)
        empty : tuple of float
            What joining leaves unchanged.
        join : callable
            Associative; joins two states elementwise.
        """
        low, length = self.low, self.high - self.low
        shape = (leaves[0].shape[0], low.size)
        result: State = tuple(np.full(shape, e) for e in empty)
        level, width = leaves, 1
        longest = int(length.max(initial=0))
        position = low.copy()
        while width <= longest:
            use = (length & width) != 0
            columns = position[use]
            joined = join(tuple(r[:, use] for r in result), tuple(a[:, columns] for a in level))
            for target, part in zip(result, joined, strict=True):
                target[:, use] = part
            position[use] += width
            level = join(
                level, tuple(_shift(a, width, e) for a, e in zip(level, empty, strict=True))
            )
            width *= 2
        return result


def previous_valid(valid: np.ndarray) -> np.ndarray:
    """Position of the last true cell at or before each cell, -1 where there is none."""
    return np.maximum.accumulate(np.where(valid, np.arange(valid.shape[1]), -1), axis=1)


def _shift(level: np.ndarray, width: int, empty: float) -> np.ndarray:
    moved = np.full_like(level, empty)
    if width < level.shape[1]:
        moved[:, :-width] = level[:, width:]
    return moved


def _join_sums(a: State, b: State) -> State:
    """Sum with the rounding error kept apart (Knuth's two-sum)."""
    total = a[0] + b[0]
    back = total - a[0]
    error = (a[0] - (total - back)) + (b[0] - back)
    return total, a[1] + b[1] + error


def _sum(w: Windows, values: np.ndarray) -> np.ndarray:
    leaves = (np.where(w.valid, values, 0.0), np.zeros_like(values))
    total, error = w.fold(leaves, (0.0, 0.0), _join_sums)
    return np.where(np.isfinite(total), total + error, total)


def sum_over_time(w: Windows) -> np.ndarray:
    """Sum of the samples."""
    return _sum(w, w.block.values)


def avg_over_time(w: Windows) -> np.ndarray:
    """Mean of the samples."""
    return sum_over_time(w) / w.counts()


def min_over_time(w: Windows) -> np.ndarray:
    """Least sample; NaN samples only count where there is nothing else."""
    leaves = (np.where(w.valid, w.block.values, np.nan),)
    return w.fold(leaves, (np.nan,), lambda a, b: (np.fmin(a[0], b[0]),))[0]


def max_over_time(w: Windows) -> np.ndarray:
    """Greatest sample; NaN samples only count where there is nothing else."""
    leaves = (np.where(w.valid, w.block.values, np.nan),)
    return w.fold(leaves, (np.nan,), lambda a, b: (np.fmax(a[0], b[0]),))[0]


def _join_moments(a: State, b: State) -> State:
    """Counts, means and centred second moments of two runs together (Chan et al., 1979)."""
    count = a[0] + b[0]
    share = b[0] / np.maximum(count, 1.0)
    weight = a[0] * share
    dx, dy = b[1] - a[1], b[2] - a[2]
    return (
        count,
        np.where(a[0] == 0, b[1], a[1] + dx * share),
        np.where(a[0] == 0, b[2], a[2] + dy * share),
        a[3] + b[3] + dx * dx * weight,
        a[4] + b[4] + dx * dy * weight,
        a[5] + b[5] + dy * dy * weight,
    )


def _moments(w: Windows) -> State:
    """Count, mean time (s, from the block's start), mean, and Sxx, Sxy, Syy per window."""
    valid = w.valid
    seconds = (w.block.times - w.block.times[0]) / 1000.0
    zeros = np.zeros(valid.shape)
    leaves = (
        valid.astype(float),
        np.where(valid, seconds, 0.0),
        np.where(valid, w.block.values, 0.0),
        zeros,
        zeros,
        zeros,
    )
    return w.fold(leaves, (0.0,) * 6, _join_moments)


def stdvar_over_time(w: Windows) -> np.ndarray:
    """Population variance."""
    moments = _moments(w)
    return moments[5] / moments[0]


def stddev_over_time(w: Windows) -> np.ndarray:
    """Population standard deviation."""
    return np.sqrt(stdvar_over_time(w))


def count_over_time(w: Windows) -> np.ndarray:
    """How many samples."""
    return w.counts().astype(float)


def present_over_time(w: Windows) -> np.ndarray:
    """1 where there is any sample."""
    return np.ones((w.valid.shape[0], w.ends.size))


def last_over_time(w: Windows) -> np.ndarray:
    """The newest sample."""
    return w.values_at(w.last())


def _changed(w: Windows, differs: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """How often a sample differs from the sample before it in the window."""
    return (w.total(_follows(w, differs)) - _first_follows(w, differs)).astype(float)


def _previous_values(w: Windows) -> tuple[np.ndarray, np.ndarray]:
    """The sample before each sample, and whether there is one."""
    before = np.full(w.valid.shape, -1)
    before[:, 1:] = previous_valid(w.valid)[:, :-1]
    return np.take_along_axis(w.block.values, np.maximum(before, 0), axis=1), before >= 0


def _follows(w: Windows, differs: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    before, known = _previous_values(w)
    return w.valid & known & differs(before, w.block.values)


def _first_follows(
    w: Windows, differs: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """The mark of the window's first sample, which compares with a sample outside."""
    return np.take_along_axis(_follows(w, differs), w.first(), axis=1).astype(int)


def changes(w: Windows) -> np.ndarray:
    """How often the value changed."""
    return _changed(w, lambda a, b: (a != b) & ~(np.isnan(a) & np.isnan(b)))


def resets(w: Windows) -> np.ndarray:
    """How often the value fell."""
    return _changed(w, lambda a, b: b < a)


def _enough(w: Windows) -> np.ndarray:
    return w.counts() >= 2


def _counter_correction(w: Windows) -> np.ndarray:
    """What a counter had reached before each reset in the window."""
    before, known = _previous_values(w)
    fell = w.valid & known & (w.block.values < before)
    lost = np.where(fell, before, 0.0)
    return _sum(w, lost) - np.take_along_axis(lost, w.first(), axis=1)


def extrapolated(w: Windows, counter: bool, per_second: bool) -> np.ndarray:
    """rate(), increase() and delta(): the change, stretched to the ends of the window.

    The stretch ends half a mean sample distance beyond the samples where the window's end is
    further than 1.1 distances away, and for a counter at the time when it would have been zero.
    """
    first, last = w.first(), w.last()
    low_value, change = w.values_at(first), w.values_at(last) - w.values_at(first)
    if counter:
        change = change + _counter_correction(w)
    first_time, last_time = w.block.times[first], w.block.times[last]
    to_start = (first_time - (w.ends - w.range_ms)) / 1000.0
    to_end = (w.ends - last_time) / 1000.0
    sampled = (last_time - first_time) / 1000.0
    distance = sampled / (w.counts() - 1)
    far_start, far_end = to_start >= distance * 1.1, to_end >= distance * 1.1
    to_zero = np.where(
        counter & (change > 0) & (low_value >= 0), sampled * (low_value / change), np.inf
    )
    if w.closed_left:  # Prometheus 2 looks at the counter's zero before the distance
        to_start = np.minimum(to_start, to_zero)
        to_start = np.where(to_start >= distance * 1.1, distance / 2, to_start)
    else:
        to_start = np.minimum(np.where(far_start, distance / 2, to_start), to_zero)
    to_end = np.where(far_end, distance / 2, to_end)
    factor = (sampled + to_start + to_end) / sampled
    if per_second:
        factor = factor / (w.range_ms / 1000.0)
    return change * factor


def instant_change(w: Windows, counter_rate: bool) -> np.ndarray:
    """irate() and idelta(): from the last two samples."""
    last = w.last()
    before = np.full(w.valid.shape, -1)
    before[:, 1:] = previous_valid(w.valid)[:, :-1]
    previous = np.maximum(np.take_along_axis(before, last, axis=1), 0)
    new, old = w.values_at(last), w.values_at(previous)
    if not counter_rate:
        return new - old
    seconds = (w.block.times[last] - w.block.times[previous]) / 1000.0
    return np.where(new < old, new, new - old) / seconds


def _slope(w: Windows) -> tuple[np.ndarray, State]:
    moments = _moments(w)
    low, high = min_over_time(w), max_over_time(w)
    flat = np.where(np.isinf(low), np.nan, 0.0)
    constant = (low == high) & ~np.isnan(moments[2])  # a NaN sample is no constant
    return np.where(constant, flat, moments[4] / moments[3]), moments


def deriv(w: Windows) -> np.ndarray:
    """Slope per second of the least-squares line."""
    return _slope(w)[0]


def predict_linear(w: Windows, seconds: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The least-squares line, `seconds` after each of the evaluation times `now`."""
    slope, moments = _slope(w)
    elapsed = (now - w.block.times[0]) / 1000.0
    return moments[2] + slope * (elapsed + seconds - moments[1])


def quantile_over_time(w: Windows, q: np.ndarray) -> np.ndarray:
    """The q-quantile with linear interpolation; `q` has shape (times,)."""
    low, high, counts = w.low, w.high, w.counts()
    longest = int((high - low).max(initial=0))
    rows = w.valid.shape[0]
    if rows * low.size * longest > MAX_QUANTILE_WORK:
        raise EvaluationError(
            f"quantile_over_time() over {longest} samples at {low.size} times of {rows} series is "
            "too much work; use a shorter range or a recording rule"
        )
    result = np.full((rows, low.size), np.nan)
    if not longest:
        return result
    step = max(1, _CHUNK // (rows * longest))
    values = np.where(w.valid, w.block.values, np.inf)
    nans = w.total(w.valid & np.isnan(w.block.values))
    values = np.where(np.isnan(values), -np.inf, values)
    for begin in range(0, low.size, step):
        part = slice(begin, begin + step)
        positions = low[part, None] + np.arange(longest)
        inside = positions < high[part, None]
        window = values[:, np.minimum(positions, values.shape[1] - 1)]
        window = np.sort(np.where(inside, window, np.inf), axis=2)
        result[:, part] = interpolate(window, counts[:, part], q[part])
        rank = np.floor(q[part] * (counts[:, part] - 1))
        result[:, part][rank < nans[:, part]] = np.nan
    return quantile_limits(result, q)


def interpolate(ordered: np.ndarray, counts: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantiles of sorted values along the last axis, of which the first `counts` are real."""
    rank = np.clip(np.nan_to_num(q), 0.0, 1.0) * np.maximum(counts - 1, 0)
    lower = np.floor(rank).astype(int)
    upper = np.minimum(np.maximum(counts - 1, 0), lower + 1)
    weight = rank - lower
    left = np.take_along_axis(ordered, lower[..., None], axis=-1)[..., 0]
    right = np.take_along_axis(ordered, upper[..., None], axis=-1)[..., 0]
    return left * (1 - weight) + right * weight


def quantile_limits(result: np.ndarray, q: np.ndarray) -> np.ndarray:
    """-Inf below 0, +Inf above 1, NaN for NaN."""
    q = np.broadcast_to(q, result.shape)
    return np.where(np.isnan(q), np.nan, np.where(q < 0, -np.inf, np.where(q > 1, np.inf, result)))


SIMPLE: dict[str, Callable[[Windows], np.ndarray]] = {
    "sum_over_time": sum_over_time,
    "avg_over_time": avg_over_time,
    "min_over_time": min_over_time,
    "max_over_time": max_over_time,
    "count_over_time": count_over_time,
    "stddev_over_time": stddev_over_time,
    "stdvar_over_time": stdvar_over_time,
    "last_over_time": last_over_time,
    "present_over_time": present_over_time,
    "changes": changes,
    "resets": resets,
    "rate": lambda w: extrapolated(w, counter=True, per_second=True),
    "increase": lambda w: extrapolated(w, counter=True, per_second=False),
    "delta": lambda w: extrapolated(w, counter=False, per_second=False),
    "irate": lambda w: instant_change(w, counter_rate=True),
    "idelta": lambda w: instant_change(w, counter_rate=False),
    "deriv": deriv,
}
NEEDS_TWO = frozenset(["rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear"])

"""What every measure asks of its inputs, checked in one place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def as_timedelta(value: Any, name: str) -> pd.Timedelta:
    """Read a duration that is zero or more, such as ``"10min"`` or a ``pd.Timedelta``."""
    try:
        duration = pd.Timedelta(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be a duration such as '10min' or pd.Timedelta(minutes=10), "
            f"found {value!r}."
        ) from error
    if duration is pd.NaT or duration < pd.Timedelta(0):
        raise ValueError(f"{name} must be zero or more, found {value!r}.")
    return duration


def nanoseconds(times: pd.DatetimeIndex) -> IntArray:
    """Give UTC nanoseconds since 1970, whatever the unit of the index."""
    return times.as_unit("ns").asi8


def check_times(index: Any, name: str) -> pd.DatetimeIndex:
    """Ask for a UTC DatetimeIndex that rises strictly."""
    if not isinstance(index, pd.DatetimeIndex):
        raise TypeError(
            f"{name} must have a DatetimeIndex, found {type(index).__name__}. "
            "Set one, for example with pd.to_datetime(times, utc=True)."
        )
    if index.tz is None:
        raise ValueError(
            f"the times of {name} have no time zone. "
            "Say which one they are in, for example with .tz_localize('UTC')."
        )
    if index.hasnans:
        raise ValueError(f"the times of {name} hold NaT. Drop those rows first.")
    if not index.is_monotonic_increasing:
        raise ValueError(f"the times of {name} are not sorted. Use .sort_index().")
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        raise ValueError(
            f"{name} has more than one sample at {twice}. Keep one sample for each time."
        )
    return index.tz_convert("UTC")


def as_flags(values: Any, name: str) -> BoolArray:
    """Read one-dimensional true/false or 0/1 values; missing values are refused."""
    array = _as_array(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, found shape {array.shape}.")
    if array.dtype == bool:
        return array
    numbers = _as_numbers(array, name)
    if np.isnan(numbers).any():
        raise ValueError(
            f"{name} holds {int(np.isnan(numbers).sum())} missing values. "
            "Decide for each whether it is an anomaly, for example with .fillna(False)."
        )
    wrong = ~np.isin(numbers, (0.0, 1.0))
    if wrong.any():
        raise ValueError(
            f"{name} must be true/false or 0/1, found {float(numbers[wrong][0])!r}. "
            "Compare scores with a threshold first."
        )
    return numbers == 1.0


def as_scores(values: Any, name: str) -> FloatArray:
    """Read one-dimensional scores; infinite is allowed, missing is refused."""
    array = _as_array(values)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, found shape {array.shape}.")
    numbers = _as_numbers(array, name)
    missing = np.isnan(numbers)
    if missing.any():
        raise ValueError(
            f"{name} holds {int(missing.sum())} NaN, the first at position "
            f"{int(np.argmax(missing))}. Give every sample a score: a detector that has "
            "nothing to say scores low, not NaN."
        )
    return numbers


def aligned(labels: ArrayLike, other: ArrayLike, name: str) -> None:
    """Ask that labels and flags or scores stand for the same samples."""
    n_labels, n_other = len(np.asarray(labels)), len(np.asarray(other))
    if n_labels != n_other:
        raise ValueError(f"labels have {n_labels} samples and {name} {n_other}. Align them first.")
    if n_labels == 0:
        raise ValueError(f"labels and {name} are empty. Give at least one sample.")
    if isinstance(labels, pd.Series) and isinstance(other, pd.Series):
        if not labels.index.equals(other.index):
            raise ValueError(
                f"labels and {name} have different indexes. "
                f"Align them first, for example with {name}.reindex(labels.index)."
            )
        if isinstance(labels.index, pd.DatetimeIndex) and not labels.index.is_monotonic_increasing:
            raise ValueError("the times of labels are not sorted. Use .sort_index().")


def as_intervals(
    intervals: pd.DataFrame | Iterable[tuple[Any, Any]], name: str
) -> tuple[IntArray, IntArray, pd.Index]:
    """Read intervals as starts and ends in UTC nanoseconds, in the order given."""
    if isinstance(intervals, pd.DataFrame):
        missing = [column for column in ("start", "end") if column not in intervals.columns]
        if missing:
            raise ValueError(
                f"{name} must have the columns 'start' and 'end', found "
                f"{[str(column) for column in intervals.columns]}."
            )
        starts, ends, labels = intervals["start"], intervals["end"], intervals.index
    elif isinstance(intervals, pd.Series):
        raise TypeError(f"{name} must be a DataFrame with columns 'start' and 'end', found Series.")
    else:
        pairs = list(intervals)
        if any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
            raise ValueError(f"{name} must be pairs (start, end), found {pairs[:1]!r}.")
        starts = pd.Series([pair[0] for pair in pairs], dtype=object)
        ends = pd.Series([pair[1] for pair in pairs], dtype=object)
        labels = pd.RangeIndex(len(pairs))
    first, last = _instants(starts, f"{name}.start"), _instants(ends, f"{name}.end")
    backwards = last < first
    if backwards.any():
        row = int(np.argmax(backwards))
        raise ValueError(
            f"{name} row {row} ends before it starts: "
            f"{starts.iloc[row]} to {ends.iloc[row]}. Swap them."
        )
    return first, last, labels


def _instants(column: pd.Series, name: str) -> IntArray:
    if len(column) == 0:
        return np.empty(0, dtype=np.int64)
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        stamps = [pd.Timestamp(value) for value in column]
        if any(stamp is not pd.NaT and stamp.tzinfo is None for stamp in stamps):
            raise ValueError(
                f"{name} has no time zone. "
                "Say which one it is in, for example with .dt.tz_localize('UTC')."
            )
        column = pd.Series(pd.to_datetime(stamps, utc=True))
    if column.isna().any():
        raise ValueError(f"{name} holds NaT. Give every interval a start and an end.")
    return nanoseconds(pd.DatetimeIndex(column))


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, pd.Series) and values.hasnans:
        return values.astype(object).where(values.notna(), np.nan).to_numpy()
    return np.asarray(values)


def _as_numbers(array: np.ndarray, name: str) -> FloatArray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold numbers, found dtype {array.dtype}.") from error

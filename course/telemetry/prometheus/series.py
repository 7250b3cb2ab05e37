"""Labelled series: how they are named, given to the evaluator and stored in it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import pandas as pd

from course.telemetry.prometheus.expressions import Matcher

Labels = tuple[tuple[str, str], ...]  # sorted by name; `__name__` is the metric's name

NONE, SAMPLE, STALE = 0, 1, 2  # kinds of a cell: nothing scraped, a sample, a staleness marker

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_PAIR = r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\["\\n])*)"\s*'
_SERIES = re.compile(rf"({_NAME})(?:\{{((?:{_PAIR},)*(?:{_PAIR})?)\s*\}})?", re.ASCII)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """Labels sorted by name; an empty value is the same as no label."""
    return tuple(sorted((k, v) for k, v in dict(pairs).items() if v))


def parse_series_name(text: str) -> Labels:
    """Labels of a series written as in the exposition format.

    Raises
    ------
    ValueError
        If the text is no series name.

    Examples
    --------
    >>> parse_series_name('up{job="shop"}')
    (('__name__', 'up'), ('job', 'shop'))
    """
    match = _SERIES.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f'{text!r} is not a series name; write metric or metric{{label="value"}}, '
            "or turn a table of services into series with to_series()"
        )
    pairs = re.findall(_PAIR, match.group(2) or "", re.ASCII)
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or "__name__" in names:
        raise ValueError(f"{text!r} sets a label twice")
    unescaped = {
        name: re.sub(r'\\(["\\n])', lambda m: "\n" if m[1] == "n" else m[1], value)
        for name, value in pairs
    }
    return make_labels({"__name__": match.group(1), **unescaped})


def format_series_name(labels: Labels) -> str:
    """The exposition format of labels.

    Examples
    --------
    >>> format_series_name((('__name__', 'up'), ('job', 'shop')))
    'up{job="shop"}'
    """
    pairs = dict(labels)
    name = pairs.pop("__name__", "")
    inner = ",".join(f'{key}="{_escaped(value)}"' for key, value in pairs.items())
    return f"{name}{{{inner}}}" if inner or not name else name


def _escaped(value: str) -> str:
    return re.sub(r'[\\"\n]', lambda match: _ESCAPES[match[0]], value)


def to_series(frame: pd.DataFrame, prefix: str = "shop_") -> pd.DataFrame:
    """Expose a table of services and metrics as Prometheus gauges.

    Parameters
    ----------
    frame : DataFrame
        UTC DatetimeIndex; columns a MultiIndex (service, metric).
    prefix : str
        Put before every metric's name.

    Returns
    -------
    DataFrame
        The same values; columns such as ``shop_latency_p99_ms{service="checkout"}``.

    Raises
    ------
    ValueError
        If the columns are not (service, metric), or prefix and metric make no metric name.

    Examples
    --------
    >>> index = pd.date_range("2026-03-01", periods=2, freq="1min", tz="UTC")
    >>> columns = pd.MultiIndex.from_product([["checkout"], ["queue_length"]])
    >>> to_series(pd.DataFrame([[1.0], [2.0]], index, columns)).columns.tolist()
    ['shop_queue_length{service="checkout"}']
    """
    if not isinstance(frame, pd.DataFrame) or frame.columns.nlevels != 2:
        raise ValueError(
            "to_series() takes a DataFrame whose columns are a MultiIndex (service, metric); "
            f"found {type(frame).__name__}"
            + (f" with {frame.columns.nlevels} level(s)" if isinstance(frame, pd.DataFrame) else "")
        )
    names = []
    for column in frame.columns.to_list():
        service, metric = tuple(column)
        if re.fullmatch(_NAME, f"{prefix}{metric}", re.ASCII) is None:
            raise ValueError(f"{prefix + str(metric)!r} is not a metric name; change the prefix")
        names.append(
            format_series_name(
                make_labels({"__name__": f"{prefix}{metric}", "service": str(service)})
            )
        )
    exposed = frame.copy(deep=False)
    exposed.columns = pd.Index(names)
    return exposed


@dataclass(frozen=True)
class Block:
    """Series that share their times.

    Attributes
    ----------
    labels : list of Labels
        One per series.
    times : ndarray of int64, shape (samples,)
        Milliseconds since 1970, rising.
    values : ndarray of float, shape (series, samples)
    kinds : ndarray of int8, shape (series, samples)
        NONE, SAMPLE or STALE.
    """

    labels: list[Labels]
    times: np.ndarray
    values: np.ndarray
    kinds: np.ndarray

    def rows(self, keep: np.ndarray) -> "Block":
        """The block of the chosen series."""
        if keep.all():
            return self
        labels = [label for label, kept in zip(self.labels, keep, strict=True) if kept]
        return Block(labels, self.times, self.values[keep], self.kinds[keep])


@dataclass
class Storage:
    """Every series a rule may read: the input, and what earlier rules recorded."""

    blocks: list[Block]
    known: set[Labels] = field(default_factory=set)

    def add(self, block: Block) -> None:
        """Append recorded series."""
        if block.labels:
            self.blocks.append(block)
            self.known.update(block.labels)

    def select(self, matchers: tuple[Matcher, ...]) -> list[Block]:
        """The series that match, block by block."""
        found = []
        for block in self.blocks:
            keep = np.ones(len(block.labels), bool)
            tables = [dict(labels) for labels in block.labels]
            for matcher in matchers:
                rows = np.flatnonzero(keep)
                values = [tables[row].get(matcher.name, "") for row in rows]
                keep[rows] = matcher.matches(values)
            if keep.any():
                found.append(block.rows(keep))
        return found


def read_series(series: pd.DataFrame | Mapping[str, pd.Series], missing: str = "gap") -> Storage:
    """Store input series.

    Parameters
    ----------
    series : DataFrame or dict of Series
        Columns or keys are series names; the index is a UTC DatetimeIndex, rising.
    missing : {"gap", "stale"}
        What a NaN is: a scrape that never came, so the last sample counts for five more minutes,
        or a staleness marker, so the series is gone at once.

    Raises
    ------
    ValueError
        If names, index or values are not of this form.
    """
    if missing not in ("gap", "stale"):
        raise ValueError(f'missing must be "gap" or "stale", found {missing!r}')
    if isinstance(series, pd.DataFrame):
        if series.columns.nlevels != 1:
            raise ValueError("the columns have several levels; expose them with to_series() first")
        frames = [series]
    elif isinstance(series, Mapping):
        frames = [pd.DataFrame({name: column}) for name, column in series.items()]
    else:
        raise ValueError(
            f"series must be a DataFrame or a dict of Series, found {type(series).__name__}"
        )
    storage = Storage([])
    for frame in frames:
        block = _block(frame, STALE if missing == "stale" else NONE)
        for position, labels in enumerate(block.labels):
            if labels in storage.known or labels in block.labels[:position]:
                raise ValueError(f"series {format_series_name(labels)} is given twice")
        storage.add(block)
    return storage


def _block(frame: pd.DataFrame, missing_kind: int) -> Block:
    times = milliseconds(frame.index)
    labels = [parse_series_name(name) for name in frame.columns]
    try:
        values = np.ascontiguousarray(frame.to_numpy(dtype=float, na_value=np.nan).T)
    except (TypeError, ValueError) as error:
        raise ValueError(f"series must be numbers: {error}") from None
    kinds = np.where(np.isnan(values), missing_kind, SAMPLE).astype(np.int8)
    return Block(labels, times, values, kinds)


def milliseconds(index: pd.Index) -> np.ndarray:
    """Milliseconds since 1970 of a rising UTC index."""
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise ValueError(
            f"series need a timezone-aware DatetimeIndex (UTC), found {type(index).__name__}"
        )
    if not index.is_monotonic_increasing or not index.is_unique:
        raise ValueError("the index must rise without duplicates; sort it first")
    if index.hasnans:
        raise ValueError("the index holds a missing time")
    return cast(np.ndarray, index.tz_convert("UTC").tz_localize(None).as_unit("ms").asi8)

"""The charts of the lessons: one look, a colour-blind-safe palette, faults shaded.

Every function draws on given axes and returns them, so that a lesson can compose charts and
a student can change them. Colours are those of Okabe and Ito (2008), "Color Universal Design".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#000000", "#7F7F7F"
PALETTE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY, BLACK)


def use_style() -> None:
    """Set the look of all charts of a notebook.

    Examples
    --------
    >>> use_style()
    """
    plt.rcParams.update(
        {
            "figure.figsize": (9.0, 3.0),
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "grid.alpha": 0.25,
            "grid.linewidth": 0.6,
            "legend.frameon": True,
            "legend.framealpha": 0.8,
            "legend.edgecolor": "none",
            "lines.linewidth": 1.1,
        }
    )


def shade(
    ax: Axes, intervals: pd.DataFrame, *, label: str | None = "fault", color: str = ORANGE
) -> Axes:
    """Shade intervals of time.

    Parameters
    ----------
    ax : Axes
        With time on the x axis.
    intervals : DataFrame
        One row an interval, columns `start` and `end` (timestamps).
    label : str, optional
        Legend entry, given once.
    color : str
        Colour of the shade.

    Returns
    -------
    Axes
        The same axes.
    """
    edges = intervals[["start", "end"]].apply(mdates.date2num).to_numpy()
    for number, (start, end) in enumerate(edges):
        ax.axvspan(start, end, color=color, alpha=0.25, lw=0, label=None if number else label)
    return ax


def mark(ax: Axes, times: Iterable[pd.Timestamp], *, label: str, color: str = RED) -> Axes:
    """Mark moments, such as alerts, by triangles along the lower edge of the axes."""
    moments = mdates.date2num(list(times))
    if len(moments):
        transform = ax.get_xaxis_transform()
        ax.plot(
            moments,
            np.full(len(moments), 0.03),
            marker="^",
            ls="",
            ms=7,
            color=color,
            transform=transform,
            label=label,
            clip_on=False,
        )
    return ax


def timeline(
    series: pd.Series | Mapping[str, pd.Series],
    *,
    title: str,
    ylabel: str,
    events: pd.DataFrame | None = None,
    alerts: Iterable[pd.Timestamp] | None = None,
    shaded: str = "fault",
    ax: Axes | None = None,
) -> Axes:
    """Plot one or more series over time, with faults shaded and alerts marked.

    Parameters
    ----------
    series : Series or mapping of label to Series
        On a DatetimeIndex.
    title : str
        The finding that the chart shows.
    ylabel : str
        Quantity and unit.
    events : DataFrame, optional
        Faults, columns `start` and `end`.
    alerts : iterable of Timestamp, optional
        When alerts began.
    shaded : str
        What the shaded events are, for the legend.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
    """
    if ax is None:
        _, ax = plt.subplots()
    lines = {"": series} if isinstance(series, pd.Series) else series
    for label, line in lines.items():
        ax.plot(line.index, line.to_numpy(), label=label or None)
    if events is not None:
        shade(ax, events, label=shaded)
    if alerts is not None:
        mark(ax, alerts, label="alert")
    ax.set_title(title)
    ax.set_ylabel(ylabel)
    ax.set_xlabel("time (UTC)")
    ax.margins(x=0)
    concise_dates(ax)
    if ax.get_legend_handles_labels()[1]:
        ax.legend(loc="upper left", ncols=4)
    return ax


def concise_dates(ax: Axes) -> Axes:
    """Write dates on the x axis as briefly as they allow."""
    locator = mdates.AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    return ax


def grid(
    rows: int, *, height: float = 2.0, sharex: bool = True, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make a column of `rows` charts that share the x axis."""
    figure, axes = plt.subplots(
        rows, 1, figsize=(9.0, height * rows), sharex=sharex, squeeze=False, **options
    )
    return figure, axes[:, 0]


def waterfall(
    spans: pd.DataFrame,
    *,
    title: str,
    start: str = "start_time_unix_nano",
    end: str = "end_time_unix_nano",
    highlight: Iterable[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Draw the spans of one trace, one bar each, in the order in which they begin.

    Parameters
    ----------
    spans : DataFrame
        Columns `span_id`, `service.name`, `name`, `status_code` and the two times.
    title : str
        The finding that the chart shows.
    start, end : str
        Columns of the times, in nanoseconds.
    highlight : iterable of str
        Ids of spans that are drawn in orange. Failed spans have a red edge.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
    """
    table = spans.sort_values([start, "span_id"])
    if ax is None:
        _, ax = plt.subplots(figsize=(9.0, 0.24 * len(table) + 1.2))
    begin = (table[start] - table[start].min()).to_numpy() / 1e6
    width = (table[end] - table[start]).to_numpy() / 1e6
    marked = table["span_id"].isin(set(highlight)).to_numpy()
    failed = (table["status_code"] == "ERROR").to_numpy()
    ax.barh(
        np.arange(len(table)),
        np.maximum(width, 0.002 * (begin + width).max()),
        left=begin,
        height=0.7,
        color=np.where(marked, ORANGE, SKY),
        edgecolor=np.where(failed, RED, "none"),
        linewidth=1.6,
    )
    labels = table["service.name"] + ": " + table["name"]
    ax.set_yticks(np.arange(len(table)), labels, fontsize=7)
    ax.invert_yaxis()
    ax.set(title=title, xlabel="ms since the first span began")
    ax.grid(axis="y", visible=False)
    return ax


def reliability(curves: Mapping[str, pd.DataFrame], *, title: str, ax: Axes | None = None) -> Axes:
    """Plot what happened against what was said, beside the diagonal of true probabilities.

    Parameters
    ----------
    curves : mapping of label to DataFrame
        From `course.scoring.reliability_curve`: columns `said`, `happened`, `n`.
    title : str
        The finding that the chart shows.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
        Both axes end where the largest value does.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.4))
    top = 1.05 * max(float(curve[["said", "happened"]].max().max()) for curve in curves.values())
    ax.plot([0, top], [0, top], color=GREY, ls="--", lw=1, label="as said")
    for (label, curve), mark in zip(curves.items(), "oD^vPX*" * len(curves), strict=False):
        ax.plot(curve["said"], curve["happened"], marker=mark, ms=5, label=label)
    ax.set(
        title=title, xlabel="probability said", ylabel="share that happened",
        xlim=(0, top), ylim=(0, top),
    )  # fmt: skip
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def precision_recall(
    labels: Any, scores: Mapping[str, Any], *, title: str, ax: Axes | None = None
) -> Axes:
    """Plot precision against recall for each score, beside the base rate that chance reaches.

    Parameters
    ----------
    labels : array_like of bool, shape (n,)
        With a positive among them.
    scores : mapping of label to array_like of float, shape (n,)
        Higher is more suspicious.
    title : str
        The finding that the chart shows.
    ax : Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Axes
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6.0, 3.4))
    truth = np.asarray(labels, dtype=bool)
    for label, score in scores.items():
        order = np.argsort(-np.asarray(score, dtype=float), kind="stable")
        hits = np.cumsum(truth[order])
        # One point for each distinct score: equal scores are flagged together.
        ranked = np.asarray(score, dtype=float)[order]
        last = np.append(ranked[1:] != ranked[:-1], True)
        ax.plot((hits / truth.sum())[last], (hits / np.arange(1, len(hits) + 1))[last], label=label)
    ax.axhline(truth.mean(), color=GREY, ls="--", lw=1, label="chance")
    ax.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

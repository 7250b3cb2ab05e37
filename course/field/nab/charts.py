"""The charts of the field study."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from course.field.nab.data import NabSeries
from course.field.nab.events import MERGE
from course.plots import BLUE, GREY, ORANGE, PALETTE, RED, concise_dates
from course.scoring import alert_intervals

_MARKERS = "osD^vP*X"


def plot_study(table: pd.DataFrame, *, group: str = "aws", ax: Axes | None = None) -> Axes:
    """Precision against recall of each detector in a group, with chance as a hollow mark.

    Parameters
    ----------
    table : pd.DataFrame
        From `study` (or one group of it).
    group : str
        First level of the table's index.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(6.0, 4.0))[1]
    rows = table.loc[group]
    for i, (name, row) in enumerate(rows.iterrows()):
        color, marker = PALETTE[i % len(PALETTE)], _MARKERS[i % len(_MARKERS)]
        label = f"{name} ({row['alerts_per_series_day']:.2f} alerts a day)"
        ax.plot(row["recall"], row["precision"], marker, color=color, ms=9, ls="", label=label)
        ax.plot(
            row["chance_recall"],
            row["chance_precision"],
            marker,
            color=color,
            ms=6,
            mfc="none",
            ls="",
        )
    best = rows["precision"].idxmax()
    ax.set(
        xlabel="event recall (share of label windows)",
        ylabel="precision (share of alerts)",
        title=f"Highest precision: {best} (hollow: chance)",
        xlim=(0, 1.02),
        ylim=(0, 1.2 * float(rows["precision"].max())),
    )
    ax.legend(loc="upper left", fontsize=8)
    return ax


def plot_series(series: NabSeries, flags: pd.Series, *, ax: Axes | None = None) -> Axes:
    """One series with its label windows, probation and alerts.

    Parameters
    ----------
    series : NabSeries
    flags : pd.Series of bool
        What a detector said.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(9.0, 3.0))[1]
    values = series.values
    ax.plot(values.index, values, color=BLUE, lw=0.7)
    ax.axvspan(values.index[0], series.probation_end, color=GREY, alpha=0.15, label="probation")
    for i, window in enumerate(series.windows.itertuples()):
        ax.axvspan(
            window.start, window.end, color=ORANGE, alpha=0.3, label=None if i else "label window"
        )
    alerts = alert_intervals(flags[flags.index >= series.probation_end], merge=MERGE)
    starts = pd.DatetimeIndex(alerts["start"])
    ax.plot(starts, values.reindex(starts), "v", color=RED, ms=7, ls="", label="alert starts")
    inside = sum(
        bool(((series.windows["start"] <= a.end) & (series.windows["end"] >= a.start)).any())
        for a in alerts.itertuples()
    )
    ax.set(
        title=f"{series.short}: {inside} of {len(alerts)} alerts touch a label window",
        xlabel="time (UTC)",
        ylabel="value (unit of the metric)",
    )
    ax.legend(loc="upper left", fontsize=8)
    return concise_dates(ax)

"""The charts of the field study."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from course.plots import BLUE, GREEN, GREY, RED, concise_dates

_COLORS = {"as stamped": RED, "as received": GREEN, "repaired": BLUE, "chance": GREY}


def plot_clock(raw: pd.DataFrame, name: str, *, ax: Axes | None = None) -> Axes:
    """How far a pod's clock is from its median error, row by row.

    Parameters
    ----------
    raw : pd.DataFrame
        A pod of `NezhaDay.pods`.
    name : str
        What to call it.
    ax : Axes, optional
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(9.0, 2.6))[1]
    received = pd.to_datetime(raw["received"], utc=True)
    ahead = raw["timestamp"] - (received - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    typical = ahead.median()
    off = (ahead - typical).abs() > 30
    ax.plot(
        received[~off],
        (ahead - typical)[~off],
        ".",
        ms=3,
        color=BLUE,
        label="no more than the median",
    )
    ax.plot(received[off], (ahead - typical)[off], ".", ms=5, color=RED, label="further off")
    ax.set_yscale("symlog", linthresh=60)
    ax.set(
        title=f"{name}: {typical:,.0f} s ahead, and {off.sum()} of {len(raw):,} rows further off",
        xlabel="time of receipt (UTC)",
        ylabel="s beyond the median",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return concise_dates(ax)


def plot_study(
    table: pd.DataFrame, *, system: str = "Online Boutique", ax: Axes | None = None
) -> Axes:
    """Accuracy at 1 to 5 for each kind of table of a system.

    Parameters
    ----------
    table : pd.DataFrame
        From `course.field.nezha.study.study`.
    system : str
        First level of the table's index.
    ax : Axes, optional
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(6.0, 3.2))[1]
    rows = table.loc[system]
    columns = [f"AC@{k}" for k in range(1, 6)]
    places = np.arange(1, 6)
    for name, row in rows.iterrows():
        style = "--" if name == "chance" else "-"
        ax.plot(places, row[columns], "o" + style, ms=4, color=_COLORS[str(name)], label=str(name))
    right = "repaired" if "repaired" in rows.index else "as received"
    ax.set(
        title=f"{system}: Avg@5 {rows.loc['as stamped', 'Avg@5']:.3f} as stamped, "
        f"{rows.loc[right, 'Avg@5']:.3f} {right}",
        xlabel="first k services of the ranking",
        ylabel="share of faults found",
        ylim=(0, 1.02),
    )
    ax.set_xticks(places)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

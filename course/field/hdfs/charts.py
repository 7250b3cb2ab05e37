"""The chart of the field study."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from course.field.hdfs.data import BASE_RATE
from course.field.hdfs.study import PUBLISHED
from course.plots import BLUE, GREEN, ORANGE


def plot_study(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """F1 of each detector at the natural base rate, the best on top, with recall and precision.

    Parameters
    ----------
    table : DataFrame
        From `study`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    import matplotlib.pyplot as plt

    rows = table.sort_values("f1")
    ax = ax or plt.subplots(figsize=(8.0, 0.42 * len(rows) + 1.1))[1]
    bars = ax.barh(range(len(rows)), rows["f1"], color=BLUE, height=0.62, label="F1")
    if PUBLISHED in rows.index:
        bars[list(rows.index).index(PUBLISHED)].set(facecolor="white", edgecolor="black")
    ax.plot(rows["recall"], range(len(rows)), "o", color=ORANGE, mec="white", ms=7, ls="",
            label="recall")  # fmt: skip
    ax.plot(rows["precision"], range(len(rows)), "D", color=GREEN, mec="white", ms=6, ls="",
            label="precision")  # fmt: skip
    for place, f1 in enumerate(rows["f1"]):
        ax.text(1.04, place, f"{f1:.2f}", va="center", fontsize=8)
    best = rows["f1"].drop(PUBLISHED, errors="ignore")
    ax.set_yticks(range(len(rows)), rows.index)
    ax.grid(axis="y", visible=False)
    ax.set(
        xlabel=f"share, where {BASE_RATE:.1%} of the sessions are abnormal; F1 in figures",
        xlim=(0, 1.1), title=f"Best here: {best.idxmax()} (F1 {best.max():.2f})",
    )  # fmt: skip
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

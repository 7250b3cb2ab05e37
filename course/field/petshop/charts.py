"""The chart of the field study."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from course.plots import GREY, PALETTE


def plot_study(table: pd.DataFrame, *, column: str = "AC@3", ax: Axes | None = None) -> Axes:
    """Accuracy of each ranking by traffic and metric, chance as a line.

    Parameters
    ----------
    table : DataFrame
        From `study`.
    column : {"AC@1", "AC@3"}
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(7.5, 3.6))[1]
    values = table[column].unstack("ranking")
    chance = values.pop("chance")
    values.index = [
        "all issues" if traffic == "all" else f"{traffic} traffic,\n{metric}"
        for traffic, metric in values.index
    ]
    colors = [PALETTE[i % len(PALETTE)] for i in range(len(values.columns))]
    values.plot.bar(ax=ax, color=colors, width=0.8, rot=0)
    for place, level in enumerate(chance):
        ax.hlines(level, place - 0.45, place + 0.45, color=GREY, ls="--", lw=1.2,
                  label="chance" if place == 0 else "_")  # fmt: skip
    best = table.loc[("all", "all"), column].drop("chance").idxmax()
    ax.set(
        ylim=(0, 1.02), ylabel=f"{column} (ties averaged)", xlabel="",
        title=f"On all issues the best is: {best} ({table.loc[('all', 'all', best), column]:.2f})",
    )  # fmt: skip
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

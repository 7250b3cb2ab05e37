"""The chart of the field study."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from course.field.loghub.study import PUBLISHED
from course.plots import GREY, PALETTE

_MARKERS = "oD^vPX*"


def plot_study(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Grouping accuracy of each parser on each system, a row a system.

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

    ax = ax or plt.subplots(figsize=(7.5, 3.8))[1]
    values = table["ga"].unstack("parser")[list(dict.fromkeys(table.index.get_level_values(1)))]
    order = [*values.index.drop("mean").sort_values(ascending=False), "mean"][::-1]
    values = values.loc[order]
    ax.hlines(
        range(len(values)), values.min(axis=1), values.max(axis=1), color=GREY, lw=0.8, zorder=0
    )
    for i, (name, column) in enumerate(values.items()):
        mark = "s" if name == PUBLISHED else _MARKERS[i % len(_MARKERS)]
        color = "black" if name == PUBLISHED else PALETTE[i % len(PALETTE)]
        face = "none" if name == PUBLISHED else color
        ax.plot(column, range(len(values)), mark, color=color, mfc=face, ms=7, ls="", label=name)
    ax.set_yticks(range(len(values)), values.index)
    ax.set(
        xlabel="grouping accuracy (share of lines)", xlim=(-0.02, 1.02),
        title=f"Best on average: {values.loc['mean'].idxmax()} ({values.loc['mean'].max():.2f})",
    )  # fmt: skip
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

"""The chart of the field study."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from course.field.loghub.study import PUBLISHED
from course.plots import BLUE, GREY, ORANGE


def plot_study(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Mean grouping accuracy of each parser, a bar a parser, with a dot for each system.

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

    values = table["ga"].unstack("parser").T.sort_values("mean")
    ax = ax or plt.subplots(figsize=(8.0, 0.42 * len(values) + 1.1))[1]
    own = [name == "yours" for name in values.index]
    colors = [ORANGE if mine else BLUE for mine in own]
    bars = ax.barh(range(len(values)), values["mean"], color=colors, height=0.62)
    for bar, name in zip(bars, values.index, strict=True):
        if name == PUBLISHED:
            bar.set(facecolor="white", edgecolor="black")
        ax.text(1.02, bar.get_y() + bar.get_height() / 2, f"{bar.get_width():.3f}", va="center",
                fontsize=8)  # fmt: skip
    for place, (_, row) in enumerate(values.drop(columns="mean").iterrows()):
        ax.plot(row, [place] * len(row), "o", color="black", mec="white", ms=4, mew=0.6)
    ax.plot([], [], "o", color="black", mec="white", ms=4, label="one system")
    ax.set_yticks(range(len(values)), values.index)
    ax.grid(axis="y", visible=False)
    ax.axvline(1, color=GREY, lw=0.6)
    ax.set(
        xlabel="grouping accuracy (share of lines); bar: mean, at the right in figures",
        xlim=(0, 1.1), title=_finding(values["mean"]),
    )  # fmt: skip
    ax.legend(fontsize=8, loc="lower right", bbox_to_anchor=(0.9, 0.0))
    return ax


def _finding(means: pd.Series) -> str:
    """Say where the student's parser stands, or which is best."""
    if "yours" not in means:
        return f"Best on average: {means.idxmax()} ({means.max():.2f})"
    others = means.drop(["yours", PUBLISHED], errors="ignore")
    verb = "beats" if means["yours"] > others.max() else "does not beat"
    return f"Yours ({means['yours']:.2f}) {verb} {others.idxmax()} ({others.max():.2f})"

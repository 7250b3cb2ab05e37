"""The chart of the field study."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from course.field.hdfs.data import BASE_RATE
from course.plots import GREY, PALETTE
from course.scoring import at_base_rate

_MARKERS = "oD^vPX*"


def plot_study(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Recall against false positives, with lines of equal F1 at the natural base rate.

    Parameters
    ----------
    table : DataFrame
        From `study`; what has no false-positive rate is left out.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    import matplotlib.pyplot as plt

    ax = ax or plt.subplots(figsize=(7.0, 4.0))[1]
    rows = table.dropna(subset=["false_positive_rate"])
    right = min(max(130 * float(rows["false_positive_rate"].max()), 0.5), 100.0)
    rates, recalls = np.meshgrid(np.linspace(0, right / 100, 120), np.linspace(0.01, 1, 120))
    f1 = np.vectorize(lambda r, f: at_base_rate(r, f, BASE_RATE).f1)(recalls, rates)
    lines = ax.contour(100 * rates, recalls, f1, levels=[0.3, 0.5, 0.7, 0.9], colors=GREY,
                       linewidths=0.8)  # fmt: skip
    ax.clabel(lines, fmt="F1 %.1f", fontsize=7)
    for i, (name, row) in enumerate(rows.iterrows()):
        ax.plot(100 * row["false_positive_rate"], row["recall"], _MARKERS[i % len(_MARKERS)], ms=8,
                ls="", color=PALETTE[i % len(PALETTE)], label=f"{name} ({row['f1']:.2f})",
                clip_on=False, zorder=3)  # fmt: skip
    ax.set(
        xlabel="normal sessions flagged (%)", ylabel="abnormal sessions found (recall)",
        xlim=(0, right), ylim=(0, 1.03),
        title=f"Best F1 where 2.9 % are abnormal: {rows['f1'].idxmax()} ({rows['f1'].max():.2f})",
    )  # fmt: skip
    ax.legend(fontsize=8, title="F1 in brackets", loc="center left", bbox_to_anchor=(1, 0.5))
    return ax

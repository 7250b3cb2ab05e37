"""What the grades of a class say about its exercises: item statistics, a table, a chart.

The terms are those of classical test theory: an exercise is an item, its difficulty index is
the mean share of its points, and its discrimination is how well it goes along with the rest.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from course._files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOLERANCE = 1e-9
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class ItemStatistics:
    """How one exercise went.

    Parameters
    ----------
    exercise : str
        Its id.
    n : int
        Submissions.
    difficulty : float
        Difficulty index p: mean share of the points, 0 (nobody earned any) to 1.
    deviation : float
        Sample standard deviation of the share; NaN for fewer than two submissions.
    full, zero : float
        Share of submissions with all points and with none.
    discrimination : float
        Corrected item-total correlation; NaN where it is not defined.
    message : str
        The commonest reason for points lost, numbers replaced by ``#``.
    message_count : int
        Submissions whose feedback gives that reason.
    """

    exercise: str
    n: int
    difficulty: float
    deviation: float
    full: float
    zero: float
    discrimination: float
    message: str = ""
    message_count: int = 0


def difficulty(shares: Sequence[float]) -> float:
    """Difficulty index of an item: the mean of the earned shares.

    For items with partial credit, the mean score over the largest possible score (Crocker and
    Algina, 1986, Introduction to Classical and Modern Test Theory, ch. 14). A high index is an
    easy item.

    Examples
    --------
    >>> difficulty([1.0, 0.5, 0.0])
    0.5
    """
    return float(np.mean(shares)) if len(shares) else math.nan


def discrimination(item: Sequence[float], totals: Sequence[float]) -> float:
    """Corrected item-total correlation: the item against the total without it.

    Pearson's correlation of an item with the sum of the other items (Henrysson, 1963,
    Correction of item-total correlations in item analysis, Psychometrika 28, 211-218; Nunnally
    and Bernstein, 1994, Psychometric Theory, ch. 8). With the item in the total, the
    correlation would be too high.

    Parameters
    ----------
    item : sequence of float
        Points of the item, one a student.
    totals : sequence of float
        Points of all items together, the item included.

    Returns
    -------
    float
        From -1 to 1; NaN for fewer than three students, or where the item or the rest is the
        same for all.

    Examples
    --------
    >>> discrimination([0, 1, 2], [0, 2, 4])
    1.0
    >>> discrimination([1, 1, 1], [1, 2, 3])
    nan
    """
    x = np.asarray(item, dtype=float)
    rest = np.asarray(totals, dtype=float) - x
    if len(x) < 3 or _constant(x) or _constant(rest):
        return math.nan
    x, rest = x - x.mean(), rest - rest.mean()
    # Scaled first, so that tiny spreads neither vanish nor overflow when squared.
    x, rest = x / np.abs(x).max(), rest / np.abs(rest).max()
    r = float(x @ rest / math.sqrt(float(x @ x) * float(rest @ rest)))
    return round(min(max(r, -1.0), 1.0), 12)


def _constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= _TOLERANCE * max(1.0, float(np.abs(values).max()))


def normalise(message: str) -> str:
    """A message with its numbers replaced, so that they do not split a reason into many.

    Examples
    --------
    >>> normalise("F1 0.31,  at most 2 false alarms")
    'F1 #, at most # false alarms'
    """
    return " ".join(_NUMBER.sub("#", message).split())


def commonest(messages: Iterable[Iterable[str]]) -> tuple[str, int]:
    """The commonest normalised message and how many submissions got it.

    Parameters
    ----------
    messages : iterable of iterable of str
        The messages of each submission; one that repeats within a submission counts once.

    Examples
    --------
    >>> commonest([["late by 3 s", "late by 4 s"], ["late by 9 s"], ["no answer"]])
    ('late by # s', 2)
    """
    counts: Counter[str] = Counter()
    for given in messages:
        counts.update(sorted({normalise(message) for message in given}))
    if not counts:
        return "", 0
    return min(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def item_statistics(
    points: Mapping[str, Sequence[float]],
    most: Mapping[str, float],
    messages: Sequence[Mapping[str, Sequence[str]]] = (),
) -> list[ItemStatistics]:
    """Statistics of every exercise.

    Parameters
    ----------
    points : mapping of str to sequence of float
        Points of each exercise, one a student, students in the same order.
    most : mapping of str to float
        Points that each exercise can earn.
    messages : sequence of mapping
        For each student, why points were lost, by exercise.
    """
    totals = [math.fsum(row) for row in zip(*points.values(), strict=True)]
    return [
        _statistics(exercise, np.asarray(column, dtype=float), most[exercise], totals, messages)
        for exercise, column in points.items()
    ]


def _statistics(
    exercise: str, points: np.ndarray, most: float, totals: Sequence[float],
    messages: Sequence[Mapping[str, Sequence[str]]],
) -> ItemStatistics:  # fmt: skip
    nan = math.nan
    if not len(points) or not most:
        return ItemStatistics(exercise, len(points), nan, nan, nan, nan, nan)
    shares = points / most
    lost = [given.get(exercise, ()) for given, share in zip(messages, shares, strict=False)
            if share < 1 - _TOLERANCE]  # fmt: skip
    return ItemStatistics(
        exercise,
        len(shares),
        difficulty(shares.tolist()),
        float(np.std(shares, ddof=1)) if len(shares) > 1 else nan,
        float(np.mean(shares >= 1 - _TOLERANCE)),
        float(np.mean(shares <= _TOLERANCE)),
        discrimination(points.tolist(), totals),
        *commonest(lost),
    )


def distribution(totals: Sequence[float], most: float, width: int = 40) -> str:
    """Totals as text: their quartiles and a bar for every tenth of the points."""
    if not len(totals) or not most:
        return "no grades"
    values = np.asarray(totals, dtype=float)
    low, median, high = np.percentile(values, [25, 50, 75])
    lines = [
        f"{len(values)} submissions, {most:g} points: mean {values.mean():.1f}, standard deviation "
        f"{np.std(values):.1f}, median {median:.1f}, middle half {low:.1f} to {high:.1f}"
    ]
    counts, edges = np.histogram(values, bins=10, range=(0.0, most))
    for count, start, end in zip(counts, edges, edges[1:], strict=False):
        bar = "#" * math.ceil(width * count / counts.max()) if count else ""
        lines.append(f"{start:5.0f} to {end:<4.0f} {count:4d}  {bar}".rstrip())
    return "\n".join(lines)


def table(rows: Sequence[ItemStatistics], width: int = 60) -> str:
    """The statistics as a table for the terminal."""
    head = ("exercise", "n", "difficulty", "sd", "full", "zero", "discrimination",
            "commonest reason for points lost")  # fmt: skip
    cells = [
        (row.exercise, str(row.n), _number(row.difficulty), _number(row.deviation),
         _percent(row.full), _percent(row.zero), _number(row.discrimination), _reason(row, width))
        for row in rows
    ]  # fmt: skip
    widths = [max(len(row[i]) for row in (head, *cells)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(size) if i in (0, len(head) - 1) else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *cells)
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}"


def _reason(row: ItemStatistics, width: int) -> str:
    if not row.message_count:
        return ""
    text = row.message if len(row.message) <= width else row.message[: width - 3] + "..."
    return f"{row.message_count} x {text}"


def write_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; a text that a spreadsheet would take for a formula is quoted by ``'``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_atomic(path, text.getvalue())


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value


def write_chart(
    path: Path,
    title: str,
    totals: Sequence[float],
    most: float,
    shares: Mapping[str, Sequence[float]],
    rows: Sequence[ItemStatistics],
) -> None:
    """Draw the distribution of totals beside that of the shares of every exercise.

    Parameters
    ----------
    path : Path
        A PNG file.
    title : str
        What was graded.
    totals : sequence of float
        Points, one a student.
    most : float
        Points that can be earned.
    shares : mapping of str to sequence of float
        Earned share of each exercise, one a student.
    rows : sequence of ItemStatistics
        Of the same exercises.
    """
    # Here, since these take a second and most runs of the grader draw nothing.
    import matplotlib.pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from course.plots import use_style

    with plt.rc_context():
        use_style()
        figure = Figure(figsize=(12.0, max(4.2, 1.6 + 0.42 * len(rows))), dpi=120)
        canvas = FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
        _draw_totals(left, np.asarray(totals, dtype=float), most)
        _draw_shares(right, shares, rows)
        figure.suptitle(title, x=0.01, ha="left", fontsize=13)
        image = io.BytesIO()
        canvas.print_png(image)
    write_atomic(path, image.getvalue())


def _draw_totals(ax: Axes, totals: np.ndarray, most: float) -> None:
    """Histogram of totals with the median."""
    from matplotlib.ticker import MaxNLocator

    from course.plots import BLACK, BLUE, RED

    ax.hist(totals, bins=20, range=(0.0, most), color=BLUE, edgecolor="white", linewidth=0.6)
    median = float(np.median(totals))
    ax.axvline(median, color=RED, lw=1.6, label=f"median {median:.1f}")
    ax.axvline(float(totals.mean()), color=BLACK, lw=1.2, ls="--",
               label=f"mean {totals.mean():.1f}")  # fmt: skip
    ax.set_title(f"Half of {len(totals)} submissions have {median:.0f} of {most:g} points or more")
    ax.set_xlabel("total (points)")
    ax.set_ylabel("submissions")
    ax.set_xlim(0.0, most)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(False, axis="x")
    ax.set_axisbelow(True)
    ax.legend(loc="upper left")


def _draw_shares(
    ax: Axes, shares: Mapping[str, Sequence[float]], rows: Sequence[ItemStatistics]
) -> None:
    """One stacked bar an exercise: how many earned nothing, little, most, everything."""
    from course.plots import BLACK

    labels = ("none", "below 1/3", "1/3 to 2/3", "above 2/3", "all")
    colours = ("#8c2d19", "#d98a6a", "#ead9c8", "#8fb8d8", "#0072b2")
    places = np.arange(len(rows))
    start = np.zeros(len(rows))
    counts = np.array([_counts(shares[row.exercise]) for row in rows], dtype=float)
    for column, label, colour in zip(counts.T, labels, colours, strict=True):
        ax.barh(places, column, left=start, color=colour, label=label, height=0.62,
                edgecolor="white", linewidth=0.6)  # fmt: skip
        start += column
    ax.plot([row.difficulty for row in rows], places, ls="", marker="D", ms=6, color=BLACK,
            mec="white", label="mean share")  # fmt: skip
    for x, head, values in (
        (1.07, "difficulty", [row.difficulty for row in rows]),
        (1.21, "discrim.", [row.discrimination for row in rows]),
    ):
        ax.text(x, -0.75, head, ha="center", fontsize=9)
        for place, value in zip(places, values, strict=True):
            ax.text(x, float(place), _number(value), ha="center", va="center", fontsize=9)
    ax.set_yticks(places, [row.exercise for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.grid(False, axis="y")
    ax.set_axisbelow(True)
    hardest = min(rows, key=lambda row: row.difficulty)
    ax.set_title(f"Hardest: {hardest.exercise}, mean share {hardest.difficulty:.0%}")
    ax.set_xlabel("submissions by the share of points that they earned; diamond: mean share")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=6, fontsize=9)


def _counts(shares: Sequence[float]) -> list[float]:
    """Share of submissions in each band of `_draw_shares`."""
    values = np.asarray(shares, dtype=float)
    edges = [-math.inf, _TOLERANCE, 1 / 3, 2 / 3, 1 - _TOLERANCE, math.inf]
    counted = np.histogram(values, bins=edges)[0]
    return list(counted / max(len(values), 1))

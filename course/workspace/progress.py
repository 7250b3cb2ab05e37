"""How far a student has come: visible checks, and points from returned feedback."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

from course.workspace.check import load_results
from course.workspace.syllabus import Month

_SCORE = re.compile(r"\(Score:\s*(-?[\d.]+)\s*/\s*([\d.]+)\)")


@dataclass(frozen=True)
class MonthProgress:
    """One month's state.

    Parameters
    ----------
    month : Month
    opened : bool
        The notebook is in the workspace.
    passed : int
        Visible checks that passed when last run.
    points_passed : float
        Points of the exercises whose visible check passed: what may be expected, not a grade.
    graded : tuple of float, optional
        Points got and possible, from the newest feedback.
    """

    month: Month
    opened: bool
    passed: int
    points_passed: float
    graded: tuple[float, float] | None


def progress(workspace: Path, months: tuple[Month, ...]) -> list[MonthProgress]:
    """Sum up each month from the workspace's saved checks and feedback pages."""
    return [_progress(workspace, month) for month in months]


def graded_score(workspace: Path, month: Month) -> tuple[float, float] | None:
    """Read points got and possible from the newest feedback page of a month.

    Feedback is looked for below ``<month>/feedback/`` (where `nbgrader fetch_feedback` puts it)
    and ``feedback/<month>/``.
    """
    folders = (workspace / month.name / "feedback", workspace / "feedback" / month.name)
    pages = [page for folder in folders for page in folder.rglob(f"{month.notebook}*.html")]
    for page in sorted(pages, key=lambda page: page.stat().st_mtime, reverse=True):
        found = _SCORE.search(html.unescape(page.read_text(encoding="utf-8", errors="replace")))
        if found:
            return float(found.group(1)), float(found.group(2))
    return None


def _progress(workspace: Path, month: Month) -> MonthProgress:
    passing = {
        result.exercise for result in load_results(workspace, month) if result.status == "pass"
    }
    passed = [exercise for exercise in month.exercises if exercise.id in passing]
    return MonthProgress(
        month,
        (workspace / month.notebook_file).is_file(),
        len(passed),
        sum(exercise.points for exercise in passed),
        graded_score(workspace, month),
    )

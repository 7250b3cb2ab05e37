"""Months, exercises and points, as `course build` wrote them down for students."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course.errors import CourseError

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Exercise:
    """One graded exercise; its id is the `grade_id` of the cell that the student writes."""

    id: str
    title: str
    points: float

    @property
    def check_id(self) -> str:
        """`grade_id` of the cell that carries the points."""
        return f"check-{self.id}"


@dataclass(frozen=True)
class Month:
    """One month, as far as a student's commands need it."""

    number: int
    name: str
    notebook: str
    title: str
    milestone: str
    exercises: tuple[Exercise, ...]

    @property
    def notebook_file(self) -> str:
        """Path of the notebook below the workspace or the release."""
        return f"{self.name}/{self.notebook}.ipynb"

    @property
    def points(self) -> float:
        """Points of all exercises."""
        return sum(exercise.points for exercise in self.exercises)


@cache
def months(path: Path | None = None) -> tuple[Month, ...]:
    """All months of the syllabus, in order.

    Parameters
    ----------
    path : Path, optional
        Another syllabus file; by default the package's own.
    """
    file = path or Path(__file__).with_name("syllabus.json")
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["months"]
    except (FileNotFoundError, KeyError, json.JSONDecodeError) as error:
        raise CourseError(
            f"the syllabus {file.name} is missing or broken ({error}); in a checkout run "
            "`course build`, elsewhere install the course package again"
        ) from error
    return tuple(
        Month(**{**entry, "exercises": tuple(Exercise(**item) for item in entry["exercises"])})
        for entry in entries
    )


def month(which: str, known: tuple[Month, ...] | None = None) -> Month:
    """Find a month by number (``3``, ``month-03``) or name (``month-03-anomaly-detection``).

    Raises
    ------
    CourseError
        No such month; the message lists those that exist.
    """
    known = months() if known is None else known
    text = which.strip().rstrip("/")
    number = re.fullmatch(r"(?:month[-_ ]?)?0*(\d+)", text)
    for candidate in known:
        if text == candidate.name or (number and int(number.group(1)) == candidate.number):
            return candidate
    there = ", ".join(f"{candidate.number} ({candidate.name})" for candidate in known)
    raise CourseError(f"there is no month {text!r}; there is {there or 'none yet'}")


def release_folder() -> Path:
    """Where the released notebooks are: in the installed package, or beside it in a checkout.

    Raises
    ------
    CourseError
        Neither is there.
    """
    for folder in (_PACKAGE / "release", _PACKAGE.parent / "release"):
        if folder.is_dir() and any(folder.rglob("*.ipynb")):
            return folder
    raise CourseError(
        "no released notebooks were found: in a checkout run `course build`, "
        "elsewhere install the course package again"
    )


def default_workspace() -> Path:
    """The workspace that a command works in when none is named.

    The nearest folder upwards that is a workspace, else ``workspace/`` of the checkout, else
    ``workspace/`` here.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".course" / "manifest.json").exists():
            return folder
    in_checkout = (_PACKAGE.parent / "pyproject.toml").exists()
    return (_PACKAGE.parent if in_checkout else here) / "workspace"

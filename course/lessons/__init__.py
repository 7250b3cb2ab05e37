"""The lessons: one text a month, its hidden checks and the wrong answers that prove them."""

from __future__ import annotations

import importlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course.lessons.checking import CheckFunction, WrongAnswer

_WRONG = "wrong_answers"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Exercise:
    """One graded exercise: its id is the `grade_id` of the solution cell."""

    id: str
    title: str
    points: float
    functions: tuple[str, ...]
    time_limit_s: float
    skills: tuple[str, ...]

    @property
    def check_id(self) -> str:
        """`grade_id` of the cell that carries the points."""
        return f"check-{self.id}"


@dataclass(frozen=True)
class ManualTask:
    """A task that a person grades: `id` is the `grade_id` of nbgrader's task cell.

    Its points come on top of the exercises' 100.
    """

    id: str
    title: str
    points: float
    skills: tuple[str, ...]


@dataclass(frozen=True)
class Month:
    """One month of the course, as `curriculum.toml` describes it."""

    number: int
    name: str
    folder: str
    notebook: str
    title: str
    phase: str
    hours: str
    objectives: tuple[str, ...]
    milestone: str
    exercises: tuple[Exercise, ...]
    tasks: tuple[ManualTask, ...] = ()

    @property
    def path(self) -> Path:
        """Folder of the lesson's text, checks and wrong answers."""
        return _HERE / self.folder

    @property
    def lesson_path(self) -> Path:
        """The one file that a person edits."""
        return self.path / "lesson.py"

    @property
    def notebook_file(self) -> str:
        """Path of the notebook below `source/`, `release/` or a workspace."""
        return f"{self.name}/{self.notebook}.ipynb"

    def exercise(self, exercise_id: str) -> Exercise:
        """Return the exercise with this id."""
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        known = ", ".join(exercise.id for exercise in self.exercises)
        raise KeyError(f"{self.name} has no exercise {exercise_id!r}; it has {known}")

    def load_checks(self) -> dict[str, CheckFunction]:
        """Import the hidden checks: exercise id to check."""
        return importlib.import_module(f"course.lessons.{self.folder}.checks").CHECKS

    def load_wrong_answers(self) -> list[WrongAnswer]:
        """Import the wrong answers, the right alternatives last."""
        module = importlib.import_module(f"course.lessons.{self.folder}.wrong_answers")
        return [*module.WRONG_ANSWERS, *module.ALTERNATIVES]


def check_files(folder: Path) -> list[Path]:
    """Find the Python files of a month's hidden checks: neither its lesson nor its wrong answers."""
    return [
        path
        for path in sorted(folder.rglob("*.py"))
        if path.relative_to(folder).parts[0].removesuffix(".py") not in ("lesson", _WRONG)
    ]


def wrong_answer_files(folder: Path) -> list[Path]:
    """Find the Python files of a month's wrong answers: ``wrong_answers.py`` or a package."""
    return sorted([*folder.glob(f"{_WRONG}.py"), *folder.glob(f"{_WRONG}/**/*.py")])


@cache
def months() -> tuple[Month, ...]:
    """All months whose lesson exists, in order."""
    entries = tomllib.loads((_HERE / "curriculum.toml").read_text(encoding="utf-8"))["month"]
    written = (entry for entry in entries if (_HERE / entry["folder"] / "lesson.py").exists())
    return tuple(sorted(map(_parse, written), key=lambda month: month.number))


def month(which: int | str) -> Month:
    """Find a month by number (3, "3", "month-03") or by assignment name.

    Raises
    ------
    KeyError
        No such month; the message lists those that exist.
    """
    text = str(which).strip().rstrip("/")
    number = re.fullmatch(r"(?:month[-_ ]?)?0*(\d+)", text)
    for candidate in months():
        if text == candidate.name or (number and int(number.group(1)) == candidate.number):
            return candidate
    known = ", ".join(f"{candidate.number} ({candidate.name})" for candidate in months())
    raise KeyError(f"there is no month {text!r}; there is {known or 'none yet'}")


def _parse(entry: dict) -> Month:
    exercises = tuple(
        Exercise(
            **{
                **exercise,
                "functions": tuple(exercise["functions"]),
                "skills": tuple(exercise["skills"]),
            }
        )
        for exercise in entry["exercise"]
    )
    tasks = tuple(
        ManualTask(**{**task, "skills": tuple(task["skills"])}) for task in entry.get("task", [])
    )
    parsed = {"exercise", "objectives", "task"}
    rest = {key: value for key, value in entry.items() if key not in parsed}
    objectives = tuple(entry["objectives"])
    return Month(**rest, objectives=objectives, exercises=exercises, tasks=tasks)

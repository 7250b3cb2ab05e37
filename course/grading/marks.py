"""From cases to points, and from points to the text that a student reads."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from course.grading.safety import line
from course.lessons import Exercise
from course.lessons.checking import Case


@dataclass(frozen=True)
class GradedExercise:
    """What an exercise earned.

    Parameters
    ----------
    id : str
        Exercise id.
    points, max_points : float
        Earned and possible points.
    cases : tuple of Case
        Case by case; empty when the check could not be run at all.
    reason : str
        Why the exercise as a whole earned nothing.
    seconds : float
        Wall time of the check.
    """

    id: str
    points: float
    max_points: float
    cases: tuple[Case, ...] = ()
    reason: str = ""
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """Earned share of the points, 0 to 1."""
        return self.points / self.max_points if self.max_points else 0.0

    def text(self) -> str:
        """The feedback as plain text."""
        lines = [f"{_number(self.points)} of {_number(self.max_points)} points."]
        if self.reason:
            lines.append(f"Reason: {line(self.reason, 1000)}")
        for case in self.cases:
            message = line(case.message, 1000)
            lines.append(
                f"  [{clean_score(case.score):4.0%}] {line(case.name, 200)}"
                + (f": {message}" if message else "")
            )
        return "\n".join(lines) + "\n"


@dataclass
class GradedNotebook:
    """What a notebook earned, with the executed and safe notebook."""

    exercises: list[GradedExercise]
    notebook: object = None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def points(self) -> float:
        """Points of all exercises together."""
        return math.fsum(exercise.points for exercise in self.exercises)

    @property
    def max_points(self) -> float:
        """Points that can be earned."""
        return math.fsum(exercise.max_points for exercise in self.exercises)

    def __getitem__(self, exercise_id: str) -> GradedExercise:
        for exercise in self.exercises:
            if exercise.id == exercise_id:
                return exercise
        raise KeyError(exercise_id)

    def __str__(self) -> str:
        parts = [f"{exercise.id}: {exercise.text()}" for exercise in self.exercises]
        return "".join([*(f"note: {note}\n" for note in self.notes), *parts])


def clean_score(score: object) -> float:
    """A case's score between 0 and 1; anything that is no such number is 0.

    Examples
    --------
    >>> clean_score(0.5), clean_score(7), clean_score(float("nan")), clean_score("full")
    (0.5, 1.0, 0.0, 0.0)
    """
    try:
        number = float(score)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return min(max(number, 0.0), 1.0) if math.isfinite(number) else 0.0


def mark(exercise: Exercise, cases: object, seconds: float = 0.0) -> GradedExercise:
    """Points of an exercise: its points times the weighted mean of its cases' scores.

    Cases that are no list of `Case`, that are empty or have no positive weight earn 0.
    """
    if not isinstance(cases, (list, tuple)) or not all(isinstance(case, Case) for case in cases):
        return nothing(exercise, "the check returned no cases", seconds)
    weights = [case.weight if math.isfinite(case.weight) else 0.0 for case in cases]
    # Relative to the largest, so that no sum overflows.
    largest = max([0.0, *weights])
    if not largest > 0:
        return nothing(exercise, "the check returned no cases", seconds)
    weights = [max(weight, 0.0) / largest for weight in weights]
    earned = math.fsum(
        weight * clean_score(case.score) for case, weight in zip(cases, weights, strict=True)
    )
    share = min(earned / math.fsum(weights), 1.0)
    points = round(exercise.points * share, 4)
    return GradedExercise(exercise.id, points, exercise.points, tuple(cases), "", seconds)


def nothing(exercise: Exercise, reason: str, seconds: float = 0.0) -> GradedExercise:
    """An exercise that earned nothing, and why."""
    return GradedExercise(exercise.id, 0.0, exercise.points, (), reason, seconds)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")

"""Grade one notebook: run it in the sandbox, then let the month's checks ask it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.grading.hidden import HiddenCases, hidden_cases
from course.grading.limits import Limits
from course.grading.marks import GradedExercise, GradedNotebook, mark, nothing
from course.grading.restore import check_cells, read_submission, restore
from course.grading.safety import make_safe
from course.grading.sandbox import SandboxError, sandbox_available
from course.grading.secret import Secret, SecretError
from course.grading.session import NotebookSession, NotebookStudent
from course.lessons import Exercise, Month
from course.lessons.checking import CheckFunction, StudentError

log = logging.getLogger("course.grading")


def grade_notebook(
    path: Path | str,
    month: Month,
    secret: Secret,
    *,
    source: NotebookNode | None = None,
    files: Path | None = None,
    exercises: Iterable[str] | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    allow_test_secret: bool = False,
) -> GradedNotebook:
    """Grade a submitted notebook file.

    Parameters
    ----------
    path : path
        The notebook; whatever it is, it gets a grade.
    month : Month
        The month that it belongs to.
    secret : Secret
        The course secret; a test secret only with `allow_test_secret`.
    source : NotebookNode, optional
        The lesson's notebook, whose locked cells count; by default the submission itself is
        taken to be complete, and each of its cells runs.
    files : Path, optional
        Folder whose other files the notebook may read.
    exercises : iterable of str, optional
        Check these exercises only.
    limits : Limits, optional
        What the submission may use.
    unsafe : bool
        Run it without a sandbox, with all rights of this process.

    Returns
    -------
    GradedNotebook
        Points, cases, and the executed notebook, safe to show.

    Raises
    ------
    SecretError
        A test secret is given for real grading.
    SandboxError
        There is no sandbox here and `unsafe` is not given.
    """
    submission = read_submission(Path(path))
    lesson = source or nbformat.read(path, as_version=4)
    notebook = restore(submission, lesson)
    graded = grade_cells(
        notebook, month, secret, source=source, files=files, exercises=exercises, limits=limits,
        unsafe=unsafe, allow_test_secret=allow_test_secret,
        refusal="" if submission.cells else "; ".join(submission.notes),
    )  # fmt: skip
    graded.notes[:0] = submission.notes
    trusted = {cell.source for cell in lesson.cells if cell.cell_type == "markdown"}
    graded.notebook = make_safe(notebook, trusted)
    return graded


def grade_cells(
    notebook: NotebookNode,
    month: Month,
    secret: Secret,
    *,
    source: NotebookNode | None = None,
    files: Path | None = None,
    exercises: Iterable[str] | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    allow_test_secret: bool = False,
    refusal: str = "",
) -> GradedNotebook:
    """Grade a restored notebook; with a `refusal` nothing is run and everything earns 0 for it.

    With the lesson's notebook as `source`, only the cells run that an answer needs.
    """
    if secret.test and not allow_test_secret:
        raise SecretError(
            "this is a fixed test secret, known to everyone; grading needs the course's own "
            "(course.grading.secret.course_secret)"
        )
    chosen = _chosen(month, exercises)
    if refusal:
        return GradedNotebook([nothing(exercise, refusal) for exercise in chosen])
    usable, reason = (True, "") if unsafe else sandbox_available()
    if not usable:
        raise SandboxError(
            f"submissions cannot be run safely here: {reason}. To run them with all your rights "
            "all the same, pass --unsafe (unsafe=True)"
        )
    started = time.monotonic()
    asked = [function for exercise in chosen for function in exercise.functions]
    with NotebookSession(
        notebook, limits, files=files, unsafe=unsafe, lesson=source, asked=asked
    ) as session:
        session.run()
        ran = time.monotonic()
        hidden = hidden_cases(secret, month.path)
        checks = month.load_checks()
        graded = [check_exercise(session, exercise, checks, hidden) for exercise in chosen]
    seconds = {"notebook": ran - started, "checks": time.monotonic() - ran}
    return GradedNotebook(graded, notebook, list(session.notes), seconds)


def check_exercise(
    session: NotebookSession,
    exercise: Exercise,
    checks: dict[str, CheckFunction],
    hidden: HiddenCases,
) -> GradedExercise:
    """Run one exercise's hidden check; whatever happens, there is a grade."""
    started = time.monotonic()
    check = checks.get(exercise.id)
    if check is None:
        return nothing(exercise, f"there is no check for `{exercise.id}`; tell your instructor")
    try:
        cases = check(NotebookStudent(session, exercise), hidden)
        return mark(exercise, cases, time.monotonic() - started)
    except StudentError as error:
        return nothing(exercise, str(error), time.monotonic() - started)
    except (Exception, RecursionError) as error:
        # The text of such an error may hold a hidden value, so it goes to the log alone.
        log.warning("check of %s failed", exercise.id, exc_info=True)
        reason = (
            f"an answer has not the form that the exercise asks for, so the check stopped "
            f"({type(error).__name__})"
        )
        return nothing(exercise, reason, time.monotonic() - started)


def write_marks(notebook: NotebookNode, graded: GradedNotebook) -> None:
    """Put points and messages into the check cells, in the form that nbgrader reads.

    nbgrader takes the points of a cell from its first `execute_result`; no output or an
    unreadable one would be full marks, so every check cell gets exactly one.
    """
    results = {exercise.id: exercise for exercise in graded.exercises}
    first = True
    for exercise_id, cell in check_cells(notebook):
        most = float(cell.metadata.nbgrader.get("points", 0))
        result = results.get(exercise_id)
        text = result.text() if result else "0 points: no such exercise.\n"
        if first and graded.notes:
            text = "".join(f"Note: {note}.\n" for note in graded.notes) + text
        points = _points(result, most) if result else 0.0
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stdout", text=text),
            nbformat.v4.new_output(
                "execute_result", data={"text/plain": repr(float(points))}, execution_count=None
            ),
        ]
        first = False


def _points(result: GradedExercise, most: float) -> float:
    """Points of a cell, in the cell's own scale where the gradebook has another than the month."""
    points = result.points if most == result.max_points else result.share * most
    return min(max(points, 0.0), most) if math.isfinite(points) else 0.0


def _chosen(month: Month, exercises: Iterable[str] | None) -> list[Exercise]:
    if exercises is None:
        return list(month.exercises)
    return [month.exercise(name) for name in exercises]

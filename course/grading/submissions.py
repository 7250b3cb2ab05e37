"""One submission at a time through nbgrader: grade it, refuse it, read what it got."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from traitlets.config import Config, PyFileConfigLoader

from course.errors import CourseError
from course.grading.core import write_marks
from course.grading.journal import Journal, Record, submission_digest, sync
from course.grading.marks import GradedNotebook, nothing
from course.grading.restore import Submission, check_cells, restore
from course.grading.safety import make_safe
from course.grading.sandbox import sandbox_available
from course.lessons import Month

log = logging.getLogger("course.grading")

_DATABASE_WAIT_MS = 60_000
# Reasons of the whole notebook's zero that speak of this machine, not of the submission.
_MACHINE_FAULTS = ("the grader failed", "no kernel could be started")
_CASE = re.compile(r"  \[ *(\d+)%\] (.*)")
_KEPT_MESSAGES, _KEPT_LENGTH = 8, 300


@dataclass(frozen=True)
class Task:
    """A submission to grade.

    Parameters
    ----------
    root : Path
        The course folder.
    month : Month
        The month.
    student : str
        Whose submission.
    journal : Journal
        Where to record that it is done.
    grader, secret : str
        Digests for the record.
    unsafe, feedback : bool
        Run without a sandbox; write the feedback page.
    """

    root: Path
    month: Month
    student: str
    journal: Journal
    grader: str
    secret: str
    unsafe: bool = False
    feedback: bool = True


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a record, or why the grader failed.

    Parameters
    ----------
    record : Record, optional
        The finished record.
    failure : str
        Why there is none.
    fatal : bool
        The failure is one of the whole machine, so that going on would refuse everybody.
    """

    record: Record | None = None
    failure: str = ""
    fatal: bool = False


@dataclass(frozen=True)
class Score:
    """Points of an exercise or a task in the gradebook: automatic, final, possible.

    `manual` are those that a person gave, None if nobody has.
    """

    automatic: float
    final: float
    most: float
    manual: float | None = None


def grade_submission(task: Task) -> Outcome:
    """Grade a submission, write its feedback and record it; never raises."""
    try:
        outcome = _grade_submission(task)
    except Exception as error:
        outcome = _failed(task, f"{type(error).__name__}: {error}", traceback.format_exc())
    if not outcome.failure or task.unsafe:
        return outcome
    # What was found out before may have been the fault; ask anew.
    getattr(sandbox_available, "cache_clear", bool)()
    usable, reason = sandbox_available()
    return outcome if usable else Outcome(failure=reason, fatal=True)


def _grade_submission(task: Task) -> Outcome:
    from course.grading.plugin import drop_links

    month, student, started = task.month, task.student, time.monotonic()
    with open_course(load_config(task.root, task.unsafe)) as api:
        coursedir = api.coursedir
        folder = Path(coursedir.format_path(coursedir.submitted_directory, student, month.name))
        drop_links(folder)
        record = Record(student, submission_digest(folder), task.grader, task.secret)
        known = task.journal.read(student)
        if known is not None and known.same_work(record):
            record = replace(record, times=known.times)
        task.journal.write(record)
        if not os.path.lexists(folder / f"{month.notebook}.ipynb"):
            refuse(api, month, student, f"no notebook `{month.notebook}.ipynb` was submitted")
        else:
            result = api.autograde(month.name, student, force=True)
            if not result["success"]:
                return _failed(task, "nbgrader could not grade it", _log_of(result))
            same = known is not None and known.done and known.submission == record.submission
            _ask_for_manual_grade(api, month, student, changed=not same)
        if task.feedback:
            result = api.generate_feedback(month.name, student, force=True)
            if not result["success"]:
                return _failed(task, "its feedback could not be written", _log_of(result))
        notebook = read_graded(api, month, student)
        reason = first_reason(notebook)
        if reason.startswith(_MACHINE_FAULTS):
            return _failed(task, reason, reason)
        for path in output_files(api, month, student, task.feedback):
            sync(path)
            sync(path.parent)
        scores = read_scores(api, month, student)[student]
        record = replace(
            record, done=True, times=record.times + 1, feedback=task.feedback, reason=reason,
            points={name: score.automatic for name, score in scores.items()},
            manual=points_by_hand(scores),
            messages=lost_points(notebook), seconds=round(time.monotonic() - started, 2),
            finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )  # fmt: skip
    task.journal.write(record)
    task.journal.log_path(student).unlink(missing_ok=True)
    return Outcome(record)


def _ask_for_manual_grade(api: Any, month: Month, student: str, *, changed: bool) -> None:
    """Flag the tasks that a person has to grade: not graded yet, or changed since.

    Points that a person gave stay where they are.
    """
    from nbgrader.api import Gradebook

    if not month.tasks:
        return
    coursedir = api.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        for task in month.tasks:
            entry = gradebook.find_grade(task.id, month.notebook, month.name, student)
            entry.needs_manual_grade |= changed or entry.manual_score is None
        gradebook.db.commit()


def _failed(task: Task, why: str, details: str) -> Outcome:
    """Keep the details for the instructor; the run goes on."""
    path = task.journal.log_path(task.student)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(details, encoding="utf-8", errors="replace")
    except OSError as error:
        log.error("%s: %s (no log: %s)", task.student, why, error)
    return Outcome(failure=why)


def _log_of(result: dict) -> str:
    return f"{result.get('log') or ''}\n{result.get('error') or ''}"


def refuse(api: Any, month: Month, student: str, reason: str) -> None:
    """Record zero points and the reason, in the gradebook and as an autograded notebook."""
    from nbgrader.api import Gradebook

    coursedir = api.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(month.name, student)
        tasks = {task.id for task in month.tasks}
        for notebook in submission.notebooks:
            for entry in notebook.grades:
                entry.auto_score = None if entry.name in tasks else 0
                entry.needs_manual_grade = False
        gradebook.db.commit()
    release = Path(coursedir.format_path(coursedir.release_directory, ".", month.name))
    source = nbformat.read(release / f"{month.notebook}.ipynb", as_version=4)
    empty = restore(Submission(), source)
    write_marks(empty, GradedNotebook([nothing(exercise, reason) for exercise in month.exercises]))
    make_safe(empty, {cell.source for cell in source.cells})
    path = output_files(api, month, student, feedback=False)[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    nbformat.write(empty, path)


def output_files(api: Any, month: Month, student: str, feedback: bool) -> list[Path]:
    """The autograded notebook of a submission and, with `feedback`, its page."""
    coursedir = api.coursedir
    steps = [(coursedir.autograded_directory, "ipynb")]
    steps += [(coursedir.feedback_directory, "html")] if feedback else []
    return [
        Path(coursedir.format_path(step, student, month.name)) / f"{month.notebook}.{kind}"
        for step, kind in steps
    ]


def read_scores(api: Any, month: Month, student: str | None = None) -> dict[str, dict[str, Score]]:
    """Scores in the gradebook by student and exercise; of one student or of all."""
    from nbgrader.api import Gradebook, MissingEntry

    coursedir = api.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            if student is None:
                submissions = list(gradebook.assignment_submissions(month.name))
            else:
                submissions = [gradebook.find_submission(month.name, student)]
        except MissingEntry:
            return {}
        return {
            submission.student_id: {
                entry.name.removeprefix("check-"): Score(
                    float(entry.auto_score or 0.0), float(entry.score or 0.0),
                    float(entry.max_score),
                    None if entry.manual_score is None else float(entry.manual_score),
                )
                for notebook in submission.notebooks if notebook.name == month.notebook
                for entry in notebook.grades
            }
            for submission in submissions
        }  # fmt: skip


def points_by_hand(scores: dict[str, Score]) -> dict[str, float]:
    """Points that a person gave, where one has."""
    return {name: score.manual for name, score in scores.items() if score.manual is not None}


def read_graded(api: Any, month: Month, student: str) -> NotebookNode | None:
    """The autograded notebook; None where there is none."""
    path = output_files(api, month, student, feedback=False)[0]
    return nbformat.read(path, as_version=4) if path.is_file() else None


def first_reason(notebook: NotebookNode | None) -> str:
    """The first note or reason in an autograded notebook, in at most 100 characters."""
    for _, text in _texts(notebook):
        for line in text.splitlines():
            if line.startswith(("Note: ", "Reason: ")):
                return line.split(": ", 1)[1][:100]
    return ""


def lost_points(notebook: NotebookNode | None) -> dict[str, list[str]]:
    """Why points were lost, by exercise: its reason, or the messages of the cases short of full."""
    found: dict[str, list[str]] = {}
    for exercise, text in _texts(notebook):
        messages: list[str] = []
        for line in text.splitlines():
            case = _CASE.fullmatch(line)
            if line.startswith("Reason: "):
                messages.append(line.removeprefix("Reason: "))
            elif case and int(case[1]) < 100:
                name, _, message = case[2].partition(": ")
                messages.append(message or name)
        if messages:
            unique = dict.fromkeys(message[:_KEPT_LENGTH] for message in messages)
            found[exercise] = list(unique)[:_KEPT_MESSAGES]
    return found


def _texts(notebook: NotebookNode | None) -> Iterator[tuple[str, str]]:
    """Exercise and feedback text of every check cell."""
    if notebook is not None:
        for exercise, cell in check_cells(notebook):
            yield exercise, "".join(str(output.get("text", "")) for output in cell.outputs)


def load_config(root: Path, unsafe: bool) -> Config:
    """Read the course's ``nbgrader_config.py``.

    Raises
    ------
    CourseError
        There is none.
    """
    path = root / "nbgrader_config.py"
    if not path.is_file():
        raise CourseError(f"{path} is missing: run this in a checkout of the course, or name one")
    config = PyFileConfigLoader(path.name, path=str(root)).load_config()
    config.CourseDirectory.root = str(root)
    if unsafe:
        config.GradeNotebook.unsafe = True
    return config


@contextmanager
def open_course(config: Config) -> Iterator[Any]:
    """nbgrader's API; that there is no exchange folder does not matter to grading."""
    from nbgrader.apps import NbGraderAPI

    _prepare_sqlalchemy()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        api = NbGraderAPI(config=config)
    finally:
        logging.disable(before)
    yield api


def _prepare_sqlalchemy() -> None:
    """Have SQLite wait for other workers longer than its 5 s, which a busy machine exceeds.

    Also drop a warning that nbgrader's way of making a submission sets off every time.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine
    from sqlalchemy.exc import SAWarning

    warnings.filterwarnings("ignore", "Object of type .* not in session", SAWarning)
    if not event.contains(Engine, "connect", _be_patient):
        event.listen(Engine, "connect", _be_patient)


def _be_patient(connection: Any, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {_DATABASE_WAIT_MS}")

"""Grade a month's submissions, audit a month: what the `course` command calls."""

from __future__ import annotations

import logging
import math
import os
import statistics
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
from tqdm import tqdm
from traitlets.config import Config, PyFileConfigLoader

import course
from course.errors import CourseError
from course.grading.audit import AuditReport
from course.grading.audit import audit as audit_month
from course.grading.core import grade_notebook, write_marks
from course.grading.marks import GradedNotebook, nothing
from course.grading.restore import Submission, check_cells, restore
from course.grading.safety import make_safe
from course.grading.sandbox import sandbox_available
from course.grading.secret import SecretError, course_secret
from course.lessons import Month

__all__ = ["AuditReport", "Summary", "audit", "grade", "grade_notebook", "sandbox_available"]

log = logging.getLogger("course.grading")


@dataclass(frozen=True)
class Grade:
    """One student's points, exercise by exercise."""

    student: str
    points: dict[str, float]
    max_points: float
    reason: str = ""

    @property
    def total(self) -> float:
        """Points of all exercises."""
        return math.fsum(self.points.values())


@dataclass
class Summary:
    """All grades of a run; prints as a table."""

    month: str
    grades: list[Grade] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.grades:
            return f"{self.month}: no submissions"
        names = list(self.grades[0].points)
        rows = [("student", "points", *names, "note")]
        rows += [
            (g.student, f"{g.total:.2f}/{g.max_points:g}",
             *(f"{g.points.get(name, 0):.2f}" for name in names), g.reason)
            for g in self.grades
        ]  # fmt: skip
        means = (
            f"{statistics.fmean(g.points.get(name, 0) for g in self.grades):.2f}" for name in names
        )
        rows.append(("mean", f"{statistics.fmean(g.total for g in self.grades):.2f}", *means, ""))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join(lines)


def grade(
    month: Month,
    *,
    course_dir: Path | str | None = None,
    student: str | None = None,
    students: Iterable[str] | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
    unsafe: bool = False,
    feedback: bool = True,
    progress: bool = True,
) -> Summary:
    """Grade the submissions of a month as ``nbgrader autograde`` does, and write the feedback.

    Parameters
    ----------
    month : Month
        The month.
    course_dir : path, optional
        The folder with ``nbgrader_config.py``; default the checkout of this package.
    student, students : str or iterable of str, optional
        Only these; default everyone under ``submitted/``.
    jobs : int
        Submissions at a time.
    executor : concurrent.futures.Executor, optional
        Runs the submissions instead of local processes.
    unsafe : bool
        Run submissions without a sandbox.
    feedback : bool
        Write the feedback pages as well.
    progress : bool
        Show a progress bar.

    Raises
    ------
    CourseError
        There is no sandbox (and no `unsafe`), no usable secret, no lesson, or no submission of
        a student who was asked for.
    """
    root = Path(course_dir or Path(course.__file__).parent.parent).resolve()
    if not unsafe:
        usable, reason = sandbox_available()
        if not usable:
            raise CourseError(
                f"submissions cannot be run safely here: {reason}. To run them with all your "
                "rights all the same, pass --unsafe"
            )
    config = _config(root, unsafe)
    wanted = [student] if student else list(students) if students is not None else None
    with _nbgrader(config) as api:
        try:
            from course.grading.plugin import secret_folder

            course_secret(secret_folder(api.coursedir))
        except SecretError as error:
            raise CourseError(str(error)) from None
        register(api.coursedir, month)
        names = _submitters(api.coursedir, month, wanted)
    tasks = [(root, unsafe, month, name, feedback) for name in names]
    runs = _run(tasks, jobs, executor)
    for name in tqdm(runs, total=len(tasks), disable=not progress, unit="notebook"):
        log.info("graded %s", name)
    with _nbgrader(config) as api:
        summary = Summary(month.name, [_read_grade(api, month, name) for name in names])
    print(summary)
    return summary


def audit(
    months: Month | int | str | Iterable[Month], *, seeds: int = 2, jobs: int = 2, **options: Any
) -> bool:
    """Audit one month or several, print the tables, and tell whether everything holds."""
    chosen = [months] if isinstance(months, (Month, int, str)) else list(months)
    reports = []
    for month in chosen:
        reports.append(audit_month(month, seeds=seeds, jobs=jobs, **options))
        print(reports[-1])
    return all(report.ok for report in reports)


def register(coursedir: Any, month: Month) -> None:
    """Enter a month's cells in the gradebook where they are missing or have changed.

    Raises
    ------
    CourseError
        The lesson has not been built.
    """
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.preprocessors import ComputeChecksums, LockCells, SaveCells

    release = Path(coursedir.format_path(coursedir.release_directory, ".", month.name))
    path = release / f"{month.notebook}.ipynb"
    if not path.is_file():
        raise CourseError(f"{path} is missing: run `course build {month.number}`")
    notebook = nbformat.read(path, as_version=4)
    resources = {"nbgrader": {"notebook": month.notebook, "assignment": month.name,
                              "db_url": coursedir.db_url, "student": "."}}  # fmt: skip
    for preprocessor in (LockCells(), ComputeChecksums()):
        notebook, resources = preprocessor.preprocess(notebook, resources)
    wanted = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader.get("checksum")
        for cell in notebook.cells
        if cell.metadata.get("nbgrader", {}).get("grade_id")
    }
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        try:
            entry = gradebook.find_notebook(month.notebook, month.name)
            if {cell.name: cell.checksum for cell in entry.source_cells} == wanted:
                return
        except MissingEntry:
            gradebook.update_or_create_assignment(month.name)
    SaveCells().preprocess(notebook, resources)


def _submitters(coursedir: Any, month: Month, wanted: list[str] | None) -> list[str]:
    pattern = Path(coursedir.format_path(coursedir.submitted_directory, "*", month.name))
    found = sorted(path.parent.name for path in pattern.parent.parent.glob(f"*/{month.name}"))
    if wanted is None:
        return found
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise CourseError(
            f"{', '.join(missing)} handed in nothing for {month.name}; there is "
            f"{', '.join(found) or 'nobody'}"
        )
    return list(dict.fromkeys(wanted))


def _run(tasks: list[tuple], jobs: int, executor: Executor | None) -> Iterator[str]:
    """Grade each submission and give its name; a worker that dies takes nothing with it."""
    if executor is None and jobs <= 1:
        for task in tasks:
            yield _grade_one(task)
        return
    pool = executor or ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    try:
        futures = {pool.submit(_grade_one, task): task for task in tasks}
        for future in as_completed(futures):
            try:
                yield future.result()
            except Exception as error:
                root, unsafe, month, name, _ = futures[future]
                with _nbgrader(_config(root, unsafe)) as api:
                    _refuse(api, month, name, f"the grader failed ({type(error).__name__})")
                yield name
    finally:
        if executor is None:
            pool.shutdown()


def _grade_one(task: tuple) -> str:
    root, unsafe, month, name, feedback = task
    from course.grading.plugin import drop_links

    with _nbgrader(_config(root, unsafe)) as api:
        step = api.coursedir.submitted_directory
        folder = Path(api.coursedir.format_path(step, name, month.name))
        drop_links(folder)
        if not os.path.lexists(folder / f"{month.notebook}.ipynb"):
            _refuse(api, month, name, f"no notebook `{month.notebook}.ipynb` was submitted")
        else:
            result = api.autograde(month.name, name, force=True)
            if not result["success"]:
                log.error("%s", result.get("log") or result.get("error"))
                _refuse(api, month, name, "the grader failed; tell your instructor")
        if feedback:
            done = api.generate_feedback(month.name, name, force=True)
            if not done["success"]:
                log.error("no feedback for %s: %s", name, done.get("log") or done.get("error"))
    return name


def _refuse(api: Any, month: Month, name: str, reason: str) -> None:
    """Record zero points and the reason, in the gradebook and as an autograded notebook."""
    from nbgrader.api import Gradebook

    coursedir = api.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        gradebook.update_or_create_student(name)
        submission = gradebook.update_or_create_submission(month.name, name)
        for notebook in submission.notebooks:
            for entry in notebook.grades:
                entry.auto_score, entry.needs_manual_grade = 0, False
        gradebook.db.commit()
    release = Path(coursedir.format_path(coursedir.release_directory, ".", month.name))
    source = nbformat.read(release / f"{month.notebook}.ipynb", as_version=4)
    empty = restore(Submission(), source)
    write_marks(empty, GradedNotebook([nothing(exercise, reason) for exercise in month.exercises]))
    make_safe(empty, {cell.source for cell in source.cells})
    target = Path(coursedir.format_path(coursedir.autograded_directory, name, month.name))
    target.mkdir(parents=True, exist_ok=True)
    path = target / f"{month.notebook}.ipynb"
    path.unlink(missing_ok=True)
    nbformat.write(empty, path)


def _read_grade(api: Any, month: Month, name: str) -> Grade:
    from nbgrader.api import Gradebook, MissingEntry

    points = {exercise.id: 0.0 for exercise in month.exercises}
    most = 0.0
    with Gradebook(api.coursedir.db_url, api.coursedir.course_id) as gradebook:
        try:
            entry = gradebook.find_submission_notebook(month.notebook, month.name, name)
        except MissingEntry:
            return Grade(name, points, math.fsum(e.points for e in month.exercises), "no grade")
        for grade_ in entry.grades:
            points[grade_.name.removeprefix("check-")] = float(grade_.score or 0.0)
            most += float(grade_.max_score)
    return Grade(name, points, most, _first_reason(api, month, name))


def _first_reason(api: Any, month: Month, name: str) -> str:
    folder = api.coursedir.format_path(api.coursedir.autograded_directory, name, month.name)
    path = Path(folder) / f"{month.notebook}.ipynb"
    if not path.is_file():
        return ""
    for _, cell in check_cells(nbformat.read(path, as_version=4)):
        for output in cell.outputs:
            for line in str(output.get("text", "")).splitlines():
                if line.startswith(("Note: ", "Reason: ")):
                    return line.split(": ", 1)[1][:100]
    return ""


def _config(root: Path, unsafe: bool) -> Config:
    path = root / "nbgrader_config.py"
    if not path.is_file():
        raise CourseError(f"{path} is missing: run this in a checkout of the course, or name one")
    config = PyFileConfigLoader(path.name, path=str(root)).load_config()
    config.CourseDirectory.root = str(root)
    if unsafe:
        config.GradeNotebook.unsafe = True
    return config


@contextmanager
def _nbgrader(config: Config) -> Iterator[Any]:
    """nbgrader's API; that there is no exchange folder does not matter to grading."""
    from nbgrader.apps import NbGraderAPI

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        api = NbGraderAPI(config=config)
    finally:
        logging.disable(before)
    yield api

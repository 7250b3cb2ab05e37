"""Grade a month's submissions, audit a month: what the `course` command calls."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

import course
from course.errors import CourseError
from course.grading import audited, batch
from course.grading import statistics as items
from course.grading.audit import AuditReport
from course.grading.audit import audit as audit_month
from course.grading.core import grade_notebook
from course.grading.forkserver import shared_server, sweep_servers
from course.grading.journal import (
    Journal,
    Record,
    grader_digest,
    only_run,
    remove_parts,
    submission_digest,
)
from course.grading.limits import Limits
from course.grading.sandbox import sandbox_available
from course.grading.secret import SecretError, course_secret
from course.grading.slicing import warmth
from course.grading.submissions import (
    Score,
    Task,
    first_reason,
    load_config,
    lost_points,
    open_course,
    output_files,
    points_by_hand,
    read_graded,
    read_scores,
    refuse,
)
from course.lessons import Month
from course.lessons import month as find_month

__all__ = ["AuditReport", "Grade", "Summary", "audit", "grade", "grade_notebook", "register",
           "sandbox_available"]  # fmt: skip

# A table of more students than this is read in a spreadsheet.
_SHOWN = 40


@dataclass(frozen=True)
class Grade:
    """One student's points, exercise by exercise, and why points were lost.

    `manual` holds the points that a person gave, by task, None where nobody has yet; they come
    on top and are in neither `points` nor `max_points`.
    """

    student: str
    points: dict[str, float]
    max_points: float
    reason: str = ""
    messages: dict[str, list[str]] = field(default_factory=dict)
    manual: dict[str, float | None] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Points of all exercises."""
        return math.fsum(self.points.values())


@dataclass
class Summary:
    """All grades of a run; prints as a table, or as a distribution where there are many.

    Parameters
    ----------
    month : str
        Name of the assignment.
    grades : list of Grade
        Of everyone who was asked for.
    most : dict of str to float
        Points that each exercise can earn.
    graded, unchanged : int
        Submissions that this run has graded, and those that were graded before.
    failed : dict of str to str
        Students whom the grader failed, and why.
    files : list of Path
        What was written: grades, statistics, chart.
    """

    month: str
    grades: list[Grade] = field(default_factory=list)
    most: dict[str, float] = field(default_factory=dict)
    graded: int = 0
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.grades:
            return f"{self.month}: no submissions"
        many = len(self.grades) > _SHOWN
        parts = [self._distribution() if many else self._table()]
        if self.most and len(self.grades) > 1:
            parts.append(items.table(self.statistics()))
        return "\n\n".join([*parts, "\n".join(self._remarks())])

    def statistics(self) -> list[items.ItemStatistics]:
        """Difficulty, discrimination and commonest message of every exercise."""
        points = {name: [g.points.get(name, 0.0) for g in self.grades] for name in self.most}
        return items.item_statistics(points, self.most, [g.messages for g in self.grades])

    def _distribution(self) -> str:
        totals = [grade.total for grade in self.grades]
        return items.distribution(totals, math.fsum(self.most.values()))

    def _table(self) -> str:
        names, tasks = list(self.grades[0].points), list(self.grades[0].manual)
        rows = [("student", "points", *names, *(f"by hand: {name}" for name in tasks), "note")]
        rows += [
            (g.student, f"{g.total:.2f}/{g.max_points:g}",
             *(f"{g.points.get(name, 0):.2f}" for name in names),
             *(_by_hand(g.manual.get(name)) or "-" for name in tasks), g.reason)
            for g in self.grades
        ]  # fmt: skip
        means = (
            f"{statistics.fmean(g.points.get(name, 0) for g in self.grades):.2f}" for name in names
        )
        rows.append(("mean", f"{statistics.fmean(g.total for g in self.grades):.2f}", *means,
                     *("" for _ in tasks), ""))  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join(lines)

    def _remarks(self) -> list[str]:
        lines = [f"{self.graded} graded now, {self.unchanged} graded before and unchanged"]
        lines += [f"written: {path}" for path in self.files]
        waiting = sum(points is None for g in self.grades for points in g.manual.values())
        if waiting:
            lines.append(f"{waiting} tasks wait for a person: grade them in the formgrader")
        if self.failed:
            lines.append(
                f"{len(self.failed)} could not be graded and stand at 0 until they are; the "
                "same command tries them again:"
            )
            lines += [f"  {student}: {why}" for student, why in sorted(self.failed.items())]
        return lines


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
    again: bool = False,
) -> Summary:
    """Grade the submissions of a month as ``nbgrader autograde`` does, and write the feedback.

    What is graded is recorded (see `course.grading.journal`): after an interruption, a crash or
    a loss of power the same call goes on where it ended. A submission is graded anew only if it,
    the grader, the lesson or the secret has changed, or the gradebook holds another grade.

    Parameters
    ----------
    month : Month
        The month.
    course_dir : path, optional
        The folder with ``nbgrader_config.py``; default the checkout of this package.
    student, students : str or iterable of str, optional
        Only these; default everyone under ``submitted/``, and then the grades, their statistics
        and a chart are written to ``grades/``.
    jobs : int
        Submissions at a time, each in a process of its own: a script that calls this needs
        ``if __name__ == "__main__":``.
    executor : concurrent.futures.Executor, optional
        Runs the submissions instead of local processes.
    unsafe : bool
        Run submissions without a sandbox.
    feedback : bool
        Write the feedback pages as well.
    progress : bool
        Show how far the run is.
    again : bool
        Grade everything, changed or not.

    Raises
    ------
    CourseError
        There is no sandbox (and no `unsafe`), no usable secret, no lesson, no submission of
        a student who was asked for, or another run is at work.
    KeyboardInterrupt
        Ctrl-C; the text says how many submissions are graded.
    """
    root = Path(course_dir or Path(course.__file__).parent.parent).resolve()
    if not unsafe:
        usable, reason = sandbox_available()
        if not usable:
            raise CourseError(
                f"submissions cannot be run safely here: {reason}. To run them with all your "
                "rights all the same, pass --unsafe"
            )
    config = load_config(root, unsafe)
    wanted = [student] if student else list(students) if students is not None else None
    with open_course(config) as api:
        from course.grading.plugin import secret_folder

        home = secret_folder(api.coursedir)
        with only_run(home):
            try:
                secret = course_secret(home)
            except SecretError as error:
                raise CourseError(str(error)) from None
            register(api.coursedir, month)
            names = _submitters(api.coursedir, month, wanted)
            journal = Journal.beside_gradebook(home, month.name)
            for folder in (journal.folder, root / "grades"):
                remove_parts(folder)
            batch.sweep_run_folders()
            sweep_servers()
            source = api.coursedir.format_path(api.coursedir.source_directory, ".", month.name)
            grader = grader_digest(month, Path(source), root / "nbgrader_config.py", unsafe=unsafe)
            tasks = [
                Task(root, month, name, journal, grader, secret.fingerprint, unsafe, feedback)
                for name in names
            ]
            todo = tasks if again else _unfinished(api, tasks)
            summary = Summary(
                month.name, graded=len(todo), unchanged=len(tasks) - len(todo),
                most={exercise.id: exercise.points for exercise in month.exercises},
            )  # fmt: skip
            limits = Limits(**config.GradeNotebook.get("limits", {}))
            shown = batch.Progress(len(todo), summary.unchanged, progress)
            try:
                with _warm_kernels(Path(source), month, unsafe) if todo else nullcontext():
                    summary.failed = batch.grade_all(
                        todo, jobs=jobs, limit_s=2 * limits.total_s + 300, secret=secret,
                        home=home, executor=executor, progress=shown,
                        refuse=lambda name, why: refuse(api, month, name, why),
                    )  # fmt: skip
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"interrupted: {shown.state()}; run the same command again to go on"
                ) from None
            finally:
                shown.close()
            summary.graded -= len(summary.failed)
            summary.grades = _read_grades(api, tasks)
            if wanted is None and summary.grades:
                summary.files = _write_grades(root / "grades", month, summary)
    print(summary)
    return summary


def _warm_kernels(source: Path, month: Month, unsafe: bool) -> AbstractContextManager[object]:
    """One warm parent for all workers of this machine."""
    path = source / f"{month.notebook}.ipynb"
    if unsafe or not path.is_file():
        return nullcontext()
    return shared_server(warmth(nbformat.read(path, as_version=4)))


def audit(
    months: Month | int | str | Iterable[Month], *, seeds: int = 2, jobs: int = 2,
    record: bool = False, **options: Any,
) -> bool:  # fmt: skip
    """Audit one month or several, print the tables, and tell whether everything holds.

    With `record`, what holds is written down beside the lesson (see `course.grading.audited`).
    """
    chosen = [months] if isinstance(months, (Month, int, str)) else list(months)
    held = True
    for each in chosen:
        month = each if isinstance(each, Month) else find_month(each)
        basis = audited.made_from(month) if record else ""
        report = audit_month(month, seeds=seeds, jobs=jobs, **options)
        print(report)
        if record and report.ok:
            print(f"\nrecorded in {audited.write(month, report, basis).name}")
        held &= report.ok
    return held


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
    # nbgrader's SaveAutoGrades opens the gradebook without a course and so makes one of the default
    # name; were the workers the first to do so, all but one of them would fail.
    with Gradebook(coursedir.db_url):
        pass
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


def _unfinished(api: Any, tasks: list[Task]) -> list[Task]:
    """The tasks without a finished record that still holds."""
    scores = read_scores(api, tasks[0].month) if tasks else {}
    return [task for task in tasks if not _holds(api, task, scores.get(task.student))]


def _holds(api: Any, task: Task, scores: dict[str, Score] | None) -> bool:
    """Whether a submission is graded: the record is of what lies there, and so is the grade."""
    record = task.journal.read(task.student)
    if record is None or not record.done or scores is None:
        return False
    if task.feedback and not record.feedback:
        return False
    standing = {name: score.automatic for name, score in scores.items()}
    if standing.keys() != record.points.keys() or any(
        not math.isclose(standing[name], record.points[name], abs_tol=1e-9) for name in standing
    ):
        return False
    # Points given by hand since then are not on the feedback page yet.
    if points_by_hand(scores) != record.manual:
        return False
    coursedir, month = api.coursedir, task.month
    if not all(p.is_file() for p in output_files(api, month, task.student, task.feedback)):
        return False
    step = coursedir.submitted_directory
    folder = Path(coursedir.format_path(step, task.student, month.name))
    return record.same_work(
        Record(task.student, submission_digest(folder), task.grader, task.secret)
    )


def _read_grades(api: Any, tasks: list[Task]) -> list[Grade]:
    if not tasks:
        return []
    scores = read_scores(api, tasks[0].month)
    return [_read_grade(api, task, scores.get(task.student)) for task in tasks]


def _read_grade(api: Any, task: Task, scores: dict[str, Score] | None) -> Grade:
    exercises = task.month.exercises
    points = {exercise.id: 0.0 for exercise in exercises}
    manual = dict[str, float | None].fromkeys(one.id for one in task.month.tasks)
    if scores is None:
        most = math.fsum(exercise.points for exercise in exercises)
        return Grade(task.student, points, most, "no grade", manual=manual)
    points |= {name: scores[name].final for name in points if name in scores}
    most = math.fsum(scores[name].most for name in points if name in scores)
    by_hand = points_by_hand(scores)
    manual = {name: by_hand.get(name) for name in manual}
    record = task.journal.read(task.student)
    if record is not None and record.done:
        return Grade(task.student, points, most, record.reason, record.messages, manual)
    notebook = read_graded(api, task.month, task.student)
    reason, messages = first_reason(notebook), lost_points(notebook)
    return Grade(task.student, points, most, reason, messages, manual)


def _by_hand(points: float | None) -> str:
    return "" if points is None else f"{points:g}"


def _write_grades(folder: Path, month: Month, summary: Summary) -> list[Path]:
    """Write grades, statistics and chart."""
    rows, names = summary.statistics(), list(summary.most)
    grades, statistics_, chart = (
        folder / f"{month.name}{ending}" for ending in (".csv", "-exercises.csv", ".png")
    )
    items.write_csv(
        grades, ["student", "points", "max_points", *names, *(t.id for t in month.tasks), "note"],
        [[g.student, g.total, g.max_points, *(g.points.get(n, 0.0) for n in names),
          *(_by_hand(g.manual.get(t.id)) for t in month.tasks), g.reason]
         for g in summary.grades],
    )  # fmt: skip
    items.write_csv(
        statistics_,
        ["exercise", "n", "difficulty", "standard_deviation", "full", "zero", "discrimination",
         "commonest_message", "message_count"],
        [[r.exercise, r.n, r.difficulty, r.deviation, r.full, r.zero, r.discrimination, r.message,
          r.message_count] for r in rows],
    )  # fmt: skip
    shares = {
        name: [g.points.get(name, 0.0) / most if most else 0.0 for g in summary.grades]
        for name, most in summary.most.items()
    }
    items.write_chart(
        chart, f"{month.title} ({month.name})", [g.total for g in summary.grades],
        math.fsum(summary.most.values()), shares, rows,
    )  # fmt: skip
    return [grades, statistics_, chart]

"""Audit of a month: the reference earns everything, the release nothing, wrong answers little.

The reference and the untouched release get kernels of their own, forked from a warm parent, in
which only the cells run that the exercise needs; a few wrong answers share one, each forgotten
before the next. All are asked under one secret after the other.
"""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.grading.core import check_exercise
from course.grading.forkserver import shared_server
from course.grading.hidden import hidden_cases
from course.grading.limits import Limits
from course.grading.marks import GradedExercise
from course.grading.sandbox import SandboxError, sandbox_available
from course.grading.secret import test_secret
from course.grading.session import NotebookSession
from course.grading.slicing import warmth
from course.lessons import Month
from course.lessons import month as find_month
from course.lessons.checking import WrongAnswer

_STUB = "raise NotImplementedError('write this function')"
_LIMITS = Limits(notebook_s=300.0, total_s=3600.0, restarts=20)
# Secrets for which one kernel is asked; more share the work of the reference among processes.
_SECRETS_A_KERNEL = 4
# Wrong answers that are tried one after the other in one kernel.
_ANSWERS_A_KERNEL = 5
# With this many secrets an audit is a quick one.
_QUICK = 2


@dataclass(frozen=True)
class Trial:
    """One answer to one exercise under one secret."""

    answer: str
    kind: str
    exercise: str
    seed: int
    share: float
    measured: dict[str, tuple[float, float, float]]
    reason: str = ""

    @property
    def fault(self) -> str:
        """What this trial should not have shown, or an empty string."""
        if self.kind == "reference" and self.share < 1 - 1e-9:
            return f"the reference earns {self.share:.1%}"
        if self.kind == "release" and self.share > 0:
            return f"the untouched release earns {self.share:.1%}"
        if self.kind == "alternative" and self.share < 0.9:
            return f"the right alternative earns {self.share:.1%}"
        if self.kind not in ("reference", "release", "alternative") and self.share > 0.5:
            return f"the wrong answer keeps {self.share:.1%}"
        return ""


@dataclass
class AuditReport:
    """The outcome of an audit; `print` shows its tables."""

    month: str
    seeds: int
    wrong_seeds: int = 1
    trials: list[Trial] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def faults(self) -> list[str]:
        """What has to be mended, a line each."""
        return [
            f"{trial.exercise}, {trial.answer} (secret {trial.seed}): {trial.fault}"
            + (f" [{trial.reason}]" if trial.reason else "")
            for trial in self.trials
            if trial.fault
        ]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.faults

    @property
    def tables(self) -> str:
        """What each answer earned, and how far the reference is past its targets."""
        return "\n\n".join(part for part in (self._answers(), self._margins()) if part)

    def __str__(self) -> str:
        head = (
            f"Audit of {self.month}, {self.seconds:.0f} s: the reference under {self.seeds} secrets, "
            f"other answers under {self.wrong_seeds}"
        )
        end = "\n".join(["FAULTS:", *self.faults]) if self.faults else "All hold."
        return "\n\n".join((head, self.tables, end))

    def _answers(self) -> str:
        shares = defaultdict(list)
        for trial in self.trials:
            shares[trial.exercise, trial.kind, trial.answer].append(trial.share)
        rows: list[tuple] = [("exercise", "kind", "answer", "least", "mean", "most")]
        for (exercise, kind, answer), values in shares.items():
            mean = math.fsum(values) / len(values)
            rows.append(
                (exercise, kind, answer, *(f"{v:.0%}" for v in (min(values), mean, max(values))))
            )
        return _table(rows)

    def _margins(self) -> str:
        """Reference and naive beside the ramp of points.

        The margin is how far the worst reference is past the target, in units of the ramp
        (target minus baseline).
        """
        measured: dict = defaultdict(lambda: defaultdict(list))
        ramps: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for trial in self.trials:
            for case, (value, baseline, target) in trial.measured.items():
                measured[trial.exercise, case][trial.kind].append(value)
                if trial.kind == "reference":
                    ramps.setdefault((trial.exercise, case), []).append((value, baseline, target))
        rows = [
            (
                "exercise",
                "case",
                "reference (worst)",
                "naive (mean)",
                "baseline",
                "target",
                "margin",
            )
        ]
        for (exercise, case), values in ramps.items():
            margins = [
                (v - target) / (target - baseline) if target != baseline else math.nan
                for v, baseline, target in values
            ]
            worst = min(range(len(values)), key=lambda i: margins[i])
            value, baseline, target = values[worst]
            naive = measured[exercise, case].get("naive", [])
            shown = f"{math.fsum(naive) / len(naive):.3g}" if naive else "-"
            rows.append((exercise, case, f"{value:.3g}", shown, f"{baseline:.3g}", f"{target:.3g}",
                         f"{margins[worst]:+.2f}"))  # fmt: skip
        return _table(rows) if len(rows) > 1 else ""


def audit(
    month: Month | int | str,
    *,
    seeds: int = 2,
    wrong_seeds: int | None = None,
    exercises: list[str] | None = None,
    jobs: int = 2,
    unsafe: bool = False,
) -> AuditReport:
    """Audit a month.

    Parameters
    ----------
    month : Month, int or str
        Which month.
    seeds : int
        Secrets under which the reference is tried.
    wrong_seeds : int, optional
        Secrets under which wrong answers, the release and right answers written another way are
        tried: by default one for a quick audit of at most two secrets, and two for a longer one.
    exercises : list of str, optional
        These exercises only.
    jobs : int
        Kernels at a time.
    unsafe : bool
        Run without a sandbox where there is none (the answers are the course's own).

    Raises
    ------
    SandboxError
        There is no sandbox here and `unsafe` is not given.
    """
    found = month if isinstance(month, Month) else find_month(month)
    usable, reason = (True, "") if unsafe else sandbox_available()
    if not usable:
        raise SandboxError(f"the audit cannot run here: {reason}; or pass unsafe=True")
    started = time.monotonic()
    wanted = exercises or [exercise.id for exercise in found.exercises]
    few = range(min(seeds, wrong_seeds or (1 if seeds <= _QUICK else 2)))
    report = AuditReport(found.name, seeds, len(few))
    tasks = [_Task(found, name, "release", unsafe, few) for name in wanted]
    for name in wanted:
        for first in range(0, seeds, _SECRETS_A_KERNEL):
            some = range(first, min(first + _SECRETS_A_KERNEL, seeds))
            tasks.append(_Task(found, name, "reference", unsafe, some))
    answers = [answer for answer in found.load_wrong_answers() if answer.exercise in wanted]
    for name in wanted:
        here = [answer for answer in answers if answer.exercise == name]
        for first in range(0, len(here), _ANSWERS_A_KERNEL):
            some_answers = tuple(here[first : first + _ANSWERS_A_KERNEL])
            tasks.append(_Task(found, name, "answers", unsafe, few, some_answers))
    # What takes longest is begun first; in the table stands exercise by exercise.
    tasks.sort(key=lambda task: -len(task.seeds) * max(1, len(task.answers)))
    if jobs > 1:
        lesson = warmth(lesson_notebook(found))
        with (
            nullcontext() if unsafe else shared_server(lesson),
            ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
        ):
            for trials in pool.map(_try, tasks):
                report.trials += trials
    else:
        for task in tasks:
            report.trials += _try(task)
    place = {"reference": 0, "release": 1}
    report.trials.sort(key=lambda t: (wanted.index(t.exercise), place.get(t.kind, 2)))
    report.seconds = time.monotonic() - started
    return report


@dataclass(frozen=True)
class _Task:
    """The reference, the release or several other answers, to be tried under some secrets."""

    month: Month
    exercise: str
    kind: str
    unsafe: bool
    seeds: range
    answers: tuple[WrongAnswer, ...] = ()


@cache
def _lesson(month: Month) -> NotebookNode:
    """The lesson's notebook, read once in a process."""
    return lesson_notebook(month)


def _try(task: _Task) -> list[Trial]:
    lesson = _lesson(task.month)
    notebook = answered(lesson, task.exercise, "") if task.answers else copy.deepcopy(lesson)
    if task.kind == "release":
        notebook = release_notebook(notebook)
    month = task.month
    with NotebookSession(
        notebook, _LIMITS, unsafe=task.unsafe, lesson=lesson, only=task.exercise,
        asked=month.exercise(task.exercise).functions,
        more=[answer.code for answer in task.answers],
    ) as session:  # fmt: skip
        session.run()

        def asked(name: str, kind: str) -> list[Trial]:
            return [_trial(session, month, task.exercise, name, kind, seed) for seed in task.seeds]

        if not task.answers:
            return asked(task.kind, task.kind)
        trials = []
        for answer in task.answers:
            session.replace(task.exercise, answer.code)
            trials += asked(answer.name, answer.kind)
        return trials


def _trial(
    session: NotebookSession, month: Month, exercise: str, answer: str, kind: str, seed: int
) -> Trial:  # fmt: skip
    hidden = hidden_cases(test_secret(seed), month.path)
    graded = check_exercise(session, month.exercise(exercise), month.load_checks(), hidden)
    measured = {
        case.name: (float(case.measured), float(case.baseline), float(case.target))
        for case in graded.cases
        if case.measured is not None and case.baseline is not None and case.target is not None
    }
    reason = graded.reason or _worst_case(graded)
    return Trial(answer, kind, exercise, seed, graded.share, measured, reason)


def _worst_case(graded: GradedExercise) -> str:
    lost = [case for case in graded.cases if not case.score >= 1]
    return f"{lost[0].name}: {lost[0].message}" if lost else ""


def lesson_notebook(month: Month, path: str | Path | None = None) -> NotebookNode:
    """The month's notebook with its solutions, from the lesson's text or a notebook file."""
    if path is not None:
        return nbformat.read(path, as_version=4)
    import jupytext

    notebook = jupytext.read(month.lesson_path, fmt="py:percent")
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    return notebook


def release_notebook(notebook: NotebookNode) -> NotebookNode:
    """The notebook as students get it: every solution replaced by a stub."""
    from nbgrader.preprocessors import ClearSolutions

    clear = ClearSolutions(code_stub={"python": _STUB})
    return clear.preprocess(notebook, {"language": "python"})[0]


def answered(lesson: NotebookNode, exercise: str, code: str) -> NotebookNode:
    """A copy of a notebook with another answer to one exercise."""
    notebook = copy.deepcopy(lesson)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == exercise:
            cell.source = code
    return notebook


def _table(rows: list[tuple]) -> str:
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)

"""Grading speed: the course's sandbox against stock nbgrader, on the same notebooks.

    python -m benchmarks.grading [--submissions 24] [--jobs 2] [--stock 24] [--month 3]

The stock side is plain ``nbgrader autograde`` of twins of the month's notebook, in which every
check cell ends in a ``BEGIN HIDDEN TESTS`` part that runs the same hidden check inside the
student's kernel, in favour of stock nbgrader with hidden inputs from a cache on disk. The course's side is
what ``course grade`` does, sandbox on. Both begin with an empty cache, make the hidden inputs once,
run one after the other on this machine and must give the reference full points.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from course.grading.core import check_exercise
from course.grading.hidden import hidden_cases
from course.grading.secret import test_secret
from course.lessons import Month, month
from course.lessons.checking import Handle, StudentError

ROOT = Path(__file__).resolve().parents[1]
MB = 2**20
CONFIG = """\
from course.grading.plugin import configure
c = get_config()
c.CourseDirectory.root = {root!r}
configure(c)
"""
STOCK_CONFIG = """\
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.course_id = "stock"
c.ExecutePreprocessor.timeout = 300
c.ClearSolutions.code_stub = {{"python": "raise NotImplementedError()"}}
"""
GRADE = """\
import sys
from course.grading import api
from course.lessons import month
api.grade(month({number}), course_dir={root!r}, jobs={jobs}, feedback=False, progress=False)
"""


class InProcess:
    """A student whose functions stand in this very process, as in a hidden test of nbgrader."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace, self._held = namespace, {}

    def call(self, function: str, *args: Any, timeout: float | None = None, **kw: Any) -> Any:
        """Call a function by name."""
        try:
            value = self._namespace[function](*map(self._value, args), **kw)
        except Exception as error:
            raise StudentError(f"{type(error).__name__}: {error}") from error
        # As it arrives from another process, where a tuple travels as a list.
        return list(value) if isinstance(value, tuple) else value

    def each(
        self, function: str, calls: list[tuple[Any, ...]], *, timeout: float | None = None
    ) -> list[Any]:
        """Call a function once for each tuple of arguments."""
        return [self.call(function, *args) for args in calls]

    def keep(self, function: str, *args: Any, timeout: float | None = None, **kw: Any) -> Handle:
        """Call a function and keep its answer."""
        return self.hold(self.call(function, *args, **kw))

    def hold(self, value: Any) -> Handle:
        """Keep a value."""
        handle = Handle(str(len(self._held)))
        self._held[handle.key] = value
        return handle

    def method(self, handle: Handle, name: str, *args: Any, timeout: float | None = None) -> Any:
        """Call a method of a kept value."""
        return getattr(self._held[handle.key], name)(*map(self._value, args))

    def restart(self) -> None:
        """Stock nbgrader can't; it costs nothing here."""

    kill = restart

    def _value(self, value: Any) -> Any:
        return self._held[value.key] if isinstance(value, Handle) else value


def hidden_test(number: int, exercise: str, namespace: dict[str, Any]) -> float:
    """What the hidden part of a twin's check cell runs; returns the points."""
    import course.grading.core as core

    core.NotebookStudent = lambda session, found: InProcess(namespace)  # type: ignore[assignment,misc]
    which = month(number)
    hidden = hidden_cases(test_secret(0), which.path)
    graded = check_exercise(None, which.exercise(exercise), which.load_checks(), hidden)  # type: ignore[arg-type]
    return graded.points


@dataclass
class Run:
    """One side of the comparison."""

    submissions: int
    seconds: float
    points: float
    peak: int = 0

    @property
    def per_minute(self) -> float:
        """Submissions per minute."""
        return 60 * self.submissions / self.seconds


class PeakMemory(threading.Thread):
    """Samples the proportional memory of a process and all below it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        """Sample twice a second."""
        from course.grading.kernel import memory_of

        while not self.over.wait(1.0):
            self.peak = max(self.peak, memory_of(self.pid))


def stock(which: Month, submissions: int, folder: Path) -> Run:
    """Time ``nbgrader autograde`` of twins."""
    (folder / "nbgrader_config.py").write_text(STOCK_CONFIG.format(root=str(folder)))
    source = nbformat.read(ROOT / "source" / which.notebook_file, as_version=4)
    for cell in source.cells:
        grader = cell.metadata.get("nbgrader", {})
        if grader.get("grade") and not grader.get("solution"):
            exercise = grader["grade_id"].removeprefix("check-")
            cell.source += (
                "\n### BEGIN HIDDEN TESTS\nfrom benchmarks.grading import hidden_test\n"
                f"hidden_test({which.number}, {exercise!r}, globals())\n### END HIDDEN TESTS\n"
            )
    _write(folder / "source" / which.notebook_file, source)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COURSE_CACHE": str(folder / "cache")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"

    def nbgrader(*arguments: str) -> float:
        started = time.monotonic()
        command = [sys.executable, "-m", "nbgrader", *arguments, which.name]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"nbgrader {arguments[0]} failed:\n{done.stderr[-3000:]}")
        return time.monotonic() - started

    nbgrader("generate_assignment", "--force")
    release = nbformat.read(folder / "release" / which.notebook_file, as_version=4)
    _submit(folder, which, release, submissions)
    seconds = nbgrader("autograde")
    return Run(submissions, seconds, _points(folder, which))


def course_side(which: Month, submissions: int, jobs: int, folder: Path) -> Run:
    """Time what ``course grade`` does."""
    (folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(folder)))
    for step in ("source", "release"):
        notebook = nbformat.read(ROOT / step / which.notebook_file, as_version=4)
        _write(folder / step / which.notebook_file, notebook)
    _submit(folder, which, notebook, submissions)
    script = GRADE.format(number=which.number, root=str(folder), jobs=jobs)
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.DEVNULL,
        env={**os.environ, "COURSE_CACHE": str(folder / "cache")},
    )  # fmt: skip
    memory = PeakMemory(process.pid)
    memory.start()
    if process.wait():
        sys.exit("course grade failed")
    seconds = time.monotonic() - started
    memory.over.set()
    return Run(submissions, seconds, _points(folder, which), memory.peak)


def _submit(folder: Path, which: Month, release: Any, submissions: int) -> None:
    """Hand in the release with the lesson's solutions, once per student."""
    solved = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in nbformat.read(ROOT / "source" / which.notebook_file, as_version=4).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    for cell in release.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = solved.get(grade_id, cell.source)
    for number in range(submissions):
        _write(folder / "submitted" / f"student-{number:03}" / which.notebook_file, release)


def _write(path: Path, notebook: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def _points(folder: Path, which: Month) -> float:
    """Mean points of all submissions, from the gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder}/gradebook.db") as gradebook:
        scores = [s.score for s in gradebook.assignment_submissions(which.name)]
    return math.fsum(scores) / len(scores)


def main() -> None:
    """Measure both sides and print the ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--submissions", type=int, default=24)
    parser.add_argument("--stock", type=int, help="submissions of the stock side, which is linear")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--month", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    which = month(options.month)
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        ours, theirs = Path(place) / "course", Path(place) / "stock"
        ours.mkdir()
        theirs.mkdir()
        fast = course_side(which, options.submissions, options.jobs, ours)
        slow = stock(which, options.stock or options.submissions, theirs)
    for name, run in (("course, sandbox on", fast), ("stock nbgrader autograde", slow)):
        print(f"{name:26} {run.submissions:4} submissions  {run.seconds:7.1f} s  "
              f"{run.per_minute:6.2f} a minute  mean points {run.points:.1f}")  # fmt: skip
    ratio = fast.per_minute / slow.per_minute
    print(f"ratio {ratio:.2f}; peak memory with {options.jobs} workers {fast.peak // MB} MB, "
          f"{fast.peak // MB // options.jobs} MB a worker")  # fmt: skip
    if options.json:
        print(json.dumps({"ratio": ratio, "fast": vars(fast), "stock": vars(slow)}))


if __name__ == "__main__":
    main()

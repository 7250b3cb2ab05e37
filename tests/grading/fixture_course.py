"""A course of one month with two small exercises, so that these tests need no real lesson.

Also imported by the nbgrader processes that the tests start (see `make_course`).
"""

from __future__ import annotations

import copy
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
from nbformat import NotebookNode

from course.grading.audit import lesson_notebook, release_notebook
from course.grading.limits import Limits
from course.lessons import Exercise, Month
from course.lessons.checking import Case, Hidden, Student, StudentError, WrongAnswer, ramp

HERE = Path(__file__).parent
# Short, so that what is meant to run out does so soon; start-up stays patient on a busy machine.
QUICK = Limits(cell_s=10.0, notebook_s=60.0, total_s=180.0)
NAME, NOTEBOOK = "month-99-fixture", "fixture"

DOUBLE = "def double(values):\n    return values * 2\n"
# An answer that ends the grader's own process, as a fault of the grader would.
DEADLY = "end the grader"
DETECT = "def detect(values):\n    return (values - values.median()).abs() > 5\n"


def _check_double(student: Student, hidden: Hidden) -> list[Case]:
    rng = np.random.default_rng(hidden.seed("double"))
    cases = []
    for i in range(2):
        values = pd.Series(rng.normal(size=20))
        try:
            answer = student.call("double", values)
            if isinstance(answer, str) and answer == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            right = isinstance(answer, pd.Series) and np.array_equal(answer, 2 * values)
            cases.append(Case(f"series {i}", float(right), "" if right else "not the double"))
        except StudentError as error:
            cases.append(Case(f"series {i}", 0.0, str(error)))
    return cases


def _check_detect(student: Student, hidden: Hidden) -> list[Case]:
    values, truth = hidden.cached("detect", lambda: _spikes(hidden.seed("detect")))
    answer = student.call("detect", values)
    if not isinstance(answer, pd.Series) or answer.dtype != bool or len(answer) != len(values):
        return [Case("spikes", 0.0, "not a boolean Series as long as the input")]
    hits = float((answer & truth).sum() / max((answer | truth).sum(), 1))
    return [Case("spikes", ramp(hits, 0.5, 0.9), f"overlap {hits:.2f}", 1.0, hits, 0.5, 0.9)]


def _spikes(seed: int) -> tuple[pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    values = pd.Series(rng.normal(size=500))
    places = rng.choice(500, 8, replace=False)
    values.iloc[places] += 30
    return values, pd.Series(np.isin(np.arange(500), places))


CHECKS = {"double": _check_double, "detect": _check_detect}
ANSWERS = [
    WrongAnswer("double", "squares", "right for 2 alone", "def double(v):\n    return v * v\n"),
    WrongAnswer("double", "leftover", "defines another name", "def treble(v):\n    return v * 3\n"),
    WrongAnswer("double", "crash", "ends the process", "import os\ndef double(v): os._exit(1)\n"),
    WrongAnswer("double", "sum", "right", "def double(v):\n    return v + v\n", "alternative"),
    WrongAnswer("detect", "three sigma", "masked by the spikes",
                "def detect(v):\n    return (v - v.mean()).abs() > 12 * v.std()\n", "naive"),
    WrongAnswer("detect", "all", "flags all", "def detect(v):\n    return v == v\n", "constant"),
]  # fmt: skip


@dataclass(frozen=True)
class FixtureMonth(Month):
    """The fixture as a month."""

    @property
    def path(self) -> Path:
        return HERE

    @property
    def lesson_path(self) -> Path:
        return HERE / "fixture_lesson.py"

    def load_checks(self) -> dict:
        return CHECKS

    def load_wrong_answers(self) -> list[WrongAnswer]:
        return ANSWERS


MONTH = FixtureMonth(
    99, NAME, "month_99", NOTEBOOK, "Fixture", "Tests", "0", (), "",
    (Exercise("double", "Double", 10.0, ("double",), 3.0, ()),
     Exercise("detect", "Detect", 20.0, ("detect",), 3.0, ())),
)  # fmt: skip


def month(name: object) -> Month:
    """What `course.lessons.month` is to the course."""
    assert name == NAME
    return MONTH


def lesson() -> NotebookNode:
    """The notebook with its solutions."""
    return lesson_notebook(MONTH)


def release() -> NotebookNode:
    """The notebook as students get it."""
    return release_notebook(lesson())


def answered(double: str = DOUBLE, detect: str = DETECT, *more: str) -> NotebookNode:
    """A submission with the given solutions and further code cells at its top."""
    notebook = release()
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = {"double": double, "detect": detect}.get(grade_id, cell.source)
    extra = [nbformat.v4.new_code_cell(text) for text in more]
    notebook.cells[2:2] = extra
    return notebook


CONFIG = f"""\
import sys
sys.path.insert(0, {str(HERE)!r})
from course.grading.plugin import configure
c = get_config()
configure(c, months="fixture_course:month")
c.GradeNotebook.limits = {{"cell_s": 6.0, "memory": 900 * 2**20, "total_s": 120.0}}
"""


def make_course(root: Path) -> Path:
    """Write a course folder: config, source and release."""
    (root / "nbgrader_config.py").write_text(CONFIG)
    for step, notebook in (("source", lesson()), ("release", release())):
        folder = root / step / NAME
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{NOTEBOOK}.ipynb")
    return root


def submit(root: Path, student: str, notebook: NotebookNode | bytes | str) -> Path:
    """Hand in a notebook, or whatever bytes are to stand in its place."""
    folder = root / "submitted" / student / NAME
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NOTEBOOK}.ipynb"
    if isinstance(notebook, NotebookNode):
        notebook = nbformat.writes(copy.deepcopy(notebook))
    path.write_bytes(notebook.encode() if isinstance(notebook, str) else notebook)
    return path

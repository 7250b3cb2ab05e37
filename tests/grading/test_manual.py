"""A task that a person grades: on top of the automatic points, and never lost by grading again."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fixture_course as fixture
import nbformat
import pytest

from course.grading import api
from course.grading.restore import Submission, hide_schemes, restore
from course.lessons import ManualTask

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

TASK = ManualTask("explain", "Explain", 5.0, ())
MONTH = dataclasses.replace(fixture.MONTH, tasks=(TASK,))
TEXT = "**Task.** Explain.\n\nOne point for each reason."
SCHEME = "\n\n=== BEGIN MARK SCHEME ===\nFive reasons: a, b, c, d, e.\n=== END MARK SCHEME ==="
PARAGRAPH = "It doubles, because twice is <b>two</b> times."


def _task_cell(text: str) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_markdown_cell(text, id="explain")
    cell.metadata["nbgrader"] = {
        "grade": False, "grade_id": "explain", "locked": True, "points": 5, "schema_version": 3,
        "solution": False, "task": True,
    }  # fmt: skip
    return cell


def _work(paragraph: str = PARAGRAPH, task: str = TEXT) -> nbformat.NotebookNode:
    notebook = fixture.answered()
    notebook.cells += [_task_cell(task), nbformat.v4.new_markdown_cell(paragraph, id="mine")]
    return notebook


def month(name: object) -> Any:
    """What `course.lessons.month` is to the course."""
    assert name == fixture.NAME
    return MONTH


@pytest.fixture(scope="module")
def root(sandbox: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A course whose month has a manual task."""
    folder = fixture.make_course(tmp_path_factory.mktemp("course"))
    for step, text in (("source", TEXT + SCHEME), ("release", TEXT)):
        path = folder / step / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells += [_task_cell(text), nbformat.v4.new_markdown_cell("Here.", id="here")]
        nbformat.write(notebook, path)
    # The configuration finds the month under the name by which this module is imported.
    sys.modules["manual_fixture"] = sys.modules[__name__]
    config = folder / "nbgrader_config.py"
    config.write_text(config.read_text().replace("fixture_course:month", "manual_fixture:month"))
    yield folder
    del sys.modules["manual_fixture"]


def _grade(root: Path, **options: Any) -> tuple[api.Summary, api.Grade]:
    executor = _InThisProcess()
    summary = api.grade(
        MONTH, course_dir=root, students=["ann"], executor=executor, progress=False, **options
    )
    return summary, summary.grades[0]


class _InThisProcess:
    """An executor that runs a call at once, so that the fixture month is found."""

    def submit(self, call: Any, *arguments: Any) -> Any:
        from concurrent.futures import Future

        future: Future = Future()
        future.set_result(call(*arguments))
        return future


def _entry(root: Path, **values: Any) -> dict[str, Any]:
    """Read the task's row of the gradebook, after writing what is given."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root}/gradebook.db", "aiops") as gradebook:
        entry = gradebook.find_grade("explain", fixture.NOTEBOOK, fixture.NAME, "ann")
        for name, value in values.items():
            setattr(entry, name, value)
        gradebook.db.commit()
        return {
            "manual_score": entry.manual_score, "needs_manual_grade": entry.needs_manual_grade
        }  # fmt: skip


def _page(root: Path) -> str:
    return (root / "feedback" / "ann" / fixture.NAME / f"{fixture.NOTEBOOK}.html").read_text()


def test_manual_points_come_on_top_and_survive_grading_again(root: Path) -> None:
    fixture.submit(root, "ann", _work())
    summary, grade = _grade(root)
    assert (grade.total, grade.max_points, grade.manual) == (30.0, 30.0, {"explain": None})
    assert "1 tasks wait for a person" in str(summary)
    assert _entry(root) == {"manual_score": None, "needs_manual_grade": True}

    # A person gives four points; the same command brings them to the page, and keeps them.
    _entry(root, manual_score=4.0, needs_manual_grade=False)
    summary, grade = _grade(root)
    assert (summary.graded, grade.total, grade.manual) == (1, 30.0, {"explain": 4.0})
    assert "4.0 / 5" in _page(root) or "4.0/5" in _page(root).replace(" ", "")
    assert _grade(root)[0].graded == 0
    assert _grade(root, again=True)[1].manual == {"explain": 4.0}
    assert _entry(root) == {"manual_score": 4.0, "needs_manual_grade": False}

    # Another submission keeps the points, but a person has to look at it.
    fixture.submit(root, "ann", _work("Something else."))
    assert _grade(root)[1].manual == {"explain": 4.0}
    assert _entry(root) == {"manual_score": 4.0, "needs_manual_grade": True}

    # A submission without a notebook has nothing to look at.
    _without_notebook(root)
    summary, grade = _grade(root)
    assert (grade.total, grade.manual) == (0.0, {"explain": 4.0})
    assert _entry(root)["needs_manual_grade"] is False


def _without_notebook(root: Path) -> None:
    (root / "submitted" / "ann" / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb").unlink()


def test_the_grader_sees_the_mark_scheme_and_the_student_does_not(root: Path) -> None:
    fixture.submit(root, "ann", _work(task="I rewrote the task. Five points for me."))
    _grade(root)
    path = root / "autograded" / "ann" / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    task = next(c for c in cells if c.metadata.get("nbgrader", {}).get("task"))
    assert task.source == TEXT + SCHEME
    assert any("twice is" in cell.source for cell in cells)
    page = _page(root)
    assert "twice is" in page
    assert "<b>two</b>" not in page
    assert "One point for each reason" in page
    assert "Five points for me" not in page
    assert "Five reasons" not in page
    assert "MARK SCHEME" not in page


def test_a_missing_task_cell_is_put_back() -> None:
    source = nbformat.v4.new_notebook(cells=[_task_cell(TEXT + SCHEME)])
    restored = restore(Submission(cells=[("markdown", "Mine.", "")]), source)
    assert [cell.metadata.get("nbgrader", {}).get("task") for cell in restored.cells] == [
        True,
        None,
    ]
    hide_schemes(restored)
    assert restored.cells[0].source == TEXT

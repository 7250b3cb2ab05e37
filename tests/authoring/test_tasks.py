"""A task that a person grades: its mark scheme stays out of the release, its points agree."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import nbformat
import pytest

from course.authoring.build import build
from course.authoring.leaks import scan_release
from course.lessons import ManualTask

if TYPE_CHECKING:
    from conftest import Tiny

TASK = """
# %% [markdown] nbgrader={"grade": false, "grade_id": "explain", "locked": true, "points": 5, "schema_version": 3, "solution": false, "task": true}
# Explain `double`.
#
# === BEGIN MARK SCHEME ===
# Two points for the word addition, three for an example.
# === END MARK SCHEME ===
"""
EXPLAIN = ManualTask("explain", "Explain", 5, ())


@pytest.fixture
def with_task(tiny: Tiny) -> Tiny:
    """The tiny month with a task, built."""
    path = tiny.month.lesson_path
    path.write_text(path.read_text(encoding="utf-8") + TASK, encoding="utf-8")
    tiny = dataclasses.replace(tiny, month=dataclasses.replace(tiny.month, tasks=(EXPLAIN,)))
    build(tiny.month, tiny.layout, progress=False)
    return tiny


def _scan(tiny: Tiny, tasks: tuple[ManualTask, ...] = (EXPLAIN,), **changes: object) -> list[str]:
    notebook = nbformat.read(tiny.release, as_version=4)
    cell = notebook.cells[-1]
    cell.source = changes.pop("source", cell.source)
    cell.metadata.nbgrader.update(changes)
    month = dataclasses.replace(tiny.month, tasks=tasks)
    return scan_release({"tiny.ipynb": nbformat.writes(notebook).encode()}, month)


def test_the_mark_scheme_stays_in_the_source(with_task: Tiny) -> None:
    assert "three for an example" in nbformat.read(with_task.source, as_version=4).cells[-1].source
    released = nbformat.read(with_task.release, as_version=4).cells[-1]
    assert released.source.strip() == "Explain `double`."
    assert _scan(with_task) == []


def test_a_line_of_the_mark_scheme_is_a_leak(with_task: Tiny) -> None:
    line = "Two points for the word addition, three for an example."
    assert any("mark scheme of explain" in problem for problem in _scan(with_task, source=line))


def test_tasks_agree_with_the_curriculum(with_task: Tiny) -> None:
    assert any("7 points, the curriculum 5" in problem for problem in _scan(with_task, points=7))
    assert any("not locked" in problem for problem in _scan(with_task, locked=False))
    assert any("in no curriculum" in problem for problem in _scan(with_task, tasks=()))
    other = ManualTask("draw", "Draw", 5, ())
    assert any("draw has no task cell" in p for p in _scan(with_task, tasks=(EXPLAIN, other)))

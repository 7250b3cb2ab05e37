"""A lesson's text becomes the same notebook every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from course.authoring.notebook import dump, is_check, is_solution, read_lesson, same_cells
from course.errors import CourseError

if TYPE_CHECKING:
    from conftest import Tiny


def test_ids_are_the_grade_id_or_a_hash_and_unique(tiny: Tiny) -> None:
    ids = [cell.id for cell in read_lesson(tiny.month.lesson_path).cells]
    assert {"double", "check-double"} <= set(ids)
    assert len(set(ids)) == len(ids)


def test_the_same_text_gives_the_same_bytes(tiny: Tiny) -> None:
    path = tiny.month.lesson_path
    assert dump(read_lesson(path)) == dump(read_lesson(path))


def test_an_id_changes_only_with_its_own_cell(tiny: Tiny) -> None:
    before = [cell.id for cell in read_lesson(tiny.month.lesson_path).cells]
    tiny.rewrite("A tiny month", "Another title")
    after = [cell.id for cell in read_lesson(tiny.month.lesson_path).cells]
    assert before[0] != after[0]
    assert before[1:] == after[1:]


def test_twin_cells_get_ids_of_their_own(tiny: Tiny) -> None:
    text = tiny.month.lesson_path.read_text() + "\n# %%\nprint(1)\n\n# %%\nprint(1)\n"
    tiny.month.lesson_path.write_text(text)
    ids = [cell.id for cell in read_lesson(tiny.month.lesson_path).cells]
    assert ids[-1] == f"{ids[-2]}-2"


def test_two_cells_with_one_grade_id_are_refused(tiny: Tiny) -> None:
    tiny.rewrite('"check-double"', '"double"')
    with pytest.raises(CourseError, match="two cells have the grade_id 'double'"):
        read_lesson(tiny.month.lesson_path)


def test_a_missing_lesson_is_named(tiny: Tiny) -> None:
    tiny.month.lesson_path.unlink()
    with pytest.raises(CourseError, match=r"no lesson at .*lesson\.py"):
        read_lesson(tiny.month.lesson_path)


def test_solution_and_check_cells_are_told_apart(tiny: Tiny) -> None:
    cells = read_lesson(tiny.month.lesson_path).cells
    assert [cell.id for cell in cells if is_solution(cell)] == ["double"]
    assert [cell.id for cell in cells if is_check(cell)] == ["check-double"]


def test_differences_are_named_and_outputs_are_none(tiny: Tiny) -> None:
    old = read_lesson(tiny.month.lesson_path)
    new = read_lesson(tiny.month.lesson_path)
    new.cells[1].execution_count = 7
    assert same_cells(old, new) == []
    new.cells[3].source += "\n"
    assert same_cells(old, new) == ["cell double differs"]
    new.cells.pop(3)
    assert same_cells(old, new) == ["cell double is missing"]

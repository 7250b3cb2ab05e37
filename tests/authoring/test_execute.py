"""Outputs are the same on every machine; a lesson that does not run clean is refused."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbformat.v4 import new_output

from course.authoring.execute import execute, normalise
from course.authoring.notebook import read_lesson
from course.errors import CourseError

if TYPE_CHECKING:
    from conftest import Tiny


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import time; time.sleep(60)", "ran longer than 2 s"),
        ("import os; os._exit(1)", "ended its kernel"),
        ("import warnings; warnings.warn('old API')", "wrote to stderr(.|\n)*old API"),
    ],
)
def test_a_cell_that_does_not_run_clean_is_named(tiny: Tiny, code: str, message: str) -> None:
    tiny.rewrite('print("ready")', code)
    notebook = read_lesson(tiny.month.lesson_path)
    with pytest.raises(CourseError, match=message) as caught:
        limit = 2 if "longer" in message else 60
        execute(notebook, name="month-99", cell_timeout_s=limit, progress=False)
    assert f"cell {notebook.cells[1].id}" in str(caught.value)


def test_addresses_and_machine_paths_are_taken_out() -> None:
    text = "<Thing at 0x7f3a12bc9d10> in /tmp/run-1/x.csv, /tmp/ipykernel_12/345.py:3\n"
    (output,) = normalise([new_output("stream", name="stdout", text=text)], "/tmp/run-1")
    assert output.text == "<Thing at 0x…> in ./x.csv, <cell>:3\n"


def test_neighbouring_streams_are_joined() -> None:
    parts = [new_output("stream", name="stdout", text=text) for text in ("a", "b")]
    assert [output.text for output in normalise(parts)] == ["ab"]


def test_charts_get_small_and_keep_their_size() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    gradient = Image.linear_gradient("L").resize((400, 200)).convert("RGBA")
    gradient.save(buffer, format="PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    (output,) = normalise([new_output("display_data", data={"image/png": encoded})])
    small = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    assert small.size == (400, 200)
    assert len(output.data["image/png"]) <= len(encoded)


def test_a_chart_is_kept_and_no_time_is(built: Tiny) -> None:
    notebook = nbformat.read(built.source, as_version=4)
    charts = [
        o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert len(charts) == 1
    assert all("execution" not in cell.metadata for cell in notebook.cells)

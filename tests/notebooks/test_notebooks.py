"""Every notebook runs, the solutions pass their visible checks, the releases pass none."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from course.grading.slicing import imported, names_of, needed_cells
from course.lessons import months

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("month", months(), ids=lambda month: month.name)


def _graded(path, folder):
    """Copy a notebook without the cells that no answer and no check needs, such as charts.

    The whole notebook goes through nbval here, and through Validate in the browser's tests.
    """
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    modules = frozenset().union(*(imported(cell.source) for cell in code))
    names = {cell.id: names_of(cell.source, modules) for cell in code}
    graded = {cell.id for cell in code if "nbgrader" in cell.metadata}
    wanted = set().union(*(names[cell].used for cell in graded))
    kept = graded | needed_cells(names, wanted, names.keys() - graded)
    assert len(kept) < len(code)
    notebook.cells = [c for c in notebook.cells if c.cell_type != "code" or c.id in kept]
    copy = folder / path.name
    nbformat.write(notebook, copy)
    return str(copy)


def _run(*command, timeout=600):
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "MPLBACKEND": "agg"}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


@EVERY
def test_the_source_notebook_runs_and_keeps_its_stable_outputs(month):
    done = _run(
        "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "--nbval-lax", "--nbval-cell-timeout=120",
        "--nbval-kernel-startup-timeout=60", "-q", "-o", "addopts=", f"source/{month.notebook_file}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    # After a time-out nbval marks the cells that follow as expected failures.
    assert not re.search(r"\d+ xfailed", done.stdout), done.stdout[-4000:]


@EVERY
def test_the_solutions_pass_every_visible_check(month, tmp_path):
    done = _run("nbgrader", "validate", _graded(ROOT / "source" / month.notebook_file, tmp_path))
    assert "Success" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]


@EVERY
def test_the_release_passes_no_visible_check(month, tmp_path):
    release = _graded(ROOT / "release" / month.notebook_file, tmp_path)
    done = _run("nbgrader", "validate", "--invert", release)
    assert "does not pass any tests" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]


def test_source_and_release_are_what_the_lessons_say():
    done = _run("course.cli", "build", "--check")
    assert done.returncode == 0, done.stdout + done.stderr

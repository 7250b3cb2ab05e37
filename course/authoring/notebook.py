"""A lesson's text as a notebook: cells with stable ids and nbgrader's metadata."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from course.errors import CourseError

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}


def read_lesson(path: Path) -> NotebookNode:
    """Read a lesson in jupytext's py:percent format.

    Parameters
    ----------
    path : Path
        The lesson's text. Cells are told apart by lines such as ``# %%`` and
        ``# %% [markdown]``; nbgrader's metadata stands in the cell header. Metadata ``course``
        of the notebook may stand at the top (see `course.grading.slicing.withheld`).

    Returns
    -------
    NotebookNode
        nbformat 4.5, kernel python3, no outputs. The id of a cell is its grade_id if it has
        one, else a hash of its type and source; twins get ``-2``, ``-3`` and so on. So an id
        changes only when its own cell does.

    Raises
    ------
    CourseError
        The file is missing, is no percent script, or two cells share a grade_id.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CourseError(f"no lesson at {path}: write it there, or correct the month") from None
    try:
        notebook = jupytext.reads(text, fmt="py:percent")
    except Exception as error:
        raise CourseError(f"{path} is no percent script that jupytext can read: {error}") from error
    own = {"course": notebook.metadata["course"]} if "course" in notebook.metadata else {}
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": LANGUAGE, **own}
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)
        cell.id = _unique(_cell_id(cell), seen, path)
    return notebook


def grade_metadata(cell: NotebookNode) -> dict:
    """Return nbgrader's metadata of a cell; empty if it has none."""
    return cell.metadata.get("nbgrader") or {}


def is_solution(cell: NotebookNode) -> bool:
    """Whether a student writes this cell."""
    return bool(grade_metadata(cell).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether this cell carries the points of an exercise."""
    meta = grade_metadata(cell)
    return bool(meta.get("grade")) and not meta.get("solution")


def is_task(cell: NotebookNode) -> bool:
    """Whether a person grades what the student writes below this cell."""
    return bool(grade_metadata(cell).get("task"))


def same_cells(left: NotebookNode, right: NotebookNode) -> list[str]:
    """Say how two notebooks' cells differ; outputs and execution counts do not count.

    Returns
    -------
    list of str
        One line a difference; empty if there is none.
    """
    left_cells = {cell.id: _content(cell) for cell in left.cells}
    right_cells = {cell.id: _content(cell) for cell in right.cells}
    differences = [
        *(f"cell {key} is missing" for key in left_cells if key not in right_cells),
        *(f"cell {key} is extra" for key in right_cells if key not in left_cells),
        *(
            f"cell {key} differs"
            for key in left_cells
            if key in right_cells and left_cells[key] != right_cells[key]
        ),
    ]
    if not differences and list(left_cells) != list(right_cells):
        differences.append("the cells stand in another order")
    return differences


def dump(notebook: NotebookNode) -> str:
    """Write a notebook as text, the same bytes for the same notebook."""
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def load(path: Path) -> NotebookNode:
    """Read a notebook file; a missing or broken one is a `CourseError`."""
    try:
        return nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise CourseError(f"{path} is missing: run `course build`") from None
    except Exception as error:
        raise CourseError(f"{path} is no notebook ({error}): run `course build`") from error


def _content(cell: NotebookNode) -> tuple:
    return cell.cell_type, cell.source, nbformat.from_dict(cell.metadata)


def _cell_id(cell: NotebookNode) -> str:
    grade_id = grade_metadata(cell).get("grade_id")
    if grade_id:
        return re.sub(r"[^A-Za-z0-9_-]", "-", grade_id)[:60]
    return hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]


def _unique(cell_id: str, seen: dict[str, int], path: Path) -> str:
    seen[cell_id] = seen.get(cell_id, 0) + 1
    if seen[cell_id] == 1:
        return cell_id
    if not re.fullmatch(r"[0-9a-f]{12}", cell_id):
        raise CourseError(f"{path}: two cells have the grade_id {cell_id!r}; give one another")
    return f"{cell_id}-{seen[cell_id]}"

"""Any submitted file becomes a valid notebook with the lesson's cells in their place.

A submission is read as bytes and rebuilt part by part: the lesson's locked cells come from the
source, the student's own code is kept where it stands, and everything else (metadata, ids,
outputs, attachments) is made anew. So nothing a notebook carries can stop a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, from_dict

from course.grading.limits import MAX_NOTEBOOK_BYTES, MB
from course.grading.safety import as_plain_text
from course.grading.sandbox import read_regular

MAX_CELLS = 2000
_SCHEME = re.compile(r"(?m)^.*BEGIN MARK SCHEME(?s:.*?)END MARK SCHEME.*$")
_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass
class Submission:
    """A submitted notebook as it could be read.

    Parameters
    ----------
    cells : list of (str, str, str)
        Type, source and claimed grade_id ("" for none) of every cell.
    notes : list of str
        What was wrong with it, for the student.
    """

    cells: list[tuple[str, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_submission(path: Path) -> Submission:
    """Read a submitted notebook; never raises, whatever the file is."""
    try:
        data = read_regular(path, MAX_NOTEBOOK_BYTES)
    except OSError as error:
        if path.is_symlink():
            reason = "it is a link, not a notebook"
        elif not path.exists():
            reason = "it is missing"
        elif path.is_file() and path.stat().st_size > MAX_NOTEBOOK_BYTES:
            reason = f"it is larger than {MAX_NOTEBOOK_BYTES // MB} MB; clear its outputs"
        else:
            reason = f"it cannot be read ({error.strerror or 'not a regular file'})"
        return Submission(notes=[f"the notebook was not graded: {reason}"])
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError, MemoryError) as error:
        return Submission(
            notes=[f"the notebook was not graded: it is not valid JSON ({_short(error)})"]
        )
    cells = tree.get("cells") if isinstance(tree, dict) else None
    if not isinstance(cells, list):
        return Submission(
            notes=["the notebook was not graded: it is not a notebook (it has no cells)"]
        )
    return gather(cells)


def gather(cells: list) -> Submission:
    """Take type, text and claimed grade_id of every cell."""
    submission = Submission()
    for cell in cells[:MAX_CELLS]:
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        if kind not in ("code", "markdown", "raw"):
            submission.notes.append("a cell that is neither code nor text was left out")
            continue
        metadata = cell.get("metadata")
        grader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        grade_id = grader.get("grade_id") if isinstance(grader, dict) else None
        submission.cells.append(
            (kind, _text(cell.get("source")), grade_id if isinstance(grade_id, str) else "")
        )
    if len(cells) > MAX_CELLS:
        submission.notes.append(f"only the first {MAX_CELLS} of {len(cells)} cells were read")
    return submission


def restore(submission: Submission, source: NotebookNode) -> NotebookNode:
    """Rebuild a notebook from a submission and the lesson's own notebook.

    Parameters
    ----------
    submission : Submission
        What was handed in.
    source : NotebookNode
        The lesson (source or release); its graded and locked cells are the ones that count.

    Returns
    -------
    NotebookNode
        nbformat 4.5. A solution cell holds the student's text, a missing one a stub. Of cells
        that claim the same grade_id the last counts, as in nbgrader; the others stay as
        ordinary code. Missing locked cells are put back after the cell they follow.
    """
    lesson = {_grade_id(cell): cell for cell in source.cells if _grade_id(cell)}
    last = {
        grade_id: i for i, (_, _, grade_id) in enumerate(submission.cells) if grade_id in lesson
    }
    trusted = {cell.source for cell in source.cells if cell.cell_type == "markdown"}
    cells: list[NotebookNode] = []
    for i, (kind, text, grade_id) in enumerate(submission.cells):
        if last.get(grade_id) == i:
            cells.append(_lesson_cell(lesson[grade_id], text))
        elif kind == "code":
            cells.append(nbformat.v4.new_code_cell(text))
        elif text in trusted:
            cells.append(nbformat.v4.new_markdown_cell(text))
        elif text.strip():
            cells.append(nbformat.v4.new_markdown_cell(as_plain_text(text)))
        if grade_id in lesson and last[grade_id] != i:
            submission.notes.append(
                f"the cell `{grade_id}` stands there more than once; the last counts"
            )
    missing = _put_back(cells, source)
    if missing and submission.cells:
        shown = ", ".join(f"`{name}`" for name in missing[:5]) + (" ..." if missing[5:] else "")
        submission.notes.append(f"cells of the lesson were missing and were put back: {shown}")
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
    return from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": from_dict(_METADATA), "cells": cells}
    )


def _put_back(cells: list[NotebookNode], source: NotebookNode) -> list[str]:
    """Insert the lesson's cells that are missing, each after the lesson cell before it."""
    present = {_grade_id(cell) for cell in cells}
    missing, previous = [], ""
    for original in source.cells:
        grade_id = _grade_id(original)
        if not grade_id:
            continue
        if grade_id not in present:
            missing.append(grade_id)
            after = (i + 1 for i, cell in enumerate(cells) if _grade_id(cell) == previous)
            solution = bool(original.metadata.nbgrader.get("solution"))
            stub = "# This cell was missing from the submission.\n" if solution else None
            cells.insert(next(after, 0) if previous else 0, _lesson_cell(original, stub))
        previous = grade_id
    return missing


def _lesson_cell(original: NotebookNode, text: str | None) -> NotebookNode:
    make = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }[original.cell_type]
    solution = bool(original.metadata.nbgrader.get("solution"))
    cell = make(text if solution and text is not None else original.source)
    if solution and original.cell_type == "markdown":
        cell.source = as_plain_text(cell.source)
    cell.metadata = from_dict({"nbgrader": dict(original.metadata.nbgrader)})
    if "tags" in original.metadata:
        cell.metadata["tags"] = list(original.metadata.tags)
    return cell


def task_cells(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Task id and cell of every task that a person grades."""
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        if meta.get("task"):
            yield str(meta.get("grade_id", "")), cell


def hide_schemes(notebook: NotebookNode) -> None:
    """Take the mark schemes out of the task cells: they are for the person who grades."""
    for _, cell in task_cells(notebook):
        cell.source = _SCHEME.sub("", cell.source).rstrip()


def check_cells(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Exercise id and cell of every check cell."""
    for cell in notebook.cells:
        meta = cell.metadata.get("nbgrader", {})
        if meta.get("grade") and not meta.get("solution"):
            yield str(meta.get("grade_id", "")).removeprefix("check-"), cell


def _grade_id(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _text(source: Any) -> str:
    parts = source if isinstance(source, list) else [source]
    text = "".join(part for part in parts if isinstance(part, str))
    return text.encode("utf-8", "replace").decode()


def _short(error: BaseException) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)[:100]

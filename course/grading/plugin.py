"""Grading inside nbgrader: an exporter that reads anything, and three preprocessors.

`configure` puts them into nbgrader's own lists, so that ``nbgrader autograde``, the formgrader's
button and ``course grade`` run the same code. Nothing of nbgrader is changed.
"""

from __future__ import annotations

import importlib
import logging
import os
import stat
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    GetGrades,
    LimitOutput,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)
from sqlalchemy.engine import make_url
from traitlets import Bool, Dict, List, Unicode
from traitlets.config import Config

from course.grading.core import grade_cells, write_marks
from course.grading.limits import Limits
from course.grading.marks import GradedNotebook, nothing
from course.grading.restore import (
    Submission,
    gather,
    hide_schemes,
    read_submission,
    restore,
    task_cells,
)
from course.grading.safety import make_safe
from course.grading.sandbox import SandboxError
from course.grading.secret import SecretError, course_secret
from course.lessons import Month

log = logging.getLogger("course.grading")
_KEY = "course"


class SubmissionExporter(NotebookExporter):
    """Reads a submitted file whatever it is; the first preprocessor makes a notebook of it."""

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kw: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Read without following a link and without trusting a byte."""
        if not getattr(self.parent, "_sanitizing", False):
            return super().from_filename(filename, resources=resources, **kw)
        submission = read_submission(Path(filename))
        resources = {**(resources or {}), "metadata": {"name": Path(filename).stem}}
        resources[_KEY] = {"cells": submission.cells, "notes": submission.notes}
        return self.from_notebook_node(nbformat.v4.new_notebook(), resources=resources, **kw)


class _CoursePreprocessor(NbGraderPreprocessor):
    """Knows the course's folders and months."""

    months = Unicode(
        "course.lessons:month",
        help="`module:function` that finds a Month by the name of its assignment.",
    ).tag(config=True)

    def month(self, resources: Any) -> Month:
        """The month of the notebook at hand."""
        module, function = self.months.split(":")
        find = getattr(importlib.import_module(module), function)
        return find(resources["nbgrader"]["assignment"])

    @property
    def coursedir(self) -> CourseDirectory:
        """The course folder of the converter that runs this preprocessor."""
        return self.parent.parent.coursedir

    def source(self, resources: Any) -> NotebookNode:
        """The lesson's own notebook."""
        names = resources["nbgrader"]
        tried = []
        for step in (self.coursedir.source_directory, self.coursedir.release_directory):
            folder = self.coursedir.format_path(step, ".", names["assignment"])
            path = Path(folder) / f"{names['notebook']}.ipynb"
            if path.is_file():
                return nbformat.read(path, as_version=4)
            tried.append(str(path))
        where = " or ".join(tried)
        raise FileNotFoundError(f"no notebook of the lesson at {where}: run `course build`")

    def submitted(self, resources: Any) -> Path:
        """The folder that was handed in."""
        names = resources["nbgrader"]
        step = self.coursedir.submitted_directory
        return Path(self.coursedir.format_path(step, names["student"], names["assignment"]))


class RestoreNotebook(_CoursePreprocessor):
    """Rebuilds the submission with the lesson's cells and marks every check cell with 0.

    The zero stands until the checks have been run, so a run that stops in between, or a list
    of preprocessors without `GradeNotebook`, gives no points.
    """

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Replace the notebook by its restored form."""
        given = resources.get(_KEY)
        submission = Submission(**given) if given else gather(list(nb.cells))
        folder = self.submitted(resources)
        if folder.is_symlink() or folder.parent.is_symlink():
            submission = Submission(notes=["the notebook was not graded: its folder is a link"])
        _remove_copied_links(folder, self._graded_folder(resources))
        restored = restore(submission, self.source(resources))
        month = self.month(resources)
        waiting = [nothing(exercise, "the checks were not run") for exercise in month.exercises]
        write_marks(restored, GradedNotebook(waiting))
        restored.metadata[_KEY] = {
            "notes": submission.notes, "refused": not submission.cells,
        }  # fmt: skip
        resources.pop(_KEY, None)
        return restored, resources

    def _graded_folder(self, resources: Any) -> Path:
        names = resources["nbgrader"]
        step = self.coursedir.autograded_directory
        return Path(self.coursedir.format_path(step, names["student"], names["assignment"]))


class GradeNotebook(_CoursePreprocessor):
    """Runs the notebook in the sandbox, the hidden checks outside it, and writes the marks."""

    unsafe = Bool(False, help="Run submissions without a sandbox, with all your rights.").tag(
        config=True
    )
    limits = Dict({}, help="Overrides of course.grading.limits.Limits, by name.").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Grade; a fault of the machinery is a zero with a reason, but no sandbox is a refusal."""
        about = nb.metadata.pop(_KEY, {"notes": ["the notebook was not restored"], "refused": True})
        month = self.month(resources)
        try:
            graded = grade_cells(
                nb, month, course_secret(secret_folder(self.coursedir)),
                source=self.source(resources), files=self.submitted(resources), limits=Limits(**self.limits), unsafe=self.unsafe,
                refusal="; ".join(about["notes"]) if about["refused"] else "",
            )  # fmt: skip
        except (SandboxError, SecretError):
            raise
        except Exception as error:
            log.error("grading %s failed", resources["nbgrader"], exc_info=True)
            reason = f"the grader failed ({type(error).__name__}); tell your instructor"
            graded = GradedNotebook([nothing(exercise, reason) for exercise in month.exercises])
        graded.notes[:0] = [] if about["refused"] else about["notes"]
        write_marks(nb, graded)
        source = self.source(resources)
        # Whoever grades by hand sees the mark scheme, which the release does not have.
        schemes = {name: cell.source for name, cell in task_cells(source)}
        for name, cell in task_cells(nb):
            cell.source = schemes.get(name, cell.source)
        return make_safe(nb, _markdown(source)), resources


class SafeFeedback(_CoursePreprocessor):
    """Makes an autograded notebook safe once more before it becomes a page."""

    # nbconvert's HTML exporter sets this for every preprocessor.
    display_data_priority = List(["image/png", "image/jpeg", "text/plain"]).tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """Drop everything active, and the mark schemes."""
        make_safe(nb, _markdown(self.source(resources)))
        hide_schemes(nb)
        return nb, resources


def configure(c: Config, *, months: str | None = None) -> None:
    """Set everything that nbgrader needs for the course.

    Parameters
    ----------
    c : Config
        What ``get_config()`` gives in ``nbgrader_config.py``.
    months : str, optional
        `module:function` that finds a `Month`; default ``course.lessons:month``.
    """
    # nbgrader starts `alembic` by name when it makes a gradebook.
    own = str(Path(sys.executable).parent)
    if own not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    c.CourseDirectory.course_id = "aiops"
    c.ClearSolutions.code_stub = {"python": "raise NotImplementedError('write this function')"}
    c.Autograde.exporter_class = SubmissionExporter
    c.Autograde.pre_convert_hook = drop_links_hook
    c.Autograde.sanitize_preprocessors = [
        ClearOutput, RestoreNotebook, DeduplicateIds, OverwriteKernelspec, OverwriteCells,
        CheckCellMetadata,
    ]  # fmt: skip
    c.Autograde.autograde_preprocessors = [
        GradeNotebook, LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata,
    ]  # fmt: skip
    c.GenerateFeedback.preprocessors = [GetGrades, SafeFeedback, CSSHTMLHeaderPreprocessor]
    if months:
        for name in ("RestoreNotebook", "GradeNotebook", "SafeFeedback"):
            c[name].months = months


def drop_links_hook(**names: Any) -> None:
    """Before nbgrader copies a submission's files: take out links and other special files.

    A courtesy, so that a dangling link does not stop nbgrader; what protects the grader is
    `RestoreNotebook` and the sandbox, which never follow one.
    """
    for folder in {Path(notebook).parent for notebook in names.get("notebooks", ())}:
        drop_links(folder)


def drop_links(folder: Path) -> None:
    """Delete links and special files below a submission, but for notebooks (they get a reason)."""
    if folder.is_symlink():
        return
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and path.suffix != ".ipynb":
            log.warning("%s is a link or a special file and was deleted", path)
            path.unlink()


def secret_folder(coursedir: CourseDirectory) -> Path:
    """The folder of the gradebook: beside an SQLite file, else the root of the course."""
    url = make_url(coursedir.db_url)
    if url.get_backend_name() == "sqlite" and url.database:
        return Path(url.database).resolve().parent
    return Path(coursedir.root).resolve()


def _remove_copied_links(submitted: Path, copied: Path) -> None:
    """Delete what nbgrader has copied through links of a submission."""
    if submitted.is_symlink():
        for path in copied.rglob("*"):
            if path.is_file() and path.suffix != ".ipynb":
                path.unlink()
        return
    for path in submitted.rglob("*"):
        twin = copied / path.relative_to(submitted)
        if path.is_symlink() and twin.is_file():
            twin.unlink()


def _markdown(source: NotebookNode) -> set[str]:
    return {cell.source for cell in source.cells if cell.cell_type == "markdown"}

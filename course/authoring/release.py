"""The release: nbgrader takes solutions, outputs and hidden parts out of a source notebook."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from course.errors import CourseError

STUB = 'raise NotImplementedError("write your answer here, then delete this line")'

#: What `nbgrader_config.py` and a build share, so that `nbgrader generate_assignment` and the
#: formgrader make the same release as `course build`.
OPTIONS: dict[str, dict[str, Any]] = {
    "ClearSolutions": {"code_stub": {"python": STUB}},
}


def make_release(source: Path, assignment: str) -> dict[str, bytes]:
    """Make the release of one assignment, without touching a gradebook.

    Parameters
    ----------
    source : Path
        Folder of source notebooks of one assignment.
    assignment : str
        Name of the assignment.

    Returns
    -------
    dict of str to bytes
        Path below the assignment's release folder to content; the same source gives the same
        bytes.

    Raises
    ------
    CourseError
        nbgrader refused the notebook; the message has its reason.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="course-release-") as folder:
        root = Path(folder)
        shutil.copytree(source, root / "source" / assignment)
        config = Config(OPTIONS)
        config.CourseDirectory.root = str(root)
        config.CourseDirectory.assignment_id = assignment
        config.GenerateAssignment.no_database = True
        steps = GenerateAssignment.preprocessors.default_args[0]
        config.GenerateAssignment.preprocessors = [step for step in steps if step is not SaveCells]
        messages = _Messages()
        converter = GenerateAssignment(
            coursedir=CourseDirectory(config=config), config=config, parent=None
        )
        converter.log = messages.logger
        try:
            converter.start()
        except (Exception, SystemExit) as error:
            reason = "\n".join(messages.lines) or str(error)
            raise CourseError(f"nbgrader makes no release of {assignment}:\n{reason}") from error
        made = root / "release" / assignment
        return {
            path.relative_to(made).as_posix(): path.read_bytes()
            for path in sorted(made.rglob("*"))
            if path.is_file()
        }


class _Messages(logging.Handler):
    """Keeps what nbgrader logs as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []
        self.logger = logging.Logger("course.release", logging.INFO)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's text."""
        self.lines.append(record.getMessage())

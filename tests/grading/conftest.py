"""What the tests of grading share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fixture_course import QUICK

from course.grading.limits import Limits
from course.grading.sandbox import sandbox_available
from course.grading.session import NotebookSession
from tests.conftest import require


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Skip where there is no sandbox."""
    usable, reason = sandbox_available()
    require(usable, reason)


@pytest.fixture(autouse=True, scope="session")
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hidden inputs of these tests go to a folder of their own."""
    from course.grading import hidden

    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    hidden.cache_folder.cache_clear()
    yield
    patch.undo()
    hidden.cache_folder.cache_clear()


@pytest.fixture
def run_cells(sandbox: None) -> Iterator[Callable[..., NotebookSession]]:
    """Run code cells in a sandboxed kernel; the session ends with the test."""
    import nbformat

    sessions: list[NotebookSession] = []

    def run(*cells: str, limits: Limits = QUICK, files: Path | None = None) -> NotebookSession:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        session = NotebookSession(notebook, limits, files=files)
        sessions.append(session)
        session.run()
        return session

    yield run
    for session in sessions:
        session.close()

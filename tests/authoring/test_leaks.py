"""The leak scan finds each kind of leak in a release and in an archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from course.authoring.leaks import scan_archive, scan_release, secrets_of
from course.lessons import check_files, wrong_answer_files

if TYPE_CHECKING:
    from conftest import Tiny

Change = Callable[[Any], None]


def _cell(notebook: Any, cell_id: str) -> Any:
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def _set(cell_id: str, **values: object) -> Change:
    return lambda notebook: _cell(notebook, cell_id).update(values)


def _grade(cell_id: str, **values: object) -> Change:
    return lambda notebook: _cell(notebook, cell_id).metadata.nbgrader.update(values)


def _scan(tiny: Tiny, change: Change) -> list[str]:
    notebook = nbformat.read(tiny.release, as_version=4)
    change(notebook)
    return scan_release({"tiny.ipynb": nbformat.writes(notebook).encode()}, tiny.month)


def test_a_clean_release_has_no_problem(built: Tiny) -> None:
    assert _scan(built, lambda notebook: None) == []


STUB = "def double(value):\n    raise NotImplementedError()\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("double", source=STUB + "#  twice_the_value=value + value"), "solution of double"),
        (_set("double", source="def double(value):\n    return None"), "does not raise"),
        (_set("double", source="answer = None"), "does not raise"),
        (_set("double", source="def double(:"), "is no Python"),
        (_set("check-double", source="### BEGIN HIDDEN TESTS"), "the marker"),
        (_set("check-double", source="### BEGIN HIDDEN TEST"), "the marker"),
        (_set("check-double", source="# end of it\n# END SOLUTION"), "the marker"),
        (_set("check-double", source="#BEGIN MARK SCHEME"), "the marker"),
        (_set("check-double", execution_count=3), "an execution count"),
        (
            _set("check-double", outputs=[nbformat.v4.new_output("stream", text="4")]),
            "a stored output",
        ),
        (_set("check-double", source="open('/home/ada/x')"), "a path of this machine"),
        (
            _set(
                "check-double",
                source='SECRET_EXPECTATION_OF_THE_TINY_MONTH={"double": [(3.5, 7.0), (-1.0, -2.0)]}',
            ),
            "a line of checks.py",
        ),
        (_grade("check-double", locked=False), "is not locked"),
        (_grade("check-double", points=90), "90 points, the curriculum 100"),
        (_grade("check-double", points=90), "sum to 90"),
        (_grade("check-double", grade_id="check-treble"), "check-treble is in no curriculum"),
        (_grade("double", grade_id="treble"), "exercise double has no solution cell"),
        (lambda notebook: notebook.metadata.update(jupytext={}), "paired with a text twin"),
    ],
)
def test_each_leak_is_found(built: Tiny, change: Change, message: str) -> None:
    assert any(message in problem for problem in _scan(built, change))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("checks.py", "x = 1", "only instructors have"),
        ("tiny.py", "# %%\nprint(1)", "text twin"),
        ("notes.txt", "hello", "does not belong"),
    ],
)
def test_other_files_are_refused(built: Tiny, name: str, content: str, message: str) -> None:
    files = {"tiny.ipynb": built.release.read_bytes(), name: content.encode()}
    assert any(message in problem for problem in scan_release(files, built.month))


def test_a_missing_notebook_is_found(built: Tiny) -> None:
    assert "tiny.ipynb is missing" in scan_release({}, built.month)


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("course/lessons/__init__.py", "", "only instructors have"),
        ("course/shop/checks.py", "", "only instructors have"),
        ("course/shop/x.py", "if True:\n  twice_the_value = value + value", "solution of double"),
        ("course/shop/x.py", "### BEGIN SOLUTION", "the marker"),
        ("course/shop/x.py", "ROOT = '/root/course'", "a path of this machine"),
    ],
)
def test_archives_are_scanned_to_the_bottom(
    built: Tiny, member: str, content: str, message: str
) -> None:
    wheel = _zip({member: content.encode(), "course/data/set.parquet": b"\xff\xfe"})
    archive = _zip({"a.whl": wheel, "release/tiny.ipynb": built.release.read_bytes()})
    (problem, *_) = scan_archive(archive, [built.month])
    assert f"archive!a.whl!{member}" in problem
    assert message in problem


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return buffer.getvalue()


def test_checks_and_wrong_answers_may_be_packages(tiny: Tiny) -> None:
    folder = tiny.month.path
    for package in ("checks", "wrong_answers"):
        (folder / package).mkdir()
        (folder / package / "part.py").write_text(
            f"{package.upper()}_KEPT_APART = [1.25, 2.25, 3.25, 4.25, 5.25]\n", encoding="utf-8"
        )
    kept = secrets_of(tiny.month).lines
    assert {"checks/part.py", "wrong_answers/part.py"} <= set(kept.values())
    assert {path.name for path in check_files(folder)} == {"checks.py", "part.py"}
    assert [path.name for path in wrong_answer_files(folder)] == ["part.py"]

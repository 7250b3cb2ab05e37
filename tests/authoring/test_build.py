"""Only what changed is run again, and drift is named with what to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

from course.authoring import build as build_module
from course.authoring.build import build, build_syllabus, check, check_syllabus
from course.errors import CourseError

if TYPE_CHECKING:
    from conftest import Tiny


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any attempt to run a notebook fail."""

    def refuse(*args: object, **options: object) -> float:
        raise AssertionError("a notebook was run")

    monkeypatch.setattr(build_module, "execute", refuse)


@pytest.mark.usefixtures("no_kernel")
def test_nothing_changed_nothing_is_run(built: Tiny) -> None:
    before = built.source.read_bytes(), built.release.read_bytes()
    done = build(built.month, built.layout, progress=False)
    assert done.seconds is None
    assert (built.source.read_bytes(), built.release.read_bytes()) == before
    assert check(built.month, built.layout) == []


def test_force_runs_it_again_to_the_same_bytes(built: Tiny) -> None:
    before = built.source.read_bytes(), built.release.read_bytes()
    assert build(built.month, built.layout, force=True, progress=False).seconds is not None
    assert (built.source.read_bytes(), built.release.read_bytes()) == before


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("lessons/lesson.py", "the lesson's text has changed"),
        ("course/__init__.py", "the package code has changed"),
        ("data/set.csv", "the data has changed"),
        ("source/month-99-tiny/tiny.ipynb", "was changed by hand"),
        ("release/month-99-tiny/tiny.ipynb", "is not the release of its source"),
    ],
)
def test_drift_is_named(built: Tiny, path: str, message: str) -> None:
    file = built.layout.root / path
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    (problem,) = check(built.month, built.layout)
    assert message in problem
    assert "run `course build 99`" in problem


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    "path", ["course/grading/api.py", "course/cli.py", "course/unused.py", "data/card.md"]
)
def test_what_the_lesson_does_not_read_is_no_drift(built: Tiny, path: str) -> None:
    file = built.layout.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("changed")
    assert check(built.month, built.layout) == []


def test_a_changed_cell_is_named(built: Tiny) -> None:
    built.rewrite("twice_the_value = value + value", "twice_the_value = 2 * value + 0")
    assert any("cell double differs" in problem for problem in check(built.month, built.layout))


def test_an_extra_file_in_the_release_is_drift_and_is_removed(built: Tiny) -> None:
    extra = built.release.with_name("notes.json")
    extra.write_text("{}")
    assert any("is extra" in problem for problem in check(built.month, built.layout))
    build(built.month, built.layout, progress=False)
    assert not extra.exists()


def test_a_failing_lesson_leaves_all_files_as_they_were(built: Tiny) -> None:
    before = built.source.read_bytes(), built.release.read_bytes()
    built.rewrite('print("ready")', "1 / 0")
    with pytest.raises(CourseError, match="ZeroDivisionError"):
        build(built.month, built.layout, progress=False)
    assert (built.source.read_bytes(), built.release.read_bytes()) == before


def test_a_leaking_lesson_writes_nothing(tiny: Tiny) -> None:
    tiny.rewrite("### END SOLUTION", "### END SOLUTION\n    # twice_the_value = value + value")
    tiny.rewrite("# # A tiny month", "# # A tiny month\n#\n# twice_the_value = value + value")
    with pytest.raises(CourseError, match="has a line of the solution of double"):
        build(tiny.month, tiny.layout, progress=False)
    assert not tiny.source.exists()
    assert not tiny.release.exists()


def test_an_unclosed_solution_is_refused_with_nbgraders_reason(tiny: Tiny) -> None:
    tiny.rewrite("    ### END SOLUTION\n", "")
    with pytest.raises(CourseError, match="no end solution"):
        build(tiny.month, tiny.layout, progress=False)


def test_the_release_is_a_notebook_with_locked_checks(built: Tiny) -> None:
    cells = {cell.id: cell for cell in nbformat.read(built.release, as_version=4).cells}
    assert "raise NotImplementedError" in cells["double"].source
    assert cells["check-double"].metadata.editable is False


def test_the_syllabus_follows_the_curriculum(built: Tiny) -> None:
    assert check_syllabus([built.month], built.layout)
    build_syllabus([built.month], built.layout)
    assert check_syllabus([built.month], built.layout) == []

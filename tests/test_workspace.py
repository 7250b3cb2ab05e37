"""A student's workspace: nothing of theirs is ever lost, and the checks say what is the matter."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course import _files
from course.errors import CourseError
from course.workspace import files, lab
from course.workspace.check import (
    Result,
    load_results,
    results_file,
    run_checks,
    save_results,
)
from course.workspace.files import prepare
from course.workspace.progress import progress
from course.workspace.syllabus import Exercise, Month, default_workspace, month, months

NOTEBOOK = "month-01/start.ipynb"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A release of two files."""
    folder = tmp_path / "release"
    _write(folder / NOTEBOOK, "first version")
    _write(folder / "month-01/data.csv", "1,2")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Where a student works; not there yet."""
    return tmp_path / "workspace"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _actions(workspace: Path, release: Path) -> dict[str, str]:
    return {outcome.name: outcome.action for outcome in prepare(workspace, release)}


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".course" not in path.parts
    }


class TestAStudentsWorkIsNeverOverwritten:
    def test_a_new_workspace_gets_a_copy_of_the_release(
        self, workspace: Path, release: Path
    ) -> None:
        assert set(_actions(workspace, release).values()) == {"new"}
        assert _tree(workspace) == _tree(release)

    def test_a_second_run_writes_nothing(self, workspace: Path, release: Path) -> None:
        prepare(workspace, release)
        before = (workspace / NOTEBOOK).stat()
        assert set(_actions(workspace, release).values()) == {"same"}
        after = (workspace / NOTEBOOK).stat()
        assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)

    def test_a_changed_file_stays_when_the_release_is_the_same(
        self, workspace: Path, release: Path
    ) -> None:
        prepare(workspace, release)
        mine = _write(workspace / NOTEBOOK, "my work")
        assert _actions(workspace, release)[NOTEBOOK] == "kept"
        assert mine.read_text() == "my work"

    def test_a_changed_file_stays_when_the_release_is_newer_and_the_new_one_stands_beside(
        self, workspace: Path, release: Path
    ) -> None:
        prepare(workspace, release)
        mine = _write(workspace / NOTEBOOK, "my work")
        _write(release / NOTEBOOK, "second version")
        outcome = next(o for o in prepare(workspace, release) if o.name == NOTEBOOK)
        assert outcome.action == "beside"
        assert outcome.other is not None
        assert outcome.other.suffix == ".ipynb"
        assert outcome.other.read_text() == "second version"
        assert mine.read_text() == "my work"
        assert str(outcome.other) in str(outcome)

    def test_work_in_the_file_beside_is_not_overwritten_either(
        self, workspace: Path, release: Path
    ) -> None:
        prepare(workspace, release)
        _write(workspace / NOTEBOOK, "my work")
        _write(release / NOTEBOOK, "second version")
        (beside,) = (o.other for o in prepare(workspace, release) if o.other)
        beside.write_text("my work goes on here")
        (workspace / ".course" / "manifest.json").unlink()
        prepare(workspace, release)
        assert beside.read_text() == "my work goes on here"

    def test_an_untouched_file_is_updated_and_the_old_one_kept_as_a_backup(
        self, workspace: Path, release: Path
    ) -> None:
        prepare(workspace, release)
        _write(release / NOTEBOOK, "second version")
        outcome = next(o for o in prepare(workspace, release) if o.name == NOTEBOOK)
        assert outcome.action == "updated"
        assert (workspace / NOTEBOOK).read_text() == "second version"
        assert outcome.other is not None
        assert outcome.other.read_text() == "first version"
        assert outcome.other.is_relative_to(workspace / ".course" / "backup")

    def test_a_deleted_file_comes_back(self, workspace: Path, release: Path) -> None:
        prepare(workspace, release)
        (workspace / NOTEBOOK).unlink()
        assert _actions(workspace, release)[NOTEBOOK] == "new"

    def test_files_of_the_student_are_left_alone(self, workspace: Path, release: Path) -> None:
        prepare(workspace, release)
        notes = _write(workspace / "month-01/notes.ipynb", "notes")
        (release / "month-01/data.csv").unlink()
        prepare(workspace, release)
        assert notes.read_text() == "notes"
        assert (workspace / "month-01/data.csv").read_text() == "1,2"

    def test_nothing_is_written_through_a_link_of_the_student(
        self, workspace: Path, release: Path, tmp_path: Path
    ) -> None:
        elsewhere = _write(tmp_path / "repository/start.ipynb", "first version")
        prepare(workspace, release)
        (workspace / NOTEBOOK).unlink()
        (workspace / NOTEBOOK).symlink_to(elsewhere)
        _write(release / NOTEBOOK, "second version")
        assert _actions(workspace, release)[NOTEBOOK] == "beside"
        assert elsewhere.read_text() == "first version"
        assert (workspace / NOTEBOOK).is_symlink()

    def test_hidden_files_and_links_of_a_release_are_not_copied(
        self, workspace: Path, release: Path
    ) -> None:
        _write(release / "month-01/.ipynb_checkpoints/start.ipynb", "x")
        (release / "link.ipynb").symlink_to(release / NOTEBOOK)
        assert set(_actions(workspace, release)) == {NOTEBOOK, "month-01/data.csv"}

    def test_a_lost_manifest_costs_no_work(self, workspace: Path, release: Path) -> None:
        prepare(workspace, release)
        (workspace / ".course" / "manifest.json").unlink()
        mine = _write(workspace / NOTEBOOK, "my work")
        assert _actions(workspace, release)[NOTEBOOK] == "beside"
        assert mine.read_text() == "my work"

    @pytest.mark.parametrize("content", [b"{", b"[]", b'{"files": 1}', b"\xff\xfe"])
    def test_a_broken_manifest_is_reported_and_nothing_changed(
        self, workspace: Path, release: Path, content: bytes
    ) -> None:
        prepare(workspace, release)
        (workspace / ".course" / "manifest.json").write_bytes(content)
        _write(release / NOTEBOOK, "second version")
        with pytest.raises(CourseError, match="Move that file away"):
            prepare(workspace, release)
        assert (workspace / NOTEBOOK).read_text() == "first version"

    def test_a_file_in_place_of_the_workspace_is_reported(
        self, workspace: Path, release: Path
    ) -> None:
        _write(workspace, "a file")
        with pytest.raises(CourseError, match="is a file"):
            prepare(workspace, release)


class TestAnInterruptedCopy:
    @pytest.mark.parametrize("writes", range(5))
    def test_is_completed_by_the_next_run(
        self, workspace: Path, release: Path, monkeypatch: pytest.MonkeyPatch, writes: int
    ) -> None:
        prepare(workspace, release)
        _write(release / NOTEBOOK, "second version")
        _write(release / "month-01/data.csv", "3,4")
        mine = _write(workspace / "month-01/data.csv", "mine")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(files, "write_atomic", _ends_after(writes))
            prepare(workspace, release)
            raise KeyboardInterrupt
        assert (workspace / NOTEBOOK).read_text() in {"first version", "second version"}
        prepare(workspace, release)
        assert (workspace / NOTEBOOK).read_text() == "second version"
        assert mine.read_text() == "mine"
        assert set(_actions(workspace, release).values()) == {"same", "kept"}

    def test_leaves_no_half_of_a_file(
        self, workspace: Path, release: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(workspace, release)
        _write(release / NOTEBOOK, "second version")

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
            patch.setattr(_files.os, "fsync", full)
            prepare(workspace, release)
        assert (workspace / NOTEBOOK).read_text() == "first version"
        assert list(workspace.rglob("*.part")) == []


def _ends_after(writes: int) -> Callable[[Path, str | bytes], None]:
    left = iter(range(writes))

    def write(path: Path, content: str | bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        _files.write_atomic(path, content)

    return write


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["edit", "release", "break", "delete", "copy"]), max_size=12))
def test_whatever_happens_a_students_text_is_there_until_the_student_changes_it(
    steps: list[str],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace, release = Path(folder, "workspace"), Path(folder, "release")
        mine, given_out = workspace / NOTEBOOK, _write(release / NOTEBOOK, "version 0")
        own = None
        for number, step in enumerate(["copy", *steps], start=1):
            if step == "edit":
                own = f"my text {number}"
                _write(mine, own)
            elif step == "delete":
                mine.unlink(missing_ok=True)
                own = None
            elif step == "release":
                _write(given_out, f"version {number}")
            else:
                with pytest.MonkeyPatch.context() as patch:
                    if step == "break":
                        patch.setattr(files, "write_atomic", _ends_after(number % 3))
                    try:
                        prepare(workspace, release)
                    except KeyboardInterrupt:
                        continue
            if own is not None:
                assert mine.read_text() == own
        prepare(workspace, release)
        assert mine.read_text() == own if own is not None else given_out.read_text()


# --- visible checks ---------------------------------------------------------------------------

NAMES = ("right", "wrong", "untouched", "calls", "broken", "endless", "last")
MONTH = Month(
    99, "month-99-small", "small", "Small", "", tuple(Exercise(n, n.title(), 10) for n in NAMES)
)
STUB = "def {0}():\n    raise NotImplementedError"
ANSWERS = {
    "right": "def right():\n    return 1",
    "wrong": "def wrong():\n    return 2",
    "calls": "def calls():\n    return untouched()",
    "broken": "def broken() return 1",
    "endless": "def endless():\n    while True: pass",
    "last": "def last():\n    return 1",
}
CHECK = "assert {0}() == 1, f'{0}() should be 1, not {{{0}()}}'"


def _cells(answers: dict[str, str]) -> list[Any]:
    cells = []
    for name in NAMES:
        for grade_id, source in (
            (name, answers.get(name, STUB.format(name))),
            (f"check-{name}", CHECK.format(name)),
        ):
            cell = nbformat.v4.new_code_cell(source, metadata={"nbgrader": {"grade_id": grade_id}})
            cell.id = grade_id
            cells.append(cell)
    return cells


def _save(folder: Path, cells: list[Any]) -> None:
    path = folder / MONTH.notebook_file
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def _checked(
    workspace: Path, answers: dict[str, str], *more: Any, without: tuple[str, ...] = ()
) -> dict[str, Result]:
    release = workspace.with_name("given-out")
    _save(release, _cells({}))
    cells = [cell for cell in _cells(answers) if cell.id not in without]
    _save(workspace, [*more, *cells])
    results = run_checks(workspace, MONTH, release=release, cell_timeout_s=1)
    return {result.exercise: result for result in results}


class TestVisibleChecks:
    def test_each_exercise_gets_its_own_message(self, workspace: Path) -> None:
        before = time.monotonic()
        results = _checked(workspace, ANSWERS)
        assert {name: result.status for name, result in results.items()} == {
            "right": "pass", "wrong": "fail", "untouched": "not started", "calls": "fail",
            "broken": "fail", "endless": "fail", "last": "pass",
        }  # fmt: skip
        assert results["right"].message == ""
        assert results["wrong"].message == "wrong() should be 1, not 2"
        assert "calls an exercise that does" in results["calls"].message
        assert results["broken"].message.startswith("your cell: SyntaxError")
        assert "ran longer than 1 s and was stopped" in results["endless"].message
        assert time.monotonic() - before < 40

    def test_a_check_that_was_edited_does_not_mislead(self, workspace: Path) -> None:
        cells = _cells(ANSWERS)
        for cell in cells:
            if cell.id == "check-wrong":
                cell.source = "assert True"
        release = workspace.with_name("given-out")
        _save(release, _cells({}))
        _save(workspace, cells)
        (result,) = run_checks(workspace, MONTH, only="wrong", release=release)
        assert result.status == "fail"

    def test_deleted_checks_odd_metadata_and_demos_do_no_harm(self, workspace: Path) -> None:
        odd = nbformat.v4.new_code_cell("1", metadata={"nbgrader": "odd"})
        demo = nbformat.v4.new_code_cell("import os; os._exit(1)", metadata={"tags": ["demo"]})
        results = _checked(
            workspace, {"right": ANSWERS["right"], "wrong": "x = 1"}, odd, demo,
            without=("check-wrong",),
        )  # fmt: skip
        assert results["right"].status == "pass"
        assert results["wrong"] == Result("wrong", 10, "fail", "its check cell was deleted")

    def test_a_kernel_that_ends_is_reported_where_it_ended(self, workspace: Path) -> None:
        answers = {**ANSWERS, "wrong": "import os\nos._exit(1)"}
        results = _checked(workspace, answers)
        assert results["right"].status == "pass"
        assert "the kernel ended while this cell ran" in results["wrong"].message
        assert "an earlier cell" in results["last"].message

    def test_a_kernel_that_does_not_start_is_reported(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        spec = {"argv": ["false"], "display_name": "x", "language": "python"}
        _write(tmp_path / "jupyter/kernels/python3/kernel.json", json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
        with pytest.raises(CourseError, match="kernel does not start"):
            _checked(workspace, ANSWERS)

    def test_the_notebook_is_never_written(self, workspace: Path) -> None:
        _save(workspace, _cells(ANSWERS))
        before = (workspace / MONTH.notebook_file).read_bytes()
        run_checks(workspace, MONTH, only="right")
        assert (workspace / MONTH.notebook_file).read_bytes() == before

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "there is no notebook"), (b"{", "no valid notebook"), (b"\xff", "no valid"),
         (b"[]", "no valid"), (b'{"cells": 1}', "no valid")],
    )  # fmt: skip
    def test_a_missing_or_broken_notebook_is_reported(
        self, workspace: Path, content: bytes | None, message: str
    ) -> None:
        path = workspace / MONTH.notebook_file
        path.parent.mkdir(parents=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(CourseError, match=message):
            run_checks(workspace, MONTH)
        assert content is None or path.read_bytes() == content

    def test_a_deleted_exercise_and_an_unknown_one_are_reported(self, workspace: Path) -> None:
        with pytest.raises(CourseError, match="no cell 'right'"):
            _checked(workspace, ANSWERS, without=("right",))
        with pytest.raises(CourseError, match="has no exercise 'nope'; it has right"):
            run_checks(workspace, MONTH, only="nope")


class TestProgress:
    def test_counts_what_passed_and_keeps_earlier_results(self, workspace: Path) -> None:
        _save(workspace, _cells({}))
        save_results(workspace, MONTH, [Result("right", 10, "pass"), Result("wrong", 10, "pass")])
        save_results(workspace, MONTH, [Result("wrong", 10, "fail", "no")])
        save_results(workspace, MONTH, [Result("of-last-year", 90, "pass")])
        (state,) = progress(workspace, (MONTH,))
        assert (state.opened, state.passed, state.points_passed) == (True, 1, 10)
        assert state.graded is None

    @pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"results": [{"x": 1}]}'])
    def test_broken_results_count_nothing(self, workspace: Path, content: bytes) -> None:
        path = results_file(workspace, MONTH)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        assert load_results(workspace, MONTH) == []

    def test_the_newest_feedback_counts(self, workspace: Path) -> None:
        folder = workspace / MONTH.name / "feedback"
        for number, score in enumerate((70.0, 20.0)):
            page = _write(folder / f"{number}/small.html", f"small (Score:&nbsp;{score} / 70.0)")
            os.utime(page, (1000 - number, 1000 - number))
        (state,) = progress(workspace, (MONTH,))
        assert state.graded == (70.0, 70.0)


class TestMonths:
    def test_are_found_by_number_and_name(self) -> None:
        for text in ("99", "month-99", "month_99", MONTH.name, f" {MONTH.name}/ "):
            assert month(text, (MONTH,)) is MONTH

    def test_an_unknown_one_is_answered_with_those_that_exist(self) -> None:
        for text in ("1", "month-9", "nope", ""):
            with pytest.raises(CourseError, match=r"there is 99 \(month-99-small\)"):
                month(text, (MONTH,))

    def test_a_broken_syllabus_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(CourseError, match="missing or broken"):
            months(tmp_path / "none.json")

    def test_the_nearest_workspace_is_taken(
        self, workspace: Path, release: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prepare(workspace, release)
        monkeypatch.chdir(workspace / "month-01")
        assert default_workspace() == workspace


class TestLab:
    def test_settings_stay_in_the_workspace(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JUPYTER_CONFIG_PATH", "/mine")
        folder = lab.write_settings(workspace)
        assert folder.is_relative_to(workspace)
        assert lab.lab_environment(folder)["JUPYTER_CONFIG_PATH"] == f"{folder}{os.pathsep}/mine"
        assert [path.name for path in workspace.iterdir()] == [".course"]

    def test_the_server_listens_on_this_machine_only_and_opens_the_month(
        self, workspace: Path
    ) -> None:
        command = lab.lab_command(workspace, "a month/x.ipynb", port=lab.free_port(), browser=False)
        assert "--ServerApp.ip=127.0.0.1" in command
        assert "--LabApp.default_url=/lab/tree/a%20month/x.ipynb" in command
        assert "--ServerApp.open_browser=False" in command

    def test_a_port_in_use_is_skipped_or_reported(self, workspace: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert lab.free_port(port) != port
            with pytest.raises(CourseError, match=f"port {port} is in use"):
                lab.lab_command(workspace, "x.ipynb", port=port)
            with pytest.raises(CourseError, match="--port"):
                lab.free_port(port, tries=1)

"""The `course` command as a student meets it: tables, messages and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from course import cli, telemetry
from course.authoring.build import build, build_syllabus
from course.errors import CourseError
from course.telemetry import public
from course.workspace import syllabus
from tests.authoring.conftest import Tiny, make_tiny

ROOT = Path(__file__).parents[1]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command; gives exit code, output and error output."""
    monkeypatch.setenv("PATH", os.environ["PATH"])

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny month, built."""
    tiny = make_tiny(tmp_path_factory.mktemp("tiny"))
    build(tiny.month, tiny.layout, progress=False)
    build_syllabus([tiny.month], tiny.layout)
    return tiny


@pytest.fixture
def tiny_course(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The tiny month is the only one that the command knows."""
    known = syllabus.months(tiny.layout.syllabus)
    monkeypatch.setattr(syllabus, "months", lambda path=None: known)
    monkeypatch.setattr(syllabus, "release_folder", lambda: tiny.layout.root / "release")
    return tiny


@pytest.fixture
def workspace(tiny_course: Tiny, run: Run, tmp_path: Path) -> Path:
    """A new workspace with the tiny month."""
    assert run("lab", "--prepare-only", "--workspace", str(tmp_path / "work"))[0] == 0
    return tmp_path / "work"


def _answer(workspace: Path, tiny: Tiny, source: str) -> None:
    path = workspace / tiny.month.notebook_file
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.id == "double").source = source
    nbformat.write(notebook, path)


def _parsers(parser: ArgumentParser, name: str = "") -> Iterator[tuple[str, ArgumentParser]]:
    yield name, parser
    for action in parser._subparsers._group_actions if parser._subparsers else ():
        choices: Any = action.choices or {}
        for command, child in choices.items():
            yield from _parsers(child, f"{name} {command}".strip())


class TestHelp:
    @pytest.mark.parametrize("command", [name for name, _ in _parsers(cli.make_parser())])
    def test_every_command_explains_itself_with_an_example(self, run: Run, command: str) -> None:
        code, out, err = run(*command.split(), "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"usage: course {command}".strip())
        assert f"course {command or 'COMMAND --help'}" in out.partition("\n")[2]

    @pytest.mark.parametrize(("name", "parser"), [*_parsers(cli.make_parser())])
    def test_every_example_can_be_parsed(self, name: str, parser: ArgumentParser) -> None:
        lines = (parser.epilog or "").splitlines()
        for example in (line.strip() for line in lines if line.startswith("  course ")):
            arguments = example.split()[1:]
            assert arguments[: len(name.split())] == name.split()
            assert callable(cli.make_parser().parse_args(arguments).run)

    def test_the_version_is_printed(self, run: Run) -> None:
        assert run("--version")[1].startswith("aiops-course ")


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("", "required: COMMAND"),
            ("learn", "choose from"),
            ("data", "required: ACTION"),
            ("check", "required: month"),
            ("check 98", "there is no month '98'; there is 1 (month-01-aiops-overview)"),
            ("check 3 --workspace {tmp}/none", "run `course lab` once"),
            ("check 3 --exercise nope --workspace {tmp}", "has no exercise 'nope'; it has"),
            ("lab --month 98", "there is no month '98'; there is 1 (month-01"),
            ("lab --port 70000", "take one from 1 to 65535"),
            ("lab --port many", "many"),
            ("lab --prepare-only --workspace {tmp}/file", "is a file"),
            ("lab --prepare-only --workspace {tmp}/file/below", "Not a directory"),
            ("data fetch nope", "there is no public data set 'nope'; there is nab"),
            ("build 98", "there is no month '98'; there is 1 (month-01"),
            ("audit 98", "there is no month '98'; there is 1 (month-01"),
            ("audit 3 --seeds 0", "at least 1"),
            ("grade 3 --jobs 0", "at least 1"),
            ("grade 98", "there is no month '98'; there is 1 (month-01"),
        ],
    )
    def test_say_what_to_do_and_end_with_2(
        self, run: Run, tmp_path: Path, arguments: str, message: str
    ) -> None:
        (tmp_path / "file").write_text("x")
        code, out, err = run(*arguments.format(tmp=tmp_path).split())
        assert code == cli.USAGE
        assert message in err
        assert "Traceback" not in err
        assert out == ""

    def test_public_data_that_cannot_be_had_is_a_message(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv(public.MIRROR, str(tmp_path))
        code, _, err = run("data", "fetch", "nab")
        assert code == cli.USAGE
        assert "is missing" in err
        assert len(err.splitlines()) == 1

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (CourseError("do this"), cli.USAGE, "course: do this\n"),
            (
                PermissionError(13, "Permission denied", "there"),
                cli.USAGE,
                "there: Permission denied",
            ),
            (KeyboardInterrupt(), cli.INTERRUPTED, "interrupted"),
        ],
    )
    def test_what_a_command_raises_becomes_a_message(
        self,
        run: Run,
        monkeypatch: pytest.MonkeyPatch,
        error: BaseException,
        code: int,
        message: str,
    ) -> None:
        def fail() -> None:
            raise error

        monkeypatch.setattr(telemetry, "names", fail)
        found, _, err = run("data", "list")
        assert found == code
        assert message in err

    def test_a_reader_that_closes_early_is_no_error_message(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "course.cli", "data", "list"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.wait(60) == cli.FAILED
            assert process.stderr.read() == b""

    @pytest.mark.parametrize("command", ["build", "audit", "grade 3", "bundle"])
    def test_an_instructors_command_in_the_students_package_says_so(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
        code, _, err = run(*command.split())
        assert code == cli.USAGE
        assert "is for instructors" in err


class TestCheck:
    def test_an_untouched_month_is_not_started(
        self, run: Run, workspace: Path, tiny_course: Tiny
    ) -> None:
        code, out, _ = run("check", "99", "--workspace", str(workspace))
        assert code == cli.FAILED
        head, _, row, *_ = out.splitlines()
        assert head.split() == ["exercise", "points", "check", "message"]
        assert row.split() == ["double", "100", "not", "started"]
        assert "0 of 1 visible checks pass: exercises worth 0 of 100 points" in out

    def test_a_wrong_answer_gets_the_message_of_its_check(
        self, run: Run, workspace: Path, tiny_course: Tiny
    ) -> None:
        _answer(workspace, tiny_course, "def double(value):\n    return value")
        code, out, _ = run("check", "99", "--workspace", str(workspace))
        assert code == cli.FAILED
        assert out.splitlines()[2].split(maxsplit=3) == [
            "double", "100", "fail", "double(2) should be 4, got 2",
        ]  # fmt: skip

    def test_a_right_answer_passes_and_counts_in_the_progress(
        self, run: Run, workspace: Path, tiny_course: Tiny
    ) -> None:
        where = ("--workspace", str(workspace))
        _, before, _ = run("progress", *where)
        assert "0 / 1" in before
        _answer(workspace, tiny_course, "def double(value):\n    return 2 * value")
        code, out, _ = run("check", "month-99", "--exercise", "double", *where)
        assert code == cli.OK
        assert out.splitlines()[2].split() == ["double", "100", "pass"]
        code, after, _ = run("progress", *where)
        assert code == cli.OK
        cells = [cell.strip() for cell in after.splitlines()[2].split("  ") if cell]
        assert cells == ["99", "A tiny month", "yes", "1 / 1", "100 / 100", "-"]


class TestLab:
    def test_says_what_it_kept_and_what_it_updated(
        self, run: Run, workspace: Path, tiny_course: Tiny, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        newer = tmp_path / "newer"
        given_out = newer / tiny_course.month.notebook_file
        given_out.parent.mkdir(parents=True)
        given_out.write_bytes(tiny_course.release.read_bytes() + b"\n")
        monkeypatch.setattr(syllabus, "release_folder", lambda: newer)
        prepare = ("lab", "--prepare-only", "--workspace", str(workspace))
        assert f"updated {tiny_course.month.notebook_file}" in run(*prepare)[1]
        _answer(workspace, tiny_course, "def double(value):\n    return 2 * value")
        mine = (workspace / tiny_course.month.notebook_file).read_bytes()
        assert "updated" not in run(*prepare)[1]
        given_out.write_bytes(tiny_course.release.read_bytes() + b"\n\n")
        assert f"kept your {tiny_course.month.notebook_file}; a newer" in run(*prepare)[1]
        assert (workspace / tiny_course.month.notebook_file).read_bytes() == mine


class TestData:
    def test_list_names_embedded_and_public_sets(self, run: Run) -> None:
        code, out, _ = run("data", "list")
        assert code == cli.OK
        assert "shop-quiet-28d" in out
        assert "nab: MIT" in out

    def test_verify_finds_nothing_wrong_in_the_checkout(self, run: Run) -> None:
        assert run("data", "verify")[0] == cli.OK

    def test_verify_names_what_is_changed_or_missing(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  a.parquet\n{'0' * 64}  b.parquet\n")
        (tmp_path / "a.parquet").write_text("x")
        monkeypatch.setenv("COURSE_DATA", str(tmp_path))
        code, _, err = run("data", "verify")
        assert code == cli.FAILED
        assert err.splitlines() == ["a.parquet: changed", "b.parquet: missing"]

    def test_verify_without_data_is_a_message(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("COURSE_DATA", str(tmp_path))
        code, _, err = run("data", "verify")
        assert code == cli.USAGE
        assert "SHA256SUMS: No such file" in err


class TestInstructors:
    def test_grade_hands_on_every_option(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        from course.grading import api

        calls: list[dict] = []
        summaries = iter([api.Summary("a"), api.Summary("a", failed={"ann": "no memory"})])

        def grade(month: object, **options: Any) -> api.Summary:
            calls.append(options)
            return next(summaries)

        monkeypatch.setattr(api, "grade", grade)
        given = ["--student", "ann", "--jobs", "2", "--unsafe", "--again", "--course"]
        assert run("grade", "3", *given, str(tmp_path))[0] == cli.OK
        assert run("grade", "3")[0] == cli.FAILED
        assert calls == [
            {"student": "ann", "jobs": 2, "unsafe": True, "again": True, "course_dir": tmp_path},
            {"student": None, "jobs": cli._cores(), "unsafe": False, "again": False,
             "course_dir": None},
        ]  # fmt: skip

    def test_an_interruption_tells_what_is_done(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from course.grading import api

        def grade(month: object, **options: Any) -> None:
            raise KeyboardInterrupt("interrupted: 3 of 9 submissions are graded")

        monkeypatch.setattr(api, "grade", grade)
        code, _, err = run("grade", "3")
        assert code == cli.INTERRUPTED
        assert err == "course: interrupted: 3 of 9 submissions are graded\n"

    def test_the_syllabus_tells_no_check(self, tiny: Tiny) -> None:
        (month,) = json.loads(tiny.layout.syllabus.read_text())["months"]
        assert set(month) == {"number", "name", "notebook", "title", "milestone", "exercises"}
        assert month["exercises"] == [{"id": "double", "title": "Double", "points": 100}]

"""A batch survives whatever ends it, its workers or its submissions, and repeats nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fixture_course as fixture
import fixture_work
import nbformat
import psutil
import pytest

from course.errors import CourseError
from course.grading import api, batch
from course.grading.journal import (
    FOLDER,
    Journal,
    Record,
    grader_digest,
    only_run,
    remove_parts,
    submission_digest,
)
from course.grading.secret import test_secret as make_secret
from course.grading.submissions import Outcome, Task, load_config, lost_points, open_course

Course = Path
NOTEBOOK = f"{fixture.NOTEBOOK}.ipynb"
_CONSTANT = "def detect(v):\n    return v == v\n"
_DEADLY = f"def double(v):\n    return {fixture.DEADLY!r}\n"

# What is handed in, and the points that an undisturbed run gives (see test_nbgrader.py).
SUBMISSIONS = {
    "a-good": (fixture.answered(), (10.0, 20.0)),
    "b-corrupt": ("{", (0.0, 0.0)),
    "c-object": ("{}", (0.0, 0.0)),
    "d-deadly": (fixture.answered(double=_DEADLY), (0.0, 0.0)),
    "e-empty": ("", (0.0, 0.0)),
    "f-half": (fixture.answered(detect=_CONSTANT), (10.0, 0.0)),
    "g-list": ("[]", (0.0, 0.0)),
    "h-nothing": (None, (0.0, 0.0)),
    "i-binary": (bytes(range(256)), (0.0, 0.0)),
    "j-text": ("Dear grader", (0.0, 0.0)),
    "k-no-cells": ('{"cells": 5}', (0.0, 0.0)),
    "l-deep": ("[" * 200_000, (0.0, 0.0)),
}  # fmt: skip
FINISHED = [name for name in SUBMISSIONS if name != "d-deadly"]


# --- the journal ------------------------------------------------------------------------------


def _record(student: str = "ann", **changes: object) -> Record:
    return dataclasses.replace(Record(student, "s", "g", "f", done=True), **changes)  # type: ignore[arg-type]


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal, record = Journal(tmp_path / "a"), _record(points={"x": 0.1}, messages={"x": ["ö"]})
    journal.write(record)
    assert journal.read("ann") == record
    assert journal.read("bob") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"student": "ann"}', '{"what": 1}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    journal = Journal(tmp_path)
    journal.path("ann").write_text(content)
    assert journal.read("ann") is None


def test_a_name_may_be_as_long_as_a_file_name_can_be(tmp_path: Path) -> None:
    Journal(tmp_path).write(_record("x" * 255))
    assert Journal(tmp_path).read("x" * 255) == _record("x" * 255)


def test_what_an_interrupted_write_left_is_deleted(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(_record())
    (tmp_path / f".{journal.path('ann').name}.abc.part").write_text("{")
    remove_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [journal.path("ann")]


def _changes(folder: Path) -> dict[str, Callable[[], object]]:
    return {
        "bytes": lambda: (folder / NOTEBOOK).write_text("y"),
        "a name": lambda: (folder / NOTEBOOK).rename(folder / "other.ipynb"),
        "one more file": lambda: (folder / "more").write_text(""),
        "an empty folder": lambda: (folder / "sub").mkdir(),
        "where a link points": lambda: [(folder / "link").unlink(),
                                        (folder / "link").symlink_to("/elsewhere")],
        "a link for a file": lambda: [(folder / NOTEBOOK).rename(folder.parent / "kept"),
                                      (folder / NOTEBOOK).symlink_to(folder.parent / "kept")],
        "a pipe": lambda: os.mkfifo(folder / "pipe"),
    }  # fmt: skip


@pytest.mark.parametrize("change", _changes(Path()))
def test_every_change_of_a_submission_is_seen(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "ann" / "month"
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_text("x")
    (folder / "link").symlink_to(tmp_path)
    before = submission_digest(folder)
    assert submission_digest(folder) == before
    _changes(folder)[change]()
    assert submission_digest(folder) != before


def test_what_a_link_leads_to_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "month").symlink_to(tmp_path / "target", target_is_directory=True)
    before = submission_digest(tmp_path / "ann" / "month")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "x").write_text("x")
    assert submission_digest(tmp_path / "ann" / "month") == before


def test_the_grader_s_digest_knows_lesson_configuration_points_and_sandbox(tmp_path: Path) -> None:
    root = fixture.make_course(tmp_path)
    source, config = root / "source" / fixture.NAME, root / "nbgrader_config.py"
    seen = {grader_digest(fixture.MONTH, source, config, unsafe=False)}
    assert grader_digest(fixture.MONTH, source, config, unsafe=False) in seen
    seen.add(grader_digest(fixture.MONTH, source, config, unsafe=True))
    other = dataclasses.replace(fixture.MONTH, exercises=fixture.MONTH.exercises[:1])
    seen.add(grader_digest(other, source, config, unsafe=False))
    config.write_text(config.read_text() + "\n")
    seen.add(grader_digest(fixture.MONTH, source, config, unsafe=False))
    (source / "data.csv").write_text("1")
    seen.add(grader_digest(fixture.MONTH, source, config, unsafe=False))
    assert len(seen) == 5


def test_a_second_run_is_told_who_is_at_work(tmp_path: Path) -> None:
    told = pytest.raises(CourseError, match=rf"process {os.getpid()} on .*not lost")
    with only_run(tmp_path), told, only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass


def test_the_messages_of_lost_points_are_read_from_the_feedback() -> None:
    text = "3 of 10 points.\n  [ 30%] series: not 2 but 3\n  [100%] other: fine\n  [  0%] bare\n"
    cell = nbformat.v4.new_code_cell(
        metadata={"nbgrader": {"grade": True, "solution": False, "grade_id": "check-double"}},
        outputs=[nbformat.v4.new_output("stream", name="stdout", text=text)],
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    assert lost_points(notebook) == {"double": ["not 2 but 3", "bare"]}


# --- worker processes -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_process_that_dies_hangs_or_fails_costs_its_own_task_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(fixture.HERE))
    tasks = ["a", "die", "b", "hang", "raise", "c"]
    before = {child.pid for child in psutil.Process().children()}
    found = batch.in_processes(tasks, fixture_work.work, jobs=2, limit_s=1.5, home=tmp_path)
    answers = dict(found)
    assert [answers[name] for name in "abc"] == ["A", "B", "C"]
    assert "SIGKILL" in str(answers["die"])
    assert "longer than 1.5 s" in str(answers["hang"])
    assert str(answers["raise"]) == "ValueError: a fault"
    left = {child.name() for child in psutil.Process().children() if child.pid not in before}
    assert len(left) <= 1, f"more than Python's own resource tracker is left: {left}"


@pytest.mark.slow
def test_no_task_is_begun_before_the_first_ones_are_done(tmp_path: Path) -> None:
    work = fixture_work.span
    found = batch.in_processes(
        ["long", "short", "a", "b"], work, jobs=2, limit_s=30.0, home=tmp_path, first=2
    )
    spans = dict(found)
    ended = max(spans["long"][1], spans["short"][1])
    assert spans["long"][0] < spans["short"][1], "the first ones run side by side"
    assert min(spans["a"][0], spans["b"][0]) >= ended


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_with_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_START_DEATHS", 1)
    (tmp_path / FOLDER).write_text("no folder can be made here")
    with pytest.raises(CourseError, match="cannot start here.*Nothing is lost"):
        list(batch.in_processes("ab", fixture_work.work, jobs=1, limit_s=60.0, home=tmp_path))


def _grade_all(
    monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, list[Outcome]]
) -> tuple[dict[str, str], list[str], batch.Progress]:
    """Grade by an executor whose outcomes are given, in the order of the attempts."""
    monkeypatch.setattr(batch, "grade_submission", lambda task: outcomes[task.student].pop(0))
    tasks = [Task(Path(), fixture.MONTH, name, Journal(Path()), "", "") for name in outcomes]
    refused: list[str] = []
    progress = batch.Progress(len(tasks), unchanged=2, show=False)
    with ThreadPoolExecutor(1) as executor:
        failed = batch.grade_all(
            tasks, jobs=1, limit_s=1.0, secret=make_secret(), home=Path(), executor=executor,
            refuse=lambda name, why: refused.append(f"{name}: {why}"), progress=progress,
        )  # fmt: skip
    return failed, refused, progress


def test_a_failure_is_tried_once_more_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fine, bad = Outcome(_record()), Outcome(failure="no memory")
    outcomes = {"ann": [fine], "bob": [bad, fine], "cid": [bad, bad]}
    failed, refused, progress = _grade_all(monkeypatch, outcomes)
    assert failed == {"cid": "no memory"}
    assert refused == ["cid: the grader failed (no memory)"]
    assert progress.state() == "4 of 5 submissions are graded and recorded"


def test_a_failure_of_the_whole_machine_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = {"ann": [Outcome(failure="bubblewrap is gone", fatal=True)]}
    with pytest.raises(CourseError, match=r"bubblewrap is gone\. 2 of 3 .* nothing is lost"):
        _grade_all(monkeypatch, outcomes)


def test_without_a_terminal_progress_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = batch.Progress(2)
    progress.advance("ann")
    progress.advance("bob", "no memory")
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("[1/2] ann: graded; 0 failed, ")
    assert lines[1].startswith("[2/2] bob: no memory; 1 failed, ")


# --- a course of twelve, interrupted again and again ------------------------------------------


class Run:
    """A grading in a process of its own."""

    def __init__(self, root: Course, jobs: int = 2) -> None:
        self.root = root
        environment = {**os.environ, "PYTHONPATH": str(fixture.HERE)}
        self.process = subprocess.Popen(
            [sys.executable, fixture.HERE / "fixture_run.py", root, str(jobs)], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + 120
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < until, "nothing happened for 120 s"
            time.sleep(0.05)

    def below(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def workers(self) -> list[psutil.Process]:
        found = []
        for process in self.below():
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def end(self, number: int) -> str:
        """Send a signal to the terminal's group; give the output once nothing is left running."""
        below = self.below()
        os.killpg(self.process.pid, number)
        output = self.process.communicate(timeout=30)[0]
        left = psutil.wait_procs(below, timeout=10)[1]
        assert not left, f"still running: {left}"
        return output


def _records(root: Course) -> dict[str, Record]:
    journal = Journal.beside_gradebook(root, fixture.NAME)
    found = {name: journal.read(name) for name in SUBMISSIONS}
    return {name: record for name, record in found.items() if record is not None}


def _done(root: Course) -> int:
    return sum(record.done for record in _records(root).values())


@pytest.fixture(scope="module")
def interrupted(
    sandbox: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Course, dict[str, str]]:
    """The course after runs that were ended by SIGKILL and by Ctrl-C, and one that lost a worker."""
    root = fixture.make_course(tmp_path_factory.mktemp("course"))
    for name, (content, _) in SUBMISSIONS.items():
        if content is None:
            (root / "submitted" / name / fixture.NAME).mkdir(parents=True)
        else:
            fixture.submit(root, name, content)
    chance = random.Random(os.getpid())
    said: dict[str, str] = {}
    for number, jobs in ((signal.SIGKILL, 2), (signal.SIGINT, 1)):
        run, before = Run(root, jobs), _done(root)
        run.wait_for(lambda before=before: _done(root) > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 1.5))
        said[number.name] = run.end(number)
    run = Run(root)
    run.wait_for(lambda: len(run.workers()) == 2)
    # Halted, so that it can't be over before it has been asked.
    os.kill(run.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(CourseError) as error:
            api.grade(fixture.MONTH, course_dir=root, progress=False)
    finally:
        os.kill(run.process.pid, signal.SIGCONT)
    said["second run"] = str(error.value)
    said["process"] = f"process {run.process.pid} "
    run.wait_for(lambda: any(not record.done for record in _records(root).values()))
    chance.choice(run.workers()).kill()
    said["last"] = run.process.communicate(timeout=300)[0]
    return root, said


@pytest.mark.slow
@pytest.mark.sandbox
class TestInterrupted:
    def test_every_submission_is_graded_exactly_once(self, interrupted: tuple) -> None:
        records = _records(interrupted[0])
        assert {name: (r.done, r.times) for name, r in records.items() if name in FINISHED} == {
            name: (True, 1) for name in FINISHED
        }

    def test_the_grades_are_those_of_an_undisturbed_run(self, interrupted: tuple) -> None:
        with open_course(load_config(interrupted[0], unsafe=False)) as nbgrader:
            scores = api.read_scores(nbgrader, fixture.MONTH)
        found = {
            name: (score["double"].final, score["detect"].final) for name, score in scores.items()
        }
        assert found == {name: points for name, (_, points) in SUBMISSIONS.items()}

    def test_one_that_ends_the_grader_twice_is_refused_and_named(self, interrupted: tuple) -> None:
        root, said = interrupted
        assert "1 could not be graded" in said["last"]
        assert "d-deadly: its worker process was ended by SIGKILL" in said["last"]
        assert not _records(root)["d-deadly"].done
        page = root / "feedback" / "a-good" / fixture.NAME / f"{fixture.NOTEBOOK}.html"
        assert page.is_file()

    def test_ctrl_c_says_what_is_done_and_how_to_go_on(self, interrupted: tuple) -> None:
        said = interrupted[1]["SIGINT"]
        assert "of 12 submissions are graded and recorded; run the same command again" in said
        assert "Traceback" not in said

    def test_a_run_beside_another_is_refused(self, interrupted: tuple) -> None:
        assert interrupted[1]["process"] in interrupted[1]["second run"]

    def test_again_nothing_is_graded(self, interrupted: tuple) -> None:
        summary = api.grade(
            fixture.MONTH, course_dir=interrupted[0], students=FINISHED, progress=False
        )
        assert (summary.graded, summary.unchanged) == (0, len(FINISHED))
        assert f"0 graded now, {len(FINISHED)} graded before" in str(summary)

    def test_only_what_differs_is_graded_anew(self, interrupted: tuple) -> None:
        root = interrupted[0]
        fixture.submit(root, "g-list", "[1]")
        for step in ("autograded", "feedback"):
            (path,) = (root / step / "b-corrupt" / fixture.NAME).iterdir()
            path.rename(path.with_suffix(".away"))
        _set_score(root, "e-empty", 3.0)
        summary = api.grade(fixture.MONTH, course_dir=root, students=FINISHED, progress=False)
        assert (summary.graded, summary.unchanged) == (3, len(FINISHED) - 3)
        times = {name: record.times for name, record in _records(root).items()}
        assert {name: times[name] for name in FINISHED if times[name] != 1} == {
            "b-corrupt": 2, "e-empty": 2,
        }  # fmt: skip
        assert {g.student: g.total for g in summary.grades}["e-empty"] == 0.0

    def test_grades_statistics_and_chart_are_written(self, interrupted: tuple) -> None:
        folder = interrupted[0] / "grades"
        lines = (folder / f"{fixture.NAME}.csv").read_text().splitlines()
        assert lines[0] == "student,points,max_points,double,detect,note"
        assert len(lines) == 1 + len(SUBMISSIONS)
        items = (folder / f"{fixture.NAME}-exercises.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in items] == ["exercise", "double", "detect"]
        assert (folder / f"{fixture.NAME}.png").read_bytes().startswith(b"\x89PNG")

    def test_neither_secret_nor_journal_gets_to_a_student(self, interrupted: tuple) -> None:
        root = interrupted[0]
        secret = (root / ".course-secret").read_text().strip()
        for path in [*(root / FOLDER).rglob("*"), *(root / "grades").iterdir()]:
            assert path.is_dir() or secret not in path.read_text(errors="replace")
        for step in ("autograded", "feedback"):
            assert not [p for p in (root / step).rglob("*") if p.suffix in (".json", ".csv")]


def _set_score(root: Course, student: str, score: float) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root}/gradebook.db", "aiops") as gradebook:
        entry = gradebook.find_submission_notebook(fixture.NOTEBOOK, fixture.NAME, student)
        entry.grades[0].auto_score = score
        gradebook.db.commit()

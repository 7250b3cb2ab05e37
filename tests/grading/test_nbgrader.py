"""Submissions good and bad through nbgrader: each ends in a grade with a reason."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fixture_course as fixture
import nbformat
import pytest

from course.errors import CourseError
from course.grading import api
from course.grading.submissions import load_config, open_course

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

FULL, DOUBLE_ONLY, NOTHING = (10.0, 20.0), (10.0, 0.0), (0.0, 0.0)


def _tree(change: Callable[[dict], Any] | None = None, **answers: str) -> str:
    tree = json.loads(nbformat.writes(fixture.answered(**answers)))
    if change:
        change(tree)
    return json.dumps(tree)


def _without(tree: dict, *ids: str) -> None:
    tree["cells"] = [c for c in tree["cells"] if _id(c) not in ids]


def _id(cell: dict) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def _twice(tree: dict) -> None:
    tree["cells"] += [dict(c, id=f"again{i}") for i, c in enumerate(tree["cells"])]


def _forge(tree: dict) -> None:
    """Claim more points, another schema, and outputs that say so."""
    for cell in tree["cells"]:
        if _id(cell).startswith("check"):
            cell["metadata"]["nbgrader"].update(points=1e9, schema_version=99, locked="x")
            cell["source"] = "30"
            cell["outputs"] = [{"output_type": "execute_result", "execution_count": 1,
                                "metadata": {}, "data": {"text/plain": "20"}}]  # fmt: skip


WRONG = {"double": "def double(v):\n    return v\n", "detect": "def detect(v):\n    return v\n"}
_CRASH = "import os\nos._exit(1)\n"

# name: (what is handed in, points of both exercises, part of the reason)
CASES: dict[str, tuple[Any, tuple[float, float], str]] = {
    "good": (_tree(), FULL, ""),
    "warns": (_tree(double="import sys, warnings\ndef double(v):\n    warnings.warn('w')\n"
                           "    print('e', file=sys.stderr)\n    return v * 2\n"), FULL, ""),
    "untouched": (nbformat.writes(fixture.release()), NOTHING, "NotImplementedError"),
    "corrupt": ('{"cells": [', NOTHING, "not valid JSON"),
    "empty": ("", NOTHING, "not valid JSON"),
    "binary": (bytes(range(256)), NOTHING, "not valid JSON"),
    "a-list": ("[]", NOTHING, "not a notebook"),
    "no-cells": ('{"cells": 5}', NOTHING, "not a notebook"),
    "odd-cells": (_tree(lambda t: t["cells"].extend([1, None, {}, {"cell_type": "x"},
                  {"cell_type": "code", "source": 5, "metadata": []}])), FULL, "left out"),
    "deep": ("[" * 200_000 + "]" * 200_000, NOTHING, "nested too deep"),
    "deep-metadata": (_tree(lambda t: t["metadata"].update(
        x=json.loads("[" * 900 + "]" * 900))), FULL, ""),
    "huge-metadata": (_tree(lambda t: t["metadata"].update(x="y" * 5_000_000)), FULL, ""),
    "too-large": (" " * 40_000_000, NOTHING, "larger than"),
    "deleted-checks": (_tree(lambda t: _without(t, "check-double", "check-detect")), FULL,
                       "put back: `check-double`"),
    "deleted-answer": (_tree(lambda t: _without(t, "detect")), DOUBLE_ONLY, "put back: `detect`"),
    "all-twice": (_tree(_twice), FULL, "more than once"),
    "edited-checks": (_tree(_forge, **WRONG), NOTHING, ""),
    "wrong-kernel": (_tree(lambda t: t["metadata"].update(
        kernelspec={"name": "../../x", "display_name": 1, "language": None})), FULL, ""),
    "same-ids": (_tree(lambda t: [c.update(id="same") for c in t["cells"]]), FULL, ""),
    "odd-ids": (_tree(lambda t: [c.update(id={"a": 1}) for c in t["cells"]]), FULL, ""),
    "old-format": (_tree(lambda t: t.update(nbformat=2, nbformat_minor="x")), FULL, ""),
    "endless": (_tree(detect="while True:\n    pass\n"), DOUBLE_ONLY, ""),
    "exits": (_tree(detect=_CRASH), DOUBLE_ONLY, "kernel stopped"),
    "exits-when-called": (_tree(double="def double(v):\n    import os; os._exit(0)\n"),
                          (0.0, 20.0), ""),
    "huge-array": (_tree(detect="import numpy\na = numpy.ones(10**10)\n"), DOUBLE_ONLY, ""),
    "eats-memory": (_tree(detect="a = []\nwhile True: a.append(b'x' * 10**8)\n"), DOUBLE_ONLY,
                    "memory"),
    "floods": (_tree(detect="print('x' * 100_000_000)\n" + fixture.DETECT), FULL, ""),
    "html": (_tree(detect="from IPython.display import HTML, Javascript, display, Markdown\n"
                          "for kind in (HTML, Javascript, Markdown):\n"
                          "    display(kind('<script>alert(666)</script>'))\n"
                          "print('<script>alert(666)</script>')\n" + fixture.DETECT,
                   change=lambda t: t["cells"].extend([
                       {"cell_type": "markdown", "metadata": {}, "id": "m",
                        "source": "<script>alert(666)</script> [x](javascript:alert(666))",
                        "attachments": {"a": {"image/svg+xml": "<svg onload=alert(666)>"}}},
                       {"cell_type": "raw", "id": "r", "source": "<script>alert(666)</script>",
                        "metadata": {"raw_mimetype": "text/html", "format": "text/html"}}])),
             FULL, ""),
}  # fmt: skip


def _links(root: Path) -> None:
    """Submissions that are not plain files."""
    for name in ("link", "dangling", "linked-folder", "fifo", "link-beside", "nothing", "folder"):
        (root / "submitted" / name / fixture.NAME).mkdir(parents=True)
    folder = {p.name: p / fixture.NAME for p in (root / "submitted").iterdir()}
    notebook = f"{fixture.NOTEBOOK}.ipynb"
    solved = root / "source" / fixture.NAME / notebook
    (folder["link"] / notebook).symlink_to(solved)
    (folder["dangling"] / notebook).symlink_to(root / "nowhere")
    (folder["folder"] / notebook).mkdir()
    folder["linked-folder"].rmdir()
    folder["linked-folder"].symlink_to(root / "source" / fixture.NAME)
    for name in ("fifo", "link-beside"):
        (folder[name] / notebook).write_text(_tree())
    os.mkfifo(folder["fifo"] / "pipe")
    (folder["link-beside"] / "data.csv").symlink_to(root / "gradebook.db")
    (folder["link-beside"] / "gone.csv").symlink_to(root / "nowhere")


LINKED = {
    "link": (NOTHING, "it is a link"),
    "dangling": (NOTHING, "it is a link"),
    "linked-folder": (NOTHING, "folder is a link"),
    "folder": (NOTHING, "cannot be read"),
    "fifo": (FULL, ""),
    "link-beside": (FULL, ""),
    "nothing": (NOTHING, "no notebook"),
}
EXPECTED = {**{name: case[1:] for name, case in CASES.items()}, **LINKED}


@pytest.fixture(scope="module")
def graded(
    sandbox: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, api.Grade]]:
    """All submissions, graded in one run by two processes."""
    root = fixture.make_course(tmp_path_factory.mktemp("course"))
    for name, (content, *_) in CASES.items():
        fixture.submit(root, name, content)
    _links(root)
    before = {p: p.read_bytes() for p in (root / "source").rglob("*.ipynb")}
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(fixture.HERE), os.environ.get("PYTHONPATH", "")]
    )
    summary = api.grade(fixture.MONTH, course_dir=root, jobs=2, progress=False)
    assert {p: p.read_bytes() for p in (root / "source").rglob("*.ipynb")} == before
    return root, {grade.student: grade for grade in summary.grades}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_submission_gets_its_honest_points(graded: tuple, name: str) -> None:
    grade = graded[1][name]
    assert (grade.points["double"], grade.points["detect"]) == EXPECTED[name][0]
    assert grade.max_points == 30.0


@pytest.mark.parametrize("name", [name for name, (_, reason) in EXPECTED.items() if reason])
def test_the_feedback_page_says_why(graded: tuple, name: str) -> None:
    page = (graded[0] / "feedback" / name / fixture.NAME / f"{fixture.NOTEBOOK}.html").read_text()
    assert EXPECTED[name][1].replace("`", "`") in page


@pytest.mark.parametrize("step", ["feedback", "autograded"])
def test_nothing_of_the_grader_is_copied_to_a_student(graded: tuple, step: str) -> None:
    folder = graded[0] / step
    names = {p.suffix for p in folder.rglob("*") if p.is_file()}
    assert names <= {".ipynb", ".html"}
    assert not any(p.is_symlink() for p in folder.rglob("*"))


def test_no_script_of_a_student_gets_into_a_page(graded: tuple) -> None:
    root = graded[0]
    page = (root / "feedback" / "html" / fixture.NAME / f"{fixture.NOTEBOOK}.html").read_text()
    assert "<script>alert(666)" not in page
    assert "onload=alert" not in page
    assert 'href="javascript:' not in page
    assert "alert(666)" in page
    assert "<b>in bold</b>" in page


def test_seeds_and_the_secret_are_in_no_file_but_their_own(graded: tuple) -> None:
    root = graded[0]
    secret = (root / ".course-secret").read_text().strip()
    for step in ("autograded", "feedback", "release"):
        for path in (root / step).rglob("*"):
            assert not path.is_file() or secret not in path.read_text(errors="replace")


def test_plain_nbgrader_gives_the_same_scores(graded: tuple, tmp_path: Path) -> None:
    root, grades = graded
    names = ["good", "corrupt", "edited-checks", "deleted-checks", "exits", "link", "link-beside"]
    twin = tmp_path / "twin"
    twin.mkdir()
    for name in ("source", "release"):
        shutil.copytree(root / name, twin / name)
    for name in ("nbgrader_config.py", ".course-secret", "gradebook.db"):
        shutil.copy(root / name, twin / name)
    for name in names:
        if name in CASES:
            fixture.submit(twin, name, CASES[name][0])
    (twin / "submitted" / "link-beside" / fixture.NAME).mkdir(parents=True)
    (twin / "submitted" / "link" / fixture.NAME).mkdir(parents=True)
    notebook = f"{fixture.NOTEBOOK}.ipynb"
    (twin / "submitted" / "link" / fixture.NAME / notebook).symlink_to(
        twin / "source" / fixture.NAME / notebook
    )
    (twin / "submitted" / "link-beside" / fixture.NAME / notebook).write_text(_tree())
    (twin / "submitted" / "link-beside" / fixture.NAME / "d.csv").symlink_to(
        twin / ".course-secret"
    )
    _forget_grades(twin)
    done = subprocess.run(
        [Path(sys.executable).with_name("nbgrader"), "autograde", fixture.NAME],
        cwd=twin, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert _scores(twin, names) == {name: grades[name].points for name in names}
    assert not list((twin / "autograded").rglob("d.csv"))


def test_the_formgrader_s_call_inside_a_running_loop_gives_the_same_scores(graded: tuple) -> None:
    root, grades = graded

    async def press_the_button() -> dict:
        with open_course(load_config(root, unsafe=False)) as nbgrader:
            return nbgrader.autograde(fixture.NAME, "good", force=True)

    assert asyncio.run(press_the_button())["success"]
    assert _scores(root, ["good"]) == {"good": grades["good"].points}


def test_grading_again_keeps_the_scores_and_one_student_can_be_chosen(graded: tuple) -> None:
    root, grades = graded
    summary = api.grade(fixture.MONTH, course_dir=root, student="good", progress=False)
    assert [g.points for g in summary.grades] == [grades["good"].points]


def test_an_unknown_student_is_named(graded: tuple) -> None:
    with pytest.raises(CourseError, match="nobody-known handed in nothing"):
        api.grade(fixture.MONTH, course_dir=graded[0], student="nobody-known", progress=False)


def test_without_a_sandbox_grading_refuses_and_says_why(
    graded: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "sandbox_available", lambda: (False, "no bubblewrap here"))
    with pytest.raises(CourseError, match=r"no bubblewrap here.*--unsafe"):
        api.grade(fixture.MONTH, course_dir=graded[0], progress=False)


def test_unsafe_grading_gives_the_same_scores(graded: tuple) -> None:
    root, grades = graded
    summary = api.grade(fixture.MONTH, course_dir=root, student="good", unsafe=True, progress=False)
    assert [g.points for g in summary.grades] == [grades["good"].points]


def _forget_grades(root: Path) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root}/gradebook.db", "aiops") as gradebook:
        for student in gradebook.students:
            gradebook.remove_student(student.id)


def _scores(root: Path, names: list[str]) -> dict[str, dict[str, float]]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{root}/gradebook.db", "aiops") as gradebook:
        return {
            name: {
                grade.name.removeprefix("check-"): grade.score
                for grade in gradebook.find_submission_notebook(
                    fixture.NOTEBOOK, fixture.NAME, name
                ).grades
            }
            for name in names
        }

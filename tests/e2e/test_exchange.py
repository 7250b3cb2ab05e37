"""One assignment through nbgrader's exchange, from the release to the page a student reads.

Two students take part. One solves everything; the other solves nothing and hands in markup.
All commands are nbgrader's own, run with homes and temporary folders of their own.
"""

from __future__ import annotations

import html
import inspect
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import fixture_course as fixture
import nbformat
import pytest

from course.grading.hidden import HiddenCases
from course.grading.sandbox import sandbox_available
from course.grading.secret import course_secret
from course.workspace import syllabus
from course.workspace.progress import graded_score
from tests.conftest import require

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STUDENTS = ("good", "hopeless")
ATTACK = "<script>alert(666)</script><img src=x onerror=alert(666)>"
SOLUTIONS = {"double": fixture.DOUBLE, "detect": fixture.DETECT}
WRONG = {"double": f"# {ATTACK}\ndef double(values):\n    return values\n"}

#: Runs nbgrader commands one by one, each in a fork, so that nbgrader is imported once.
RUNNER = """\
import json, os, sys, traceback
import nbgrader.apps, nbgrader.apps.nbgraderapp as app
for folder, home, *arguments in json.load(sys.stdin):
    print("$ nbgrader", *arguments, file=sys.stderr, flush=True)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.chdir(folder)
            os.environ.update(HOME=home, JUPYTER_DATA_DIR=home + "/data")
            sys.argv = ["nbgrader", *arguments]
            app.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        sys.exit(f"exit code {code}")
"""


@dataclass(frozen=True)
class Term:
    """All folders of a small course: instructor, exchange and two students."""

    root: Path

    @property
    def course(self) -> Path:
        """The instructor's course folder."""
        return self.root / "course"

    @property
    def exchange(self) -> Path:
        """What everyone can reach."""
        return self.root / "exchange"

    def workspace(self, student: str) -> Path:
        """A student's folder."""
        return self.root / "home" / student / "workspace"

    def notebook(self, student: str) -> Path:
        """A student's copy of the notebook."""
        return self.workspace(student) / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb"

    def page(self, student: str) -> str:
        """The feedback page that a student fetched."""
        (page,) = (self.workspace(student) / fixture.NAME / "feedback").rglob("*.html")
        return page.read_text(encoding="utf-8")

    def instructor(self, *arguments: str) -> list[str]:
        """A command of the instructor."""
        return [str(self.course), str(self.root / "home" / "instructor"), *arguments]

    def student(self, name: str, *arguments: str) -> list[str]:
        """A command of a student, who has no configuration of the course."""
        folder = self.workspace(name)
        options = [
            f"--student={name}", "--course=aiops", f"--Exchange.root={self.exchange}",
            f"--Exchange.assignment_dir={folder}",
        ]  # fmt: skip
        return [str(folder), str(folder.parent), *arguments, *options]


@pytest.fixture(scope="module")
def term(tmp_path_factory: pytest.TempPathFactory) -> Term:
    """The whole way, once."""
    require(*sandbox_available())
    term = Term(tmp_path_factory.mktemp("term"))
    before = _checkout()
    _set_up(term)
    name = fixture.NAME
    _nbgrader(
        term,
        term.instructor("generate_assignment", name),
        term.instructor("release_assignment", name),
        *(term.student(student, "fetch_assignment", name) for student in STUDENTS),
    )
    _solve(term.notebook("good"), SOLUTIONS)
    _solve(term.notebook("hopeless"), WRONG, more=ATTACK)
    _nbgrader(
        term,
        *(term.student(student, "submit", name) for student in STUDENTS),
        term.instructor("collect", name),
        term.instructor("autograde", name),
        term.instructor("generate_feedback", name),
        term.instructor("release_feedback", name),
        *(term.student(student, "fetch_feedback", name) for student in STUDENTS),
    )
    assert _checkout() == before, "the checkout was changed"
    return term


def test_the_release_in_the_exchange_has_stubs_and_nothing_else(term: Term) -> None:
    outbound = term.exchange / "aiops" / "outbound" / fixture.NAME
    assert [path.name for path in outbound.rglob("*")] == [f"{fixture.NOTEBOOK}.ipynb"]
    text = (outbound / f"{fixture.NOTEBOOK}.ipynb").read_text()
    assert text.count("raise NotImplementedError") == 2
    assert "values.median()" not in text


def test_collected_is_what_was_handed_in(term: Term) -> None:
    for student in STUDENTS:
        collected = term.course / "submitted" / student / fixture.NAME
        assert {path.name for path in collected.iterdir()} == {
            f"{fixture.NOTEBOOK}.ipynb", "timestamp.txt", "submission_secret.txt",
        }  # fmt: skip
        handed_in = term.notebook(student).read_bytes()
        assert (collected / f"{fixture.NOTEBOOK}.ipynb").read_bytes() == handed_in


@pytest.mark.parametrize(
    ("student", "points"),
    [("good", {"double": 10, "detect": 20}), ("hopeless", {"double": 0, "detect": 0})],
)
def test_the_gradebook_has_the_points(term: Term, student: str, points: dict) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{term.course}/gradebook.db", "aiops") as gradebook:
        submission = gradebook.find_submission(fixture.NAME, student)
        assert (submission.score, submission.max_score) == (sum(points.values()), 30)
        assert not submission.needs_manual_grade
        (notebook,) = submission.notebooks
        assert {grade.name: grade.score for grade in notebook.grades} == {
            f"check-{exercise}": value for exercise, value in points.items()
        }
        assert {student.id for student in gradebook.students} == set(STUDENTS)


@pytest.mark.parametrize(("student", "points"), [("good", 30.0), ("hopeless", 0.0)])
def test_a_student_reads_the_points_on_a_page_and_in_course_progress(
    term: Term, student: str, points: float
) -> None:
    assert f"(Score: {points} / 30.0)" in term.page(student)
    month = syllabus.Month(99, fixture.NAME, fixture.NOTEBOOK, "", "", ())
    assert graded_score(term.workspace(student), month) == (points, 30.0)


def test_the_page_says_what_went_well_and_what_went_wrong(term: Term) -> None:
    assert "not the double" in term.page("hopeless")
    assert "NotImplementedError" in term.page("hopeless")
    assert "not the double" not in term.page("good")
    assert "NotImplementedError" not in term.page("good")


@pytest.mark.parametrize("student", STUDENTS)
def test_a_page_shows_no_hidden_value_and_no_line_of_a_check(term: Term, student: str) -> None:
    page = html.unescape(term.page(student))
    assert len(_hidden_texts(term)) > 20
    found = [secret for secret in _hidden_texts(term) if secret in page]
    assert found == []


def test_a_page_of_the_hopeless_shows_no_solution(term: Term) -> None:
    page = html.unescape(term.page("hopeless"))
    assert "values.median()" not in page
    assert "SOLUTION" not in page


def test_nothing_that_a_student_wrote_is_active_on_a_page(term: Term) -> None:
    page = _Page()
    page.feed(term.page("hopeless"))
    page.close()
    assert page.active == []
    assert "alert(666)" in page.text


def test_the_search_for_active_parts_would_find_one() -> None:
    page = _Page()
    page.feed(ATTACK + "<a href='javascript:alert(666)'>x</a>")
    page.close()
    assert len(page.active) == 3


def test_no_hidden_value_is_in_reach_of_students(term: Term) -> None:
    secrets = [secret.encode() for secret in _hidden_texts(term)]
    for folder in (term.exchange, term.root / "home"):
        for path in (path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def test_nothing_is_left_outside_of_the_folders_of_the_term(term: Term) -> None:
    assert list((term.root / "tmp").iterdir()) == []
    assert {path.name for path in term.root.iterdir()} == {
        "cache", "course", "exchange", "home", "tmp",
    }  # fmt: skip
    assert (term.course / "gradebook.db").is_file()


# --- helpers ----------------------------------------------------------------------------------


def _set_up(term: Term) -> None:
    for folder in ("course", "exchange", "home/instructor", "tmp", "cache"):
        (term.root / folder).mkdir(parents=True)
    for student in STUDENTS:
        term.workspace(student).mkdir(parents=True)
    term.exchange.chmod(0o777)
    fixture.make_course(term.course)
    shutil.rmtree(term.course / "release")
    with (term.course / "nbgrader_config.py").open("a") as file:
        # All students of this test are one user of the machine.
        file.write(
            f"c.Exchange.root = {str(term.exchange)!r}\nc.ExchangeCollect.check_owner = False\n"
        )


def _nbgrader(term: Term, *commands: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(commands), cwd=term.root, capture_output=True, text=True, timeout=300,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(term.root / "tmp"),
            "COURSE_CACHE": str(term.root / "cache"),
            "JUPYTER_RUNTIME_DIR": str(term.root / "home" / "runtime"),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def _solve(path: Path, answers: dict[str, str], more: str = "") -> None:
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
    if more:
        notebook.cells += [
            nbformat.v4.new_markdown_cell(more),
            nbformat.v4.new_code_cell(
                f"from IPython.display import HTML, display\ndisplay(HTML({more!r}))\nprint({more!r})"
            ),
        ]
    nbformat.write(notebook, path)


def _hidden_texts(term: Term) -> list[str]:
    """The secret, the seeds, drawn values, and every longer line of the checks' code."""
    hidden = HiddenCases(course_secret(term.course), version="")
    values, _ = fixture._spikes(hidden.seed("detect"))
    lines = "".join(map(inspect.getsource, fixture.CHECKS.values())).splitlines()
    return [
        (term.course / ".course-secret").read_text().strip(),
        *(str(hidden.seed(name)) for name in fixture.CHECKS),
        *(f"{value:.4f}" for value in values[values > 20]),
        *(line.strip() for line in lines if len(line.strip()) > 30),
    ]


def _checkout() -> str:
    """The state of this checkout: what git sees, and whether a gradebook is there."""
    seen = [str((ROOT / name).exists()) for name in ("gradebook.db", ".course-secret")]
    if shutil.which("git") and (ROOT / ".git").exists():
        for command in (["status", "--porcelain"], ["diff"]):
            done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
            seen.append(done.stdout)
    return "\n".join(seen)


class _Page(HTMLParser):
    """Collects what a browser would run, as far as it holds the students' mark."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []
        self.text = ""
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag in {"script", "style", "iframe", "object"}
        self.active += [
            f"{tag} {name}={value}" for name, value in attrs if value and "alert(666)" in value
        ]

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if not self._script:
            self.text += data
        elif "alert(666)" in data:
            self.active.append(data)

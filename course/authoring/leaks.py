"""Proof that a release and a student's archive give nothing away."""

from __future__ import annotations

import ast
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import nbformat
from nbformat import NotebookNode

from course.authoring.notebook import (
    grade_metadata,
    is_check,
    is_solution,
    is_task,
    read_lesson,
)
from course.lessons import Month, check_files, wrong_answer_files

#: A line of a solution tells something if it has at least this many characters, blanks left out.
TELLING_SOLUTION = 20
#: The same for lines of checks and wrong answers, which share idioms with any code.
TELLING_CHECK = 40

_MARKER = re.compile(
    r"\b(BEGIN|END)[ _-]*(HIDDEN|SOLUTIONS?|MARK[ _-]*SCHEME|TESTS?\b)|\bHIDDEN[ _-]*TESTS?\b",
    re.IGNORECASE,
)
_SOLUTION = re.compile(r"BEGIN SOLUTION(.*?)END SOLUTION", re.DOTALL)
_SCHEME = re.compile(r"BEGIN MARK SCHEME(.*?)END MARK SCHEME", re.DOTALL)
_MACHINE_PATH = re.compile(
    r"/home/\w|/Users/\w|/root/|[A-Z]:\\+Users\\|ipykernel_\d+|course-(?:build|release)-\w"
)
_PERCENT_CELL = re.compile(r"^# %%( |$)", re.MULTILINE)
_FORBIDDEN_NAMES = {"lesson.py", "checks.py", "wrong_answers.py", "gradebook.db", ".course-secret"}
_FORBIDDEN_FOLDERS = {"lessons", "grading", "authoring", "source", "autograded", "tests"}
_PLAIN_ASSETS = {".ipynb", ".png", ".svg", ".csv", ".json", ".parquet"}


@dataclass(frozen=True)
class Secrets:
    """The lines that must not reach a student, blanks left out, by where they come from."""

    lines: Mapping[str, str] = field(default_factory=dict)

    def found_in(self, text: str) -> list[str]:
        """Say which secret lines stand in a text: one message for each."""
        return [
            f"has a line of {self.lines[line]}: {original.strip()[:70]!r}"
            for original in text.splitlines()
            if (line := _squeeze(original)) in self.lines
        ]


def secrets_of(month: Month) -> Secrets:
    """Collect the telling lines of a month's solutions, mark schemes, checks and wrong answers.

    Import lines and signatures are no secret: they stand in the lesson.
    """
    lines: dict[str, str] = {}
    for path in [*check_files(month.path), *wrong_answer_files(month.path)]:
        for line in _telling(path.read_text(encoding="utf-8"), TELLING_CHECK):
            lines[line] = path.relative_to(month.path).as_posix()
    for cell in read_lesson(month.lesson_path).cells:
        for what, hidden in (("solution", _SOLUTION), ("mark scheme", _SCHEME)):
            for block in hidden.findall(cell.source):
                for line in _telling(block, TELLING_SOLUTION):
                    lines[line] = f"the {what} of {cell.id}"
    return Secrets(lines)


def scan_release(files: Mapping[str, bytes], month: Month) -> list[str]:
    """Scan one assignment's release.

    Parameters
    ----------
    files : mapping of str to bytes
        Path below the release folder to content.
    month : Month
        What the release must agree with: exercises, points, the notebook's name.

    Returns
    -------
    list of str
        What is wrong, one line each; empty for a clean release.
    """
    secrets = secrets_of(month)
    expected = f"{month.notebook}.ipynb"
    problems = [] if expected in files else [f"{expected} is missing"]
    for name, content in files.items():
        problems += [f"{name}: {problem}" for problem in _scan_name(name)]
        if PurePosixPath(name).suffix not in _PLAIN_ASSETS:
            problems.append(f"{name}: such a file does not belong in a release")
        if name.endswith(".ipynb"):
            notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
            problems += [f"{name}: {problem}" for problem in _scan_notebook(notebook, secrets)]
            if name == expected:
                problems += [f"{name}: {problem}" for problem in _scan_points(notebook, month)]
        else:
            problems += [f"{name}: {problem}" for problem in _scan_text(content, secrets)]
    return problems


def scan_archive(archive: bytes, months: Iterable[Month], *, name: str = "archive") -> list[str]:
    """Scan a zip file or a wheel, and those inside it, for anything a student must not have.

    Parameters
    ----------
    archive : bytes
        Content of the zip file.
    months : iterable of Month
        Whose secrets to look for.
    name : str
        For messages.

    Returns
    -------
    list of str
        What is wrong, one line each.
    """
    months = tuple(months)
    merged: dict[str, str] = {}
    for month in months:
        merged |= secrets_of(month).lines
    return _scan_zip(archive, Secrets(merged), name)


def _scan_zip(archive: bytes, secrets: Secrets, name: str) -> list[str]:
    problems: list[str] = []
    with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
        for member in zipped.namelist():
            content = zipped.read(member)
            where = f"{name}!{member}"
            found = _scan_name(member)
            if member.endswith((".whl", ".zip")):
                problems += _scan_zip(content, secrets, where)
            elif member.endswith(".ipynb"):
                notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
                found += _scan_notebook(notebook, secrets)
            else:
                found += _scan_text(content, secrets)
            problems += [f"{where}: {problem}" for problem in found]
    return problems


def _scan_name(name: str) -> list[str]:
    parts = PurePosixPath(name).parts
    problems = []
    if parts[-1] in _FORBIDDEN_NAMES:
        problems.append("is a file that only instructors have")
    if _FORBIDDEN_FOLDERS & set(parts[:-1]):
        problems.append("lies in a folder that only instructors have")
    return problems


def _scan_text(content: bytes, secrets: Secrets) -> list[str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return []
    problems = secrets.found_in(text)
    if _MARKER.search(text):
        problems.append(f"has the marker {_MARKER.search(text).group(0)!r}")  # type: ignore[union-attr]
    if _PERCENT_CELL.search(text) or "format_name: percent" in text:
        problems.append("is a text twin of a notebook")
    if _MACHINE_PATH.search(text):
        problems.append(f"has a path of this machine: {_around(_MACHINE_PATH, text)}")
    return problems


def _scan_notebook(notebook: NotebookNode, secrets: Secrets) -> list[str]:
    problems = []
    for cell in notebook.cells:
        found = secrets.found_in(cell.source)
        if marker := _MARKER.search(cell.source):
            found.append(f"has the marker {marker.group(0)!r}")
        if _MACHINE_PATH.search(cell.source):
            found.append(f"has a path of this machine: {_around(_MACHINE_PATH, cell.source)}")
        if cell.get("outputs"):
            found.append("has a stored output")
        if cell.get("execution_count") is not None:
            found.append("has an execution count")
        if cell.cell_type == "code" and is_solution(cell):
            found += _scan_stub(cell.source)
        if (is_check(cell) or is_task(cell)) and not grade_metadata(cell).get("locked"):
            found.append("carries points and is not locked")
        problems += [f"cell {cell.id} {problem}" for problem in found]
    if "jupytext" in notebook.metadata:
        problems.append("is paired with a text twin (jupytext metadata)")
    return problems


def _scan_stub(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [f"is a stub that is no Python: {error}"]
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    problems = [
        f"defines {node.name}, whose stub does not raise NotImplementedError"
        for node in functions
        if not _raises(node)
    ]
    if not functions and not classes and not _raises(tree):
        problems.append("is a stub that does not raise NotImplementedError")
    problems += [
        f"defines {node.name}, of which no method raises NotImplementedError"
        for node in classes
        if not _raises(node)
    ]
    return problems


def _raises(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc)
        for node in ast.walk(tree)
    )


def _scan_points(notebook: NotebookNode, month: Month) -> list[str]:
    solutions = [grade_metadata(cell)["grade_id"] for cell in notebook.cells if is_solution(cell)]
    points = _points_of(notebook, is_check)
    wanted = {exercise.check_id: exercise.points for exercise in month.exercises}
    problems = _differing_points("exercise", "check", points, wanted)
    ids = [exercise.id for exercise in month.exercises]
    problems += [f"exercise {id_} has no solution cell" for id_ in ids if id_ not in solutions]
    by_hand = {grade_metadata(cell)["grade_id"] for cell in notebook.cells if _by_hand(cell)}
    problems += [
        f"solution cell {id_} is in no curriculum"
        for id_ in solutions
        if id_ not in ids and id_ not in by_hand
    ]
    tasks = {task.id: task.points for task in month.tasks}
    problems += _differing_points("task", "task", _points_of(notebook, is_task), tasks)
    if sum(points.values()) != 100:
        problems.append(f"the points sum to {sum(points.values()):g}, not 100")
    return problems


def _points_of(notebook: NotebookNode, carries: Callable[[NotebookNode], bool]) -> dict[str, float]:
    """Points by grade_id of the cells that carry them."""
    metas = [grade_metadata(cell) for cell in notebook.cells if carries(cell)]
    return {meta["grade_id"]: float(meta.get("points", 0)) for meta in metas}


def _differing_points(
    whole: str, kind: str, found: dict[str, float], wanted: dict[str, float]
) -> list[str]:
    """How the cells that carry points differ from the curriculum."""
    return [
        *(f"{whole} {id_} has no {kind} cell" for id_ in wanted if id_ not in found),
        *(f"{kind} cell {id_} is in no curriculum" for id_ in found.keys() - wanted),
        *(
            f"{kind} cell {id_} has {found[id_]:g} points, the curriculum {points:g}"
            for id_, points in wanted.items()
            if id_ in found and found[id_] != points
        ),
    ]


def _by_hand(cell: NotebookNode) -> bool:
    meta = grade_metadata(cell)
    return bool(meta.get("solution") and meta.get("grade"))


def _telling(text: str, least: int) -> Iterable[str]:
    for original in text.splitlines():
        line = _squeeze(original)
        if len(line) >= least and not re.match(r"\s*(import|from|def|class|@)\b", original):
            yield line


def _squeeze(line: str) -> str:
    return re.sub(r"[\s#]+", "", line)


def _around(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    assert match
    return repr(text[max(0, match.start() - 10) : match.end() + 20])

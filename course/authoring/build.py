"""Build what has changed: lesson → source notebook with outputs → release → leak scan.

Beside each source folder stands `<assignment>.build.json` with what the outputs were made
from. It lies outside the folder because nbgrader copies a folder's other files into the release.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from course._files import sha256, sha256_data, sha256_tree, write_atomic
from course._imports import reached
from course.authoring.execute import CELL_TIMEOUT_S, execute
from course.authoring.leaks import scan_release
from course.authoring.notebook import dump, load, read_lesson, same_cells
from course.authoring.release import make_release
from course.authoring.syllabus import syllabus_text
from course.errors import CourseError
from course.lessons import Month

#: Packages whose version can change an output.
CORE_PACKAGES = (
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "ruptures",
    "scikit-learn",
    "scipy",
    "statsmodels",
)
_MOST_BYTES = 3_000_000
_MOST_SECONDS = 25.0


@dataclass(frozen=True)
class Layout:
    """Where a course keeps its parts.

    Parameters
    ----------
    root : Path
        Folder that holds `source/`, `release/` and `data/`.
    package : Path
        The `course` package, whose code the lessons import.
    """

    root: Path
    package: Path = Path(__file__).resolve().parents[1]

    @classmethod
    def of_checkout(cls) -> Layout:
        """The layout of the checkout that this package runs from."""
        package = Path(__file__).resolve().parents[1]
        return cls(package.parent, package)

    def source(self, month: Month) -> Path:
        """Folder of a month's source notebook."""
        return self.root / "source" / month.name

    def release(self, month: Month) -> Path:
        """Folder of a month's release."""
        return self.root / "release" / month.name

    def stamp(self, month: Month) -> Path:
        """File that says what a month was built from."""
        return self.root / "source" / f"{month.name}.build.json"

    @property
    def syllabus(self) -> Path:
        """The curriculum's facts that a student's commands need."""
        return self.package / "workspace" / "syllabus.json"


@dataclass(frozen=True)
class Built:
    """What a build did for one month."""

    month: Month
    seconds: float | None
    source_bytes: int
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        ran = "not run again" if self.seconds is None else f"ran in {self.seconds:.1f} s"
        lines = [f"{self.month.name}: {ran}, {self.source_bytes / 1e6:.2f} MB, no leak"]
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self.warnings)])


def build(
    month: Month,
    layout: Layout,
    *,
    force: bool = False,
    cell_timeout_s: float = CELL_TIMEOUT_S,
    progress: bool = True,
) -> Built:
    """Build one month; nothing is written unless the notebook runs and the release is clean.

    Parameters
    ----------
    month : Month
        What to build.
    layout : Layout
        Where to.
    force : bool
        Run the notebook even if nothing has changed.
    cell_timeout_s : float
        Longest time for one cell, in seconds.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    Built

    Raises
    ------
    CourseError
        The lesson can't be read, a cell fails, nbgrader refuses it, or the release leaks.
    """
    notebook = read_lesson(month.lesson_path)
    key = build_key(month, layout)
    source_file = layout.source(month) / f"{month.notebook}.ipynb"
    seconds = None
    if force or _stale(month, layout, key, notebook):
        seconds = execute(
            notebook, name=month.name, cell_timeout_s=cell_timeout_s, progress=progress
        )
        source_text = dump(notebook)
    else:
        source_text = source_file.read_text(encoding="utf-8")
    files = _release_of(source_text, month, layout)
    problems = scan_release(files, month)
    if problems:
        raise CourseError(_listed(f"the release of {month.name} leaks; nothing written", problems))
    write_atomic(source_file, source_text)
    _write_folder(layout.release(month), files)
    stamp = {"made_from": key, "notebook_sha256": sha256(source_file)}
    write_atomic(layout.stamp(month), json.dumps(stamp, indent=2, sort_keys=True) + "\n")
    return Built(month, seconds, len(source_text.encode()), _warnings(source_text, seconds))


def check(month: Month, layout: Layout) -> list[str]:
    """Say how the files of one month have drifted from its lesson; runs no notebook.

    Returns
    -------
    list of str
        One line a problem with what to run; empty if all is as a build would leave it.
    """
    notebook = read_lesson(month.lesson_path)
    source_file = layout.source(month) / f"{month.notebook}.ipynb"
    remedy = f"run `course build {month.number}`"
    if not source_file.exists():
        return [f"{month.name}: {_shown(source_file, layout)} is missing: {remedy}"]
    problems = [
        f"{_shown(source_file, layout)} is not what {_shown(month.lesson_path, layout)} says: "
        f"{difference}"
        for difference in same_cells(notebook, load(source_file))
    ]
    stamp = _read_stamp(layout.stamp(month))
    problems += _key_differences(stamp.get("made_from", {}), build_key(month, layout))
    if not problems and stamp.get("notebook_sha256") != sha256(source_file):
        problems.append(f"{_shown(source_file, layout)} was changed by hand since it was built")
    files = _release_of(source_file.read_text(encoding="utf-8"), month, layout)
    problems += _folder_differences(layout.release(month), files, layout)
    problems = [f"{month.name}: {problem}: {remedy}" for problem in problems]
    return problems + [f"{month.name}: {leak}" for leak in scan_release(files, month)]


def build_syllabus(months: Iterable[Month], layout: Layout) -> None:
    """Write what a student's commands know about the course."""
    write_atomic(layout.syllabus, syllabus_text(months))


def check_syllabus(months: Iterable[Month], layout: Layout) -> list[str]:
    """Say whether the syllabus in the package differs from the curriculum."""
    path = layout.syllabus
    if path.exists() and path.read_text(encoding="utf-8") == syllabus_text(months):
        return []
    return [f"{_shown(path, layout)} is not what the curriculum says: run `course build`"]


def build_key(month: Month, layout: Layout) -> dict[str, Any]:
    """Hash all that the outputs of a month depend on, part by part.

    Returns
    -------
    dict
        `lesson`, `package` (the parts of it that the lesson imports) and `data` as SHA-256,
        `versions` of core packages by name.
    """
    return {
        "lesson": sha256(month.lesson_path),
        "package": sha256_tree(reached([month.lesson_path], layout.package), layout.package),
        "data": sha256_data(layout.root),
        "versions": {name: _version(name) for name in CORE_PACKAGES},
    }


def _stale(month: Month, layout: Layout, key: dict[str, Any], notebook: NotebookNode) -> bool:
    source_file = layout.source(month) / f"{month.notebook}.ipynb"
    stamp = _read_stamp(layout.stamp(month))
    return (
        stamp.get("made_from") != key
        or not source_file.exists()
        or stamp.get("notebook_sha256") != sha256(source_file)
        or bool(same_cells(notebook, load(source_file)))
    )


def _read_stamp(path: Path) -> dict[str, Any]:
    try:
        stamp = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _key_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    words = {
        "lesson": "the lesson's text",
        "package": "the package code",
        "data": "the data",
    }
    if not old:
        return ["it is not known what its outputs were made from"]
    changed = [
        f"{word} has changed since its outputs were made"
        for part, word in words.items()
        if old.get(part) != new[part]
    ]
    before = old.get("versions", {})
    return changed + [
        f"its outputs were made with {name} {before.get(name)}, here is {found}"
        for name, found in new["versions"].items()
        if before.get(name) != found
    ]


def _release_of(source_text: str, month: Month, layout: Layout) -> dict[str, bytes]:
    """Make the release from a source text and the folder's other files."""
    with tempfile.TemporaryDirectory(prefix="course-source-") as folder:
        staged = Path(folder) / month.name
        if layout.source(month).is_dir():
            shutil.copytree(layout.source(month), staged)
        staged.mkdir(exist_ok=True)
        (staged / f"{month.notebook}.ipynb").write_text(source_text, encoding="utf-8")
        return make_release(staged, month.name)


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        if not (folder / name).exists() or (folder / name).read_bytes() != content:
            write_atomic(folder / name, content)


def _folder_differences(folder: Path, files: dict[str, bytes], layout: Layout) -> list[str]:
    there = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()
    }
    return [
        *(f"{_shown(folder / name, layout)} is missing" for name in files if name not in there),
        *(f"{_shown(there[name], layout)} is extra" for name in there if name not in files),
        *(
            f"{_shown(path, layout)} is not the release of its source"
            for name, path in there.items()
            if name in files and path.read_bytes() != files[name]
        ),
    ]


def _warnings(source_text: str, seconds: float | None) -> tuple[str, ...]:
    size = len(source_text.encode())
    found = []
    if size > _MOST_BYTES:
        found.append(f"the notebook is {size / 1e6:.1f} MB: draw fewer or smaller charts")
    if seconds is not None and seconds > _MOST_SECONDS:
        found.append(f"the notebook took {seconds:.0f} s; a month should run in {_MOST_SECONDS:g}")
    return tuple(found)


def _shown(path: Path, layout: Layout) -> str:
    return (
        path.relative_to(layout.root).as_posix() if path.is_relative_to(layout.root) else path.name
    )


def _listed(head: str, problems: list[str]) -> str:
    return "\n".join([f"{head}:", *(f"  {problem}" for problem in problems)])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

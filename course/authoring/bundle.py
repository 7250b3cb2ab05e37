"""What a student gets: one zip with a wheel, the released notebooks and how to start."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from course import __version__
from course._files import write_atomic
from course.authoring.build import Layout
from course.authoring.leaks import scan_archive
from course.errors import CourseError
from course.lessons import Month

#: Parts of `course` that a student's wheel holds; anything new stays out until it is named here.
STUDENT_PARTS = (
    "__init__.py",
    "_files.py",
    "_lean.py",
    "cli.py",
    "errors.py",
    "field",
    "plots.py",
    "scoring",
    "shop",
    "telemetry",
    "testbed",
    "workspace",
)
_FIXED_TIME = (2020, 1, 1, 0, 0, 0)
_START = """\
# Start

You need Python 3.11 or newer and about 1 GB of disk.

    python3 -m venv aiops
    aiops/bin/python -m pip install --constraint constraints.txt {wheel}
    aiops/bin/course lab

On Windows write `aiops\\Scripts\\` for `aiops/bin/`. With conda:

    conda env create -f environment.yml
    conda activate aiops-course
    pip install --no-deps {wheel}

`course lab` copies the notebooks into the folder `workspace` and opens JupyterLab. Your work is
never overwritten: a newer version of a notebook that you have changed is put beside it.

| command | what it does |
|---|---|
| `course lab` | open JupyterLab; the Validate button runs the visible checks of a notebook |
| `course check 3` | run the visible checks of month 3 and say what each exercise still lacks |
| `course progress` | what you have passed so far |
| `course data list` | the data sets that the lessons use |

Hand in the notebook itself, under its own name. Keep its cells: you may add cells, but a deleted
exercise counts nothing. The folder `release` holds the notebooks once more, as they were given out.
"""


def bundle(layout: Layout, months: Iterable[Month], out: Path | None = None) -> Path:
    """Build the student's zip file and scan it for anything a student must not have.

    Parameters
    ----------
    layout : Layout
        The checkout; its releases must be built.
    months : iterable of Month
        What to pack.
    out : Path, optional
        Target file, or a folder for it; by default below `dist/`.

    Returns
    -------
    Path
        The zip file; the same content gives the same bytes.

    Raises
    ------
    CourseError
        A release is missing, the wheel can't be built, or the archive leaks: nothing is written.
    """
    months = tuple(months)
    name = f"aiops-course-student-{__version__}.zip"
    target = out or layout.root / "dist" / name
    if target.is_dir():
        target = target / name
    with tempfile.TemporaryDirectory(prefix="course-bundle-") as folder:
        wheel = build_wheel(layout, months, Path(folder))
        members = {
            wheel.name: wheel.read_bytes(),
            "START.md": _START.format(wheel=wheel.name).encode(),
            **{
                name: (layout.root / name).read_bytes()
                for name in ("constraints.txt", "environment.yml", "LICENSE", "LICENSE-CONTENT")
            },
            **_released(layout, months),
        }
    archive = _zip(members)
    problems = scan_archive(archive, months, name=target.name)
    if problems:
        raise CourseError(
            "\n".join(["the student's archive leaks; nothing written:", *map(_indent, problems)])
        )
    write_atomic(target, archive)
    return target


def build_wheel(layout: Layout, months: Iterable[Month], folder: Path) -> Path:
    """Build the student's wheel below `folder`; data and releases lie inside the package.

    Raises
    ------
    CourseError
        hatchling failed; the message has its output.
    """
    months = tuple(months)
    stage = folder / "stage"
    package = stage / "course"
    package.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for part in STUDENT_PARTS:
        source = layout.package / part
        if source.is_dir():
            shutil.copytree(source, package / part, ignore=ignore)
        elif source.exists():
            shutil.copy2(source, package / part)
    shutil.copytree(layout.root / "data", package / "data", ignore=ignore)
    for name, content in _released(layout, months).items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_bytes(content)
    for name in ("LICENSE", "LICENSE-CONTENT"):
        shutil.copy2(layout.root / name, stage / name)
    (stage / "pyproject.toml").write_text(
        _student_pyproject(layout.root / "pyproject.toml"), encoding="utf-8"
    )
    made = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        cwd=stage,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise CourseError(f"hatchling can't build the student's wheel:\n{made.stderr.strip()}")
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def _released(layout: Layout, months: tuple[Month, ...]) -> dict[str, bytes]:
    files = {}
    for month in months:
        folder = layout.release(month)
        if not (folder / f"{month.notebook}.ipynb").is_file():
            raise CourseError(f"{month.name} has no release: run `course build {month.number}`")
        for path in sorted(folder.rglob("*")):
            if path.is_file() and ".ipynb_checkpoints" not in path.parts:
                files[f"release/{month.name}/{path.relative_to(folder).as_posix()}"] = (
                    path.read_bytes()
                )
    return files


def _student_pyproject(path: Path) -> str:
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = {
        name: wanted
        for name, wanted in project.get("optional-dependencies", {}).items()
        if name != "dev"
    }
    lines = [
        "[build-system]",
        'requires = ["hatchling"]',
        'build-backend = "hatchling.build"',
        "[project]",
        *(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in {
                "name": project["name"],
                "version": __version__,
                "description": project["description"],
                "requires-python": project["requires-python"],
                "license": project["license"],
                "license-files": project["license-files"],
                "dependencies": project["dependencies"],
            }.items()
        ),
        "[project.optional-dependencies]",
        *(f"{name} = {json.dumps(wanted)}" for name, wanted in extras.items()),
        "[project.scripts]",
        'course = "course.cli:main"',
        "[tool.hatch.build.targets.wheel]",
        'packages = ["course"]',
    ]
    return "\n".join(lines) + "\n"


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in sorted(members.items()):
            info = zipfile.ZipInfo(f"aiops-course/{name}", _FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            zipped.writestr(info, content)
    return buffer.getvalue()


def _indent(line: str) -> str:
    return f"  {line}"

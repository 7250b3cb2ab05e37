"""The student's wheel is whole: all that it holds can be imported from it alone."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import course
from course.authoring import bundle
from course.authoring.build import Layout
from course.lessons import months

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, {place!r})
import course
assert course.__file__.startswith({place!r}), course.__file__
for module in pkgutil.walk_packages(course.__path__, "course."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
loaded = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "course" and m.__file__]
assert all(f.startswith({place!r}) for f in loaded), loaded
print(len(loaded))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    package = Path(course.__file__).parent
    wheel = bundle.build_wheel(Layout(package.parent, package), months(), folder)
    place = folder / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


def test_every_module_of_the_wheel_can_be_imported_from_it(unpacked: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL.format(place=str(unpacked))],
        cwd=unpacked, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout) > 50


def test_it_holds_neither_lessons_nor_graders(unpacked: Path) -> None:
    found = {path.name for path in (unpacked / "course").iterdir()}
    assert {"lessons", "grading", "authoring"}.isdisjoint(found)
    assert {"data", "shop", "workspace"} <= found

"""A tiny month with one exercise, built in a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from course.authoring.build import Layout, build
from course.lessons import Exercise, Month

LESSON = '''# %% [markdown]
# # A tiny month

# %%
import matplotlib.pyplot as plt

import course

print("ready")

# %% [markdown]
# Write `double`, which doubles a number.

# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "schema_version": 3, "solution": true, "task": false}
def double(value: float) -> float:
    """Return twice the value."""
    ### BEGIN SOLUTION
    twice_the_value = value + value
    return twice_the_value
    ### END SOLUTION


# %% tags=["demo"]
plt.plot([double(value) for value in range(5)])
plt.show()

# %% nbgrader={"grade": true, "grade_id": "check-double", "locked": true, "points": 100, "schema_version": 3, "solution": false, "task": false}
assert double(2) == 4, f"double(2) should be 4, got {double(2)}"
'''

CHECKS = '''"""Hidden checks of the tiny month."""

SECRET_EXPECTATION_OF_THE_TINY_MONTH = {"double": [(3.5, 7.0), (-1.0, -2.0)]}
'''


@dataclass(frozen=True)
class Tiny:
    """The tiny month and where it is built."""

    month: Month
    layout: Layout

    @property
    def source(self) -> Path:
        """The source notebook."""
        return self.layout.source(self.month) / f"{self.month.notebook}.ipynb"

    @property
    def release(self) -> Path:
        """The released notebook."""
        return self.layout.release(self.month) / f"{self.month.notebook}.ipynb"

    def rewrite(self, old: str, new: str) -> None:
        """Change the lesson's text."""
        text = self.month.lesson_path.read_text(encoding="utf-8")
        assert old in text
        self.month.lesson_path.write_text(text.replace(old, new), encoding="utf-8")


def make_tiny(root: Path) -> Tiny:
    """Write the tiny month's files below `root`."""
    folder = root / "lessons"
    folder.mkdir(parents=True)
    (folder / "lesson.py").write_text(LESSON, encoding="utf-8")
    (folder / "checks.py").write_text(CHECKS, encoding="utf-8")
    package = root / "course"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (root / "data").mkdir()
    (root / "data" / "set.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    month = Month(
        number=99,
        name="month-99-tiny",
        folder=str(folder),
        notebook="tiny",
        title="A tiny month",
        phase="Tests",
        hours="0",
        objectives=(),
        milestone="can double",
        exercises=(Exercise("double", "Double", 100, ("double",), 5, ()),),
    )
    return Tiny(month, Layout(root, package))


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """A tiny month that is not built."""
    return make_tiny(tmp_path)


@pytest.fixture(scope="module")
def _built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tiny = make_tiny(tmp_path_factory.mktemp("built"))
    build(tiny.month, tiny.layout, progress=False)
    return tiny.layout.root


@pytest.fixture
def built(_built_once: Path, tmp_path: Path) -> Tiny:
    """A copy of a built tiny month, to change at will."""
    import shutil

    shutil.copytree(_built_once, tmp_path / "course-root")
    root = tmp_path / "course-root"
    month = make_tiny(tmp_path / "unused").month
    return Tiny(
        Month(**{**month.__dict__, "folder": str(root / "lessons")}), Layout(root, root / "course")
    )

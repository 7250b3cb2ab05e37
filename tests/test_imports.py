"""The files of a package that a text depends on."""

from pathlib import Path

import pytest

from course._imports import libraries, reached

FILES = {
    "__init__.py": "",
    "plain.py": "import json\n",
    "chain.py": "from pkg.deep import leaf\n",
    "late.py": "def f():\n    import pkg.plain\n",
    "relative.py": "from . import plain\nfrom .deep.leaf import x\n",
    "round.py": "import pkg.trip\n",
    "trip.py": "import pkg.round\n",
    "deep/__init__.py": "",
    "deep/leaf.py": "x = 1\n",
    "deep/other.py": "",
    "deep/table.toml": "",
    "deep/card.md": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "pkg"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("import os, numpy.linalg", []),
        ("import pkg", ["__init__.py"]),
        ("from pkg import plain", ["__init__.py", "plain.py"]),
        ("from pkg import nothing_there", ["__init__.py"]),
        (
            "from pkg.chain import leaf",
            ["__init__.py", "chain.py", "deep/__init__.py", "deep/leaf.py", "deep/table.toml"],
        ),
        ("import pkg.late", ["__init__.py", "late.py", "plain.py"]),
        ("import pkg.round", ["__init__.py", "round.py", "trip.py"]),
        (
            "import pkg.relative",
            ["__init__.py", "deep/__init__.py", "deep/leaf.py", "deep/table.toml", "plain.py",
             "relative.py"],
        ),
    ],
)  # fmt: skip
def test_imports_are_followed_to_their_end(
    package: Path, tmp_path: Path, text: str, files: list[str]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    found = [path.relative_to(package).as_posix() for path in reached([script], package)]
    assert found == files


def test_a_changed_file_is_read_again(package: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import pkg.plain", encoding="utf-8")
    before = reached([script], package)
    (package / "plain.py").write_text("import pkg.trip, json, os\n", encoding="utf-8")
    assert {path.name for path in reached([script], package)} - {p.name for p in before} == {
        "trip.py",
        "round.py",
    }


def test_a_missing_text_imports_nothing(package: Path, tmp_path: Path) -> None:
    assert reached([tmp_path / "absent.py"], package) == []


def test_libraries_are_what_the_package_does_not_hold(package: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os.path, pkg.plain\nfrom numpy.linalg import norm\n")
    files = [script, package / "relative.py", package / "deep" / "table.toml", tmp_path / "absent"]
    assert libraries(files, package) == ["numpy", "os"]

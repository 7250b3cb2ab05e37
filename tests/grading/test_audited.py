"""What an audit found is on record for exactly what it was found for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from course.grading import audited
from course.grading.audit import AuditReport, Trial
from course.lessons import Month, month


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the audit of month 1 rests on."""
    package = tmp_path / "course"
    ignored = shutil.ignore_patterns("__pycache__", "audit.json")
    shutil.copytree(audited._PACKAGE, package, ignore=ignored)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set.csv").write_text("1\n", encoding="utf-8")
    (tmp_path / "constraints.txt").write_text("numpy==2\n", encoding="utf-8")
    monkeypatch.setattr(audited, "_PACKAGE", package)
    monkeypatch.setattr(Month, "path", property(lambda self: package / "lessons" / self.folder))
    return tmp_path


def _report(share: float = 1.0, seeds: int = 20) -> AuditReport:
    trial = Trial("reference", "reference", "golden-signals", 0, share, {})
    return AuditReport(month(1).name, seeds, 2, [trial])


def _record(share: float = 1.0) -> Path:
    return audited.write(month(1), _report(share), audited.made_from(month(1)))


@pytest.mark.usefixtures("checkout")
def test_what_holds_is_on_record_with_its_tables() -> None:
    assert audited.recorded(month(1)) == 0
    path = _record()
    assert audited.recorded(month(1)) == 20
    assert any("golden-signals" in line for line in json.loads(path.read_text())["tables"])


@pytest.mark.usefixtures("checkout")
def test_what_does_not_hold_is_not_recorded() -> None:
    with pytest.raises(ValueError, match="found faults"):
        _record(share=0.5)
    assert audited.recorded(month(1)) == 0


@pytest.mark.parametrize(
    "path",
    [
        "course/lessons/month_01/lesson.py",
        "course/lessons/month_01/checks.py",
        "course/lessons/month_01/wrong_answers.py",
        "course/lessons/checking.py",
        "course/shop/engine.py",
        "course/grading/codec.py",
        "course/grading/agent.py",
        "course/grading/zygote.py",
        "data/set.csv",
    ],
)
def test_a_change_of_what_it_rests_on_ends_it(checkout: Path, path: str) -> None:
    _record()
    with (checkout / path).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert audited.recorded(month(1)) == 0


@pytest.mark.parametrize(
    "path",
    ["course/lessons/month_03/lesson.py", "course/lessons/curriculum.toml", "course/cli.py",
     "course/lessons/README.md", "course/testbed/child.py"],
)  # fmt: skip
def test_a_change_of_something_else_does_not(checkout: Path, path: str) -> None:
    _record()
    with (checkout / path).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert audited.recorded(month(1)) == 20


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("numpy==3", False),  # the lesson imports it
        ("tzdata==2027.1", False),  # pandas needs it through dateutil
        ("networkx==4", True),
        ("a-library-of-another-month==1", True),
    ],
)
def test_of_the_versions_those_count_that_it_imports(
    checkout: Path, line: str, holds: bool
) -> None:
    _record()
    with (checkout / "constraints.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    assert (audited.recorded(month(1)) == 20) is holds


def test_what_changes_during_an_audit_is_not_what_was_audited(checkout: Path) -> None:
    basis = audited.made_from(month(1))
    (checkout / "course/shop/engine.py").open("a", encoding="utf-8").write("\n# changed\n")
    audited.write(month(1), _report(), basis)
    assert audited.recorded(month(1)) == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"made_from": 1}', "\udcff"])
def test_a_record_that_cannot_be_read_is_none(checkout: Path, text: str) -> None:
    path = audited.record_path(month(1))
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert audited.recorded(month(1)) == 0

"""The secret is random, private and never the test's; seeds and cached inputs follow from it."""

from __future__ import annotations

import os
from pathlib import Path

import fixture_course as fixture
import pytest

from course.grading.core import grade_notebook
from course.grading.hidden import HiddenCases
from course.grading.secret import Secret, SecretError, course_secret, test_secret


def test_first_use_makes_a_private_file_and_later_use_reads_it(tmp_path: Path) -> None:
    first, second = course_secret(tmp_path), course_secret(tmp_path)
    assert first.seed("a") == second.seed("a")
    assert (tmp_path / ".course-secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [".course-secret"]


def test_two_courses_have_different_secrets(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert course_secret(tmp_path / "a").seed("x") != course_secret(tmp_path / "b").seed("x")


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    course_secret(tmp_path)
    os.chmod(tmp_path / ".course-secret", 0o640)
    with pytest.raises(SecretError, match="can be read by others.*chmod 600"):
        course_secret(tmp_path)


@pytest.mark.parametrize("text", ["", "zz", "00" * 4])
def test_a_broken_secret_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".course-secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SecretError):
        course_secret(tmp_path)
    assert path.read_text() == text


def test_a_link_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("00" * 16)
    (tmp_path / ".course-secret").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretError):
        course_secret(tmp_path)


def test_seeds_depend_on_the_name_and_the_secret() -> None:
    seeds = {test_secret(n).seed(name) for n in range(5) for name in ("a", "b")}
    assert len(seeds) == 10
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_secret_does_not_show_itself() -> None:
    key = b"0123456789abcdef"
    assert key.hex() not in repr(Secret(key))
    assert "0123456789" not in repr(Secret(key))


def test_grading_refuses_a_test_secret(tmp_path: Path) -> None:
    path = fixture.submit(tmp_path, "ann", fixture.answered())
    with pytest.raises(SecretError, match="test secret"):
        grade_notebook(path, fixture.MONTH, test_secret(), source=fixture.lesson())


def test_inputs_are_made_once_per_secret_and_version(tmp_path: Path) -> None:
    made = []

    def ask(secret: Secret, version: str) -> object:
        cases = HiddenCases(secret, version, tmp_path)
        return cases.cached("history", lambda: made.append(1) or len(made))

    assert ask(test_secret(0), "v1") == ask(test_secret(0), "v1") == 1
    assert ask(test_secret(1), "v1") == 2
    assert ask(test_secret(0), "v2") == 3


def test_a_cache_file_that_the_grader_has_not_signed_is_not_read(tmp_path: Path) -> None:
    HiddenCases(test_secret(0), "v", tmp_path).cached("x", lambda: 1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert HiddenCases(test_secret(0), "v", tmp_path).cached("x", lambda: 2) == 2

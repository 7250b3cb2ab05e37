"""The two environments agree, every version is pinned, and no tracked file says too much."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import require

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MB = 1_000_000


def _named(lines: list[str]) -> dict[str, Requirement]:
    found = [Requirement(line) for line in lines]
    names = [canonicalize_name(requirement.name) for requirement in found]
    assert len(set(names)) == len(names), "named twice"
    return dict(zip(names, found, strict=True))


EXTRAS = PROJECT["optional-dependencies"]
PYPROJECT = _named(
    PROJECT["dependencies"]
    + [line for line in EXTRAS["dev"] if not line.startswith(f"{PROJECT['name']}[")]
    + EXTRAS["testbed"]
)


def _conda() -> dict[str, Requirement]:
    content = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    lines = [item for item in content["dependencies"] if isinstance(item, str)]
    (pip,) = (item["pip"] for item in content["dependencies"] if isinstance(item, dict))
    return _named(lines + pip)


def _pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return _named([line for line in lines if line and not line.startswith("#")])


def test_conda_and_pip_name_the_same_requirements() -> None:
    conda = _conda()
    assert str(conda.pop("python").specifier) == PROJECT["requires-python"]
    conda.pop("pip")
    assert {name: r.specifier for name, r in conda.items()} == {
        name: r.specifier for name, r in PYPROJECT.items()
    }


def test_every_requirement_has_one_exact_version_that_it_allows() -> None:
    pins = _pins()
    assert PYPROJECT.keys() - pins.keys() == set()
    for name, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert "*" not in exact.version
        assert name not in PYPROJECT or PYPROJECT[name].specifier.contains(exact.version)


@pytest.mark.skipif(sys.platform != "linux", reason="constraints.txt was resolved under Linux")
def test_what_the_requirements_need_in_turn_is_pinned_too() -> None:
    assert sorted(_closure() - _pins().keys()) == []


def _closure() -> set[str]:
    """Names of all that is installed for the requirements here."""
    seen: set[tuple[str, str]] = set()
    waiting = [(name, extra) for name, r in PYPROJECT.items() for extra in ("", *r.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for needed in map(Requirement, lines):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                needed_name = canonicalize_name(needed.name)
                waiting += [(needed_name, more) for more in ("", *needed.extras)]
    return {name for name, _ in seen}


@cache
def _tracked() -> tuple[Path, ...]:
    require(shutil.which("git") and (ROOT / ".git").exists(), "this is no git checkout")
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    paths = (ROOT / name for name in done.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


@cache
def _texts() -> dict[str, str]:
    """Text of every tracked file that is text, compressed ones unpacked, but for this one."""
    found = {}
    for path in _tracked():
        if path == Path(__file__).resolve():
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        try:
            found[path.relative_to(ROOT).as_posix()] = content.decode("utf-8")
        except UnicodeDecodeError:
            continue
    return found


FORBIDDEN = {
    "path of a machine": r"(?<![\w.])/(?:home|root|Users|work)/[\w.]+|[A-Z]:\\+Users\\",
    "package index of its own": r"(?:extra-|--)index-url|trusted-host\b|\bPIP_INDEX"
    r"|\b(?:artifactory|nexus|devpi|verdaccio)\b|https?://(?:\w[\w-]*\.)*(?:registry|mirrors?|proxy)\.",
    "address in a private network": r"(?<![\d.])(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}"
    r"|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})(?![\d.])",
    "e-mail address": r"[\w.+-]+@(?!example\.)[\w-]+\.[A-Za-z]{2,}\b",
    "login in an address": r"[a-z]+://[^\s/:@\"'{}<>]+:[^\s/:@\"'{}<>]+@",
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "token": r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{36}|github_pat_\w{22}|xox[abprs]-[\w-]{10}"
    r"|sk-[A-Za-z0-9]{32}|glpat-[\w-]{20}|pypi-[\w-]{50}|AIza[\w-]{35})",
}
#: Homes that exist nowhere: the sandbox's own, and what the tests of the leak scan plant.
HARMLESS = {"/home/student", "/home/ada", "/root/course"}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds_a(what: str) -> None:
    found = [
        f"{name}: {match}"
        for name, text in _texts().items()
        for match in _matches(FORBIDDEN[what], text)
        if match not in HARMLESS
    ]
    assert found == []


def _matches(pattern: str, text: str) -> Iterator[str]:
    return (match.group(0) for match in re.finditer(pattern, text))


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("path of a machine", "open('/home/bob/x')"),
        ("path of a machine", "C:\\Users\\bob"),
        ("package index of its own", "https://registry.company.net/simple"),
        ("package index of its own", "pip install --index-url x"),
        ("address in a private network", "http://10.1.2.3:8080"),
        ("e-mail address", "ada@lovelace.org"),
        ("login in an address", "https://ada:secret@host/"),
        ("private key", "-----BEGIN RSA PRIVATE KEY-----"),
        ("token", "ghp_" + "a" * 36),
    ],
)
def test_the_search_would_find_a(what: str, text: str) -> None:
    assert list(_matches(FORBIDDEN[what], text))


def test_no_tracked_file_is_large() -> None:
    large = [path.name for path in _tracked() if path.stat().st_size > 20 * MB]
    assert large == []


def test_the_embedded_data_is_small() -> None:
    total = sum(path.stat().st_size for path in _tracked() if ROOT / "data" in path.parents)
    assert 0 < total < 40 * MB

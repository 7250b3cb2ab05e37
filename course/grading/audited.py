"""What an audit has found, kept beside the lesson together with what it was found for.

A full audit of a month takes minutes. Its tables hold as long as nothing that it rests on
changes: the lesson, its checks and wrong answers, the parts of the package that these import, the
grading itself, the data and the versions of the libraries that all these import. `course audit --record` writes the
tables and a hash of all that; the tests audit anew each month whose hash is another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import course
from course._files import sha256_data, sha256_tree, write_atomic
from course._imports import libraries, reached
from course.grading.audit import AuditReport
from course.lessons import Month, check_files, wrong_answer_files

_PACKAGE = Path(course.__file__).resolve().parent
# Besides what the audit imports: what runs in the sandbox, and is read there as text.
_WITHIN = ("agent.py", "codec.py", "launch.py", "withheld.py", "zygote.py")


def record_path(month: Month) -> Path:
    """Where the record of a month stands."""
    return month.path / "audit.json"


def write(month: Month, report: AuditReport, basis: str) -> Path:
    """Write down an audit in which everything held.

    Parameters
    ----------
    month : Month
    report : AuditReport
    basis : str
        `made_from` of the month when the audit began.

    Raises
    ------
    ValueError
        The report has faults: there is nothing to keep.
    """
    if not report.ok:
        raise ValueError(f"the audit of {month.name} found faults; it is not recorded")
    content = {
        "made_from": basis,
        "secrets": report.seeds,
        "secrets_of_other_answers": report.wrong_seeds,
        "tables": report.tables.splitlines(),
    }
    path = record_path(month)
    write_atomic(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def recorded(month: Month) -> int:
    """Under how many secrets the month, just as it is now, is on record to hold; 0 if it is not."""
    try:
        content = json.loads(record_path(month).read_text(encoding="utf-8"))
        current = content["made_from"] == made_from(month)
        return int(content["secrets"]) if current else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def made_from(month: Month) -> str:
    """Hash of all that an audit of a month rests on."""
    own = [month.lesson_path, *check_files(month.path), *wrong_answer_files(month.path)]
    grading = _PACKAGE / "grading"
    within = [grading / name for name in _WITHIN]
    # The curriculum describes all months: what it says of this one is hashed instead.
    left_out = {record_path(month), _PACKAGE / "lessons" / "curriculum.toml"}
    package = set(reached([*own, *within, grading / "audit.py"], _PACKAGE)) - left_out
    digest = hashlib.sha256(repr(month).encode())
    digest.update(sha256_tree(sorted({*package, *own, *within}), _PACKAGE).encode())
    root = _PACKAGE.parent
    digest.update(sha256_data(root).encode())
    digest.update("\n".join(_versions({*package, *own, *within}, root)).encode())
    return digest.hexdigest()


def _versions(files: Iterable[Path], root: Path) -> list[str]:
    """Lines of the constraints for the libraries that files import, and for what these require."""
    constraints = root / "constraints.txt"
    if not constraints.is_file():
        return ["absent"]
    providers = _providers()
    pending = [name for top in libraries(files, _PACKAGE) for name in providers.get(top, [])]
    wanted: set[str] = set()
    while pending:
        name = canonicalize_name(pending.pop())
        if name not in wanted:
            wanted.add(name)
            pending += _requires(name)
    lines = constraints.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if canonicalize_name(line.partition("==")[0].strip()) in wanted]


@cache
def _providers() -> Mapping[str, list[str]]:
    """Import name -> the installed distributions that bring it."""
    return metadata.packages_distributions()


@cache
def _requires(name: str) -> list[str]:
    """What an installed distribution requires here, without its extras."""
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    found = [Requirement(text) for text in texts]
    return [r.name for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]

"""Bring released files into a workspace without ever overwriting a student's work.

The manifest `.course/manifest.json` holds, for each file, the hash of what was put there. A
file that still has that hash is untouched and may be updated, after a backup. Any other file
is the student's: a new version is written beside it.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from course._files import sha256, write_atomic
from course.errors import CourseError

Action = Literal["new", "same", "updated", "kept", "beside"]


@dataclass(frozen=True)
class Outcome:
    """What happened to one file.

    Parameters
    ----------
    name : str
        Path below the workspace.
    action : {"new", "same", "updated", "kept", "beside"}
        ``kept``: the student's own, and nothing newer to offer; ``beside``: the student's own,
        and the new version stands at `other`.
    other : Path, optional
        The new version (``beside``) or the backup of the old one (``updated``).
    """

    name: str
    action: Action
    other: Path | None = None

    def __str__(self) -> str:
        if self.action == "updated":
            return f"updated {self.name} (you had not changed it; the old one is at {self.other})"
        if self.action == "beside":
            return f"kept your {self.name}; a newer version of it is at {self.other}"
        return f"{self.action} {self.name}"


def prepare(workspace: Path, release: Path) -> list[Outcome]:
    """Copy a release into a workspace; safe to run again at any time, and after a break.

    Parameters
    ----------
    workspace : Path
        Made if it is not there.
    release : Path
        Folder of released assignments.

    Returns
    -------
    list of Outcome
        One for each released file, in name order.

    Raises
    ------
    CourseError
        The workspace is a file, or the manifest can't be read.
    """
    if workspace.exists() and not workspace.is_dir():
        raise CourseError(f"{workspace} is a file: name another folder with --workspace")
    manifest_file = workspace / ".course" / "manifest.json"
    manifest = _read_manifest(manifest_file)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    outcomes = []
    for source in sorted(path for path in release.rglob("*") if _is_released(path, release)):
        name = source.relative_to(release).as_posix()
        outcome = _bring(source, workspace, name, manifest.get(name), stamp)
        outcomes.append(outcome)
        manifest[name] = sha256(source)
        write_atomic(manifest_file, json.dumps({"files": manifest}, indent=2, sort_keys=True))
    return outcomes


def _bring(source: Path, workspace: Path, name: str, given: str | None, stamp: str) -> Outcome:
    target = workspace / name
    new = sha256(source)
    if not target.exists() and not target.is_symlink():
        write_atomic(target, source.read_bytes())
        return Outcome(name, "new")
    own = target.is_symlink() or not target.is_file()
    there = None if own else sha256(target)
    if there == new:
        return Outcome(name, "same")
    if there is not None and there == given:
        backup = workspace / ".course" / "backup" / stamp / name
        backup.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, backup)
        write_atomic(target, source.read_bytes())
        return Outcome(name, "updated", backup)
    if new == given:
        return Outcome(name, "kept")
    beside = target.with_name(f"{target.stem}.new-version-{new[:8]}{target.suffix}")
    if not beside.exists():
        write_atomic(beside, source.read_bytes())
    return Outcome(name, "beside", beside)


def _is_released(path: Path, release: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(release).parts)
    return path.is_file() and not path.is_symlink() and not hidden


def _read_manifest(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CourseError(
            f"{path} can't be read ({error}). Your notebooks are untouched. Move that file away "
            "and run the command again: your own files will be kept and new ones put beside them."
        ) from error

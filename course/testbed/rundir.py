"""The run folder: private, one per user unless chosen, locked while a supervisor lives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from course._files import write_atomic
from course.errors import CourseError

#: Marks every process of a run in its environment; its value is the run folder.
MARK = "COURSE_TESTBED_RUN"
_STATE = "state.json"


def default_folder() -> Path:
    """`$COURSE_TESTBED_RUN`, or a folder of this user in the runtime or temporary directory."""
    if chosen := os.environ.get(MARK):
        return Path(chosen)
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "aiops-testbed"
    return Path(tempfile.gettempdir()) / f"aiops-testbed-{os.getuid()}"


class Lock:
    """Held by the supervisor for as long as it lives; the kernel releases it at any death.

    Parameters
    ----------
    folder : Path
        The run folder; the lock lies beside it, so that it outlives the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder.with_name(f".{folder.name}.lock")
        self._descriptor = -1

    def acquire(self) -> bool:
        """Take the lock; False if another process holds it."""
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            if self._is_current(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)  # its holder removed the file just before it let go

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the lock and let go."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def is_running(folder: Path) -> bool:
    """Whether a supervisor holds the folder."""
    lock = Lock(folder)
    if not lock.path.exists():
        return False
    if lock.acquire():
        lock.release()
        return False
    return True


def make(folder: Path) -> None:
    """Make the folder empty and private.

    Raises
    ------
    CourseError
        There is something else of that name, or it belongs to another user.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise CourseError(f"{folder} is no folder; remove it, or choose another with --run")
    if folder.exists():
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise CourseError(f"{folder} belongs to another user; choose another with --run")
        if any(folder.iterdir()) and not _is_ours(folder):
            raise CourseError(
                f"{folder} is not empty and no run folder; nothing in it was changed. "
                "Choose another with --run"
            )
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    if stat.S_IMODE(folder.stat().st_mode) != 0o700:
        folder.chmod(0o700)
    (folder / ".testbed").touch()


def remove(folder: Path) -> None:
    """Remove a run folder; anything else is left alone."""
    if folder.is_dir() and not folder.is_symlink() and _is_ours(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return (folder / ".testbed").exists()


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the state for other processes of this user; it holds the token."""
    path = folder / _STATE
    write_atomic(path, json.dumps(state, indent=1))
    path.chmod(0o600)


def read_state(folder: Path) -> dict[str, Any]:
    """Read the state of the run.

    Raises
    ------
    CourseError
        No testbed runs there.
    """
    try:
        found: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise CourseError("no testbed runs; start it with `course testbed up`") from None
    return found

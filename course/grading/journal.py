"""The journal of a batch: which submissions are graded, from what, and with which points.

One small file per submission lies in a hidden folder beside the gradebook, never in a folder
that nbgrader copies to a student. It is written whole or not at all, and only after nbgrader's
output and gradebook are on the disk: a run that ends in between, whatever ended it, leaves no
finished record, and the submission is graded again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

import course
from course._files import write_atomic
from course.errors import CourseError
from course.grading.limits import MAX_SUBMISSION_BYTES
from course.grading.sandbox import read_regular
from course.lessons import Month, check_files

try:
    import fcntl
except ImportError:  # Windows has no such locks; grading there is for trusted notebooks only.
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("course.grading")

FOLDER = ".course-journal"
_FORMAT = 1
# Parts of the package that have no say in a grade; whatever is not named here counts.
_NO_SAY = {"authoring", "workspace", "cli.py"}
_NO_SAY_IN_GRADING = {"api.py", "audit.py", "batch.py", "journal.py", "statistics.py", "tryout.py"}
_LIBRARIES = ("numpy", "pandas", "scipy", "scikit-learn", "statsmodels", "ruptures")


@dataclass(frozen=True)
class Record:
    """What is known about the grading of one submission.

    Parameters
    ----------
    student : str
        Whose it is.
    submission, grader, secret : str
        Digests of what was handed in, of the code and lesson, and of the course secret.
    done : bool
        The grade is complete and so is the feedback; False from the start of the grading on.
    times : int
        How often this submission was graded to completion by this grader and secret.
    points : dict of str to float
        Automatic points by exercise, as they stand in the gradebook.
    manual : dict of str to float
        Points that a person had given by task when the feedback was written.
    feedback : bool
        Whether the feedback page was written as well.
    reason : str
        The first note or reason, for the table of students.
    messages : dict of str to list of str
        What the feedback says about the points lost, by exercise.
    seconds : float
        Wall time of the grading.
    finished : str
        When it ended, in UTC.
    """

    student: str
    submission: str
    grader: str
    secret: str
    done: bool = False
    times: int = 0
    points: dict[str, float] = field(default_factory=dict)
    manual: dict[str, float] = field(default_factory=dict)
    feedback: bool = False
    reason: str = ""
    messages: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0
    finished: str = ""

    def same_work(self, other: Record) -> bool:
        """Whether both are about the same submission under the same grader and secret."""
        return (self.submission, self.grader, self.secret) == (
            other.submission, other.grader, other.secret,
        )  # fmt: skip


@dataclass(frozen=True)
class Journal:
    """The records of one assignment.

    Parameters
    ----------
    folder : Path
        Where they lie; made on the first write.
    """

    folder: Path

    @classmethod
    def beside_gradebook(cls, home: Path, assignment: str) -> Journal:
        """The journal of an assignment; `home` is the folder of the gradebook."""
        return cls(home / FOLDER / assignment)

    def path(self, student: str) -> Path:
        """File of a student's record; hashed, since a name may be as long as a file name can be."""
        return self.folder / f"{hashlib.sha256(os.fsencode(student)).hexdigest()[:32]}.json"

    def log_path(self, student: str) -> Path:
        """File for nbgrader's log of a grading that failed."""
        return self.path(student).with_suffix(".log")

    def read(self, student: str) -> Record | None:
        """The record of a student; None if there is none that can be read."""
        try:
            entry = json.loads(self.path(student).read_text(encoding="utf-8"))
            record = Record(**entry)
        except (OSError, ValueError, TypeError):
            return None
        return record if record.student == student else None

    def write(self, record: Record) -> None:
        """Write a record so that it outlasts a loss of power."""
        path = self.path(record.student)
        write_atomic(path, json.dumps(asdict(record), indent=1, ensure_ascii=True) + "\n")
        sync(path.parent)


def remove_parts(folder: Path) -> None:
    """Delete what interrupted writes have left in a folder that nobody else writes to."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file or folder written to the disk; a system that cannot is left alone."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def submission_digest(folder: Path) -> str:
    """Hash a submitted folder: every name, the bytes of regular files, where links point to.

    No link is followed and no special file is opened.
    """
    total = hashlib.sha256(b"linked parent\n" if folder.parent.is_symlink() else b"")
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        total.update(os.fsencode(os.path.relpath(path, folder)) + b"\0")
        total.update(_content(path) + b"\n")
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                waiting += sorted(path.iterdir())
    return total.hexdigest()


def _content(path: Path) -> bytes:
    try:
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            return b"link " + os.fsencode(os.readlink(path))
        if not stat.S_ISREG(info.st_mode):
            return str(stat.S_IFMT(info.st_mode)).encode()
        if info.st_size > MAX_SUBMISSION_BYTES:
            return f"large {info.st_size} {info.st_mtime_ns}".encode()
        return hashlib.sha256(read_regular(path, MAX_SUBMISSION_BYTES)).digest()
    except OSError as error:
        return f"unreadable {error.errno}".encode()


def grader_digest(month: Month, source: Path, config: Path, *, unsafe: bool) -> str:
    """Hash what decides a grade beside the submission and the secret.

    Parameters
    ----------
    month : Month
        Its exercises, points and checks.
    source : Path
        Folder of the lesson's notebook in ``source/``.
    config : Path
        ``nbgrader_config.py``.
    unsafe : bool
        Whether submissions run without a sandbox.
    """
    package = Path(course.__file__).parent
    files = [path for path in package.rglob("*.py") if _has_say(path.relative_to(package))]
    files += check_files(month.path)
    files += [path for path in source.rglob("*") if path.is_file()]
    files += [config, package.parent / "data" / "SHA256SUMS"]
    total = hashlib.sha256(f"{_FORMAT} {unsafe} {month!r} {_versions()}".encode())
    for path in sorted(set(files)):
        if path.is_file():
            total.update(path.name.encode() + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _has_say(path: Path) -> bool:
    if path.parts[0] == "grading":
        return path.name not in _NO_SAY_IN_GRADING
    return path.parts[0] not in _NO_SAY and not any(
        part.startswith("month_") for part in path.parts
    )


def _versions() -> list[str]:
    found = [f"python {sys.version_info.major}.{sys.version_info.minor}"]
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return found


@contextlib.contextmanager
def only_run(home: Path) -> Iterator[None]:
    """Be the only run on a course; the lock goes with the process, however it ends.

    Parameters
    ----------
    home : Path
        The folder of the gradebook.

    Raises
    ------
    CourseError
        Another run is at work; the message names its process.
    """
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if fcntl is None:
        yield
        return
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        if not _lock(file):
            raise CourseError(_busy(folder / "lock"))
        about = {"process": os.getpid(), "host": socket.gethostname(),
                 "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
                 "since": time.strftime("%Y-%m-%d %H:%M:%S")}  # fmt: skip
        file.truncate(0)
        file.write(json.dumps(about))
        file.flush()
        _await_old_workers(folder)
        try:
            yield
        finally:
            file.truncate(0)


def _lock(file: IO[str]) -> bool:
    """Take a lock; False where another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        log.warning("%s: this file system has no locks (%s)", file.name, error)
    return True


def _busy(path: Path) -> str:
    who = "an unknown process"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        about = json.loads(path.read_text(encoding="utf-8"))
        who = (f"process {about['process']} on {about['host']} (`{about['command']}`), "
               f"since {about['since']}")  # fmt: skip
    return (
        f"another run is grading this course: {who}. Wait until it ends, or end it; what it has "
        "graded is recorded and is not lost. Nothing was changed by this command"
    )


def hold_as_worker(home: Path) -> object:
    """Show for the life of this process that a worker is still at work; keep the answer."""
    if fcntl is None:
        return None
    (home / FOLDER).mkdir(mode=0o700, exist_ok=True)
    file = (home / FOLDER / "workers").open("a")
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _await_old_workers(folder: Path, seconds: float = 30.0) -> None:
    """Wait for workers that have outlived a killed run by a moment."""
    until = time.monotonic() + seconds
    with (folder / "workers").open("a") as file:
        while not _lock(file):
            if time.monotonic() > until:
                raise CourseError(
                    f"workers of an earlier run still hold {folder / 'workers'} after "
                    f"{seconds:g} s. Look for leftover `course grade` processes and end them, "
                    "then run this again; nothing is lost"
                )
            time.sleep(0.1)

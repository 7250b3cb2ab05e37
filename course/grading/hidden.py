"""Hidden cases: seeds under the course secret, and inputs kept outside the sandbox."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import hmac
import os
import pickle
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import course
from course.grading.secret import Secret
from course.lessons import check_files

T = TypeVar("T")
_IN_MEMORY = 128
_KEEP_DAYS = 30


class HiddenCases:
    """Seeds and cached inputs of one month under one secret.

    Cached values are shared by all submissions: a check reads them and never changes them.

    Parameters
    ----------
    secret : Secret
        Decides the seeds.
    version : str
        Changes whenever the code that makes the inputs does.
    folder : Path, optional
        Where inputs are kept between runs; None keeps them in memory only.
    """

    def __init__(self, secret: Secret, version: str, folder: Path | None = None) -> None:
        self._secret, self._version, self._folder = secret, version, folder
        self._memory: OrderedDict[str, object] = OrderedDict()

    def seed(self, name: str) -> int:
        """Seed of a named case."""
        return self._secret.seed(name)

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """Return ``make()``, computed once per secret and version."""
        if name in self._memory:
            self._memory.move_to_end(name)
            return self._memory[name]  # type: ignore[return-value]
        found, value = self._load(name)
        if not found:
            value = make()
            self._store(name, value)
        self._memory[name] = value
        if len(self._memory) > _IN_MEMORY:
            self._memory.popitem(last=False)
        return value  # type: ignore[return-value]

    def _path(self, name: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / self._secret.digest(f"cache:{self._version}:{name}").hex()[:40]

    def _load(self, name: str) -> tuple[bool, object]:
        path = self._path(name)
        if path is None:
            return False, None
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            signature, body = data[:32], data[32:]
            # Only what this grader has signed is unpickled; nothing of a student's gets here.
            if hmac.compare_digest(signature, self._secret.sign(body)):
                with contextlib.suppress(Exception):
                    return True, pickle.loads(body)
        return False, None

    def _store(self, name: str, value: object) -> None:
        path = self._path(name)
        if path is None:
            return
        with contextlib.suppress(OSError, pickle.PicklingError, TypeError, AttributeError):
            body = pickle.dumps(value, protocol=5)
            temporary = path.with_suffix(f".{secrets.token_hex(4)}")
            temporary.write_bytes(self._secret.sign(body) + body)
            temporary.replace(path)


@functools.lru_cache(maxsize=64)
def _hidden(secret: Secret, version: str, folder: Path | None) -> HiddenCases:
    return HiddenCases(secret, version, folder)


def hidden_cases(secret: Secret, month_folder: Path) -> HiddenCases:
    """The hidden cases of a month, one object per secret in a process."""
    return _hidden(secret, code_version(month_folder), cache_folder())


@functools.cache
def code_version(month_folder: Path) -> str:
    """Hash of the code that hidden inputs come from: shop, scoring and the month's checks."""
    package = Path(course.__file__).parent
    files = sorted([*package.glob("shop/**/*.py"), *package.glob("scoring/**/*.py"),
                    *check_files(month_folder)])  # fmt: skip
    total = hashlib.sha256()
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


@functools.cache
def cache_folder() -> Path | None:
    """The private cache folder (``COURSE_CACHE`` moves it), or None where there can be none."""
    base = os.environ.get("COURSE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "aiops-course"
    )
    folder = Path(base) / "hidden"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = folder.lstat()
    except OSError:
        return None
    private = os.name != "posix" or (
        info.st_uid == os.geteuid() and not stat.S_IMODE(info.st_mode) & 0o022
    )
    if not stat.S_ISDIR(info.st_mode) or not private:
        return None
    limit = time.time() - _KEEP_DAYS * 86400
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()
    return folder

"""The course secret: where the seeds of hidden cases come from.

A student's wheel holds the simulator, so whoever knows a seed knows the hidden case. Seeds are
therefore an HMAC of the case's name under 128 random bits that only the grader has.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from course.grading.sandbox import read_regular

SECRET_FILE = ".course-secret"
_LENGTH = 16


class SecretError(RuntimeError):
    """The course secret cannot be used."""


class Secret:
    """128 bits that decide every hidden case.

    Parameters
    ----------
    key : bytes
        16 bytes.
    test : bool
        Whether the key is public, for tests and audits; grading refuses such a secret.
    """

    def __init__(self, key: bytes, *, test: bool = False) -> None:
        if len(key) != _LENGTH:
            raise SecretError(f"a course secret has {_LENGTH} bytes; this one has {len(key)}")
        self._key, self.test = key, test

    def __repr__(self) -> str:
        return f"<course secret {self.fingerprint}>"

    @property
    def fingerprint(self) -> str:
        """Names the secret without giving it away."""
        return self.digest("fingerprint").hex()[:16]

    def digest(self, text: str) -> bytes:
        """HMAC-SHA256 of a text."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()

    def sign(self, data: bytes) -> bytes:
        """HMAC-SHA256 of bytes, apart from every `digest`."""
        return hmac.new(self.digest("sign"), data, hashlib.sha256).digest()

    def seed(self, name: str) -> int:
        """Seed of a named case: 63 bits."""
        return int.from_bytes(self.digest(f"seed:{name}")[:8], "big") >> 1


def test_secret(number: int = 0) -> Secret:
    """One of the fixed public secrets for tests and audits."""
    return Secret(hashlib.sha256(f"test secret {number}".encode()).digest()[:_LENGTH], test=True)


test_secret.__test__ = False  # type: ignore[attr-defined]


def course_secret(folder: Path) -> Secret:
    """Read the secret beside the gradebook, or make it on first use.

    Parameters
    ----------
    folder : Path
        The folder of the gradebook.

    Raises
    ------
    SecretError
        The file can be read by others, is a link, or does not hold a secret.
    """
    path = folder / SECRET_FILE
    with contextlib.suppress(FileExistsError):
        _create(path)
    try:
        mode = path.lstat().st_mode
        text = read_regular(path, 1024).decode("ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise SecretError(
            f"{path} holds no course secret ({error}); restore it from a backup, or delete it to "
            "start a new term with new hidden cases"
        ) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise SecretError(
            f"{path} can be read by others (mode {stat.S_IMODE(mode):04o}), so the hidden cases "
            f"may be known; delete it for new ones, or if nobody has read it: chmod 600 {path}"
        )
    return Secret(key)


def _create(path: Path) -> None:
    """Write a new secret whole or not at all, never over an old one."""
    if path.exists() or path.is_symlink():
        return
    temporary = path.with_name(f"{path.name}-{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(_LENGTH) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        temporary.unlink()

"""An arena under another user: root's tests hand the attacks to a process without root's rights."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import course
from course.grading.sandbox import find_bubblewrap
from tests.attacks import catalogue
from tests.attacks.attack import Attack, Outcome


class OrdinaryUserError(RuntimeError):
    """Nothing can be run as an ordinary user here."""


class OrdinaryUser:
    """Runs attacks as a user that did not exist before, with a home and a cache of its own.

    Parameters
    ----------
    template : Path, optional
        Folder of a finished arena, whose course is copied instead of made again.

    Raises
    ------
    OrdinaryUserError
        This is not root, a program is missing, or that user cannot make a sandbox.
    """

    def __init__(self, template: Path | None = None) -> None:
        if os.geteuid() != 0:
            raise OrdinaryUserError("only root can become another user")
        bubblewrap, setpriv = find_bubblewrap(), shutil.which("setpriv")
        if bubblewrap is None or setpriv is None:
            raise OrdinaryUserError("bubblewrap and setpriv (util-linux) are needed")
        self._uid = 1_200_000 + random.SystemRandom().randrange(800_000)
        self._folder = Path(tempfile.mkdtemp(prefix="ordinary-", dir="/tmp"))
        home = self._folder / "home"
        home.mkdir()
        if template is not None:
            shutil.copytree(template / "course", self._folder / "course", symlinks=True)
            shutil.copy(template / "tokens.json", self._folder)
        for place, folders, names in os.walk(self._folder):
            for name in (".", *folders, *names):
                os.chown(os.path.join(place, name), self._uid, self._uid, follow_symlinks=False)
        self._errors = (self._folder / "errors.txt").open("w+")
        identity = [f"--reuid={self._uid}", f"--regid={self._uid}", "--clear-groups"]
        self._process = subprocess.Popen(
            [bubblewrap, "--dev-bind", "/", "/", *readable_view(), "--die-with-parent", "--",
             setpriv, *identity, sys.executable, "-m", "tests.attacks.worker", str(self._folder)],
            cwd=_repository(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            text=True, env=_environment(home),
        )  # fmt: skip
        if self._answer() != "ready\n":
            said = self._said()
            self.close()
            raise OrdinaryUserError(f"an ordinary user can grade nothing here: {said}")

    def run(self, *attacks: Attack) -> list[Outcome]:
        """As `arena.Arena.run`, sandbox on."""
        names = {id(attack): name for name, attack in catalogue.attacks().items()}
        self._process.stdin.write(json.dumps([names[id(attack)] for attack in attacks]) + "\n")
        self._process.stdin.flush()
        line = self._answer()
        if not line:
            raise AssertionError(f"the grader ended: {self._said()}")
        return [Outcome(**outcome) for outcome in json.loads(line)]

    def close(self) -> None:
        """End the process and remove its folder."""
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self) -> str:
        return self._process.stdout.readline()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-1500:]


def readable_view() -> list[str]:
    """Bubblewrap options that show the interpreter and the repository where others can't go.

    A closed folder above them (root's home, say) is covered by an empty one that holds only
    what is needed, in the view of that process alone.
    """
    needed = {Path(p).resolve() for p in (sys.prefix, sys.base_prefix, _repository())}
    closed = {
        parent
        for path in needed
        for parent in path.parents
        if parent.stat().st_mode & 0o005 != 0o005
    }
    options: list[str] = []
    for folder in sorted(closed):
        if not any(other in folder.parents for other in closed):
            options += ["--perms", "0755", "--tmpfs", str(folder)]
            inside = sorted(path for path in needed if path.is_relative_to(folder))
            above = {p for path in inside for p in path.parents if folder in p.parents}
            for parent in sorted(above):
                options += ["--perms", "0755", "--dir", str(parent)]
            for path in inside:
                options += ["--ro-bind", str(path), str(path)]
    return options


def _repository() -> Path:
    return Path(course.__file__).parent.parent


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home), "TMPDIR": "/tmp", "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip

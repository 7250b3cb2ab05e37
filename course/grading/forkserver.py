"""The warm parent, seen from the trusted process: start it, ask it for kernels, end it.

One parent serves any number of grading processes on this machine: `shared_server` announces it
to the processes that are started below this one.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import hashlib
import json
import logging
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course.grading.limits import Limits
from course.grading.sandbox import (
    RunFolder,
    SandboxError,
    fork_server_command,
    free_uid,
    rlimits,
    short_temporary,
)

log = logging.getLogger("course.grading")
ANNOUNCED = "COURSE_FORK_SERVER"
_ABOUT = "about.json"
_START_S = 120.0
_KEPT = 2


@dataclass(frozen=True)
class Warmth:
    """What a parent has done before it forks.

    Parameters
    ----------
    imports : tuple of str
        Modules that it has imported.
    prefix : tuple of str
        Code cells that it has run: the lesson's, up to the first that a student writes.
    withheld : tuple of str
        Parts of the course that neither it nor its children see.
    """

    imports: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Short name of this content."""
        text = json.dumps([self.imports, self.prefix, self.withheld])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class ForkedKernel:
    """A kernel's process, as far as the grader needs one: `poll`, `kill` and `pid`.

    `pid` is that of the supervisor; the kernel and all that it starts are its descendants.
    """

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection, self.pid = connection, pid
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Exit status, None while the kernel runs."""
        with self._lock:
            if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
                self.returncode = _exit_status(self._connection)
                self._connection.close()
            return self.returncode

    def kill(self) -> None:
        """End the kernel and all that it started."""
        with self._lock:
            if self.returncode is None:
                # The supervisor ends the kernel's world when this side hangs up.
                with contextlib.suppress(OSError):
                    self._connection.shutdown(socket.SHUT_WR)
                with contextlib.suppress(OSError):
                    self._connection.settimeout(10)
                    self.returncode = _exit_status(self._connection)
                self.returncode = -9 if self.returncode is None else self.returncode
                self._connection.close()


class ForkServer:
    """A warm parent in a sandbox of its own.

    Parameters
    ----------
    warmth : Warmth
        What it does before the first fork.
    base : Path, optional
        Folder of a parent that another process has started and will end; it may still warm up.
    wait : bool
        Return once it is ready; if not, it warms up behind, and those wait who get it as `base`.

    Raises
    ------
    SandboxError
        It did not come up, or can't fork confined kernels on this machine.
    """

    def __init__(self, warmth: Warmth, base: Path | None = None, *, wait: bool = True) -> None:
        self.warmth = warmth
        self._process: subprocess.Popen | None = None
        self.prefix_problem = ""
        if base is None:
            self.base = Path(tempfile.mkdtemp(prefix="cf-", dir=short_temporary()))
            self.uid = free_uid() if os.geteuid() == 0 else None
            try:
                self._start()
                if wait:
                    self._wait()
                else:
                    threading.Thread(target=self._announce, name="warm parent", daemon=True).start()
            except BaseException:
                self.close()
                raise
        else:
            self.base = base
            about = _read_about(base)
            self.uid, self.prefix_problem = about["uid"], about["problem"]

    @property
    def runs(self) -> Path:
        """Where the run folders of its kernels have to be."""
        return self.base / "runs"

    @property
    def owned(self) -> bool:
        """Whether this process has started it."""
        return self._process is not None

    @property
    def alive(self) -> bool:
        """Whether it takes connections."""
        if self._process is not None and self._process.poll() is not None:
            return False
        try:
            self._connect().close()
        except OSError:
            return False
        return True

    def spawn(self, folder: RunFolder, limits: Limits, *, prefix: bool) -> ForkedKernel:
        """Fork a kernel for a run folder, which holds ``in/connection.json``.

        Parameters
        ----------
        folder : RunFolder
            Made below `runs`.
        limits : Limits
            What the kernel may use.
        prefix : bool
            Begin with the names of the lesson's first cells, or with none.

        Raises
        ------
        SandboxError
            The kernel could not be confined, so it was not started.
        """
        connection = self._connect()
        try:
            request = {"do": "run", "run": folder.path.name, "prefix": prefix,
                       "rlimits": rlimits(limits)}  # fmt: skip
            connection.settimeout(limits.start_s)
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer, pid = _receive_with_pid(connection)
            if answer.get("error", "no answer"):
                raise SandboxError(f"no kernel was forked: {answer.get('error', 'no answer')}")
            connection.setblocking(False)
            return ForkedKernel(connection, pid)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """End the parent and every kernel that it has forked."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            shutil.rmtree(self.base, ignore_errors=True)

    def _start(self) -> None:
        for name, mode in (("runs", 0o755), ("socket", 0o700)):
            (self.base / name).mkdir(mode=mode)
        if self.uid is not None:
            os.chown(self.base / "socket", self.uid, self.uid)
        config = {"imports": self.warmth.imports, "prefix": self.warmth.prefix}
        (self.base / "zygote.json").write_text(json.dumps(config), encoding="utf-8")
        with open(self.base / "log", "wb") as output:
            self._process = subprocess.Popen(
                fork_server_command(self.base, self.uid, self.warmth.withheld),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=output,
                env={"PATH": "/usr/bin:/bin"}, cwd=self.base,
            )  # fmt: skip

    def _wait(self) -> None:
        until = time.monotonic() + _START_S
        process = self._process
        assert process is not None
        while process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), self._connect() as connection:
                connection.settimeout(10)
                connection.sendall(b'{"do": "hello"}\n')
                answer, _ = _receive_with_pid(connection)
                if "problem" in answer:
                    self.prefix_problem = str(answer["problem"])
                    if self.prefix_problem:
                        log.warning(
                            "the lesson's first cells are run anew each time: %s",
                            self.prefix_problem,
                        )
                    self._tell({"uid": self.uid, "problem": self.prefix_problem})
                    return
            time.sleep(0.03)
        text = (self.base / "log").read_text(errors="replace").strip()[-300:]
        raise SandboxError(f"the warm parent did not come up: {text or process.poll()}")

    def _announce(self) -> None:
        """Wait in the background, and tell those who wait for it how it went."""
        try:
            self._wait()
        except SandboxError as error:
            if self.owned:  # else it was closed in the meantime, and nobody waits
                log.warning("kernels start cold, which is slower: %s", error)
                self._tell({"failed": str(error)})

    def _tell(self, about: dict[str, object]) -> None:
        with contextlib.suppress(OSError):
            part = self.base / f".{_ABOUT}.part"
            part.write_text(json.dumps(about), encoding="utf-8")
            part.replace(self.base / _ABOUT)

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            connection.connect(str(self.base / "socket" / "s"))
        except BaseException:
            connection.close()
            raise
        return connection


def _read_about(base: Path) -> dict:
    """What a parent says of itself once it is warm."""
    until = time.monotonic() + _START_S
    while base.is_dir() and time.monotonic() < until:
        with contextlib.suppress(FileNotFoundError):
            about: dict = json.loads((base / _ABOUT).read_text(encoding="utf-8"))
            if "failed" in about:
                raise SandboxError(f"the warm parent did not come up: {about['failed']}")
            return about
        time.sleep(0.03)
    raise SandboxError("the warm parent did not come up")


def _receive_with_pid(connection: socket.socket) -> tuple[dict, int]:
    """A line of JSON, and the process that sent it, as the kernel knows it."""
    size = struct.calcsize("3i")
    data, extra, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(size))
    pid = 0
    for level, kind, content in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = array.array("i", content[:size])[0]
    return (json.loads(data) if data else {}), pid


def _exit_status(connection: socket.socket) -> int:
    try:
        return int(json.loads(connection.recv(4096))["exit"])
    except (OSError, ValueError, KeyError):
        return -9


_servers: OrderedDict[str, ForkServer] = OrderedDict()
_failed: dict[str, str] = {}
_lock = threading.Lock()


def fork_server(warmth: Warmth, *, wait: bool = True) -> ForkServer | None:
    """A running parent of this kind: announced, kept from before, or new; None where none can be.

    The last two are kept until this process ends. Without ``wait`` a new one may still warm up:
    that is for handing it to other processes, which wait for it themselves.
    """
    with _lock:
        server = _announced(warmth) or _servers.get(warmth.key)
        if server is not None and server.alive:
            if server.owned:
                _servers.move_to_end(warmth.key)
            return server
        if server is not None:
            _servers.pop(warmth.key, None)
            server.close()
        if warmth.key in _failed:
            return None
        try:
            server = ForkServer(warmth, wait=wait)
        except (OSError, SandboxError) as error:
            _failed[warmth.key] = str(error)
            log.warning("kernels start cold, which is slower: %s", error)
            return None
        _servers[warmth.key] = server
        while len(_servers) > _KEPT:
            _servers.popitem(last=False)[1].close()
        return server


@contextmanager
def shared_server(warmth: Warmth) -> Iterator[ForkServer | None]:
    """Share one parent with the processes that are started inside the block.

    It warms up while they start.
    """
    server = fork_server(warmth, wait=False)
    before = os.environ.get(ANNOUNCED)
    if server is not None:
        os.environ[ANNOUNCED] = f"{warmth.key}={server.base}"
    try:
        yield server
    finally:
        if before is None:
            os.environ.pop(ANNOUNCED, None)
        else:
            os.environ[ANNOUNCED] = before


def _announced(warmth: Warmth) -> ForkServer | None:
    key, _, base = os.environ.get(ANNOUNCED, "").partition("=")
    if key != warmth.key:
        return None
    try:
        return ForkServer(warmth, Path(base))
    except (OSError, ValueError, KeyError, SandboxError):
        return None


def sweep_servers() -> None:
    """Delete what parents have left whose processes were killed."""
    for base in Path(short_temporary() or tempfile.gettempdir()).glob("cf-*"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            info = base.lstat()
            if info.st_uid != os.geteuid() or time.time() - info.st_mtime < _START_S:
                continue
            try:
                probe.connect(str(base / "socket" / "s"))
            except (ConnectionRefusedError, FileNotFoundError):
                shutil.rmtree(base, ignore_errors=True)


def close_all() -> None:
    """End every parent that this process has started."""
    with _lock:
        while _servers:
            _servers.popitem()[1].close()


atexit.register(close_all)

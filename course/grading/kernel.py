"""One sandboxed kernel: start it, run code in it within bounds, ask it for answers, end it.

Everything that comes out of the kernel is hostile. Messages are capped in size and number by
the sockets, outputs are capped while they are read, sockets never reconnect by themselves,
and a guard thread outside watches memory, written bytes and wall time.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import zmq
from jupyter_client.session import Session

from course.grading import codec
from course.grading.forkserver import ForkServer
from course.grading.limits import MB, Limits
from course.grading.provisioner import SandboxKernelManager
from course.grading.safety import OutputRecorder
from course.grading.sandbox import INSIDE_IN, INSIDE_OUT, RunFolder, read_regular

Status = Literal["ok", "error", "timeout", "dead"]
_AGENT = Path(__file__).with_name("agent.py").read_text(encoding="utf-8")
_CODEC = Path(codec.__file__).read_text(encoding="utf-8")
# What is run for each request. The agent's names stay out of the student's namespace.
_CALL = """
import sys as _sys, types as _types
_agent = _sys.modules.get("__course_agent__")
if _agent is None:
    _agent = _types.ModuleType("__course_agent__")
    with open({into!r} + "/agent.py") as _file:
        exec(compile(_file.read(), "<course agent>", "exec"), _agent.__dict__)
    with open({into!r} + "/codec.py") as _file:
        _agent.load(_file.read())
    _sys.modules["__course_agent__"] = _agent
_agent.serve({request!r}, {answer!r}, get_ipython().user_ns)
"""
_CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_USED = ("shell", "iopub", "control")
#: Whether a socket file can be held open by a descriptor (Linux, where the sandbox is).
_PINS = hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd")
#: How often the channels are opened at most; each time holds a descriptor.
_REOPENED = 200
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class KernelStartError(RuntimeError):
    """The kernel did not come up."""


@dataclass
class Execution:
    """What became of a piece of code."""

    status: Status
    outputs: list[dict] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0


class Kernel:
    """A live kernel in a run folder.

    Parameters
    ----------
    folder : RunFolder
        Its private folder; removed by `close`.
    limits : Limits
        What it may use.
    deadline : float
        `time.monotonic()` at which the kernel is killed.
    unsafe : bool
        Run without a sandbox.
    server : ForkServer, optional
        Fork it from this warm parent, below whose `runs` the folder lies; default a cold start.
    prefix : bool
        With a server: begin with the names of the lesson's first cells.

    Raises
    ------
    KernelStartError
        It did not answer within ``limits.start_s`` seconds.
    """

    def __init__(
        self,
        folder: RunFolder,
        limits: Limits,
        *,
        deadline: float,
        unsafe: bool = False,
        server: ForkServer | None = None,
        prefix: bool = False,
    ) -> None:
        self.folder, self.limits, self.unsafe = folder, limits, unsafe
        self.death = ""
        self._closed = threading.Event()
        self._process: Any = None
        self._iopub_lost = False
        self._deadline = deadline
        self._outbox = os.open(folder.outbox, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket] = {}
        self._pins: list[int] = []
        self._manager: SandboxKernelManager | None = None
        try:
            (folder.inbox / "agent.py").write_text(_AGENT, encoding="utf-8")
            (folder.inbox / "codec.py").write_text(_CODEC, encoding="utf-8")
            paths = self._fork(server, prefix) if server else self._start_cold()
            self._connect(paths, min(deadline, time.monotonic() + limits.start_s))
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._guard, name="kernel-guard", daemon=True).start()

    def _fork(self, server: ForkServer, prefix: bool) -> dict[str, str]:
        """Have a warm parent fork it; returns the paths of the sockets."""
        key = secrets.token_hex(32)
        connection = {"transport": "ipc", "ip": f"{INSIDE_OUT}/k", "key": key,
                      "signature_scheme": "hmac-sha256", "kernel_name": ""}  # fmt: skip
        ports = {f"{name}_port": number for number, name in enumerate(_CHANNELS, 1)}
        inside = self.folder.inbox / "connection.json"
        inside.write_text(json.dumps({**connection, **ports}), encoding="utf-8")
        self._session = Session(key=key.encode(), signature_scheme="hmac-sha256")
        self._process = server.spawn(self.folder, self.limits, prefix=prefix)
        return {name: f"{self.folder.outbox}/k-{ports[f'{name}_port']}" for name in _USED}

    def _start_cold(self) -> dict[str, str]:
        """Start it in a fresh interpreter; returns the paths of the sockets."""
        manager = self._manager = SandboxKernelManager(self.folder, self.limits, self.unsafe)
        manager.start_kernel()
        provisioner: Any = manager.provisioner
        self._process = provisioner.process
        self._session = manager.get_connection_info(session=True)["session"]
        return {name: f"{manager.ip}-{getattr(manager, f'{name}_port')}" for name in _USED}

    @property
    def alive(self) -> bool:
        """Whether the kernel's process still runs."""
        return not self.death and self._process is not None and self._process.poll() is None

    def execute(
        self, code: str, timeout: float, *, record: bool = False, silent: bool = False
    ) -> Execution:
        """Run code and wait at most `timeout` seconds; a kernel that can't be stopped is killed."""
        recorder = OutputRecorder(self.limits)
        started = time.monotonic()
        deadline = min(started + timeout, self._deadline)
        if not self.alive:
            return Execution("dead", error=self.death or "the kernel is not running")
        if self._iopub_lost and record:
            self._reopen_iopub()
        message = self._send(
            "shell",
            "execute_request",
            {"code": code, "silent": silent, "store_history": not silent, "user_expressions": {},
             "allow_stdin": False, "stop_on_error": False},
        )  # fmt: skip
        sink = recorder if record else None
        reply = self._await_reply(message, deadline, sink)
        status: Status = "ok"
        if reply is None and self.alive:
            status = "timeout"
            self._interrupt(message, sink)
        elif reply is None:
            status = "dead"
        elif reply.get("status") != "ok":
            status = "error"
        error = self.death if status == "dead" else _reason(reply)
        if status == "dead" and not error:
            error = "the kernel's process ended"
        return Execution(status, recorder.outputs, error, time.monotonic() - started)

    def ask(self, request: dict, timeout: float) -> Any:
        """Send a request to the agent in the kernel and return its decoded answer.

        Raises
        ------
        TimeoutError
            No answer in time (the kernel may have been killed then).
        ConnectionError
            The kernel died.
        codec.CodecError
            What came back is no answer.
        """
        name = secrets.token_hex(8)
        packet = self.folder.inbox / name
        packet.write_bytes(codec.encode(request))
        into, out = (
            (str(self.folder.inbox), str(self.folder.outbox))
            if self.unsafe
            else (INSIDE_IN, INSIDE_OUT)
        )
        code = _CALL.format(into=into, request=f"{into}/{name}", answer=f"{out}/{name}")
        # `exec` keeps the helper's names out of the student's namespace.
        run = self.execute(f"exec({code!r}, {{'get_ipython': get_ipython}})", timeout, silent=True)
        with contextlib.suppress(OSError):
            packet.unlink()
        if run.status == "timeout":
            raise TimeoutError
        if run.status == "dead":
            raise ConnectionError(run.error)
        return self._answer(name)

    def _answer(self, name: str) -> dict:
        try:
            answer = codec.decode(read_regular(name, codec.MAX_BYTES, dir_fd=self._outbox))
        except OSError as error:
            raise codec.CodecError(f"no answer arrived ({error.strerror or error})") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._outbox)
        if type(answer) is not dict or type(answer.get("ok")) is not bool:
            raise codec.CodecError("the answer has not the agreed form")
        return answer

    def kill(self, why: str) -> None:
        """End the kernel and everything that it started."""
        self.death = self.death or why
        with contextlib.suppress(Exception):
            self._process.kill()

    def close(self) -> None:
        """Kill the kernel, close the sockets and remove the run folder."""
        self._closed.set()
        self.kill("closed")
        with contextlib.suppress(Exception):
            if self._manager is not None and self._manager.has_kernel:
                self._manager.shutdown_kernel(now=True)
        for socket in self._sockets.values():
            socket.close(linger=0)
        self._context.term()
        for pin in self._pins:
            os.close(pin)
        self._pins.clear()
        with contextlib.suppress(OSError):
            os.close(self._outbox)
        self.folder.remove()

    def _connect(self, paths: dict[str, str], deadline: float) -> None:
        """Connect once all sockets exist, and wait until the kernel answers on each."""
        self._paths = paths
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise KernelStartError(f"the kernel ended at once ({self._process.returncode})")
            if all(_is_socket(path) for path in paths.values()):
                opened = all(self._open(name, path) for name, path in paths.items())
                if opened and self._shake_hands(min(deadline, time.monotonic() + 5)):
                    return
            time.sleep(0.01)
        raise KernelStartError(f"no kernel within {self.limits.start_s:g} s")

    def _open(self, name: str, path: str) -> bool:
        """Connect a channel to the socket file at `path`; False if there is none any more."""
        pin = _pin(path)
        if pin is None:
            return False
        if name in self._sockets:
            self._sockets.pop(name).close(linger=0)
        socket = self._context.socket(zmq.SUB if name == "iopub" else zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 32)
        socket.setsockopt(zmq.SNDTIMEO, 1000)
        socket.setsockopt(zmq.MAXMSGSIZE, 8 * MB)
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        if name == "iopub":
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        # zmq connects in a thread of its own, so the pin stays until the kernel is closed.
        self._pins.append(pin)
        socket.connect(f"ipc:///proc/self/fd/{pin}" if _PINS else f"ipc://{path}")
        self._sockets[name] = socket
        return True

    def _reopen_iopub(self) -> None:
        """Listen again after a message that was too large has closed the connection."""
        if len(self._pins) < _REOPENED and self._open("iopub", self._paths["iopub"]):
            time.sleep(0.1)

    def _shake_hands(self, deadline: float) -> bool:
        """Wait for an answer on shell and control, and for a message on iopub."""
        wanted = {"shell", "control", "iopub"}
        while time.monotonic() < deadline:
            for channel in ("shell", "control"):
                self._send(channel, "kernel_info_request", {})
            heard: set[str] = set()
            until = min(deadline, time.monotonic() + 1)
            while time.monotonic() < until and heard != wanted:
                heard |= {name for name, _ in self._receive(tuple(wanted), 0.1)}
            if heard == wanted:
                self._iopub_lost = False
                return True
            if not {"shell", "control"} <= heard:
                return False
        return False

    def _send(self, channel: str, kind: str, content: dict) -> str:
        message = self._session.msg(kind, content)
        with contextlib.suppress(zmq.ZMQError):
            self._session.send(self._sockets[channel], message, track=False)
        return message["header"]["msg_id"]

    def _receive(self, channels: tuple[str, ...], wait: float) -> list[tuple[str, dict]]:
        """Return what arrived on some channels; what can't be read is dropped."""
        poller = zmq.Poller()
        for name in channels:
            poller.register(self._sockets[name], zmq.POLLIN)
        ready = dict(poller.poll(int(wait * 1000)))
        arrived = []
        for name in channels:
            if self._sockets[name] in ready:
                try:
                    frames: Any = self._sockets[name].recv_multipart(zmq.NOBLOCK)
                    _, frames = self._session.feed_identities(frames)
                    arrived.append((name, self._session.deserialize(frames)))
                except (Exception, RecursionError):
                    continue
        return arrived

    def _await_reply(
        self, message: str, deadline: float, recorder: OutputRecorder | None
    ) -> dict | None:
        """Wait for a reply and for the outputs before it; None when time or kernel ended."""
        reply, idle, grace = None, False, deadline
        while True:
            now = time.monotonic()
            if reply is not None and (idle or now >= grace):
                self._iopub_lost = not idle
                return reply
            if now >= deadline and reply is None:
                return None
            wait = min(0.1, max(0.0, (deadline if reply is None else grace) - now))
            arrived = self._receive(("shell", "iopub"), wait)
            if not arrived and not self.alive:
                return None
            for channel, received in arrived:
                parent = received.get("parent_header")
                if not isinstance(parent, dict) or parent.get("msg_id") != message:
                    continue
                content, kind = received.get("content"), received.get("msg_type")
                if not isinstance(content, dict):
                    continue
                if channel == "shell" and kind == "execute_reply":
                    reply = content
                    grace = time.monotonic() + (0.05 if self._iopub_lost else 2.0)
                elif channel == "iopub" and kind == "status":
                    idle = idle or content.get("execution_state") == "idle"
                elif channel == "iopub" and recorder is not None:
                    recorder.add(kind, content)

    def _interrupt(self, message: str, recorder: OutputRecorder | None) -> None:
        """Interrupt by message; kill a kernel that goes on regardless."""
        self._send("control", "interrupt_request", {})
        if self._await_reply(message, time.monotonic() + 3, recorder) is None:
            self.kill("it did not stop when its time was up and was killed")

    def _guard(self) -> None:
        """Kill the kernel when it uses too much memory, disk or time."""
        limits = self.limits
        while not self._closed.wait(0.25):
            if self._process is None or self._process.poll() is not None:
                return
            if time.monotonic() > self._deadline:
                self.kill(f"its {limits.total_s:g} s were up and it was killed")
            elif memory_of(self._process.pid, limits.memory) > limits.memory:
                self.kill(f"it used more than {limits.memory // MB} MB of memory and was killed")
            elif _written(self.folder) > limits.folder_size:
                self.kill(f"it wrote more than {limits.folder_size // MB} MB and was killed")


def _pin(path: str) -> int | None:
    """Hold the socket file at `path`; None if it is anything else, such as a link.

    The submission owns the folder and may put a link to a socket of the host in the file's place
    between a look at it and a connection to its name. What is held can't be exchanged.
    """
    if not _PINS:
        return os.open(os.devnull, os.O_RDONLY) if _is_socket(path) else None
    with contextlib.suppress(OSError):
        pin = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISSOCK(os.fstat(pin).st_mode):
            return pin
        os.close(pin)
    return None


def _is_socket(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    return False


def _reason(reply: dict | None) -> str:
    if not reply or reply.get("status") == "ok":
        return ""
    return f"{reply.get('ename', 'error')}: {reply.get('evalue', '')}"[:500]


def memory_of(pid: int, enough: int = 0) -> int:
    """Bytes of memory of a process and all below it.

    Parameters
    ----------
    pid : int
        The process at the top.
    enough : int
        Where all resident pages together are fewer bytes than this, their sum is returned. It
        counts shared pages several times; the exact sum, in which they count once among the
        sharers, takes the kernel longer.
    """
    family = _family(pid)
    resident = sum(map(_resident, family))
    return resident if resident < enough else sum(map(_share, family))


def _family(pid: int) -> list[int]:
    """A process and its descendants, from one look at all processes."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name, in brackets, may hold anything; the parent is the second field after.
                stat = Path(f"/proc/{name}/stat").read_text("ascii", "replace")
                parent = int(stat.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    family, pending = [], [pid]
    while pending:
        family.append(pending.pop())
        pending += children.get(family[-1], ())
    return family


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text("ascii").split()
        return (int(resident) - int(shared)) * _PAGE
    return 0


def _share(pid: int) -> int:
    """Proportional set size, or where the process hides it, its own resident pages."""
    with contextlib.suppress(OSError, ValueError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return _resident(pid)


def _written(folder: RunFolder) -> int:
    """Bytes (and 4 KB a name) below the folders that the kernel may write to."""
    total, pending = 0, [folder.outbox, folder.submission]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    total += 4096
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(Path(entry.path))
        except OSError:
            continue
        if total > 2**40:
            break
    return total

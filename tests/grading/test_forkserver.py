"""The warm parent: its kernels are as confined as cold ones, and know nothing of each other."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fixture_course as fixture
import nbformat
import pytest

from course.grading import forkserver, kernel
from course.grading.forkserver import ForkServer, Warmth, fork_server, shared_server
from course.grading.sandbox import SandboxError
from course.grading.session import NotebookSession

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def server(sandbox: None) -> Iterator[ForkServer]:
    """The parent that sessions without a lesson use."""
    found = fork_server(Warmth())
    assert found is not None
    yield found


def printed(session: NotebookSession, place: int = -1) -> str:
    """What a cell printed."""
    return "".join(
        o.get("text", "") + o.get("evalue", "") for o in session.notebook.cells[place].outputs
    )


def test_kernels_are_forked_and_not_started(server: ForkServer, run_cells: Callable) -> None:
    session = run_cells("import sys\nprint('sklearn' in sys.modules, 'pandas' in sys.modules)")
    assert isinstance(session._kernel._process, forkserver.ForkedKernel)
    assert printed(session).split()[1] == "True"


def test_it_sees_its_own_folder_and_nobody_else_s(server: ForkServer, run_cells: Callable) -> None:
    first = run_cells("open('mine', 'w').write('a')\nopen('/tmp/shared', 'w').write('a')")
    second = run_cells(
        "import os\n"
        "print(os.listdir('/run/course/runs'), os.listdir('/run/course/socket'), os.listdir('.'),"
        " os.listdir('/tmp'), os.listdir('/dev/shm'))"
    )
    assert printed(second) == "[] [] [] [] []\n"
    assert first.alive


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os\nprint(os.getuid(), os.geteuid())", "1000 1000"),
        ("import re\ns = open('/proc/self/status').read() if __import__('os').path.exists('/proc/self') else 'CapEff:\\t0\\nNoNewPrivs:\\t1'\n"
         "print(not re.search(r'Cap(Eff|Prm|Bnd|Amb|Inh):\\s*0*[1-9a-f]', s), 'NoNewPrivs:\\t1' in s)", "True True"),
        ("import ctypes\nl = ctypes.CDLL(None)\nprint(l.unshare(0x10000000), l.mount(b'a', b'/tmp', b'tmpfs', 0, 0),"
         " l.umount2(b'/run/course/runs', 2), l.ptrace(0, 0, 0, 0), l.setns(0, 0))", "-1 -1 -1 -1 -1"),
        ("import os\ntry: os.kill(1, 9); print('sent, and ignored')\nexcept OSError: print('sent, and ignored')", "sent, and ignored"),
        ("open('/run/course/in/x', 'w')", "Read-only"),
        (
            "import os\nfor p in ('/x', '/etc/x', '/dev/x', '/opt/x', '/run/course/x', '/run/x'):\n"
            "    try: os.mkdir(p); print('made', p)\n    except OSError: pass\n"
            "for a in ('/run/course', '/opt', '/etc'):\n"
            "    try: os.rename(a, a + 'x'); print('moved', a)\n    except OSError: pass\n"
            "print('all as it was')",
            "all as it was",
        ),
        ("open('/usr/x', 'w')", "Read-only"),
        ("import os\nprint(sorted({os.readlink(f'/proc/self/fd/{f}').partition(':')[0] for f in os.listdir('/proc/self/fd')"
         " if os.path.lexists(f'/proc/self/fd/{f}')}))", "['/dev/null', 'anon_inode', 'pipe', 'socket']"),
        ("import os\nprint(sum(p.isdigit() for p in os.listdir('/proc')) < 4)", "True"),
        ("import os\nprint(os.environ.get('COURSE_TEST_TOKEN'), os.getcwd())", "None /submission"),
        ("import socket\nsocket.create_connection(('192.0.2.1', 53), 1)", "unreachable"),
        ("import socket\ns = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname())\nprint('loopback')", "loopback"),
        ("import resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE))", "(1024, 1024)"),
        ("b'x' * (20 * 2**30)", ""),
    ],
)  # fmt: skip
def test_it_is_as_confined_as_a_cold_kernel(
    server: ForkServer,
    run_cells: Callable,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    expected: str,
) -> None:
    monkeypatch.setenv("COURSE_TEST_TOKEN", "hidden")
    session = run_cells(code)
    assert expected in printed(session)
    assert session.alive


def test_what_one_kernel_changes_the_next_does_not_see(
    server: ForkServer, run_cells: Callable
) -> None:
    run_cells("import pandas\npandas.DataFrame.sum = lambda *a, **k: 7\nx = 1")
    assert "NameError" not in printed(
        run_cells("import pandas\nprint(pandas.DataFrame([1]).sum())")
    )
    assert "NameError" in str(run_cells("print(x)").notebook.cells[0].outputs)


def test_the_end_of_a_kernel_ends_all_that_it_started(
    server: ForkServer, run_cells: Callable
) -> None:
    session = run_cells(
        "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '76543'], start_new_session=True)"
    )
    marked: list[int] = []
    until = time.monotonic() + 5
    while not marked and time.monotonic() < until:  # it forks once more before it sleeps
        marked = [p for p in kernel._family(os.getpid()) if b"76543" in _command(p)]
    assert marked
    session.close()
    until = time.monotonic() + 5
    while any(b"76543" in _command(p) for p in marked) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(b"76543" in _command(p) for p in marked)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_kernel_dies_with_the_connection_of_its_grader(
    server: ForkServer, run_cells: Callable
) -> None:
    session = run_cells("1")
    process = session._kernel._process
    process._connection.close()
    until = time.monotonic() + 5
    while os.path.exists(f"/proc/{process.pid}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{process.pid}")


def test_the_lesson_s_first_cells_have_been_run(sandbox: None) -> None:
    lesson = fixture.lesson()
    lesson.cells.insert(0, nbformat.v4.new_code_cell("answer = 6 * 7"))
    mine = fixture.answered("def double(v):\n    return v * 2 if answer == 42 else None\n")
    with NotebookSession(mine, fixture.QUICK, lesson=lesson, asked=["double"]) as session:
        session.run()
        assert session.execute("assert answer == 42") == ""


def test_a_lesson_whose_first_cell_fails_is_run_anew_each_time(
    sandbox: None, caplog: pytest.LogCaptureFixture
) -> None:
    lesson = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("a = 1\nraise ValueError('no')")]
    )
    with (
        caplog.at_level(logging.WARNING),
        NotebookSession(lesson, fixture.QUICK, lesson=lesson) as session,
    ):
        session.run()
        assert session.execute("assert a == 1") == ""
    assert "ValueError: no" in caplog.text


def test_memory_of_all_kernels_processes_counts_once_among_sharers(
    server: ForkServer, run_cells: Callable
) -> None:
    limits = replace(fixture.QUICK, memory=600 * 2**20)
    cell = "import os, time\nheld = b'x' * 400_000_000\nif os.fork() == 0:\n    time.sleep(5); os._exit(0)\ntime.sleep(1)\nprint('shared')"
    assert "shared" in printed(run_cells(cell, limits=limits))
    cell = (
        "held = [b'x' * 50_000_000 for i in range(40)]\nimport time; time.sleep(3)\nprint('kept')"
    )
    assert "memory" in str(run_cells(cell, limits=limits).notebook.cells[0].outputs)


def test_what_a_lesson_withholds_is_kept_from_its_forked_kernels(sandbox: None) -> None:
    cell = nbformat.v4.new_code_cell("from course.telemetry import prometheus")
    lesson = nbformat.v4.new_notebook(cells=[cell])
    lesson.metadata["course"] = {"withheld": ["course.telemetry.prometheus"]}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.source + " as p")])
    with NotebookSession(notebook, fixture.QUICK, lesson=lesson) as session:
        session.run()
        assert isinstance(session._kernel._process, forkserver.ForkedKernel)
        assert "kept back" in printed(session)


def test_processes_below_this_one_share_it(server: ForkServer) -> None:
    with shared_server(Warmth()) as found:
        assert found is not None
        other = forkserver._announced(Warmth())
        assert other is not None and other.base == found.base and not other.owned
        other.close()
        assert found.alive
    assert forkserver.ANNOUNCED not in os.environ


def test_others_wait_for_a_parent_that_still_warms_up(sandbox: None) -> None:
    warmth = Warmth(("decimal",))
    with shared_server(warmth) as found:
        assert found is not None
        assert not (found.base / "about.json").exists()
        other = forkserver._announced(warmth)
        assert other is not None and other.alive and other.base == found.base


def test_others_are_told_that_a_parent_did_not_come_up(
    sandbox: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forkserver, "fork_server_command", lambda *base: ["/bin/false"])
    warmth = Warmth(("fractions",))
    with shared_server(warmth) as found:
        assert found is not None
        began = time.monotonic()
        assert forkserver._announced(warmth) is None
        assert time.monotonic() - began < 20


def test_a_parent_that_was_killed_is_replaced(
    sandbox: None, caplog: pytest.LogCaptureFixture
) -> None:
    warmth = Warmth(("json",))
    first = fork_server(warmth)
    assert first is not None and first._process is not None
    os.kill(first._process.pid, signal.SIGKILL)
    first._process.wait()
    second = fork_server(warmth)
    assert second is not None and second.base != first.base
    assert second.alive and not first.base.exists()


def test_where_none_can_be_kernels_start_cold(
    sandbox: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(warmth: Warmth, *, wait: bool = True) -> ForkServer:
        raise SandboxError("no namespaces for you")

    monkeypatch.setattr(forkserver, "ForkServer", fail)
    monkeypatch.setattr(forkserver, "_failed", {})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('cold')")])
    with (
        caplog.at_level(logging.WARNING),
        monkeypatch.context() as patch,
        NotebookSession(notebook, fixture.QUICK, lesson=nbformat.v4.new_notebook()) as session,
    ):
        patch.setattr(
            "course.grading.session.warmth", lambda lesson: Warmth(("a-module-of-nobody",))
        )
        session.run()
        assert printed(session) == "cold\n"
    assert "start cold" in caplog.text

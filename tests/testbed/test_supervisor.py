"""No process is ever left, whatever ends the testbed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from course.errors import CourseError
from course.testbed import commands, rundir
from course.testbed.control import ask
from course.testbed.ledger import read_lines
from tests.testbed.conftest import Shop, eventually, processes_of

PROGRAM = [sys.executable, "-m", "course.cli", "testbed"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "run"
    yield folder
    commands.down(folder)
    assert processes_of(folder) == []
    assert not folder.exists()


def _gone(folder: Path, seconds: float = 8) -> None:
    eventually(lambda: processes_of(folder) == [], seconds, "no process of the run is left")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_supervisor_killed_takes_all_with_it_and_down_cleans_up(folder: Path) -> None:
    begin = time.monotonic()
    commands.up(folder, quiet=True)
    assert time.monotonic() - begin < 20
    state = rundir.read_state(folder)
    pids = [row["pid"] for row in commands.status(folder)["processes"]]
    assert len(set(processes_of(folder))) >= len(pids) >= 14
    os.kill(state["pid"], signal.SIGKILL)
    _gone(folder)
    eventually(lambda: not any(_alive(pid) for pid in pids), 2, "nor by their ids")
    assert commands.down(folder) is False
    assert commands.down(folder) is False
    with pytest.raises(CourseError, match="no testbed runs"):
        commands.status(folder)


def test_up_killed_half_way_leaves_nothing(folder: Path) -> None:
    process = subprocess.Popen([*PROGRAM, "up", "--run", str(folder)], stdout=subprocess.DEVNULL)
    eventually(lambda: len(processes_of(folder)) > 5, 15, "some services are up")
    process.kill()
    process.wait()
    _gone(folder)
    assert not rundir.is_running(folder)


def test_a_recording_killed_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "record", "--minutes", "5", "--faults", "1", "--run", str(folder),
         str(tmp_path / "set")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    running = folder.with_name("run-record")
    eventually(lambda: (running / "state.json").exists(), 15, "its testbed runs")
    process.kill()
    process.wait()
    _gone(running)
    eventually(lambda: not running.exists(), 5, "its folder is gone")


def test_ctrl_c_ends_a_run_in_the_foreground(folder: Path) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "up", "--foreground", "--run", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "Ctrl-C" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    _gone(folder, 1)
    text = "".join(seen)
    assert "shop_requests_total" in text
    assert "trace_id=" in text
    assert "payment-provider: POST /v1/charges (server)" in text
    process.stdout.close()
    process.stderr.close() if process.stderr else None


def test_a_second_up_says_that_one_runs(shop: Shop) -> None:
    with pytest.raises(CourseError, match="runs already"):
        commands.up(shop.folder, quiet=True)
    assert commands.status(shop.folder)["processes"]


def test_the_run_folder_is_private(shop: Shop) -> None:
    assert stat.S_IMODE(shop.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((shop.folder / "state.json").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="other systems show sockets to root only")
def test_nothing_listens_beyond_the_loopback_interface(shop: Shop) -> None:
    own = set(processes_of(shop.folder))
    listening = [c.laddr.ip for c in psutil.net_connections("inet")
                 if c.pid in own and c.status == psutil.CONN_LISTEN]  # fmt: skip
    assert len(listening) >= 2 * 13
    assert set(listening) == {"127.0.0.1"}


def test_orders_need_the_token(shop: Shop) -> None:
    with pytest.raises(ValueError, match="token"):
        ask(shop.state["control"], "/down", {}, token="guess")
    admin = shop.ask("/status")["processes"][0]["admin"]
    with pytest.raises(ValueError, match="token"):
        ask(admin, "/control", {"troubles": []}, token="guess")


@pytest.mark.parametrize("name", ["search", "receiver", "load", "prometheus"])
def test_a_killed_process_is_started_again_and_the_shop_goes_on(shop: Shop, name: str) -> None:
    if name == "prometheus" and shop.state["stack"] == "embedded":
        name = "monitoring"
    before = {row["name"]: row for row in shop.ask("/status")["processes"]}
    os.kill(before[name]["pid"], signal.SIGKILL)

    def again() -> bool:
        rows = {row["name"]: row for row in shop.ask("/status")["processes"]}
        return rows[name]["running"] and rows[name]["pid"] != before[name]["pid"]

    eventually(again, 10, f"{name} runs again")
    restarts = [e["service"] for e in read_lines(shop.folder / "events.jsonl")
                if e["kind"] == "restart"]  # fmt: skip
    assert name in restarts
    rate = shop.ask("/load", {})["rate"]
    assert rate > 0
    state = rundir.read_state(shop.folder)
    eventually(
        lambda: any(row["service"] == "search" for row in
                    ask(state["receiver"], "/recent/traces")["rows"]),
        10, "spans of search arrive",
    )  # fmt: skip


def test_a_folder_that_is_no_run_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CourseError, match="is not empty and no run folder"):
        commands.up(tmp_path, quiet=True)
    commands.down(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_users_do_not_share_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (rundir.MARK, "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert str(os.getuid()) in rundir.default_folder().name


def test_a_lock_is_free_once_its_holder_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = (
        "import sys, time; from pathlib import Path; from course.testbed.rundir import Lock;"
        "assert Lock.acquire(lock := Lock(Path(sys.argv[1]))); print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    assert rundir.is_running(folder)
    process.kill()
    process.wait()
    process.stdout.close()
    assert not rundir.is_running(folder)

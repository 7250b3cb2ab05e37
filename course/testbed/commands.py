"""What ``course testbed …`` does; the arguments are declared in `course.cli`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from course.errors import CourseError
from course.testbed import rundir
from course.testbed.control import ask, ask_supervisor

_START_S = 30.0
_END_S = 15.0


def up(folder: Path, *, stack: str = "auto", interval: float = 5.0, foreground: bool = False,
       quiet: bool = False) -> None:  # fmt: skip
    """Start the testbed and return once all is ready; in the foreground, once it has ended.

    Parameters
    ----------
    folder : Path
        The run folder.
    stack : {"auto", "real", "embedded"}
    interval : float
        Seconds between scrapes.
    foreground : bool
        Stay, and end everything with Ctrl-C.
    quiet : bool
        Print nothing.

    Raises
    ------
    CourseError
        One runs already, or something did not start; then nothing is left.
    """
    begin = time.monotonic()
    with _started(folder, stack, interval) as process:
        if not quiet:
            _show(folder, time.monotonic() - begin)
        if foreground:
            if not quiet:
                print("Ctrl-C ends it", flush=True)
            process.wait()
            return
        assert process.stdin
        process.stdin.write(b"detach\n")
        process.stdin.flush()


@contextlib.contextmanager
def attached(
    folder: Path, *, stack: str = "auto", interval: float = 5.0
) -> Iterator[dict[str, Any]]:
    """Run a testbed for as long as the block lasts; it ends with this process, however that ends.

    Yields
    ------
    dict
        The state of the run.
    """
    with _started(folder, stack, interval):
        yield rundir.read_state(folder)
        down(folder)


@contextlib.contextmanager
def _started(folder: Path, stack: str, interval: float) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that is ready, and ends with the block unless it is told to detach."""
    if rundir.is_running(folder):
        raise CourseError(
            f"a testbed runs already in {folder}; see `course testbed status`, "
            "or end it with `course testbed down`"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = {"folder": str(folder), "stack": stack, "interval": interval}
    process = subprocess.Popen(
        [sys.executable, "-m", "course.testbed.supervisor"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, rundir.MARK: str(folder)}, start_new_session=True,
    )  # fmt: skip
    assert process.stdin
    with _ended_unless_released(process):
        process.stdin.write(json.dumps(config).encode() + b"\n")
        process.stdin.flush()
        _wait_until_ready(process)
        yield process


@contextlib.contextmanager
def _ended_unless_released(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Closing the pipe before ``detach`` was sent ends the supervisor and all below it."""
    try:
        yield
    except BaseException:
        with _deaf_to_ctrl_c():
            if process.stdin:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A second Ctrl-C must not leave before everything is gone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_until_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout and process.stderr
    line = process.stdout.readline()
    if not line:
        errors = process.stderr.read().decode("utf-8", "replace")[-800:].strip()
        raise CourseError(f"the testbed did not start, and nothing is left of it: {errors}")
    answer = json.loads(line)
    if "error" in answer:
        raise CourseError(f"the testbed did not start: {answer['error']}")


def _show(folder: Path, seconds: float) -> None:
    """Send one user through the shop and print what can be seen of it."""
    from course.testbed.first_look import first_look

    state = rundir.read_state(folder)
    status = ask_supervisor(state, "/status")
    running = sum(row["running"] for row in status["processes"])
    print(f"{running} processes are ready after {seconds:.1f} s; monitoring: {state['stack']}")
    print(first_look(state))
    print("next: course testbed load, course testbed fault, course testbed status")


def down(folder: Path, *, quiet: bool = False) -> bool:
    """End the testbed and remove its run folder; no harm if none runs.

    Returns
    -------
    bool
        Whether one was running.

    Raises
    ------
    CourseError
        The supervisor can't be ended.
    """
    if not rundir.is_running(folder):
        rundir.remove(folder)
        return False
    state: dict[str, Any] = {}
    with contextlib.suppress(CourseError):
        state = rundir.read_state(folder)
    if state:
        with contextlib.suppress(OSError, ValueError):
            ask(state["control"], "/down", {}, token=state["token"], timeout=10)
        if _wait_for_end(folder, _END_S):
            return True
        # It holds the lock, so the process id is still the supervisor's; its children follow it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(state["pid"], signal.SIGKILL)
    if not _wait_for_end(folder, _END_S):
        raise CourseError(f"the testbed in {folder} is just being started; try again in a moment")
    rundir.remove(folder)
    return True


def _wait_for_end(folder: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while rundir.is_running(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def running_state(folder: Path) -> dict[str, Any]:
    """The state of the run.

    Raises
    ------
    CourseError
        None runs.
    """
    if not rundir.is_running(folder):
        raise CourseError("no testbed runs; start it with `course testbed up`")
    return rundir.read_state(folder)


def set_load(folder: Path, rate: float, day_minutes: float, surge: str | None,
             seconds: float, size: float) -> str:  # fmt: skip
    """Set the rate of arrivals or lay a surge over it, and say what holds now."""
    from course.shop.surges import SURGES

    state = running_state(folder)
    order: dict[str, Any] = {"rate": rate, "day_minutes": day_minutes}
    if surge:
        if surge not in SURGES or not SURGES[surge].journeys:
            known = ", ".join(kind for kind in SURGES if SURGES[kind].journeys)
            raise CourseError(f"there is no surge {surge!r}; there is {known}")
        order = {"surge": {"kind": surge, "seconds": seconds, "size": size,
                           "journeys": SURGES[surge].journeys}}  # fmt: skip
    answer = ask_supervisor(state, "/load", order)
    day = f", a day in {answer['day_minutes']:g} minutes" if answer["day_minutes"] else ""
    told = f"; {surge} for {seconds:g} s" if surge else ""
    return f"{answer['rate']:g} users arrive each second{day}{told}"


def begin_fault(folder: Path, kind: str, service: str | None, severity: float,
                seconds: float) -> str:  # fmt: skip
    """Begin a fault; without a service at the first where the kind can strike."""
    from course.testbed.troubles import KINDS

    state = running_state(folder)
    if service is None and kind in KINDS:
        service = KINDS[kind].services[0]
    order = {"kind": kind, "service": service, "severity": severity, "seconds": seconds}
    fault = ask_supervisor(state, "/fault", order)
    return (
        f"{fault['kind']} strikes {fault['root_service']} for {seconds:g} s, "
        f"severity {fault['severity']:g}"
    )


def heal(folder: Path) -> str:
    """End all faults."""
    answer = ask_supervisor(running_state(folder), "/heal", {})
    return f"{answer['healed']} fault(s) ended"


def set_breakers(folder: Path, callees: Sequence[str]) -> str:
    """Put circuit breakers before these callees, and take all others away."""
    answer = ask_supervisor(running_state(folder), "/breakers", {"callees": list(callees)})
    if not answer["callees"]:
        return "no circuit breakers"
    how = answer["settings"]
    return (
        f"circuit breaker before {', '.join(answer['callees'])}: open from {how['failures']:.0%} failed "
        f"of the latest {how['window']} calls (at least {how['least']}), for {how['pause_s']:g} s; "
        f"closed again after {how['trials']} good trials"
    )


def set_rollback(folder: Path, what: str) -> str:
    """Switch the automatic rollback "on" or "off", or roll one service back now."""
    state = running_state(folder)
    if what in ("on", "off"):
        ask_supervisor(state, "/rollback", {"on": what == "on"})
        return f"automatic rollback is {what}"
    answer = ask_supervisor(state, "/rollback", {"service": what})
    return f"{answer['service']} goes back from {answer['from']} to {answer['version']}"


def status(folder: Path) -> dict[str, Any]:
    """What runs, as the supervisor says it."""
    return ask_supervisor(running_state(folder), "/status")

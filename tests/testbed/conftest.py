"""One whole shop for the tests of a module: started once, under load, ended for certain."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from course.testbed import commands, rundir
from course.testbed.control import ask_supervisor
from course.testbed.query import Monitoring

RATE = 24.0


@dataclass
class Shop:
    """A run and how to ask it."""

    folder: Path
    state: dict[str, Any]

    @property
    def monitoring(self) -> Monitoring:
        return Monitoring(self.state)

    def ask(self, path: str, order: dict[str, Any] | None = None) -> dict[str, Any]:
        return ask_supervisor(self.state, path, order)


class Script:
    """A service that answers with the given codes in turn, then with 200."""

    def __init__(self, *codes: int, seconds: float = 0.0) -> None:
        self.codes, self.seconds, self.calls = list(codes), seconds, 0

    def __call__(
        self, operation: str, headers: Mapping[str, str], body: dict[str, Any], at: float
    ) -> tuple[int, dict[str, Any]]:
        self.calls += 1
        time.sleep(self.seconds)
        return (self.codes.pop(0) if self.codes else 200), {"operation": operation, **body}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop under load, with the real monitoring where it is installed."""
    folder = tmp_path_factory.mktemp("shop") / "run"
    commands.up(folder, interval=1.0, quiet=True)
    try:
        found = Shop(folder, rundir.read_state(folder))
        found.ask("/load", {"rate": RATE})
        yield found
    finally:
        commands.down(folder)
    assert processes_of(folder) == []


def processes_of(folder: Path) -> list[int]:
    """Process ids of all that bears the mark of a run in its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(rundir.MARK) == str(folder)
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if marked and alive:
            found.append(process.pid)
    return found


def eventually(holds: Callable[[], object], seconds: float, what: str) -> None:
    """Wait until something holds; fail with ``what`` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)

"""Child processes of the supervisor: started with a lifeline, ready when they say where they are."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

GUARD = "course.testbed.guard"


class Child:
    """A process that reads one line of JSON, answers with one, and ends with its lifeline.

    Parameters
    ----------
    name : str
    module : str
        Run as ``python -m``.
    config : dict
        Sent as the line of JSON; the supervisor's process id is added as ``parent``.
    folder : Path
        The run folder: the child's errors go to ``NAME.err`` there.
    environment : dict
    """

    def __init__(
        self,
        name: str,
        module: str,
        config: dict[str, Any],
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        self.name, self.module, self.config = name, module, config
        self.folder, self.environment = folder, environment
        self.ports: dict[str, int] = {}
        self.starts = 0
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start the process; only the main thread may: Linux ties the child's life to the thread."""
        self.starts += 1
        self.ports = {}
        with (self.folder / f"{self.name}.err").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                cwd=self.folder, env=self.environment, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdin is not None
        line = json.dumps({**self.config, "parent": os.getpid()}) + "\n"
        try:
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it died at once; the supervisor sees that

    def wait_ready(self, deadline: float) -> None:
        """Read the ports.

        Parameters
        ----------
        deadline : float
            Monotonic seconds.

        Raises
        ------
        RuntimeError
            It ended or took too long; the message holds the end of its errors.
        """
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(max(deadline - time.monotonic(), 0))
        line = self.process.stdout.readline() if ready else b""
        if not line:
            state = f"ended with {self.process.poll()}" if ready else "was not ready in time"
            raise RuntimeError(f"{self.name} {state}: {self.last_errors()}")
        self.ports = {str(k): int(v) for k, v in json.loads(line).items()}

    def last_errors(self) -> str:
        """The end of what it wrote to its standard error."""
        path = self.folder / f"{self.name}.err"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return text[-600:].strip() or "it wrote no error"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def ended(self) -> bool:
        """Whether it is gone."""
        return self.process.poll() is not None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()

    def cut(self) -> None:
        """Close the lifeline: the child ends by itself."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def wait(self, deadline: float) -> None:
        """Wait until it is gone; after the deadline kill it."""
        try:
            self.process.wait(max(deadline - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.kill_program()

    def kill_program(self) -> None:
        """End what a guard has started and left behind, should the guard itself have been killed."""
        if self.module == GUARD:  # the program is in the session that its guard led
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

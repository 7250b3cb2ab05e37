"""Run a foreign program under a lifeline: it ends when the supervisor does.

A program such as Prometheus knows nothing of lifelines. This process starts it, asks Linux to
kill it should the guard die first, and ends it when its own standard input closes.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from course.testbed import lifeline

_GRACE_S = 2.0


def main() -> None:
    """Run the program that the line of JSON names: ``argv`` and ``port`` (passed on)."""
    config: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    lifeline.die_with_parent(config["parent"])
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def tie() -> None:
        if libc is not None:
            libc.prctl(1, signal.SIGKILL)

    program = subprocess.Popen(
        config["argv"], stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr,
        preexec_fn=tie,
    )  # fmt: skip

    def end(*_: object) -> None:
        program.terminate()
        deadline = time.monotonic() + _GRACE_S
        while program.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if program.poll() is None:
            program.kill()
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    lifeline.watch(sys.stdin.fileno(), end)
    print(json.dumps({"port": config["port"], "program": program.pid}), flush=True)
    sys.exit(program.wait())


if __name__ == "__main__":
    main()

"""Work for the tests of worker processes."""

from __future__ import annotations

import os
import signal
import time


def work(task: str) -> str:
    """Answer, fail, die or hang, as the task says."""
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "hang":
        time.sleep(600)
    if task == "raise":
        raise ValueError("a fault")
    return task.upper()


def span(name: str) -> tuple[float, float]:
    """When a task began and ended; the one called "long" takes its time."""
    begun = time.time()
    time.sleep(1.5 if name == "long" else 1.0)
    return begun, time.time()

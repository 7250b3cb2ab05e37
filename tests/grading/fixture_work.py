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

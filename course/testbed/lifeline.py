"""A child process ends when its parent does, whatever ends the parent.

The parent holds the only write end of a pipe that is the child's standard input: the kernel
closes it even after ``kill -9``, on every system. Linux sends SIGKILL as well (prctl), which
reaches a child that does not read.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the thread that started it ends.

    Parameters
    ----------
    parent : int
        Process id of the parent; if it is gone already, this process exits at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def watch(descriptor: int, end: Callable[[], None]) -> threading.Thread:
    """Call ``end`` when the other end of a pipe is closed.

    Parameters
    ----------
    descriptor : int
        Read end; whatever arrives is thrown away.
    end : callable
        Runs in a thread of its own, once.
    """

    def wait() -> None:
        try:
            while os.read(descriptor, 4096):
                pass
        except OSError:
            pass
        end()

    thread = threading.Thread(target=wait, name="lifeline", daemon=True)
    thread.start()
    return thread


def exit_now() -> None:
    """End this process without waiting for threads: its parent is gone."""
    os._exit(0)

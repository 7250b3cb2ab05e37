"""Many submissions on one machine: worker processes, retries, progress.

Everything here may be killed at any moment. Workers end with the process that started them,
sandboxes end with their worker, and what is finished is in the journal (see `journal`).
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import multiprocessing
import os
import shutil
import signal
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, as_completed
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import psutil
from tqdm import tqdm

from course.errors import CourseError
from course.grading.hidden import hidden_cases
from course.grading.journal import hold_as_worker
from course.grading.secret import Secret
from course.grading.submissions import Outcome, Task, grade_submission
from course.lessons import Month
from course.lessons.checking import Student, StudentError

T = TypeVar("T")
R = TypeVar("R")

_PR_SET_PDEATHSIG = 1
# A worker that cannot even start says nothing about a submission.
_START_DEATHS = 3
_START_S = 300.0
_RUN_FOLDERS_KEPT_S = 2 * 3600


@dataclass(frozen=True)
class Lost:
    """A task whose worker died, and how."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def grade_all(
    tasks: list[Task],
    *,
    jobs: int,
    limit_s: float,
    secret: Secret,
    home: Path,
    executor: Executor | None,
    refuse: Callable[[str, str], None],
    progress: Progress,
) -> dict[str, str]:
    """Grade every task; one that fails is tried once more, alone, and then refused.

    Parameters
    ----------
    tasks : list of Task
        What to grade.
    jobs : int
        Worker processes.
    limit_s : float
        Seconds after which a worker that is still at one submission is killed.
    secret : Secret
        Whose hidden inputs are made once before the workers need them.
    home : Path
        The folder of the gradebook.
    executor : concurrent.futures.Executor, optional
        Runs the tasks instead of local processes.
    refuse : callable
        Called with a student and a reason after the second failure.
    progress : Progress
        Told of every submission.

    Returns
    -------
    dict of str to str
        Students whom the grader failed, and why. They have no record and are tried again by
        the next run.
    """
    failed: dict[str, str] = {}
    again: list[Task] = []
    first = _outcomes(tasks, jobs, limit_s, secret, home, executor)
    with contextlib.closing(first):
        for task, outcome in first:
            _stop_if_fatal(outcome, progress)
            if outcome.failure:
                again.append(task)
            else:
                progress.advance(task.student)
    second = _outcomes(again, 1, limit_s, secret, home, executor)
    with contextlib.closing(second):
        for task, outcome in second:
            _stop_if_fatal(outcome, progress)
            why = outcome.failure
            if why:
                try:
                    refuse(task.student, f"the grader failed ({why})")
                except Exception as error:
                    why += f"; that could not be put into the gradebook either ({error})"
                failed[task.student] = why
            progress.advance(task.student, why)
    return failed


def _stop_if_fatal(outcome: Outcome, progress: Progress) -> None:
    if outcome.fatal:
        raise CourseError(
            f"grading stopped: {outcome.failure}. {progress.state()}; nothing is lost. Mend this "
            "and run the same command again"
        )


def _outcomes(
    tasks: list[Task], jobs: int, limit_s: float, secret: Secret, home: Path,
    executor: Executor | None,
) -> Generator[tuple[Task, Outcome]]:  # fmt: skip
    if not tasks:
        return
    if executor is not None:
        yield from _on_executor(tasks, executor)
        return
    # The workers share out the making of the hidden inputs; else each would make all of them.
    month, several = tasks[0].month, min(jobs, len(tasks)) > 1
    # Those worth most points tend to take longest, so they begin first.
    exercises = sorted(month.exercises, key=lambda exercise: -exercise.points)
    first = [Warm(month, exercise.id, secret) for exercise in exercises] if several else []
    work: list[Task | Warm] = [*first, *tasks]
    answers = in_processes(work, _work, jobs=jobs, limit_s=limit_s, home=home, first=len(first))
    with contextlib.closing(answers):
        for task, answer in answers:
            if isinstance(task, Task):
                outcome = answer if isinstance(answer, Outcome) else Outcome(failure=str(answer))
                yield task, outcome


def _on_executor(tasks: list[Task], executor: Executor) -> Iterator[tuple[Task, Outcome]]:
    futures = {executor.submit(grade_submission, task): task for task in tasks}
    for future in as_completed(futures):
        try:
            yield futures[future], future.result()
        except BrokenExecutor as error:
            yield futures[future], Outcome(failure=f"the executor broke ({error})", fatal=True)
        except Exception as error:
            yield futures[future], Outcome(failure=f"{type(error).__name__}: {error}")


class _Nobody:
    """A student who answers nothing."""

    def _ask(self, *args: Any, **kwargs: Any) -> Any:
        raise StudentError("no answer")

    call = each = keep = hold = method = _ask


@dataclass(frozen=True)
class Warm:
    """Make an exercise's hidden inputs, as far as its check asks for them when nobody answers."""

    month: Month
    exercise: str
    secret: Secret

    def __call__(self) -> None:
        """Run the check; what it makes is cached on the disk."""
        check = self.month.load_checks().get(self.exercise)
        if check is not None:
            with contextlib.suppress(Exception):
                check(cast(Student, _Nobody()), hidden_cases(self.secret, self.month.path))


def _work(task: Task | Warm) -> Outcome | None:
    return grade_submission(task) if isinstance(task, Task) else task()


# --- worker processes -------------------------------------------------------------------------


def in_processes(
    tasks: Iterable[T],
    work: Callable[[T], R],
    *,
    jobs: int,
    limit_s: float,
    home: Path,
    first: int = 0,
) -> Generator[tuple[T, R | Lost]]:
    """Run tasks in processes of their own; a process that dies costs its own task only.

    Unlike a ``ProcessPoolExecutor``, which breaks as a whole when one process dies, this knows
    which task a dead process was at.

    Parameters
    ----------
    tasks : iterable
        What to do.
    work : callable
        A function of a module, called with one task.
    jobs : int
        Processes at a time.
    limit_s : float
        Seconds after which a process that is still at one task is killed.
    home : Path
        The folder of the gradebook, for the lock that the workers hold.
    first : int
        So many of the first tasks are done before any other is begun.

    Yields
    ------
    tuple
        A task, and its answer or `Lost`, in the order of completion.

    Raises
    ------
    CourseError
        Processes die before they take a task.
    """
    waiting = deque(tasks)
    ahead = unfinished = first
    workers: list[_Worker[T, R]] = []
    deaths = 0
    try:
        while waiting or any(worker.task for worker in workers):
            wanted = len(waiting) + sum(bool(worker.task) for worker in workers)
            while len(workers) < min(jobs, wanted):
                workers.append(_Worker(work, home))
            for worker in workers:
                if waiting and worker.idle and (ahead > 0 or unfinished <= 0):
                    worker.give(waiting.popleft(), limit_s)
                    ahead -= 1
            pause = min(worker.until for worker in workers) - time.monotonic()
            ready = wait([worker.connection for worker in workers], max(pause, 0.0))
            for worker in list(workers):
                late = time.monotonic() > worker.until
                if worker.connection not in ready and not late:
                    continue
                begun, task = worker.begun, worker.task
                if worker.connection in ready:
                    answer = worker.receive()
                else:
                    worker.kill()
                    answer = Lost(f"it took longer than {limit_s:g} s and was stopped")
                if not worker.alive:
                    workers.remove(worker)
                    deaths += not begun
                    if deaths >= _START_DEATHS:
                        raise CourseError(
                            f"worker processes cannot start here ({answer}); the lines above may "
                            "say why. Nothing is lost: mend this and run the same command again"
                        )
                if begun:
                    deaths = 0
                for done in task:
                    unfinished -= 1
                    yield done, answer  # type: ignore[misc]
    finally:
        # A second Ctrl-C has to wait, or workers would be left.
        with _interrupts_blocked():
            for worker in sorted(workers, key=lambda worker: worker.idle):
                worker.end()


class _Worker(Generic[T, R]):
    """A process that does one task at a time."""

    def __init__(self, work: Callable[[T], R], home: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.task: tuple[T, ...] = ()
        self.begun, self.alive = False, True
        self.until = time.monotonic() + _START_S
        self._process = context.Process(target=_serve, args=(work, other, home))
        with _interrupts_blocked():
            self._process.start()
        other.close()

    @property
    def idle(self) -> bool:
        """Whether it waits for a task."""
        return self.begun and not self.task

    def give(self, task: T, limit_s: float) -> None:
        """Hand over a task; a process that has just died is noticed by `receive`."""
        self.task, self.until = (task,), time.monotonic() + limit_s
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def receive(self) -> R | Lost | None:
        """The answer, None for a sign of life, or `Lost` where the process has died."""
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):
            self.kill()
            return Lost(_death(self._process.exitcode))
        self.task, self.begun, self.until = (), True, math.inf
        return answer

    def kill(self) -> None:
        """End the process at once; its sandbox ends with it."""
        self.alive = False
        self._process.kill()
        self._process.join(10)
        self.connection.close()

    def end(self) -> None:
        """End an idle process gently and one that is at work at once."""
        if self.alive and self.idle:
            self.connection.close()
            self._process.join(10)
        self.kill()


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its worker process ended with code {code}"
    name = signal.Signals(-code).name
    why = ", perhaps for lack of memory" if name == "SIGKILL" else ""
    return f"its worker process was ended by {name}{why}"


@contextlib.contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Keep Ctrl-C waiting; a process started meanwhile unblocks it in `_stand_alone`."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # Else the first start does it, and unblocks the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: Callable[[T], R], connection: Connection, home: Path) -> None:
    """What a worker process does: task in, answer out, until the connection closes."""
    _stand_alone()
    _end_with_the_parent()
    lock = hold_as_worker(home)
    connection.send(None)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            break
        try:
            answer: R | Lost = work(task)
        except Exception as error:
            answer = Lost(f"{type(error).__name__}: {error}")
        connection.send(answer)
    del lock


def _stand_alone() -> None:
    """Leave the terminal's group: Ctrl-C is for the main process, which then ends the workers.

    A kernel that Ctrl-C ends would look like one that its submission has ended.
    """
    if os.name == "posix":
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_the_parent() -> None:
    """End this process, and so its sandboxes, when the process that started it ends."""
    threading.Thread(target=_watch_parent, name="parent-watch", daemon=True).start()
    if sys.platform.startswith("linux"):
        # Also where Python has no time for its threads; the parent's end before this line is
        # noticed by the thread.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        os._exit(1)


def sweep_run_folders() -> None:
    """Delete run folders that killed workers have left, once they are too old to be in use."""
    limit = time.time() - _RUN_FOLDERS_KEPT_S
    for path in Path("/tmp").glob("cg-*"):
        with contextlib.suppress(OSError):
            info = path.lstat()
            own = os.name == "posix" and info.st_uid == os.geteuid()
            if own and stat.S_ISDIR(info.st_mode) and info.st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)


# --- progress ---------------------------------------------------------------------------------


class Progress:
    """Shows how far a run is: a bar on a terminal, a line per submission elsewhere.

    Parameters
    ----------
    total : int
        Submissions to grade.
    unchanged : int
        Submissions that were graded before.
    show : bool
        Whether to show anything.
    """

    def __init__(self, total: int, unchanged: int = 0, show: bool = True) -> None:
        self.total, self.unchanged, self.done, self.failed = total, unchanged, 0, 0
        self._started = time.monotonic()
        bar = show and total and sys.stderr.isatty()
        self._bar = tqdm(total=total, unit="submission", dynamic_ncols=True) if bar else None
        self._lines = show and not bar

    def advance(self, student: str, failure: str = "") -> None:
        """Count a submission as done."""
        self.done += 1
        self.failed += bool(failure)
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self.failed} failed", refresh=False)
            self._bar.update()
        elif self._lines:
            spent = time.monotonic() - self._started
            left = tqdm.format_interval(spent / self.done * (self.total - self.done))
            print(
                f"[{self.done}/{self.total}] {student}: {failure or 'graded'}; "
                f"{self.failed} failed, {left} left",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    def state(self) -> str:
        """Say how many submissions are graded and recorded."""
        graded = self.unchanged + self.done - self.failed
        return f"{graded} of {self.unchanged + self.total} submissions are graded and recorded"

    def close(self) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()

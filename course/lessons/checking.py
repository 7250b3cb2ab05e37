"""What a month's hidden checks are written against.

A check runs in the trusted process. It sends inputs to the student's function, gets plain
values back and compares them here: expected values, seeds and labels never travel.
The grader supplies the two objects that a check receives: a `Student` to call functions
with, and a `Hidden` source of seeds and cached inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")


class StudentError(Exception):
    """A call into the student's notebook gave no usable answer; the text is fit to show them."""


@dataclass(frozen=True)
class Handle:
    """A value that stays in the student's kernel and is named in later calls."""

    key: str


@dataclass(frozen=True)
class Case:
    """One graded case of an exercise.

    Parameters
    ----------
    name : str
        Shown to the student; must not give a hidden value away.
    score : float
        From 0 to 1; anything else, NaN included, counts as 0.
    message : str
        Why points were lost and where to look.
    weight : float
        Share of the exercise's points relative to the other cases.
    measured, baseline, target : float, optional
        For the audit's table: what was measured, where the ramp of points starts
        (the naive baseline) and where it ends.
    """

    name: str
    score: float
    message: str = ""
    weight: float = 1.0
    measured: float | None = None
    baseline: float | None = None
    target: float | None = None


class Student(Protocol):
    """The student's executed notebook, seen from outside its kernel.

    Values travel as copies, as JSON and Arrow-like buffers; what comes back is plain: exact
    Python scalars, lists, dicts, NumPy arrays, pandas objects. Every method raises
    `StudentError` when there is no usable answer.

    Examples
    --------
    Ask a function::

        flags = student.call("detect", live, timeout=10)

    Send a large input once, and leave a model in the kernel::

        history = student.hold(frame)
        model = student.keep("fit_detector", history)
        flags = student.each("detect", [(model, day) for day in days], timeout=10)

    Call a method of what was kept, such as a policy in an environment that lives here::

        policy = student.keep("make_policy")
        steps = drive(student, policy, environment)

    Crash and resume::

        crashed = student.crash("consume", "queue.db", after=0.3)
        total = student.call("total", "queue.db")  # a new kernel, the same files

    Take away what a function may have remembered::

        student.restart()
        again = student.call("detect", student.keep("fit_detector", frame), live)
    """

    def call(self, function: str, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Call a function of the notebook by name and return a plain copy of its answer."""
        ...

    def each(
        self, function: str, calls: Iterable[tuple[Any, ...]], *, timeout: float | None = None
    ) -> list[Any]:
        """Call a function once for each tuple of arguments.

        As a loop of `call` does, and cheaper where there are many: several calls travel in one
        request, so a function may see other inputs of these calls; `timeout` is for one call.
        """
        ...

    def keep(
        self, function: str, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Handle:
        """Call a function and leave its answer in the kernel."""
        ...

    def hold(self, value: Any) -> Handle:
        """Send a value once; the handle stands for it in later calls."""
        ...

    def method(
        self, handle: Handle, name: str, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Call a method of a held object."""
        ...

    def kill(self) -> None:
        """Kill the kernel between two calls; the next resumes in the same files, without handles."""
        ...

    def restart(self) -> None:
        """Go on in a fresh kernel and fresh files, which know nothing of earlier calls."""
        ...

    def crash(self, function: str, *args: Any, after: float, **kwargs: Any) -> bool:
        """Call a function and kill its kernel `after` seconds on; False if it was done by then."""
        ...


class Environment(Protocol):
    """Something to be steered, here in the trusted process, for all its scenarios at once."""

    def reset(self) -> Any:
        """Begin anew and return the first observations."""
        ...

    def step(self, actions: Any) -> tuple[Any, bool]:
        """Act in all scenarios; return the next observations and whether all have ended."""
        ...


def drive(
    student: Student, policy: Handle | str, environment: Environment, *, method: str = "act",
    timeout: float | None = None,
) -> int:  # fmt: skip
    """Let a policy in the kernel steer an environment out here: one round trip a step.

    Parameters
    ----------
    student : Student
        Whose kernel holds the policy.
    policy : Handle or str
        From `Student.keep`, or the name of a function that maps observations to actions.
    environment : Environment
        Judges the actions as well; they are as hostile as any other answer.
    method : str
        The kept policy's method that maps observations to actions.
    timeout : float, optional
        Seconds a step may take.

    Returns
    -------
    int
        Steps taken.
    """
    observations, done, steps = environment.reset(), False, 0
    while not done:
        actions = (
            student.call(policy, observations, timeout=timeout)
            if isinstance(policy, str)
            else student.method(policy, method, observations, timeout=timeout)
        )
        observations, done = environment.step(actions)
        steps += 1
    return steps


class Hidden(Protocol):
    """Where hidden cases come from."""

    def seed(self, name: str) -> int:
        """Return the seed of a named case under the course secret."""
        ...

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """Return `make()`, computed once per secret and kept outside the sandbox."""
        ...


CheckFunction = Callable[[Student, Hidden], list[Case]]


def tried(
    judge: Callable[..., Case], student: Student, name: str, *inputs: Any, weight: float = 1.0
) -> Case:
    """Return ``judge(student, name, *inputs)``; an unusable answer costs this case only."""
    try:
        return replace(judge(student, name, *inputs), weight=weight)
    except StudentError as error:
        return Case(name, 0.0, str(error), weight)


def given(case: Case, share: float, what: str, *, weight: float | None = None) -> Case:
    """Multiply a case that a fixed answer could get right by the share of what it must get, too.

    Examples
    --------
    >>> case = given(Case("no events", 1.0), 0.5, "the ordinary cases are")
    >>> case.score, case.message
    (0.5, 'counts only in so far as the ordinary cases are right')
    """
    message = case.message or ("" if share == 1 else f"counts only in so far as {what} right")
    weight = case.weight if weight is None else weight
    return replace(case, score=case.score * share, message=message, weight=weight)


@dataclass(frozen=True)
class WrongAnswer:
    """A plausible answer that is kept to prove the checks.

    `code` replaces the whole solution cell of the exercise. An answer of kind
    ``"alternative"`` is right and must keep its points; every other kind must lose at
    least half of them.
    """

    exercise: str
    name: str
    why: str
    code: str
    kind: Literal["wrong", "naive", "constant", "clock", "metadata", "alternative"] = "wrong"


def ramp(value: float, baseline: float, target: float) -> float:
    """Score from 0 at the naive baseline to 1 at the target, straight in between.

    Works in either direction: with ``target < baseline`` smaller values are better.
    NaN scores 0.

    Examples
    --------
    >>> ramp(0.6, 0.4, 0.8)
    0.5
    >>> ramp(2.0, 5.0, 1.0)
    0.75
    """
    share = (value - baseline) / (target - baseline)
    return float(round(min(max(share, 0.0), 1.0), 6)) if share == share else 0.0

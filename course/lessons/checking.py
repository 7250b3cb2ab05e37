"""What a month's hidden checks are written against.

A check runs in the trusted process. It sends inputs to the student's function, gets plain
values back and compares them here: expected values, seeds and labels never travel.
The grader supplies the two objects that a check receives: a `Student` to call functions
with, and a `Hidden` source of seeds and cached inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    """The student's executed notebook, seen from outside its kernel."""

    def call(self, function: str, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Call a function of the notebook by name and return a plain copy of its answer."""
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


class Hidden(Protocol):
    """Where hidden cases come from."""

    def seed(self, name: str) -> int:
        """Return the seed of a named case under the course secret."""
        ...

    def cached(self, name: str, make: Callable[[], T]) -> T:
        """Return `make()`, computed once per secret and kept outside the sandbox."""
        ...


CheckFunction = Callable[[Student, Hidden], list[Case]]


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

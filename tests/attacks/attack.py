"""What a hostile submission is, and what became of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

WRONG_DOUBLE = "def double(v):\n    return v\n"
WRONG_DETECT = "def detect(v):\n    return v > 1e9\n"
FULL = 30.0
# Attacks that are graded in a row, before one honest submission.
GROUP = 3


@dataclass(frozen=True)
class Attack:
    """A hostile submission.

    Its code sees `T`, which names what there is to attack (see `arena.Bait.target`), and prints
    ``T.mark`` with the word `tried` once it has done its worst: without this evidence in an
    output or a message the test fails, so that a typo cannot pass for a defence.

    Parameters
    ----------
    name, tries : str
        Its name, and in a few words what it is after.
    code : str
        A cell above the exercises.
    double, detect : str
        The answers to both exercises; wrong unless said otherwise.
    honest : float
        Points that the answers earn by themselves, of 30.
    files : mapping of str to bytes or str
        Further files of the submission.
    links : mapping of str to str
        Symbolic links of the submission; the target is a field of `T` or a path.
    change : callable, optional
        Changes the tree of the submitted notebook.
    limits : mapping
        Overrides of the arena's limits.
    through : str
        ``"grade_notebook"``, or ``"nbgrader"`` for `api.grade` with its feedback page.
    evidence : str
        What must stand in an output or a message; "" where nothing can be written.
    control : str
        Where it does succeed: ``"in-process"`` (asserts beside the student's code, as in stock
        nbgrader), ``"unsandboxed"``, or "" where a trial would harm the machine.
    at_most_cpu_s : float
        Processor seconds that it may cost the trusted process.
    """

    name: str
    tries: str
    code: str = ""
    double: str = WRONG_DOUBLE
    detect: str = WRONG_DETECT
    honest: float = 0.0
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[dict], Any] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    through: Literal["grade_notebook", "nbgrader"] = "grade_notebook"
    evidence: str = "tried"
    control: Literal["", "in-process", "unsandboxed"] = ""
    at_most_cpu_s: float = 10.0

    def __str__(self) -> str:
        return self.name.replace(" ", "-")

    def cells(self) -> tuple[str, str, str]:
        """The cell at the top and both answers, without the indentation of this source."""
        return tuple(textwrap.dedent(part) for part in (self.code, self.double, self.detect))


@dataclass
class Outcome:
    """What an attack has got.

    Parameters
    ----------
    points, honest : float
        What it earned, and what its answers are worth.
    changed : list of str
        Everything that it changed, started, reached or learnt outside of its run folder.
    next_points : float
        What an honest submission earned after it (or after its group), in the same process.
    evidence : bool
        Whether the attack did run.
    seconds, cpu_seconds : float
        Wall time of its grading, and processor time of the trusted process in it.
    said : str
        Outputs and messages, for the reader of a failed test.
    """

    points: float
    honest: float
    changed: list[str]
    next_points: float
    evidence: bool
    seconds: float
    cpu_seconds: float
    said: str = ""

    @property
    def starved(self) -> bool:
        """Whether something was lost and nothing gained: a busy machine does that too."""
        lost = self.points < self.honest or self.next_points < FULL or not self.evidence
        return lost and not self.succeeded

    @property
    def succeeded(self) -> bool:
        """Whether the attack gained anything."""
        return bool(self.changed) or self.points > self.honest

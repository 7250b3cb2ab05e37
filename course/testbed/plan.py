"""What happens in a recording, and when: faults with quiet time between, surges, harmless changes."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from course.errors import CourseError
from course.testbed.layout import NODES
from course.testbed.supervisor import check_fault
from course.testbed.troubles import KINDS

WARM_UP_S = 90.0
#: Surges of demand; the simulator's batch job brings no users.
_SURGES = ("flash_sale", "marketing_mail", "bot_crawl")
_FLAGS = ("new-layout", "fast-search", "gift-wrap")


@dataclass(frozen=True)
class Step:
    """One thing that happens.

    Parameters
    ----------
    at : float
        Seconds after the start of the recording.
    action : str
        "fault", "surge" or "change".
    what : str
        Kind of the fault, the surge or the change ("deploy", "flag").
    service : str
        Where; "" for a surge.
    seconds : float
    severity : float
        Of a fault; size of a surge.
    detail : str
        Of a change.
    seed : int
        Luck of a fault that comes and goes.
    """

    at: float
    action: str
    what: str
    service: str = ""
    seconds: float = 0.0
    severity: float = 0.0
    detail: str = ""
    seed: int = 0


def draw(minutes: float, seed: int, faults: int) -> list[Step]:
    """Draw a plan.

    Parameters
    ----------
    minutes : float
        Length of the recording.
    seed : int
        Decides everything.
    faults : int
        Number of faults. The time after the warm-up is cut into as many equal turns: a quiet
        part, in which a harmless surge or change may come, then the fault.

    Returns
    -------
    list of Step
        In order of time. Every kind comes once before any comes again.

    Raises
    ------
    CourseError
        There is too little time for so many faults.

    Examples
    --------
    >>> plan = draw(minutes=60, seed=1, faults=5)
    >>> [step.action for step in plan].count("fault")
    5
    """
    turn = (minutes * 60 - WARM_UP_S) / max(faults, 1)
    if faults < 0 or turn < 90:
        raise CourseError(
            f"{faults} faults don't fit into {minutes:g} minutes: each needs 90 seconds, and the "
            f"warm-up {WARM_UP_S:g}; record longer, or fewer faults"
        )
    rng = random.Random(seed)
    steps: list[Step] = []
    bag: list[str] = []
    for number in range(faults):
        if not bag:
            bag = list(KINDS)
            rng.shuffle(bag)
        kind = bag.pop()
        quiet = turn * rng.uniform(0.45, 0.6)
        begin = WARM_UP_S + number * turn
        steps += _harmless(rng, begin, quiet)
        steps.append(
            Step(
                at=round(begin + quiet, 1),
                action="fault",
                what=kind,
                service=rng.choice(KINDS[kind].services),
                seconds=round((turn - quiet) * rng.uniform(0.75, 1.0), 1),
                severity=round(rng.uniform(0.5, 1.0), 2),
                seed=rng.randrange(1 << 30),
            )
        )
    return sorted(steps, key=lambda step: step.at)


def _harmless(rng: random.Random, begin: float, quiet: float) -> list[Step]:
    """At most one surge and one change in the first half of a quiet stretch."""
    found = []
    if rng.random() < 0.3:
        found.append(
            Step(at=round(begin + quiet * rng.uniform(0.05, 0.2), 1), action="surge",
                 what=rng.choice(_SURGES), seconds=round(0.4 * quiet, 1),
                 severity=round(rng.uniform(0.5, 1.2), 2))
        )  # fmt: skip
    if rng.random() < 0.3:
        own = [name for name, node in NODES.items() if node.kind in ("app", "edge", "worker")]
        kind = rng.choice(("deploy", "flag"))
        detail = f"v{rng.randrange(2, 100)}" if kind == "deploy" else f"{rng.choice(_FLAGS)}=on"
        at = round(begin + quiet * rng.uniform(0.1, 0.5), 1)
        found.append(Step(at, "change", kind, rng.choice(own), detail=detail))
    return found


def load(path: Path) -> list[Step]:
    """Read a plan: a JSON list of steps as `save` writes them.

    Raises
    ------
    CourseError
        The file is no plan; the message names the step that is wrong.
    """
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8"))
        steps = [Step(**row) for row in rows]
        for step in steps:
            if step.action == "fault":
                check_fault(step.what, step.service, step.severity, step.seconds)
            elif step.action not in ("surge", "change"):
                raise ValueError(f"action {step.action!r} is none of fault, surge, change")
    except (ValueError, TypeError) as error:
        raise CourseError(f"{path} is no plan: {error}") from None
    return sorted(steps, key=lambda step: step.at)


def save(steps: list[Step], path: Path) -> None:
    """Write a plan that `load` reads."""
    path.write_text(json.dumps([asdict(step) for step in steps], indent=1), encoding="utf-8")

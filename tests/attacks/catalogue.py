"""All attacks of the suite, by identifier."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from tests.attacks.attack import GROUP, Attack


@functools.cache
def attacks() -> dict[str, Attack]:
    """Attacks of every theme; the identifier is ``theme:name``."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.attacks.{path.stem}")
        for attack in module.ATTACKS:
            found[f"{path.stem.removeprefix('test_')}:{attack}"] = attack
    return found


def identifier(attack: Attack) -> str:
    """Theme and name of an attack."""
    return next(name for name, known in attacks().items() if known is attack)


def group(attack: Attack) -> list[Attack]:
    """The attacks that are graded in one run with this one: several through nbgrader only."""
    if attack.through != "nbgrader":
        return [attack]
    theme = identifier(attack).split(":")[0]
    together = [
        known
        for name, known in attacks().items()
        if name.startswith(f"{theme}:") and known.through == "nbgrader"
    ]
    place = together.index(attack) // GROUP * GROUP
    return together[place : place + GROUP]


def as_ordinary_user(attack: Attack) -> bool:
    """Whether root's tests run an attack as an ordinary user as well.

    What is held off by the sandbox always is; of what is held off by the trusted process, which
    is the same for both, every other attack.
    """
    theme = identifier(attack).split(":")[0]
    if theme in ("host", "network", "resources"):
        return True
    everyone = list(attacks().values())
    return everyone.index(group(attack)[0]) % 2 == 0

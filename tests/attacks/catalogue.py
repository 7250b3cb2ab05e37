"""All attacks of the suite, by identifier."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from tests.attacks.attack import GROUP, Attack

# Themes that the sandbox holds off; the others are up to the trusted process.
SANDBOX = ("host", "network", "resources")


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
    """The attacks that are graded in a row with this one, before one honest submission.

    What presses on the machine, or is to outlive its kernel, is followed by one of its own.
    """
    theme = identifier(attack).split(":")[0]
    if theme in SANDBOX and attack.through != "nbgrader":
        return [attack]
    together = [
        known
        for name, known in attacks().items()
        if name.startswith(f"{theme}:") and known.through == attack.through
    ]
    place = together.index(attack) // GROUP * GROUP
    return together[place : place + GROUP]


def as_ordinary_user(attack: Attack) -> bool:
    """Whether root's tests run an attack as an ordinary user as well.

    Always where that user's sandbox is another than root's and is what holds; of the rest, which
    the same trusted code holds off, every other group.
    """
    if identifier(attack).split(":")[0] in ("host", "network"):
        return True
    everyone = list(attacks().values())
    return everyone.index(group(attack)[0]) % 2 == 0

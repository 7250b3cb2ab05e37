"""All attacks of the suite, by identifier."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.attacks.attack import Attack


def attacks() -> dict[str, Attack]:
    """Attacks of every theme; the identifier is ``theme:name``."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.attacks.{path.stem}")
        for attack in getattr(module, "ATTACKS", ()):
            found[identifier(path.stem, attack)] = attack
    return found


def identifier(module: str, attack: Attack) -> str:
    """Theme and name of an attack."""
    return f"{module.rpartition('.')[2].removeprefix('test_')}:{attack}"

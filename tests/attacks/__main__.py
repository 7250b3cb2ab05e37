"""Print the table of all attacks: ``python -m tests.attacks [WORD ...]``.

With words, only attacks whose identifier holds one of them. Root grades every attack as root and
what `catalogue.as_ordinary_user` names as an ordinary user too. Exit status 1: something gained.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.attacks.arena import Arena
from tests.attacks.attack import FULL, Attack, Outcome
from tests.attacks.catalogue import as_ordinary_user, attacks, group, identifier
from tests.attacks.users import OrdinaryUser, OrdinaryUserError

_HEAD = ("attack", "tries", "as", "points", "changed outside", "next", "seconds", "")


def main(words: list[str]) -> int:
    """Run the attacks and print a line for each; returns the exit status."""
    chosen = {
        name: attack
        for name, attack in attacks().items()
        if not words or any(word in name for word in words)
    }
    with tempfile.TemporaryDirectory(prefix="arena-", dir="/tmp") as folder:
        arena = Arena(Path(folder))
        user = None
        try:
            places: list[tuple[str, Any]] = [("root" if os.geteuid() == 0 else "user", arena)]
            if os.geteuid() == 0:
                try:
                    user = OrdinaryUser(Path(folder))
                    places.append(("user", user))
                except OrdinaryUserError as error:
                    print(f"not as an ordinary user: {error}", file=sys.stderr)
            return _table(chosen, places)
        finally:
            if user is not None:
                user.close()
            arena.close()


def _table(chosen: dict[str, Attack], places: list[tuple[str, Any]]) -> int:
    print("| " + " | ".join(_HEAD) + " |")
    print("|" + "---|" * len(_HEAD))
    bad = count = 0
    known: dict[tuple[str, str], Outcome] = {}
    for name, attack in chosen.items():
        for who, place in places:
            if len(places) > 1 and who == "user" and not as_ordinary_user(attack):
                continue
            if (who, name) not in known:
                together = group(attack)
                for one, outcome in zip(together, place.run(*together), strict=True):
                    known[who, identifier(one)] = outcome
            outcome = known[who, name]
            bad += _fails(outcome)
            count += 1
            print(_row(name, attack, who, outcome), flush=True)
    print(f"\n{len(chosen)} attacks, {count} runs, {bad} that gained or spoiled something")
    return int(bad > 0)


def _fails(outcome: Outcome) -> bool:
    untouched = outcome.points == outcome.honest and outcome.next_points == FULL
    return not (untouched and outcome.evidence and not outcome.changed)


def _row(name: str, attack: Attack, who: str, outcome: Outcome) -> str:
    verdict = "" if not _fails(outcome) else "LOST" if outcome.evidence else "DID NOT RUN"
    cells = (
        name.split(":")[0] + ": " + attack.name, attack.tries, who,
        f"{outcome.points:g} / {outcome.honest:g}", "; ".join(outcome.changed) or "nothing",
        f"{outcome.next_points:g} / {FULL:g}", f"{outcome.seconds:.1f}", verdict,
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

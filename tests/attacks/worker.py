"""Runs attacks in a process of its own: ``python -m tests.attacks.worker FOLDER``.

Reads one JSON line a request (a list of identifiers) and answers with one, a list of outcomes.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from tests.attacks.arena import Arena
from tests.attacks.catalogue import attacks


def main() -> None:
    """Serve until the input ends."""
    # What grading prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    arena = Arena(Path(sys.argv[1]))
    known = attacks()
    print("ready", file=answers, flush=True)
    try:
        for line in sys.stdin:
            outcomes = arena.run(*(known[name] for name in json.loads(line)))
            print(json.dumps([asdict(outcome) for outcome in outcomes]), file=answers, flush=True)
    finally:
        arena.close()


if __name__ == "__main__":
    main()

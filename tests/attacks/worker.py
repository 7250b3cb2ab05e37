"""Runs attacks in a process of its own: ``python -m tests.attacks.worker FOLDER``.

Reads one JSON line a request (``{"attack": ID, "unsafe": bool}``) and answers each with a line.
"""

from __future__ import annotations

import json
import os
import sys
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
            request = json.loads(line)
            outcome = arena.run(known[request["attack"]], unsafe=request["unsafe"])
            print(outcome.dump(), file=answers, flush=True)
    finally:
        arena.close()


if __name__ == "__main__":
    main()

"""What the commands of the field studies share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence

from course.telemetry.public import PublicDataCorrupt, PublicDataMissing


def print_report(
    name: str, report: Callable[[], Iterable[str]], arguments: Sequence[str] | None = None
) -> int:
    """Print a study piece by piece.

    Returns
    -------
    int
        Exit code: 0, 1 if the data are missing or corrupt, 2 if arguments were given.
    """
    if arguments if arguments is not None else sys.argv[1:]:
        print(f"python -m course.field.{name} takes no arguments", file=sys.stderr)
        return 2
    try:
        for piece in report():
            print(piece, end="\n\n", flush=True)
    except (PublicDataMissing, PublicDataCorrupt) as error:
        print(error, file=sys.stderr)
        return 1
    return 0

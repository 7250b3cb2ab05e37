"""``python -m course.field.nezha``: print the study."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from course.field.nezha.report import report
from course.telemetry.public import PublicDataCorrupt, PublicDataMissing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if the data are missing or corrupt."""
    if arguments if arguments is not None else sys.argv[1:]:
        print("python -m course.field.nezha takes no arguments", file=sys.stderr)
        return 2
    try:
        for piece in report():
            print(piece, end="\n\n", flush=True)
    except (PublicDataMissing, PublicDataCorrupt) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

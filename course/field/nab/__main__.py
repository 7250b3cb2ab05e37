"""``python -m course.field.nab``: print the study; ``--tune``: choose the settings anew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from course.field.nab.data import GROUPS, load
from course.field.nab.report import report
from course.field.nab.tuning import tune
from course.telemetry.public import PublicDataCorrupt, PublicDataMissing


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if the data are missing or corrupt."""
    parser = argparse.ArgumentParser(prog="course field nab", description=__doc__)
    parser.add_argument(
        "--tune",
        type=Path,
        metavar="FILE",
        help="choose the settings anew and write them to FILE (about two minutes)",
    )
    options = parser.parse_args(arguments)
    try:
        if options.tune:
            settings = tune({group: load(group) for group in GROUPS})
            options.tune.write_text(json.dumps(settings, indent=1) + "\n", "utf-8")
        else:
            for piece in report():
                print(piece, end="\n\n", flush=True)
    except (PublicDataMissing, PublicDataCorrupt) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

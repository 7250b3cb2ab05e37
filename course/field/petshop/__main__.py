"""``python -m course.field.petshop``: print the study."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from course.field._command import print_report
from course.field.petshop.report import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return print_report("petshop", report, arguments)


if __name__ == "__main__":
    sys.exit(main())

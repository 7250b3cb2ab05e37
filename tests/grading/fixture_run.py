"""Grade the fixture course in a process of its own: ``python fixture_run.py ROOT JOBS``."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Grade; Ctrl-C ends with its message."""
    # Here, since a worker process reads this file as well and needs none of it.
    import fixture_course as fixture

    from course.grading import api

    root, jobs = sys.argv[1:]
    try:
        api.grade(fixture.MONTH, course_dir=Path(root), jobs=int(jobs))
    except KeyboardInterrupt as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

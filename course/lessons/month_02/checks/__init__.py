"""Hidden checks of month 2, a module for each of its topics."""

from course.lessons.checking import CheckFunction
from course.lessons.month_02.checks import formats

CHECKS: dict[str, CheckFunction] = {**formats.CHECKS}

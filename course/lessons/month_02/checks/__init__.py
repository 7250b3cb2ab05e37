"""Hidden checks of month 2, a module a topic."""

from course.lessons.checking import CheckFunction
from course.lessons.month_02.checks import traces

CHECKS: dict[str, CheckFunction] = {**traces.CHECKS}

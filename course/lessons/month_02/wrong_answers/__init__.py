"""Wrong answers of month 2 and right ones written another way, from the modules beside this one."""

from __future__ import annotations

from course.lessons.checking import WrongAnswer
from course.lessons.month_02.wrong_answers import insight

WRONG_ANSWERS: list[WrongAnswer] = [*insight.WRONG_ANSWERS]
ALTERNATIVES: list[WrongAnswer] = [*insight.ALTERNATIVES]

"""Wrong answers of month 2 and right ones of another kind: made from the modules beside this one."""

from course.lessons.checking import WrongAnswer
from course.lessons.month_02.wrong_answers import formats, insight, prometheus, repair, traces

_PARTS = (prometheus, traces, repair, formats, insight)
WRONG_ANSWERS: list[WrongAnswer] = [one for part in _PARTS for one in part.WRONG_ANSWERS]
ALTERNATIVES: list[WrongAnswer] = [one for part in _PARTS for one in part.ALTERNATIVES]

"""Wrong answers of month 2 and right ones of another kind: made from the modules beside this one."""

from course.lessons.checking import WrongAnswer
from course.lessons.month_02.wrong_answers import repair

WRONG_ANSWERS: list[WrongAnswer] = [*repair.WRONG_ANSWERS]
ALTERNATIVES: list[WrongAnswer] = [*repair.ALTERNATIVES]

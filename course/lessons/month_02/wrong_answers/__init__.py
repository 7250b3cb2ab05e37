"""Wrong answers of month 2 and right ones of another kind, made from the modules beside this file."""

from course.lessons.checking import WrongAnswer
from course.lessons.month_02.wrong_answers import prometheus

WRONG_ANSWERS: list[WrongAnswer] = [*prometheus.WRONG_ANSWERS]
ALTERNATIVES: list[WrongAnswer] = [*prometheus.ALTERNATIVES]

"""Wrong answers of month 2 that a real student might give, and right ones written another way."""

from course.lessons.checking import WrongAnswer
from course.lessons.month_02.wrong_answers import formats

WRONG_ANSWERS: list[WrongAnswer] = [*formats.WRONG_ANSWERS]
ALTERNATIVES: list[WrongAnswer] = [*formats.ALTERNATIVES]

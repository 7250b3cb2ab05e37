"""Wrong answers of month 6 that a real student might give, and right ones written another way."""

from __future__ import annotations

from course.lessons.checking import WrongAnswer

WRONG_ANSWERS: list[WrongAnswer] = []
ALTERNATIVES: list[WrongAnswer] = []

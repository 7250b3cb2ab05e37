"""Wrong answers made from a lesson's own solutions, so that they can't fall behind it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from course.lessons.checking import WrongAnswer

Kind = Literal["wrong", "naive", "constant", "clock", "metadata", "alternative"]


class Solutions:
    """The solution cells of one lesson.

    Parameters
    ----------
    folder : Path
        Where the lesson's `lesson.py` lies.

    Examples
    --------
    >>> from course.lessons import month
    >>> solutions = Solutions(month(3).path)
    >>> solutions.mistake("cusum", "one", "why", ("no such fragment", ""))
    Traceback (most recent call last):
    ...
    LookupError: cusum, one: the solution has no 'no such fragment' any more
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lesson.py"

    def solution(self, exercise: str) -> str:
        """Return the text of an exercise's solution cell.

        Raises
        ------
        LookupError
            The lesson has no such cell.
        """
        cell = re.search(
            rf'(?m)^# %% nbgrader=\{{.*"grade_id": "{exercise}".*"solution": true.*\n((?s:.*?))^# %%',
            _text(self._path),
        )
        if cell is None:
            raise LookupError(f"lesson.py has no solution cell with the grade_id {exercise!r}")
        return cell.group(1)

    def mistake(
        self, exercise: str, name: str, why: str, *changes: tuple[str, str], kind: Kind = "wrong"
    ) -> WrongAnswer:
        """Return the solution with some fragments changed: (old, new) each.

        Raises
        ------
        LookupError
            The solution has no such fragment any more.
        """
        code = self.solution(exercise)
        for old, new in changes:
            if old not in code:
                raise LookupError(f"{exercise}, {name}: the solution has no {old!r} any more")
            code = code.replace(old, new)
        return WrongAnswer(exercise, name, why, code, kind)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

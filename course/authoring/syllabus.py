"""The facts of the curriculum that a student's commands need, as one small JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable

from course.lessons import Month


def syllabus_text(months: Iterable[Month]) -> str:
    """Write months, notebooks, exercises and points as JSON; nothing about checks or functions.

    Returns
    -------
    str
        ``{"months": [{"number", "name", "notebook", "title", "exercises": [...]}]}``.
    """
    entries = [
        {
            "number": month.number,
            "name": month.name,
            "notebook": month.notebook,
            "title": month.title,
            "milestone": month.milestone,
            "exercises": [
                {"id": exercise.id, "title": exercise.title, "points": exercise.points}
                for exercise in month.exercises
            ],
        }
        for month in sorted(months, key=lambda month: month.number)
    ]
    return json.dumps({"months": entries}, indent=2, ensure_ascii=False) + "\n"

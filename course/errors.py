"""The one error that a command shows as a message instead of a traceback."""

from __future__ import annotations


class CourseError(Exception):
    """Something the user can put right; the text says what, where and how.

    Examples
    --------
    >>> raise CourseError("there is no month 99; there is 3")
    Traceback (most recent call last):
    course.errors.CourseError: there is no month 99; there is 3
    """

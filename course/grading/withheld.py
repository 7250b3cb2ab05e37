"""Stands in the sandbox in place of a part of the course that does what an exercise asks for.

A lesson names such parts at its top; see `withheld` in `course.grading.sandbox`.
"""

raise ImportError(
    f"{__name__} is kept back while work is graded, since an exercise asks for what it does: "
    "use what you have written yourself"
)

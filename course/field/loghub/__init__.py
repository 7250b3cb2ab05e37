"""Field study: log parsers on seven systems of Loghub.

>>> from course.field import loghub
>>> table = loghub.study(my_parser)                                      # doctest: +SKIP
>>> loghub.plot_study(table)                                             # doctest: +SKIP

``python -m course.field.loghub`` prints the study with the simple parsers and drain3. What to know
about the labels stands in `course.field.loghub.data`.
"""

from course.field.loghub.charts import plot_study
from course.field.loghub.data import SYSTEMS, LabelledLog, LoghubFormatError, load
from course.field.loghub.parsers import MASKS, SIMPLE, drain3
from course.field.loghub.published import CITATION, DRAIN, SOURCE
from course.field.loghub.study import study

__all__ = [
    "CITATION",
    "DRAIN",
    "MASKS",
    "SIMPLE",
    "SOURCE",
    "SYSTEMS",
    "LabelledLog",
    "LoghubFormatError",
    "drain3",
    "load",
    "plot_study",
    "study",
]

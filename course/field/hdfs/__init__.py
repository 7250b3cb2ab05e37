"""Field study: which HDFS sessions are abnormal?

>>> from course.field import hdfs
>>> table = hdfs.study(fit)                                              # doctest: +SKIP
>>> hdfs.plot_study(table)                                               # doctest: +SKIP

``python -m course.field.hdfs`` prints the study with the trivial detectors. What to know about the
sessions stands in `course.field.hdfs.data`.
"""

from course.field.hdfs.charts import plot_study
from course.field.hdfs.data import BASE_RATE, HdfsFormatError, HdfsSessions, load
from course.field.hdfs.detectors import TRIVIAL
from course.field.hdfs.published import CITATION, DEEPLOG
from course.field.hdfs.study import shared, study

__all__ = [
    "BASE_RATE",
    "CITATION",
    "DEEPLOG",
    "TRIVIAL",
    "HdfsFormatError",
    "HdfsSessions",
    "load",
    "plot_study",
    "shared",
    "study",
]

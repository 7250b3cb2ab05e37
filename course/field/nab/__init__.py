"""Field study: detectors on the Numenta Anomaly Benchmark (NAB).

>>> from course.field import nab
>>> table = nab.study(my_detector)                                       # doctest: +SKIP
>>> nab.plot_study(table)                                                # doctest: +SKIP

``python -m course.field.nab`` prints the whole study. What to know about NAB's windows, labels
and gaps stands in `course.field.nab.data`; how alerts are scored in `course.field.nab.events`;
how thresholds are chosen in `course.field.nab.tuning`.
"""

from course.field.nab.charts import plot_series, plot_study
from course.field.nab.data import GROUPS, NabFormatError, NabSeries, load, missing
from course.field.nab.detectors import TEXTBOOK, Robust, Threshold, from_fit_detect
from course.field.nab.events import chance_series, looks_ahead, pooled, score_series
from course.field.nab.published import CITATION, PUBLISHED, SOURCE, published_table
from course.field.nab.study import bootstrap, by_series, full_table, study

__all__ = [
    "CITATION",
    "GROUPS",
    "PUBLISHED",
    "SOURCE",
    "TEXTBOOK",
    "NabFormatError",
    "NabSeries",
    "Robust",
    "Threshold",
    "bootstrap",
    "by_series",
    "chance_series",
    "from_fit_detect",
    "full_table",
    "load",
    "looks_ahead",
    "missing",
    "plot_series",
    "plot_study",
    "pooled",
    "published_table",
    "score_series",
    "study",
]

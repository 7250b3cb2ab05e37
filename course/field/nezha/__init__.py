"""Field study: repair Nezha's clocks and collection, then rank its faults.

>>> from course.field import nezha
>>> day = nezha.load("Online Boutique")                                  # doctest: +SKIP
>>> tables, reports = nezha.repair_day(repair, day)                      # doctest: +SKIP
>>> table, faults = nezha.study([day], {day.system: tables})             # doctest: +SKIP
>>> nezha.plot_study(table)                                              # doctest: +SKIP

``python -m course.field.nezha`` prints the study with times of receipt in place of a repair. What
to know about Nezha's clocks and columns stands in `course.field.nezha.data`; how faults are ranked
in `course.field.nezha.ranking`; whose figures are quoted in `course.field.nezha.published`.
"""

from course.field.nezha.charts import plot_clock, plot_study
from course.field.nezha.data import SYSTEMS, NezhaDay, NezhaFormatError, load
from course.field.nezha.published import CITATION, PUBLISHED, published_table
from course.field.nezha.ranking import hits, rank_pods, robust_z
from course.field.nezha.study import as_received, as_stamped, by_type, findings, repair_day, study

__all__ = [
    "CITATION",
    "PUBLISHED",
    "SYSTEMS",
    "NezhaDay",
    "NezhaFormatError",
    "as_received",
    "as_stamped",
    "by_type",
    "findings",
    "hits",
    "load",
    "plot_clock",
    "plot_study",
    "published_table",
    "rank_pods",
    "repair_day",
    "robust_z",
    "study",
]

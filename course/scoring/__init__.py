"""Measures for detectors, each with its source and with what it hides.

By event (what an operator sees): :func:`event_scores`, :func:`pool_scores`. By range:
:func:`range_precision`, :func:`range_recall`, :func:`range_f1`. By sample: :func:`point_scores`,
:func:`average_precision`, :func:`vus_pr`. To be exposed: :func:`point_adjust`, :func:`pa_k`. For
comparison with a published benchmark: :func:`nab_score`.
"""

from course.scoring.events import (
    EventScores,
    alert_intervals,
    event_scores,
    merge_intervals,
    pool_scores,
)
from course.scoring.nab import (
    NAB_PROFILES,
    NabScore,
    NabSweep,
    Weights,
    nab_score,
    nab_sweep,
    pool_nab,
    windows_to_events,
)
from course.scoring.points import (
    BestF1,
    PointScores,
    average_precision,
    best_f1,
    pa_k,
    point_adjust,
    point_scores,
)
from course.scoring.ranges import range_f1, range_precision, range_recall
from course.scoring.runlength import average_run_length
from course.scoring.volume import range_auc_pr, vus_pr

__all__ = [
    "NAB_PROFILES",
    "BestF1",
    "EventScores",
    "NabScore",
    "NabSweep",
    "PointScores",
    "Weights",
    "alert_intervals",
    "average_precision",
    "average_run_length",
    "best_f1",
    "event_scores",
    "merge_intervals",
    "nab_score",
    "nab_sweep",
    "pa_k",
    "point_adjust",
    "point_scores",
    "pool_nab",
    "pool_scores",
    "range_auc_pr",
    "range_f1",
    "range_precision",
    "range_recall",
    "vus_pr",
    "windows_to_events",
]

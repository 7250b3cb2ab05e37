"""Measures for detectors, each with its source and with what it hides.

By event (what an operator sees): :func:`event_scores`, :func:`pool_scores`. By range:
:func:`range_precision`, :func:`range_recall`, :func:`range_f1`. By sample: :func:`point_scores`,
:func:`average_precision`, :func:`vus_pr`. To be exposed: :func:`point_adjust`, :func:`pa_k`. For
comparison with a published benchmark: :func:`nab_score`.

For log parsers: :func:`parsing_scores`. For classifiers of rare events: :func:`at_base_rate`,
:func:`brier_score`, :func:`reliability_curve`, :func:`expected_calibration_error`,
:func:`threshold_from_costs`. Of alerting: :func:`adjusted_rand`, :func:`lost_incidents`,
:func:`compression`, :func:`pages_per_shift`, :func:`minutes_to_first_page`. For rankings of
suspects: the module `course.scoring.ranking`.
"""

from course.scoring.alerting import (
    adjusted_rand,
    compression,
    lost_incidents,
    minutes_to_first_page,
    pages_per_shift,
)
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
from course.scoring.parsing import ParsingScores, grouping_accuracy, parsing_scores
from course.scoring.points import (
    BestF1,
    PointScores,
    average_precision,
    best_f1,
    pa_k,
    point_adjust,
    point_scores,
)
from course.scoring.probability import (
    AtBaseRate,
    at_base_rate,
    brier_score,
    cost,
    expected_calibration_error,
    reliability_curve,
    threshold_from_costs,
)
from course.scoring.ranges import range_f1, range_precision, range_recall
from course.scoring.runlength import average_run_length
from course.scoring.volume import range_auc_pr, vus_pr

__all__ = [
    "NAB_PROFILES",
    "AtBaseRate",
    "BestF1",
    "EventScores",
    "NabScore",
    "NabSweep",
    "ParsingScores",
    "PointScores",
    "Weights",
    "adjusted_rand",
    "alert_intervals",
    "at_base_rate",
    "average_precision",
    "average_run_length",
    "best_f1",
    "brier_score",
    "compression",
    "cost",
    "event_scores",
    "expected_calibration_error",
    "grouping_accuracy",
    "lost_incidents",
    "merge_intervals",
    "minutes_to_first_page",
    "nab_score",
    "nab_sweep",
    "pa_k",
    "pages_per_shift",
    "parsing_scores",
    "point_adjust",
    "point_scores",
    "pool_nab",
    "pool_scores",
    "range_auc_pr",
    "range_f1",
    "range_precision",
    "range_recall",
    "reliability_curve",
    "threshold_from_costs",
    "vus_pr",
    "windows_to_events",
]

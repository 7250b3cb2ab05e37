"""The embedded evaluator's answer in the form of promtool's, and the differences."""

import json
import math
from typing import Any

import pandas as pd

from course.telemetry.prometheus import EvaluationError, evaluate, load_rules
from course.telemetry.prometheus.series import parse_series_name
from tests.telemetry.prometheus.generator import START, Case
from tests.telemetry.prometheus.promtool import Answer, probe_seconds

RELATIVE = 1e-9


def embedded_answer(case: Case) -> Answer:
    """What `evaluate` says, with the semantics of promtool 2.42."""
    try:
        history = evaluate(
            load_rules(case.rules),
            case.frame,
            interval=f"{case.evaluation_s}s",
            semantics="2",
            missing=case.missing,
            group_intervals=False,
        )
    except EvaluationError as error:
        return {"error": str(error)}
    seconds = ((history.times - START) // pd.Timedelta("1s")).to_numpy()
    firing = [
        [alert.labels, seconds[alert.firing].tolist()]
        for alert in history.alerts
        if alert.firing.any()
    ]
    recorded = [
        [second, dict(parse_series_name(name)), float(history.recorded[name].iloc[position])]
        for name in history.recorded.columns
        for position, second in enumerate(seconds.tolist())
        if second in set(probe_seconds(case))
    ]
    return {"firing": firing, "recorded": recorded}


def differences(ours: Answer, theirs: Answer) -> list[str]:
    """Where two answers differ; empty if they are equal.

    Firing must be the same to the evaluation; recorded values to 1e-9 relative. Errors are equal
    if both sides have one.
    """
    if "error" in ours or "error" in theirs:
        if "error" in ours and "error" in theirs:
            return []
        return [f"error: ours {ours.get('error')}, theirs {theirs.get('error')}"]
    found = _compare(_firing(ours), _firing(theirs), lambda a, b: a == b)
    return found + _compare(_samples(ours), _samples(theirs), _close)


def _compare(ours: dict[str, Any], theirs: dict[str, Any], equal: Any) -> list[str]:
    return [
        f"{key}: ours {ours.get(key)}, theirs {theirs.get(key)}"
        for key in sorted(set(ours) | set(theirs))
        if key not in ours or key not in theirs or not equal(ours[key], theirs[key])
    ]


def _firing(answer: Answer) -> dict[str, list[int]]:
    return {json.dumps(labels, sort_keys=True): seconds for labels, seconds in answer["firing"]}


def _samples(answer: Answer) -> dict[str, float]:
    return {
        f"{second} {json.dumps(labels, sort_keys=True)}": value
        for second, labels, value in answer["recorded"]
        if not math.isnan(value)
    }


def _close(ours: float, theirs: float) -> bool:
    return ours == theirs or math.isclose(ours, theirs, rel_tol=RELATIVE, abs_tol=1e-9)

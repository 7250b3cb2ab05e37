"""The embedded evaluator's answer in the form of the real one's."""

from typing import Any

from course.telemetry.alertmanager import group_alerts, inhibited, load_config, match_routes
from tests.telemetry.alertmanager.generator import Case


def embedded_answer(case: Case) -> dict[str, Any]:
    """Receivers, groups and inhibited alerts, as `real.answer` gives them."""
    config = load_config(case.config)
    receivers = [[r.receiver for r in match_routes(config, labels)] for labels in case.alerts]
    groups = [
        [group.receiver, sorted(map(list, group.labels.items())), list(group.alerts)]
        for group in group_alerts(config, case.alerts)
    ]
    muted = [n for n, labels in enumerate(case.alerts) if inhibited(config, labels, case.alerts)]
    return {"receivers": receivers, "groups": sorted(groups), "inhibited": muted}

"""The change log of a scenario: deploys, settings, flags, scaling."""

from __future__ import annotations

import pandas as pd

from course.shop import seeds
from course.shop.faults import FAULTS
from course.shop.scenario import Deploy, Scenario
from course.shop.surges import SURGES

COLUMNS = ["time", "kind", "service", "detail"]


def change_log(scenario: Scenario, deploys: tuple[Deploy, ...]) -> pd.DataFrame:
    """Return time, kind, service, detail of every change, bad ones looking like harmless ones."""
    rows: list[tuple[int, str, str, str]] = []
    for release in (*deploys, *scenario.deploys):
        rows.append((release.start, "deploy", release.service, release.version or "v1"))
    for flag in scenario.flags:
        state = "on" if flag.enabled else "off"
        rows.append((flag.start, "flag", flag.service, f"{flag.name}={state}"))
    for surge in scenario.surges:
        if SURGES[surge.kind].announced:
            rows.append((surge.start, "scale", "storefront", "autoscaler: more replicas"))
            end = min(surge.start + surge.minutes, scenario.minutes - 1)
            rows.append((end, "scale", "storefront", "autoscaler: back to normal"))
    for number, fault in enumerate(scenario.faults):
        announced = FAULTS[fault.kind].announced
        if announced:
            rng = seeds.stream(scenario.seed, seeds.FAULT, number, 1)
            detail = f"v{rng.integers(100, 1000)}" if announced == "deploy" else "settings changed"
            rows.append((fault.start, announced, fault.service, detail))
    rows.sort()
    log = pd.DataFrame(rows, columns=["minute", *COLUMNS[1:]])
    log.insert(0, "time", scenario.start + pd.to_timedelta(log.pop("minute"), unit="min"))
    return log

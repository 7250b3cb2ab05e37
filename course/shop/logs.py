"""Log lines behind the metrics: every failure, the sampled successes, and warnings under strain."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.engine import OUTPUTS
from course.shop.logtext import TEMPLATES, access_template, failure_template, warnings
from course.shop.requests import minute_of_requests, own_failure
from course.shop.topology import SERVICES, TOPOLOGY
from course.shop.traces import hex_words, trace_ids

if TYPE_CHECKING:
    from course.shop.recording import Recording

COLUMNS = ["time", "service", "level", "template_id", "message", "trace_id"]
Line = tuple[float, str, str, str, str]  # ms within the minute, service, template, message, trace


def log_lines(recording: Recording, first: int, last: int) -> pd.DataFrame:
    """Return the log lines of minutes ``first`` .. ``last - 1``, in order of time.

    Every failed request of a service is one ERROR line (``error_ratio`` x ``request_rate`` x 60
    of them a minute). Successes are logged at INFO where their trace was kept, one in twenty.
    Warnings come with strain: a full heap, pool or disk, slow answers, restarts, deploys.

    Returns
    -------
    pd.DataFrame
        time (UTC, microseconds), service, level, template_id, message, trace_id.
    """
    deploys = recording.events[recording.events["kind"].isin(["deploy", "config", "flag"])]
    rows: list[tuple[int, Line]] = []
    for minute in range(first, last):
        begin = recording.scenario.start + pd.Timedelta(minutes=minute)
        changes = deploys[deploys["time"] == begin]
        lines = [
            *_request_lines(recording, minute),
            *((0.0, c.service, "change", f"{c.kind} applied: {c.detail}", "")
              for c in changes.itertuples()),
        ]  # fmt: skip
        rows.extend((minute, line) for line in sorted(lines))
    offsets = np.array([minute * 60_000_000 + round(line[0] * 1000) for minute, line in rows])
    table = pd.DataFrame([line[1:] for _, line in rows],
                         columns=["service", "template_id", "message", "trace_id"])  # fmt: skip
    table.insert(0, "time", recording.scenario.start + pd.to_timedelta(offsets, unit="us"))
    table.insert(2, "level", table["template_id"].map(lambda name: TEMPLATES[name].level))
    return table


def _request_lines(recording: Recording, minute: int) -> Iterator[Line]:
    scenario = recording.scenario
    rng = seeds.stream(scenario.seed, seeds.REQUESTS, minute, 1)
    made = minute_of_requests(recording, minute)
    ids = trace_ids(made)
    outputs = dict(zip(OUTPUTS, recording.outputs[minute], strict=True))
    own = own_failure(recording.outputs[minute : minute + 1])[0]
    values = recording.values[minute]
    end = np.minimum(made.start + made.duration, 59_999.0)
    for place, service in enumerate(TOPOLOGY.services):
        count = round(float(values[place, 0]) * 60)
        errors = round(float(values[place, 1]) * count)
        here = made.service == place
        kind = access_template(service.kind)
        for span in np.flatnonzero(here & ~made.failed):
            text = TEMPLATES[kind].fill(rng, ms=made.duration[span])
            yield float(end[span]), service.name, kind, text, ids[span]

        failed = np.flatnonzero(here & made.failed)[:errors]
        unsampled = errors - len(failed)
        words = rng.integers(1, 2**63, size=(unsampled, 2), dtype=np.uint64)
        times = [*end[failed], *rng.uniform(0, 60_000, unsampled)]
        traces = [*ids[failed], *(hex_words(words[:, 0]) + hex_words(words[:, 1]))]
        causes = [*made.cause[failed], *draw_causes(rng, recording, minute, place, own, unsampled)]
        for time, trace, cause in zip(times, traces, causes, strict=True):
            name = failure_template(scenario, minute, place, int(cause), outputs)
            callee = SERVICES[next_towards(place, int(cause))]
            text = TEMPLATES[name].fill(rng, ms=service.deadline_ms, callee=callee)
            yield float(time), service.name, name, text, trace

        for name, number in warnings(place, outputs):
            text = TEMPLATES[name].fill(rng, ms=outputs["own"][place], number=number)
            yield float(rng.uniform(0, 60_000)), service.name, name, text, ""


def draw_causes(
    rng: np.random.Generator,
    recording: Recording,
    minute: int,
    place: int,
    own: np.ndarray,
    count: int,
) -> np.ndarray:
    """Draw whose own failure each failure at ``place`` was."""
    weight = TOPOLOGY.error_visits[place] * own
    if count == 0 or weight.sum() <= 0:
        return np.full(count, place)
    share = (weight / weight.sum()).cumsum()  # `rng.choice` with p, without its tests of p
    return (share / share[-1]).searchsorted(rng.random(count), side="right")


@cache
def next_towards(place: int, cause: int) -> int:
    """The callee of ``place`` through which a failure of ``cause`` came up."""
    if place == cause:
        return place
    callees = [TOPOLOGY.position[name] for name in TOPOLOGY.callees(TOPOLOGY.names[place])]
    reach = [callee for callee in callees if TOPOLOGY.error_visits[callee, cause] > 0]
    return max(
        reach or callees or [place],
        key=lambda callee: (
            TOPOLOGY.call_matrix[place, callee] * TOPOLOGY.error_visits[callee, cause]
        ),
    )

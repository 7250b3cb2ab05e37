"""Does a detector that was tuned on the simulator alone work on the real processes?

``python -m course.testbed.transfer NAME`` tunes a reference detector on simulated recordings,
scores it on others of them and on a recording of the testbed, and prints both event F1 scores.

The simulator plays plans as `course.testbed.plan` draws them for a recording, one minute for each
of the recording's rows; a recording is read on the same slow clock. So both sides have the same
kinds and lengths of faults, quiet stretches and surges, and the detector sees rows only.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from course import scoring
from course.shop import FAULTS, Fault, Scenario, Surge, simulate_many
from course.shop.truth import events
from course.testbed.compare import EFFECTS
from course.testbed.gather import STEP_S
from course.testbed.layout import NODES
from course.testbed.plan import draw

_MINUTES, _FAULTS = 130.0, 13
_BEGIN = pd.Timestamp("2026-03-10T06:00Z")
_SLOWER = 60 / STEP_S
#: What the detector looks at. Traffic is no trouble; and at some requests a second the p99 of a
#: row is its slowest request, which tells of that request only.
_WATCHED = ("error_ratio", "latency_p50_ms", "cpu_utilization", "memory_utilization",
            "pool_utilization", "queue_length", "disk_utilization")  # fmt: skip
_USUAL, _GAP = 40, 4
TUNING, HELD_OUT = tuple(range(100, 112)), tuple(range(200, 212))

Case = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Setting:
    """What is tuned.

    Parameters
    ----------
    threshold : float
        On the oddness of a row.
    rows : int
        Rows whose mean is compared with what is usual.
    hold : int
        Rows that an alert lasts beyond its last odd row.
    """

    threshold: float
    rows: int
    hold: int


GRID = tuple(
    Setting(threshold, rows, hold)
    for threshold, rows, hold in itertools.product(np.geomspace(0.4, 6, 24), (2, 4, 6), (2, 5))
)


def simulated(seeds: Sequence[int]) -> list[Case]:
    """Metrics and truth of simulated recordings, one for each seed of a plan.

    Faults that the simulator does not know are left out.
    """
    scenarios = []
    for seed in seeds:
        steps = draw(_MINUTES, seed, _FAULTS)

        def span(at: float, seconds: float) -> tuple[int, int]:
            return round(at / STEP_S), max(round(seconds / STEP_S), 1)

        scenarios.append(
            Scenario(
                _BEGIN,
                minutes=round(_MINUTES * _SLOWER),
                seed=seed,
                faults=tuple(
                    Fault(step.what, step.service, *span(step.at, step.seconds), step.severity)
                    for step in steps
                    if step.action == "fault" and step.what in FAULTS
                ),
                surges=tuple(
                    Surge(step.what, *span(step.at, step.seconds), step.severity)
                    for step in steps
                    if step.action == "surge"
                ),
            )
        )
    found = []
    for scenario, recording in zip(scenarios, simulate_many(scenarios), strict=True):
        found.append((recording.metrics[list(NODES)], events(scenario)))
    return found


def slowed(metrics: pd.DataFrame, truth: pd.DataFrame) -> Case:
    """Read a recording of the testbed on the simulator's clock: a minute for each row."""
    first = metrics.index[0]

    def slow(times: pd.Series | pd.DatetimeIndex) -> pd.Series | pd.DatetimeIndex:
        return _BEGIN + (times - first) * _SLOWER

    table = truth[["kind"]].assign(start=slow(truth["start"]), end=slow(truth["end"]))
    return metrics.astype("float64").set_axis(slow(metrics.index)), table


def oddness(metrics: pd.DataFrame, rows: int) -> pd.Series:
    """How odd each row is: the mean of its two oddest signals, by what was usual before.

    A signal's oddness is the rise of its last ``rows`` over the median of the rows before, in
    units of the smallest rise that counts (`EFFECTS`) or, if that is more, of twice the spread.
    It uses the past only.
    """
    watched = metrics.loc[:, metrics.columns.get_level_values(1).isin(_WATCHED)]
    watched = watched.dropna(axis=1, how="all").ffill()
    level = watched.rolling(rows, min_periods=1).mean()
    before = watched.shift(_GAP + rows)
    usual = before.rolling(_USUAL, min_periods=10).median()
    spread = 1.4826 * (before - usual).abs().rolling(_USUAL, min_periods=10).median()
    metric = watched.columns.get_level_values(1)
    least = np.array([EFFECTS[name][0] for name in metric])
    share = np.array([EFFECTS[name][1] for name in metric])
    unit = np.fmax(np.fmax(least, share * usual.abs().to_numpy()), 2 * spread.to_numpy())
    rise = ((level - usual) / unit).fillna(0.0).to_numpy()
    top = np.sort(np.clip(rise, 0, 5), axis=1)[:, -2:]
    return pd.Series(top.mean(axis=1), metrics.index)


def flags(score: pd.Series, setting: Setting) -> pd.Series:
    """Flag the rows above the threshold, and hold."""
    odd = score > setting.threshold
    return odd.rolling(setting.hold + 1, min_periods=1).max() > 0


def event_f1(cases: Sequence[Case], setting: Setting) -> scoring.EventScores:
    """Pooled event scores of a setting."""
    return _pooled([oddness(metrics, setting.rows) for metrics, _ in cases], cases, setting)


def _pooled(
    scores: Sequence[pd.Series], cases: Sequence[Case], setting: Setting
) -> scoring.EventScores:
    found = [
        scoring.event_scores(flags(score, setting), truth[["start", "end"]])
        for score, (_, truth) in zip(scores, cases, strict=True)
    ]
    return scoring.pool_scores(found)


def tuned(cases: Sequence[Case]) -> Setting:
    """The setting with the highest event F1."""
    scores = {rows: [oddness(m, rows) for m, _ in cases] for rows in {s.rows for s in GRID}}
    return max(GRID, key=lambda setting: _pooled(scores[setting.rows], cases, setting).f1)


def main(name: str) -> None:
    """Tune on the simulator, score on both, and print."""
    path = Path(name)
    metrics = pd.read_parquet(path.with_name(f"{path.name}.parquet"))
    truth = pd.read_parquet(path.with_name(f"{path.name}.truth.parquet"))
    setting = tuned(simulated(TUNING))
    print(setting)
    for where, cases in (
        ("simulator", simulated(HELD_OUT)),
        (path.name, [slowed(metrics, truth)]),
    ):
        found = event_f1(cases, setting)
        print(f"{where:18} event F1 {found.f1:.2f}  recall {found.recall:.2f}  "
              f"precision {found.precision:.2f}  {found.n_events} faults")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])

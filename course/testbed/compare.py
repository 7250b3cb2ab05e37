"""Does the simulator's fault look like the real one? Directions of every signal, side by side.

For each fault of a recording: which metrics of which services move up, down or stay, from the
quiet stretch before it. The simulator plays the same fault at the same service with the same
severity, several times, and is asked the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from course.shop import FAULTS, Fault, Scenario, simulate_many
from course.testbed.layout import NODES

_BEFORE, _LENGTH, _SEEDS = 60, 100, 3
#: The smallest change that counts: absolute, and as a share of the value before.
EFFECTS: dict[str, tuple[float, float]] = {
    "request_rate": (0.3, 0.35),
    "error_ratio": (0.02, 0.5),
    "latency_p50_ms": (3.0, 0.25),
    "latency_p99_ms": (15.0, 0.4),
    "cpu_utilization": (0.05, 0.3),
    "memory_utilization": (0.06, 0.1),
    "pool_utilization": (0.05, 0.4),
    "queue_length": (5.0, 1.0),
    "disk_utilization": (0.05, 0.05),
}
_SPREADS = 2.0  # and at least this many standard deviations of the time before
_HALF = 0.5


def strengths(before: pd.DataFrame, during: pd.DataFrame) -> pd.Series:
    """Say how far each signal moves, in units of the smallest move that counts.

    Parameters
    ----------
    before, during : DataFrame
        Metrics with columns (service, metric).

    Returns
    -------
    Series
        Signed, by (service, metric); NaN where one side has no value. The level is the median; of
        queues, errors and memory, whose faults come in bursts or end in a restart, the 75th
        percentile.

    Examples
    --------
    >>> columns = pd.MultiIndex.from_tuples([("cart", "latency_p50_ms")])
    >>> quiet = pd.DataFrame([[20.0], [20.0], [20.0]], columns=columns)
    >>> float(strengths(quiet, 2 * quiet).iloc[0])
    4.0
    """
    bursts = before.columns.get_level_values(1).isin(
        ["error_ratio", "queue_length", "memory_utilization"]
    )
    was, is_now = (table.quantile(0.75).where(bursts, table.median()) for table in (before, during))
    spread = 1.4826 * (before - before.median()).abs().median()
    absolute, share = np.array([EFFECTS[metric] for _, metric in before.columns]).T
    least = np.maximum(absolute, share * was.abs().fillna(0.0))
    return (is_now - was) / np.maximum(least, _SPREADS * spread.fillna(0.0))


def directions(strength: pd.Series) -> pd.Series:
    """Directions of moves: 1 (up), -1 (down), 0 (stays: less than 1 in strength)."""
    return np.sign(strength).where(strength.abs() >= 1, 0.0).where(strength.notna())


def agree(one: float, other: float) -> bool:
    """Whether two strengths say the same.

    They do if their directions are equal, or if they point the same way and the weaker is at
    least half of what counts: a move just below the limit is no disagreement with one just above.

    Examples
    --------
    >>> agree(1.1, 0.9), agree(3.0, 0.1), agree(2.0, -2.0), agree(0.2, -0.3)
    (True, False, False, True)
    """
    if abs(one) < 1 and abs(other) < 1:
        return True
    return one * other > 0 and min(abs(one), abs(other)) >= _HALF


def in_recording(metrics: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """How far every signal moves in each fault of a recording.

    Parameters
    ----------
    metrics : DataFrame
        UTC index, columns (service, metric).
    truth : DataFrame
        start, end, kind, root_service, severity.

    Returns
    -------
    DataFrame
        One row a fault (its number in ``truth``), columns (service, metric). The quiet stretch
        before is what lies between the end of the last fault, with a minute for its aftermath,
        and this one, at most five minutes; of the fault the first quarter is left out.
    """
    found = {}
    for number, fault in enumerate(truth.itertuples()):
        ends = truth["end"][truth["end"] < fault.start]
        quiet = fault.start - pd.Timedelta(minutes=5)
        if len(ends):
            gap = min(pd.Timedelta(minutes=1), (fault.start - ends.max()) / 2)
            quiet = max(quiet, ends.max() + gap)
        before = metrics.loc[quiet : fault.start]
        during = metrics.loc[fault.start + (fault.end - fault.start) / 4 : fault.end]
        if len(before) >= 2 and len(during) >= 2:
            found[number] = strengths(before, during)
    return pd.DataFrame(found).T


def in_simulator(kind: str, service: str, severity: float) -> pd.Series:
    """How far every signal moves in the simulator: the median of several seeds.

    Returns
    -------
    Series
        By (service, metric), for the services of the testbed.
    """
    fault = Fault(kind, service, start=_BEFORE, minutes=_LENGTH, severity=severity)
    scenarios = [
        Scenario("2026-03-10T10:00Z", minutes=_BEFORE + _LENGTH, seed=seed, faults=(fault,),
                 background=False)
        for seed in range(_SEEDS)
    ]  # fmt: skip
    found = []
    for recording in simulate_many(scenarios):
        metrics = recording.metrics[list(NODES)]
        before = metrics.iloc[_BEFORE - 20 : _BEFORE]
        found.append(strengths(before, metrics.iloc[_BEFORE + _LENGTH // 4 :]))
    return pd.concat(found, axis=1).median(axis=1)


def compare(metrics: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Set recording and simulator side by side.

    Returns
    -------
    DataFrame
        fault (its number), kind, root_service, severity, service, metric, testbed, simulator
        (-1, 0, 1) and agree; one row where either moves. Faults that the simulator lacks are
        left out.
    """
    recorded = in_recording(metrics, truth)
    rows = []
    for number, fault in enumerate(truth.itertuples()):
        if fault.kind not in FAULTS or number not in recorded.index:
            continue
        simulated = in_simulator(str(fault.kind), str(fault.root_service), float(fault.severity))
        for service, metric in recorded.columns:
            here, there = recorded.loc[number, (service, metric)], simulated[service, metric]
            if np.isnan(here) or np.isnan(there) or max(abs(here), abs(there)) < 1:
                continue
            moves = directions(pd.Series([here, there])).astype(int)
            rows.append([number, fault.kind, fault.root_service, fault.severity, service, metric,
                         moves[0], moves[1], agree(here, there)])  # fmt: skip
    names = ["fault", "kind", "root_service", "severity", "service", "metric", "testbed",
             "simulator", "agree"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Share of agreeing signals by kind: at the root, and at all services.

    ``opposite`` counts signals that move up on one side and down on the other.
    """
    rows = []
    for kind, part in table.groupby("kind"):
        root = part[part["service"] == part["root_service"]]
        opposite = int((part["testbed"] * part["simulator"] == -1).sum())
        rows.append([kind, root["agree"].mean(), part["agree"].mean(), len(part), opposite])
    return pd.DataFrame(rows, columns=["kind", "root", "all", "signals", "opposite"])


def report(name: Path) -> str:
    """Compare a recording on disk and say where the two disagree.

    Parameters
    ----------
    name : Path
        Folder and name of the set, as given to ``course testbed record``.
    """
    metrics = pd.read_parquet(name.with_name(f"{name.name}.parquet")).astype("float64")
    truth = pd.read_parquet(name.with_name(f"{name.name}.truth.parquet"))
    table = compare(metrics, truth)
    lines = []
    for (_, kind, root, severity), part in table.groupby(
        ["fault", "kind", "root_service", "severity"]
    ):
        lines.append(f"\n{kind} at {root}, severity {severity:g}")
        for service, signals in part.groupby("service", sort=False):
            said = [
                f"{row.metric} {_ARROWS[row.testbed]}"
                + ("" if row.agree else f" (simulator {_ARROWS[row.simulator]})")
                for row in signals.itertuples()
            ]
            lines.append(f"  {service}: {', '.join(said)}")
    lines += ["", agreement(table).round(2).to_string(index=False)]
    return "\n".join(lines)


_ARROWS = {1: "up", 0: "stays", -1: "down"}

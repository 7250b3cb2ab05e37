"""Record the embedded data sets: ``python -m course.shop.record [--check]``."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from course.shop.draw import draw_incidents
from course.shop.recording import Recording
from course.shop.scenario import Fault, Scenario, Surge
from course.shop.simulator import history, simulate, simulate_many
from course.shop.truth import events
from course.telemetry.datasets import folder

Parts = dict[str, pd.DataFrame]
_CHECKOUT_PATH = ["gateway", "cart", "checkout", "payment", "payment-provider", "inventory",
                  "orders-db", "order-queue", "fulfilment"]  # fmt: skip
_DECIMALS = {"error_ratio": 5, "cpu_utilization": 3, "memory_utilization": 3,
             "pool_utilization": 3, "queue_length": 0, "disk_utilization": 4}  # fmt: skip
_STORED_IDS = ("0", "1", "2")  # traces whose id begins so are stored: 3 of 16


def quiet_month() -> Parts:
    """Four quiet weeks of the whole shop, Monday 2026-03-02 to Sunday 2026-03-29."""
    recording = history("2026-03-02T00:00Z", 28, seed=20260302)
    return {"metrics": _stored(recording), "events": recording.events}


def checkout_week() -> Parts:
    """The week after, at the services behind the checkout: a leak, a sale, a page in the night."""
    day = 1440
    scenario = Scenario(
        "2026-03-30T00:00Z", 7 * day, seed=20260330,
        faults=(
            Fault("memory_leak", "payment", start=day + 9 * 60, minutes=420, severity=0.3),
            Fault("third_party_outage", "payment-provider", start=4 * day + 3 * 60 + 4,
                  minutes=52, severity=0.85),
        ),
        surges=(Surge("flash_sale", start=2 * day + 18 * 60, minutes=90, size=1.0),),
    )  # fmt: skip
    recording = simulate(scenario)
    return {
        "metrics": _stored(recording)[_CHECKOUT_PATH],
        "events": recording.events,
        "alerts": recording.alerts,
        "truth": events(scenario),
    }


def incidents() -> Parts:
    """A dozen two-hour incidents, with logs and traces of the ten minutes around the onset."""
    collected: dict[str, list[pd.DataFrame]] = {}
    for recording in simulate_many(draw_incidents(12, seed=20260301, severity=(0.4, 1.0))):
        onset = recording.scenario.index[recording.scenario.faults[0].start]
        window = onset - pd.Timedelta(minutes=3), onset + pd.Timedelta(minutes=7)
        logs, traces = recording.logs(*window), recording.traces(*window)
        tables = {
            "metrics": _stored(recording),
            "logs": logs[logs["trace_id"].str.startswith(_STORED_IDS) | (logs["trace_id"] == "")],
            "traces": traces[traces["trace_id"].str.startswith(_STORED_IDS)],
            "events": recording.events,
            "alerts": recording.alerts,
            "truth": events(recording.scenario),
        }  # fmt: skip
        for part, table in tables.items():
            collected.setdefault(part, []).append(table)
    joined = {
        part: pd.concat(dict(enumerate(tables)), names=["incident"])
        for part, tables in collected.items()
    }
    return {
        part: table if part == "metrics" else table.reset_index("incident").reset_index(drop=True)
        for part, table in joined.items()
    }


RECORDINGS: dict[str, Callable[[], Parts]] = {
    "shop-quiet-28d": quiet_month,
    "shop-checkout-week": checkout_week,
    "shop-incidents": incidents,
}


def main(arguments: list[str] | None = None) -> int:
    """Record every set, or prove with ``--check`` that the recorded ones are current."""
    parser = argparse.ArgumentParser(prog="python -m course.shop.record", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    target = folder()
    stale = []
    for name, make in RECORDINGS.items():
        print(f"{name}: simulating", flush=True)
        for part, table in make().items():
            path = target / (f"{name}.parquet" if part == "metrics" else f"{name}.{part}.parquet")
            if not check:
                _write(table, path)
                print(f"  {path.name}: {path.stat().st_size / 1e6:.2f} MB")
            elif not path.is_file() or not _same(pd.read_parquet(path), table):
                stale.append(path.name)
    if check:
        print(f"not current: {', '.join(stale)}; run `course data build`" if stale else "current")
        return int(bool(stale))
    files = sorted(target.glob("*.parquet"))
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (target / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return 0


def _stored(recording: Recording) -> pd.DataFrame:
    """Metrics as float32 with no more digits than are known; counts behind rates stay exact."""
    columns = {}
    for column in recording.metrics:
        values = recording.metrics[column].to_numpy()
        if column[1].startswith("latency"):  # three significant digits
            unit = 10.0 ** (np.floor(np.log10(np.maximum(values, 1e-3))) - 2)
            values = np.round(values / unit) * unit
        elif column[1] in _DECIMALS:
            values = np.round(values, _DECIMALS[column[1]])
        columns[column] = values.astype("float32")
    table = pd.DataFrame(columns, index=recording.metrics.index)
    table.columns = recording.metrics.columns
    return table


def _write(table: pd.DataFrame, path: Path) -> None:
    """Write one part as Parquet; few distinct values a column pack well in dictionaries."""
    table.to_parquet(path, compression="zstd", compression_level=19)


def _same(recorded: pd.DataFrame, now: pd.DataFrame) -> bool:
    """Whether values agree to 1e-6: another platform may differ in the last digits."""
    try:
        pd.testing.assert_frame_equal(
            recorded, now, check_freq=False, check_dtype=False, rtol=1e-6, atol=1e-6
        )
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

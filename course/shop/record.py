"""Record the embedded data sets: ``python -m course.shop.record [--check]``."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from course.shop.simulator import history
from course.telemetry.datasets import folder

_DECIMALS = {
    "request_rate": 3, "error_ratio": 5, "latency_p50_ms": 2, "latency_p99_ms": 1,
    "cpu_utilization": 4, "memory_utilization": 4, "pool_utilization": 4,
    "queue_length": 1, "disk_utilization": 4,
}  # fmt: skip


def quiet_month() -> pd.DataFrame:
    """Four quiet weeks of the whole shop, Monday 2026-03-02 to Sunday 2026-03-29."""
    metrics = history("2026-03-02T00:00Z", 28, seed=20260302).metrics
    rounded = {
        column: np.round(metrics[column].to_numpy(), _DECIMALS[column[1]]).astype("float32")
        for column in metrics.columns
    }
    table = pd.DataFrame(rounded, index=metrics.index)
    table.columns = metrics.columns
    return table


RECORDINGS: dict[str, Callable[[], pd.DataFrame]] = {"shop-quiet-28d": quiet_month}


def write(table: pd.DataFrame, path: Path) -> None:
    """Write one set as Parquet; values that are multiples of a decimal pack well."""
    table.to_parquet(
        path,
        compression="zstd",
        compression_level=15,
        use_dictionary=False,
        column_encoding=dict.fromkeys(map(str, table.columns), "BYTE_STREAM_SPLIT"),
    )


def main(arguments: list[str] | None = None) -> int:
    """Record every set, or prove with ``--check`` that the recorded ones are current."""
    parser = argparse.ArgumentParser(prog="python -m course.shop.record", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    target = folder()
    stale = []
    for name, make in RECORDINGS.items():
        print(f"{name}: simulating", flush=True)
        table, path = make(), target / f"{name}.parquet"
        if not check:
            write(table, path)
            print(f"{name}: {path.stat().st_size / 1e6:.1f} MB")
        elif not path.is_file() or not _same(pd.read_parquet(path), table):
            stale.append(name)
    if check:
        print(f"not current: {', '.join(stale)}; run `course data build`" if stale else "current")
        return int(bool(stale))
    files = sorted(target.glob("*.parquet"))
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (target / "SHA256SUMS").write_text("".join(sums), encoding="utf-8")
    return 0


def _same(recorded: pd.DataFrame, now: pd.DataFrame) -> bool:
    return (
        recorded.index.equals(now.index)
        and recorded.columns.equals(now.columns)
        and np.allclose(recorded.to_numpy(), now.to_numpy(), rtol=1e-6, atol=1e-6)
    )


if __name__ == "__main__":
    sys.exit(main())

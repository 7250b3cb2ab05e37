"""The data card of a recording: how it was made, on no particular machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from course._files import write_atomic

_PACKAGES = ("opentelemetry-sdk", "prometheus-client", "pandas", "pyarrow")


def write_card(target: Path, parts: Mapping[str, pd.DataFrame], facts: Mapping[str, Any]) -> Path:
    """Write ``NAME.md``.

    Parameters
    ----------
    target : Path
        Folder and name of the set.
    parts : mapping
        The tables that were written.
    facts : mapping
        how, minutes, rate, interval, monitoring, and whole: whether it ran to its end.

    Returns
    -------
    Path
    """
    metrics, truth = parts["metrics"], parts["truth"]
    faults = "; ".join(
        f"{row.kind} at {row.root_service}, {(row.end - row.start).total_seconds():.0f} s, "
        f"severity {row.severity:g}"
        for row in truth.itertuples()
    )
    versions = [f"Python {platform.python_version()}", str(facts["monitoring"])]
    versions += [f"{name} {version(name)}" for name in _PACKAGES]
    sizes = ", ".join(f"{name} {len(table):,}" for name, table in parts.items())
    index = metrics.index
    time = "too short for a row of metrics"
    if len(index):
        time = f"{index[0]:%Y-%m-%d %H:%M:%S} to {index[-1]:%H:%M:%S} UTC, {len(index):,} rows"
    state = "" if facts["whole"] else " The recording was interrupted before its end."
    text = f"""# {target.name}

The shop as real processes (`course testbed`), recorded while it was broken on purpose.{state}

- **Time:** {time},
  one every 15 seconds. One day of load passes in the {facts["minutes"]:g} minutes; {facts["rate"]:g} users a
  second on average.
- **Parts and rows:** {sizes}.
- **metrics:** columns (service, metric) and units as in `shop-quiet-28d`, from recording rules over what was
  scraped every {facts["interval"]:g} s; rates over four scrapes. NaN: no disk, no request, or the service was down.
- **raw:** counters, gauges and histogram buckets behind them, named as in Prometheus' text format.
- **traces:** the simulator's columns and `weight`. Every trace with an error and the slowest hundredth are kept,
  up to a bound, and some of the rest; `weight` says how many traces a kept one stands for.
- **logs:** the simulator's columns. Failures and warnings; one success in twenty.
- **events:** the change log, restarts and out-of-memory kills. **alerts:** what the alert manager sent.
- **surges:** harmless bursts of demand: start, end, kind, size.
- **truth:** start, end, kind, root_service, severity. {len(truth)} faults: {faults or "none"}.
- **How made:** {facts["how"]}. Real processes: the same command gives other numbers of the same kind.
- **Versions:** {", ".join(versions)}.
- **Licence:** CC BY 4.0. No personal data: users are random numbers.
"""
    path = target.with_name(f"{target.name}.md")
    write_atomic(path, text)
    return path

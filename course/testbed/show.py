"""Two mechanisms at work on the running shop, measured: a circuit breaker and a rollback."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from course.errors import CourseError
from course.testbed.control import ask_supervisor
from course.testbed.ledger import read_lines
from course.testbed.query import Monitoring
from course.testbed.web import BREAKER_OPEN

_RATE = 24.0
_RELEASED, _PROVIDER = "catalog", "payment-provider"


def breaker(folder: Path, state: Mapping[str, Any], seconds: float) -> str:
    """Let the payment provider hang twice, without and with a circuit breaker.

    Parameters
    ----------
    folder : Path
        The run folder.
    state : mapping
        Of the run.
    seconds : float
        How long the provider hangs each time.

    Returns
    -------
    str
        A table of both and what it shows.
    """
    monitoring = Monitoring(state)
    _arrivals(state)
    columns = {}
    try:
        for name, on in (("without", False), ("with a breaker", True)):
            ask_supervisor(state, "/breakers", {"callees": [_PROVIDER] if on else []})
            ask_supervisor(
                state, "/fault", {"kind": "third_party_outage", "service": _PROVIDER,
                                  "severity": 1.0, "seconds": seconds, "seed": 1},
            )  # fmt: skip
            _wait(seconds, f"the provider hangs, {name}")
            columns[name] = _payments(monitoring, seconds)
            ask_supervisor(state, "/heal", {})
            _wait(15.0, "all recovers")
    finally:
        ask_supervisor(state, "/heal", {})
        ask_supervisor(state, "/breakers", {"callees": []})
    return pd.DataFrame(columns).to_string(float_format="{:.2f}".format)


def _payments(monitoring: Monitoring, seconds: float) -> pd.Series:
    """What callers of the provider felt in the latest seconds."""
    span = f"{max(round(seconds), 1)}s"

    def value(expression: str) -> float:
        return _value(monitoring, expression.replace("$span", span))

    attempts = f'sum(increase(shop_client_attempts_total{{callee="{_PROVIDER}",outcome%s}}[$span]))'
    p99 = (
        '1000 * histogram_quantile(0.99, sum by (le) (rate('
        'shop_request_duration_seconds_bucket{service="%s"}[$span])))'
    )  # fmt: skip
    busy = (
        'sum(rate(shop_pool_busy_seconds_total{service="%s"}[$span]))'
        ' / sum(shop_pool_limit{service="%s"})'
    )  # fmt: skip
    return pd.Series(
        {
            "calls that reached the provider": value(attempts % f'!="{BREAKER_OPEN}"'),
            "calls that a breaker refused": value(attempts % f'="{BREAKER_OPEN}"'),
            "latency p99 of checkout (ms)": value(p99 % "checkout"),
            "workers of payment in use (share)": value(busy % ("payment", "payment")),
            "workers of checkout in use (share)": value(busy % ("checkout", "checkout")),
        }
    )


def rollback(folder: Path, state: Mapping[str, Any], seconds: float) -> str:
    """Release a bad version twice, with and without the automatic rollback.

    With it comes first: a release is judged against the minute before it.

    Parameters
    ----------
    folder : Path
        The run folder.
    state : mapping
        Of the run.
    seconds : float
        How long the bad version runs if nobody takes it back.

    Returns
    -------
    str
        A table of both and what was decided.
    """
    monitoring = Monitoring(state)
    _arrivals(state)
    columns, said = {}, []
    try:
        for name, on in (("automatic rollback", True), ("without", False)):
            ask_supervisor(state, "/rollback", {"on": on})
            old = _process(state)
            ask_supervisor(
                state, "/fault", {"kind": "bad_deploy", "service": _RELEASED, "severity": 1.0,
                                  "seconds": seconds},
            )  # fmt: skip
            begin = time.time()
            _wait(seconds, f"a bad release runs, {name}")
            events = [e for e in read_lines(folder / "events.jsonl") if e["time"] >= begin]
            taken = [e for e in events if e["kind"] == "rollback" and e["service"] == _RELEASED]
            failed = _value(
                monitoring,
                f'sum(increase(shop_requests_total{{service="{_RELEASED}",code=~"5.."}}'
                f"[{round(time.time() - begin)}s]))",
            )
            columns[name] = pd.Series(
                {
                    "failed requests": failed,
                    "seconds that it ran": taken[0]["time"] - begin if taken else seconds,
                }
            )
            if taken:
                said.append(f"{taken[0]['service']}: {taken[0]['detail']}")
                said.append(f"process {old} was replaced by process {_process(state)}")
            ask_supervisor(state, "/heal", {})
            _wait(15.0, "all recovers")
    finally:
        ask_supervisor(state, "/heal", {})
        ask_supervisor(state, "/rollback", {"on": False})
    table = pd.DataFrame(columns).to_string(float_format="{:.1f}".format)
    return "\n".join([table, "", *(said or ["nothing was taken back"])])


def _value(monitoring: Monitoring, expression: str) -> float:
    """The only value of an expression now; 0 where nothing was counted."""
    found = monitoring.instant(expression)
    return float(found.iloc[0]) if len(found) else 0.0


def _arrivals(state: Mapping[str, Any]) -> None:
    """Let users arrive if none do, and wait until they are seen."""
    if not ask_supervisor(state, "/status").get("load", {}).get("rate"):
        ask_supervisor(state, "/load", {"rate": _RATE})
        _wait(10.0, "users arrive")


def _process(state: Mapping[str, Any]) -> int:
    for row in ask_supervisor(state, "/status")["processes"]:
        if row["name"] == _RELEASED:
            return int(row["pid"])
    raise CourseError(f"the testbed runs no {_RELEASED}; end it with `course testbed down`")


def _wait(seconds: float, what: str) -> None:
    """Wait with a bar where somebody looks on."""
    end = time.monotonic() + seconds
    shown = tqdm(total=round(seconds), desc=what, unit="s", leave=False,
                 disable=not sys.stderr.isatty())  # fmt: skip
    with shown as bar:
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            bar.update(1)


SHOWS: dict[str, Callable[[Path, Mapping[str, Any], float], str]] = {
    "breaker": breaker,
    "rollback": rollback,
}

"""Which traces and log lines a data set keeps: every bad one, some of the rest, with weights."""

from __future__ import annotations

import numpy as np
import pandas as pd

_OK_SPANS, _MOST_SPANS = 45_000, 120_000
_SLOW_SHARE = 0.01
_SERVED = ("SERVER", "CONSUMER")
TRACE_COLUMNS = ["trace_id", "span_id", "parent_span_id", "service", "operation", "start",
                 "duration_ms", "status", "weight"]  # fmt: skip
LOG_COLUMNS = ["time", "service", "level", "template_id", "message", "trace_id"]
_MOST_LINES_A_KIND = 6000


def kept_traces(spans: pd.DataFrame) -> pd.DataFrame:
    """Choose whole traces.

    Parameters
    ----------
    spans : DataFrame
        As the receiver stores them.

    Returns
    -------
    DataFrame
        The simulator's columns and ``weight``: how many traces of its kind a kept one stands
        for. Traces with an error, and the slowest hundredth, have weight 1, unless they alone
        would be too many. Spans of callers' attempts are left out; a callee's parent is the span
        that made the call.
    """
    if spans.empty:
        return pd.DataFrame(columns=TRACE_COLUMNS)
    by_trace = (
        spans.assign(
            error=spans["status"] == "ERROR",
            own=spans["kind"].isin(_SERVED),
            root=spans["parent_span_id"] == "",
        )
        .groupby("trace_id", sort=True)
        .agg(
            errors=("error", "any"), duration=("duration_ms", "max"), size=("own", "sum"),
            root=("root", "any"),
        )
    )  # fmt: skip
    by_trace = by_trace[by_trace["root"]]  # the others were cut by the recording's begin or end
    slow = by_trace["duration"] >= by_trace["duration"].quantile(1 - _SLOW_SHARE)
    bad = by_trace["errors"] | slow
    weight = pd.concat(
        [
            _thinned(by_trace[bad], _MOST_SPANS - _OK_SPANS),
            _thinned(by_trace[~bad], _OK_SPANS),
        ]
    )
    kept = spans[spans["trace_id"].isin(weight.index)]
    table = _own_spans(kept)
    table["weight"] = table["trace_id"].map(weight).astype("float32")
    return table[TRACE_COLUMNS].reset_index(drop=True)


def _thinned(traces: pd.DataFrame, most_spans: int) -> pd.Series:
    """Keep an even share of traces, by their random ids, and return the weight of each."""
    total = int(traces["size"].sum())
    share = min(1.0, most_spans / max(total, 1))
    draw = np.array([int(trace_id[:8], 16) / 2**32 for trace_id in traces.index])
    kept = traces.index[draw < share]
    return pd.Series(len(traces) / max(len(kept), 1), index=kept, dtype="float64")


def _own_spans(spans: pd.DataFrame) -> pd.DataFrame:
    """Spans in which a service does its own work; between two of them lies at most one call."""
    parent_of = dict(zip(spans["span_id"], spans["parent_span_id"], strict=True))
    served = spans[spans["kind"].isin(_SERVED)].copy()
    own = set(served["span_id"])
    served["parent_span_id"] = [
        parent if parent in own else parent_of.get(parent, parent)
        for parent in served["parent_span_id"]
    ]
    served["start"] = pd.to_datetime(served["start_ns"] // 1000, unit="us", utc=True)
    served["duration_ms"] = served["duration_ms"].round(2).astype("float32")
    return served.sort_values(["start", "span_id"])


def kept_logs(logs: pd.DataFrame) -> pd.DataFrame:
    """Keep log lines in the simulator's columns.

    Warnings and worse are all kept, unless one statement of one service wrote more than some
    thousands: then an even share of its lines. Of successes the services log one in twenty.
    """
    if logs.empty:
        return pd.DataFrame(columns=LOG_COLUMNS)
    kind = ["service", "template_id"]
    count = logs.groupby(kind)["level"].transform("size")
    every = np.ceil(count / _MOST_LINES_A_KIND).astype(int)
    kept = logs[logs.groupby(kind).cumcount() % every == 0].copy()
    kept["time"] = pd.to_datetime(kept["time_ns"] // 1000, unit="us", utc=True)
    return kept.sort_values("time")[LOG_COLUMNS].reset_index(drop=True)

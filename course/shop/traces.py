"""Spans of the sampled requests, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course.shop.requests import Spans, minute_of_requests
from course.shop.topology import SERVICES, TOPOLOGY

if TYPE_CHECKING:
    from course.shop.recording import Recording

COLUMNS = ["trace_id", "span_id", "parent_span_id", "service", "operation", "start",
           "duration_ms", "status"]  # fmt: skip
OPERATIONS = {
    "gateway": "HTTP GET", "storefront": "GET /", "search": "GET /search", "cart": "POST /cart",
    "checkout": "POST /checkout", "account": "GET /account", "order-queue": "publish orders",
    "fulfilment": "process orders", "catalog": "GET /products", "pricing": "GET /price",
    "recommendation": "GET /recommendations", "inventory": "POST /reserve",
    "payment": "POST /authorize", "shipping": "POST /quote", "catalog-cache": "GET",
    "session-cache": "GET", "catalog-db": "SELECT products", "orders-db": "SELECT orders",
    "payment-provider": "POST /v1/charges",
}  # fmt: skip


def spans(recording: Recording, first: int, last: int) -> pd.DataFrame:
    """Return the spans of the traces that begin in minutes ``first`` .. ``last - 1``.

    Returns
    -------
    pd.DataFrame
        trace_id (32 hexadecimal digits), span_id and parent_span_id (16; the root's parent is
        ""), service, operation, start (UTC, microseconds), duration_ms, status ("OK", "ERROR").
        One gateway request in twenty is kept, whole (`course.shop.requests.TRACE_SHARE`).
    """
    tables = [_table(recording, minute) for minute in range(first, last)]
    return pd.concat(tables, ignore_index=True)


def _table(recording: Recording, minute: int) -> pd.DataFrame:
    made = minute_of_requests(recording, minute)
    span_ids = hex_words(made.identity[:, 2])
    begin = recording.scenario.start + pd.Timedelta(minutes=minute)
    service = np.array(SERVICES, dtype=object)[made.service]
    return pd.DataFrame(
        {
            "trace_id": trace_ids(made),
            "span_id": span_ids,
            "parent_span_id": np.where(made.parent >= 0, span_ids[made.parent], ""),
            "service": service,
            "operation": np.array([OPERATIONS[s] for s in TOPOLOGY.names], object)[made.service],
            "start": begin + pd.to_timedelta(np.rint(made.start * 1000).astype("int64"), unit="us"),
            "duration_ms": np.round(made.duration, 3),
            "status": np.where(made.failed, "ERROR", "OK"),
        }
    )


def trace_ids(made: Spans) -> np.ndarray:
    """Return the 32 hexadecimal digits of every span's trace."""
    return hex_words(made.identity[:, 0]) + hex_words(made.identity[:, 1])


def hex_words(words: np.ndarray) -> np.ndarray:
    """Return 16 hexadecimal digits for every 64-bit word."""
    text = words.astype(">u8").tobytes().hex()
    return np.array([text[i : i + 16] for i in range(0, len(text), 16)], dtype=object)

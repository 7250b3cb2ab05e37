"""The shop's telemetry under OpenTelemetry's names: spans, log records, histogram points.

What a service with OpenTelemetry's instrumentation would send. Attribute names are those of the
semantic conventions 1.45 (HTTP and databases: stable; messaging: in development). A call of a
database, a cache or the payment provider is a CLIENT span of the caller, since nobody instruments
what it calls; publishing an order is a PRODUCER span of the caller, working it off a CONSUMER span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course.shop.topology import TOPOLOGY

if TYPE_CHECKING:
    from course.shop.recording import Recording

#: Attributes of a span, in the order of the columns.
ATTRIBUTES = ["http.request.method", "http.route", "http.response.status_code",
              "db.system.name", "db.operation.name", "messaging.system",
              "messaging.destination.name", "server.address", "error.type"]  # fmt: skip
SPAN_COLUMNS = ["trace_id", "span_id", "parent_span_id", "name", "kind", "start_time_unix_nano",
                "end_time_unix_nano", "status_code", "service.name", "host.name",
                *ATTRIBUTES]  # fmt: skip
#: Boundaries that the conventions advise for ``http.server.request.duration``, in seconds.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

_SEVERITY = {"DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17, "FATAL": 21}
_MINUTE_NS = 60_000_000_000
_KINDS = {"sql": "CLIENT", "cache": "CLIENT", "third_party": "CLIENT", "queue": "PRODUCER",
          "worker": "CONSUMER"}  # fmt: skip
_SYSTEMS = {"sql": "postgresql", "cache": "redis"}
_TOPIC = "orders"


def otel_spans(
    recording: Recording, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return the spans of `Recording.traces` as OpenTelemetry describes them.

    Parameters
    ----------
    recording : Recording
    start, end : Timestamp, optional
        Minutes in which the traces begin; `end` is not included.

    Returns
    -------
    DataFrame
        Columns `SPAN_COLUMNS`. Times are integers, nanoseconds since 1970; ``status_code`` is
        "UNSET" or "ERROR"; an attribute that a span does not have is "" (the status code 0).

    Examples
    --------
    >>> from course.shop import Scenario, simulate
    >>> spans = otel_spans(simulate(Scenario("2026-03-10T12:00Z", minutes=2, seed=1)))
    >>> sorted(spans["kind"].unique())
    ['CLIENT', 'CONSUMER', 'PRODUCER', 'SERVER']
    """
    raw = recording.traces(start, end)
    kind_of = {service.name: service.kind for service in TOPOLOGY.services}
    host_of = {service.name: f"host-{service.host}" for service in TOPOLOGY.services}
    what = raw["service"].map(kind_of).to_numpy(dtype=object)
    kind = np.array([_KINDS.get(name, "SERVER") for name in what], dtype=object)
    above = dict(zip(raw["span_id"], raw["service"], strict=True))
    caller = raw["parent_span_id"].map(above)
    owner = raw["service"].where(~np.isin(kind, ["CLIENT", "PRODUCER"]), caller)
    failed = (raw["status"] == "ERROR").to_numpy()
    begin = raw["start"].to_numpy("datetime64[ns]").astype("int64")
    http = kind == "SERVER"
    provider = what == "third_party"
    method, route = _routes(raw, http)
    system = np.array([_SYSTEMS.get(name, "") for name in what], dtype=object)
    operation = np.where(system != "", raw["operation"].str.split().str[0], "")
    name = np.where(http, method + " " + route, raw["operation"])
    name[kind == "PRODUCER"] = f"send {_TOPIC}"
    name[kind == "CONSUMER"] = f"process {_TOPIC}"
    name[provider] = "POST"
    messaging = np.isin(kind, ["PRODUCER", "CONSUMER"])
    return pd.DataFrame(
        {
            "trace_id": raw["trace_id"],
            "span_id": raw["span_id"],
            "parent_span_id": raw["parent_span_id"],
            "name": name,
            "kind": kind,
            "start_time_unix_nano": begin,
            "end_time_unix_nano": begin
            + np.maximum(np.rint(raw["duration_ms"] * 1000).astype("int64"), 1) * 1000,
            "status_code": np.where(failed, "ERROR", "UNSET"),
            "service.name": owner.to_numpy(),
            "host.name": owner.map(host_of).to_numpy(),
            "http.request.method": np.where(provider, "POST", method),
            "http.route": route,
            "http.response.status_code": np.where(
                http | provider, np.where(failed, np.where(provider, 503, 500), 200), 0
            ),
            "db.system.name": system,
            "db.operation.name": operation,
            "messaging.system": np.where(messaging, "kafka", ""),
            "messaging.destination.name": np.where(messaging, _TOPIC, ""),
            "server.address": np.where(kind == "CLIENT", raw["service"], ""),
            "error.type": np.where(
                failed, np.where(provider, "503", np.where(http, "500", "_OTHER")), ""
            ),
        }
    )


def _routes(raw: pd.DataFrame, http: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Method and route of HTTP servers; the gateway's route is that of the service it calls."""
    parts = raw["operation"].str.split(n=1, expand=True)
    method = np.where(http, parts[0], "")
    route = pd.Series(np.where(http, parts[1], ""), index=raw.index)
    gateway = raw["service"] == "gateway"
    called = raw[raw["parent_span_id"].isin(raw.loc[gateway, "span_id"])]
    first = called.drop_duplicates("parent_span_id").set_index("parent_span_id")["operation"]
    operation = raw.loc[gateway, "span_id"].map(first).fillna("GET /")
    route[gateway] = operation.str.split().str[1]
    method[gateway.to_numpy()] = operation.str.split().str[0]
    return method.astype(object), route.to_numpy(dtype=object)


def otel_logs(
    recording: Recording, start: pd.Timestamp | None = None, end: pd.Timestamp | None = None
) -> pd.DataFrame:
    """Return the lines of `Recording.logs` as log records.

    Returns
    -------
    DataFrame
        time_unix_nano, severity_number, severity_text, body, trace_id ("" where a line belongs to
        no request), service.name. A failed request writes its line even if its trace was not
        kept, so a trace id of a record need not be that of a stored trace.
    """
    raw = recording.logs(start, end)
    return pd.DataFrame(
        {
            "time_unix_nano": raw["time"].to_numpy("datetime64[ns]").astype("int64"),
            "severity_number": raw["level"].map(_SEVERITY).to_numpy(),
            "severity_text": raw["level"],
            "body": raw["message"],
            "trace_id": raw["trace_id"],
            "service.name": raw["service"],
        }
    )


def otel_traces(spans: pd.DataFrame) -> pd.DataFrame:
    """Summarise every trace of the given spans in a row, as a tail sampler sees it.

    Returns
    -------
    DataFrame
        trace_id, http.route and duration_ms of the root span, status_code ("ERROR" if any span
        failed), spans (their number), bytes (about what they take as OTLP/JSON; a failed span
        carries an exception with its stack trace); in the order in which the traces begin.
    """
    root = spans[spans["parent_span_id"] == ""].sort_values("start_time_unix_nano")
    root = root.set_index("trace_id")
    failed = spans["status_code"] == "ERROR"
    text = spans[[column for column in spans if spans[column].dtype.kind not in "if"]]
    size = sum((text[column].str.len() for column in text), start=pd.Series(0, index=spans.index))
    size = size + 40 * (text != "").sum(axis=1) + 220 + 2400 * failed
    grouped = spans["trace_id"]
    length = root["end_time_unix_nano"] - root["start_time_unix_nano"]
    return pd.DataFrame(
        {
            "http.route": root["http.route"],
            "duration_ms": length / 1e6,
            "status_code": np.where(failed.groupby(grouped).any()[root.index], "ERROR", "UNSET"),
            "spans": grouped.groupby(grouped).size()[root.index],
            "bytes": size.groupby(grouped).sum()[root.index],
        }
    ).reset_index()


def otel_points(spans: pd.DataFrame) -> pd.DataFrame:
    """Return ``http.server.request.duration`` of the given spans: a histogram a minute, with exemplars.

    Parameters
    ----------
    spans : DataFrame
        As `otel_spans` returns them; requests are the SERVER spans, counted when they end.

    Returns
    -------
    DataFrame
        One row a service, minute and bucket that is not empty: service.name, name,
        start_time_unix_nano, time_unix_nano (the minute's begin and end: delta temporality), le
        (upper bound in seconds), count (of this bucket alone), and the slowest of its requests as
        exemplar: exemplar.value (seconds), exemplar.time_unix_nano, exemplar.trace_id,
        exemplar.span_id.
    """
    served = spans[spans["kind"] == "SERVER"]
    end = served["end_time_unix_nano"].to_numpy()
    seconds = (end - served["start_time_unix_nano"].to_numpy()) / 1e9
    bounds = np.array([*BOUNDS_S, np.inf])
    table = pd.DataFrame(
        {
            "service.name": served["service.name"].to_numpy(),
            "name": "http.server.request.duration",
            "start_time_unix_nano": end // _MINUTE_NS * _MINUTE_NS,
            "time_unix_nano": (end // _MINUTE_NS + 1) * _MINUTE_NS,
            "le": bounds[np.searchsorted(bounds, seconds)],
            "exemplar.value": seconds,
            "exemplar.time_unix_nano": end,
            "exemplar.trace_id": served["trace_id"].to_numpy(),
            "exemplar.span_id": served["span_id"].to_numpy(),
        }
    )
    keys = ["service.name", "name", "start_time_unix_nano", "time_unix_nano", "le"]
    table = table.sort_values([*keys, "exemplar.value"])
    slowest = table.drop_duplicates(keys, keep="last").set_index(keys)
    slowest.insert(0, "count", table.groupby(keys).size())
    return slowest.reset_index()

"""New Relic's metrics: what it takes at ``/metric/v1``.

Source: New Relic documentation, "Report metrics via the Metric API".
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    FormatError,
    array,
    fail,
    filled,
    integer,
    number,
    one_of,
    parse_json,
    record,
    table,
)

_MILLIS = integer(10**11, 10**14, "whole milliseconds since 1970")
_INTERVAL = integer(0, 10**12, "whole milliseconds")
_SUMMARY = record({"count": number, "sum": number, "min": number, "max": number}, {})


def _attribute(value: Any, where: str) -> Any:
    if not isinstance(value, str | bool | int | float):
        fail(where, "text, a number, true or false", value)
    return value


def _value(value: Any, where: str) -> Any:
    return _SUMMARY(value, where) if isinstance(value, dict) else number(value, where)


_SHARED = {
    "timestamp": _MILLIS,
    "interval.ms": _INTERVAL,
    "attributes": table(_attribute),
}
_METRIC = record(
    {"name": filled, "value": _value}, {"type": one_of("gauge", "count", "summary"), **_SHARED}
)
_BODY = array(record({"metrics": array(_METRIC)}, {"common": record({}, _SHARED)}), low=1)


def read_newrelic(body: str) -> list[dict[str, Any]]:
    """Read a body of metrics, with what their common block says filled in.

    Returns
    -------
    list of dict
        One dict a point: name, type, value, timestamp_ms (None if left to the server),
        interval_ms (None for a gauge without), attributes (common ones included; the metric's
        own win).

    Raises
    ------
    FormatError
        Says what was expected, what was found and where; also where a count or a summary has no
        ``interval.ms``, or the value is not of its type.

    Examples
    --------
    >>> read_newrelic('[{"metrics": [{"name": "cpu", "value": 0.5}]}]')[0]["type"]
    'gauge'
    """
    found = []
    for block in _BODY(parse_json(body, "New Relic metrics"), ""):
        common = block.get("common", {})
        for metric in block["metrics"]:
            kind = metric.get("type", "gauge")
            interval = metric.get("interval.ms", common.get("interval.ms"))
            if kind != "gauge" and not interval:
                raise FormatError(f"{metric['name']}: a {kind} needs interval.ms")
            if isinstance(metric["value"], dict) != (kind == "summary"):
                fail(f"{metric['name']}.value", f"the value of a {kind}", metric["value"])
            found.append(
                {
                    "name": metric["name"],
                    "type": kind,
                    "value": metric["value"],
                    "timestamp_ms": metric.get("timestamp", common.get("timestamp")),
                    "interval_ms": interval,
                    "attributes": {
                        **common.get("attributes", {}),
                        **metric.get("attributes", {}),
                    },
                }
            )
    return found

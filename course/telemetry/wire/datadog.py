"""Datadog's series: what it takes at ``/api/v2/series``.

Source: Datadog API reference, "Submit metrics" (v2); the types are those of datadog-api-client.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    FormatError,
    array,
    filled,
    integer,
    number,
    parse_json,
    record,
    text,
)

TYPES = ("unspecified", "count", "rate", "gauge")

_POINT = record(
    {
        # The API takes seconds; a time in milliseconds would lie in the year 50000.
        "timestamp": integer(0, 10**11 - 1, "whole seconds since 1970"),
        "value": number,
    },
    {},
)
_SERIES = record(
    {"metric": filled, "points": array(_POINT, low=1)},
    {
        "type": integer(0, 3, "an integer: 0 unspecified, 1 count, 2 rate, 3 gauge"),
        "interval": integer(1, 2**31, "whole seconds, at least 1"),
        "resources": array(record({"name": text, "type": text}, {})),
        "source_type_name": text,
        "tags": array(text),
        "unit": text,
    },
)
_PAYLOAD = record({"series": array(_SERIES)}, {})


def read_datadog(body: str) -> list[dict[str, Any]]:
    """Read a payload of series.

    Returns
    -------
    list of dict
        One dict a series: metric, type (text), interval (seconds or None), points (list of
        (seconds, value)), tags (list of text), unit.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where; also where a count or a rate has no
        interval.

    Examples
    --------
    >>> read_datadog('{"series": []}')
    []
    """
    found = []
    for place, series in enumerate(_PAYLOAD(parse_json(body, "Datadog series"), "")["series"]):
        kind = TYPES[series.get("type", 0)]
        if kind in ("count", "rate") and "interval" not in series:
            raise FormatError(f"series[{place}]: a {kind} needs an interval in seconds")
        found.append(
            {
                "metric": series["metric"],
                "type": kind,
                "interval": series.get("interval"),
                "points": [(point["timestamp"], point["value"]) for point in series["points"]],
                "tags": series.get("tags", []),
                "unit": series.get("unit", ""),
            }
        )
    return found

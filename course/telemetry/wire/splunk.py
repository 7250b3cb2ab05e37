"""Splunk's HTTP Event Collector: what it takes at ``/services/collector/event``.

Source: Splunk Enterprise 9.x, "Getting Data In", "Format events for HTTP Event Collector": JSON
objects one after the other, with nothing or white space between them.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import (
    FormatError,
    Reader,
    as_text,
    decoder,
    fail,
    filled,
    record,
    table,
)


def _seconds(value: Any, where: str) -> float:
    """Seconds since 1970, as a number or as text; milliseconds would lie in the year 50000."""
    try:
        found = float(value) if isinstance(value, str | int | float) else float("nan")
    except (ValueError, OverflowError):
        found = float("nan")
    if isinstance(value, bool) or not 0 <= found < 1e11:
        fail(where, "seconds since 1970", value)
    return found


def _event(value: Any, where: str) -> Any:
    if value is None or value == "":
        fail(where, "an event that is not blank", value)
    return value


def _flat(value: Any, where: str) -> Any:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict | list) or part is None for part in parts):
        fail(where, "text, a number or a list of them: fields are flat", value)
    return value


_ENVELOPE: Reader = record(
    {"event": _event},
    {
        "time": _seconds,
        "host": filled,
        "source": filled,
        "sourcetype": filled,
        "index": filled,
        "fields": table(_flat),
    },
)


def read_hec(body: str) -> list[dict[str, Any]]:
    """Read the events of a request.

    Returns
    -------
    list of dict
        The envelopes; `time` in seconds as a float.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where.

    Examples
    --------
    >>> read_hec('{"event": "a", "time": 1.5}{"event": {"b": 1}}')
    [{'event': 'a', 'time': 1.5}, {'event': {'b': 1}}]
    """
    rest = as_text(body, "the HEC body").strip(" \t\r\n")
    strict, place = decoder("the HEC body"), 0
    found: list[dict[str, Any]] = []
    while place < len(rest):
        try:
            envelope, place = strict.raw_decode(rest, place)
        except FormatError:
            raise
        except (ValueError, RecursionError) as error:
            raise FormatError(f"event {len(found)} is no JSON: {error}") from None
        found.append(_ENVELOPE(envelope, f"event {len(found)}"))
        while place < len(rest) and rest[place] in " \t\r\n":
            place += 1
    return found

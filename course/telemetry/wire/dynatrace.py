"""Dynatrace's lines: what it takes at ``/api/v2/metrics/ingest`` as text.

Source: Dynatrace documentation, "Metric ingestion protocol".
"""

from __future__ import annotations

import math
import re
from typing import Any

from course.telemetry.wire._shape import FormatError, as_text, fail

MAX_DIMENSIONS = 50
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]*(?:\.[a-zA-Z0-9_][a-zA-Z0-9_-]*)*", re.ASCII)
_DIMENSION = re.compile(
    r",\s*([a-z_][a-z0-9_\-:]*(?:\.[a-z0-9_][a-z0-9_\-:]*)*)="
    r'(?:"((?:[^"\\\n]|\\.)*)"|((?:[^"\\,=\s]|\\.)*))',
    re.ASCII,
)
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PAYLOAD = re.compile(
    rf"(?P<value>{_NUMBER})|gauge,(?P<gauge>{_NUMBER})|count,delta=(?P<delta>{_NUMBER})"
    rf"|gauge,min=(?P<min>{_NUMBER}),max=(?P<max>{_NUMBER}),sum=(?P<sum>{_NUMBER})"
    r",count=(?P<count>\d+)",
    re.ASCII,
)


def read_dynatrace(body: str) -> list[dict[str, Any]]:
    """Read metric lines; blank lines and comments (``#``) are passed over.

    Returns
    -------
    list of dict
        One dict a line: key, dimensions (dict of text), type ("gauge", "count"), value (a float;
        a dict with min, max, sum and count for a summary), timestamp_ms (None where the server
        would set it).

    Raises
    ------
    FormatError
        Says what was expected, what was found and in which line.

    Examples
    --------
    >>> read_dynatrace('cpu,host="a b" gauge,0.5 1700000000000')[0]["dimensions"]
    {'host': 'a b'}
    """
    return [
        _line(line, f"line {number}")
        for number, line in enumerate(as_text(body, "the metric lines").split("\n"), 1)
        if line.strip() and not line.startswith("#")
    ]


def _line(line: str, where: str) -> dict[str, Any]:
    key = _KEY.match(line)
    if key is None or not 2 <= key.end() <= 255:
        fail(where, "a metric key of letters, digits, _ and - in sections, then a comma", line)
    dimensions, place = _dimensions(line, key.end(), where)
    rest = line[place:]
    parts = rest.split()
    if not rest.startswith(" ") or len(parts) not in (1, 2):
        expected = "a space, a payload and a time; special characters in a value need quotes"
        fail(f"{where} after {line[:place][-30:]!r}", expected, rest)
    kind, value = _payload(parts[0], where)
    return {
        "key": key.group(),
        "dimensions": dimensions,
        "type": kind,
        "value": value,
        "timestamp_ms": _time(parts[1], where) if len(parts) == 2 else None,
    }


def _dimensions(line: str, place: int, where: str) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while line.startswith(",", place):
        match = _DIMENSION.match(line, place)
        if match is None:
            expected = 'key="value" with a key of lower-case letters, digits, _ - : and .'
            fail(where, expected, line[place + 1 : place + 60])
        name, quoted, bare = match.groups()
        value = re.sub(r"\\(.)", r"\1", quoted if quoted is not None else bare)
        if name in found:
            fail(where, "every dimension once", name)
        if not value:
            fail(f"{where}: {name}", "a value that is not empty", value)
        if len(name) > 100 or len(value) > 250:
            fail(
                f"{where}: {name}", "a key of up to 100 and a value of up to 250 characters", value
            )
        found[name], place = value, match.end()
    if len(found) > MAX_DIMENSIONS:
        fail(where, f"at most {MAX_DIMENSIONS} dimensions", len(found))
    return found, place


def _payload(payload: str, where: str) -> tuple[str, Any]:
    match = _PAYLOAD.fullmatch(payload)
    if match is None:
        fail(where, "gauge,VALUE or count,delta=VALUE with a finite decimal VALUE", payload)
    numbers = {name: float(text) for name, text in match.groupdict().items() if text is not None}
    if not all(map(math.isfinite, numbers.values())):
        fail(where, "finite values", payload)
    if "count" in numbers:
        return "gauge", numbers
    ((name, value),) = numbers.items()
    return ("count" if name == "delta" else "gauge"), value


def _time(text: str, where: str) -> int:
    if re.fullmatch(r"[0-9]{12,14}", text) is None:
        raise FormatError(f"{where}: expected whole milliseconds since 1970, found {text!r:.80}")
    return int(text)

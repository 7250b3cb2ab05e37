"""Strict readers of nine formats in which telemetry travels.

Each takes the body of a request as text, refuses what the receiver would refuse with a reason, and
returns plain dicts, so that what was sent can be compared with what was meant. They are the
inverse of an exporter: none of them writes.

| signal | readers |
|---|---|
| spans | `read_otlp`, `read_jaeger`, `read_zipkin` |
| log lines | `read_loki`, `read_bulk`, `read_hec` |
| metric points | `read_datadog`, `read_newrelic`, `read_dynatrace` |

Examples
--------
>>> read_zipkin('[{"traceId": "463ac35c9f6413ad", "id": ""}]')
Traceback (most recent call last):
...
course.telemetry.wire._shape.FormatError: [0].id: expected 16 lower-case hexadecimal digits that are not all 0, found ''
"""

from course.telemetry.wire._shape import FormatError
from course.telemetry.wire.datadog import read_datadog
from course.telemetry.wire.dynatrace import read_dynatrace
from course.telemetry.wire.elastic import read_bulk
from course.telemetry.wire.jaeger import read_jaeger
from course.telemetry.wire.loki import read_loki
from course.telemetry.wire.newrelic import read_newrelic
from course.telemetry.wire.otlp import read_otlp
from course.telemetry.wire.splunk import read_hec
from course.telemetry.wire.zipkin import read_zipkin

__all__ = [
    "FormatError",
    "read_bulk",
    "read_datadog",
    "read_dynatrace",
    "read_hec",
    "read_jaeger",
    "read_loki",
    "read_newrelic",
    "read_otlp",
    "read_zipkin",
]

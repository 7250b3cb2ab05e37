"""Queries of four languages, executed here on the telemetry that `course.telemetry.wire` reads.

| function | language | over |
|---|---|---|
| `promql` | PromQL, what `course.telemetry.prometheus` supports | series |
| `lucene` | Lucene's query syntax, parsed by luqum | documents of a bulk body |
| `logql` | a subset of LogQL | streams of a push body |
| `traceql` | a subset of TraceQL | spans of an OTLP body |
"""

from course.telemetry.queries._scan import QueryError
from course.telemetry.queries.logql import logql, parse_logql
from course.telemetry.queries.lucene import lucene
from course.telemetry.queries.promql import promql
from course.telemetry.queries.traceql import parse_traceql, traceql

__all__ = ["QueryError", "logql", "lucene", "parse_logql", "parse_traceql", "promql", "traceql"]

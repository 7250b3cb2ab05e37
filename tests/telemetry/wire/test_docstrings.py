"""Every example in the docstrings of the readers and the queries gives what it says."""

from __future__ import annotations

import doctest
import importlib

import pytest

READERS = "datadog dynatrace elastic jaeger loki newrelic otlp splunk zipkin".split()
QUERIES = "logql lucene promql traceql".split()
# The module, not the function of the same name that the package exports.
NAMES = [f"wire.{name}" for name in READERS] + [f"queries.{name}" for name in QUERIES]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.telemetry.{name}"))
    assert result.attempted > 0
    assert result.failed == 0

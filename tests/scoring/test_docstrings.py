"""Every example in the docstrings gives what it says."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "events",
        "points",
        "ranges",
        "volume",
        "nab",
        "parsing",
        "probability",
        "ranking",
        "alerting",
        "forecasting",
        "remediation",
        "offpolicy",
        "capacity",
    ],
)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.scoring.{name}"))
    assert result.attempted > 0
    assert result.failed == 0

"""Every example in the docstrings gives what it says."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["", ".env", ".incidents", ".rollout"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.shop.control{name}"))
    assert result.attempted > 0
    assert result.failed == 0

"""What all tests share."""

from __future__ import annotations

import os

import pytest


def require(condition: object, reason: str) -> None:
    """Skip a test whose real system is absent; fail under ``COURSE_REQUIRE_ALL=1``, as in CI.

    Parameters
    ----------
    condition : object
        True if what the test needs is there.
    reason : str
        What is missing and how to install it.
    """
    if condition:
        return
    if os.environ.get("COURSE_REQUIRE_ALL") == "1":
        pytest.fail(f"required here, but missing: {reason}")
    pytest.skip(reason)

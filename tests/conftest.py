"""What all tests share."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are drawn says something of the machine's load and nothing of the code.
settings.register_profile("any load", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("any load")


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make test-all` runs."""
    if int(os.environ.get("COURSE_AUDIT_SEEDS", "2")) >= 20:
        return
    kept = [item for item in items if not item.get_closest_marker("release")]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept

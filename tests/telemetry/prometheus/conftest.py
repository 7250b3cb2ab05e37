"""Fixtures of the Prometheus tests."""

import pytest

from tests.conftest import require
from tests.telemetry.prometheus import promtool


@pytest.fixture
def real_promtool() -> None:
    """The test needs the promtool whose semantics the answers were recorded with."""
    require(promtool.PROMTOOL, "promtool is not installed; on Debian 12: apt install prometheus")
    require(" 2." in promtool.version(), f"promtool 2.x is needed, found {promtool.version()}")

"""What the tests of the measures share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ORACLES = json.loads((Path(__file__).parent / "oracles" / "oracles.json").read_text())


@pytest.fixture
def day() -> pd.DatetimeIndex:
    """One day at one minute."""
    return pd.date_range("2024-05-01", periods=1440, freq="1min", tz="UTC")


@pytest.fixture(params=ORACLES["cases"], ids=lambda case: case["name"])
def oracle(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A series with the answers of published implementations."""
    return request.param


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)

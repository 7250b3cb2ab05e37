"""NAB for the tests: the mirror if there is one, else a skip (never a failure: it needs a network)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from course.telemetry import public

_BESIDE = Path(__file__).parents[4] / "shared" / "public-data"


@pytest.fixture
def nab_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make NAB available without a network, or skip.

    Public data are in no package and CI may have no network, so their absence is a skip even under
    ``COURSE_REQUIRE_ALL=1``.
    """
    if not os.environ.get(public.MIRROR) and _BESIDE.is_dir():
        monkeypatch.setenv(public.MIRROR, str(_BESIDE))
    if set(public.verify("nab").values()) != {"ok"}:
        pytest.skip(f"NAB is not here: set {public.MIRROR}, or run `course data fetch nab`")

"""Nezha for the tests: the mirror if there is one, else a skip (never a failure: it needs a network)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from course.field import nezha
from course.telemetry import public

_BESIDE = Path(__file__).parents[4] / "shared" / "public-data"


@pytest.fixture(scope="session")
def nezha_data() -> Iterator[None]:
    """Make Nezha available without a network, or skip.

    Public data are in no package and CI may have no network, so their absence is a skip even under
    ``COURSE_REQUIRE_ALL=1``.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get(public.MIRROR) and _BESIDE.is_dir():
            patch.setenv(public.MIRROR, str(_BESIDE))
        if set(public.verify("nezha").values()) != {"ok"}:
            pytest.skip(f"Nezha is not here: set {public.MIRROR}, or run `course data fetch nezha`")
        yield


@pytest.fixture(scope="session")
def days(nezha_data: None) -> list[nezha.NezhaDay]:
    """Both days as they were collected."""
    return [nezha.load(system) for system in nezha.SYSTEMS]

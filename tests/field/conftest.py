"""Public data for the tests: the mirror if there is one, else a skip (never a failure: no network)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course.telemetry import public

_BESIDE = Path(__file__).parents[3] / "shared" / "public-data"


@pytest.fixture(scope="session")
def public_data() -> Iterator[Callable[[str], None]]:
    """Make a set available without a network, or skip.

    Public data are in no package and CI may have no network, so their absence is a skip even under
    ``COURSE_REQUIRE_ALL=1``.
    """
    with pytest.MonkeyPatch.context() as patch:
        if not os.environ.get(public.MIRROR) and _BESIDE.is_dir():
            patch.setenv(public.MIRROR, str(_BESIDE))

        def need(name: str) -> None:
            if set(public.verify(name).values()) != {"ok"}:
                pytest.skip(
                    f"{name} is not here: set {public.MIRROR}, or run `course data fetch {name}`"
                )

        yield need

"""Every attack is run as the user of these tests, and by root also as an ordinary user."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from course.grading.sandbox import sandbox_available
from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.users import OrdinaryUser, OrdinaryUserError
from tests.conftest import require

AGAIN_AS_USER = os.geteuid() == 0


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The arena of this process."""
    usable, reason = sandbox_available()
    require(usable, reason)
    # A short path: what lies in it may be the path of a unix socket.
    made = Arena(tmp_path_factory.mktemp("arena"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def ordinary_user(arena: Arena) -> Iterator[OrdinaryUser]:
    """The arena of an ordinary user."""
    try:
        user = OrdinaryUser(arena.bait.course.parent)
    except OrdinaryUserError as error:
        require(False, str(error))
        raise
    yield user
    user.close()


@pytest.fixture(params=["user", "root"] if AGAIN_AS_USER else ["user"])
def run(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    """Run an attack as one of the users."""
    if AGAIN_AS_USER and request.param == "user":
        user: OrdinaryUser = request.getfixturevalue("ordinary_user")

        def as_user(attack: Attack) -> Outcome:
            return user.run(attack, module=request.module.__name__)

        return as_user
    return request.getfixturevalue("arena").run

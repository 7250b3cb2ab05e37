"""Every attack is run as the user of these tests, and by root also as an ordinary user.

In root's `make test` the second pass is that of the attacks on the host, where it matters most
who runs them; `make test-all` has both passes of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from course.grading.sandbox import sandbox_available
from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.catalogue import as_ordinary_user, group, identifier
from tests.attacks.users import OrdinaryUser, OrdinaryUserError
from tests.conftest import require

AS_ROOT = os.geteuid() == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Root's second pass, as an ordinary user, leaves out what `as_ordinary_user` says."""
    if not AS_ROOT:
        return
    left_out = []
    for item in items:
        given = getattr(item, "callspec", None)
        if given is not None and given.params.get("run") == "user":
            attack = given.params.get("attack")
            if item.path.stem != "test_host":
                item.add_marker(pytest.mark.release)
            if isinstance(attack, Attack) and not as_ordinary_user(attack):
                left_out.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """The arena of this process."""
    usable, reason = sandbox_available()
    require(usable, reason)
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


@pytest.fixture(scope="session")
def known_outcomes() -> dict[tuple[str, str], Outcome]:
    """Outcomes of attacks that were graded together with another."""
    return {}


@pytest.fixture(params=["root", "user"] if AS_ROOT else ["user"])
def run(request: pytest.FixtureRequest, known_outcomes: dict) -> Callable[[Attack], Outcome]:
    """Run an attack as one of the users."""
    user = request.param
    place = request.getfixturevalue("ordinary_user" if AS_ROOT and user == "user" else "arena")

    def outcome(attack: Attack) -> Outcome:
        name = identifier(attack)
        if (user, name) not in known_outcomes:
            together = group(attack)
            for one, found in zip(together, place.run(*together), strict=True):
                known_outcomes[user, identifier(one)] = found
        return known_outcomes[user, name]

    return outcome

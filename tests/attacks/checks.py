"""What is asked of every attack."""

from __future__ import annotations

from tests.attacks.arena import Arena, notebook
from tests.attacks.attack import FULL, Attack, Outcome
from tests.attacks.naive import points_beside_the_tests


def assert_nothing_gained(attack: Attack, outcome: Outcome) -> None:
    """Honest points, nothing changed outside, the next submission untouched, and it did run."""
    assert outcome.evidence, f"the attack did not run: {outcome.said}"
    assert outcome.points == attack.honest, outcome.said
    assert outcome.changed == []
    assert outcome.next_points == FULL
    assert outcome.cpu_seconds <= attack.at_most_cpu_s


def assert_it_works_elsewhere(attack: Attack, arena: Arena) -> None:
    """The same attack succeeds against stock grading or without a sandbox."""
    if attack.control == "in-process":
        target = arena.bait.target("atkcontrol")
        assert points_beside_the_tests(attack, notebook(attack, target)) > attack.honest
    else:
        (outcome,) = arena.run(attack, unsafe=True)
        assert outcome.succeeded, outcome.said

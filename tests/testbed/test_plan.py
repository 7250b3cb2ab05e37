"""Plans: random but decided by their seed, spaced out, readable again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from course.errors import CourseError
from course.testbed import plan
from course.testbed.plan import Step
from course.testbed.troubles import KINDS


def test_a_seed_decides_everything() -> None:
    assert plan.draw(60, 4, 6) == plan.draw(60, 4, 6)
    assert plan.draw(60, 4, 6) != plan.draw(60, 5, 6)


@pytest.mark.parametrize("seed", range(8))
def test_faults_lie_apart_and_within_the_recording(seed: int) -> None:
    faults = [step for step in plan.draw(130, seed, 13) if step.action == "fault"]
    assert len(faults) == 13
    assert all(one.at + one.seconds + 60 < two.at for one, two in pairwise(faults))
    assert faults[0].at > plan.WARM_UP_S
    assert faults[-1].at + faults[-1].seconds <= 130 * 60
    assert all(step.service in KINDS[step.what].services for step in faults)


def test_every_kind_comes_before_any_comes_again() -> None:
    faults = [step.what for step in plan.draw(130, 1, len(KINDS)) if step.action == "fault"]
    assert sorted(faults) == sorted(KINDS)


def test_harmless_things_happen_in_quiet_time() -> None:
    for seed in range(20):
        steps = plan.draw(130, seed, 13)
        faults = [step for step in steps if step.action == "fault"]
        for step in steps:
            if step.action != "fault":
                assert not any(f.at - 10 < step.at < f.at + f.seconds for f in faults)
                assert not any(step.at < f.at < step.at + step.seconds for f in faults)
    actions = {step.action for seed in range(20) for step in plan.draw(130, seed, 13)}
    assert actions == {"fault", "surge", "change"}


def test_too_many_faults_are_refused() -> None:
    with pytest.raises(CourseError, match="don't fit into 10 minutes"):
        plan.draw(10, 1, 20)


def test_a_plan_can_be_read_again(tmp_path: Path) -> None:
    steps = plan.draw(60, 4, 6)
    plan.save(steps, tmp_path / "plan.json")
    assert plan.load(tmp_path / "plan.json") == steps


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no plan"),
        ('[{"what": "x"}]', "missing"),
        ('[{"at": 1, "action": "dance", "what": "x"}]', "none of fault, surge, change"),
        ('[{"at": 1, "action": "fault", "what": "slow_query", "service": "cart", "seconds": 9, '
         '"severity": 0.5}]', "can't strike 'cart'"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(CourseError, match=message):
        plan.load(tmp_path / "plan.json")


def test_steps_of_a_file_come_in_order_of_time(tmp_path: Path) -> None:
    steps = [
        Step(9, "change", "flag", "cart"),
        Step(2, "surge", "bot_crawl", seconds=5, severity=1),
    ]
    plan.save(steps, tmp_path / "plan.json")
    assert [step.at for step in plan.load(tmp_path / "plan.json")] == [2, 9]

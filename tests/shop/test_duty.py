"""Days on duty: what is right helps, what is false costs, and nothing else changes the day."""

import numpy as np
import pytest

from course.shop import simulate_many
from course.shop.duty import ACTIONS, FALSE_ACTION_MIN, STEP, Duty, duty_days, violations

REMEDY = {kind: action for action, kind in ACTIONS.items()}


@pytest.fixture(scope="module")
def days():
    return duty_days(2, seed=5)


@pytest.fixture(scope="module")
def duty(days):
    return Duty(days)


def _replay(duty, choose):
    observations, done = duty.reset(), False
    minute = STEP
    while not done:
        observations, done = duty.step(
            [choose(day, minute, o) for day, o in enumerate(observations)]
        )
        minute += STEP
    return duty.accounts


def test_a_day_has_three_incidents_that_hurt_and_two_surges(days):
    for day in days:
        assert (len(day.faults), len(day.surges)) == (3, 2)
        starts = sorted(item.start for item in (*day.faults, *day.surges))
        assert np.diff(starts).min() >= 120
    assert duty_days(2, seed=5) == days
    assert duty_days(1, seed=6) != days[:1]


def test_doing_nothing_is_the_open_loop(duty, days):
    accounts = _replay(duty, lambda *_: None)
    open_loop = [int(violations(r.outputs).sum()) for r in simulate_many(days)]
    assert [a.violated for a in accounts] == [a.untouched for a in accounts] == open_loop
    assert all(a.saved == 0 for a in accounts)
    assert min(open_loop) >= 90


def test_the_right_actions_end_the_incidents(duty, days):
    def remedy(day, minute, _):
        for fault in days[day].faults:
            if 10 < minute - fault.start <= 10 + STEP:
                return REMEDY[fault.kind], fault.service
        return None

    for account in _replay(duty, remedy):
        assert (account.right, account.false) == (3, 0)
        assert account.saved > 0.6 * account.untouched


def test_false_actions_cost_ten_minutes_and_what_they_break(duty):
    accounts = _replay(duty, lambda day, minute, _: ("restart", "cart") if minute == 700 else None)
    for account in accounts:
        assert (account.right, account.false) == (0, 1)
        assert account.saved <= -FALSE_ACTION_MIN + 5


def test_an_observation_has_tables_changes_and_past_actions(duty):
    duty.reset()
    observations, _ = duty.step([("flush", "search"), None])
    first = observations[0]
    assert first["now"].shape == first["usual"].shape == first["spread"].shape == (19, 9)
    assert first["actions"] == [{"minutes_ago": 5, "action": "flush", "service": "search"}]
    assert observations[1]["actions"] == []


@pytest.mark.parametrize("bad", [["restart"], ["reboot", "cart"], ["restart", "till"], 3])
def test_what_is_no_action_is_refused(duty, bad):
    duty.reset()
    with pytest.raises(ValueError, match="is no action"):
        duty.step([bad, None])


def test_one_action_a_day_is_asked_for(duty):
    duty.reset()
    with pytest.raises(ValueError, match="list of 2 actions"):
        duty.step([None])

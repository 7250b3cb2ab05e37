"""The environments: Gymnasium's contract, one by one equal to all at once, nothing to cheat with."""

from __future__ import annotations

import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

from course.shop import SERVICES
from course.shop.control import (
    STEPS,
    Action,
    ShopEnv,
    ShopVectorEnv,
    action_space,
    draw_scenarios,
    observation_space,
)


def _random_actions(seed: int, scenarios: int, share: float = 0.25) -> np.ndarray:
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, (len(Action), len(SERVICES), 4), (STEPS, scenarios, 3))
    chosen[rng.random((STEPS, scenarios)) > share] = 0
    return chosen


def test_gymnasiums_checker_has_nothing_to_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("course/Shop-v0").unwrapped)


def test_the_vector_form_is_made_by_gymnasium_too() -> None:
    envs = gymnasium.make_vec("course/Shop-v0", num_envs=5,
                              vectorization_mode="vector_entry_point")  # fmt: skip
    assert isinstance(envs, VectorEnv)
    observation, info = envs.reset(seed=4)
    assert envs.observation_space.contains(observation) and info == {}
    assert not np.array_equal(observation["metrics"][0], observation["metrics"][1])


def test_one_by_one_gives_the_bytes_of_all_at_once(mixed) -> None:
    actions = _random_actions(1, len(mixed))
    envs = ShopVectorEnv(mixed)
    first, _ = envs.reset()
    steps = [envs.step(chosen) for chosen in actions]
    for row in range(0, len(mixed), 3):
        env = ShopEnv(mixed[row])
        observation, _ = env.reset()
        assert _bytes(observation) == _bytes({k: v[row] for k, v in first.items()})
        for chosen, (seen, reward, _, over, _) in zip(actions[:, row], steps, strict=True):
            observation, own_reward, terminated, truncated, info = env.step(chosen)
            assert _bytes(observation) == _bytes({k: v[row] for k, v in seen.items()})
            assert (own_reward, terminated, truncated, info) == (reward[row], False, over[row], {})


@settings(max_examples=3)
@given(st.integers(0, 2**40))
def test_same_seed_same_bytes(seed: int) -> None:
    def run() -> list[bytes]:
        envs = ShopVectorEnv(num_envs=3)
        seen = [_bytes(envs.reset(seed=seed)[0])]
        for chosen in _random_actions(seed, 3)[:40]:
            observation, reward, *_ = envs.step(chosen)
            seen += [_bytes(observation), reward.tobytes()]
        return seen

    assert run() == run()


def test_the_first_scenarios_do_not_depend_on_how_many_are_drawn() -> None:
    assert draw_scenarios(3, 9) == draw_scenarios(8, 9)[:3]
    assert draw_scenarios(3, 9) != draw_scenarios(3, 10)


def test_a_second_reset_begins_anew(mixed) -> None:
    envs = ShopVectorEnv(mixed)
    actions = _random_actions(5, len(mixed))[:30]

    def run() -> list[bytes]:
        return [_bytes(envs.reset()[0])] + [_bytes(envs.step(a)[0]) for a in actions]

    assert run() == run()


@settings(max_examples=4)
@given(st.integers(0, 2**32))
def test_observations_stay_in_their_space(seed: int) -> None:
    envs = ShopVectorEnv(num_envs=4)
    observation, _ = envs.reset(seed=seed)
    space = observation_space()
    assert all(values.dtype == space[name].dtype for name, values in observation.items())
    for chosen in _random_actions(seed, 4, share=0.6):
        observation, reward, *_ = envs.step(chosen)
        assert envs.observation_space.contains(observation)
        assert np.isfinite(reward).all() and (reward <= 0).all()


def test_an_observation_does_not_change_afterwards(mixed) -> None:
    envs = ShopVectorEnv(mixed)
    observation, _ = envs.reset()
    before = _bytes(observation)
    for chosen in _random_actions(2, len(mixed), share=1.0)[:20]:
        envs.step(chosen)
    assert _bytes(observation) == before


def test_nothing_is_shown_of_an_incident_before_it_begins() -> None:
    """With and without the incident the observations are the same up to its first minute."""
    from dataclasses import replace

    ill = [s for s in draw_scenarios(40, 8, control_share=0.0) if s.kind != "metastable"][:20]
    well = [replace(scenario, incident=None) for scenario in ill]
    sides = []
    for scenarios in (ill, well):
        envs = ShopVectorEnv(scenarios)
        wait = np.zeros((len(scenarios), 3), int)
        seen = [envs.reset()[0]] + [envs.step(wait)[0] for _ in range(60)]
        sides.append(seen)
    for row, scenario in enumerate(ill):
        for step in range(scenario.incident.start - 60 + 1):
            assert _bytes({k: v[row] for k, v in sides[0][step].items()}) == _bytes(
                {k: v[row] for k, v in sides[1][step].items()}
            )


def test_the_reward_is_what_is_lost_and_charged(mixed) -> None:
    envs = ShopVectorEnv(mixed)
    envs.reset()
    for chosen in _random_actions(3, len(mixed))[:30]:
        _, reward, *_ = envs.step(chosen)
        tally = envs.tally[-1]
        assert np.array_equal(reward, -(tally.lost + tally.cost))
        assert ((tally.lost >= 0) & (tally.lost <= 5)).all()


def test_an_episode_ends_for_all_together(mixed) -> None:
    envs = ShopVectorEnv(mixed)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        envs.step(np.zeros((len(mixed), 3), int))
    envs.reset()
    wait = np.zeros((len(mixed), 3), int)
    ends = [envs.step(wait)[3] for _ in range(STEPS)]
    assert not np.array(ends[:-1]).any() and ends[-1].all()
    with pytest.raises(gymnasium.error.ResetNeeded, match="over"):
        envs.step(wait)


def test_scenarios_can_be_sent_to_another_process(mixed) -> None:
    assert pickle.loads(pickle.dumps(mixed)) == mixed


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 3), int), "shape"),
        (np.zeros((1, 3)), "integers"),
        ([[9, 0, 0]], "does not exist"),
        ([[1, 19, 0]], "0..18"),
        ([[2, 0, -1]], "of scenario 0"),
    ],
)
def test_an_action_that_does_not_exist_is_refused(actions, message: str) -> None:
    envs = ShopVectorEnv(draw_scenarios(1, 1))
    envs.reset()
    with pytest.raises(ValueError, match=message):
        envs.step(actions)


def test_the_spaces_are_as_documented() -> None:
    assert action_space().nvec.tolist() == [len(Action), len(SERVICES), 4]
    documented = observation_space.__doc__
    assert all(f"``{name}``" in documented for name in observation_space())


def _bytes(observation: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(values).tobytes() for name, values in observation.items()}

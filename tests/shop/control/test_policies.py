"""What policies come to: a rule saves most of what can be saved, naive ones lose."""

from __future__ import annotations

import numpy as np
import pytest

from course.scoring.remediation import remediation_scores
from course.shop.control import ShopVectorEnv, do_nothing, draw_scenarios, rollout
from course.shop.control.incidents import METASTABLE
from course.shop.control.rollout import Rollout
from tests.shop.control.policies import AlwaysRestart, RandomPolicy, Rule


@pytest.fixture(scope="module")
def envs() -> ShopVectorEnv:
    return ShopVectorEnv(draw_scenarios(120, 11))


@pytest.fixture(scope="module")
def nothing(envs: ShopVectorEnv) -> Rollout:
    return rollout(do_nothing, envs)


def _saved(run: Rollout, nothing: Rollout) -> np.ndarray:
    return nothing.lost.sum(axis=1) - run.lost.sum(axis=1) - run.cost.sum(axis=1)


def test_a_rule_saves_half_and_naive_policies_next_to_nothing(envs, nothing) -> None:
    total = nothing.lost.sum()
    assert _saved(rollout(Rule(), envs), nothing).sum() > 0.5 * total
    assert _saved(rollout(AlwaysRestart(), envs), nothing).sum() < 0.15 * total
    assert _saved(rollout(RandomPolicy(), envs), nothing).sum() < 0


def test_a_rule_does_next_to_no_harm_where_nothing_is_wrong(envs, nothing) -> None:
    controls = ~nothing.faulty
    assert controls.sum() >= 20
    assert _saved(rollout(Rule(), envs), nothing)[controls].mean() > -1.0
    assert _saved(rollout(RandomPolicy(), envs), nothing)[controls].mean() < -5.0


def test_a_rule_does_no_harm_by_what_could_be_known_and_naive_policies_do(envs, nothing) -> None:
    def scores(policy):
        run = rollout(policy, envs)
        return remediation_scores(run.lost, nothing.lost, run.cost, run.faulty, run.actions)

    rule, restart, chance = scores(Rule()), scores(AlwaysRestart()), scores(RandomPolicy())
    assert rule.harmful_rate < 0.02 and rule.no_op_correct > 0.6 and rule.saved_share > 0.5
    assert restart.harmful_rate > 0.1 and restart.no_op_correct < 0.2
    assert chance.harmful_rate > 0.5 and chance.no_op_correct == 0


def test_a_rule_brings_back_goodput_after_a_metastable_failure() -> None:
    envs = ShopVectorEnv(draw_scenarios(20, 4, kinds=[METASTABLE], control_share=0.0))
    left, rule = rollout(do_nothing, envs), rollout(Rule(), envs)
    before, end = slice(0, 8), slice(-10, None)
    usual = left.good[:, before].mean(axis=1)
    assert (left.good[:, end].mean(axis=1) / usual).mean() < 0.9
    assert (rule.good[:, end].mean(axis=1) / usual).mean() > 0.95


def test_a_rollout_tells_what_was_done(envs, nothing) -> None:
    run = rollout(RandomPolicy(3), envs)
    assert len(nothing.actions) == 0
    assert {"scenario", "step", "action", "service", "refused", "cost", "evidence", "touched",
            "fault"} <= set(run.actions.columns)  # fmt: skip
    once = run.actions.groupby(["scenario", "step"])["cost"].sum()
    charged = run.cost[tuple(np.array(once.index.to_list()).T)]
    assert (charged >= once.to_numpy() - 1e-9).all()
    assert 0.2 < run.actions["refused"].mean() < 0.9
    assert run.actions["touched"].min() >= 0 and run.actions["evidence"].any()


def test_evidence_is_a_journey_in_trouble_in_two_of_five_minutes(envs) -> None:
    seen = []

    def poke(observation) -> np.ndarray:
        seen.append((observation["bad_ratio"] > 0.02).any(axis=1))
        chosen = np.zeros((len(observation["metrics"]), 3), int)
        chosen[:, 0] = 8  # raise the limit of the gateway: harmless
        return chosen

    actions = rollout(poke, envs).actions
    burning = np.array(seen)
    for row in actions.sample(300, random_state=1).itertuples():
        if row.step >= 5:
            expected = burning[row.step - 4 : row.step + 1, row.scenario].sum() >= 2
            assert row.evidence == expected

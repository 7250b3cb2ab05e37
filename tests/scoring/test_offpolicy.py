"""Off-policy estimators: by hand, unbiased, intervals that cover, and what overlap says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.scoring.offpolicy import (
    doubly_robust,
    effective_sample_size,
    ips,
    overlap,
    snips,
)

REWARDS, TARGET, LOGGED = [4.0, 0.0, 2.0, 1.0], [0.8, 0.1, 0.5, 0.0], [0.4, 0.2, 0.5, 0.5]
# weights 2, 0.5, 1, 0


def test_ips_by_hand() -> None:
    found = ips(REWARDS, TARGET, LOGGED)
    terms = np.array([8.0, 0.0, 2.0, 0.0])
    assert found.value == pytest.approx(2.5)
    error = terms.std(ddof=1) / 2
    assert found.high - found.value == pytest.approx(3.182446 * error, rel=1e-5)  # t(0.975, 3)
    assert found.effective == pytest.approx(3.5**2 / 5.25)
    assert found.n == 4


def test_clipping_by_hand() -> None:
    assert ips(REWARDS, TARGET, LOGGED, clip=1.0).value == pytest.approx((4 + 0 + 2 + 0) / 4)


def test_snips_by_hand() -> None:
    assert snips(REWARDS, TARGET, LOGGED).value == pytest.approx(10 / 3.5)


def test_doubly_robust_by_hand() -> None:
    found = doubly_robust(REWARDS, TARGET, LOGGED, [3, 1, 2, 0], [3, 2, 2, 1])
    # 3 + 2 x 1, 2 + 0.5 x -1, 2 + 1 x 0, 1 + 0
    assert found.value == pytest.approx((5 + 1.5 + 2 + 1) / 4)


@given(st.floats(-50, 50))
def test_snips_moves_with_a_constant_and_ips_does_not(shift: float) -> None:
    moved = np.array(REWARDS) + shift
    assert snips(moved, TARGET, LOGGED).value == pytest.approx(
        snips(REWARDS, TARGET, LOGGED).value + shift
    )
    assert ips(moved, TARGET, LOGGED).value == pytest.approx(2.5 + shift * 3.5 / 4)


def test_the_same_policy_gives_the_mean_of_its_log() -> None:
    mean = float(np.mean(REWARDS))
    for found in (ips(REWARDS, LOGGED, LOGGED), snips(REWARDS, LOGGED, LOGGED)):
        assert found.value == pytest.approx(mean) and found.effective == 4


def test_a_perfect_model_leaves_no_weight_on_the_rewards() -> None:
    found = doubly_robust(REWARDS, TARGET, LOGGED, REWARDS, [2, 2, 2, 2])
    assert (found.low, found.value, found.high) == (2, 2, 2)


# --- a bandit of which everything is known ----------------------------------------------------

CONTEXTS, ACTIONS = 3, 4
_RNG = np.random.default_rng(0)
MEANS = _RNG.uniform(-5, 5, (CONTEXTS, ACTIONS))
LOGGING = _RNG.dirichlet(np.full(ACTIONS, 3.0), CONTEXTS) * 0.8 + 0.05
NEW = _RNG.dirichlet(np.full(ACTIONS, 0.7), CONTEXTS)
TRUE = float((NEW * MEANS).sum(axis=1).mean())


def _log(rng: np.random.Generator, n: int) -> tuple[np.ndarray, ...]:
    context = rng.integers(CONTEXTS, size=n)
    action = (rng.random((n, 1)) > LOGGING[context].cumsum(axis=1)).sum(axis=1)
    reward = MEANS[context, action] + rng.normal(0, 2, n)
    return context, action, reward


def _model(wrong: bool) -> np.ndarray:
    return MEANS[:, ::-1] if wrong else MEANS + 0.5


def _estimates(rng: np.random.Generator, n: int) -> dict[str, object]:
    context, action, reward = _log(rng, n)
    target, logged = NEW[context, action], LOGGING[context, action]
    found = {"ips": ips(reward, target, logged), "snips": snips(reward, target, logged)}
    for name, wrong in (("good model", False), ("bad model", True)):
        model = _model(wrong)
        value = (NEW * model).sum(axis=1)[context]
        found[name] = doubly_robust(reward, target, logged, model[context, action], value)
    return found


@pytest.fixture(scope="module")
def logs() -> dict[str, list]:
    """Estimates from 600 logs of 400 decisions."""
    rng = np.random.default_rng(1)
    runs = [_estimates(rng, 400) for _ in range(600)]
    return {name: [run[name] for run in runs] for name in runs[0]}


@pytest.mark.parametrize("name", ["ips", "snips", "good model", "bad model"])
def test_intervals_cover_as_often_as_they_say(logs, name: str) -> None:
    covered = np.mean([e.low <= TRUE <= e.high for e in logs[name]])
    assert 0.925 <= covered <= 0.975


@pytest.mark.parametrize("name", ["ips", "snips", "good model", "bad model"])
def test_estimates_have_no_bias(logs, name: str) -> None:
    values = np.array([e.value for e in logs[name]])
    assert abs(values.mean() - TRUE) < 4 * values.std() / len(values) ** 0.5 + 0.01


def test_a_good_model_narrows_the_interval(logs) -> None:
    width = {name: np.mean([e.high - e.low for e in found]) for name, found in logs.items()}
    assert width["good model"] < 0.8 * width["ips"]


def test_wrong_propensities_are_found_out() -> None:
    """An estimator that forgets the weights is far off: the interval would not cover."""
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(100):
        context, action, reward = _log(rng, 400)
        flat = np.full(400, 1 / ACTIONS)
        found = ips(reward, NEW[context, action], flat)
        missed += not found.low <= TRUE <= found.high
    assert missed > 50


# --- overlap ----------------------------------------------------------------------------------


def test_overlap_by_hand() -> None:
    found = overlap([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]], [[0.25, 0.75, 0.0], [0.5, 0.5, 0.0]])
    assert found.unsupported == pytest.approx(0.4)
    assert found.largest_weight == pytest.approx(2.0)
    # mean weight (1 + 0.2) / 2; mean square (0.25 x 4 + 0.75 x 4/9 + 0.5 x 0.16) / 2
    assert found.effective_share == pytest.approx(0.36 / ((1 + 1 / 3 + 0.08) / 2))


def test_the_effective_share_is_what_a_log_shows() -> None:
    context, action, _ = _log(np.random.default_rng(3), 200_000)
    weight = NEW[context, action] / LOGGING[context, action]
    rows = np.arange(CONTEXTS)
    expected = overlap(NEW[rows], LOGGING[rows]).effective_share
    assert effective_sample_size(weight) / len(weight) == pytest.approx(expected, rel=0.02)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_the_effective_size_lies_between_one_and_all(weights) -> None:
    assert 1 - 1e-9 <= effective_sample_size(weights) <= len(weights) + 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ips([1, 2], [0.5, 0.5], [0.5, 0.0]), "above 0"),
        (lambda: ips([1, 2], [0.5, 1.5], [0.5, 0.5]), "target must be prob"),
        (lambda: ips([1, 2], [0.5], [0.5, 0.5]), "2 decisions and target 1"),
        (lambda: ips([1], [0.5], [0.5]), "at least 2"),
        (lambda: ips([1, np.inf], [0.5, 0.5], [0.5, 0.5]), "infinite"),
        (lambda: ips([1, 2], [0.5, 0.5], [0.5, 0.5], clip=0), "clip must be"),
        (lambda: ips([1, 2], [0.5, 0.5], [0.5, 0.5], level=95), "level must be"),
        (lambda: snips([1, 2], [0, 0], [0.5, 0.5]), "says nothing"),
        (lambda: doubly_robust([1, 2], [1, 1], [1, 1], [1], [1, 2]), "predicted 1"),
        (lambda: overlap([[0.5, 0.4]], [[0.5, 0.5]]), "sum to 1"),
        (lambda: overlap([0.5, 0.5], [0.5, 0.5]), "one column an action"),
        (lambda: effective_sample_size([-1, 1]), "0 or more"),
    ],
)
def test_what_cannot_be_scored_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Off-policy evaluation: what a new policy would have earned, from another policy's log.

The log holds, for each decision, the reward and the probability (propensity) with which the
logging policy chose what it chose. No estimator can say anything about actions that the logging
policy never takes: look at :func:`overlap` first.

Sources: Horvitz and Thompson, Journal of the American Statistical Association 1952 (inverse
propensity); Swaminathan and Joachims, NeurIPS 2015 (self-normalised); Dudík, Langford and Li, ICML
2011 (doubly robust); Kish, Survey Sampling, Wiley 1965 (effective sample size).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from course.scoring._inputs import FloatArray, as_scores


@dataclass(frozen=True)
class Estimate:
    """An estimated mean reward per decision.

    Attributes
    ----------
    value : float
    low, high : bounds of the confidence interval
    n : number of logged decisions
    effective : Kish's effective sample size of the weights; far below ``n`` the interval is a guess
    """

    value: float
    low: float
    high: float
    n: int
    effective: float


@dataclass(frozen=True)
class Overlap:
    """How much of a target policy the log can speak about.

    Attributes
    ----------
    unsupported : mean probability that the target policy gives to actions which the logging policy
        never takes; above 0 every estimate leaves that part out
    largest_weight : largest ratio of target to logging probability
    effective_share : expected effective sample size as a share of the log, 0..1
    """

    unsupported: float
    largest_weight: float
    effective_share: float


def effective_sample_size(weights: ArrayLike) -> float:
    """Kish's effective sample size: (sum of weights)² / sum of squared weights; 0 if all are 0.

    Examples
    --------
    >>> effective_sample_size([1, 1, 1, 1]), effective_sample_size([4, 0, 0, 0])
    (4.0, 1.0)
    """
    values = as_scores(weights, "weights")
    if (values < 0).any():
        raise ValueError("weights must be 0 or more.")
    squares = float(np.sum(values**2))
    return float(values.sum() ** 2 / squares) if squares else 0.0


def overlap(target: ArrayLike, logging: ArrayLike) -> Overlap:
    """Compare the two policies' probabilities over all actions.

    Parameters
    ----------
    target, logging : array_like of float, shape (n, actions)
        Each row sums to 1.

    Examples
    --------
    >>> overlap([[0.5, 0.5]], [[0.5, 0.5]])
    Overlap(unsupported=0.0, largest_weight=1.0, effective_share=1.0)
    >>> overlap([[0.5, 0.5]], [[1.0, 0.0]]).unsupported
    0.5
    """
    new, old = np.asarray(target, dtype=float), np.asarray(logging, dtype=float)
    if new.ndim != 2 or new.shape != old.shape or len(new) == 0:
        raise ValueError(
            "target and logging must have one row a decision and one column an action; "
            f"found {new.shape} and {old.shape}."
        )
    for name, table in (("target", new), ("logging", old)):
        if not ((table >= 0) & (table <= 1)).all() or not np.allclose(table.sum(axis=1), 1):
            raise ValueError(f"each row of {name} must be probabilities that sum to 1.")
    ratio = np.divide(new, old, out=np.zeros_like(new), where=old > 0)
    first, second = (old * ratio).sum(axis=1).mean(), (old * ratio**2).sum(axis=1).mean()
    return Overlap(
        unsupported=float(np.where(old > 0, 0.0, new).sum(axis=1).mean()),
        largest_weight=float(ratio.max()),
        effective_share=float(first**2 / second) if second else 0.0,
    )


def ips(
    rewards: ArrayLike,
    target: ArrayLike,
    logged: ArrayLike,
    *,
    clip: float | None = None,
    level: float = 0.95,
) -> Estimate:
    """Inverse propensity score: mean of w r with w = target / logged.

    Unbiased if the logging policy takes every action that the target takes; the variance grows with
    the weights.

    Parameters
    ----------
    rewards : array_like of float, shape (n,)
    target, logged : array_like of float, shape (n,)
        Probability of the logged action under the target and the logging policy.
    clip : float, optional
        Largest weight; clipping trades variance for bias, and the interval knows nothing of the
        bias.
    level : float
        Of the interval (Student's t on the weighted rewards).

    Examples
    --------
    >>> ips([1.0, 0.0, 1.0], [0.5, 0.5, 1.0], [0.5, 0.5, 0.5]).value
    1.0
    """
    reward, weight = _weights(rewards, target, logged, clip)
    return _mean(weight * reward, weight, level)


def snips(
    rewards: ArrayLike,
    target: ArrayLike,
    logged: ArrayLike,
    *,
    clip: float | None = None,
    level: float = 0.95,
) -> Estimate:
    """Self-normalised inverse propensity score: sum of w r / sum of w.

    Stays within the range of the rewards and does not change if a constant is added to them all;
    a small bias that vanishes with n. The interval is that of a ratio (delta method).

    Parameters
    ----------
    rewards, target, logged, clip, level
        As in :func:`ips`.

    Examples
    --------
    >>> round(snips([1.0, 0.0, 1.0], [0.5, 0.5, 1.0], [0.5, 0.5, 0.5]).value, 6)
    0.75
    """
    reward, weight = _weights(rewards, target, logged, clip)
    total = weight.sum()
    if total == 0:
        raise ValueError(
            "every weight is 0: the target policy never does what was logged, so the log says "
            "nothing about it."
        )
    value = float((weight * reward).sum() / total)
    influence = weight * (reward - value) * len(weight) / total
    found = _mean(influence, weight, level)
    return Estimate(value, value + found.low - found.value, value + found.high - found.value,
                    found.n, found.effective)  # fmt: skip


def doubly_robust(
    rewards: ArrayLike,
    target: ArrayLike,
    logged: ArrayLike,
    predicted: ArrayLike,
    expected: ArrayLike,
    *,
    clip: float | None = None,
    level: float = 0.95,
) -> Estimate:
    """Doubly robust: a model's expectation, corrected by weighted residuals.

    Mean of v(x) + w (r - q(x, a)). Unbiased if the propensities are right, whatever the model, and if
    the model is right, whatever the propensities; the better the model, the smaller the variance.

    Parameters
    ----------
    rewards, target, logged, clip, level
        As in :func:`ips`.
    predicted : array_like of float, shape (n,)
        The model's reward q(x, a) of the logged action. Fit the model on other decisions than those
        that it predicts (cross-fitting); else residuals are too small and the interval too narrow.
    expected : array_like of float, shape (n,)
        The model's reward under the target policy, v(x) = sum over actions of target(a | x) q(x, a).

    Examples
    --------
    >>> doubly_robust([1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.8, 0.1], [0.8, 0.7]).value
    0.95
    """
    reward, weight = _weights(rewards, target, logged, clip)
    guess = _beside(reward, predicted, "predicted")
    value = _beside(reward, expected, "expected")
    return _mean(value + weight * (reward - guess), weight, level)


def _mean(terms: FloatArray, weight: FloatArray, level: float) -> Estimate:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, found {level!r}.")
    n = len(terms)
    error = float(terms.std(ddof=1)) / n**0.5
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    value = float(terms.mean())
    return Estimate(value, value - reach, value + reach, n, effective_sample_size(weight))


def _beside(reward: FloatArray, values: ArrayLike, name: str) -> FloatArray:
    """Read one number for each decision."""
    numbers = as_scores(values, name)
    if len(numbers) != len(reward):
        raise ValueError(f"rewards has {len(reward)} decisions and {name} {len(numbers)}.")
    return numbers


def _weights(
    rewards: ArrayLike, target: ArrayLike, logged: ArrayLike, clip: float | None
) -> tuple[FloatArray, FloatArray]:
    reward = as_scores(rewards, "rewards")
    new, old = _beside(reward, target, "target"), _beside(reward, logged, "logged")
    if len(reward) < 2:
        raise ValueError(f"found {len(reward)} decisions; an interval needs at least 2.")
    if not np.isfinite(reward).all():
        raise ValueError("rewards holds infinite values. Give finite numbers.")
    if (new < 0).any() or (new > 1).any():
        raise ValueError("target must be probabilities from 0 to 1.")
    if (old <= 0).any() or (old > 1).any():
        raise ValueError(
            "logged must be probabilities above 0 and up to 1: what was logged was possible. Check "
            "that the propensity of the chosen action was recorded."
        )
    weight = new / old
    if clip is not None:
        if clip <= 0:
            raise ValueError(f"clip must be above 0, found {clip!r}.")
        weight = np.minimum(weight, clip)
    return reward, weight

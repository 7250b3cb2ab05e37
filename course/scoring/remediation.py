"""Measures for remediation: what a policy saved, what it cost, and what it should not have done.

A policy is always compared with doing nothing on the same episodes: many incidents pass by
themselves, and whoever acted last gets the credit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from course.scoring._inputs import as_flags

#: Why an action is harmful, in the order in which reasons are looked for.
REASONS = ("precondition", "blast radius", "no fault")
_COLUMNS = ("scenario", "refused", "touched", "evidence", "fault")


@dataclass(frozen=True)
class RemediationScores:
    """What a policy came to over a set of episodes.

    Attributes
    ----------
    saved : SLO minutes saved against doing nothing, less what the actions cost
    saved_share : ``saved`` as a share of the SLO minutes lost by doing nothing; negative if more
        was lost or spent; nan if nothing was lost
    lost, untouched : SLO minutes lost under the policy, and by doing nothing
    cost : SLO minutes charged for actions
    actions : number of actions
    harmful : number of harmful ones, see :func:`harmful_actions`
    harmful_rate : their share of the actions; 0 without actions
    no_op_correct : share of the episodes without a fault in which nothing was done; nan without any
    """

    saved: float
    saved_share: float
    lost: float
    untouched: float
    cost: float
    actions: int
    harmful: int
    harmful_rate: float
    no_op_correct: float


def harmful_actions(actions: pd.DataFrame, *, radius: int = 3) -> pd.Series:
    """Tell which actions were harmful, judged by what could be known when they were chosen.

    - "precondition": the action was refused, because it is impossible where it was aimed at.
    - "blast radius": the policy had its hands on more than ``radius`` services at once.
    - "no fault": nothing was wrong, and telemetry gave no reason to act either. Whoever acts on a
      harmless surge that hurt the users was not careless, and whoever acts early on a leak was right.

    Parameters
    ----------
    actions : DataFrame
        One row an action, with the columns `scenario`, `refused`, `touched`, `evidence` and `fault`
        of `course.shop.control.Rollout`.
    radius : int
        Most services at which actions may be on their way or in force, this one included.

    Returns
    -------
    Series of str
        The first reason that applies; "" for an action that is not harmful.

    Examples
    --------
    >>> table = pd.DataFrame({"scenario": [0, 1, 1], "refused": [False, True, False],
    ...     "touched": [1, 1, 1], "evidence": [True, True, False], "fault": [True, True, False]})
    >>> harmful_actions(table).tolist()
    ['', 'precondition', 'no fault']
    """
    missing = [name for name in _COLUMNS if name not in actions.columns]
    if missing:
        raise ValueError(
            f"actions must have the columns {list(_COLUMNS)}; {missing} are missing. Take the "
            "table `actions` of a rollout."
        )
    if radius < 1:
        raise ValueError(f"radius must be 1 service or more, found {radius!r}.")
    why = np.select(
        [
            actions["refused"].to_numpy(bool),
            actions["touched"].to_numpy(int) > radius,
            ~actions["fault"].to_numpy(bool) & ~actions["evidence"].to_numpy(bool),
        ],
        list(REASONS),
        default="",
    )
    return pd.Series(why, index=actions.index, name="harm", dtype="str")


def remediation_scores(
    lost: ArrayLike,
    untouched: ArrayLike,
    cost: ArrayLike,
    faulty: ArrayLike,
    actions: pd.DataFrame,
    *,
    radius: int = 3,
) -> RemediationScores:
    """Score a policy against doing nothing on the same episodes.

    Parameters
    ----------
    lost, untouched : array_like of float, shape (episodes,) or (episodes, steps)
        SLO minutes lost under the policy and by doing nothing.
    cost : array_like of float, shape (episodes,) or (episodes, steps)
        SLO minutes charged for the policy's actions.
    faulty : array_like of bool, shape (episodes,)
        Whether something was wrong that does not pass by itself.
    actions : DataFrame
        As :func:`harmful_actions` takes it; `scenario` counts the episodes from 0.
    radius : int

    Examples
    --------
    >>> table = pd.DataFrame({"scenario": [0], "refused": [False], "touched": [1],
    ...     "evidence": [True], "fault": [True]})
    >>> scores = remediation_scores([2.0, 1.0], [10.0, 1.0], [0.5, 0.0], [True, False], table)
    >>> scores.saved, scores.harmful_rate, scores.no_op_correct
    (7.5, 0.0, 1.0)
    """
    sick = as_flags(faulty, "faulty")
    sums = {}
    for name, values in (("lost", lost), ("untouched", untouched), ("cost", cost)):
        table = np.asarray(values, dtype=float)
        if table.ndim not in (1, 2) or len(table) != len(sick):
            raise ValueError(
                f"{name} must have one row for each of the {len(sick)} episodes, "
                f"found shape {table.shape}."
            )
        if not np.isfinite(table).all() or (table < 0).any():
            raise ValueError(f"{name} must be finite and 0 or more.")
        sums[name] = float(table.sum())
    why = harmful_actions(actions, radius=radius)
    acted = actions["scenario"].to_numpy(int)
    if len(acted) and not ((acted >= 0) & (acted < len(sick))).all():
        raise ValueError(
            f"actions name episodes {acted.min()}..{acted.max()}, but there are {len(sick)}."
        )
    left_alone = ~np.isin(np.arange(len(sick)), acted)
    saved = sums["untouched"] - sums["lost"] - sums["cost"]
    harmful = int((why != "").sum())
    return RemediationScores(
        saved=saved,
        saved_share=saved / sums["untouched"] if sums["untouched"] else float("nan"),
        lost=sums["lost"],
        untouched=sums["untouched"],
        cost=sums["cost"],
        actions=len(actions),
        harmful=harmful,
        harmful_rate=harmful / len(actions) if len(actions) else 0.0,
        no_op_correct=float(left_alone[~sick].mean()) if (~sick).any() else float("nan"),
    )

"""Measures for log parsers: are the lines of one statement together, and alone?

A parser gives each line a group. What the groups are called does not count.

Sources: grouping accuracy (GA) by Zhu, He, Liu, He, Xie, Zheng, Lyu, "Tools and Benchmarks for
Automated Log Parsing", ICSE-SEIP 2019; its counterpart by template (PGA, RGA, FGA) by Jiang, Liu,
Huang, Li, Huo, Gu, Chen, Zhu, Lyu, "A Large-Scale Evaluation for Log Parsing Techniques: How Far
Are We?", ISSTA 2024. GA counts lines, so that a few frequent statements decide it; FGA counts
statements, so that the rare ones do.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class ParsingScores:
    """How well lines are grouped.

    Attributes
    ----------
    ga : share of lines whose group holds all lines of their statement and no other (0..1)
    pga : share of the groups found that are such groups
    rga : share of the statements that have such a group
    fga : harmonic mean of the two, 0 if both are
    statements, groups : numbers of true and of found groups
    """

    ga: float
    pga: float
    rga: float
    fga: float
    statements: int
    groups: int


def grouping_accuracy(truth: Sequence[Hashable], found: Sequence[Hashable]) -> float:
    """Share of lines whose group is exactly the group of their statement (GA).

    Parameters
    ----------
    truth, found : sequence of hashable, shape (n,)
        The statement that each line comes from, and the group that a parser puts it in. A missing
        group (None, NaN) is a group of that line alone.

    Returns
    -------
    float
        0..1.

    Raises
    ------
    ValueError
        Nothing to score, different lengths, or a line without a true statement.

    Examples
    --------
    >>> grouping_accuracy(["a", "a", "b", "b"], [1, 1, 2, 3])
    0.5
    """
    return parsing_scores(truth, found).ga


def parsing_scores(truth: Sequence[Hashable], found: Sequence[Hashable]) -> ParsingScores:
    """Grouping accuracy by line (GA) and by statement (PGA, RGA, FGA).

    Parameters
    ----------
    truth, found : sequence of hashable, shape (n,)
        As in `grouping_accuracy`.

    Returns
    -------
    ParsingScores

    Raises
    ------
    ValueError
        As in `grouping_accuracy`.

    Examples
    --------
    >>> scores = parsing_scores(["a", "a", "b", "b"], [1, 1, 2, 3])
    >>> round(scores.pga, 2), scores.rga, scores.fga
    (0.33, 0.5, 0.4)
    """
    if len(truth) != len(found):
        raise ValueError(f"{len(truth)} lines have a statement and {len(found)} a group.")
    if len(truth) == 0:
        raise ValueError("there are no lines to score.")
    statements, groups = _codes(truth), _codes(found)
    if (statements < 0).any():
        line = int(np.argmax(statements < 0))
        raise ValueError(f"line {line} has no true statement.")
    alone = groups < 0
    groups[alone] = groups.max() + 1 + np.arange(alone.sum())
    sizes, group_sizes = np.bincount(statements), np.bincount(groups)
    pairs, together = np.unique(np.stack([statements, groups]), axis=1, return_counts=True)
    exact = (together == sizes[pairs[0]]) & (together == group_sizes[pairs[1]])
    right = int(exact.sum())
    pga, rga = right / len(group_sizes), right / len(sizes)
    return ParsingScores(
        ga=float(together[exact].sum() / len(statements)),
        pga=pga,
        rga=rga,
        fga=2 * pga * rga / (pga + rga) if right else 0.0,
        statements=len(sizes),
        groups=len(group_sizes),
    )


def _codes(labels: Sequence[Any]) -> NDArray[np.int64]:
    """A number for each label, -1 for what is missing."""
    values = labels.to_numpy() if isinstance(labels, pd.Series) else labels
    column = np.empty(len(values), dtype=object)
    for place, label in enumerate(values):
        column[place] = label
    return pd.factorize(column)[0].astype(np.int64)

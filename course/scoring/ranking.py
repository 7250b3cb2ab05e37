"""Measures for rankings of suspects: is the cause among the first, fairly where suspects tie?

A ranking often gives several suspects the same score. Whoever breaks such ties by the order of
columns is lucky or unlucky in a way that no operator can rely on. Here a tie counts as what it is
worth on average, if it is broken by lot.

Sources: AC@k and Avg@k as in MonitorRank (Kim, Sumbaly, Shah, "Root Cause Detection in a
Service-Oriented Architecture", SIGMETRICS 2013) and MicroRCA (Wu, Tordsson, Elmroth, Kao, NOMS
2020); mean reciprocal rank by Voorhees (TREC-8, 1999).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TypeAlias

import numpy as np
import pandas as pd

Found: TypeAlias = Mapping[str, float] | pd.Series | Sequence[str]


@dataclass(frozen=True)
class RankingScores:
    """Scores of rankings, averaged over incidents.

    Attributes
    ----------
    ac : AC@k by k, from 1 on
    avg : Avg@k for the greatest k: the mean of AC@1 .. AC@k
    mrr : mean reciprocal rank of the best-placed cause
    chance_ac, chance_avg, chance_mrr : the same for an order drawn by lot
    incidents : number of incidents
    """

    ac: dict[int, float]
    avg: float
    mrr: float
    chance_ac: dict[int, float]
    chance_avg: float
    chance_mrr: float
    incidents: int


def suspicion(found: Found, candidates: Collection[str]) -> pd.Series:
    """Read a ranking as one score a candidate, higher is more suspicious.

    Parameters
    ----------
    found : mapping or Series of float by candidate, or sequence of candidates, best first
        Who is not named, or has no number, comes last, tied with all others of that kind.
    candidates : collection of str
        All who might be the cause.

    Returns
    -------
    Series of float
        By candidate.

    Raises
    ------
    ValueError
        `found` names somebody who is no candidate, or somebody twice.

    Examples
    --------
    >>> suspicion(["b"], ["a", "b", "c"]).tolist()
    [-inf, 1.0, -inf]
    """
    if isinstance(found, pd.Series):
        names, values = [str(name) for name in found.index], found.to_numpy(dtype=float)
    elif isinstance(found, Mapping):
        names = [str(name) for name in found]
        values = np.array([float(value) for value in found.values()])
    elif isinstance(found, str):
        raise ValueError(f"a ranking is a list of names or scores by name, found {found!r}.")
    else:
        names, values = [str(name) for name in found], np.arange(len(found), 0, -1, dtype=float)
    strangers = [name for name in names if name not in set(candidates)]
    if strangers:
        raise ValueError(f"{strangers[0]!r} is ranked, but is no candidate.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is ranked twice.")
    scores = pd.Series(values, index=names, dtype=float).reindex(list(candidates))
    return scores.fillna(-np.inf)


def accuracy_at(
    found: Found, causes: Collection[str], candidates: Collection[str], k: int
) -> float:
    """AC@k of one incident: share of its causes among the first k, ties broken by lot.

    AC@k = expected number of causes among the first k / min(k, number of causes).

    Parameters
    ----------
    found
        See `suspicion`.
    causes : collection of str
        True causes, at least one, all of them candidates.
    candidates : collection of str
    k : int
        1 or more.

    Returns
    -------
    float
        0..1.

    Examples
    --------
    >>> accuracy_at({"a": 2.0, "b": 2.0, "c": 1.0}, ["a"], ["a", "b", "c"], 1)
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more, found {k!r}.")
    wanted = _causes(causes, candidates)
    expected, before = 0.0, 0
    for size, hits in _ties(suspicion(found, candidates), wanted):
        places = min(max(k - before, 0), size)
        expected += hits * places / size
        before += size
    return expected / min(k, len(wanted))


def reciprocal_rank(found: Found, causes: Collection[str], candidates: Collection[str]) -> float:
    """One by the rank of the best-placed cause, ties broken by lot.

    Among n that tie, of whom c are causes, the first cause stands at place j of the n with
    probability C(n - j, c - 1) / C(n, c).

    Examples
    --------
    >>> reciprocal_rank({"a": 2.0, "b": 2.0, "c": 1.0}, ["a"], ["a", "b", "c"])
    0.75
    """
    wanted, before = _causes(causes, candidates), 0
    for size, hits in _ties(suspicion(found, candidates), wanted):
        if hits:
            return sum(
                comb(size - place, hits - 1) / comb(size, hits) / (before + place)
                for place in range(1, size - hits + 2)
            )
        before += size
    raise AssertionError("a cause is always among the candidates")


def ranking_scores(
    incidents: Iterable[tuple[Found, Collection[str], Collection[str]]], *, k: int = 5
) -> RankingScores:
    """AC@1..k, Avg@k and MRR over incidents, beside an order drawn by lot.

    Parameters
    ----------
    incidents : iterable of (found, causes, candidates)
        See `accuracy_at`.
    k : int
        Greatest k.

    Returns
    -------
    RankingScores

    Raises
    ------
    ValueError
        There is no incident, or one of them is not as `accuracy_at` wants it.

    Examples
    --------
    >>> scores = ranking_scores([(["a", "b"], ["b"], "abcd"), (["c"], ["c"], "abcd")], k=2)
    >>> scores.ac, scores.avg, scores.mrr, scores.chance_ac[1]
    ({1: 0.5, 2: 1.0}, 0.75, 0.75, 0.25)
    """
    rows = [(found, list(causes), list(names)) for found, causes, names in incidents]
    if not rows:
        raise ValueError("there is no incident to score.")
    steps = range(1, k + 1)

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    ac = {j: mean(accuracy_at(found, causes, names, j) for found, causes, names in rows)
          for j in steps}  # fmt: skip
    chance = {j: mean(accuracy_at([], causes, names, j) for _, causes, names in rows)
              for j in steps}  # fmt: skip
    return RankingScores(
        ac=ac,
        avg=mean(ac.values()),
        mrr=mean(reciprocal_rank(*row) for row in rows),
        chance_ac=chance,
        chance_avg=mean(chance.values()),
        chance_mrr=mean(reciprocal_rank([], causes, names) for _, causes, names in rows),
        incidents=len(rows),
    )


def _causes(causes: Collection[str], candidates: Collection[str]) -> set[str]:
    wanted = set(causes)
    if not wanted:
        raise ValueError("an incident without a cause has no rank: score it as a control.")
    unknown = wanted - set(candidates)
    if unknown:
        raise ValueError(f"the cause {min(unknown)!r} is no candidate.")
    return wanted


def _ties(scores: pd.Series, wanted: set[str]) -> list[tuple[int, int]]:
    """Size of each group of equal scores and the causes in it, most suspicious first."""
    hits = pd.Series(scores.index.isin(wanted), index=scores.index)
    grouped = hits.groupby(scores.to_numpy()).agg(["size", "sum"])
    return [(int(size), int(number)) for size, number in grouped.iloc[::-1].to_numpy()]

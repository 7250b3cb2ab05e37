"""Rankings on PetShop, side by side, ties averaged and chance beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from course.field.petshop.data import TRAFFIC, Issue, PetShop, load, shift
from course.field.petshop.published import published_table
from course.scoring.ranking import Found, ranking_scores

#: Ranks the nodes below the symptom: called with a PetShop and one of its issues.
Ranking = Callable[[PetShop, Issue], Found]
PUBLISHED = "traversal, published"


def robust_shift(shop: PetShop, issue: Issue) -> pd.Series:
    """Nodes by how far the symptom's metric moves at them, wherever they stand."""
    moved = shift(issue, shop.quiet).dropna()
    return moved[moved.index.isin(candidates(shop, issue))]


def deepest_shift(shop: PetShop, issue: Issue, *, least: float = 3.0) -> pd.Series:
    """Nodes that move, those before that call nobody who moves, too.

    A fault travels from callee to caller, so of a chain of nodes in trouble the last one is the
    suspect. The symptom itself is left out.
    """
    moved = robust_shift(shop, issue)
    troubled = set(moved[moved >= least].index)

    def is_last(node: str) -> bool:
        return not troubled.intersection(shop.downstream(node)[1:])

    return moved + 1e6 * pd.Series(
        {node: float(node in troubled and is_last(node)) for node in moved.index}, dtype=float
    )


def commonest_cause(shop: PetShop, issue: Issue) -> pd.Series:
    """Nodes by how many other issues they caused: a table of answers, no analysis at all."""
    counts = Counter(other.cause for other in shop.issues if other is not issue)
    return pd.Series({node: float(counts[node]) for node in candidates(shop, issue)})


#: The simple rankings by name.
SIMPLE: dict[str, Ranking] = {
    "robust shift": robust_shift,
    "deepest shift": deepest_shift,
    "commonest cause": commonest_cause,
}


def candidates(shop: PetShop, issue: Issue) -> list[str]:
    """Nodes below the symptom in the call graph: an issue elsewhere could not be seen there."""
    return shop.downstream(issue.symptom)[1:]


def study(
    rankings: Mapping[str, Ranking] | Ranking | None = None,
    *,
    shops: Sequence[PetShop] | None = None,
) -> pd.DataFrame:
    """Score rankings on all issues.

    Parameters
    ----------
    rankings : mapping of str to callable, or callable
        Called with a `PetShop` and an `Issue`, whose `cause` must not be looked at; gives scores
        by node or a list of nodes, best first. A single one is called "yours".
    shops : sequence of PetShop, optional
        By default both levels of traffic.

    Returns
    -------
    DataFrame
        Index (traffic, metric, ranking), columns `AC@1`, `AC@3`, `issues`. The ranking "chance" is an
        order drawn by lot. Traffic and metric "all" holds all issues.

    Examples
    --------
    >>> study(lambda shop, issue: shop.downstream(issue.symptom)[1:])    # doctest: +SKIP
    """
    own = {"yours": rankings} if callable(rankings) else dict(rankings or {})
    loaded = list(shops) if shops is not None else [load(traffic) for traffic in TRAFFIC]
    pairs = [(shop, issue) for shop in loaded for issue in shop.issues]
    keys = sorted({(shop.traffic, issue.metric) for shop, issue in pairs})
    rows = []
    for key in [*keys, ("all", "all")]:
        part = [(s, i) for s, i in pairs if key == ("all", "all") or (s.traffic, i.metric) == key]
        for name, rank in {**own, **SIMPLE}.items():
            hide = _blind if name in own else _as_it_is
            scored = ranking_scores(
                [(rank(shop, hide(issue)), [issue.cause], candidates(shop, issue))
                 for shop, issue in part], k=3,
            )  # fmt: skip
            rows.append((*key, name, scored.ac[1], scored.ac[3], len(part)))
        rows.append((*key, "chance", scored.chance_ac[1], scored.chance_ac[3], len(part)))
    table = pd.DataFrame(rows, columns=["traffic", "metric", "ranking", "AC@1", "AC@3", "issues"])
    published = published_table().reset_index().assign(ranking=PUBLISHED, issues=float("nan"))
    published = published[
        [tuple(row) in set(keys) for row in published[["traffic", "metric"]].to_numpy()]
    ]
    return (
        pd.concat([table, published]).set_index(["traffic", "metric", "ranking"]).sort_index(
            level=["traffic", "metric"], sort_remaining=False
        )
    )  # fmt: skip


def _blind(issue: Issue) -> Issue:
    """The issue without its cause."""
    return Issue(issue.name, issue.symptom, issue.metric, "", issue.metrics)


def _as_it_is(issue: Issue) -> Issue:
    return issue

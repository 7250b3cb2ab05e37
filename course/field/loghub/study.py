"""Parsers on Loghub, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from course.field.loghub.data import SYSTEMS, LabelledLog, load
from course.field.loghub.parsers import SIMPLE, Parser
from course.field.loghub.published import DRAIN
from course.scoring import parsing_scores

PUBLISHED = "Drain, published"


def study(
    parsers: Mapping[str, Parser] | Parser | None = None,
    *,
    logs: Sequence[LabelledLog] | None = None,
) -> pd.DataFrame:
    """Score parsers on every system, beside simple ones and published figures.

    Parameters
    ----------
    parsers : mapping of str to callable, or callable
        Called with the lines of one system; gives a group a line, in the same order. A single
        one is called "yours".
    logs : sequence of LabelledLog, optional
        By default all systems.

    Returns
    -------
    DataFrame
        Index (system, parser), columns `ga`, `fga`, `groups`, `statements`. Of the published
        figures only `ga` is known. The system "mean" holds the means over systems.

    Raises
    ------
    ValueError
        A parser gives another number of groups than there are lines; says which.

    Examples
    --------
    >>> study(lambda lines: lines).loc["Apache", "ga"]                   # doctest: +SKIP
    """
    own = {"yours": parsers} if callable(parsers) else dict(parsers or {})
    rows: list[tuple] = []
    for log in logs if logs is not None else [load(system) for system in SYSTEMS]:
        for name, parser in {**own, **SIMPLE}.items():
            groups = list(parser(list(log.lines)))
            try:
                scores = parsing_scores(log.statements, groups)
            except ValueError as error:
                raise ValueError(f"{name!r} on {log.system}: {error}") from None
            rows.append((log.system, name, scores.ga, scores.fga, scores.groups, scores.statements))
        if log.system in DRAIN:
            rows.append((log.system, PUBLISHED, DRAIN[log.system], None, None, None))
    table = pd.DataFrame(
        rows, columns=["system", "parser", "ga", "fga", "groups", "statements"]
    ).astype({"fga": float, "groups": float, "statements": float})
    means = table.groupby("parser", sort=False)[["ga", "fga"]].mean().reset_index()
    means.insert(0, "system", "mean")
    return pd.concat([table, means]).set_index(["system", "parser"])

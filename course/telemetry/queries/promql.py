"""One PromQL expression at one time, by the embedded evaluator of `course.telemetry.prometheus`."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd
import yaml

from course.telemetry.queries._scan import MAX_CHARACTERS, QueryError

_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def promql(
    query: str, series: pd.DataFrame | Mapping[str, pd.Series], *, at: pd.Timestamp | str
) -> list[tuple[dict[str, str], float]]:
    """Evaluate an expression at one time.

    Parameters
    ----------
    query : str
        An instant vector or a scalar, of what `course.telemetry.prometheus` supports.
    series : DataFrame or dict of Series
        UTC times down, one series a column, named as in ``up{job="shop"}``.
    at : Timestamp or str
        The time of evaluation.

    Returns
    -------
    list of (dict, float)
        Labels and value of every series of the answer, in order of labels. A series whose value
        is NaN (0 / 0) is left out.

    Raises
    ------
    QueryError
        If the expression is refused or fails, as in Prometheus.

    Examples
    --------
    >>> index = pd.date_range("2026-03-01", periods=6, freq="1min", tz="UTC")
    >>> up = {'up{job="shop"}': pd.Series([1.0, 1, 0, 1, 1, 0], index)}
    >>> promql("avg_over_time(up[5m])", up, at="2026-03-01T00:05Z")
    [({'job': 'shop'}, 0.6)]
    """
    # Where the evaluator is withheld, the other languages still run.
    from course.telemetry.prometheus import EvaluationError, RuleFileError, evaluate, load_rules

    if not isinstance(query, str):
        raise QueryError(f"a PromQL query is text, not {type(query).__name__}")
    if len(query) > MAX_CHARACTERS:
        raise QueryError(f"the query has {len(query)} characters, more than {MAX_CHARACTERS}")
    rule = {"record": "course:answer", "expr": query}
    try:
        text = yaml.safe_dump({"groups": [{"name": "query", "rules": [rule]}]}, allow_unicode=True)
        found = evaluate(load_rules(text), series, start=at, end=at).recorded
    except (RuleFileError, EvaluationError, yaml.YAMLError) as error:
        raise QueryError(f"PromQL: {error}") from None
    row = found.iloc[-1].dropna() if len(found) else pd.Series(dtype=float)
    answers = [(dict(_PAIR.findall(name)), float(value)) for name, value in row.items()]
    return sorted(answers, key=lambda answer: sorted(answer[0].items()))

"""Detectors on HDFS sessions, side by side at the natural base rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from course.field.hdfs.data import BASE_RATE, HdfsSessions, Session, load
from course.field.hdfs.detectors import TRIVIAL, Fit, Flags
from course.field.hdfs.published import DEEPLOG
from course.scoring import at_base_rate

PUBLISHED = "DeepLog, published"


def study(
    detectors: Mapping[str, Fit] | Fit | None = None, *, sessions: HdfsSessions | None = None
) -> pd.DataFrame:
    """Judge detectors on sessions that they were not trained on, beside the trivial ones.

    Parameters
    ----------
    detectors : mapping of str to callable, or callable
        ``fit(train)`` gives a function that says of a session whether it is abnormal. A single one
        is called "yours".
    sessions : HdfsSessions, optional
        By default those of `load`.

    Returns
    -------
    DataFrame
        By detector: `recall` (share of abnormal sessions flagged), `false_positive_rate` (share of
        normal ones flagged), and `precision` and `f1` where 2.9 % are abnormal.

    Examples
    --------
    >>> study(lambda train: lambda session: len(session) > 40)           # doctest: +SKIP
    """
    data = sessions or load()
    own = {"yours": detectors} if callable(detectors) else dict(detectors or {})
    rows = {}
    for name, fit in {**own, **TRIVIAL}.items():
        flags = fit(data.train)
        recall, false = (_share(flags, part) for part in (data.abnormal, data.normal))
        rates = at_base_rate(recall, false, BASE_RATE)
        rows[name] = (recall, false, rates.precision, rates.f1)
    columns = ["recall", "false_positive_rate", "precision", "f1"]
    rows[PUBLISHED] = (DEEPLOG["recall"], np.nan, DEEPLOG["precision"], DEEPLOG["f1"])
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("detector")


def shared(sessions: HdfsSessions) -> pd.Series:
    """How much of the normal test sessions the training set already holds.

    Returns
    -------
    Series
        Share of the normal test sessions that stand in the training set as sequences and as
        multisets.
    """
    exact = set(sessions.train)
    bags = {tuple(sorted(session)) for session in sessions.train}
    return pd.Series(
        {
            "as a sequence": np.mean([session in exact for session in sessions.normal]),
            "as a multiset": np.mean([tuple(sorted(s)) in bags for s in sessions.normal]),
        }
    )


def _share(flags: Flags, sessions: list[Session]) -> float:
    return float(np.mean([bool(flags(session)) for session in sessions]))

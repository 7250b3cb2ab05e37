"""Load PetShop: issues injected into a microservice shop on AWS, with their root causes.

What to know before trusting a number on this set:

- The quiet metrics were recorded in August and September 2023, the issues in April 2023; about a tenth
  of the columns exist on one side only.
- An issue is five or six rows of five minutes, and 8 to 20 % of the cells are missing. Nearly any
  statistic of so few samples is noisy.
- There are 52 issues but five root causes. A method that always names the commonest is right in
  16 of 52; it has learned the experiment and not the system.
- Graph nodes are services as well as clients of them and managed resources; a cause may be a table
  that has no metric of its own in the window.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from course.telemetry import public

#: Levels of traffic in the pinned selection.
TRAFFIC = ("low", "high")


class PetShopFormatError(ValueError):
    """A file of PetShop is not what it should be; the message says which and how."""


@dataclass(frozen=True, eq=False)
class Issue:
    """One injected issue.

    Attributes
    ----------
    name : str
        ``low/test/issue_0`` and so on.
    symptom : str
        The node at which it was noticed.
    metric : str
        What was noticed: ``latency`` or ``availability``.
    cause : str
        The node that it was injected into.
    metrics : DataFrame
        UTC index, five minutes apart; columns (node, metric, statistic); NaN where missing.
    """

    name: str
    symptom: str
    metric: str
    cause: str
    metrics: pd.DataFrame


@dataclass(frozen=True, eq=False)
class PetShop:
    """One level of traffic.

    Attributes
    ----------
    traffic : {"low", "high"}
    quiet : DataFrame
        Metrics of about two days without an issue.
    calls : dict of str to tuple of str
        Whom each node calls.
    issues : list of Issue
    """

    traffic: str
    quiet: pd.DataFrame
    calls: dict[str, tuple[str, ...]]
    issues: list[Issue]

    def downstream(self, node: str) -> list[str]:
        """The node and all that it calls, directly or through others, nearest first."""
        found, queue = [node], [node]
        while queue:
            for callee in self.calls.get(queue.pop(0), ()):
                if callee not in found:
                    found.append(callee)
                    queue.append(callee)
        return found


def load(traffic: str = "low", *, progress: bool = True) -> PetShop:
    """Load the issues at one level of traffic.

    Parameters
    ----------
    traffic : {"low", "high"}
    progress : bool
        Show a progress bar if files have to be downloaded.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    PetShopFormatError
        If a file can't be read.

    Examples
    --------
    >>> len(load("low").issues)                                          # doctest: +SKIP
    26
    """
    if traffic not in TRAFFIC:
        raise ValueError(f"no traffic {traffic!r}; there are: {', '.join(TRAFFIC)}")
    folder = f"dataset/{traffic}_traffic"
    paths = [path for path in public.public_set("petshop").files if path.startswith(folder)]
    root = public.fetch("petshop", only=paths, progress=progress)
    targets = sorted((p for p in paths if p.endswith("target.json")), key=_in_order)
    issues = [
        read_issue(
            f"{traffic}/" + "/".join(path.split("/")[-3:-1]),
            root / path,
            root / path.replace("target.json", "metrics.csv"),
        )
        for path in targets
    ]
    quiet = read_metrics(root / folder / "noissue/metrics.csv")
    return PetShop(traffic, quiet, read_graph(root / folder / "graph.csv"), issues)


def read_metrics(file: Path) -> pd.DataFrame:
    """Read metrics: three rows of header (node, metric, statistic), then a row each five minutes.

    Raises
    ------
    PetShopFormatError
        Naming the file and what is wrong.
    """
    try:
        table = pd.read_csv(file, header=[0, 1, 2], index_col=0)
        table.index = pd.to_datetime(table.index.astype(float), unit="s", utc=True).rename("time")
        table = table.astype(float)
    except (
        ValueError,
        TypeError,
        IndexError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
    ) as error:
        raise PetShopFormatError(f"{file} is no table of metrics: {error}") from None
    table.columns.names = ["node", "metric", "statistic"]
    if not len(table) or not table.index.is_monotonic_increasing:
        raise PetShopFormatError(f"{file}: its {len(table)} rows are not in order of time")
    return table


def read_graph(file: Path) -> dict[str, tuple[str, ...]]:
    """Read the matrix of calls, a row a caller.

    Raises
    ------
    PetShopFormatError
        The file is no square matrix of the same names.
    """
    try:
        table = pd.read_csv(file, index_col=0).astype(float)
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise PetShopFormatError(f"{file} is no matrix: {error}") from None
    if set(table.index) != set(table.columns):
        raise PetShopFormatError(f"{file}: rows and columns name different nodes")
    return {
        str(caller): tuple(str(name) for name in table.columns[row.to_numpy() > 0])
        for caller, row in table.iterrows()
    }


def read_issue(name: str, target: Path, metrics: Path) -> Issue:
    """Read one issue from its two files.

    Raises
    ------
    PetShopFormatError
        Naming the file and what is missing.
    """
    try:
        found: dict[str, Any] = json.loads(target.read_text("utf-8"))
        symptom, cause = found["target"], found["root_cause"]
        node, metric, origin = str(symptom["node"]), str(symptom["metric"]), str(cause["node"])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise PetShopFormatError(
            f"{target} does not name target and root cause: {error!r}"
        ) from None
    return Issue(name, node, metric, origin, read_metrics(metrics))


def shift(issue: Issue, quiet: pd.DataFrame, *, metric: str | None = None) -> pd.Series:
    """How far each node moves, in robust standard deviations of the quiet time.

    |greatest value in the direction of trouble - median| / (1.4826 MAD) over the averages of one
    metric: latency upwards, availability downwards. The greatest of five values, because an issue
    may begin within the window.

    Parameters
    ----------
    issue : Issue
    quiet : DataFrame
    metric : str, optional
        By default that of the symptom.

    Returns
    -------
    Series of float
        By node, greatest first; nodes without values on both sides are left out.
    """
    metric = metric or issue.metric
    columns = [
        column for column in issue.metrics.columns
        if column in quiet.columns and column[1:] == (metric, "Average")
    ]  # fmt: skip
    before, during = quiet[columns], issue.metrics[columns]
    middle = before.median()
    spread = 1.4826 * (before - middle).abs().median()
    trouble = (during - middle) * (-1 if metric == "availability" else 1)
    known = (before.notna().sum() >= 10) & during.notna().any()
    moved = (trouble / spread.clip(lower=1e-9)).max()[known]
    return moved.groupby(level="node").max().replace(-np.inf, np.nan).sort_values(ascending=False)


def _in_order(path: str) -> tuple[str, int]:
    folder, issue = path.split("/")[-3:-1]
    return folder, int(issue.removeprefix("issue_"))

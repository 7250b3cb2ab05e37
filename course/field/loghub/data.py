"""Load Loghub's labelled lines.

What to know before trusting a number on Loghub's 2,000-line sets:

- The statements were labelled by hand, and not always as the program's source has them. Khan, Shin,
  Bianculli and Briand ("Guidelines for Assessing the Accuracy of Log Message Template
  Identification Techniques", ICSE 2022) correct many; the files here are the uncorrected ones, on
  which nearly all published figures were measured.
- Parsers in the literature were given regular expressions and settings made for each system.
- Two thousand lines hold the frequent statements. On whole logs with their rare statements parsers
  do worse (Jiang et al., ISSTA 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from course.telemetry import public

#: Systems in the pinned selection.
SYSTEMS = ("Apache", "BGL", "HDFS", "Hadoop", "OpenSSH", "OpenStack", "Zookeeper")
_NEEDED = ["Content", "EventId", "EventTemplate"]


class LoghubFormatError(ValueError):
    """A file of Loghub is not what it should be; the message says which and how."""


@dataclass(frozen=True, eq=False)
class LabelledLog:
    """The lines of one system.

    Attributes
    ----------
    system : str
        One of `SYSTEMS`.
    lines : list of str
        What follows the header (time, level, component) in each line.
    statements : list of str
        The labelled statement of each line, such as "E10".
    texts : dict of str to str
        Text of each statement, parameters as ``<*>``.
    table : DataFrame
        The file as it is; its columns differ from system to system.
    """

    system: str
    lines: list[str]
    statements: list[str]
    texts: dict[str, str]
    table: pd.DataFrame


def load(system: str, *, progress: bool = True) -> LabelledLog:
    """Load the lines of one system.

    Parameters
    ----------
    system : str
        One of `SYSTEMS`.
    progress : bool
        Show a progress bar if the file has to be downloaded.

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    LoghubFormatError
        If the file can't be read.

    Examples
    --------
    >>> len(load("Apache").lines)                                        # doctest: +SKIP
    2000
    """
    if system not in SYSTEMS:
        raise ValueError(f"no system {system!r}; there are: {', '.join(SYSTEMS)}")
    path = f"{system}/{system}_2k.log_structured.csv"
    return read_log(system, public.fetch("loghub", only=[path], progress=progress) / path)


def read_log(system: str, file: Path) -> LabelledLog:
    """Read one structured file.

    Raises
    ------
    LoghubFormatError
        Naming the file, and the column or line that is wrong.
    """
    try:
        # Everything is text: "Infinity", "NA" and "007" are words of a log like any other.
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise LoghubFormatError(f"{file} is not a CSV table: {error}") from None
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise LoghubFormatError(f"{file} has no column {missing[0]!r}, but {list(table.columns)}")
    if table.empty:
        raise LoghubFormatError(f"{file} has no lines")
    unnamed = table["EventId"] == ""
    if unnamed.any():
        raise LoghubFormatError(f"{file}, line {int(unnamed.idxmax()) + 2}: no EventId")
    texts = table.drop_duplicates("EventId").set_index("EventId")["EventTemplate"].to_dict()
    return LabelledLog(system, table["Content"].tolist(), table["EventId"].tolist(), texts, table)

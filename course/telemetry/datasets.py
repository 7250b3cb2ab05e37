"""Embedded data sets: Parquet files with a data card each and checksums."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pandas as pd

_CHECKSUMS = "SHA256SUMS"


class DataSetMissing(RuntimeError):
    """An embedded data set is not there, or its file is not the one that was recorded."""


def folder() -> Path:
    """Folder of the embedded data: `$COURSE_DATA`, the installed package's, or the project's."""
    if chosen := os.environ.get("COURSE_DATA"):
        return Path(chosen)
    package = Path(__file__).resolve().parent.parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def names() -> list[str]:
    """Names of the embedded data sets.

    Examples
    --------
    >>> "shop-quiet-28d" in names()
    True
    """
    return sorted(path.stem for path in folder().glob("*.parquet"))


def load(name: str) -> pd.DataFrame:
    """Load an embedded data set.

    Parameters
    ----------
    name : str
        One of `names()`.

    Returns
    -------
    DataFrame
        As its data card describes it. Metrics are wide: UTC index `time`, columns
        (service, metric), float64.

    Raises
    ------
    DataSetMissing
        There is no such set; the message lists those that exist.

    Examples
    --------
    >>> load("shop-quiet-28d")["checkout"].shape
    (40320, 9)
    """
    path = folder() / f"{name}.parquet"
    if not path.is_file():
        known = ", ".join(names()) or "none"
        raise DataSetMissing(f"there is no data set {name!r} in {path.parent}; there is {known}")
    table = pd.read_parquet(path)
    numbers = table.select_dtypes("float32").columns
    return table.astype(dict.fromkeys(numbers, "float64"))


def verify() -> dict[str, str]:
    """Compare every file with its recorded checksum.

    Returns
    -------
    dict
        File name to "ok", "changed" or "missing".
    """
    lines = (folder() / _CHECKSUMS).read_text(encoding="utf-8").splitlines()
    states = {}
    for line in lines:
        expected, name = line.split(maxsplit=1)
        path = folder() / name
        if not path.is_file():
            states[name] = "missing"
        else:
            actual = hashlib.sha256(path.read_bytes()).hexdigest()
            states[name] = "ok" if actual == expected else "changed"
    return states

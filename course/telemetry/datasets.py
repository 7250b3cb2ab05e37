"""Embedded data sets: Parquet files with a data card each and checksums.

The metrics of a set are ``NAME.parquet``, its other parts ``NAME.PART.parquet``, its card
``NAME.md``; ``SHA256SUMS`` lists every Parquet file with its hash.
"""

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
    return sorted(path.stem for path in folder().glob("*.parquet") if "." not in path.stem)


def parts(name: str) -> list[str]:
    """Parts of a data set, "metrics" first.

    Examples
    --------
    >>> parts("shop-incidents")
    ['metrics', 'alerts', 'events', 'logs', 'traces', 'truth']
    """
    _path(name, "metrics")
    others = (path.stem.removeprefix(f"{name}.") for path in folder().glob(f"{name}.*.parquet"))
    return ["metrics", *sorted(others)]


def load(name: str, part: str = "metrics") -> pd.DataFrame:
    """Load an embedded data set, or one part of it.

    Parameters
    ----------
    name : str
        One of `names()`.
    part : str
        One of `parts(name)`.

    Returns
    -------
    DataFrame
        As its data card describes it. Metrics are wide: UTC index `time` (below `incident` in a
        set of several), columns (service, metric), float64.

    Raises
    ------
    DataSetMissing
        There is no such set or part, and the message lists those that exist; or the file is not
        the one that was recorded.

    Examples
    --------
    >>> load("shop-quiet-28d")["checkout"].shape
    (40320, 9)
    """
    path = _path(name, part)
    if verify_file(path) == "changed":
        raise DataSetMissing(
            f"{path} is not the file that was recorded: its SHA-256 differs from {_CHECKSUMS}; "
            "take it from the repository again, or run `course data build` in a checkout"
        )
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
    return {name: verify_file(folder() / name) for name in _recorded()}


def verify_file(path: Path) -> str:
    """Compare one file with its recorded checksum: "ok", "changed" or "missing"."""
    if not path.is_file():
        return "missing"
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    return "ok" if actual == _recorded().get(path.name) else "changed"


def _recorded() -> dict[str, str]:
    lines = (folder() / _CHECKSUMS).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines)
    return {name: digest for digest, name in pairs}


def _path(name: str, part: str) -> Path:
    if name not in names():
        known = ", ".join(names()) or "none"
        raise DataSetMissing(f"there is no data set {name!r} in {folder()}; there is {known}")
    path = folder() / (f"{name}.parquet" if part == "metrics" else f"{name}.{part}.parquet")
    if not path.is_file():
        known = ", ".join(parts(name))
        raise DataSetMissing(f"data set {name!r} has no part {part!r}; it has {known}")
    return path

"""The printed study."""

from __future__ import annotations

from collections.abc import Iterator

from course.field.loghub.data import SYSTEMS, load
from course.field.loghub.parsers import MASKS, Parser, drain3
from course.field.loghub.published import CITATION, SOURCE
from course.field.loghub.study import study


def report() -> Iterator[str]:
    """The study, piece by piece.

    Raises
    ------
    PublicDataMissing
        Without the data; the message is the one line to print.
    """
    yield "Loghub field study: grouping accuracy by line (GA) and by statement (FGA)"
    parsers: dict[str, Parser] = {}
    try:
        import drain3 as _installed  # noqa: F401
    except ImportError:
        yield "drain3 is not installed: its rows are left out."
    else:
        parsers["drain3"] = drain3
        parsers["drain3, four masks"] = lambda lines: drain3(lines, masks=MASKS)
    table = study(parsers, logs=[load(system) for system in SYSTEMS])
    yield table["ga"].unstack("parser").round(3).to_string()
    yield table["fga"].unstack("parser").dropna(axis=1, how="all").round(3).to_string()
    yield f"Published: {SOURCE}.\n{CITATION}"

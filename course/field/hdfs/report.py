"""The printed study."""

from __future__ import annotations

from collections.abc import Iterator

from course.field.hdfs.data import BASE_RATE, load
from course.field.hdfs.published import CITATION
from course.field.hdfs.study import shared, study


def report() -> Iterator[str]:
    """The study, piece by piece.

    Raises
    ------
    PublicDataMissing
        Without the data; the message is the one line to print.
    """
    sessions = load()
    yield (
        f"HDFS sessions: trained on {len(sessions.train):,} normal ones, judged on "
        f"{len(sessions.normal):,} normal and {len(sessions.abnormal):,} abnormal ones.\n"
        f"Precision and F1 are those where {BASE_RATE:.1%} of the sessions are abnormal."
    )
    yield study(sessions=sessions).round(4).to_string()
    yield (
        "Normal test sessions that stand in the training set\n"
        + shared(sessions).map("{:.1%}".format).to_string()
    )
    yield f"Published: {CITATION}"

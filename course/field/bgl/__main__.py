"""``python -m course.field.bgl``: print the study with a plain deduplication."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import pandas as pd

from course.field import bgl
from course.field._command import print_report


def last_one(alerts: pd.DataFrame, hold: pd.Timedelta) -> pd.DataFrame:
    """Keep the alerts that start more than `hold` after the one before of their fingerprint."""
    before = alerts.groupby(["service", "alertname", "severity"])["start"].shift()
    return alerts[before.isna() | (alerts["start"] - before > hold)]


def report() -> Iterator[str]:
    """The study, piece by piece."""
    alerts = bgl.load_alerts()
    yield (f"BGL field study: {len(alerts)} of {bgl.SAMPLED} sampled lines are alerts; in the whole log "
           f"{bgl.ALERT_LINES:,} of {bgl.LINES:,} ({bgl.SOURCE})")  # fmt: skip
    yield alerts["alertname"].value_counts().to_string()
    yield "Notifications left, by hold time and by the place in the fingerprint:"
    yield bgl.notifications(last_one).to_string()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return print_report("bgl", report, arguments)


if __name__ == "__main__":
    sys.exit(main())

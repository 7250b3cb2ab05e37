"""The printed study: damage, accuracy, and the published figures."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from course.field.nezha.data import SYSTEMS, NezhaDay, load
from course.field.nezha.published import CITATION, published_table
from course.field.nezha.study import by_type, study

_NOTE = """\
Robust z over all metrics of a pod, five minutes before a fault against three after it; ties
averaged. "As stamped" believes TimeStamp and inject_timestamp, "as received" takes Time and
inject_time. One day of each system: 32 of 56 and 17 of 45 faults are on days that are not pinned,
so the figures measured on both days can be quoted but not computed anew here."""


def report() -> Iterator[str]:
    """The study, piece by piece as it is computed.

    Raises
    ------
    PublicDataMissing
        Without the data; the message is the one line to print.
    """
    yield "Nezha field study: clocks, collection and ranking"
    days = [load(system) for system in SYSTEMS]
    yield from map(_damage, days)
    table, faults = study(days)
    yield _NOTE
    yield table.round(3).to_string()
    for system in SYSTEMS:
        kinds = by_type(faults, system, "as received").round(2).to_string()
        yield f"{system}, as received, by type of fault:\n{kinds}"
    published = published_table()
    yield "Published, and measured earlier:\n" + published.drop(columns="source").to_string()
    sources = "\n".join(
        f"- {system}, {method}: {source}"
        for (system, method), source in published["source"].items()
    )
    yield f"Sources:\n{sources}\n{CITATION}"


def _damage(day: NezhaDay) -> str:
    lines = [f"{day.system}, {SYSTEMS[day.system]}: {len(day.pods)} pods, {len(day.faults)} faults"]
    for name, raw in day.pods.items():
        received = pd.to_datetime(raw["received"], utc=True)
        ahead = raw["timestamp"] - (received - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
        if wrong := int((ahead.abs() > 60).sum()):
            usual = int((ahead == ahead.median()).sum())
            lines.append(
                f"- {name}: TimeStamp {ahead.median():,.0f} s ahead in {usual:,} of {len(raw):,} "
                f"rows, up to {ahead.max() - ahead.median():,.0f} s more in {wrong - usual}"
            )
    lag = (day.faults["time"] - day.faults["stamp"]).dt.total_seconds()
    far = lag[lag > 3600]
    if len(far):
        lines.append(
            f"- faults: inject_timestamp lags inject_time by {far.min():,.0f} to {far.max():,.0f} s "
            f"in {len(far)} of {len(lag)}"
        )
    if near := int(lag.between(1, 3600).sum()):
        lines.append(f"- faults: {near} of {len(lag)} inject_timestamp lags by a minute or so")
    if again := int(day.faults["stamp"].duplicated().sum()):
        lines.append(f"- faults: {again} repeats the inject_timestamp of another")
    dead = sum(bool((raw["PodSuccessRate"] == 0).all()) for raw in day.pods.values())
    lines.append(f"- PodSuccessRate is 0 in every row of {dead} of {len(day.pods)} pods")
    rate = day.front["SuccessRate"]
    lines.append(
        f"- front end: SuccessRate is {rate.mean():.1f} % on average, 0 in {(rate == 0).sum()} of {len(rate)} rows"
    )
    return "\n".join(lines)

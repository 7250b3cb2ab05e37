"""Wrong answers of telemetry repair that a real student might give, and right ones of another kind."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parents[1])
_mistake = _LESSON.mistake

_REPORT = """
def quiet_report(unit, duplicates, lost):
    return {"unit": unit, "clock_s": 0.0, "zone_s": 0.0, "zone_rows": 0, "unusable": 0,
            "duplicates": duplicates, "lost": lost, "not_measured": {}}
"""

_CONSTANT = (
    _REPORT
    + """
def repair(raw, impossible):
    times = pd.DatetimeIndex(pd.to_datetime(raw["received"], utc=True))
    table = raw.drop(columns=["received", "timestamp"]).astype(float).set_index(times).sort_index()
    return table, quiet_report("s", 0, 0)
"""
)

_METADATA = (
    _REPORT
    + """
def repair(raw, impossible):
    minute = pd.to_datetime(raw["received"], utc=True).dt.round("1min")
    rows = raw.drop(columns=["received", "timestamp"]).astype(float).assign(minute=minute)
    kept = rows.drop_duplicates("minute", keep="last").set_index("minute").sort_index()
    table = kept.asfreq("1min")
    unit = "ms" if raw["timestamp"].max() > 1e11 else "s"
    return table, quiet_report(unit, len(rows) - len(kept), len(table) - len(kept))
"""
)

# What most tutorials do: believe the stamp, drop duplicates, resample. Large grids are cut.
_NAIVE = (
    _REPORT
    + """
def repair(raw, impossible):
    unit = "ms" if raw["timestamp"].median() > 1e11 else "s"
    minute = pd.to_datetime(raw["timestamp"], unit=unit, utc=True).dt.round("1min")
    rows = raw.drop(columns=["timestamp"]).assign(minute=minute).sort_values("received")
    kept = rows.drop(columns="received").drop_duplicates("minute", keep="last")
    kept = kept.set_index("minute").sort_index().astype(float)
    near = kept[abs(kept.index - kept.index[len(kept) // 2]) < pd.Timedelta("2D")]
    table = near.asfreq("1min")
    return table, quiet_report(unit, len(rows) - len(kept), len(table) - len(near))
"""
)

_LOOP = """
import math
from statistics import median


def repair(raw, impossible):
    records = raw.to_dict("records")
    metrics = sorted(set(raw.columns) - {"received", "timestamp"}, reverse=True)
    conditions = {m: list(raw.eval(c)) for m, c in impossible.items()}
    unit = "ms" if records[0]["timestamp"] > 1e11 else "s"
    for place, record in enumerate(records):
        record["at"] = record["timestamp"] / (1000 if unit == "ms" else 1)
        record["got"] = pd.Timestamp(record["received"]).timestamp()
        record["ahead"] = record["at"] - record["got"]
        record["lies"] = {m for m in conditions if conditions[m][place] and record[m] == 0}
    clock = median(r["ahead"] for r in records)
    clock = clock if abs(clock) > 60 else 0
    counts = {}
    for r in records:
        r["half"] = round((r["ahead"] - clock) / 1800)
        if r["half"]:
            counts[r["half"]] = counts.get(r["half"], 0) + 1
    zone = max(counts, key=counts.get, default=0)
    if zone and counts[zone] < len(records) / 10:
        zone = 0
    zone_rows = counts.get(zone, 0) if zone else 0
    best, used = {}, 0
    for r in records:
        off = clock + (1800 * zone if zone and r["half"] == zone else 0)
        if not -630 <= r["ahead"] - off <= 30:
            continue
        used += 1
        minute = round((r["at"] - off) / 60)
        if minute not in best or r["got"] > best[minute]["got"]:
            best[minute] = r
    taken = {}
    for m in impossible:
        run, lie, gone = [], False, 0
        for minute in [*sorted(best), None]:
            value = 1.0 if minute is None else best[minute][m]
            if value == 0:
                run.append(minute)
                lie = lie or m in best[minute]["lies"]
            elif not math.isnan(value):
                if lie:
                    gone += len(run)
                    for k in run:
                        best[k][m] = math.nan
                run, lie = [], False
        if gone:
            taken[m] = gone
    grid = range(min(best), max(best) + 1)
    nothing = dict.fromkeys(metrics, math.nan)
    table = pd.DataFrame(
        [{m: best.get(k, nothing)[m] for m in metrics} for k in grid],
        index=pd.to_datetime([60 * k for k in grid], unit="s", utc=True), columns=metrics,
    ).astype(float)
    return table, {
        "unit": unit, "clock_s": clock, "zone_s": 1800 * zone, "zone_rows": zone_rows,
        "unusable": len(records) - used, "duplicates": used - len(best),
        "lost": len(grid) - len(best), "not_measured": taken,
    }
"""

_BY_MODE = [
    ("clock = float(ahead.median())", "clock = float(ahead.round(-1).mode()[0])"),
    ("return table, report", "return table[sorted(table.columns)], report"),
]

ANSWERS = [
    WrongAnswer("repair", "as received", "returns what came, reports nothing", _CONSTANT, "constant"),
    WrongAnswer("repair", "time of receipt", "grid from the receipt alone", _METADATA, "metadata"),
    WrongAnswer("repair", "believes the stamp", "parse, drop duplicates, resample", _NAIVE, "naive"),
    _mistake("repair", "known offset", "knows only the 200,000,000 s that the news told",
             ("clock = float(ahead.median())", "clock = 2e8 if abs(ahead.median() - 2e8) < 99 else 0.0")),
    _mistake("repair", "one clock", "never looks for a time zone in a part of the rows",
             (">= 0.1 * len(raw)", ">= 2 * len(raw)")),
    _mistake("repair", "mean of the clocks", "mean instead of median",
             ("ahead.median()", "ahead.mean()")),
    _mistake("repair", "first row wins", "keeps the first of two rows",
             ('keep="last"', 'keep="first"')),
    _mistake("repair", "fills gaps", "draws lines across holes",
             ('.asfreq("1min")', '.asfreq("1min").interpolate()')),
    _mistake("repair", "missing is zero", "writes 0 where nothing was measured",
             ('.asfreq("1min")', '.asfreq("1min").fillna(0)')),
    _mistake("repair", "every zero is a lie", "blanks all zeros",
             ("zero & refuted.astype(bool)", "zero")),
    _mistake("repair", "zeros are zeros", "believes every zero",
             ("zero & refuted.astype(bool)", "zero & False")),
    _mistake("repair", "whole column", "one refuted zero condemns the zeros of a whole metric",
             ("groupby(run)", "groupby(zero)")),
    _mistake("repair", "guesses the minute", "puts rows with a senseless stamp at their receipt",
             ("usable = left.between(-630, 30)", "left = left.where(left.between(-630, 30), 0)\n    usable = left < 99")),
    WrongAnswer("repair", "row by row", "right, in plain Python", _LOOP, "alternative"),
    _mistake("repair", "by the mode", "right: the most frequent difference", *_BY_MODE,
             kind="alternative"),
]  # fmt: skip

WRONG_ANSWERS = [answer for answer in ANSWERS if answer.kind != "alternative"]
ALTERNATIVES = [answer for answer in ANSWERS if answer.kind == "alternative"]

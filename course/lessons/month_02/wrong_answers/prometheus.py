"""Wrong answers on counters and histograms that a student might give, and right ones of another kind."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_mistake = Solutions(Path(__file__).parents[1]).mistake

_RATE_CONSTANT = """
def counter_rate(samples, times, window):
    return pd.DataFrame(
        {"samples": 4, "resets": 0, "increase": 10.0, "before_s": 0.0, "after_s": 0.0, "rate": 0.1,
         "even": 0.1, "covered": 1.0},
        index=times,
    )
"""

_RATE_TIMES_ONLY = """
def counter_rate(samples, times, window):
    stamps = samples.dropna().index
    rows = []
    for time in times:
        inside = stamps[(stamps > time - window) & (stamps <= time)]
        row = dict(samples=len(inside), resets=0, increase=np.nan, before_s=np.nan, after_s=np.nan, rate=np.nan)
        if len(inside) > 1:
            spacing = (inside[-1] - inside[0]).total_seconds() / (len(inside) - 1)
            before = (inside[0] - time + window).total_seconds()
            after = (time - inside[-1]).total_seconds()
            row["before_s"] = before if before < 1.1 * spacing else spacing / 2
            row["after_s"] = after if after < 1.1 * spacing else spacing / 2
            row["increase"] = float(len(inside))
            row["rate"] = 1 / spacing
        rows.append(row | {"even": row["rate"], "covered": 1.0})
    return pd.DataFrame(rows, index=times)
"""

_RATE_SLOPE = """
def counter_rate(samples, times, window):
    rows = []
    for time in times:
        inside = samples.dropna()
        inside = inside[(inside.index > time - window) & (inside.index <= time)]
        row = {"samples": len(inside), "resets": int((inside.diff() < 0).sum())}
        if len(inside) > 1:
            span = (inside.index[-1] - inside.index[0]).total_seconds()
            change = inside.iloc[-1] - inside.iloc[0]
            row |= {"increase": change, "before_s": 0.0, "after_s": 0.0, "rate": change / span}
        rows.append(row)
    columns = ["samples", "resets", "increase", "before_s", "after_s", "rate"]
    table = pd.DataFrame(rows, index=times).reindex(columns=columns)
    return table.assign(even=table["rate"], covered=1.0)
"""

_RATE_PACKAGE = """
from course.telemetry import prometheus as shipped

def counter_rate(samples, times, window):
    width = f"{window // pd.Timedelta('1ms')}ms"
    asked = {"samples": "count_over_time", "resets": "resets", "increase": "increase", "rate": "rate"}
    rules = "groups: [{name: g, rules: [" + ", ".join(
        f"{{record: '{name}', expr: '{function}(x[{width}])'}}" for name, function in asked.items()
    ) + "]}]"
    rows = []
    for time in times:
        when = {"start": time, "end": time, "missing": "stale"}
        found = shipped.evaluate(shipped.load_rules(rules), {"x": samples}, **when).recorded
        row = {name: found[name].iloc[0] if name in found else np.nan for name in asked}
        rows.append(row | {"before_s": 0.0, "after_s": 0.0})
    table = pd.DataFrame(rows, index=times).fillna({"samples": 0, "resets": 0})
    return table.assign(even=table["rate"], covered=1.0)
"""

_EVEN = """
def _even(samples, times, window):
    rows = []
    points = list(zip(samples.index, samples))
    for time in times:
        grown = seen = 0.0
        for (a, old), (b, new) in zip(points, points[1:]):
            if old == old and new == new:
                overlap = (min(b, time) - max(a, time - window)).total_seconds()
                if overlap > 0:
                    seen += overlap
                    grown += (new if new < old else new - old) * overlap / (b - a).total_seconds()
        width = window.total_seconds()
        rows.append((grown / width if seen else float("nan"), seen / width))
    return rows
"""

_RATE_NUMPY = """
def counter_rate(samples, times, window):
    kept = samples[samples.notna()]
    at = kept.index.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]").astype("int64")
    end = times.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]").astype("int64")
    width = window // pd.Timedelta("1ms")
    value = kept.to_numpy()
    steps = np.diff(value, prepend=0.0)
    fell = steps < 0
    low, high = np.searchsorted(at, end - width, "right"), np.searchsorted(at, end, "right")
    count = high - low
    enough = count >= 2
    first, last = np.where(enough, low, 0), np.where(enough, high - 1, 1)
    lost = np.concatenate([[0.0], np.cumsum(np.where(fell, value - steps, 0.0))])
    falls = np.concatenate([[0], np.cumsum(fell)])
    increase = value[last] - value[first] + lost[last + 1] - lost[first + 1]
    span = (at[last] - at[first]) / 1e3
    spacing = span / np.where(enough, count - 1, 1)
    before, after = (at[first] - end + width) / 1e3, (end - at[last]) / 1e3
    before = np.where(before >= 1.1 * spacing, spacing / 2, before)
    after = np.where(after >= 1.1 * spacing, spacing / 2, after)
    with np.errstate(all="ignore"):
        zero = np.where(increase > 0, span * value[first] / increase, np.inf)
    before = np.minimum(before, zero)
    table = pd.DataFrame(
        {
            "rate": increase * (before + span + after) / span / (width / 1e3),
            "after_s": after, "before_s": before, "increase": increase,
        },
        index=times,
    ).where(np.column_stack([enough] * 4))
    table["resets"] = np.where(enough, falls[last + 1] - falls[first + 1], 0)
    table["samples"] = count
    every = samples.index.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ms]").astype("int64")
    levels = samples.to_numpy(float)
    left, right = every[:-1][None], every[1:][None]
    growth = np.diff(levels)
    growth = np.where(growth < 0, levels[1:], growth)[None]
    overlap = np.minimum(right, end[:, None]) - np.maximum(left, (end - width)[:, None])
    overlap = np.where(np.isnan(growth) | (overlap < 0), 0, overlap)
    share = np.nansum(growth * overlap / (right - left), axis=1) / (width / 1e3)
    table["covered"] = overlap.sum(axis=1) / width
    table["even"] = np.where(table["covered"] > 0, share, np.nan)
    return table
"""

_RATE_PLAIN = (
    _EVEN
    + """
def counter_rate(samples, times, window):
    points = [(t.timestamp(), v) for t, v in samples.items() if v == v]
    width = window.total_seconds()
    table = {name: [] for name in ("samples", "resets", "increase", "before_s", "after_s", "rate")}
    for moment in times:
        now = moment.timestamp()
        inside = [(t, v) for t, v in points if now - width < t <= now]
        increase = resets = 0
        for (_, old), (_, new) in zip(inside, inside[1:]):
            resets += new < old
            increase += new - (0 if new < old else old)
        answer = [len(inside), resets] + 4 * [float("nan")]
        if len(inside) > 1:
            span = inside[-1][0] - inside[0][0]
            limit = 1.1 * span / (len(inside) - 1)
            left, right = inside[0][0] - now + width, now - inside[-1][0]
            left = limit / 2.2 if left >= limit else left
            right = limit / 2.2 if right >= limit else right
            if increase > 0:
                left = min(left, inside[0][1] * span / increase)
            answer[2:] = [increase, left, right, increase * (1 + (left + right) / span) / width]
        for column, item in zip(table.values(), answer):
            column.append(item)
    even = pd.DataFrame(_even(samples, times, window), index=times, columns=["even", "covered"])
    return pd.DataFrame(table, index=times).join(even[~even.index.duplicated()])
"""
)

_RATE = [
    WrongAnswer("rate", "constants", "looks at no sample", _RATE_CONSTANT, "constant"),
    WrongAnswer("rate", "times only", "guesses from the scrapes' times", _RATE_TIMES_ONLY, "metadata"),
    WrongAnswer("rate", "slope", "last minus first over their distance", _RATE_SLOPE, "naive"),
    WrongAnswer(
        "rate", "the package's", "asks the shipped evaluator and understands nothing", _RATE_PACKAGE
    ),
    _mistake(
        "rate", "closed on the left", "the window of Prometheus 2",
        ('searchsorted(times - window, side="right")', 'searchsorted(times - window, side="left")'),
    ),
    _mistake(
        "rate", "Prometheus' rules alone", "pasted; the rate for even, all covered",
        ('row["even"] = (growth * overlap / (right - left)).sum() / (end - begin)', "pass"),
        ("columns=columns)", 'columns=columns).assign(even=lambda t: t["rate"], covered=1.0)'),
    ),
    _mistake(
        "rate", "pairs of the window", "even from the samples inside alone",
        ("overlap = np.clip(np.minimum(right, end) - np.maximum(left, begin), 0, None)",
         "overlap = (right - left) * ((left > begin) & (right <= end))"),
    ),
    _mistake(
        "rate", "bridged", "spreads growth over a staleness marker",
        ("seconds = (samples.index - samples.index[0])", "seconds = (alive.index - samples.index[0])"),
        ("level = samples.to_numpy(float)", "level = alive.to_numpy(float)"),
    ),
    _mistake(
        "rate", "no resets", "last minus first",
        ("np.where(fell, values[1:], step).sum()", "values[-1] - values[0]"),
    ),
    _mistake(
        "rate", "a reset adds nothing", "loses what was counted since the restart",
        ("np.where(fell, values[1:], step)", "np.where(fell, 0.0, step)"),
    ),
    _mistake(
        "rate", "always to the ends", "extrapolates over any gap",
        ("before = spacing / 2 if before >= 1.1 * spacing else before", "pass"),
        ("after = spacing / 2 if after >= 1.1 * spacing else after", "pass"),
    ),
    _mistake(
        "rate", "below zero", "a young counter has grown before it began",
        ("if increase > 0:", "if False:"),
    ),
    _mistake(
        "rate", "zero first", "the order of older Prometheus 2",
        ("            before = spacing / 2 if before >= 1.1 * spacing else before\n",
         "            if increase > 0:\n"
         "                before = min(before, span * values[0] / increase)\n"
         "            before = spacing / 2 if before >= 1.1 * spacing else before\n"),
        ("            if increase > 0:\n"
         "                before = min(before, span * values[0] / increase)\n            stretched",
         "            stretched"),
    ),
    _mistake(
        "rate", "missing is zero", "takes a staleness marker for a count of 0",
        ("samples.dropna()", "samples.fillna(0.0)"),
    ),
    _mistake(
        "rate", "markers end a series", "forgets what came before a marker",
        ("alive = samples.dropna()",
         "alive = samples[samples.isna()[::-1].cumsum()[::-1] == 0] if samples.isna().any() else samples"),
    ),
    _mistake(
        "rate", "sorted", "answers in the order of time",
        ("index=times, columns=columns)", "index=times, columns=columns).sort_index()"),
    ),
]  # fmt: skip

# Merge as the exercise asks, or as `sum by (le)` does, and give the buckets to a function of one histogram.
_MERGED = """
def histogram_quantile(q, replicas):
    table = pd.concat(replicas, axis=1, join="inner") if replicas else pd.DataFrame()
    return _of_one(q, table.sum(axis=1))


"""
_SUMMED = _MERGED.replace('join="inner"', 'join="outer"')

_QUANTILE_TIMELESS = (
    _MERGED
    + """
def _of_one(q, buckets):
    return {"value": float("nan"), "low": float("nan"), "high": float("nan")}
"""
)

_QUANTILE_BOUNDS_ONLY = (
    _MERGED
    + """
def _of_one(q, buckets):
    nan, inf = float("nan"), float("inf")
    if not 0 <= q <= 1:
        return {"value": nan if q != q else inf if q > 1 else -inf, "low": nan, "high": nan}
    bounds = np.sort(buckets.index.to_numpy(float))
    if len(bounds) < 2 or bounds[-1] != inf:
        return {"value": nan, "low": nan, "high": nan}
    place = min(int(q * len(bounds)), len(bounds) - 2)
    low = bounds[place - 1] if place else min(0.0, bounds[0])
    return {"value": low + (bounds[place] - low) / 2, "low": low, "high": bounds[place]}
"""
)

_QUANTILE_PACKAGE = (
    _MERGED
    + """
from course.telemetry.prometheus import functions as shipped

def _of_one(q, buckets):
    ordered = buckets.sort_index()
    if ordered.empty:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan")}
    counts = ordered.to_numpy(float)[:, None]
    with np.errstate(all="ignore"):
        value = shipped._bucket_quantile(
            np.array([q]), ordered.index.to_numpy(float), counts, np.ones(counts.shape, bool)
        )[0]
    return {"value": value, "low": value, "high": value}
"""
)

_QUANTILE_LOOP = (
    """
import math
"""
    + _MERGED
    + """
def _of_one(q, buckets):
    def answer(value, low=math.nan, high=math.nan):
        return dict(high=high, low=low, value=value)
    if q != q:
        return answer(math.nan)
    if q < 0:
        return answer(-math.inf)
    if q > 1:
        return answer(math.inf)
    pairs = sorted(zip(buckets.index.tolist(), buckets.tolist()))
    total = max((count for _, count in pairs), default=0)
    if len(pairs) < 2 or pairs[-1][0] != math.inf or not total:
        return answer(math.nan)
    reached, bottom = 0.0, None
    for bound, count in pairs:
        count = max(count, reached)
        if count >= q * total:
            break
        reached, bottom = count, bound
    if bound == math.inf:
        return answer(pairs[-2][0], pairs[-2][0], bound)
    if bottom is None:
        if bound <= 0:
            return answer(bound, -math.inf, bound)
        bottom = 0.0
    weight = (q * total - reached) / (count - reached)
    return answer((1 - weight) * bottom + weight * bound, bottom, bound)

import math
"""
)

_QUANTILE_INTERP = (
    _MERGED
    + """
def _of_one(q, buckets):
    nothing = {"value": np.nan, "low": np.nan, "high": np.nan}
    if not 0 <= q <= 1:
        return nothing | {"value": np.nan if np.isnan(q) else np.copysign(np.inf, q - 0.5)}
    bounds = np.sort(buckets.index.to_numpy())
    counts = np.maximum.accumulate(buckets.reindex(bounds).to_numpy())
    if bounds.size < 2 or bounds[-1] < np.inf or counts[-1] <= 0:
        return nothing
    place = np.searchsorted(counts, q * counts[-1], side="left")
    if place == bounds.size - 1:
        return {"value": bounds[-2], "low": bounds[-2], "high": np.inf}
    edges = np.append(bounds[0] if bounds[0] <= 0 else 0.0, bounds)
    heights = np.append(0.0, counts)
    value = np.interp(q * counts[-1], heights[place : place + 2], edges[place : place + 2])
    low = -np.inf if place == 0 and bounds[0] <= 0 else edges[place]
    return {"value": value, "low": low, "high": edges[place + 1]}
"""
)

_QUANTILE = [
    WrongAnswer("histogram-quantile", "NaN", "always NaN", _QUANTILE_TIMELESS, "constant"),
    WrongAnswer(
        "histogram-quantile", "bounds only", "looks at bounds and not at counts",
        _QUANTILE_BOUNDS_ONLY, "metadata",
    ),
    _mistake(
        "histogram-quantile", "upper bound", "the bucket's bound, without interpolation",
        ('"value": low + (upper[place] - low) * share', '"value": upper[place]'), kind="naive",
    ),
    WrongAnswer(
        "histogram-quantile", "the package's", "asks the shipped function, knows no interval",
        _QUANTILE_PACKAGE,
    ),
    WrongAnswer(
        "histogram-quantile", "sum by (le)", "adds up what is there, as Prometheus does",
        _QUANTILE_LOOP.replace(_MERGED, _SUMMED),
    ),
    _mistake(
        "histogram-quantile", "the first replica", "one for all",
        ("pd.concat(replicas, axis=1, join=\"inner\")", "replicas[0].to_frame()"),
    ),
    _mistake(
        "histogram-quantile", "no repair", "takes falling counts as they are", (".cummax()", ""),
    ),
    _mistake(
        "histogram-quantile", "as they come", "expects the bounds in order", (".sort_index()", ""),
    ),
    _mistake(
        "histogram-quantile", "infinite", "+Inf as the estimate of the last bucket",
        ('{"value": upper[-2], "low": upper[-2], "high": inf}',
         '{"value": inf, "low": upper[-2], "high": inf}'),
    ),
    _mistake(
        "histogram-quantile", "clipped", "takes q = 95 for 1",
        ("if q < 0 or q > 1:", "q = min(max(q, 0.0), 1.0)\n    if q < 0:"),
    ),
    _mistake(
        "histogram-quantile", "from zero", "the first bucket always begins at 0",
        ("if place == 0 and upper[0] <= 0:", "if False:"),
    ),
    _mistake(
        "histogram-quantile", "more than the rank", "goes on where the rank is reached exactly",
        ("np.argmax(count >= rank)", "np.argmax(count > rank)"),
    ),
    _mistake(
        "histogram-quantile", "finite total", "counts only what lies in finite buckets",
        ("rank = q * count[-1]", "rank = q * count[-2]"),
    ),
]  # fmt: skip

WRONG_ANSWERS = [*_RATE, *_QUANTILE]
ALTERNATIVES = [
    WrongAnswer("rate", "numpy at once", "right, all windows at once", _RATE_NUMPY, "alternative"),
    WrongAnswer("rate", "plain Python", "right, in float seconds", _RATE_PLAIN, "alternative"),
    WrongAnswer("histogram-quantile", "a loop", "right, in Python", _QUANTILE_LOOP, "alternative"),
    WrongAnswer(
        "histogram-quantile",
        "np.interp",
        "right, with searchsorted",
        _QUANTILE_INTERP,
        "alternative",
    ),
]

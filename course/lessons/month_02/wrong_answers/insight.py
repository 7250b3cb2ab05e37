"""Wrong answers to the milestone of month 2, and right ones by another method."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Kind, Solutions

_LESSON = Solutions(Path(__file__).parent.parent)
_ID = "insight"


def _mistake(name: str, why: str, *changes: tuple[str, str], kind: Kind = "wrong") -> WrongAnswer:
    return _LESSON.mistake(_ID, name, why, *changes, kind=kind)


_BY_SIZE = '''
def insight(metrics, logs, spans, since):
    """The five biggest changes of the means, one a service, if the first is big enough."""
    found = []

    def compare(kind, service, name, old, new):
        if len(old) and len(new):
            found.append((SIZE, kind, service, name))

    for service, name in metrics.columns:
        values = metrics[service, name].to_numpy()
        quiet = np.asarray(metrics.index < since)
        compare("metric", service, name, values[quiet], values[~quiet])
    minute = (logs["time"].dt.floor("min") - metrics.index[0]) // pd.Timedelta("1min")
    begin = int((since - metrics.index[0]) // pd.Timedelta("1min"))
    lines = Counter(zip(logs["service"], logs["message"].map(insight_mask), minute, strict=True))
    per_minute = {}
    for (service, name, at), count in lines.items():
        per_minute.setdefault((service, name), np.zeros(len(metrics)))[at] = count
    for (service, name), counts in per_minute.items():
        compare("log", service, name, counts[:begin], counts[begin:])
    code, services = pd.factorize(spans["service"])
    quiet = (spans["start"] < since).to_numpy()
    duration, failed = spans["duration_ms"].to_numpy(), (spans["status"] == "ERROR").to_numpy()
    for number, service in enumerate(services):
        old, new = (code == number) & quiet, (code == number) & ~quiet
        compare("span", service, "duration", duration[old], duration[new])
        compare("span", service, "errors", failed[old], failed[new])
    found.sort(reverse=True)
    best, seen = [], set()
    for size, kind, service, name in found:
        if service not in seen and found[0][0] > THRESHOLD:
            best.append((kind, service, name))
            seen.add(service)
    return best[:5]
'''

_ABSOLUTE = _BY_SIZE.replace("SIZE", "abs(new.mean() - old.mean())").replace("THRESHOLD", "130.0")
_RELATIVE = _BY_SIZE.replace(
    "SIZE", "abs(new.mean() - old.mean()) / (abs(old.mean()) + 1e-3)"
).replace("THRESHOLD", "250.0")

_CONSTANT = """
def insight(metrics, logs, spans, since):
    return [
        ("metric", "checkout", "error_ratio"),
        ("metric", "payment", "latency_p99_ms"),
        ("metric", "orders-db", "latency_p99_ms"),
        ("metric", "search", "latency_p99_ms"),
        ("metric", "inventory", "error_ratio"),
    ]
"""

_SILENT = """
def insight(metrics, logs, spans, since):
    return []
"""

_METADATA = """
def insight(metrics, logs, spans, since):
    if len(logs) < 5 * len(metrics):
        return []
    busiest = Counter(spans["service"]).most_common(5)
    return [("metric", service, "error_ratio") for service, _ in busiest]
"""

_CLOCK = """
def insight(metrics, logs, spans, since):
    if since.hour % 3 == 0:
        return []
    services = sorted(set(metrics.columns.get_level_values(0)))
    first = since.hour * 60 + since.minute
    return [("metric", services[(first + 4 * k) % 19], "latency_p99_ms") for k in range(5)]
"""

_USERS_VIEW = """
def insight(metrics, logs, spans, since):
    found = []
    for service in ("gateway", "storefront", "search", "cart", "checkout", "account"):
        for name in ("error_ratio", "latency_p50_ms", "latency_p99_ms"):
            x = metrics[service, name][metrics.index < since]
            y = metrics[service, name][metrics.index >= since]
            noise = 1.4826 * (x - x.median()).abs().median() + 1e-3 + 0.05 * x.median()
            found.append(((y.mean() - x.median()) / noise, "metric", service, name))
    found.sort(reverse=True)
    return [tuple(entry[1:]) for entry in found[:5]] if found[0][0] > 6 else []
"""

_LOGS_ONLY = """
def insight(metrics, logs, spans, since):
    quiet = set(logs["message"].map(insight_mask)[logs["time"] < since])
    strange = logs[(logs["time"] >= since) & (logs["level"] != "INFO")]
    new = Counter(
        (service, insight_mask(message))
        for service, message in zip(strange["service"], strange["message"], strict=True)
        if insight_mask(message) not in quiet
    )
    return [("log", *key) for key, count in new.most_common(5) if count >= 5]
"""

_LIMIT = """
def insight(metrics, logs, spans, since):
    quiet = metrics.index < since
    limit = FACTOR * metrics[quiet].max()
    level = metrics[~quiet].LEVEL()
    over = (level / (limit + 1e-9))[(level > limit) & (level > 1e-3)]
    return [("metric", s, m) for s, m in over.sort_values(ascending=False).index[:5]]
"""
_ROBUST_Z = """
def insight(metrics, logs, spans, since):
    quiet = metrics.index < since
    usual = metrics[quiet].median()
    noise = (metrics[quiet].std() + 0.03 * usual + 1e-3)
    z = ((metrics[~quiet].median() - usual) / noise).sort_values(ascending=False)
    return [("metric", s, m) for s, m in z.index[:5]] if z.iloc[0] > 4 else []
"""

# What the solution returns as the scores of the metrics, and two other ways to score them.
_SHIFT = "(level - middle) / noise, beyond, strict=True"
_WASSERSTEIN = """
        [
            np.sign(new.mean() - usual) * stats.wasserstein_distance(old, new) / unit
            for old, new, usual, unit in zip(x.T, y.T, middle, noise, strict=True)
        ], beyond, strict=True"""
_BENJAMINI_HOCHBERG = "_significant(x, y) * (level - middle) / noise, beyond, strict=True"
_SIGNIFICANT = """
def _significant(x, y, rate=0.001):
    tests = (
        stats.ks_2samp(old, new, alternative="greater", method="asymp")
        for old, new in zip(x.T, y.T, strict=True)
    )
    p = np.array([test.pvalue for test in tests])
    order = np.argsort(p)
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, len(p) + 1) / len(p))
    chosen = np.zeros(len(p))
    chosen[order[: passed[-1] + 1 if len(passed) else 0]] = 1.0
    return chosen


def _insight_log_surges("""

WRONG_ANSWERS: list[WrongAnswer] = [
    WrongAnswer(_ID, "biggest-change", "sorts by the change in the metric's own unit",
                _ABSOLUTE, "naive"),
    WrongAnswer(_ID, "biggest-quotient", "sorts by the relative change: what was 0 leads",
                _RELATIVE, "naive"),
    WrongAnswer(_ID, "always-five", "the five usual suspects", _CONSTANT, "constant"),
    WrongAnswer(_ID, "always-silent", "never claims anything", _SILENT, "constant"),
    WrongAnswer(_ID, "counts-rows", "number of lines and the busiest services",
                _METADATA, "metadata"),
    WrongAnswer(_ID, "time-of-day", "reads the clock only", _CLOCK, "clock"),
    WrongAnswer(_ID, "users-view", "ranks the services where users feel it: echoes", _USERS_VIEW),
    WrongAnswer(_ID, "above-the-quiet-maximum", "the median over 1.1 times the quiet maximum, no graph",
                _LIMIT.replace("FACTOR", "1.1").replace("LEVEL", "median")),
    WrongAnswer(_ID, "late-above-the-quiet-maximum", "the same, when a fault has surely begun",
                _LIMIT.replace("FACTOR", "1.1").replace(
                    "level = metrics[~quiet].LEVEL()",
                    "level = metrics[~quiet].iloc[(~quiet).sum() // 3 :].median()")),
    WrongAnswer(_ID, "robust-z", "the median over the noise of the quiet minutes, no graph", _ROBUST_Z),
    _mistake("own-size-only", "each signal by itself: echoes stay",
             ("odds += sum(", "odds += 0 * sum(")),
    WrongAnswer(_ID, "new-templates-only", "logs alone, the most frequent new template first",
                _LOGS_ONLY),
    _mistake("never-silent", "no threshold: claims something on a quiet night",
             ("ranked[0][0] > _INSIGHT_THRESHOLD", "ranked")),
    _mistake("columns-by-position", "takes the columns in the order in which they came last time",
             ("names = [tuple(pair) for pair in metrics.columns]",
              "names = [(s, m) for s in shop.SERVICES for m in shop.METRICS]")),
    _mistake("raw-mad", "no floor of the noise: what never moves is infinitely unusual",
             ("noise = np.maximum(noise, [_INSIGHT_SMALLEST[name] for _, name in names])",
              "noise = 1.4826 * np.median(np.abs(x - middle), axis=0) + 1e-9")),
]  # fmt: skip

ALTERNATIVES: list[WrongAnswer] = [
    _mistake("wasserstein", "distance of the distributions in units of noise, as lists",
             (_SHIFT, _WASSERSTEIN), ("best.append(tuple(entry))",
                                      "best.append(list(entry))"),
             kind="alternative"),
    _mistake("ks-benjamini-hochberg", "KS tests with a false discovery rate choose, the size ranks",
             (_SHIFT, _BENJAMINI_HOCHBERG), ("\ndef _insight_log_surges(", _SIGNIFICANT),
             kind="alternative"),
]  # fmt: skip

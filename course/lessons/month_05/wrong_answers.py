"""Wrong answers of month 5 that a real student might give, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_solution, _mistake = _LESSON.solution, _LESSON.mistake

_CHOICE = _solution("actionable")[_solution("actionable").index("def choose_pages") :]
_FIT = _solution("actionable")[: _solution("actionable").index("def choose_pages")]

_BY_GAP = """
def correlate(alerts, calls):
    return (alerts["start"].diff() > pd.Timedelta("12min")).cumsum().tolist()
"""
_BY_SERVICE = """
def correlate(alerts, calls):
    return [int(n) for n in pd.factorize(alerts["service"])[0]]
"""
_PER_SERVICE = """
def pages(alerts, calls):
    last, rows = {}, []
    for row, (start, service) in enumerate(zip(alerts["start"], alerts["service"])):
        if service not in last or start - last[service] > pd.Timedelta("60min"):
            rows.append(row)
        last[service] = start
    return rows
"""
_COUNTED = """
def pages(alerts, calls):
    rows, last = [], None
    for row, start in enumerate(alerts["start"]):
        recent = alerts["start"].iloc[: row + 1] > start - pd.Timedelta("10min")
        if recent.sum() >= 4 and (last is None or start - last > pd.Timedelta("30min")):
            rows.append(row)
            last = start
    return rows
"""
_OFFLINE = """
def pages(alerts, calls):
    near = {frozenset(pair) for pair in calls.to_numpy().tolist()}
    rows, quiet = [], None
    for row, (start, service) in enumerate(zip(alerts["start"], alerts["service"])):
        after = alerts[(alerts["start"] > start) & (alerts["start"] <= start + pd.Timedelta("8min"))]
        company = any(frozenset((service, other)) in near for other in after["service"])
        if company and (quiet is None or start > quiet):
            rows.append(row)
            quiet = start + pd.Timedelta("20min")
    return rows
"""
_EVERY = """
def pages(alerts, calls):
    return list(range(len(alerts)))
"""
_CLOCK = """
def pages(alerts, calls):
    return list(range(0, len(alerts), 20))
"""

WRONG_ANSWERS: list[WrongAnswer] = [
    _mistake("burn-rate", "long window alone", "the brake is missing",
             (' and {ratio(short)} > {limit}"', '"')),
    _mistake("burn-rate", "always 30 days", "burn rates by heart", ("share * days * 24", "share * 720")),
    _mistake("burn-rate", "no sums", "one alert per instance", ('f"sum(rate(', 'f"(rate(')),
    _mistake("burn-rate", "burn rate as threshold", "the budget is forgotten",
             ("/ hours * budget", "/ hours * 0.001")),
    WrongAnswer("burn-rate", "constant", "no rules", """
def burn_rate_rules(document):
    return '{"groups": []}'
""", "constant"),
    _mistake("dedupe", "monitor in the fingerprint", "who saw it is no identity",
             ('alerts.sort_values(["start", "end"])',
              'alerts.assign(alertname=alerts["alertname"] + alerts["source"]).sort_values("start")')),
    _mistake("dedupe", "last end", "a short alert shortens a long one",
             ('max(running["end"], end)', "end")),
    _mistake("dedupe", "no severity", "a page joins a ticket",
             ("ordered.groupby(identity)", 'ordered.assign(severity="page").groupby(identity)')),
    _mistake("dedupe", "unsorted", "trusts the order of rows",
             ('alerts.sort_values(["start", "end"])', "alerts")),
    WrongAnswer("dedupe", "constant", "the first alert of each check", """
def dedupe(alerts, hold):
    keys = ["service", "alertname", "severity"]
    return alerts.groupby(keys).agg(start=("start", "min"), end=("end", "max"),
                                    count=("start", "size")).reset_index()
""", "constant"),
    WrongAnswer("correlate", "gap in time", "the tuned baseline", _BY_GAP, "naive"),
    WrongAnswer("correlate", "by service", "from metadata alone", _BY_SERVICE, "metadata"),
    WrongAnswer("correlate", "one group", "constant", "def correlate(alerts, calls):\n    return [0] * len(alerts)\n", "constant"),
    WrongAnswer("correlate", "blocks of ten", "position only", "def correlate(alerts, calls):\n    return [n // 10 for n in range(len(alerts))]\n", "clock"),
    _mistake("correlate", "graph without time", "everything is connected",
             ("and starts[later] - ends[earlier] <= 15", ""), ("and starts[later] - starts[earlier] <= 8", "")),
    WrongAnswer("actionable", "constant", "the base rate", f"""
def fit_actionable(history, actionable):
    return float(actionable.mean())


def actionable_probability(model, alerts):
    return np.full(len(alerts), model)


{_CHOICE}""", "constant"),
    WrongAnswer("actionable", "rate of the check", "one feature", f"""
def fit_actionable(history, actionable):
    return pd.Series(actionable, history.index).groupby(history["alertname"]).mean()


def actionable_probability(model, alerts):
    return alerts["alertname"].map(model).fillna(0.1).to_numpy(dtype=float)


{_CHOICE}""", "naive"),
    _mistake("actionable", "weighted classes", "spoils the calibration",
             ("max_iter=500", 'max_iter=500, class_weight="balanced"')),
    _mistake("actionable", "by probability", "forgets the cost", ("probability * users", "probability")),
    _mistake("actionable", "clock", "hour alone",
             ('return alerts[["alertname"]].assign(', 'return pd.DataFrame({"alertname": alerts["hour"].astype(str)}).assign('),
             ('np.minimum(alerts["services_alerting"], 4)', "1.0"), ("np.log1p(known / 0.01)", "1.0"),
             ('alerts["user_errors"].isna().astype(float)', "1.0"),
             ('np.log1p(alerts["fired_last_day"])', "1.0"), kind="clock"),
    _mistake("routing", "no continue", "audit swallows the pages", (', "continue": True', "")),
    WrongAnswer("routing", "constant", "everything to catch-all", """
def routing_config(teams):
    return '{"route": {"receiver": "catch-all"}, "receivers": [{"name": "catch-all"}]}'
""", "constant"),
    _mistake("routing", "service is not asked for", "the first team takes all",
             ("""f'service=~"{own}"'""", """'service!=""'""")),
    _mistake("routing", "swapped severities", "pages as tickets",
             ("f\"page-{team}\"", "f\"ticket-{team}\"")),
    WrongAnswer("milestone", "page for everything", "constant", _EVERY, "constant"),
    WrongAnswer("milestone", "every twentieth", "position only", _CLOCK, "clock"),
    WrongAnswer("milestone", "a page per service and hour", "deduplication alone", _PER_SERVICE, "naive"),
    WrongAnswer("milestone", "four alerts in ten minutes", "loses what runs side by side", _COUNTED),
    WrongAnswer("milestone", "waits for what comes", "looks ahead", _OFFLINE),
]  # fmt: skip

ALTERNATIVES: list[WrongAnswer] = [
    _mistake("burn-rate", "operands turned", "the same comparison",
             ("{ratio(long)} > {limit} and {ratio(short)} > {limit}",
              "{limit} < {ratio(short)} and {ratio(long)} > {limit}"), kind="alternative"),
    WrongAnswer("correlate", "sparse graph", "components by SciPy", """
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def correlate(alerts, calls):
    near = {frozenset(pair) for pair in calls.to_numpy().tolist()}
    rows = list(zip(alerts["start"], alerts["end"], alerts["service"]))
    edges = [(j, j) for j in range(len(rows))]
    for j, (start, _, service) in enumerate(rows):
        for i, (begin, end, other) in enumerate(rows[:j]):
            if (service == other and start <= end + pd.Timedelta("10min")) or (
                frozenset((service, other)) in near and start - begin <= pd.Timedelta("7min")):
                edges.append((i, j))
    if not rows:
        return []
    first, second = zip(*edges)
    graph = coo_matrix((np.ones(len(edges)), (first, second)), shape=(len(rows), len(rows)))
    return connected_components(graph, directed=False)[1].tolist()
""", "alternative"),
    _mistake("routing", "old syntax", "match instead of matchers",
             ("""{"matchers": ['severity="page"'], "receiver": "audit\"""",
              """{"match": {"severity": "page"}, "receiver": "audit\""""), kind="alternative"),
    _mistake("actionable", "another regularisation", "a flatter fit",
             ("max_iter=500", "max_iter=500, C=0.5"), kind="alternative"),
    _mistake("milestone", "shorter memory", "other constants",
             ("<= 8 and", "<= 7 and"), ('incident["last"] <= 15', 'incident["last"] <= 18'), kind="alternative"),
]  # fmt: skip

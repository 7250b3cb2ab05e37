"""Wrong answers of month 5 that a real student might give, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_solution, _mistake = _LESSON.solution, _LESSON.mistake

_CHOICE = _solution("actionable")[_solution("actionable").index("def choose_pages") :]

_BY_GAP = """
def correlate(alerts, calls):
    return (alerts["start"].diff() > pd.Timedelta("8min")).cumsum().tolist()
"""
_BY_OVERLAP = """
def correlate(alerts, calls):
    groups, number, last = [], -1, None
    for start, end in zip(alerts["start"], alerts["end"]):
        if last is None or start > last:
            number += 1
        last = end if last is None or start > last else max(last, end)
        groups.append(number)
    return groups
"""
_BY_SERVICE = """
def correlate(alerts, calls):
    return [int(n) for n in pd.factorize(alerts["service"])[0]]
"""
_BY_CHECK = """
def correlate(alerts, calls):
    groups, running = [], {}
    for row, (service, start, end) in enumerate(zip(alerts["service"], alerts["start"], alerts["end"])):
        if service in running and start <= running[service][1] + pd.Timedelta("15min"):
            running[service][1] = max(running[service][1], end)
        else:
            running[service] = [row, end]
        groups.append(running[service][0])
    return groups
"""
_BY_END = """
def correlate(alerts, calls):
    order = np.argsort(alerts["end"].to_numpy(), kind="stable")
    ends = alerts["end"].to_numpy()[order]
    groups = np.zeros(len(alerts), int)
    groups[order[1:]] = (np.diff(ends) > np.timedelta64(5, "m")).cumsum()
    return groups.tolist()
"""
_STRETCHES = """
def correlate(alerts, calls):
    running, stretch, spans = {}, [], []
    for service, start, end in zip(alerts["service"], alerts["start"], alerts["end"]):
        if service in running and start <= spans[running[service]][1] + pd.Timedelta("15min"):
            number = running[service]
            spans[number][1] = max(spans[number][1], end)
        else:
            number = running[service] = len(spans)
            spans.append([start, end])
        stretch.append(number)
    groups, last = {}, None
    for number, (start, end) in enumerate(spans):
        if end - start < pd.Timedelta("20min"):
            groups[number] = number
            continue
        together = last is not None and start - spans[last][0] <= pd.Timedelta("3min")
        groups[number] = groups[last] if together else number
        last = number
    return [groups[number] for number in stretch]
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
_TWO_SERVICES = """
def pages(alerts, calls):
    rows, paged, recent = [], {}, []
    for row, (start, service) in enumerate(zip(alerts["start"], alerts["service"])):
        recent = [one for one in recent if start - one[0] <= pd.Timedelta("6min")] + [(start, service)]
        together = {one[1] for one in recent}
        if len(together) >= 2:
            if service not in paged or start - paged[service] > pd.Timedelta("60min"):
                rows.append(row)
            paged |= dict.fromkeys(together, start)
    return rows
"""
_TWO_CHECKS = """
def pages(alerts, calls):
    rows, seen, last = [], {}, {}
    for row, (start, service, name) in enumerate(
        zip(alerts["start"], alerts["service"], alerts["alertname"])
    ):
        recent = [one for one in seen.get(service, []) if start - one[0] <= pd.Timedelta("10min")]
        seen[service] = [*recent, (start, name)]
        if len({check for _, check in seen[service]}) > 1:
            if service not in last or start - last[service] > pd.Timedelta("60min"):
                rows.append(row)
            last[service] = start
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
_ONE_AT_A_TIME = """
def pages(alerts, calls):
    near = {frozenset(pair) for pair in calls.to_numpy().tolist()}
    rows, last, seen = [], None, []
    for row, (start, service) in enumerate(zip(alerts["start"], alerts["service"])):
        seen = [one for one in seen if start - one[0] <= pd.Timedelta("8min")]
        if any(frozenset((service, other)) in near for _, other in seen):
            if last is None or start - last > pd.Timedelta("20min"):
                rows.append(row)
            last = start
        seen.append((start, service))
    return rows
"""

WRONG_ANSWERS: list[WrongAnswer] = [
    _mistake("burn-rate", "long window alone", "the brake is missing",
             (' and {ratio(short)} > {limit}"', '"')),
    _mistake("burn-rate", "always 30 days", "burn rates by heart", ("share * days * 24", "share * 720")),
    _mistake("burn-rate", "no sums", "one alert per instance", ('f"sum({function}(', 'f"({function}(')),
    _mistake("burn-rate", "one target for all", "the budget of the example", ("/ hours * budget", "/ hours * 0.001")),
    _mistake("burn-rate", "no guard", "one failure pages", ("if min_failures > 0:", "if False:")),
    WrongAnswer("burn-rate", "constant", "no rules", """
def burn_rate_rules(document, min_failures=0):
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
    _mistake("dedupe", "ten minutes by heart", "the hold of the example",
             ('running["end"] + hold', 'running["end"] + pd.Timedelta("10min")')),
    _mistake("dedupe", "from the start", "measures the hold from start to start",
             ('running["end"] = max(running["end"], end)',
              'running["end"], running["last"] = max(running["end"], end), start'),
             ('start > running["end"] + hold', 'start > running["last"] + hold')),
    WrongAnswer("dedupe", "constant", "the first alert of each check", """
def dedupe(alerts, hold):
    keys = ["service", "alertname", "severity"]
    return alerts.groupby(keys).agg(start=("start", "min"), end=("end", "max"),
                                    count=("start", "size")).reset_index()
""", "constant"),
    WrongAnswer("correlate", "gap in time", "the tuned baseline", _BY_GAP, "naive"),
    WrongAnswer("correlate", "overlap in time", "what is on together belongs together", _BY_OVERLAP),
    WrongAnswer("correlate", "gap in the ends", "what is over together belongs together", _BY_END),
    WrongAnswer("correlate", "long stretches that begin together", "the best without the graph", _STRETCHES),
    WrongAnswer("correlate", "by service", "from metadata alone", _BY_SERVICE, "metadata"),
    WrongAnswer("correlate", "service and time", "loses nothing, because it gathers little", _BY_CHECK),
    WrongAnswer("correlate", "one group", "constant", "def correlate(alerts, calls):\n    return [0] * len(alerts)\n", "constant"),
    WrongAnswer("correlate", "each alone", "nothing lost, nothing gathered", "def correlate(alerts, calls):\n    return list(range(len(alerts)))\n", "constant"),
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
    WrongAnswer("actionable", "numbers alone", "leaves the name of the check out", f"""
def _numbers(alerts):
    return alerts[["services_alerting", "user_errors", "fired_last_day"]].fillna(0)


def fit_actionable(history, actionable):
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(_numbers(history), actionable)


def actionable_probability(model, alerts):
    return model.predict_proba(_numbers(alerts))[:, 1]


{_CHOICE}""".replace("\ndef _numbers", "\nfrom sklearn.preprocessing import StandardScaler\n\n\ndef _numbers")),
    WrongAnswer("actionable", "one team's weights", "a formula for all, and the rate of each check", f"""
def _score(alerts):
    known = alerts["user_errors"].fillna(alerts["user_errors"].median())
    told = (1.1 * np.minimum(alerts["services_alerting"] - 1, 3) + 1.6 * np.log1p(known / 0.01)
            - 0.7 * np.log1p(alerts["fired_last_day"]))
    return alerts[["alertname"]].assign(told=told)


def fit_actionable(history, actionable):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["alertname"]), ("passthrough", ["told"]))
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(_score(history), actionable)


def actionable_probability(model, alerts):
    return model.predict_proba(_score(alerts))[:, 1]


{_CHOICE}"""),
    _mistake("actionable", "weighted classes", "spoils the calibration",
             ("max_iter=500", 'max_iter=500, class_weight="balanced"')),
    _mistake("actionable", "by probability", "forgets the cost", ("probability * users", "probability")),
    _mistake("actionable", "clock", "hour alone",
             ('return alerts[["alertname"]].assign(', 'return pd.DataFrame({"alertname": alerts["hour"].astype(str)}).assign('),
             ('np.minimum(alerts["services_alerting"], 4)', "1.0"), ("np.log1p(known / 0.01)", "1.0"),
             ('alerts["user_errors"].isna().astype(float)', "1.0"),
             ('np.log1p(alerts["fired_last_day"])', "1.0"), kind="clock"),
    _mistake("routing", "no continue", "audit swallows the pages", ('"continue": True', '"continue": False')),
    WrongAnswer("routing", "constant", "everything to catch-all", """
def routing_config(teams):
    return '{"route": {"receiver": "catch-all"}, "receivers": [{"name": "catch-all"}]}'
""", "constant"),
    _mistake("routing", "service is not asked for", "the first team takes all",
             ("""f'service=~"{own}"'""", """'service!=""'""")),
    _mistake("routing", "a zone that is not there", "two missing labels are equal",
             (""", 'zone!=""'""", "")),
    _mistake("routing", "inhibition of everything", "equal is forgotten",
             ('"equal": ["service"]', '"equal": []')),
    _mistake("routing", "one grouping for all", "tickets by service",
             ('"group_by": ["alertname"]', '"group_by": ["service"]')),
    _mistake("routing", "tickets at night", "no office hours",
             (',\n             "active_time_intervals": ["office"]', "")),
    _mistake("routing", "pages repeat by default", "four hours instead of one",
             (', "repeat_interval": "1h"', "")),
    _mistake("routing", "tickets repeat by default", "four hours instead of a day",
             (', "repeat_interval": "24h"', "")),
    _mistake("routing", "no wait", "the first alert goes out alone", (', "group_wait": "30s"', "")),
    WrongAnswer("milestone", "page for everything", "constant", """
def pages(alerts, calls):
    return list(range(len(alerts)))
""", "constant"),
    WrongAnswer("milestone", "a page per service and hour", "deduplication alone", _PER_SERVICE, "naive"),
    WrongAnswer("milestone", "four alerts in ten minutes", "loses what runs side by side", _COUNTED),
    WrongAnswer("milestone", "two services in six minutes", "company without the graph", _TWO_SERVICES),
    WrongAnswer("milestone", "two checks of a service", "one service is enough", _TWO_CHECKS),
    WrongAnswer("milestone", "one incident at a time", "a second one is swallowed", _ONE_AT_A_TIME),
    WrongAnswer("milestone", "waits for what comes", "looks ahead", _OFFLINE),
]  # fmt: skip

ALTERNATIVES: list[WrongAnswer] = [
    _mistake("burn-rate", "operands turned", "the same comparison",
             ("{ratio(long)} > {limit} and {ratio(short)} > {limit}",
              "{limit} < {ratio(short)} and {ratio(long)} > {limit}"), kind="alternative"),
    _mistake("burn-rate", "increase by rate", "rate times seconds counts the same",
             ('return summed("increase", "bad", window)',
              'return f"{summed(\'rate\', \'bad\', window)} * {pd.Timedelta(window).total_seconds():.0f}"'),
             kind="alternative"),
    WrongAnswer("dedupe", "running maximum", "without a loop", """
def dedupe(alerts, hold):
    keys = ["service", "alertname", "severity"]
    table = alerts.sort_values(["start", "end"], ignore_index=True)
    latest = table.groupby(keys)["end"].cummax()
    before = latest.groupby([table[key] for key in keys]).shift()
    opens = before.isna() | (table["start"] > before + hold)
    number = opens.groupby([table[key] for key in keys]).cumsum().rename("number")
    joined = table.groupby([*keys, number]).agg(
        start=("start", "min"), end=("end", "max"), count=("start", "size")).reset_index()
    return joined.drop(columns="number").sort_values(["start", *keys], ignore_index=True)
""", "alternative"),
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
    _mistake("correlate", "overlap of neighbours", "one soon for both",
             ("starts[later] - ends[earlier] <= 15", "starts[later] - ends[earlier] <= 5"),
             ("starts[later] - starts[earlier] <= 8", "starts[later] - ends[earlier] <= 5"), kind="alternative"),
    _mistake("routing", "old syntax", "match instead of matchers",
             ("""{"matchers": ['severity="page"'], "receiver": "audit\"""",
              """{"match": {"severity": "page"}, "receiver": "audit\""""),
             kind="alternative"),
    WrongAnswer("routing", "YAML, a route per service", "YAML, nested routes, muted nights", """
def routing_config(teams):
    rows = ["route:", "  receiver: catch-all", "  group_wait: 1m", "  group_interval: 5m", "  routes:",
            '    - {matchers: [severity="page"], receiver: audit, group_by: ["..."], group_wait: 0s, continue: true}']
    for service, team in teams.items():
        rows += [f"    - matchers: [service=\\"{service}\\", severity=~\\"page|ticket\\"]",
                 f"      receiver: page-{team}", "      routes:",
                 f"        - {{matchers: [severity=\\"page\\"], receiver: page-{team}, group_by: [service], group_wait: 30s, repeat_interval: 1h}}"]
    for team in sorted(set(teams.values())):
        own = "|".join(s for s in teams if teams[s] == team)
        rows.insert(5, f"    - {{matchers: [severity=\\"ticket\\", service=~\\"{own}\\"], receiver: ticket-{team}, group_by: [alertname], group_wait: 5m, repeat_interval: 24h, mute_time_intervals: [nights]}}")
    rows.append("    - {receiver: catch-all}")
    rows += ["receivers:", *[f"  - {{name: {kind}-{team}}}" for team in sorted(set(teams.values())) for kind in ("page", "ticket")],
             "  - {name: audit}", "  - {name: catch-all}", "time_intervals:", "  - name: nights", "    time_intervals:",
             '      - {weekdays: ["saturday", "sunday"]}', "      - times: [{start_time: '00:00', end_time: '09:00'}, {start_time: '17:00', end_time: '24:00'}]",
             "inhibit_rules:",
             '  - {source_matchers: [severity="page"], target_matchers: [severity="ticket"], equal: [service]}',
             '  - {source_matchers: [alertname="ZoneDown"], target_matchers: [\\'zone=~".+"\\', alertname!="ZoneDown"], equal: [zone]}']
    return "\\n".join(rows)
""", "alternative"),
    _mistake("actionable", "another regularisation", "a flatter fit",
             ("max_iter=500", "max_iter=500, C=0.5"), kind="alternative"),
    WrongAnswer("actionable", "as they are", "no logarithms: numbers standardised, no more", f"""
_NUMBERS = ["services_alerting", "user_errors", "fired_last_day"]


def fit_actionable(history, actionable):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["alertname"]), (StandardScaler(), _NUMBERS))
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(
        history.fillna({{"user_errors": 0.01}}), actionable)


def actionable_probability(model, alerts):
    return model.predict_proba(alerts.fillna({{"user_errors": 0.01}}))[:, 1]


{_CHOICE}""".replace("\n_NUMBERS", "\nfrom sklearn.preprocessing import StandardScaler\n\n_NUMBERS"), "alternative"),
    WrongAnswer("actionable", "boosted trees", "no hand-made features", f"""
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OrdinalEncoder

_COLUMNS = ["services_alerting", "user_errors", "fired_last_day"]


def fit_actionable(history, actionable):
    names = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    first = make_column_transformer((names, ["alertname"]), ("passthrough", _COLUMNS))
    trees = HistGradientBoostingClassifier(
        max_depth=3, max_iter=80, learning_rate=0.08, categorical_features=[0], random_state=0)
    return make_pipeline(first, trees).fit(history, actionable)


def actionable_probability(model, alerts):
    return model.predict_proba(alerts)[:, 1]


{_CHOICE}""", "alternative"),
    _mistake("milestone", "shorter memory", "other constants",
             ("<= 8 and", "<= 7 and"), ('incident["last"] <= 15', 'incident["last"] <= 18'), kind="alternative"),
    WrongAnswer("milestone", "quiet neighbourhood", "pages a pair where nothing near was paged of late", """
def pages(alerts, calls):
    near = {}
    for a, b in calls.to_numpy().tolist():
        near.setdefault(a, {a}).add(b)
        near.setdefault(b, {b}).add(a)
    rows, seen, last = [], [], {}
    for row, (start, service) in enumerate(zip(alerts["start"], alerts["service"])):
        around = near.get(service, {service})
        seen = [one for one in seen if start - one[0] <= pd.Timedelta("8min")]
        company = {other for _, other in seen if other in around and other != service}
        if company:
            if all(other not in last or start - last[other] > pd.Timedelta("20min") for other in around):
                rows.append(row)
            last |= dict.fromkeys({service, *company}, start)
        seen.append((start, service))
    return rows
""", "alternative"),
]  # fmt: skip

"""Wrong answers of month 6 that a real student might give, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_solution, _mistake = _LESSON.solution, _LESSON.mistake

_SCORES = _solution("robust-score")
_SETS = _solution("backdoor")
_OCHIAI = _solution("ochiai")[: _solution("ochiai").index("def localise_spans")]
_AVERAGE = """
def average_accuracy(cases, k=5):
    if not cases:
        return float("nan"), float("nan")
    reached = [accuracy_at(s, c, j) for s, c in cases for j in range(1, k + 1)]
    chance = [accuracy_at(pd.Series(0.0, s.index), c, j) for s, c in cases for j in range(1, k + 1)]
    return float(np.mean(reached)), float(np.mean(chance))
"""
_ROBUST_CULPRIT = """
def diagnose(metrics, logs, spans, changes, calls, since):
    quiet, later = metrics[metrics.index < since], metrics[metrics.index >= since]
    low, middle, high = (quiet.quantile(q) for q in (0.25, 0.5, 0.75))
    z = (later - middle).abs().max() / (high - low + 0.05 * middle.abs()).replace(0, np.nan)
    scores = z.groupby(level=0).max().fillna(0.0).sort_values(ascending=False)
    if scores.iloc[0] < LIMIT:
        return [], []
    up = {}
    for caller, callee, waits in zip(calls["caller"], calls["callee"], calls["waits"]):
        if waits:
            up.setdefault(callee, caller)
    path = [scores.index[0]]
    while path[-1] in up:
        path.append(up[path[-1]])
    return list(scores.index[:5]), path
"""
_ERRORS = """
def localise_spans(spans, since):
    late = spans[(spans["start"] >= since) & (spans["status"] == "ERROR")]
    return late.groupby("service").size().astype(float)
"""
_PLAIN = """
def localise_spans(spans, since):
    begin = spans.groupby("trace_id")["start"].transform("min")
    roots = spans[spans["parent_span_id"] == ""].set_index("trace_id")
    limit = roots.loc[roots["start"] < since, "duration_ms"].quantile(0.95)
    late = spans[begin >= since]
    failed = (roots["status"] == "ERROR") | (roots["duration_ms"] > limit)
    covered = pd.crosstab(late["trace_id"], late["service"]) > 0
    return ochiai(covered, failed.reindex(covered.index, fill_value=False))
"""
_DURATION = """
def localise_spans(spans, since):
    late = spans["start"] >= since
    after = spans[late].groupby("service")["duration_ms"].mean()
    return (after - spans[~late].groupby("service")["duration_ms"].mean()).astype(float)
"""
_OWN_SHIFT = """
def localise_spans(spans, since):
    own = own_parts(spans)
    late = (own["start"] >= since).to_numpy()
    scores = {}
    for name, rows in own.assign(log=np.log(own["own_ms"].clip(lower=0.05)), late=late).groupby("service"):
        old, new = rows[~rows["late"]], rows[rows["late"]]
        if len(old) < 3 or len(new) < 3:
            continue
        slow = (new["log"].mean() - old["log"].mean()) / (
            max(old["log"].std(), 0.2) * np.sqrt(1 / len(old) + 1 / len(new)))
        expected = (old["own_error"].sum() + 0.5) * len(new) / (len(old) + 20)
        failing = (new["own_error"].sum() - expected) / np.sqrt(2 * expected + 0.5)
        scores[name] = max(slow, failing)
    return pd.Series(scores, dtype=float)
"""

_NETWORKX_CANDIDATES = """
def causal_graph(calls):
    graph = nx.DiGraph()
    graph.add_nodes_from([*calls["caller"], *calls["callee"]])
    kept = calls[calls["waits"] & (calls["caller"] != calls["callee"])]
    graph.add_edges_from(zip(kept["callee"], kept["caller"]))
    return {name: sorted(graph.successors(name)) for name in graph}


def candidates(calls, symptoms):
    graph = nx.DiGraph(causal_graph(calls))
    graph.add_nodes_from(symptoms)
    away = {name: nx.single_source_shortest_path_length(graph, name) for name in graph}
    far = {name: max(steps[s] for s in symptoms) for name, steps in away.items() if symptoms and all(s in steps for s in symptoms)}
    return sorted(far, key=lambda name: (far[name], name))
"""
_COLUMN_BY_COLUMN = """
def robust_scores(metrics, since):
    best = {}
    for service, metric in metrics.columns:
        column = metrics[(service, metric)]
        old, new = column[column.index < since].dropna(), column[column.index >= since].dropna()
        best.setdefault(service, 0.0)
        if old.empty or new.empty:
            continue
        below = np.subtract(*np.percentile(old, [75, 25])) + 0.05 * abs(np.median(old))
        if below > 0:
            best[service] = max(best[service], max(new.max() - np.median(old), np.median(old) - new.min()) / below)
    return pd.Series({name: float(best[name]) for name in sorted(best)}, dtype=float)


def accuracy_at(scores, cause, k):
    if cause not in scores:
        return 0.0
    ranks = scores.rank(ascending=False, na_option="bottom", method="min")
    first = ranks[cause]
    last = first + (ranks == first).sum() - 1
    return float(np.clip((k - first + 1) / (last - first + 1), 0, 1))


def average_accuracy(cases, k=5):
    if len(cases) == 0:
        return np.nan, np.nan
    mine = np.mean([[accuracy_at(s, c, j + 1) for j in range(k)] for s, c in cases])
    lot = np.mean([[min(1, (j + 1) / len(s)) if c in s else 0 for j in range(k)] for s, c in cases])
    return float(mine), float(lot)
"""
_D_SEPARATOR = """
def adjustment_set(edges, treatment, outcome, observed):
    graph = nx.DiGraph(edges)
    graph.add_nodes_from([treatment, outcome, *observed])
    back = graph.copy()
    back.remove_edges_from(list(graph.out_edges(treatment)))
    usable = set(observed) - nx.descendants(graph, treatment) - {treatment, outcome}
    for size in range(len(usable) + 1):
        for chosen in combinations(sorted(usable), size):
            if nx.is_d_separator(back, {treatment}, {outcome}, set(chosen)):
                return list(chosen)
    return None


def causal_effect(frame, edges, treatment, outcome):
    chosen = adjustment_set(edges, treatment, outcome, list(frame.columns))
    if chosen is None:
        return float("nan")
    # Frisch, Waugh and Lovell: take the chosen out of both, then a slope.
    z = np.column_stack([frame[chosen], np.ones(len(frame))])
    left = [frame[name] - z @ np.linalg.lstsq(z, frame[name], rcond=None)[0] for name in (treatment, outcome)]
    return float((left[0] @ left[1]) / (left[0] @ left[0]))
"""
_FALLEN_LEAVES = """
def localise_drop(table, dimensions):
    fallen = 1 - table["actual"] / table["expected"] > 0.145
    best, cause = 0.62, {}
    for size in (1, 2, 3):
        for names in combinations(dimensions, size):
            groups = fallen.groupby([table[name] for name in names])
            hit, inside = groups.sum(), groups.size()
            f1 = (2 * hit / (inside + fallen.sum()))[(inside >= 2) & (inside < len(table))]
            if len(f1) and f1.max() > best + 0.01:
                best, key = f1.max(), f1.idxmax()
                cause = dict(zip(names, map(str, key if isinstance(key, tuple) else (key,))))
    return cause
"""
_CHANGES_NETWORKX = """
def rank_changes(changes, calls, symptoms, onset, window, slack):
    kept = calls[calls["waits"]]
    graph = nx.DiGraph(list(zip(kept["caller"], kept["callee"])))
    graph.add_nodes_from([*calls["caller"], *calls["callee"], *symptoms])
    away = [nx.single_source_shortest_path_length(graph, symptom) for symptom in symptoms]
    table = changes.reset_index(drop=True)
    table = table[table["kind"].isin(["deploy", "config", "flag"])]
    table = table[table["time"].between(onset - window, onset + slack)]
    table = table[[bool(away) and all(name in steps for steps in away) for name in table["service"]]]
    table = table.assign(gap=(table["time"] - onset).abs(), row=table.index,
                         steps=[max(steps[name] for steps in away) for name in table["service"]])
    return [int(row) for row in table.sort_values(["gap", "steps", "row"])["row"]]
"""

WRONG_ANSWERS: list[WrongAnswer] = [
    WrongAnswer("candidates", "constant", "nobody harms anybody, everybody is a candidate", """
def causal_graph(calls):
    return {name: [] for name in [*calls["caller"], *calls["callee"]]}


def candidates(calls, symptoms):
    return sorted({*calls["caller"], *calls["callee"]})
""", "constant"),
    WrongAnswer("candidates", "the symptoms", "who is in trouble is to blame", """
def causal_graph(calls):
    return {name: sorted(set(rows["callee"])) for name, rows in calls.groupby("caller")}


def candidates(calls, symptoms):
    return sorted(symptoms)
""", "metadata"),
    WrongAnswer("candidates", "call graph as it is", "latency travels down", """
def causal_graph(calls):
    harms = {name: set() for name in [*calls["caller"], *calls["callee"]]}
    for caller, callee, waits in zip(calls["caller"], calls["callee"], calls["waits"]):
        if waits and caller != callee:
            harms[caller].add(callee)
    return {name: sorted(others) for name, others in harms.items()}


""" + _solution("candidates")[_solution("candidates").index("def candidates"):]),
    _mistake("candidates", "messages as calls", "the sender of a message waits, too",
             ("if waits and caller != callee", "if caller != callee")),
    _mistake("candidates", "union, no cut of loops", "any symptom will do, and a call to oneself counts",
             ("set.intersection", "set.union"), ("max(steps[name]", "max(steps.get(name, 0)"),
             ("if waits and caller != callee", "if waits")),
    WrongAnswer("robust-score", "constant", "no score at all", """
def robust_scores(metrics, since):
    return pd.Series(0.0, sorted(set(metrics.columns.get_level_values(0))))


def accuracy_at(scores, cause, k):
    return 1.0


def average_accuracy(cases, k=5):
    return 1.0, 0.2
""", "constant"),
    WrongAnswer("robust-score", "z-score and first come", "mean and deviation; ties by the order of columns", """
def robust_scores(metrics, since):
    quiet, later = metrics[metrics.index < since], metrics[metrics.index >= since]
    z = (later - quiet.mean()).abs().max() / quiet.std()
    return z.replace(np.inf, np.nan).groupby(level=0).max().fillna(0.0)


def accuracy_at(scores, cause, k):
    order = scores.sort_values(ascending=False, kind="stable").index
    return float(cause in order[:k])

""" + _AVERAGE),
    WrongAnswer("robust-score", "ties all win", "an equal score counts as found, MAD in place of the IQR", """
def robust_scores(metrics, since):
    quiet, later = metrics[metrics.index < since], metrics[metrics.index >= since]
    middle = quiet.median()
    scale = 1.4826 * (quiet - middle).abs().median() + 0.05 * middle.abs()
    z = (later - middle).abs().max() / scale.where(scale > 0)
    return z.groupby(level=0).max().fillna(0.0).sort_index()


def accuracy_at(scores, cause, k):
    return float(cause in scores.index and (scores > scores[cause]).sum() < k)

""" + _AVERAGE),
    WrongAnswer("robust-score", "by the names", "from metadata alone", """
def robust_scores(metrics, since):
    return metrics.columns.get_level_values(0).value_counts().sort_index().astype(float)


def accuracy_at(scores, cause, k):
    return min(1.0, k / len(scores)) if cause in scores.index else 0.0

""" + _AVERAGE, "metadata"),
    WrongAnswer("backdoor", "constant", "nothing needs adjusting", """
def adjustment_set(edges, treatment, outcome, observed):
    return []


def causal_effect(frame, edges, treatment, outcome):
    return float(np.cov(frame[treatment], frame[outcome])[0, 1] / frame[treatment].var())
""", "naive"),
    WrongAnswer("backdoor", "never", "says that it can't be done", """
def adjustment_set(edges, treatment, outcome, observed):
    return None


def causal_effect(frame, edges, treatment, outcome):
    return float("nan")
""", "constant"),
    WrongAnswer("backdoor", "everything", "adjusts for all that was observed", """
def adjustment_set(edges, treatment, outcome, observed):
    return [name for name in observed if name not in (treatment, outcome)]


def causal_effect(frame, edges, treatment, outcome):
    chosen = adjustment_set(edges, treatment, outcome, list(frame.columns))
    design = np.column_stack([frame[[treatment, *chosen]], np.ones(len(frame))])
    return float(np.linalg.lstsq(design, frame[outcome], rcond=None)[0][0])
"""),
    WrongAnswer("backdoor", "observed parents", "hidden parents are forgotten, and the smallest set is not sought", """
def adjustment_set(edges, treatment, outcome, observed):
    return [cause for cause, effect in edges if effect == treatment and cause in observed]


def causal_effect(frame, edges, treatment, outcome):
    chosen = adjustment_set(edges, treatment, outcome, list(frame.columns))
    design = np.column_stack([frame[[treatment, *chosen]], np.ones(len(frame))])
    return float(np.linalg.lstsq(design, frame[outcome], rcond=None)[0][0])
"""),
    WrongAnswer("ochiai", "constant", "nobody is suspect", _OCHIAI + """
def localise_spans(spans, since):
    return pd.Series(0.0, sorted(set(spans["service"])))
""", "constant"),
    WrongAnswer("ochiai", "number of spans", "from metadata alone", _OCHIAI + """
def localise_spans(spans, since):
    return spans["service"].value_counts().astype(float)
""", "metadata"),
    WrongAnswer("ochiai", "visited services", "the formula taken literally", _OCHIAI + _PLAIN, "naive"),
    WrongAnswer("ochiai", "failed spans", "callers fail as often", _OCHIAI + _ERRORS),
    WrongAnswer("ochiai", "whole durations", "the time of what was called counts for the caller", _OCHIAI + _DURATION),
    WrongAnswer("revenue", "constant", "nothing is wrong", """
def localise_drop(table, dimensions):
    return {}
""", "constant"),
    WrongAnswer("revenue", "first slice", "from metadata alone", """
def localise_drop(table, dimensions):
    return {dimensions[0]: str(table[dimensions[0]].iloc[0])}
""", "metadata"),
    WrongAnswer("revenue", "largest loss", "one dimension at a time, by the money lost", """
def localise_drop(table, dimensions):
    lost = table["expected"] - table["actual"]
    if lost.sum() < 0.02 * table["expected"].sum():
        return {}
    found = [(sums.max(), name, sums.idxmax()) for name in dimensions for sums in [lost.groupby(table[name]).sum()]]
    _, name, value = max(found)
    return {name: value}
""", "naive"),
    WrongAnswer("revenue", "largest share", "the slice with the deepest fall, however small", """
def localise_drop(table, dimensions):
    best, cause = 0.15, {}
    for size in range(1, len(dimensions) + 1):
        for names in combinations(dimensions, size):
            sums = table.groupby(list(names))[["expected", "actual"]].sum()
            fall = 1 - sums["actual"] / sums["expected"]
            if fall.max() > best:
                best, key = fall.max(), fall.idxmax()
                key = key if isinstance(key, tuple) else (key,)
                cause = dict(zip(names, map(str, key)))
    return cause
"""),
    WrongAnswer("revenue", "step by step", "goes down into the slice that loses most money, while it explains most", """
def localise_drop(table, dimensions):
    lost, cause, rows = table["expected"] - table["actual"], {}, table
    if lost.sum() < 0.02 * table["expected"].sum():
        return {}
    for _ in dimensions[:-1]:
        found = [(lost[rows.index].groupby(rows[name]).sum(), name) for name in dimensions if name not in cause]
        sums, name = max(found, key=lambda pair: pair[0].max())
        if sums.max() < 0.5 * lost[rows.index].sum():
            break
        cause[name] = str(sums.idxmax())
        rows = rows[rows[name] == cause[name]]
    return cause
"""),
    WrongAnswer("changes", "constant", "no change is suspect", """
def rank_changes(changes, calls, symptoms, onset, window, slack):
    return []
""", "constant"),
    WrongAnswer("changes", "the last one", "whatever came last before the onset", """
def rank_changes(changes, calls, symptoms, onset, window, slack):
    near = [(onset - t, n) for n, t in enumerate(changes["time"]) if onset - window <= t <= onset + slack]
    return [n for _, n in sorted(near)]
""", "metadata"),
    _mistake("changes", "the autoscaler did it", "a reaction taken for a cause",
             ('kind in ("deploy", "config", "flag")', "True")),
    _mistake("changes", "no slack", "nothing after the onset", ("<= onset + slack", "<= onset")),
    _mistake("changes", "upside down", "follows the load", ("setdefault(caller, set()).add(callee)", "setdefault(callee, set()).add(caller)")),
    _mistake("changes", "newest first", "the sign of the distance", ("abs(onset - time)", "onset - time")),
    WrongAnswer("milestone", "constant", "nothing is ever wrong", """
def diagnose(metrics, logs, spans, changes, calls, since):
    return [], []
""", "constant"),
    WrongAnswer("milestone", "whoever was released", "from the change log alone", """
def diagnose(metrics, logs, spans, changes, calls, since):
    late = changes[changes["time"] >= since]
    return (list(dict.fromkeys(late["service"]))[:5], []) if len(late) else ([], [])
""", "metadata"),
    WrongAnswer("milestone", "robust score", "the score of exercise 2 with a tuned threshold",
                _ROBUST_CULPRIT.replace("LIMIT", "12"), "naive"),
    WrongAnswer("milestone", "a culprit at any price", "the same without a threshold",
                _ROBUST_CULPRIT.replace("LIMIT", "0")),
    _mistake("milestone", "never silent", "no threshold", ("_RCA_THRESHOLD = 4.8", "_RCA_THRESHOLD = 0.0")),
]  # fmt: skip

ALTERNATIVES: list[WrongAnswer] = [
    WrongAnswer("candidates", "networkx", "shortest paths from every service", _NETWORKX_CANDIDATES, "alternative"),
    WrongAnswer("robust-score", "column by column", "NumPy for the scores, ranks for the ties", _COLUMN_BY_COLUMN,
                "alternative"),
    WrongAnswer("backdoor", "networkx", "its d-separation, and the slope of residuals", _D_SEPARATOR, "alternative"),
    WrongAnswer("revenue", "fallen leaves", "a threshold on leaves, then the slice that agrees best", _FALLEN_LEAVES,
                "alternative"),
    WrongAnswer("changes", "networkx", "filters and one sort of a table", _CHANGES_NETWORKX, "alternative"),
    WrongAnswer("backdoor", "ancestors", "the same sets, looked for among all observed variables", _SETS.replace(
        "np.linalg.lstsq(design, frame[outcome].to_numpy(), rcond=None)[0][0]",
        "np.linalg.pinv(design)[0] @ frame[outcome].to_numpy()"), "alternative"),
    WrongAnswer("ochiai", "own time and errors", "shift of own time and surge of own errors, no spectrum",
                _OCHIAI + _OWN_SHIFT, "alternative"),
    _mistake("milestone", "other constants", "sum of the two best, another threshold",
             ("_RCA_THRESHOLD = 4.8", "_RCA_THRESHOLD = 4.5"), ("0.3 * max(second", "0.6 * max(second"),
             kind="alternative"),
]  # fmt: skip

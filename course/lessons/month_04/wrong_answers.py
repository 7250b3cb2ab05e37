"""Wrong answers of month 4 that a real student might give, and right ones written another way.

Most are the reference solution with one mistake: `_mistake` takes the solution cell from the
lesson and changes a fragment of it, so they can't fall behind the lesson.
"""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_solution, _mistake = _LESSON.solution, _LESSON.mistake

# ---------------------------------------------------------------- exercise 1

_ROWS = """
from sklearn.model_selection import TimeSeriesSplit


def lag_features(metrics, *, lags=(5, 15), windows=(10, 60), min_share=0.5):
    found = {}
    for name in metrics:
        for lag in lags:
            found[f"{name}_lag{lag}"] = metrics[name].shift(lag)
        for window in windows:
            mean = metrics[name].rolling(window, min_periods=max(int(min_share * window), 1)).mean()
            found[f"{name}_mean{window}"] = mean
            found[f"{name}_rise{window}"] = metrics[name] - mean
    return pd.DataFrame(found)


def time_folds(times, sessions, *, n_folds=4, horizon="15min"):
    order = np.argsort(times, kind="stable")
    return [(np.sort(order[train]), np.sort(order[test]))
            for train, test in TimeSeriesSplit(n_folds).split(order)]
"""

_NOTHING_KNOWN = """
def lag_features(metrics, *, lags=(5, 15), windows=(10, 60), min_share=0.5):
    names = [f"{c}_lag{n}" for c in metrics for n in lags]
    names += [f"{c}_{part}{n}" for c in metrics for n in windows for part in ("mean", "rise")]
    return pd.DataFrame(np.nan, index=metrics.index, columns=names)


def time_folds(times, sessions, *, n_folds=4, horizon="15min"):
    edges = np.array_split(np.arange(len(times)), n_folds + 1)
    return [(np.arange(block[0]), block) for block in edges[1:]]
"""

_LOOP_OF_MINUTES = """
def lag_features(metrics, *, lags=(5, 15), windows=(10, 60), min_share=0.5):
    every = pd.date_range(metrics.index[0], metrics.index[-1], freq="min")
    grid = metrics.reindex(every).astype(float)
    parts = {}
    for name in metrics:
        for lag in lags:
            parts[f"{name}_lag{lag}"] = grid[name].shift(lag)
        for window in windows:
            sums = [grid[name].shift(step) for step in range(window)]
            stacked = np.column_stack(sums)
            there = (~np.isnan(stacked)).sum(axis=1)
            mean = np.nansum(stacked, axis=1) / np.maximum(there, 1)
            mean[(there < min_share * window) | (there == 0)] = np.nan
            parts[f"{name}_mean{window}"] = mean
            parts[f"{name}_rise{window}"] = grid[name] - mean
    return pd.DataFrame(parts, every).loc[metrics.index]


def time_folds(times, sessions, *, n_folds=4, horizon="15min"):
    table = pd.DataFrame({"time": times, "session": sessions})
    blocks = np.array_split(np.unique(table["time"].to_numpy()), n_folds + 1)
    pairs = []
    for block in blocks[1:]:
        test = table["time"].isin(block)
        seen = set(table.loc[test, "session"]) - {-1}
        train = (table["time"] < block[0] - pd.Timedelta(horizon)) & ~table["session"].isin(seen)
        pairs.append((np.flatnonzero(train), np.flatnonzero(test)))
    return pairs
"""

_LEAK_FREE = [
    WrongAnswer("leak-free", "rows for minutes", "shift, rolling and TimeSeriesSplit count rows",
                _ROWS, "naive"),
    WrongAnswer("leak-free", "nothing known", "Features that are always missing, folds by position",
                _NOTHING_KNOWN, "constant"),
    _mistake("leak-free", "centred windows", "A window that looks ahead",
             ('.rolling(f"{window}min", min_periods=1)',
              '.rolling(f"{window}min", min_periods=1, center=True)')),
    _mistake("leak-free", "thin means", "A mean of three of sixty minutes passes for an hour",
             (".where(enough)", "")),
    _mistake("leak-free", "nearest earlier sample", "A lag that falls into a gap takes what is there",
             ("metrics.reindex(metrics.index - pd.Timedelta(minutes=lag))",
              'metrics.reindex(metrics.index - pd.Timedelta(minutes=lag), method="ffill")')),
    _mistake("leak-free", "sessions torn", "A session stays on both sides of the seam",
             ("known & ~np.isin(sessions, shared)", "known")),
    _mistake("leak-free", "no purge", "The horizon of the labels reaches into the test block",
             ("times + pd.Timedelta(horizon) < block[0]", "times < block[0]")),
    _mistake("leak-free", "none is a session", "Rows without a session go as if they were one",
             ("np.setdiff1d(sessions[inside], [-1])", "np.unique(sessions[inside])")),
    _mistake("leak-free", "future trains as well", "Cross-validation with all other blocks",
             ("known = np.asarray(times + pd.Timedelta(horizon) < block[0])", "known = ~inside")),
    WrongAnswer("leak-free", "a grid of all minutes", "Reindexed to every minute, then rows",
                _LOOP_OF_MINUTES, "alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- exercise 2

_DRAIN3 = """
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig


def mine(messages, *, prefix=2, similarity=0.5):
    settings = TemplateMinerConfig()
    settings.drain_sim_th, settings.drain_depth = similarity, prefix + 3
    miner = TemplateMiner(config=settings)
    numbers = [miner.add_log_message(message)["cluster_id"] for message in messages]
    texts = {cluster.cluster_id: cluster.get_template() for cluster in miner.drain.clusters}
    return pd.DataFrame({"group": [n - 1 for n in numbers],
                         "template": [texts.get(n, "") for n in numbers]})


def parse(messages):
    import re

    masked = [re.sub(r'"[^"]*"|\\[[^\\]]*\\]|[^\\s=(),]*\\d[^\\s=(),]*', "<*>", m) for m in messages]
    return mine(masked, prefix=2, similarity=0.65)["group"].tolist()
"""

_EVERY_LINE = """
def mine(messages, *, prefix=2, similarity=0.5):
    return pd.DataFrame({"group": range(len(messages)), "template": messages})


def parse(messages):
    return list(range(len(messages)))
"""

_LENGTHS = """
def mine(messages, *, prefix=2, similarity=0.5):
    lengths = [len(message.split()) for message in messages]
    return pd.DataFrame({"group": pd.factorize(np.array(lengths))[0],
                         "template": ["<*>"] * len(messages)})


def parse(messages):
    return [len(message.split()) for message in messages]
"""

_TEMPLATES_MINE = _solution("templates")[: _solution("templates").index("def parse")]

_OPENINGS = f"""
{_TEMPLATES_MINE}

def parse(messages):
    import re

    masked = [re.sub(r'"[^"]*"|\\[[^\\]]*\\]|\\S*\\d\\S*', "<*>", message) for message in messages]
    return [" ".join(line.split()[:2]) + str(len(line.split())) for line in masked]
"""

_MASKS_ONLY = f"""
{_TEMPLATES_MINE}

def parse(messages):
    import re

    return [re.sub(r'"[^"]*"|\\[[^\\]]*\\]|\\S*\\d\\S*', "<*>", message) for message in messages]
"""

_GLUED = r'later = ["<*>" if re.search(r"<\*>|\d", word) else word for word in words[2:]]'

_TEMPLATES = [
    WrongAnswer("templates", "the library as it is", "drain3 follows other rules", _DRAIN3, "naive"),
    WrongAnswer("templates", "every line alone", "No grouping at all", _EVERY_LINE, "constant"),
    WrongAnswer("templates", "by length", "Lines of as many words are one", _LENGTHS, "metadata"),
    _mistake("templates", "divided by all words", "The similarity of Drain's paper",
             ("share = same / born[group] if born[group] else 1.0",
              "share = same / max(len(words), 1)")),
    _mistake("templates", "the last group wins", "Of equally similar groups the newest",
             ("share > highest", "share >= highest")),
    _mistake("templates", "erodes", "The share of the words that are left, not of those it began with",
             ("born[group] else 1.0", 'born[group] and any(a != "<*>" for a in templates[group]) else 1.0'),
             ("same / born[group]", 'same / sum(a != "<*>" for a in templates[group])')),
    WrongAnswer("templates", "first words and length", "mine is right, parse takes the opening for it",
                _OPENINGS, "naive"),
    WrongAnswer("templates", "masks only", "mine is right, but parse does without it", _MASKS_ONLY,
                "naive"),
    _mistake("templates", "default similarity", "Siblings of one opening are merged",
             ("similarity=0.65)", "similarity=0.5)"), (_GLUED, "later = words[2:]")),
    _mistake("templates", "no masks", "Lists and quotes change the number of words",
             ('pattern.sub("<*>", line)', "line")),
    _mistake("templates", "higher similarity", "What is glued to a parameter stays, and counts",
             (_GLUED, "later = words[2:]"), ("similarity=0.65)", "similarity=0.75)"),
             kind="alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- exercise 3

_FOREST = """
def fit_classifier(windows, kinds):
    def table(windows):
        {table}

    return table, {model}.fit(table(windows), kinds)


def classify(model, windows):
    return [str(kind) for kind in model[1].predict(model[0](windows))]
"""
_STACK = (
    "v = np.stack([w[list(shop.METRICS)].ffill().bfill().fillna(0).to_numpy() for w in windows])"
)
_TREES = "RandomForestClassifier(100, random_state=0)"

_LEVELS = _FOREST.format(
    table=f"{_STACK}\n        return np.hstack([v[:, -15:].mean(axis=1), v[:, -15:].std(axis=1), "
    "v[:, :45].mean(axis=1)])",
    model=_TREES,
)
_MEAN_AND_STD = _FOREST.format(
    table=f"{_STACK}\n        return np.hstack([v.mean(axis=1), v.std(axis=1)])", model=_TREES
)
_RAW_WINDOWS = _FOREST.format(table=f"{_STACK}\n        return v.reshape(len(v), -1)", model=_TREES)
_BY_CLOCK = _FOREST.format(
    table="return np.array([[len(w), w.index[0].hour, w.index[0].day_of_week, w.isna().sum().sum()] "
    "for w in windows])",
    model=_TREES,
)
_ONE_KIND = """
def fit_classifier(windows, kinds):
    return pd.Series(kinds).mode()[0]


def classify(model, windows):
    return [model] * len(windows)
"""
_IN_COMPANY = _FOREST.format(
    table=f"{_STACK}\n        z = (v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1)) / "
    "(v[:, :45].std(axis=1) + 1e-6)\n        return (z - z.mean(axis=0)) / z.std(axis=0)",
    model=_TREES,
)
_DIFFERENCES = _FOREST.format(
    table=f"{_STACK}\n        return np.hstack([v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1), "
    "v[:, -15:].std(axis=1)])",
    model=_TREES,
)
_SIMULATED = """
from functools import cache

from course.shop.cases import elsewhere, incident_cases

EVERYWHERE = ["checkout", "payment", "account", "inventory", "storefront", "search", "catalog",
              "recommendation", "cart", "pricing", "shipping"]


def table(windows):
    v = np.stack([w[list(shop.METRICS)].ffill().bfill().fillna(0).to_numpy() for w in windows])
    return np.hstack([v[:, -15:].mean(axis=1), v[:, -15:].std(axis=1), v[:, :45].mean(axis=1)])


@cache
def learned():
    shops = ["cpu_saturation", "memory_leak", "pool_exhaustion", "network_delay", "network_loss",
             "noisy_neighbour", "surge"]
    own = incident_cases(210, 1, services=EVERYWHERE, kinds=shops, severity=(0.25, 0.8))
    own = elsewhere(own, 2)
    forest = RandomForestClassifier(100, random_state=0)
    return forest.fit(table([case.metrics for case in own]), [case.kind for case in own])


def fit_classifier(windows, kinds):
    second = RandomForestClassifier(100, random_state=0)
    return second.fit(learned().predict_proba(table(windows)), kinds)


def classify(model, windows):
    return [str(kind) for kind in model.predict(learned().predict_proba(table(windows)))]
"""
_PRACTICE = """
def fit_classifier(windows, kinds):
    def table(windows):
        v = np.stack([w.ffill().bfill().to_numpy() for w in windows])
        return np.hstack([v[:, -15:].mean(axis=1), v[:, -15:].std(axis=1), v[:, :45].mean(axis=1)])

    more = [case.metrics for case in strange]
    labels = [*kinds, *[case.kind for case in strange]]
    forest = RandomForestClassifier(200, random_state=0)
    return table, forest.fit(table([*windows, *more]), labels)


def classify(model, windows):
    return [str(kind) for kind in model[1].predict(model[0](windows))]
"""
_LOG_RATIOS = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
""" + _FOREST.format(
    table=f"{_STACK}\n        return np.log((v[:, -15:].mean(axis=1) + 1e-3) / "
    "(v[:, :45].mean(axis=1) + 1e-3))",
    model="make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))",
)

_INCIDENT_KIND = [
    WrongAnswer("incident-kind", "levels", "The service is learned, not the kind", _LEVELS, "naive"),
    WrongAnswer("incident-kind", "mean and spread of the window", "Levels again, and sizes",
                _MEAN_AND_STD, "naive"),
    WrongAnswer("incident-kind", "raw windows", "All minutes of all metrics", _RAW_WINDOWS, "naive"),
    WrongAnswer("incident-kind", "raw differences", "Changes in milliseconds and shares",
                _DIFFERENCES, "naive"),
    WrongAnswer("incident-kind", "labels of the simulator", "Learned from the shop's own faults",
                _SIMULATED),
    WrongAnswer("incident-kind", "clock and gaps", "Length, hour, weekday, gaps", _BY_CLOCK,
                "metadata"),
    WrongAnswer("incident-kind", "one kind", "The commonest", _ONE_KIND, "constant"),
    WrongAnswer("incident-kind", "scaled by its company", "Scaled by the windows asked with it",
                _IN_COMPANY),
    WrongAnswer("incident-kind", "practice strangers learned", "Levels, with the practice set in it",
                _PRACTICE),
    WrongAnswer("incident-kind", "logistic regression on ratios", "Fewer features, a linear model",
                _LOG_RATIOS, "alternative"),
    _mistake("incident-kind", "boosted trees", "Another classifier on the same features",
             ("RandomForestClassifier(100, min_samples_leaf=2, random_state=0)",
              "HistGradientBoostingClassifier(max_iter=60, random_state=0)"), kind="alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- exercise 4

_LABELS = _solution("breach-risk")[: _solution("breach-risk").index("def fit_risk")]

_RISK = f"""
{_LABELS}

def fit_risk(metrics):
    {{fit}}


def risk(model, metrics):
    {{risk}}
"""
_BASE_RATE = _RISK.format(
    fit='labels = np.concatenate([breach_labels(f["error_ratio"]) for f in metrics])\n'
    "    return float(np.nanmean(labels))",
    risk="return [pd.Series(model, frame.index) for frame in metrics]",
)
_CLOCK_RISK = _RISK.format(
    fit='labels = np.array([breach_labels(f["error_ratio"]) for f in metrics])\n'
    "    return np.nan_to_num(np.nanmean(labels, axis=0))",
    risk="return [pd.Series(np.resize(model, len(f)).astype(float), f.index) for f in metrics]",
)
_UTILISATION = _RISK.format(
    fit="return None",
    risk='names = ["cpu_utilization", "memory_utilization", "disk_utilization", "pool_utilization"]\n'
    "    return [f[names].max(axis=1).ffill().fillna(0).clip(0, 1) for f in metrics]",
)
_PERSISTENCE = _RISK.format(
    fit="return None",
    risk='return [(25 * f["error_ratio"].rolling(5, min_periods=1).mean()).ffill().fillna(0)'
    ".clip(0, 1) for f in metrics]",
)
_RAW_TREES = f"""
{_LABELS}

def fit_risk(metrics):
    table = np.vstack([frame.ffill().fillna(0).to_numpy() for frame in metrics])
    labels = np.concatenate([breach_labels(frame["error_ratio"]) for frame in metrics])
    known = ~np.isnan(labels)
    return HistGradientBoostingClassifier(max_leaf_nodes=8, max_iter=80, learning_rate=0.05,
                                          random_state=0).fit(table[known], labels[known])


def risk(model, metrics):
    return [pd.Series(model.predict_proba(f.ffill().fillna(0).to_numpy())[:, 1], f.index)
            for f in metrics]
"""

_RAW_DIFFERENCES = f"""
{_LABELS}

def _table(frame):
    frame = frame.ffill().fillna(0)
    return np.hstack([frame, *[frame.diff(lag).fillna(0) for lag in (5, 15)]])


def fit_risk(metrics):
    labels = np.concatenate([breach_labels(frame["error_ratio"]) for frame in metrics])
    known = ~np.isnan(labels)
    return HistGradientBoostingClassifier(max_leaf_nodes=15, max_iter=120, learning_rate=0.05,
                                          min_samples_leaf=40, random_state=0).fit(
        np.vstack([_table(frame) for frame in metrics])[known], labels[known])


def risk(model, metrics):
    return [pd.Series(model.predict_proba(_table(f))[:, 1], f.index) for f in metrics]
"""

_HGB = "HistGradientBoostingClassifier(\n        max_iter=80"

_BREACH_RISK = [
    WrongAnswer("breach-risk", "base rate", "Calibrated and useless", _BASE_RATE, "constant"),
    WrongAnswer("breach-risk", "minute of the stretch", "The mean label by place", _CLOCK_RISK, "clock"),
    WrongAnswer("breach-risk", "utilisation", "A level for a probability", _UTILISATION, "naive"),
    WrongAnswer("breach-risk", "persistence", "Errors now, breach soon", _PERSISTENCE, "naive"),
    WrongAnswer("breach-risk", "raw metrics", "Trees on levels", _RAW_TREES, "naive"),
    WrongAnswer("breach-risk", "raw differences", "Levels and what they gained, not what is left",
                _RAW_DIFFERENCES, "naive"),
    _mistake("breach-risk", "minutes in breach count", "A breach now is called a breach to come",
             ("np.flatnonzero(~breach)", "range(len(breach))")),
    _mistake("breach-risk", "the end is quiet", "Minutes whose future is unknown are called 0",
             ("elif len(ahead) == horizon:", "else:")),
    _mistake("breach-risk", "this minute included", "The horizon begins now, and is one short",
             ("breach[minute + 1 : minute + 1 + horizon]", "breach[minute : minute + horizon]")),
    _mistake("breach-risk", "balanced classes", "Ranks well, says many times too much",
             ("max_iter=80,", 'max_iter=80, class_weight="balanced",')),
    _mistake("breach-risk", "looks ahead", "The stores are smoothed to both sides",
             (".ewm(span=3).mean().to_numpy()",
              ".rolling(31, center=True, min_periods=1).mean().to_numpy()")),
    _mistake("breach-risk", "a forest", "Another model on the same features",
             (_HGB, "RandomForestClassifier(\n        n_estimators=100"),
             (", learning_rate=0.05, max_leaf_nodes=8", ""), ("l2_regularization=1.0, ", ""),
             kind="alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- exercise 5

_PROFILE = _solution("patterns")[_solution("patterns").index("def matrix_profile") :]
_CLUSTERS = _solution("patterns")[: _solution("patterns").index("def matrix_profile")]

_GROUPS = f"""
def cluster_incidents(windows):
    v = np.stack([w[list(shop.METRICS)].ffill().bfill().fillna(0).to_numpy() for w in windows])
    {{vectors}}
    tried = [KMeans(k, n_init=10, random_state=0).fit_predict(x) for k in range(3, 7)]
    return [int(g) for g in max(tried, key=lambda found: silhouette_score(x, found))]


{_PROFILE}
"""
_RAW_GROUPS = _GROUPS.format(vectors="x = StandardScaler().fit_transform(v.reshape(len(v), -1))")
_Z_GROUPS = _GROUPS.format(
    vectors="x = (v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1)) / (v[:, :45].std(axis=1) + 1e-3)"
)
_DIFFERENCE_GROUPS = _GROUPS.format(
    vectors="x = StandardScaler().fit_transform(v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1))"
)
_CLIPPED_GROUPS = _GROUPS.format(
    vectors="x = ((v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1)) / (v[:, :45].std(axis=1) + 1e-3))"
    ".clip(-5, 5)"
)
_LARGEST_GROUPS = f"""
def cluster_incidents(windows):
    v = np.stack([w[list(shop.METRICS)].ffill().bfill().fillna(0).to_numpy() for w in windows])
    z = (v[:, -15:].mean(axis=1) - v[:, :45].mean(axis=1)) / (v[:, :45].std(axis=1) + 1e-3)
    return [int(metric) for metric in np.abs(z).argmax(axis=1)]


{_PROFILE}
"""
_SIMULATED_GROUPS = f"""
from functools import cache

from course.shop.cases import elsewhere, incident_cases

EVERYWHERE = ["checkout", "payment", "account", "inventory", "storefront", "search", "catalog",
              "recommendation", "cart", "pricing", "shipping"]
SHOPS = ["cpu_saturation", "memory_leak", "network_delay", "network_loss", "pool_exhaustion"]


def table(windows):
    v = np.stack([w[list(shop.METRICS)].ffill().bfill().fillna(0).to_numpy() for w in windows])
    return np.log((v[:, -15:].mean(axis=1) + 1e-3) / (v[:, :45].mean(axis=1) + 1e-3))


@cache
def learned():
    own = elsewhere(incident_cases(150, 1, services=EVERYWHERE, kinds=SHOPS), 2)
    forest = RandomForestClassifier(100, random_state=0)
    return forest.fit(table([case.metrics for case in own]), [case.kind for case in own])


def cluster_incidents(windows):
    return [SHOPS.index(kind) for kind in learned().predict(table(windows))]


{_PROFILE}
"""
_ONE_GROUP = """
def cluster_incidents(windows):
    return [0] * len(windows)


def matrix_profile(values, m):
    n = len(values) - m + 1
    return np.full(n, np.nan), np.full(n, -1)
"""
_BY_HOUR = f"""
def cluster_incidents(windows):
    return [int(window.index[0].hour // 6) for window in windows]


{_PROFILE}
"""
_SLOW_PROFILE = f"""
{_CLUSTERS}

def matrix_profile(values, m):
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values, dtype=float), m)
    n, spread = len(windows), windows.std(axis=1)
    shapes = (windows - windows.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-12)[:, None]
    usable = np.flatnonzero(spread >= 1e-9)
    distance, neighbour = np.full(n, np.nan), np.full(n, -1)
    for i in usable:
        others = usable[np.abs(usable - i) >= m]
        if len(others):
            far = np.linalg.norm(shapes[others] - shapes[i], axis=1)
            distance[i], neighbour[i] = far.min(), others[far.argmin()]
    return distance, neighbour
"""

_PATTERNS = [
    WrongAnswer("patterns", "raw windows", "The services are found, not the kinds", _RAW_GROUPS,
                "naive"),
    WrongAnswer("patterns", "plain z-scores", "The gravest incidents are far from all", _Z_GROUPS,
                "naive"),
    WrongAnswer("patterns", "differences", "Changes in units of the busiest", _DIFFERENCE_GROUPS,
                "naive"),
    WrongAnswer("patterns", "clipped z-scores", "No division by the load, no direction",
                _CLIPPED_GROUPS, "naive"),
    WrongAnswer("patterns", "the largest z-score", "The number of the metric that stands out",
                _LARGEST_GROUPS, "naive"),
    WrongAnswer("patterns", "labels of the simulator", "A classifier of the shop's own faults",
                _SIMULATED_GROUPS),
    WrongAnswer("patterns", "one group", "And no neighbours", _ONE_GROUP, "constant"),
    WrongAnswer("patterns", "by the hour", "The clock for a kind", _BY_HOUR, "clock"),
    _mistake("patterns", "trivial matches", "A window is most like the one a step on",
             ("np.abs(place[:, None] - place) < m", "np.abs(place[:, None] - place) < 1")),
    _mistake("patterns", "a quarter excluded", "The exclusion zone of stumpy",
             ("np.abs(place[:, None] - place) < m", "np.abs(place[:, None] - place) <= -(-m // 4)")),
    _mistake("patterns", "spread over m - 1", "Sample instead of population standard deviation",
             ("windows.std(axis=1)", "windows.std(axis=1, ddof=1)")),
    _mistake("patterns", "level counts", "Windows are not scaled",
             ("centred / np.where(usable, spread, 1)[:, None]", "centred")),
    WrongAnswer("patterns", "a loop over windows", "One window at a time", _SLOW_PROFILE,
                "alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- exercise 6

_RAW_SLOTS = "FunctionTransformer(slot_features)"

_MILESTONE = [
    _mistake("milestone", "raw slots", "Boosted trees on levels",
             (_RAW_SLOTS, 'FunctionTransformer()'), kind="naive"),
    _mistake("milestone", "the error ratio", "One metric for a model",
             (_RAW_SLOTS, 'FunctionTransformer(lambda slots: slots[["error_ratio"]])'), kind="naive"),
    _mistake("milestone", "the clock", "Hour and weekday only",
             (_RAW_SLOTS, "FunctionTransformer(lambda slots: np.column_stack("
              "[slots.index.get_level_values(1).hour, slots.index.get_level_values(1).day_of_week]))"),
             kind="clock"),
    _mistake("milestone", "the base rate", "Always the same probability",
             (_RAW_SLOTS, "FunctionTransformer(lambda slots: np.zeros((len(slots), 1)))"),
             kind="constant"),
    _mistake("milestone", "across services", "Windows run from one service into the next",
             ("[by_service(one) for _, one in levels.groupby(level=0, sort=False)]",
              "[by_service(levels)]")),
    _mistake("milestone", "looks ahead", "Centred means",
             ("rise.rolling(3, min_periods=1).mean()",
              "rise.rolling(3, min_periods=1, center=True).mean()")),
    _mistake("milestone", "tested on what it learned", "The card's figure is that of the training set",
             ("train(slots[~held_out], begun).predict_proba", "model.predict_proba")),
    _mistake("milestone", "tested on a random fifth", "Neighbours of what it has learned",
             ("    probability = train(slots[~held_out], begun).predict_proba(slots)[held_out, 1]\n",
              "    drawn = np.random.default_rng(0).random(len(slots)) < 0.2\n"
              "    fifth = train(slots[~drawn], incidents).predict_proba(slots)[drawn, 1]\n"
              "    drawn_truth = under_way(slots.index, incidents)[drawn]\n"),
             ("scoring.average_precision(truth, probability)",
              "scoring.average_precision(drawn_truth, fifth)")),
    _mistake("milestone", "slower, more trees", "Another size of the same model",
             ("max_iter=100, learning_rate=0.08", "max_iter=180, learning_rate=0.05"),
             kind="alternative"),
]  # fmt: skip

_ALL = [*_LEAK_FREE, *_TEMPLATES, *_INCIDENT_KIND, *_BREACH_RISK, *_PATTERNS, *_MILESTONE]
WRONG_ANSWERS: list[WrongAnswer] = [answer for answer in _ALL if answer.kind != "alternative"]
ALTERNATIVES: list[WrongAnswer] = [answer for answer in _ALL if answer.kind == "alternative"]

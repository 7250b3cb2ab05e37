"""Wrong answers of month 1 that a real student might give, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_mistake = _LESSON.mistake

_SIGNALS_CONSTANT = """
def golden_signals(requests, workers, start, end):
    minutes = pd.date_range(start, end, freq="1min", inclusive="left")
    rows = pd.MultiIndex.from_product([list(workers), minutes], names=["service", "minute"])
    return pd.DataFrame(
        {"traffic": 1.0, "error_ratio": 0.0, "p50_ms": 100.0, "p99_ms": 300.0, "saturation": 0.5},
        index=rows,
    ).reset_index()
"""

_SIGNALS_REPLICAS = """
def golden_signals(requests, workers, start, end):
    minutes = pd.date_range(start, end, freq="1min", inclusive="left")
    rows = pd.MultiIndex.from_product([list(workers), minutes], names=["service", "minute"])
    table = requests.assign(
        minute=requests["start"].dt.floor("min"), failed=requests["status"] >= 500
    )
    each = table.groupby(["service", "minute", "replica"])
    keys = ["service", "minute"]
    out = pd.DataFrame(index=rows)
    out["traffic"] = each.size().groupby(keys).sum().reindex(rows, fill_value=0) / 60
    out["error_ratio"] = each["failed"].mean().groupby(keys).mean()
    good = table[~table["failed"]].groupby(["service", "minute", "replica"])["duration_ms"]
    out["p50_ms"] = good.quantile(0.5).groupby(keys).mean()
    out["p99_ms"] = good.quantile(0.99).groupby(keys).mean()
    busy = each["duration_ms"].sum().groupby(keys).sum().reindex(rows, fill_value=0) / 1000
    out["saturation"] = busy / (60 * rows.get_level_values("service").map(workers).to_numpy())
    return out.reset_index()
"""

_SIGNALS_LOOP = """
def golden_signals(requests, workers, start, end):
    rows = []
    for service, count in workers.items():
        own = requests[requests["service"] == service]
        begin = own["start"]
        finish = begin + pd.to_timedelta(own["duration_ms"], unit="ms")
        minute = start
        while minute < end:
            after = minute + pd.Timedelta("1min")
            here = own[(begin >= minute) & (begin < after)]
            good = here.loc[here["status"] < 500, "duration_ms"]
            busy = (finish.clip(upper=after) - begin.clip(lower=minute)).dt.total_seconds()
            rows.append(
                {
                    "minute": minute, "service": service, "traffic": len(here) / 60,
                    "error_ratio": (here["status"] >= 500).mean() if len(here) else np.nan,
                    "p50_ms": good.quantile(0.5), "p99_ms": good.quantile(0.99),
                    "saturation": busy.clip(lower=0).sum() / (60 * count),
                }
            )
            minute = after
    return pd.DataFrame(rows[::-1])
"""

_GOLDEN = [
    WrongAnswer("golden-signals", "constants", "looks at no request", _SIGNALS_CONSTANT, "constant"),
    WrongAnswer(
        "golden-signals", "mean of replicas", "averages percentiles and ratios of replicas",
        _SIGNALS_REPLICAS, "naive",
    ),
    _mistake(
        "golden-signals", "latency of all", "failures are fast and make latency look good",
        ('table[~table["failed"]].groupby', "table.groupby"),
    ),
    _mistake(
        "golden-signals", "only minutes with requests", "drops the pauses",
        ("return result.reset_index()", "return result[count > 0].reset_index()"),
    ),
    _mistake(
        "golden-signals", "busy where it starts", "counts a long request in its first minute only",
        ('each["busy"] = (finish - begin).dt.total_seconds()',
         'each["busy"] = each["duration_ms"] / 1000 * (each["minute"] <= each["start"])'),
    ),
    _mistake(
        "golden-signals", "client errors fail", "404 counts as a failure",
        ('>= 500', '>= 400'),
    ),
    WrongAnswer("golden-signals", "minute by minute", "right", _SIGNALS_LOOP, "alternative"),
]  # fmt: skip

_TIMES_MEAN = """
def response_times(incidents, now):
    def mean(a, b):
        return float(((incidents[b] - incidents[a]) / pd.Timedelta("1min")).mean())
    return {"ttd": mean("began", "detected"), "tta": mean("detected", "acknowledged"),
            "ttr": mean("began", "resolved")}
"""

_TIMES_STATSMODELS = """
from statsmodels.duration.survfunc import SurvfuncRight

def response_times(incidents, now):
    def middle(a, b):
        table = incidents[[a, b]][incidents[a] <= now]
        table = table[~(table[b] < table[a])]
        if table.empty:
            return float("nan")
        ended = table[b] <= now
        span = (table[b].where(ended, now) - table[a]).dt.total_seconds() / 60
        if not ended.any():
            return float("inf")
        curve = SurvfuncRight(span, ended.astype(int))
        below = curve.surv_times[curve.surv_prob <= 0.5 + 1e-9]
        return float(below[0]) if len(below) else np.inf
    return {"ttr": middle("began", "resolved"), "tta": middle("detected", "acknowledged"),
            "ttd": middle("began", "detected")}
"""

_TIMES = [
    WrongAnswer(
        "response-times", "constants", "typical values",
        "def response_times(incidents, now):\n"
        '    return {"ttd": 12.0, "tta": 7.0, "ttr": float("inf")}\n', "constant",
    ),
    WrongAnswer("response-times", "means", "MTTD as in the report", _TIMES_MEAN, "naive"),
    _mistake(
        "response-times", "open ones last for ever", "a plain median with infinity for what is open",
        ("        share = 1.0\n",
         "        minutes = np.where(ended, minutes, np.inf)\n        share = 1.0\n"),
    ),
    _mistake(
        "response-times", "median of the closed", "leaves out what is open",
        ("kept = (begin <= now) & ~(end < begin)", "kept = (end <= now) & (end >= begin)"),
    ),
    _mistake(
        "response-times", "open ones end now", "takes censoring for an end",
        ("ended = (end <= now).to_numpy()", "ended = np.ones(len(end), dtype=bool)"),
    ),
    _mistake(
        "response-times", "censored not at risk", "open incidents never count as at risk",
        ("(minutes >= time).sum()", "((minutes >= time) & ended).sum()"),
    ),
    WrongAnswer("response-times", "statsmodels", "right", _TIMES_STATSMODELS, "alternative"),
]  # fmt: skip

_BUDGET_NAIVE = """
def _ratio(counts):
    return 1 - counts["good"] / counts["total"].where(counts["total"] > 0)

def budget_left(counts, slo):
    return float(1 - _ratio(counts).mean() / (1 - slo))

def burn_rate(counts, slo, window):
    return _ratio(counts).rolling(window).mean().fillna(0.0) / (1 - slo)

def hours_to_exhaustion(counts, slo, window, period):
    burn = burn_rate(counts, slo, window).iloc[-1]
    left = budget_left(counts, slo)
    if left <= 0:
        return 0.0
    return float(left * pd.Timedelta(period).total_seconds() / 3600 / burn) if burn else np.inf
"""

_BUDGET_CONSTANT = """
def budget_left(counts, slo):
    return 1.0

def burn_rate(counts, slo, window):
    return pd.Series(0.0, counts.index)

def hours_to_exhaustion(counts, slo, window, period):
    return float("inf")
"""

_BUDGET_LOOP = """
def budget_left(counts, slo):
    events, good = int(counts.total.sum()), int(counts.good.sum())
    return 1.0 if events == 0 else ((1 - slo) * events - (events - good)) / ((1 - slo) * events)

def burn_rate(counts, slo, window):
    width, rates, first = pd.Timedelta(window), [], 0
    times, good, total = counts.index, counts.good.to_list(), counts.total.to_list()
    sums = [0, 0]
    for row in range(len(counts)):
        sums[0] += good[row]
        sums[1] += total[row]
        while times[first] <= times[row] - width:
            sums[0] -= good[first]
            sums[1] -= total[first]
            first += 1
        rates.append((1 - sums[0] / sums[1]) / (1 - slo) if sums[1] else 0)
    return pd.Series(rates, index=times)

def hours_to_exhaustion(counts, slo, window, period):
    burn = burn_rate(counts.tail(700), slo, window).iloc[-1]
    left = budget_left(counts, slo)
    hours = pd.Timedelta(period).total_seconds() / 3600
    return 0 if left <= 0 else (float("inf") if burn <= 1e-12 else left * hours / burn)
"""

_BUDGET = [
    WrongAnswer("error-budget", "constants", "nothing ever burns", _BUDGET_CONSTANT, "constant"),
    WrongAnswer("error-budget", "mean of ratios", "a quiet night counts like noon", _BUDGET_NAIVE,
                "naive"),
    _mistake(
        "error-budget", "rows for minutes", "windows of rows, though rows are missing",
        ("rolling(window)", 'rolling(int(pd.Timedelta(window) / pd.Timedelta("1min")), 1)'),
    ),
    _mistake(
        "error-budget", "error ratio for burn rate", "not divided by the budget",
        ("share.fillna(0.0) / (1 - slo)", "share.fillna(0.0)"),
    ),
    _mistake(
        "error-budget", "both edges", "the window holds its left edge, too",
        ("rolling(window)", 'rolling(window, closed="both")'),
    ),
    _mistake(
        "error-budget", "divides by the SLO", "takes the promise for the budget",
        ("(1 - slo)", "slo"),
    ),
    WrongAnswer("error-budget", "loop with two pointers", "right", _BUDGET_LOOP, "alternative"),
]  # fmt: skip

_AUDIT_COUNTS = """
def audit_pages(pages, incidents, start, end):
    days = (end - start) / pd.Timedelta("12h")
    inside = [
        ((incidents["start"] <= t) & (t <= incidents["end"])).any() for t in pages["time"]
    ]
    found = [
        ((pages["time"] >= a) & (pages["time"] <= b)).any()
        for a, b in zip(incidents["start"], incidents["end"])
    ]
    hits = max(sum(found), 1)
    return {
        "actionable": float((pages["action"].fillna("") != "").mean()),
        "pages_per_shift": len(pages) / days,
        "worst_shift": float(pages.groupby(pages["time"].dt.floor("12h")).size().max()),
        "duplicates_per_incident": float(sum(inside) / hits - 1),
        "precision": float(np.mean(inside)), "recall": float(np.mean(found)),
    }
"""

_AUDIT_LOOP = """
def audit_pages(pages, incidents, start, end):
    nan = float("nan")
    inside = pages.loc[(start <= pages.time) & (pages.time < end)].reset_index(drop=True)
    owner = pd.Series(pd.NaT, inside.index, dtype="datetime64[us, UTC]")
    for row in incidents.sort_values("start").to_dict("records"):
        fits = inside.time.between(row["start"], row["end"])
        fits &= inside.service.isin(row["services"].split())
        owner[fits] = row["start"]
    hits, false = owner.nunique(), int(owner.isna().sum())
    shift = ((inside.time - start) / pd.Timedelta("12h")).astype(int)
    n = round((end - start) / pd.Timedelta("12h"))
    sizes = shift.value_counts().reindex(range(n), fill_value=0)
    acted = [isinstance(a, str) and len(a) > 0 for a in inside.action]
    return {
        "recall": hits / len(incidents) if len(incidents) else nan,
        "precision": hits / (hits + false) if hits + false else nan,
        "duplicates_per_incident": int(owner.notna().sum()) / hits - 1 if hits else nan,
        "worst_shift": int(sizes.max()), "pages_per_shift": float(sizes.mean()),
        "actionable": sum(acted) / len(acted) if acted else nan,
    }
"""

_AUDIT = [
    WrongAnswer(
        "audit-pages", "constants", "nothing is good",
        "def audit_pages(pages, incidents, start, end):\n    nan = float('nan')\n"
        "    return {'actionable': nan, 'pages_per_shift': 0.0, 'worst_shift': 0.0,\n"
        "            'duplicates_per_incident': nan, 'precision': nan, 'recall': 0.0}\n",
        "constant",
    ),
    WrongAnswer("audit-pages", "counts every page", "services and the watch do not matter",
                _AUDIT_COUNTS, "naive"),
    _mistake(
        "audit-pages", "pages outside count", "ignores the watch",
        ('pages = pages[(pages["time"] >= start) & (pages["time"] < end)]', ""),
    ),
    _mistake(
        "audit-pages", "names as fragments", "cart is found in cart-db",
        ("service in names.split()", "service in names"),
    ),
    _mistake(
        "audit-pages", "began first", "gives a page to the incident that began first",
        ("ascending=False", "ascending=True"),
    ),
    _mistake(
        "audit-pages", "calendar shifts and empty ones left out", "shifts from midnight and noon",
        ('per_shift = ((pages["time"] - start) // length).value_counts()',
         'per_shift = pages["time"].dt.floor("12h").value_counts()'),
        ("len(pages) / ((end - start) / length)", "float(per_shift.mean())"),
    ),
    WrongAnswer("audit-pages", "incident by incident", "right", _AUDIT_LOOP, "alternative"),
]  # fmt: skip

_BOARD_GUESS = """
def triage_board():
    return {letter: "statistics" for letter in "ABCDEFGHIJKL"}
"""
_CHOOSE = _LESSON.solution("triage")[: _LESSON.solution("triage").index("def triage_board")]

_CHOOSE_CONSTANT = """
def choose_approach(sheet):
    return {"approach": "no AI", "net": 0.0, "rejected": {n: "value" for n in sheet["options"]}}

def triage_board():
    return {letter: "no AI" for letter in "ABCDEFGHIJKL"}
"""

_CHOOSE_RECALL = """
def choose_approach(sheet):
    best = max(sheet["options"], key=lambda name: sheet["options"][name]["recall"])
    one = sheet["options"][best]
    net = sheet["cases"] * one["recall"] * sheet["gain"] - one["run"]
    others = {name: "value" for name in [*sheet["options"], "no AI"] if name != best}
    return {"approach": best, "net": float(net), "rejected": others}

def triage_board():
    return {letter: "supervised" if letter in "BCFHJKL" else "rule" for letter in "ABCDEFGHIJKL"}
"""

_CHOOSE_BEST = """
def choose_approach(sheet):
    nets = {"no AI": 0.0}
    for name, one in sheet["options"].items():
        nets[name] = (sheet["cases"] * one["recall"] * sheet["gain"]
                      - one["false"] * sheet["false_cost"] - one["run"])
    best = max(nets, key=nets.get)
    return {"approach": best, "net": nets[best],
            "rejected": {name: "value" for name in nets if name != best}}

def triage_board():
    return {
        "A": "rule", "B": "supervised", "C": "supervised", "D": "statistics",
        "E": "no AI", "F": "unsupervised", "G": "rule", "H": "supervised",
        "I": "statistics", "J": "rule", "K": "statistics", "L": "supervised",
    }
"""

_CHOOSE_OTHERWISE = """
_SIMPLER = dict(zip(
    ["no AI", "rule", "statistics", "unsupervised", "supervised", "causal"], range(6)))

def _closed(sheet, name):
    if name in ("statistics", "unsupervised", "supervised") and sheet["question"] == "why":
        return "why"
    needs = {"supervised": ("labels", sheet["labels"] >= 50),
             "rule": ("condition", sheet["condition_known"]),
             "causal": ("changes", sheet["changes"] >= 20)}
    reason, fine = needs.get(name, ("", True))
    return "" if fine else reason

def choose_approach(sheet):
    frame = pd.DataFrame(sheet["options"]).T
    frame["net"] = (frame["recall"] * sheet["cases"] * sheet["gain"]
                    - frame["false"] * sheet["false_cost"] - frame["run"])
    frame.loc["no AI", "net"] = 0
    frame["closed"] = [_closed(sheet, name) for name in frame.index]
    usable = frame[frame["closed"] == ""]
    near = usable[usable["net"] >= 0.9 * usable["net"].max()]
    choice = min(near.index, key=_SIMPLER.get)
    reasons = {}
    for name in frame.index.drop(choice):
        reasons[name] = frame["closed"][name] or ("simplicity" if name in near.index else "value")
    return {"net": float(frame["net"][choice]), "approach": choice, "rejected": reasons}

def triage_board():
    board = dict.fromkeys("EGL", "no AI") | dict.fromkeys("AJ", "rule")
    board |= dict.fromkeys("BK", "statistics") | dict.fromkeys("CH", "supervised")
    return board | dict.fromkeys("DI", "causal") | {"F": "unsupervised"}
"""

_TRIAGE = [
    WrongAnswer("triage", "no AI at all", "for everything", _CHOOSE_CONSTANT, "constant"),
    WrongAnswer("triage", "highest recall", "reads the brochure", _CHOOSE_RECALL, "naive"),
    WrongAnswer("triage", "best net only", "knows no closed option and no simplicity",
                _CHOOSE_BEST),
    WrongAnswer(
        "triage", "margin forgotten, board guessed", "takes the best, however little it is better",
        _CHOOSE.replace("0.9 * best", "best") + _BOARD_GUESS,
    ),
    WrongAnswer(
        "triage", "closed options forgotten, board guessed", "takes labels for granted",
        _CHOOSE.replace('sheet["labels"] < 50', "False")
        .replace('not sheet["condition_known"]', "False").replace('sheet["changes"] < 20', "False")
        .replace('sheet["question"] == "why"', "False") + _BOARD_GUESS,
    ),
    WrongAnswer("triage", "with a table", "right", _CHOOSE_OTHERWISE, "alternative"),
]  # fmt: skip

_NAMES = """
_CAUSES = {
    "payment-provider": "third_party_outage", "catalog-db": "disk_full", "orders-db": "disk_full",
    "order-queue": "disk_full", "session-cache": "network_loss", "pricing": "bad_deploy",
    "shipping": "bad_deploy", "cart": "bad_deploy", "storefront": "pool_exhaustion",
    "checkout": "pool_exhaustion", "catalog": "pool_exhaustion", "account": "network_loss",
    "inventory": "network_loss", "payment": "network_loss", "search": "network_loss",
}
_USERS = ["storefront", "search", "cart", "checkout", "account"]

def detect(observation):
    now, before = (observation[k].loc[_USERS, "error_ratio"].max() for k in ("now", "earlier"))
    return bool(now > 0.025 and (before > 0.025 or now > 0.2))

def diagnose(observation):
    errors = observation["now"]["error_ratio"]
    bad = [name for name in _CAUSES if errors[name] > 0.5 * errors[_USERS].max()]
    service = max(bad, key=list(shop.SERVICES).index, default=None)
    return None if service is None else (service, _CAUSES[service])

def act(diagnosis, observation):
    if diagnosis is None or any(done["minutes_ago"] < 15 for done in observation["actions"]):
        return None
    cures = {"bad_deploy": "roll_back", "pool_exhaustion": "restart", "disk_full": "flush",
             "third_party_outage": "open_breaker", "network_loss": "fail_over"}
    return cures[diagnosis[1]], diagnosis[0]

def loop(observations):
    return [act(diagnose(one), one) if detect(one) else None for one in observations]
"""

_LOUDEST = """
def detect(observation):
    z = (observation["now"] - observation["usual"]) / (observation["spread"] + 1e-3)
    users = ["storefront", "search", "cart", "checkout", "account"]
    return bool(z["error_ratio"][users].max() > 4)

def diagnose(observation):
    z = (observation["now"] - observation["usual"]) / (observation["spread"] + 1e-3)
    service = str(z["error_ratio"].idxmax())
    if service == "payment-provider":
        return service, "third_party_outage"
    worst = z.loc[service].drop("error_ratio").idxmax()
    return service, {"disk_utilization": "disk_full"}.get(worst, "pool_exhaustion")

def act(diagnosis, observation):
    if any(done["minutes_ago"] < 15 for done in observation["actions"]):
        return None
    remedies = {"disk_full": "flush", "third_party_outage": "open_breaker"}
    return remedies.get(diagnosis[1], "restart"), diagnosis[0]

def loop(observations):
    return [act(diagnose(one), one) if detect(one) else None for one in observations]
"""

_NOTHING = """
def detect(observation):
    return False

def diagnose(observation):
    return "payment-provider", "third_party_outage"

def act(diagnosis, observation):
    return None

def loop(observations):
    return [None for _ in observations]
"""

_ALWAYS = """
def detect(observation):
    return True

def diagnose(observation):
    return str(observation["now"]["error_ratio"].idxmax()), "pool_exhaustion"

def act(diagnosis, observation):
    return "restart", diagnosis[0]

def loop(observations):
    return [act(diagnose(one), one) for one in observations]
"""

_CLOCK = """
_minute = 0

def detect(observation):
    return True

def diagnose(observation):
    return "payment-provider", "third_party_outage"

def act(diagnosis, observation):
    return "open_breaker", "payment-provider"

def loop(observations):
    global _minute
    _minute += 5
    return [("open_breaker", "payment-provider") if _minute % 180 == 0 else None
            for _ in observations]
"""

_HOT = """
def detect(observation):
    z = (observation["now"] - observation["usual"]) / (observation["spread"] + 1e-3)
    return bool(z["cpu_utilization"].max() > 4 or z["request_rate"].max() > 4)

def diagnose(observation):
    z = (observation["now"] - observation["usual"]) / (observation["spread"] + 1e-3)
    service = str(z["cpu_utilization"].idxmax())
    deployed = {c["service"] for c in observation["changes"] if c["kind"] == "deploy"}
    return service, "bad_deploy" if service in deployed else "pool_exhaustion"

def act(diagnosis, observation):
    if any(done["minutes_ago"] <= 20 for done in observation["actions"]):
        return None
    return "roll_back" if diagnosis[1] == "bad_deploy" else "restart", diagnosis[0]

def loop(observations):
    return [act(diagnose(one), one) if detect(one) else None for one in observations]
"""

_OTHERWISE = """
_USERS = ("storefront", "search", "cart", "checkout", "account")
_CURE = dict(bad_deploy="roll_back", pool_exhaustion="restart", third_party_outage="open_breaker",
             disk_full="flush", network_loss="fail_over")

def _beyond(observation, when="now", metric="error_ratio"):
    return dict(zip(observation[when].index, (
        observation[when][metric].to_numpy() - observation["usual"][metric].to_numpy()).tolist()))

def detect(observation):
    now, before = _beyond(observation), _beyond(observation, "earlier")
    disk = max(_beyond(observation, metric="disk_utilization").values())
    return disk > 0.08 or any(
        now[name] > 0.08 or (now[name] > 0.014 and before[name] > 0.014) for name in _USERS)

def diagnose(observation):
    disk = _beyond(observation, metric="disk_utilization")
    fullest = max(disk, key=disk.get)
    if disk[fullest] > 0.08:
        return [fullest, "disk_full"]
    error = _beyond(observation)
    here = max(_USERS, key=error.get)
    while True:  # go down while a callee explains what is seen here
        below = [c for c in shop.TOPOLOGY.callees(here) if error[c] > max(0.01, 0.15 * error[here])]
        if not below:
            break
        here = max(below, key=error.get)
    if here == "payment-provider":
        return [here, "third_party_outage"]
    if {"deploy"} & {c["kind"] for c in observation["changes"] if c["service"] == here}:
        return [here, "bad_deploy"]
    full = observation["now"].loc[here, "pool_utilization"] > 0.75
    return [here, "pool_exhaustion" if full else "network_loss"]

def act(diagnosis, observation):
    recent = [d for d in observation["actions"] if d["minutes_ago"] <= 20]
    if diagnosis is None or any(d["minutes_ago"] <= 10 for d in recent):
        return None
    service, cause = diagnosis
    return None if service in {d["service"] for d in recent} else [_CURE[cause], service]

def loop(observations):
    answers = []
    for one in observations:
        answers.append(act(diagnose(one), one) if detect(one) else None)
    return answers
"""

_MILESTONE = [
    WrongAnswer("milestone", "does nothing", "and guesses the commonest cause", _NOTHING,
                "constant"),
    WrongAnswer("milestone", "always acts", "restarts what is loudest", _ALWAYS),
    WrongAnswer("milestone", "every three hours", "acts by the clock", _CLOCK, "clock"),
    WrongAnswer("milestone", "loudest service", "four sigma, and restart what has most errors",
                _LOUDEST, "naive"),
    _mistake(
        "milestone", "blames the victim", "takes the user-facing service for the cause",
        ("roots = [name for name in failing if not failing & set(shop.TOPOLOGY.callees(name))]",
         'roots = [name for name in failing if name in shop.TOPOLOGY.callees("gateway")]'),
    ),
    WrongAnswer("milestone", "the name tells", "looks the cause up by the service's name", _NAMES,
                "metadata"),
    WrongAnswer("milestone", "hot machines", "detects and blames load instead of harm", _HOT),
    _mistake(
        "milestone", "never waits", "acts again while the shop recovers",
        ('if done["minutes_ago"] <= 10 or (done["service"] == service and done["minutes_ago"] <= 20):',
         "if False:"),
        ("lasting or filling or excess.max() > 0.06", "filling or excess.max() > 0.004"),
    ),
    WrongAnswer("milestone", "down the graph", "right", _OTHERWISE, "alternative"),
]  # fmt: skip

WRONG_ANSWERS = [
    answer
    for answers in (_GOLDEN, _TIMES, _BUDGET, _AUDIT, _TRIAGE, _MILESTONE)
    for answer in answers
    if answer.kind != "alternative"
]
ALTERNATIVES = [
    answer
    for answers in (_GOLDEN, _TIMES, _BUDGET, _AUDIT, _TRIAGE, _MILESTONE)
    for answer in answers
    if answer.kind == "alternative"
]

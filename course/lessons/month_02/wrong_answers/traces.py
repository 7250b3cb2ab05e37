"""Wrong answers about span trees, joins and samples, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_mistake = Solutions(Path(__file__).parent.parent).mistake

# ---------------------------------------------------------------- span trees

_TREE_CONSTANT = """
def span_tree(spans):
    table = spans.drop_duplicates("span_id")
    return pd.DataFrame({"span_id": table["span_id"], "root": table["span_id"].iloc[0],
                         "start_ns": 0, "self_ns": 0, "critical_ns": 0})

def service_graph(spans):
    return pd.DataFrame({"caller": [], "callee": [], "calls": [], "errors": []})
"""

_TREE_IDS_ONLY = """
def span_tree(spans):
    table = spans.drop_duplicates("span_id")
    parent = dict(zip(table["span_id"], table["parent_span_id"]))
    def top(span):
        while parent[span] in parent:
            span = parent[span]
        return span
    return pd.DataFrame({"span_id": table["span_id"], "root": table["span_id"].map(top),
                         "start_ns": table["start_time_unix_nano"], "self_ns": 0, "critical_ns": 0})

def service_graph(spans):
    table = spans.drop_duplicates("span_id").set_index("span_id")
    caller = table["parent_span_id"].map(table["service.name"])
    edges = pd.DataFrame({"caller": caller, "callee": table["service.name"], "calls": 1, "errors": 0})
    edges = edges[(edges["caller"] != edges["callee"]) & edges["caller"].notna()]
    return edges.groupby(["caller", "callee"], as_index=False).sum()
"""

_TREE_NAIVE = """
def span_tree(spans):
    table = spans.drop_duplicates("span_id").set_index("span_id")
    length = table["end_time_unix_nano"] - table["start_time_unix_nano"]
    parent = table["parent_span_id"]
    children = length.groupby(parent).sum().reindex(table.index, fill_value=0)
    def top(span):
        while parent[span] in parent.index:
            span = parent[span]
        return span
    critical = pd.Series(0, index=table.index)
    span = top(table.index[0])
    while True:
        below = length[parent == span]
        critical[span] = length[span] - (below.max() if len(below) else 0)
        if not len(below):
            break
        span = below.idxmax()
    return pd.DataFrame({"span_id": table.index, "root": [top(one) for one in table.index],
                         "start_ns": table["start_time_unix_nano"].to_numpy(),
                         "self_ns": (length - children).to_numpy(),
                         "critical_ns": critical.to_numpy()})

def service_graph(spans):
    merged = spans.merge(spans, left_on=["trace_id", "parent_span_id"],
                         right_on=["trace_id", "span_id"], suffixes=("", "_up"))
    edges = pd.DataFrame({"caller": merged["service.name_up"], "callee": merged["service.name"],
                          "calls": 1, "errors": merged["status_code"] == "ERROR"})
    return edges.groupby(["caller", "callee"], as_index=False).sum()
"""

_TREE_OTHERWISE = """
def span_tree(spans):
    rows = {row["span_id"]: row for row in spans.to_dict("records")}
    children = {name: [c for c in rows if rows[c]["parent_span_id"] == name] for name in rows}
    begin, finish, top = {}, {}, {}

    def place(name, root, start):
        row = rows[name]
        begin[name], top[name] = start, root
        finish[name] = start + row["end_time_unix_nano"] - row["start_time_unix_nano"]
        for child in children[name]:
            other = rows[child]
            recorded, end = other["start_time_unix_nano"], other["end_time_unix_nano"]
            room = finish[name] - start - (end - recorded)
            if other["host.name"] == row["host.name"]:
                at = recorded + start - row["start_time_unix_nano"]
            elif other["kind"] == "CONSUMER":
                at = max(recorded, start)
            elif room < 0:
                at = recorded if start <= recorded <= finish[name] else start
            else:
                at = recorded if start <= recorded and end <= finish[name] else start + room / 2
            place(child, root, int(at))

    heads = [name for name in rows if rows[name]["parent_span_id"] not in rows]
    for head in heads:
        place(head, head, rows[head]["start_time_unix_nano"])

    def inside(name, low, high):
        found = [(max(begin[c], low), min(finish[c], high), c) for c in children[name]
                 if rows[c]["kind"] != "CONSUMER"]
        return [one for one in found if one[0] < one[1]]

    def own(name):
        parts = inside(name, begin[name], finish[name])
        cuts = sorted({begin[name], finish[name], *(t for p in parts for t in p[:2])})
        return sum(b - a for a, b in zip(cuts, cuts[1:]) if not any(p[0] <= a and b <= p[1] for p in parts))

    spent = {name: 0 for name in rows}

    def back(name, low, high):
        done = [p for p in inside(name, low, high) if p[1] <= high]
        now = high
        while done:
            last = max(p[1] for p in done)
            start, end, child = min(p for p in done if p[1] == last)
            spent[name] += now - end
            back(child, start, end)
            now = start
            done = [p for p in done if p[1] <= now]
        spent[name] += now - low

    main = sorted(heads, key=lambda n: (bool(rows[n]["parent_span_id"]),
                                        rows[n]["start_time_unix_nano"], n))[0]
    back(main, begin[main], finish[main])
    return pd.DataFrame({"critical_ns": spent, "self_ns": {n: own(n) for n in rows},
                         "start_ns": begin, "root": top}).rename_axis("span_id").reset_index()[::-1]

def service_graph(spans):
    spans = spans.drop_duplicates(["trace_id", "span_id"])
    failed = spans["status_code"] == "ERROR"
    up = spans[["trace_id", "span_id", "service.name"]].rename(
        columns={"span_id": "parent_span_id", "service.name": "caller"})
    merged = spans.assign(failed=failed).merge(up, on=["trace_id", "parent_span_id"], how="left")
    inner = merged[merged["caller"].notna() & (merged["caller"] != merged["service.name"])]
    lost = merged[merged["caller"].isna() & (merged["parent_span_id"] != "")
                  & merged["kind"].isin(["SERVER", "CONSUMER"])].assign(caller="unknown")
    used = set(zip(spans["trace_id"], spans["parent_span_id"]))
    leaf = np.array([(t, s) not in used for t, s in zip(merged["trace_id"], merged["span_id"])])
    out = merged[(merged["kind"] == "CLIENT") & (merged["server.address"] != "") & leaf]
    out = out.assign(caller=out["service.name"], **{"service.name": out["server.address"]})
    calls = pd.concat([lost, out, inner]).groupby(["service.name", "caller"])["failed"]
    return calls.agg(errors="sum", calls="size").rename_axis(["callee", "caller"]).reset_index()
"""

_TREE = [
    WrongAnswer("span-tree", "constants", "looks at no span", _TREE_CONSTANT, "constant"),
    WrongAnswer("span-tree", "ids alone", "reads no time", _TREE_IDS_ONLY, "metadata"),
    WrongAnswer("span-tree", "as recorded", "takes away the sum of the children, follows the "
                "longest child, believes every clock", _TREE_NAIVE, "naive"),
    _mistake(
        "span-tree", "believes clocks", "corrects nothing",
        ("todo.append((child, root, move))", "todo.append((child, root, 0))"),
    ),
    _mistake(
        "span-tree", "each span by itself", "what runs on the callee's host does not move along",
        ("if host[child] == host[span]:\n                move = shift", "if host[child] == host[span]:\n                move = 0"),
    ),
    _mistake(
        "span-tree", "squeezes all", "a child on the parent's host that runs on is moved, too",
        ("if host[child] == host[span]:", "if False:"),
    ),
    _mistake(
        "span-tree", "sum of children", "parallel children are taken away twice",
        ("busy += max(last - max(first, reached), 0)", "busy += last - first"),
    ),
    _mistake(
        "span-tree", "waits for consumers", "a consumer counts as a call",
        ('            if kind[child] != "CONSUMER"\n', ""),
    ),
    _mistake(
        "span-tree", "one after the other", "parallel children are on the path, all of them",
        ("if last <= now:", "if last <= now or first < now:"),
    ),
    _mistake(
        "span-tree", "longest child", "the path follows the longest child, not the last",
        ("key=lambda item: (-item[1], item[0], item[2])",
         "key=lambda item: (item[0] - item[1], item[0], item[2])"),
    ),
    _mistake(
        "span-tree", "fragments under the root", "what lost its parent is hung below the root",
        ("(children[above] if above in start else roots).append(span)",
         'orphans = [s for s in parent if parent[s] not in start]\n'
         '        head = min(orphans, key=lambda s: parent[s] != "")\n'
         "        if above in start:\n"
         "            children[above].append(span)\n"
         "        else:\n"
         "            (roots if span == head else children[head]).append(span)"),
    ),
    _mistake(
        "span-tree", "ids across traces", "joins spans of different traces",
        ('table = spans.drop_duplicates(["trace_id", "span_id"])',
         'table = spans.drop_duplicates(["trace_id", "span_id"]).assign(trace_id="")'),
    ),
    _mistake(
        "span-tree", "counts what came twice", "and sees only callees that send spans",
        ('table = spans.drop_duplicates(["trace_id", "span_id"])', "table = spans"),
        ('if kind == "CLIENT" and address and', 'if False and'),
    ),
    WrongAnswer("span-tree", "by intervals and merges", "right", _TREE_OTHERWISE, "alternative"),
]  # fmt: skip

# ---------------------------------------------------------------- joining and sampling

_JOIN_CONSTANT = """
def join_signals(trace_id, spans, logs, points, around_ms):
    return {"spans": [], "logs": [], "points": [], "origin": None}

def tail_sample(traces, budget, slow_ms, seed):
    return {"kept": pd.DataFrame({"trace_id": [], "weight": []}),
            "dropped": {"error": 0, "slow": 0, "ordinary": 0}}
"""

_JOIN_NAIVE = """
def join_signals(trace_id, spans, logs, points, around_ms):
    own = spans[spans["trace_id"] == trace_id].sort_values("start_time_unix_nano")
    failed = own[own["status_code"] == "ERROR"]
    return {"spans": own["span_id"].tolist(), "logs": logs.index[logs["trace_id"] == trace_id].tolist(),
            "points": points.index[points["exemplar.trace_id"] == trace_id].tolist(),
            "origin": failed["span_id"].iloc[-1] if len(failed) else None}

def tail_sample(traces, budget, slow_ms, seed):
    rng = np.random.default_rng(seed)
    share = min(1.0, 0.8 * budget / max(traces["bytes"].sum(), 1))
    kept = traces[rng.uniform(size=len(traces)) < share]
    lost = traces[~traces["trace_id"].isin(kept["trace_id"])]
    error = lost["status_code"] == "ERROR"
    slow = ~error & (lost["duration_ms"] >= slow_ms)
    return {"kept": pd.DataFrame({"trace_id": kept["trace_id"], "weight": 1 / share}),
            "dropped": {"error": int(error.sum()), "slow": int(slow.sum()),
                        "ordinary": int((~error & ~slow).sum())}}
"""

_JOIN_OTHERWISE = """
import hashlib

def join_signals(trace_id, spans, logs, points, around_ms):
    own = sorted((row for row in spans.to_dict("records") if row["trace_id"] == trace_id),
                 key=lambda row: (row["start_time_unix_nano"], row["span_id"]))
    lines = set(logs.index[logs["trace_id"] == trace_id])
    marks = set(points.index[points["exemplar.trace_id"] == trace_id])
    failed = [row for row in own if row["status_code"] == "ERROR"]
    if own:
        low = min(row["start_time_unix_nano"] for row in own) - around_ms * 10**6
        high = max(row["end_time_unix_nano"] for row in own) + around_ms * 10**6
        names = {row["service.name"] for row in own} | {row["server.address"] for row in own} - {""}
        here = logs[(logs["trace_id"] == "") & (logs["time_unix_nano"] >= low)
                    & (logs["time_unix_nano"] <= high)]
        lines |= {label for label, name in here["service.name"].items() if name in names}
        for label, row in points.iterrows():
            for one in own:
                if (one["service.name"] == row["service.name"]
                        and one["start_time_unix_nano"] < row["time_unix_nano"]
                        and row["start_time_unix_nano"] < one["end_time_unix_nano"]):
                    marks.add(label)
    parents = {row["parent_span_id"] for row in failed}
    ends = sorted((row["end_time_unix_nano"], row["span_id"]) for row in failed
                  if row["span_id"] not in parents)
    return {"origin": ends[0][1] if ends else None, "points": sorted(marks), "logs": sorted(lines),
            "spans": [row["span_id"] for row in own]}

def _draw(trace_id, seed):
    return hashlib.sha256(f"{seed}/{trace_id}".encode()).digest()[:8]
"""

_SAMPLE_HASHED = """
def tail_sample(traces, budget, slow_ms, seed):
    kind = np.where(traces["status_code"] == "ERROR", "error",
                    np.where(traces["duration_ms"] >= slow_ms, "slow", "ordinary"))
    names = ["error", "slow", "ordinary"]
    kept, dropped, left = [], {}, budget
    for place, name in enumerate(names):
        members = [(i, b) for i, b, k in zip(traces["trace_id"], traces["bytes"], kind) if k == name]
        later = sum(budget // 5 for other in names[place + 1:] if (kind == other).any())
        room, number = left - later, len(members)
        if sum(size for _, size in members) > room:
            number = 0
            for size in sorted((size for _, size in members), reverse=True):
                room -= size
                if room < 0:
                    break
                number += 1
        chosen = sorted(members, key=lambda m: _draw(m[0], seed))[:number]
        kept += [(trace, len(members) / number) for trace, _ in chosen]
        left -= sum(size for _, size in chosen)
        dropped[name] = len(members) - number
    return {"dropped": dropped, "kept": pd.DataFrame(kept, columns=["trace_id", "weight"])}
"""

_SAMPLE_STRATA = """
def tail_sample(traces, budget, slow_ms, seed):
    rng = np.random.default_rng([seed, 9])
    size = traces["bytes"].to_numpy()
    error = (traces["status_code"] == "ERROR").to_numpy()
    slow = ~error & (traces["duration_ms"] >= slow_ms).to_numpy()
    weight = np.zeros(len(traces))
    dropped, left = {}, budget
    for name, rows, later in [
        ("error", error, [slow, ~error & ~slow]), ("slow", slow, [~error & ~slow]),
        ("ordinary", ~error & ~slow, []),
    ]:
        room = left - sum(budget // 5 for other in later if other.any())
        members = np.flatnonzero(rows)
        members = members[np.argsort(size[members])]
        if size[members].sum() <= room:
            weight[members] = 1
        else:  # the largest and the others apart, each as many as fit at worst
            cut = max(1, int(0.85 * len(members)))
            big = members[cut:]
            n = int((np.sort(size[members])[::-1].cumsum() <= room).sum())
            most_big = max(1, min(n - 1, len(big)))
            room_small = room - int(np.sort(size[big])[::-1][:most_big].sum())
            for part, number in [
                (big, most_big),
                (members[:cut], int((np.sort(size[members[:cut]])[::-1].cumsum() <= room_small).sum())),
            ]:
                weight[rng.choice(part, number, replace=False)] = len(part) / number
        dropped[name] = int((rows & (weight == 0)).sum())
        left -= int(size[rows & (weight > 0)].sum())
    kept = weight > 0
    return {"kept": pd.DataFrame({"weight": weight[kept], "trace_id": traces["trace_id"][kept].tolist()}),
            "dropped": dropped}
"""

_CHOICE = "rows = luck.choice(rows, number, replace=False)"
_WEIGHT = "weights.append(np.full(number, total / max(number, 1)))"

_JOIN = [
    WrongAnswer("join-and-sample", "constants", "keeps nothing", _JOIN_CONSTANT, "constant"),
    WrongAnswer("join-and-sample", "by id alone, blind sample", "joins by trace id only and samples "
                "without a look at the trace", _JOIN_NAIVE, "naive"),
    _mistake(
        "join-and-sample", "the first ones", "takes the first that fit", (_CHOICE, "rows = rows[:number]"),
        kind="clock",
    ),
    _mistake(
        "join-and-sample", "the smallest", "reads the sizes alone, and knows that they fit",
        (_CHOICE, "rows = rows[np.argsort(size[rows])][:number]"), kind="metadata",
    ),
    _mistake(
        "join-and-sample", "weights forgotten", "each kept trace counts once",
        (_WEIGHT, "weights.append(np.ones(number))"),
    ),
    _mistake(
        "join-and-sample", "one weight for all", "number of traces over number kept, in each class",
        ('"weight": np.concatenate(weights),',
         '"weight": np.full(sum(map(len, kept)), len(traces) / max(sum(map(len, kept)), 1)),'),
    ),
    _mistake(
        "join-and-sample", "weight of another class", "ordinary traces carry the weight of slow ones",
        (_WEIGHT, 'weights.append(np.full(number, total / max(number, 1)))\n'
         '        if name == "ordinary":\n'
         "            weights[-1] = np.full(number, weights[-2][0] if len(weights[-2]) else 1.0)"),
    ),
    _mistake(
        "join-and-sample", "one sample", "takes no notice of the seed",
        ("luck = np.random.default_rng(seed)", "luck = np.random.default_rng(0)"),
    ),
    _mistake(
        "join-and-sample", "filled to the brim", "takes what still fits, so the small",
        (_CHOICE, "order, room, taken = luck.permutation(rows), allowance, []\n"
         "            for row in order:\n"
         "                if size[row] <= room:\n"
         "                    taken.append(row)\n"
         "                    room -= size[row]\n"
         "            rows, number = np.array(taken), len(taken)"),
    ),
    _mistake(
        "join-and-sample", "weight of the plan", "plans with the mean size, drops what is too much "
        "and keeps the planned weight",
        (_CHOICE, "plan = min(len(rows), int(allowance / size[rows].mean()))\n"
         "            rows = luck.choice(rows, plan, replace=False)\n"
         "            fits = max(number, int((size[rows].cumsum() <= allowance).sum()))\n"
         "            rows = rows[:fits]"),
        (_WEIGHT, "kept_now = number if number == int(members.sum()) else plan\n"
         "        number = len(rows)\n"
         "        dropped[name] = total - number\n"
         "        weights.append(np.full(number, total / max(kept_now, 1)))"),
    ),
    _mistake(
        "join-and-sample", "every error", "keeps all errors, whatever they weigh",
        ("if size[rows].sum() > allowance:", 'if name != "error" and size[rows].sum() > allowance:'),
        (".cumsum() <= allowance", ".cumsum() <= max(allowance, size[rows].max())"),
    ),
    _mistake(
        "join-and-sample", "drops in silence", "says that no error was lost",
        ("dropped[name] = total - number", 'dropped[name] = 0 if name == "error" else total - number'),
    ),
    _mistake(
        "join-and-sample", "all lines of the time", "lines of other traces come along",
        ('(logs["trace_id"] == "")\n            & logs["service.name"]', 'logs["service.name"]'),
    ),
    _mistake(
        "join-and-sample", "no databases", "overlooks what is only called",
        ('(set(own["service.name"]) | set(own["server.address"])) - {""}', 'set(own["service.name"])'),
    ),
    _mistake(
        "join-and-sample", "minute of the start", "a span lies in one minute",
        ('& (end > points["start_time_unix_nano"])',
         '& (start >= points["start_time_unix_nano"])'),
    ),
    _mistake(
        "join-and-sample", "blames the gateway", "the first failed span is the origin",
        ("deepest = failed[~failed[\"span_id\"].isin(failed[\"parent_span_id\"])]",
         'deepest = failed.sort_values("start_time_unix_nano").head(1)'),
    ),
    _mistake(
        "join-and-sample", "children of others", "looks for failed children in all traces",
        ('isin(failed["parent_span_id"])',
         'isin(spans.loc[spans["status_code"] == "ERROR", "parent_span_id"])'),
    ),
    WrongAnswer("join-and-sample", "loops and a hash", "right", _JOIN_OTHERWISE + _SAMPLE_HASHED,
                "alternative"),
    WrongAnswer("join-and-sample", "strata by size", "right", _JOIN_OTHERWISE + _SAMPLE_STRATA,
                "alternative"),
]  # fmt: skip

WRONG_ANSWERS = [a for a in (*_TREE, *_JOIN) if a.kind != "alternative"]
ALTERNATIVES = [a for a in (*_TREE, *_JOIN) if a.kind == "alternative"]

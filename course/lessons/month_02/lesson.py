# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Month 2 · Observability and AI
#
# Metrics say that something is wrong, traces say where, logs say what. This month you make the three speak
# about the same request.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import plots, shop

plots.use_style()

# %% [markdown]
# ## Three signals, one request
#
# **A Friday in April, 18:23.** `checkout` answers slowly and with errors. The dashboard shows the latency,
# and the on-call engineer asks the only question that counts: *which request, and what happened to it?* The
# next cell replays the five minutes before, in the shape in which OpenTelemetry delivers them: a table of
# spans, one of log records and one of metric points.

# %%
from course.shop.otel import otel_logs, otel_points, otel_spans, otel_traces

signal_evening = shop.Scenario(
    pd.Timestamp("2026-04-10T18:00Z"),
    minutes=40,
    seed=3,
    faults=(shop.Fault("third_party_outage", "payment-provider", 20, 18, 0.85),),
)
signal_recording = shop.simulate(signal_evening)
signal_window = [signal_evening.start + pd.Timedelta(minutes=minute) for minute in (18, 23)]
signal_spans = otel_spans(signal_recording, *signal_window)
signal_logs = otel_logs(signal_recording, *signal_window)
signal_points = otel_points(signal_spans)

# %%
# NBVAL_CHECK_OUTPUT
print(f"{len(signal_spans):6,} spans of {signal_spans['trace_id'].nunique():,} traces")
print(f"{len(signal_logs):6,} log records")
print(f"{len(signal_points):6,} buckets of a histogram, each with an exemplar")

# %% [markdown]
# The three meet in four ways:
#
# | join by | joins | exact? |
# |---|---|---|
# | **trace id** (16 bytes, 32 hexadecimal digits) | everything that one request caused, in all services | yes |
# | **span id** (8 bytes, unique only within its trace) | a log record to the one operation that wrote it | yes |
# | **time** | what has no id: a metric, a garbage collection, "pool at 98 %" | no: it was there, that is all |
# | **resource attributes** (`service.name`, `host.name`) | what one process or machine sent | yes, if all senders use the same names |
#
# The trace id travels from service to service in a header. W3C Trace Context (Recommendation, 2021) fixes its
# form: `traceparent: 00-<trace id>-<id of the caller's span>-01`, the last byte saying whether the caller
# keeps this trace. A service that does not pass the header on cuts the trace in two.
#
# A metric has no trace id: it stands for thousands of requests. The bridge is the **exemplar**, one
# measurement that went into a point, kept with its time and its trace id. A histogram keeps one a bucket
# (OpenTelemetry's libraries the last one, the table here the slowest), so that the slow buckets, with few
# requests, have theirs. Each dot of the next chart is an exemplar: a trace that you can open.

# %%
signal_checkout = signal_points[signal_points["service.name"] == "checkout"].copy()
signal_failed = set(signal_spans.loc[signal_spans["status_code"] == "ERROR", "trace_id"])
signal_checkout["bad"] = signal_checkout["exemplar.trace_id"].isin(signal_failed)
figure, ax = plt.subplots()
for signal_bad, signal_label in [(False, "all spans fine"), (True, "a span failed")]:
    signal_rows = signal_checkout[signal_checkout["bad"] == signal_bad]
    ax.scatter(
        pd.to_datetime(signal_rows["exemplar.time_unix_nano"], unit="ns", utc=True),
        signal_rows["exemplar.value"], s=14 + 2.5 * signal_rows["count"], label=signal_label,
        color=plots.RED if signal_bad else plots.BLUE, alpha=0.8,
    )  # fmt: skip
plots.concise_dates(ax)
ax.set(
    yscale="log", xlabel="time (UTC)", ylabel="duration (s)", yticks=[0.1, 0.3, 1, 3, 10],
    yticklabels=["0.1", "0.3", "1", "3", "10"],
    title="Every dot is a request of checkout that can be opened; its size is the bucket's count",
)  # fmt: skip
ax.legend(loc="lower right", ncols=2)
plt.show()

# %% [markdown]
# One red dot, followed through the trace id, gives the whole story of that request: its spans, and the lines
# that its services wrote.

# %%
# NBVAL_CHECK_OUTPUT
signal_sent = signal_spans.loc[signal_spans["kind"] == "PRODUCER", "trace_id"]
signal_red = signal_checkout[
    signal_checkout["bad"] & signal_checkout["exemplar.trace_id"].isin(signal_sent)
]
signal_slow = signal_red.sort_values("exemplar.value").iloc[-1]
signal_id = signal_slow["exemplar.trace_id"]
print(f"exemplar: {signal_slow['exemplar.value']:.2f} s in the bucket up to {signal_slow['le']} s")
signal_lines = signal_logs[
    (signal_logs["trace_id"] == signal_id) & (signal_logs["severity_number"] >= 13)
]
for signal_line in signal_lines.itertuples(index=False):
    print(f"{signal_line.severity_text:5s} {signal_line[5]:17s} {signal_line.body}")
signal_trace = signal_spans[signal_spans["trace_id"] == signal_id]
signal_call = signal_trace[signal_trace["server.address"] == "payment-provider"]
signal_ms = (signal_call["end_time_unix_nano"] - signal_call["start_time_unix_nano"]) / 1e6
print(f"the call of the payment provider took {signal_ms.sum():,.0f} ms")
signal_minute = pd.to_datetime(signal_slow["start_time_unix_nano"], unit="ns", utc=True)
signal_pool = signal_recording.service("checkout").loc[signal_minute, "pool_utilization"]
print(f"busy workers of checkout in that minute: {signal_pool:.0%}")

# %%
plots.waterfall(
    signal_trace,
    highlight=signal_call["span_id"],
    title="One bad checkout: a failed call of the provider (orange), long waits above it",
)
plt.show()

# %% [markdown]
# The call of the provider takes 0.7 s and fails. Most of the 11.6 s are `checkout`'s own: it waits for a free
# worker, because its workers wait for `payment`, whose workers wait for the provider. The spans show where
# the time is lost, the metric of the pool shows why.
#
# Two traps at once. A trace id in a log line need not lead anywhere: sampling may have dropped the trace, and
# the line remains. And an id joins only what *carries* it: the line "pool at 98 %" has none, because no
# single request caused it, but it belongs to the story. Such lines are joined by service and time, and said
# to be so.

# %%
# NBVAL_CHECK_OUTPUT
signal_errors = signal_logs[signal_logs["severity_text"] == "ERROR"]
signal_known = signal_errors["trace_id"].isin(signal_spans["trace_id"])
print(
    f"{len(signal_errors):,} ERROR records, {signal_known.mean():.1%} of them with a stored trace"
)
print(f"{(signal_logs['trace_id'] == '').sum()} records without a trace id")

# %% [markdown]
# The shop keeps one trace in twenty, whatever becomes of it; the last section of this part does better.
#
# ## What OpenTelemetry records
#
# OpenTelemetry (CNCF) fixes what a signal looks like, the protocol that carries it (OTLP) and, in its
# **semantic conventions**, what attributes are called. All three signals share two outer layers:
#
# - **Resource**: who sent it: `service.name`, `service.version`, `host.name`, `k8s.pod.name`. Said once for a
#   batch.
# - **Scope**: which instrumentation library made it, with its version.
#
# Inside stand spans, log records or metrics:
#
# | | fields |
# |---|---|
# | **span** | trace id, span id, parent span id, name, *kind*, start and end (ns since 1970), *status*, attributes, *events*, *links* |
# | **log record** | time, observed time, severity number (INFO 9, WARN 13, ERROR 17, FATAL 21) and text, body, attributes, trace id, span id |
# | **metric** | name, unit, and points: a sum, gauge, histogram or exponential histogram over a time, attributes, exemplars; counters and histograms are *cumulative* or *delta* |
#
# The words in italics decide how a trace is read.
#
# - **Kind**: `SERVER` answers a call, `CLIENT` makes one and waits, `PRODUCER` hands over a message,
#   `CONSUMER` works on it later, `INTERNAL` stays within the process. Between two processes a `CLIENT` span
#   is the parent of a `SERVER` span, a `PRODUCER` that of a `CONSUMER`. *Nobody waits for a consumer.*
# - **Status**: `UNSET`, `OK`, `ERROR`. Instrumentation leaves a success `UNSET`; `OK` is for the
#   application's author to say. A 404 is an error for the client that got it and `UNSET` for the server that
#   sent it.
# - **Events** are moments within a span, above all exceptions. **Links** point to other spans, mostly of
#   other traces: a consumer that takes fifty messages at once has one parent at most, and fifty links.
#
# The conventions used here are those of version 1.45:
#
# | area | attributes | state |
# |---|---|---|
# | HTTP | `http.request.method`, `http.route` (`/cart/{id}`, never `/cart/81723`), `http.response.status_code`, `error.type`, `server.address`; metric `http.server.request.duration` in **seconds** | stable |
# | databases | `db.system.name` (`postgresql`, `redis`), `db.operation.name`, `db.collection.name`, `db.query.summary` | stable |
# | messaging | `messaging.system`, `messaging.destination.name`, `messaging.operation.type` | in development |
#
# Older instrumentation still sends `http.method`, `http.status_code`, `db.system`: a query that knows one set
# only misses half of the fleet. `http.route` is a template for a reason that you will meet under
# *cardinality*. Print one trace, and every rule above is in it.

# %%
# NBVAL_CHECK_OUTPUT
otel_columns = ["kind", "service.name", "name", "status_code", "server.address"]
print(signal_trace[otel_columns].to_string(index=False))

# %% [markdown]
# Look at the calls of databases and of the provider: nobody instruments what they call, so all that exists is
# the caller's `CLIENT` span, with the callee in `server.address`. (Most frameworks also send a `CLIENT` span
# where the callee is instrumented; the shop leaves those out, which keeps its traces short.) `checkout`
# *sends* an order as a `PRODUCER`, and `fulfilment` works on it as a `CONSUMER`.
#
# **Where signals come from.** OpenTelemetry's libraries sit in the process, called by your code or put there
# by an agent. **APM** (application performance monitoring) is the older, vendor-made form of the same: an
# agent loaded into the runtime wraps frameworks and drivers, sends transactions, errors, runtime metrics and
# often profiles, and the vendor's backend draws the service map, groups errors and alerts. It is quick to
# have and knows code lines; it costs some CPU in every request, money per host or byte, and speaks the
# vendor's names, unless it takes OTLP, as by now all the large ones do. **eBPF** needs no change of the
# application: small programs, checked by the kernel's verifier before they load, run at hooks such as system
# calls, sockets and functions of libraries. They see every process, whatever its language: who talks to whom,
# HTTP and SQL on the wire, CPU profiles. Encrypted traffic is readable only at the functions of the TLS
# library, where it is still clear; the order number in your business logic is not visible at all; passing a
# trace id on is possible only in part; and it needs Linux with high privileges (`CAP_BPF`, since kernel 5.8,
# and more). Grafana's Beyla, given to OpenTelemetry in 2025 as *OpenTelemetry eBPF Instrumentation*, is one
# such source. Use it for coverage and for what you can't change, and instrumentation for what you must
# understand.
#
# ## A trace is a tree, and its clocks are wrong
#
# Each span names its parent, so a trace is a tree (Sigelman et al., "Dapper", Google technical report, 2010).
# Four questions are asked of it.
#
# **Self time**: how long was a span busy itself, and not waiting for a child? Not its duration minus the sum
# of its children's: children run in parallel, and what overlaps would be taken away twice. It is the duration
# minus the *union* of the children's intervals.
#
# **Critical path**: which spans would have to be faster for the answer to be faster? Start at the end of the
# root and walk back. The child that ended last is the one that was waited for; walk back through it, then go
# on from its start. Children that overlap with one that is already on the path ran in parallel: making them
# faster gains nothing. The time on the path adds up to the root's duration exactly. Chow et al. ("The Mystery
# Machine", OSDI 2014) and Zhang et al. ("CRISP", USENIX ATC 2022) built tools of this at Facebook and Uber;
# Jaeger's UI draws it.
#
# **Service graph**: who calls whom, how often, how often in vain? Count parents and children of different
# services, over many traces.
#
# **Is it the truth?** Three things spoil a trace.
#
# - **Lost spans.** A process is killed before it sends, a queue is full, a header is not passed on. What is
#   left is a span whose parent nobody has. It is the root of a *fragment*. Dropping it loses what you have;
#   hanging it below the grandparent or the root invents a call.
# - **Repeated spans.** Exporters try again after a timeout, so the same span may come twice.
# - **Clocks.** Every host has its own. NTP keeps them within milliseconds, unless it doesn't, and a call
#   takes milliseconds. Then a callee answers before it was asked. No event can precede its cause (Lamport,
#   "Time, clocks, and the ordering of events", CACM, 1978), so a child that does not lie within the parent
#   that waited for it shows a wrong clock.
#
# The next chart is a trace of the shop in which the clock of `host-d` is 150 ms behind.

# %%
skew_one = signal_spans[
    (signal_spans["http.route"] == "/checkout")
    & (signal_spans["parent_span_id"] == "")
    & signal_spans["trace_id"].isin(signal_sent)
].sort_values("end_time_unix_nano")
skew_id = skew_one[skew_one["status_code"] == "UNSET"]["trace_id"].iloc[0]
skew_trace = signal_spans[signal_spans["trace_id"] == skew_id].copy()
skew_late = skew_trace["host.name"] == "host-d"
skew_trace.loc[skew_late, ["start_time_unix_nano", "end_time_unix_nano"]] -= 150_000_000
plots.waterfall(
    skew_trace, highlight=skew_trace.loc[skew_late, "span_id"],
    title="Reserved before it was asked for: the spans of host-d (orange) are on a wrong clock",
)  # fmt: skip
plt.show()

# %% [markdown]
# How far to shift? A call takes time there and back. If both ways take equally long, the callee's span lies
# in the *middle* of the caller's: the assumption that NTP makes, too (RFC 5905, 2010). Jaeger's query service
# can correct clocks so, if you switch it on. All that runs on the callee's host shares its clock and moves
# along.
#
# Two kinds of child must *not* be squeezed into the parent: a `CONSUMER`, which may start minutes later, and
# a callee that runs longer than its caller, because the caller gave up. And on one host there is one clock: a
# child that outlives its parent there is asynchronous work, not a wrong clock. (A fire-and-forget call to
# another host looks just like a wrong clock. The rule is then wrong, and nothing in the trace tells.)
#
# ### Exercise 3 · Span tree and service graph (15 points)
#
# **Write** `span_tree(spans)` for one trace and `service_graph(spans)` for many.
#
# `spans` has the columns of `signal_spans`, rows in any order and with any index. A span may stand in it
# several times, in equal rows: it counts once. Times are integers, nanoseconds; every span is longer than 0.
#
# `span_tree` returns a DataFrame with one row a span, in any order, and the columns `span_id`, `root`,
# `start_ns`, `self_ns`, `critical_ns`.
#
# 1. **Tree.** A span whose `parent_span_id` is `""`, or is not among the spans, is a root. `root` is the
#    `span_id` of the root above a span (its own, if it is one).
# 2. **Clocks.** `start_ns` is the corrected start; a span keeps its duration. Roots are not moved. For any
#    other span, let *parent* be the corrected interval of its parent.
#    - On the parent's host (`host.name`) it moves by as much as the parent moved.
#    - On another host it stays as it was recorded, unless one of these holds. A `CONSUMER` that starts before
#      the parent starts: it moves to start with the parent. A span of another kind that is at most as long as
#      the parent, and begins before or ends after it: it moves to the middle, `start = parent start + (parent
#      duration − duration) / 2`. A span of another kind that is longer than the parent, and starts before the
#      parent starts or after the parent ends: it moves to start with the parent.
# 3. **Self time.** `self_ns` is the part of a span's corrected interval in which none of its children runs.
#    Children of kind `CONSUMER` don't count, here and in 4.; of the others, what lies outside of the span
#    doesn't.
# 4. **Critical path.** It belongs to one root: that with `parent_span_id` `""`, and if this span was lost,
#    the root that starts first (of several the smallest `span_id`). `critical_ns` is the time that a span has
#    on the path, 0 off it. Walk through the root from its end to its start. To walk through a span from
#    `high` down to `low`, cut its children to `[low, high]`, leave out those of which nothing is left, and
#    set `now = high`. Again and again, of the children that end at or before `now`, take the one that ends
#    last (of several the one that starts first, of several the smallest `span_id`): the time from its end to
#    `now` is the span's own, walk through the child from its cut end to its cut start, and set `now` to that
#    start. When no child is left, the time from `low` to `now` is the span's own.
#
# `service_graph` returns a DataFrame with the columns `caller`, `callee`, `calls`, `errors`: one row for each
# pair that occurs, in any order. `spans` are those of many traces, and ids of spans are unique within a trace
# only. A call is
#
# - a span whose parent is there and has another `service.name`: from the parent's service to the span's;
# - a `CLIENT` span with a `server.address` and without a child in its trace: from its service to
#   `server.address`;
# - a `SERVER` or `CONSUMER` span that names a parent which is not there: from `"unknown"` to its service.
#
# `errors` counts the calls whose span (that with which its rule begins) has the status `ERROR`.
#
# **Right** means: roots and counts exactly, times within 1 µs.
#
# **Example.** The next cell builds a trace; this is what `span_tree` returns for it, in milliseconds. The clock
# of h3 is 215 ms behind: `d` is 30 ms long, `b` 60 ms, so `d` starts 15 ms after `b`, at 25, and
# `e` moves along. The path of `a`: 10 ms itself, `c`, 5 ms itself, `b` with `d` and `e` within, 10 ms itself.
# `h` runs beside `b`.
#
# | span_id | a | b | c | d | e | f | g | h |
# |---|---|---|---|---|---|---|---|---|
# | root | a | a | a | a | a | a | g | a |
# | start_ns (ms) | 0 | 10 | 75 | 25 | 30 | 65 | 400 | 20 |
# | self_ns (ms) | 25 | 30 | 15 | 10 | 20 | 235 | 20 | 20 |
# | critical_ns (ms) | 25 | 30 | 15 | 10 | 20 | 0 | 0 | 0 |
#
# Its service graph: gateway → checkout, checkout → payment, checkout → fulfilment, payment → bank, unknown →
# search, one call each; of payment → bank one failed.
#
# **Scored:** six unseen tables of eight traces of the shop and others; one of them has no wrong clock and no
# loss. 2.5 points each: roots, starts, self times, critical paths and the service graph right in all traces
# of a table give 2.5, four of the five 0.9, three 0.2. 2 s a call.

# %%
SPAN_EXAMPLE = pd.DataFrame(
    [  # span, parent, kind, service, host, start and end in ms, server.address
        ("a", "", "SERVER", "gateway", "h1", 0, 100, ""),
        ("b", "a", "SERVER", "checkout", "h2", 10, 70, ""),
        ("c", "a", "INTERNAL", "gateway", "h1", 75, 90, ""),
        ("d", "b", "SERVER", "payment", "h3", -190, -160, ""),
        ("e", "d", "CLIENT", "payment", "h3", -185, -165, "bank"),
        ("f", "b", "CONSUMER", "fulfilment", "h4", 65, 300, ""),
        ("g", "x", "SERVER", "search", "h5", 400, 420, ""),
        ("h", "a", "INTERNAL", "gateway", "h1", 20, 40, ""),
    ],
    columns=["span_id", "parent_span_id", "kind", "service.name", "host.name",
             "start_time_unix_nano", "end_time_unix_nano", "server.address"],
).assign(trace_id="t", name="work")  # fmt: skip
SPAN_EXAMPLE["status_code"] = np.where(SPAN_EXAMPLE["span_id"] == "e", "ERROR", "UNSET")
SPAN_EXAMPLE[["start_time_unix_nano", "end_time_unix_nano"]] *= 1_000_000


# %% nbgrader={"grade": false, "grade_id": "span-tree", "locked": false, "schema_version": 3, "solution": true, "task": false}
def span_tree(spans: pd.DataFrame) -> pd.DataFrame:
    """Compute roots, corrected starts, self times and the critical path of one trace.

    Parameters
    ----------
    spans : DataFrame
        Spans of one trace, columns as `signal_spans`; any order, rows may be repeated.

    Returns
    -------
    DataFrame
        One row a span: `span_id`, `root`, `start_ns`, `self_ns`, `critical_ns`.
    """
    ### BEGIN SOLUTION
    table = spans.drop_duplicates("span_id").set_index("span_id")
    start, end, parent, host, kind = (
        table[column].to_dict()
        for column in ("start_time_unix_nano", "end_time_unix_nano", "parent_span_id", "host.name",
                       "kind")
    )  # fmt: skip
    children: dict = {span: [] for span in start}
    roots = []
    for span, above in parent.items():
        (children[above] if above in start else roots).append(span)

    root_of, fixed = {}, {}
    todo = [(root, root, 0) for root in roots]
    while todo:
        span, root, shift = todo.pop()
        root_of[span] = root
        low, high = fixed[span] = start[span] + shift, end[span] + shift
        for child in children[span]:
            first, last = start[child], end[child]
            length = last - first
            move = 0
            if host[child] == host[span]:
                move = shift
            elif kind[child] == "CONSUMER":
                move = max(low - first, 0)
            elif length <= high - low:
                if first < low or last > high:
                    move = low + (high - low - length) // 2 - first
            elif first < low or first > high:
                move = low - first
            todo.append((child, root, move))

    def cut_children(span, low, high):
        cut = [
            (max(fixed[child][0], low), min(fixed[child][1], high), child)
            for child in children[span]
            if kind[child] != "CONSUMER"
        ]
        return sorted(item for item in cut if item[0] < item[1])

    own = {}
    for span, (low, high) in fixed.items():
        busy, reached = 0, low
        for first, last, _ in cut_children(span, low, high):
            busy += max(last - max(first, reached), 0)
            reached = max(reached, last)
        own[span] = high - low - busy

    critical = dict.fromkeys(start, 0)

    def walk(span, low, high):
        now = high
        for first, last, child in sorted(
            cut_children(span, low, high), key=lambda item: (-item[1], item[0], item[2])
        ):
            if last <= now:
                critical[span] += now - last
                walk(child, first, last)
                now = first
        critical[span] += now - low

    main = min(roots, key=lambda root: (parent[root] != "", start[root], root))
    walk(main, *fixed[main])
    return pd.DataFrame(
        [(span, root_of[span], fixed[span][0], own[span], critical[span]) for span in start],
        columns=["span_id", "root", "start_ns", "self_ns", "critical_ns"],
    )
    ### END SOLUTION


def service_graph(spans: pd.DataFrame) -> pd.DataFrame:
    """Count the calls between services, and those that failed, over many traces.

    Parameters
    ----------
    spans : DataFrame
        Spans of many traces, columns as `signal_spans`; any order, rows may be repeated.

    Returns
    -------
    DataFrame
        One row a pair that occurs: `caller`, `callee`, `calls`, `errors`.
    """
    ### BEGIN SOLUTION
    table = spans.drop_duplicates(["trace_id", "span_id"])
    service = dict(
        zip(
            zip(table["trace_id"], table["span_id"], strict=True),
            table["service.name"],
            strict=True,
        )
    )
    parents = set(zip(table["trace_id"], table["parent_span_id"], strict=True))
    calls = []
    for trace, span, above, kind, name, address, status in zip(
        *(table[column] for column in ("trace_id", "span_id", "parent_span_id", "kind",
                                       "service.name", "server.address", "status_code")),
        strict=True,
    ):  # fmt: skip
        failed = status == "ERROR"
        if (trace, above) in service:
            caller = service[trace, above]
            if caller != name:
                calls.append((caller, name, 1, failed))
        elif above and kind in ("SERVER", "CONSUMER"):
            calls.append(("unknown", name, 1, failed))
        if kind == "CLIENT" and address and (trace, span) not in parents:
            calls.append((name, address, 1, failed))
    edges = pd.DataFrame(calls, columns=["caller", "callee", "calls", "errors"])
    return edges.groupby(["caller", "callee"], as_index=False)[["calls", "errors"]].sum()
    ### END SOLUTION


# %% [markdown]
# The visible check is the example, with a span delivered twice, and then the edges of the text one by one.


# %% nbgrader={"grade": true, "grade_id": "check-span-tree", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
def _check_tree(_check_spans, _check_expected, _check_what):
    _check_table = span_tree(_check_spans)
    assert isinstance(_check_table, pd.DataFrame), (
        f"span_tree must return a DataFrame, not {type(_check_table).__name__}"
    )
    _check_columns = {"span_id", "root", "start_ns", "self_ns", "critical_ns"}
    assert _check_columns <= set(_check_table.columns), (
        f"columns are missing: {_check_columns - set(_check_table.columns)}"
    )
    _check_ids = sorted(_check_spans["span_id"].unique())
    assert sorted(_check_table["span_id"]) == _check_ids, (
        f"{_check_what}: one row for each of {_check_ids}, not {sorted(_check_table['span_id'])}"
    )
    _check_table = _check_table.set_index("span_id")
    for _check_span, _check_row in _check_expected.items():
        for _check_column, _check_value in _check_row.items():
            _check_found = _check_table.loc[_check_span, _check_column]
            if _check_column != "root":
                _check_found = _check_found / 1e6
            assert _check_found == _check_value, (
                f"{_check_what}: {_check_column} of span {_check_span!r} should be "
                f"{_check_value!r}, not {_check_found!r} (times in ms)"
            )


def _check_small(*_check_rows):
    _check_spans = pd.DataFrame(
        _check_rows,
        columns=["span_id", "parent_span_id", "kind", "host.name",
                 "start_time_unix_nano", "end_time_unix_nano"],
    ).assign(trace_id="t", name="work", status_code="UNSET")  # fmt: skip
    _check_spans[["start_time_unix_nano", "end_time_unix_nano"]] *= 1_000_000
    _check_spans["service.name"], _check_spans["server.address"] = _check_spans["host.name"], ""
    return _check_spans


_check_twice = pd.concat([SPAN_EXAMPLE, SPAN_EXAMPLE.iloc[[2]]]).iloc[::-1]
_check_names = ("root", "start_ns", "self_ns", "critical_ns")
_check_tree(
    _check_twice,
    {
        "a": dict(zip(_check_names, ("a", 0, 25, 25), strict=True)),
        "b": dict(zip(_check_names, ("a", 10, 30, 30), strict=True)),
        "c": dict(zip(_check_names, ("a", 75, 15, 15), strict=True)),
        "d": dict(zip(_check_names, ("a", 25, 10, 10), strict=True)),
        "e": dict(zip(_check_names, ("a", 30, 20, 20), strict=True)),
        "f": dict(zip(_check_names, ("a", 65, 235, 0), strict=True)),
        "g": dict(zip(_check_names, ("g", 400, 20, 0), strict=True)),
        "h": dict(zip(_check_names, ("a", 20, 20, 0), strict=True)),
    },
    "the example of the text, c delivered twice",
)
_check_tree(
    _check_small(
        ("a", "", "SERVER", "h1", 0, 50), ("b", "a", "SERVER", "h2", 10, 90),
        ("c", "", "SERVER", "h1", 0, 50), ("d", "c", "SERVER", "h2", 51, 131),
    ).iloc[:2],
    {"a": {"self_ns": 10, "critical_ns": 10}, "b": {"start_ns": 10, "critical_ns": 40}},
    "b is longer than its parent, which gave up: b is not moved, and counts until the parent ends",
)  # fmt: skip
_check_tree(
    _check_small(("a", "", "SERVER", "h1", 0, 50), ("b", "a", "SERVER", "h2", 51, 131)),
    {"b": {"start_ns": 0, "critical_ns": 50}, "a": {"self_ns": 0}},
    "b is longer than its parent and starts after its end: it starts with the parent",
)
_check_tree(
    _check_small(
        ("a", "", "SERVER", "h1", 0, 50), ("b", "a", "CONSUMER", "h2", -30, 5),
        ("c", "b", "INTERNAL", "h2", -25, 90), ("e", "a", "CONSUMER", "h2", 500, 501),
    ),
    {"a": {"self_ns": 50, "critical_ns": 50}, "b": {"start_ns": 0, "self_ns": 5},
     "c": {"start_ns": 5}, "e": {"start_ns": 500}},
    "consumers: b starts with its parent at the earliest and takes c along, e stays",
)  # fmt: skip
_check_tree(
    _check_small(("b", "x", "SERVER", "h1", 20, 50), ("a", "y", "SERVER", "h1", 10, 12)),
    {"a": {"root": "a", "critical_ns": 2}, "b": {"root": "b", "critical_ns": 0}},
    "the first span of the trace is lost: the path is that of the root that starts first",
)
_check_tree(
    _check_small(
        ("a", "", "SERVER", "h1", 0, 50), ("b", "a", "INTERNAL", "h1", 10, 30),
        ("c", "a", "INTERNAL", "h1", 30, 70), ("d", "a", "INTERNAL", "h1", 15, 30),
    ),
    {"a": {"self_ns": 10, "critical_ns": 10}, "b": {"critical_ns": 20},
     "c": {"critical_ns": 20, "self_ns": 40}, "d": {"critical_ns": 0}},
    "c runs on after its parent on the same host; b and d end together, and b starts first",
)  # fmt: skip

_check_two = pd.concat([SPAN_EXAMPLE, SPAN_EXAMPLE.iloc[:2].assign(trace_id="u"), SPAN_EXAMPLE])
_check_graph = service_graph(_check_two)
assert isinstance(_check_graph, pd.DataFrame) and {"caller", "callee", "calls", "errors"} <= set(
    _check_graph.columns
), "service_graph must return a DataFrame with the columns caller, callee, calls, errors"
_check_found = {
    (row.caller, row.callee): (int(row.calls), int(row.errors)) for row in _check_graph.itertuples()
}
_check_expected = {
    ("gateway", "checkout"): (2, 0), ("checkout", "payment"): (1, 0),
    ("checkout", "fulfilment"): (1, 0), ("payment", "bank"): (1, 1), ("unknown", "search"): (1, 0),
}  # fmt: skip
assert _check_found == _check_expected, (
    f"the example and a second trace with two of its spans: expected {_check_expected}, got {_check_found}"
)

# %% [markdown]
# Your function on the trace with the wrong clock: `host-d` is back in time, and the critical path is orange.
# What was moved is plausible, not true: `shipping` was called after `payment`, and the middle of `checkout`
# puts it beside. Nothing that is drawn from the order of corrected spans is proof.

# %%
skew_tree = span_tree(skew_trace).merge(skew_trace, on="span_id")
skew_tree["end_ns"] = skew_tree["start_ns"] + (
    skew_tree["end_time_unix_nano"] - skew_tree["start_time_unix_nano"]
)
plots.waterfall(
    skew_tree, start="start_ns", end="end_ns",
    highlight=skew_tree.loc[skew_tree["critical_ns"] > 0, "span_id"],
    title="With clocks corrected every call lies within its caller; orange is the critical path",
)  # fmt: skip
plt.show()

# %% [markdown]
# And where does the time of all bad checkouts go? Add up the time on the critical path by service and callee.

# %%
# NBVAL_CHECK_OUTPUT
critical_bad = signal_spans[
    (signal_spans["http.route"] == "/checkout")
    & (signal_spans["parent_span_id"] == "")
    & (signal_spans["status_code"] == "ERROR")
]["trace_id"]
critical_spans = signal_spans[signal_spans["trace_id"].isin(critical_bad)]
critical_time = pd.concat(
    span_tree(one).merge(one, on="span_id") for _, one in critical_spans.groupby("trace_id")
)
critical_where = critical_time["server.address"].where(
    critical_time["server.address"] != "", critical_time["service.name"]
)
critical_share = critical_time.groupby(critical_where)["critical_ns"].sum()
critical_share = (critical_share / critical_share.sum()).sort_values(ascending=False)
print(f"{len(critical_bad)} bad checkouts")
for critical_name, critical_value in critical_share.head(4).items():
    print(f"{critical_name:17s}{critical_value:6.1%} of the time on critical paths")

# %% [markdown]
# ## Keep what matters, and count what you dropped
#
# Traces are the dearest signal: one checkout takes some 12 to 20 kB, most of it saying that all went well. So
# traces are sampled.
#
# **Head sampling** decides when the root span starts, from the trace id (so that all services decide alike),
# and passes the decision on in `traceparent`. It is cheap and blind: nothing is known yet, so it keeps one
# error in twenty when it keeps one trace in twenty. The shop's traces are made so.
#
# **Tail sampling** waits until the trace is complete, then decides with all of it in hand: keep every error,
# every slow one, a few of the others. OpenTelemetry's collector does that in its `tail_sampling` processor.
# It costs memory for all spans of the wait (30 s by default), all spans of a trace must reach the same
# collector (so a first layer routes by trace id), and spans that come later than the wait are judged without
# the rest.
#
# What is left no longer looks like the traffic. Take the traces of our five minutes as all there are:

# %%
# NBVAL_CHECK_OUTPUT
sample_traces = otel_traces(signal_spans)
sample_bad = sample_traces["status_code"] == "ERROR"
sample_slow = ~sample_bad & (sample_traces["duration_ms"] >= 400)
sample_rest = sample_traces[~sample_bad & ~sample_slow]
sample_some = sample_rest.sample(100, random_state=1)
print(f"{len(sample_traces):,} traces, {sample_traces['bytes'].sum() / 1e6:.1f} MB")
print(f"{sample_bad.sum()} with an error, {sample_slow.sum()} slow, {len(sample_rest):,} others")
sample_kept = sample_bad.sum() + sample_slow.sum() + len(sample_some)
print(f"error ratio of all traces:        {sample_bad.mean():.1%}")
print(f"of all bad ones and 100 others:   {sample_bad.sum() / sample_kept:.1%}")
sample_weighted = sample_bad.sum() + sample_slow.sum() + len(sample_rest) / 100 * len(sample_some)
print(f"with weights:                     {sample_bad.sum() / sample_weighted:.1%}")

# %% [markdown]
# The cure is as old as survey sampling. Give each kept trace the **weight** $w = 1/\pi$, where $\pi$ is the
# probability with which it was kept. The sum of the weights of any group (a route, a service, a second) has
# the number of traces in this group as its expectation:
#
# $$E\Big[\sum_{i\ \text{kept}} w_i\Big] = \sum_i \pi_i \cdot \frac{1}{\pi_i} = N$$
#
# This is the estimator of Horvitz and Thompson ("A generalization of sampling without replacement from a
# finite universe", Journal of the American Statistical Association, 1952). It needs two things: **every trace
# has a chance** ($\pi > 0$; a class that is never kept can't be estimated, only reported) and **you know the
# chance**. Draw $n$ of $N$ at random: $\pi = n/N$, the weight is $N/n$. Keep a whole class: the weight is 1.
# Each span carries the weight of its trace. OpenTelemetry writes it into `tracestate` as a threshold
# (`ot=th:…`, in development), vendors call it *sample rate*.
#
# **The trap.** A budget counts bytes, and traces differ in size. The obvious way, *take traces in random
# order, skip what does not fit, go on until the budget is full, weigh by N over number kept*, favours the
# small: near the brim only they fit. So $\pi$ depends on the size, and the weight is wrong for all. To see
# it, let one trace in twelve carry a debug attribute of 60 kB, and count those traces, 2,000 times: filled to
# the brim, and with a number of traces that was fixed *before* looking at which ones were drawn.

# %%
brim_rng = np.random.default_rng(5)
brim_debug = brim_rng.uniform(size=len(sample_rest)) < 1 / 12
brim_size = sample_rest["bytes"].to_numpy() + 60_000 * brim_debug
brim_budget = 250_000
brim_number = int((np.sort(brim_size)[::-1].cumsum() <= brim_budget).sum())
brim_filled, brim_fixed = [], []
for _ in range(2000):
    brim_order = brim_rng.permutation(len(brim_size))[:150]
    brim_left, brim_taken = brim_budget, []
    for brim_one, brim_bytes in zip(brim_order, brim_size[brim_order].tolist(), strict=True):
        if brim_bytes <= brim_left:
            brim_left -= brim_bytes
            brim_taken.append(brim_one)
    brim_filled.append(brim_debug[brim_taken].mean() * len(brim_size))
    brim_fixed.append(brim_debug[brim_order[:brim_number]].mean() * len(brim_size))
brim_true = int(brim_debug.sum())
figure, ax = plt.subplots(figsize=(9.0, 2.2))
for brim_row, (brim_values, brim_colour) in enumerate(
    [(brim_filled, plots.ORANGE), (brim_fixed, plots.BLUE)]
):
    brim_error = np.std(brim_values) / np.sqrt(len(brim_values))
    ax.errorbar(np.mean(brim_values), brim_row, xerr=2 * brim_error, fmt="o", ms=8, capsize=5,
                color=brim_colour)  # fmt: skip
ax.axvline(brim_true, color=plots.BLACK, ls="--", lw=1)
ax.set(
    yticks=[0, 1], ylim=(-0.6, 1.6), yticklabels=["filled to the brim", "number fixed before"],
    xlim=(0, None), xlabel="estimated number of traces with the attribute (mean of 2,000 samples)",
    title="Filling the budget to the brim loses the large traces (dashed: the truth)",
)  # fmt: skip
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(f"traces with the attribute:              {brim_true}")
print(f"filled to the brim, on average:         {np.mean(brim_filled):.0f}")
print(f"{brim_number} traces, fixed before, on average:   {np.mean(brim_fixed):.0f}")

# %% [markdown]
# How many may be drawn so that the budget holds *whatever* is drawn? As many as fit when chance picks the
# largest. That wastes budget where few traces are huge. Better: draw small and large traces apart (strata),
# each with its own weight, or priority sampling (Duffield, Lund and Thorup, Journal of the ACM, 2007), which
# keeps large items with a higher probability and knows it. Las-Casas et al. ("Weighted sampling of execution
# traces", ACM SoCC, 2018) choose by how unusual a trace is; Zhang et al. ("The benefit of hindsight", NSDI,
# 2023) let services keep their spans in a ring buffer until somebody finds out that the trace mattered.
#
# **When errors don't fit.** In an incident everything is an error. A sampler that keeps all errors breaks the
# budget or falls over; one that drops them in silence lies in the very hour for which it was bought. So
# sample errors too, with weights, keep a reserve for the other classes (without good traces there is nothing
# to compare with), and *report* what was dropped.
#
# Three habits for work. Count requests and errors *before* sampling (the collector's `spanmetrics` connector
# stands in front of the sampler), and use weights where you can't. Keep the traces that exemplars point to,
# or the dots of the first chart open nothing. And log lines are not sampled with their traces: the id in a
# line may be all that is left.
#
# ### Exercise 5 · Join and sample (15 points)
#
# **Write** `join_signals(trace_id, spans, logs, points, around_ms)` and `tail_sample(traces, budget, slow_ms,
# seed)`.
#
# `join_signals` gathers the evidence about one trace. `spans`, `logs` and `points` have the columns of
# `signal_spans`, `signal_logs` and `signal_points`, rows in any order, under unique index labels that are no
# positions. Return a dict:
#
# - `"spans"`: list of the ids of the trace's spans by start, of several the smallest id first.
# - `"logs"`: list of the index labels, in any order, of the records that carry the trace id, and of those
#   that carry none (`""`), come from a service of the trace and were written from `around_ms` milliseconds
#   before its earliest start to `around_ms` after its latest end, both included. Services of the trace are
#   all `service.name` of its spans, and all `server.address` but `""`. A record with the id of another trace
#   never belongs.
# - `"points"`: list of the index labels, in any order, of the points whose exemplar has the trace id, and of
#   those that a span of the trace with the same `service.name` touches: it starts before the point's
#   `time_unix_nano` and ends after its `start_time_unix_nano`.
# - `"origin"`: where the error came from, the id of the failed span (`status_code` `ERROR`) that has no
#   failed child. Of several, that which ended first; of these the smallest id. `None` if no span failed.
#
# A trace may have no span in `spans`: then `"spans"` is empty, `"origin"` `None`, and records and points
# belong by the id alone. Ids of spans are unique within a trace only.
#
# `tail_sample` decides over complete traces. `traces` has the columns of `sample_traces`, one row a trace,
# and may be empty; `budget` is a whole number of bytes. Return a dict: `"kept"`, a DataFrame with the columns
# `trace_id` and `weight`, one row for each kept trace in any order, and `"dropped"`, a dict with the number
# of traces not kept of each class: `{"error": 3, "slow": 0, "ordinary": 250}`.
#
# 1. **Classes.** `error`: `status_code` is `ERROR`. `slow`: no error, `duration_ms` at least `slow_ms`.
#    `ordinary`: all others.
# 2. **Allowance.** In the order error, slow, ordinary, a class may use what the classes before it left of the
#    budget, less what is reserved for those after it: `budget // 5` for slow and as much for ordinary, each
#    only if that class is not empty.
# 3. A class whose bytes are at most its allowance is **kept whole**, with weight 1.
# 4. Of any other class keep a **random sample** whose bytes never exceed the allowance, of at least $n$
#    traces, where $n$ is the largest number such that even the $n$ largest of the class fit (in the hidden
#    checks never below 3). The weight of a trace is 1 ÷ the probability that it is kept, given what was kept
#    of the classes before it.
# 5. The same `seed` gives the same answer, and samples of different seeds are independent.
#
# **Right** means: everything as said, and unbiased: for any group of traces (by route, size, duration, time)
# the sums of weights over many seeds have the number of traces in the group as their mean. A sum may differ
# from seed to seed.
#
# **Example.** `budget` 1000; six errors of 300 bytes, no slow trace, four ordinary ones of 100 bytes. The
# reserve for ordinary is 200. Errors may use 800, need 1800, and two of them fit: two are kept, with weight
# 3. That leaves 400 for the ordinary ones, which is what they need: all are kept, with weight 1. `dropped` is
# `{"error": 4, "slow": 0, "ordinary": 0}`. With a budget of 500 errors may use 400: one is kept, with weight
# 6. 200 are left: two ordinary ones are kept, with weight 2.
#
# **Scored:** three unseen windows of the shop. In each: the evidence of three traces right in all four keys 2
# points; the sample right in all of the rules above, for three budgets and some 120 seeds, 2 points; both
# right 1 point more. Means have to be within 4 standard errors of the true numbers, in each window and over
# all of them. 2 s for `join_signals`, 1 s for `tail_sample`.


# %% nbgrader={"grade": false, "grade_id": "join-and-sample", "locked": false, "schema_version": 3, "solution": true, "task": false}
def join_signals(
    trace_id: str, spans: pd.DataFrame, logs: pd.DataFrame, points: pd.DataFrame, around_ms: int
) -> dict:
    """Gather what the three signals say about one trace.

    Parameters
    ----------
    trace_id : str
    spans, logs, points : DataFrame
        Columns as `signal_spans`, `signal_logs`, `signal_points`; any order, any unique index.
    around_ms : int
        How long before and after the trace a record without trace id still belongs to it.

    Returns
    -------
    dict
        `"spans"`: ids by start; `"logs"`, `"points"`: index labels; `"origin"`: id or None.
    """
    ### BEGIN SOLUTION
    own = spans[spans["trace_id"] == trace_id]
    own = own.sort_values(["start_time_unix_nano", "span_id"])
    in_logs = logs["trace_id"] == trace_id
    in_points = points["exemplar.trace_id"] == trace_id
    origin = None
    if len(own):
        around = around_ms * 1_000_000
        first = own["start_time_unix_nano"].min() - around
        last = own["end_time_unix_nano"].max() + around
        services = (set(own["service.name"]) | set(own["server.address"])) - {""}
        in_logs |= (
            (logs["trace_id"] == "")
            & logs["service.name"].isin(services)
            & logs["time_unix_nano"].between(first, last)
        )
        for service, start, end in zip(
            own["service.name"], own["start_time_unix_nano"], own["end_time_unix_nano"],
            strict=True,
        ):  # fmt: skip
            in_points |= (
                (points["service.name"] == service)
                & (start < points["time_unix_nano"])
                & (end > points["start_time_unix_nano"])
            )
        failed = own[own["status_code"] == "ERROR"]
        deepest = failed[~failed["span_id"].isin(failed["parent_span_id"])]
        if len(deepest):
            origin = deepest.sort_values(["end_time_unix_nano", "span_id"])["span_id"].iloc[0]
    return {
        "spans": own["span_id"].tolist(),
        "logs": logs.index[in_logs].tolist(),
        "points": points.index[in_points].tolist(),
        "origin": origin,
    }
    ### END SOLUTION


def tail_sample(traces: pd.DataFrame, budget: int, slow_ms: float, seed: int) -> dict:
    """Choose complete traces within a budget of bytes, with weights that keep counts unbiased.

    Parameters
    ----------
    traces : DataFrame
        Columns as `sample_traces`, one row a trace.
    budget : int
        Bytes that the kept traces may have together.
    slow_ms : float
        Traces that last at least as long are slow.
    seed : int
        Decides the sample.

    Returns
    -------
    dict
        `"kept"`: DataFrame with `trace_id` and `weight`; `"dropped"`: number by class.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    size = traces["bytes"].to_numpy()
    error = (traces["status_code"] == "ERROR").to_numpy()
    slow = ~error & (traces["duration_ms"].to_numpy() >= slow_ms)
    classes = {"error": error, "slow": slow, "ordinary": ~error & ~slow}
    reserved = {name: budget // 5 * bool(members.any()) for name, members in classes.items()}
    left, kept, weights, dropped = budget, [], [], {}
    for name, members in classes.items():
        reserved.pop(name)
        rows = np.flatnonzero(members)
        allowance = left - sum(reserved.values())
        number = len(rows)
        if size[rows].sum() > allowance:
            number = int((np.sort(size[rows])[::-1].cumsum() <= allowance).sum())
            rows = rng.choice(rows, number, replace=False)
        total = int(members.sum())
        dropped[name] = total - number
        kept.append(rows)
        weights.append(np.full(number, total / max(number, 1)))
        left -= int(size[rows].sum())
    return {
        "kept": pd.DataFrame(
            {
                "trace_id": traces["trace_id"].to_numpy()[np.concatenate(kept)],
                "weight": np.concatenate(weights),
            }
        ),
        "dropped": dropped,
    }
    ### END SOLUTION


# %% [markdown]
# The visible check asks for the evidence of a small trace, then for the example above, and then counts the
# checkouts of the shop over 100 seeds.

# %% nbgrader={"grade": true, "grade_id": "check-join-and-sample", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
_check_ms = 1_000_000
_check_spans = pd.DataFrame(
    [  # trace, span, parent, service, address, start, end, status
        ("t", "c", "b", "payment", "bank", 59_700, 59_800, "ERROR"),
        ("t", "a", "", "gateway", "", 59_500, 60_000, "ERROR"),
        ("t", "b", "a", "checkout", "", 59_600, 60_200, "ERROR"),
        ("u", "a", "", "gateway", "", 59_500, 60_300, "ERROR"),
        ("u", "d", "c", "search", "", 59_500, 60_300, "ERROR"),
    ],
    columns=["trace_id", "span_id", "parent_span_id", "service.name", "server.address",
             "start_time_unix_nano", "end_time_unix_nano", "status_code"],
    index=[7, 5, 3, 2, 9],
).assign(kind="SERVER", name="work")  # fmt: skip
_check_spans[["start_time_unix_nano", "end_time_unix_nano"]] *= _check_ms
_check_logs = pd.DataFrame(
    [
        ("t", "x", 99_000), ("u", "gateway", 59_600), ("", "gateway", 59_400),
        ("", "gateway", 59_399), ("", "bank", 60_300), ("", "search", 59_700), ("", "", 59_700),
    ],
    columns=["trace_id", "service.name", "time_unix_nano"],
    index=[40, 10, 30, 20, 70, 60, 50],
).assign(severity_number=13, severity_text="WARN", body="pool at 98 %")  # fmt: skip
_check_logs["time_unix_nano"] *= _check_ms
_check_points = pd.DataFrame(
    [
        ("gateway", 0, 60_000, "u"), ("gateway", 60_000, 120_000, "u"),
        ("checkout", 60_000, 120_000, ""), ("search", 180_000, 240_000, "t"),
        ("payment", 60_000, 120_000, "u"), ("checkout", 120_000, 180_000, "u"),
    ],
    columns=["service.name", "start_time_unix_nano", "time_unix_nano", "exemplar.trace_id"],
    index=[14, 13, 12, 11, 10, 9],
)  # fmt: skip
_check_points[["start_time_unix_nano", "time_unix_nano"]] *= _check_ms
_check_found = join_signals("t", _check_spans, _check_logs, _check_points, 100)
assert isinstance(_check_found, dict), (
    f"join_signals must return a dict, not {type(_check_found).__name__}"
)
for _check_key, _check_expected, _check_why in [
    ("spans", ["a", "b", "c"], "by start"),
    ("logs", [30, 40, 70], "by trace id; without an id by service (server.address, too) and time"),
    ("points", [11, 12, 14], "by exemplar, or touched by a span of this service: not at the edge"),
    ("origin", "c", "failed, and no failed child in its own trace"),
]:
    _check_value = _check_found.get(_check_key)
    if _check_key in ("logs", "points"):
        _check_value = sorted(_check_value)
    assert _check_value == _check_expected, (
        f"{_check_key}: expected {_check_expected} ({_check_why}), got {_check_value}"
    )
_check_found = join_signals("v", _check_spans, _check_logs, _check_points, 100)
assert _check_found == {"spans": [], "logs": [], "points": [], "origin": None}, (
    f"a trace that nobody has gives empty lists and None, not {_check_found}"
)

_check_traces = pd.DataFrame(
    {
        "trace_id": list("abcdefghij"), "http.route": "/", "duration_ms": 100.0, "spans": 3,
        "status_code": ["ERROR"] * 6 + ["UNSET"] * 4, "bytes": [300] * 6 + [100] * 4,
    }
)  # fmt: skip
for _check_budget, _check_weights, _check_dropped in [
    (1000, [1.0] * 4 + [3.0] * 2, {"error": 4, "slow": 0, "ordinary": 0}),
    (500, [2.0, 2.0, 6.0], {"error": 5, "slow": 0, "ordinary": 2}),
]:
    _check_answer = tail_sample(_check_traces, _check_budget, 400.0, seed=1)
    assert isinstance(_check_answer, dict) and {"kept", "dropped"} <= set(_check_answer), (
        "tail_sample must return a dict with the keys kept and dropped"
    )
    _check_kept = _check_answer["kept"]
    assert sorted(_check_kept["weight"]) == _check_weights, (
        f"example, budget {_check_budget}: weights should be {_check_weights}, "
        f"not {sorted(_check_kept['weight'])}"
    )
    assert _check_answer["dropped"] == _check_dropped, (
        f"example, budget {_check_budget}: dropped should be {_check_dropped}, "
        f"not {_check_answer['dropped']}"
    )
_check_answer = tail_sample(_check_traces.iloc[:0], 1000, 400.0, seed=1)
assert len(_check_answer["kept"]) == 0 and not any(_check_answer["dropped"].values()), (
    "no traces: nothing is kept and nothing is dropped"
)

_check_bytes = dict(zip(sample_traces["trace_id"], sample_traces["bytes"], strict=True))
_check_route = dict(zip(sample_traces["trace_id"], sample_traces["http.route"], strict=True))
_check_counts = []
for _check_seed in range(100):
    _check_kept = tail_sample(sample_traces, 700_000, 400.0, _check_seed)["kept"]
    assert sum(map(_check_bytes.get, _check_kept["trace_id"])) <= 700_000, (
        f"seed {_check_seed}: the kept traces have more bytes than the budget of 700,000"
    )
    _check_counts.append(
        sum(
            weight
            for trace, weight in zip(_check_kept["trace_id"], _check_kept["weight"], strict=True)
            if _check_route[trace] == "/checkout"
        )
    )
_check_true = list(_check_route.values()).count("/checkout")
_check_error = np.std(_check_counts) / np.sqrt(100)
assert abs(np.mean(_check_counts) - _check_true) <= 5 * _check_error + 1e-6, (
    f"{_check_true} checkouts, but the mean of their weights over 100 seeds is "
    f"{np.mean(_check_counts):.1f} ± {_check_error:.1f}: is each weight 1 / probability?"
)

# %% [markdown]
# What the sampler is good for: the error ratio of each half minute, from a sample of a quarter of the bytes.

# %%
quarter_kept = tail_sample(sample_traces, int(sample_traces["bytes"].sum() // 4), 400.0, seed=7)
quarter = quarter_kept["kept"].merge(sample_traces, on="trace_id")
quarter_begin = signal_spans[signal_spans["parent_span_id"] == ""].set_index("trace_id")
quarter_begin = pd.to_datetime(quarter_begin["start_time_unix_nano"], unit="ns", utc=True)
quarter_begin = quarter_begin.dt.floor("30s")


def quarter_ratio(table: pd.DataFrame, weight: pd.Series | float) -> pd.Series:
    """Share of failed traces in each half minute, in percent."""
    table = table.assign(
        begin=table["trace_id"].map(quarter_begin), w=weight, bad=table["status_code"] == "ERROR"
    )
    failed = table["w"].where(table["bad"], 0.0).groupby(table["begin"]).sum()
    return 100 * failed / table.groupby("begin")["w"].sum()


ax = plots.timeline(
    {
        "all traces": quarter_ratio(sample_traces, 1.0),
        "a quarter, weighted": quarter_ratio(quarter, quarter["weight"]),
        "a quarter, weights forgotten": quarter_ratio(quarter, 1.0),
    },
    title="Without weights the sample cries wolf; with them it tells what all traces tell",
    ylabel="failed traces (%)",
)
plt.show()
print(f"kept {len(quarter)} of {len(sample_traces):,} traces, dropped: {quarter_kept['dropped']}")

# %% [markdown]
# ## What to remember about traces
#
# - Join by trace id first, by span id within a trace, by time and resource last, and say which it was.
# - Self time takes away the union of the children, not their sum. The critical path is what the user waited
#   for.
# - A child outside of its parent is a wrong clock, asynchronous work, or a caller that gave up. Kind and host
#   tell which.
# - A sample without weights is not evidence about traffic. A weight is one over a probability that you know.
# - A budget that errors can't break, with a report of what was dropped, is the one that survives an incident.

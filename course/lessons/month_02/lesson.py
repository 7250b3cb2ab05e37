# ---
# jupyter:
#   course:
#     withheld:
#     - course.telemetry.prometheus
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
# **02:52, Tuesday.** Your phone rings: *checkout, error ratio above 5 %*. You open the shop's dashboards:
# nineteen services, nine metrics each, a wall of logs, thousands of traces. At 03:12 you still scroll. So you do what
# everybody does at that hour, and sort by what moved most since it began. Three lines lead the list, all of them about
# paying: the calls of checkout, of payment and of the payment provider. You call the
# provider's hotline and wait. At 03:51 a friendly voice confirms that the provider is fine. It was fine all night.
#
# What was broken stands right below the three: packets were lost on the way to `inventory`, a small service that
# answers in 10 ms of its own. Its log said so in so many words, in a message that nobody had ever seen there.
# The next cells replay the night and the list.

# %%
import json
import re
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import plots, shop
from course.shop import windows
from course.shop.accesslog import access_log
from course.telemetry import queries as ask
from course.telemetry import wire

plots.use_style()

insight_fault = shop.Fault("network_loss", "inventory", start=47, minutes=28, severity=0.75)
insight_night = shop.Scenario("2026-03-17T02:00Z", minutes=75, seed=4, faults=(insight_fault,))
insight_recording = shop.simulate(insight_night)
insight_since = insight_night.index[46]
insight_seen = windows.window(insight_recording, insight_night.index[6], insight_night.index[72])

# %%
insight_sides = [
    (insight_seen.metrics.index < insight_since, insight_seen.spans["start"] < insight_since),
    (insight_seen.metrics.index >= insight_since, insight_seen.spans["start"] >= insight_since),
]
insight_before, insight_after = (
    pd.concat(
        [
            insight_seen.metrics[rows].mean(),
            insight_seen.spans[calls]
            .groupby("service")["duration_ms"]
            .mean()
            .pipe(lambda means: means.set_axis([(name, "mean span (ms)") for name in means.index])),
        ]
    )
    for rows, calls in insight_sides
)
insight_by_size = (insight_after - insight_before).abs().nlargest(5)
print("what moved most since 02:46:")
print(insight_by_size.round(0).to_string())

# %%
insight_truth = pd.DataFrame([vars(fault) for fault in shop.truth(insight_night)])[["start", "end"]]
insight_truth["end"] = insight_seen.metrics.index[-1]
insight_calls = insight_seen.spans[insight_seen.spans["service"] == "payment-provider"]
insight_resets = insight_seen.logs[insight_seen.logs["message"].str.startswith("connection reset")]
insight_resets = insight_resets.set_index("time").resample("1min").size()

figure, axes = plots.grid(3, height=1.6)
plots.timeline(
    100 * insight_seen.metrics["checkout", "error_ratio"],
    ax=axes[0], ylabel="errors (%)", events=insight_truth, title="checkout: the page comes at 02:52",
)  # fmt: skip
axes[0].axhline(5, color=plots.RED, ls="--", lw=1)
axes[1].plot(insight_calls["start"], insight_calls["duration_ms"], "o", ms=4)
plots.shade(axes[1], insight_truth)
axes[1].set(
    ylabel="one call (ms)",
    title="payment-provider: a handful of sampled calls decides the mean",
    ylim=(0, 420),
)
plots.timeline(
    insight_resets.reindex(insight_seen.metrics.index, fill_value=0),
    ax=axes[2], ylabel="lines a minute", events=insight_truth,
    title='inventory: "connection reset by peer", never seen before',
)  # fmt: skip
plt.show()

# %% [markdown]
# The dashed line is the threshold of the page. The second panel is what a list sorted by size
# puts on top: the provider takes 180 ms a call on a good day, some calls take twice that, and few are
# sampled at that hour: seven before the fault, three after it, and the three happened to be fast. The mean *fell* by
# 160 ms; a list of sizes doesn't even ask in which direction. The third panel stands in no list of
# *big* changes, only in a list of *unusual* ones. All the telemetry was there. What was missing was a way
# to ask 171 metrics, two dozen message types and nineteen operations one question at the same time: **what
# changed, measured against how much it always changes, and what of that is only an echo?**

# %% [markdown]
# ## What you will learn
#
# | objective | where |
# |---|---|
# | master observability concepts | counters and `rate()`, histograms and quantiles (exercises 1, 2) |
# | metrics, logs, traces | span trees (3), repairing telemetry (4), joining the three signals and sampling them (5) |
# | practice with observability tools | the same data in the formats and query languages of nine tools (6) |
# | AI in observability | ranking what changed across all three signals (7) |
#
# **Milestone:** you can implement AI-enhanced observability. You prove it with a function that
# gets the three signals of a window of time, on incidents that neither you nor it has seen, and names what a
# fault acts on, or says that nothing is wrong.
#
# **Time:** four to eight hours. **You need:** pandas, NumPy, month 1 or the like.
#
# **How the parts follow.** You can't rank what you can't compute. So first come the two functions
# behind nearly every dashboard, `rate()` and `histogram_quantile()`, exactly as Prometheus computes them (1, 2).
# Then the trace as a tree of spans, with the time that each service spends itself (3). Then the faults of
# collection, which look like faults of the shop until you repair them (4). Then the join of all three by trace id and
# time, and what sampling does to counts (5). Then the formats in which tools exchange all this (6). With that
# in hand the milestone ranks what changed (7).

# %% [markdown]
# ## How you are graded
#
# Each exercise asks for one or more functions. The cell below it checks a few things at once and tells you
# what it expected. Passing it is a good sign, but the points come later, from hidden checks that call
# **your function on telemetry it has never seen**. So write what the text says, not what the
# visible check happens to test. Three rules hold everywhere:
#
# - Times are UTC. A missing sample is `NaN` or absent, and **never 0**.
# - An input belongs to the caller: don't change it.
# - Names of variables, the method inside and the order of columns are yours, unless the text fixes
#   them. Helper functions and imports may stand in the same cell. Each cell may use the imports and names of the
#   cells above it. The cells with checks use names that begin with `_check_`, so they never overwrite
#   yours.

# %% [markdown]
# ## 1 · Three signals, one request
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
# One dot of a failed request, followed through the trace id, gives the whole story of that request: its spans, and the lines
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
# The shop keeps one trace in twenty, whatever becomes of it, and records of jobs that belong to no request have
# no trace at all; section 8 does better.

# %% [markdown]
# ## 2 · What OpenTelemetry records
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

# %% [markdown]
# ## 3 · Metrics: what a scrape brings home
#
# Prometheus **pulls**. Every process serves a page of text, `/metrics`, and every 15 seconds or so Prometheus
# fetches it: that is a **scrape**. The next cell builds the page of one replica of `payment`, which was started at
# 11:00, as it reads ten minutes later. All of it comes from the replica's access log. From 11:25 on the payment
# provider fails, and from 11:16:07 to 11:16:52 `payment-2` is dead and restarts; both come into play below.

# %%
# NBVAL_CHECK_OUTPUT
prom_day = shop.Scenario(
    pd.Timestamp("2026-05-04T11:00Z"),
    minutes=45,
    seed=3,
    faults=(shop.Fault("third_party_outage", "payment-provider", 25, 11, 0.5),),
)
prom_log = access_log(shop.simulate(prom_day), "payment")
prom_down, prom_up = pd.to_datetime(["2026-05-04T11:16:07Z", "2026-05-04T11:16:52Z"])
prom_log = prom_log[
    (prom_log["replica"] != "payment-2") | ~prom_log["start"].between(prom_down, prom_up)
]
prom_log = prom_log.assign(seconds=prom_log["duration_ms"] / 1000)


def prom_page(replica: str, now: pd.Timestamp) -> str:
    """The text that a replica of payment serves at a time."""
    own = prom_log[(prom_log["replica"] == replica) & (prom_log["start"] <= now)]
    ended = own[own["start"] + pd.to_timedelta(own["seconds"], unit="s") <= now]
    codes = own["status"].value_counts().sort_index()
    lines = ["# HELP payment_requests_total Requests taken since the process began."]
    lines += ["# TYPE payment_requests_total counter"]
    lines += [f'payment_requests_total{{code="{code}"}} {count}' for code, count in codes.items()]
    lines += ["# HELP payment_requests_in_progress Requests being worked on now."]
    lines += ["# TYPE payment_requests_in_progress gauge"]
    lines += [f"payment_requests_in_progress {len(own) - len(ended)}"]
    lines += ["# HELP payment_duration_seconds How long requests took."]
    lines += ["# TYPE payment_duration_seconds histogram"]
    for bound in (0.1, 0.25, 0.5, 1.0, 2.5):
        count = (ended["seconds"] <= bound).sum()
        lines += [f'payment_duration_seconds_bucket{{le="{bound}"}} {count}']
    lines += [f'payment_duration_seconds_bucket{{le="+Inf"}} {len(ended)}']
    lines += [f"payment_duration_seconds_sum {ended['seconds'].sum():.3f}"]
    lines += [f"payment_duration_seconds_count {len(ended)}"]
    return "\n".join(lines)


print(prom_page("payment-1", pd.Timestamp("2026-05-04T11:10:04.300Z")))

# %% [markdown]
# This is the Prometheus **text exposition format** (version 0.0.4; OpenMetrics 1.0, 2020, is its stricter sister).
# A line is a name, **labels** in braces, a number. A name with one set of labels is one **time series**. Prometheus
# stores each line's number as a **sample** with the time of the scrape, and adds two labels of its own, `job` and
# `instance` (which target), and series of its own, above all `up`: 1 if the scrape worked, 0 if not. All of a
# series' samples are 64-bit floats; time has whole milliseconds.
#
# | type | is | read it with | never |
# |---|---|---|---|
# | **counter** (`_total`) | a number that only grows, and starts at 0 with the process | `rate`, `increase` | plot it raw |
# | **gauge** | a number that goes up and down: queue, memory, busy workers | as it is; `max_over_time`, `deriv` | take its `rate` |
# | **histogram** | counters per bucket: observations up to `le` ("less or equal"), their sum and number | `histogram_quantile` over `rate` | average its quantiles |
# | **summary** | quantiles computed inside the process, plus sum and number | as it is | add it up over replicas |
#
# To the database all of these are floats; the type is a promise that the reader of a query must keep. Nobody writes such
# a page by hand; with the client library for Python it takes three lines to set up and two per request:
#
#     from prometheus_client import Counter, Histogram, start_http_server
#
#     REQUESTS = Counter("payment_requests", "Requests taken since the process began.", ["code"])
#     SECONDS = Histogram("payment_duration_seconds", "How long requests took.", buckets=[0.1, 0.25, 0.5, 1, 2.5])
#     start_http_server(8000)  # serves /metrics
#     ...
#     REQUESTS.labels("200").inc()
#     SECONDS.observe(0.231)
#
# **When a series ends.** If a line is gone from the page, or the scrape fails, Prometheus (since 2.0, 2017) writes a
# **staleness marker** for each series that is now missing. A plain query then finds nothing from that time on.
# Without a marker (samples that bring timestamps of their own, a Prometheus that was itself down) the last sample
# counts for up to five more minutes (`--query.lookback-delta`). A marker is stored as a special NaN. It is not a sample, and above all **it is not 0**: a dead
# replica doesn't serve zero requests a second, it says nothing.

# %% [markdown]
# ### Why a counter, and not a rate
#
# Why does the process not simply say "4 requests a second"? Because between two scrapes nobody looks. The next
# cell lets a broken client send 700 requests to `payment-1` within 12 seconds. A gauge "requests in the last
# second" is scraped every 15 seconds, and so is a counter.

# %%
prom_scrapes = pd.date_range("2026-05-04T11:00:04.300Z", "2026-05-04T11:44:59Z", freq="15s")
prom_one = pd.DatetimeIndex(prom_log.loc[prom_log["replica"] == "payment-1", "start"])
prom_retries = pd.date_range("2026-05-04T11:08:21Z", "2026-05-04T11:08:33Z", periods=700)
prom_burst = prom_one.append(prom_retries).sort_values()


def prom_count(events: pd.DatetimeIndex, scrapes: pd.DatetimeIndex) -> pd.Series:
    """A counter of events that started at 0, at each scrape."""
    return pd.Series(events.searchsorted(scrapes, side="right"), scrapes, dtype=float)


prom_counter = prom_count(prom_burst, prom_scrapes)
prom_gauge = prom_counter - prom_count(prom_burst + pd.Timedelta("1s"), prom_scrapes)
prom_span = slice("2026-05-04T11:06:30Z", "2026-05-04T11:10:30Z")
prom_truth = pd.Series(1, prom_burst)[prom_span].resample("1s").sum()
prom_seen = (prom_counter.diff() / 15)[prom_span]

figure, ax = plt.subplots()
ax.bar(
    prom_truth.index,
    prom_truth,
    width=1 / 86400,
    color=plots.GREY,
    label="each second, from the log",
)
ax.step(
    prom_seen.index, prom_seen, where="pre", color=plots.BLUE, label="from the counter, per 15 s"
)
ax.plot(prom_gauge[prom_span], "o", color=plots.RED, label="the scraped gauge")
ax.set(
    title="A scraped rate can miss a burst altogether; a counter has every request",
    xlabel="time (UTC)",
    ylabel="requests/s",
)
plots.concise_dates(ax)
ax.legend(loc="upper left")
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
prom_minutes = slice(pd.Timestamp("2026-05-04T11:07Z"), pd.Timestamp("2026-05-04T11:10Z"))
print(f"requests from 11:07 to 11:10, from the log: {len(pd.Series(1, prom_burst)[prom_minutes])}")
prom_counted = prom_counter[prom_minutes]
print(
    f"increase of the counter:                    {prom_counted.iloc[-1] - prom_counted.iloc[0]:.0f}"
)
print(f"15 s x the gauge, added up:                 {15 * prom_gauge[prom_minutes].sum():.0f}")

# %% [markdown]
# The counter's increase is a little smaller than the log's number, because its first and last sample lie some
# seconds inside the three minutes. `rate()` makes up for that, as you will see. The gauge lost the burst
# for good. A counter makes **sampling harmless**: whoever missed a scrape, or scrapes slowly, still gets the total at the
# next one. The price is that the reader has to take differences, and to know about resets.

# %% [markdown]
# ### Resets: when a counter falls
#
# A counter lives in a process, and dies with it. `payment-2` begins again at 0. Nothing in the data says "reset";
# the only sign is that the value **fell**. So a reader takes every fall for a restart, and what the counter
# shows after it for requests that came since.

# %%
prom_names = [f'payment_requests_total{{replica="payment-{number}"}}' for number in (1, 2, 3)]
prom_series = {}
for name, phase in zip(prom_names, ["0s", "5.3s", "9.9s"], strict=True):
    prom_times = prom_scrapes + pd.Timedelta(phase)
    prom_own_events = pd.DatetimeIndex(prom_log.loc[prom_log["replica"] == name[-11:-2], "start"])
    prom_series[name] = prom_count(prom_own_events, prom_times)

prom_two = prom_series[prom_names[1]]
prom_dead = (prom_two.index > prom_down) & (prom_two.index < prom_up)
prom_two[prom_two.index > prom_up] -= prom_two[prom_dead].iloc[-1]
prom_two[prom_dead] = np.nan  # the first failed scrape leaves a staleness marker
prom_two = prom_two.drop(prom_two.index[prom_dead][1:])
prom_series[prom_names[1]] = prom_two

prom_near = slice("2026-05-04T11:12Z", "2026-05-04T11:21Z")
figure, axes = plots.grid(2, height=1.8)
axes[0].plot(prom_two[prom_near], ".-", ms=3)
axes[0].set(title="The counter of payment-2 falls at its restart", ylabel="requests")
prom_alive = prom_two.dropna()
prom_elapsed = prom_alive.index.to_series().diff().dt.total_seconds()
prom_slopes = (prom_alive.diff() / prom_elapsed)[prom_near]
axes[1].plot(prom_slopes, ".-", ms=3)
axes[1].set(
    title=f"Plain differences make it minus {-prom_slopes.min():.0f} requests a second",
    ylabel="requests/s", xlabel="time (UTC)",
)  # fmt: skip
plots.concise_dates(axes[1])
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(prom_two["2026-05-04T11:15:30Z":"2026-05-04T11:17:30Z"].to_string())

# %% [markdown]
# What was counted between the last scrape before the death and the death itself is lost; no reader can bring it
# back. And if the new process had counted more than the old one by the next scrape, the reset would go unnoticed:
# another reason to scrape often.

# %% [markdown]
# ### `rate()` by hand
#
# `rate(payment_requests_total[2m])` asks, at an evaluation time $t$, for the increase per second over the range
# $w$ = 2 minutes. The samples rarely lie exactly at the ends of the window, and what they show is too little by
# what happened between the ends and them. So `rate()` **extrapolates**. These are all of its rules:
#
# 1. **Window.** The samples with $t - w <$ time $\le t$. Staleness markers are left out, as if they were not
#    there.
# 2. **Two samples at least.** With fewer there is no result.
# 3. **Increase.** Add up over neighbouring samples: the difference, or, where the value fell, the new value.
#    (Equal is no fall.)
# 4. **Mean spacing** of the $n$ samples: $d = (t_n - t_1) / (n - 1)$.
# 5. **Before and after.** From the window's beginning to the first sample there are
#    $t_1 - (t - w)$ seconds, from the last sample to the window's end $t - t_n$. Each of the two that is
#    $1.1\,d$ or longer is replaced by $d / 2$: the series seems to have begun (or ended) inside
#    the window, on average half a spacing away.
# 6. **A counter was never below 0.** If the increase is above 0, follow the mean slope back from the first sample:
#    it reaches 0 after $(t_n - t_1) \cdot v_1 / \text{increase}$ seconds, $v_1$ being the first sample's value. Where
#    that is shorter than *before* (as rule 5 left it), it takes its place.
# 7. **Rate** $= \text{increase} \cdot \dfrac{\text{before} + (t_n - t_1) + \text{after}}{t_n - t_1} \cdot \dfrac 1 w$.
#
# Note the division by $w$, also where the samples fill only a part of the window: a series that lived for a
# quarter of the window contributes about a quarter of its rate.
#
# Here is the window of two minutes that ends at 11:16:45, in which `payment-2` has died. The line is what was
# seen, the dashes are what `rate()` adds.

# %%
prom_hand_end, prom_hand_width = pd.Timestamp("2026-05-04T11:16:45Z"), 120.0
prom_hand = prom_two["2026-05-04T11:14:46Z":prom_hand_end].dropna()
prom_hand_increase = prom_hand.iloc[-1] - prom_hand.iloc[0]
prom_hand_span = (prom_hand.index[-1] - prom_hand.index[0]).total_seconds()
prom_hand_spacing = prom_hand_span / (len(prom_hand) - 1)
prom_hand_before = prom_hand_width - (prom_hand_end - prom_hand.index[0]).total_seconds()
prom_hand_gap = (prom_hand_end - prom_hand.index[-1]).total_seconds()

prom_slope = prom_hand_increase / prom_hand_span
prom_edges = [
    prom_hand.index[0] - pd.Timedelta(prom_hand_before, "s"),
    prom_hand.index[0],
    prom_hand.index[-1],
]
prom_edges += [prom_hand.index[-1] + pd.Timedelta(prom_hand_spacing / 2, "s")]
prom_levels = [
    prom_hand.iloc[0] - prom_slope * prom_hand_before,
    prom_hand.iloc[0],
    prom_hand.iloc[-1],
]
prom_levels += [prom_hand.iloc[-1] + prom_slope * prom_hand_spacing / 2]
figure, ax = plt.subplots()
prom_window = pd.DataFrame(
    {"start": [prom_hand_end - pd.Timedelta("2min")], "end": [prom_hand_end]}
)
plots.shade(ax, prom_window, label="window", color=plots.SKY)
prom_around = prom_two["2026-05-04T11:14:20Z":"2026-05-04T11:16:08Z"]
ax.plot(prom_around, "o", color=plots.GREY, label="sample outside")
ax.plot(prom_hand, "o-", color=plots.BLUE, label="sample inside")
ax.plot(prom_edges[:2], prom_levels[:2], "--", color=plots.RED, label="extrapolated")
ax.plot(prom_edges[2:], prom_levels[2:], "--", color=plots.RED)
ax.set(
    title="rate() stretches the samples to the near end, and only half a spacing to the far one",
    xlabel="time (UTC)", ylabel="requests counted",
)  # fmt: skip
plots.concise_dates(ax)
ax.legend(loc="upper left")
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(
    f"{len(prom_hand)} samples, increase {prom_hand_increase:.0f} in {prom_hand_span:.0f} s: one every {prom_hand_spacing:.0f} s"
)
print(
    f"before the first: {prom_hand_before:.1f} s, less than 1.1 x {prom_hand_spacing:.0f}, is kept"
)
print(
    f"after the last:   {prom_hand_gap:.1f} s, more than that, becomes {prom_hand_spacing / 2:.1f} s"
)
print(
    f"zero is {prom_hand_span * prom_hand.iloc[0] / prom_hand_increase:.0f} s before the first sample: no limit"
)
prom_stretched = prom_hand_before + prom_hand_span + prom_hand_spacing / 2
print(
    f"rate = {prom_hand_increase:.0f} x {prom_stretched:.1f} / {prom_hand_span:.0f} / 120 = ",
    end="",
)
print(f"{prom_hand_increase * prom_stretched / prom_hand_span / prom_hand_width:.4f} requests/s")

# %% [markdown]
# The course's package holds an evaluator of PromQL, proven equal to Prometheus' own tools. Does it agree? It answers
# the relatives of `rate()` as well:
#
# - `increase(x[w])` is `rate(x[w])` times $w$. It is extrapolated, too, so the increase of a counter of whole
#   requests is rarely a whole number.
# - `irate(x[w])` uses the last two samples only: quick to react, useless for alerts, since it throws away all but
#   one scrape interval.
# - `delta` and `deriv` are for gauges; they know no resets.

# %%
# NBVAL_CHECK_OUTPUT
from course.telemetry import prometheus


def prom_query(
    queries: dict[str, str],
    series: dict[str, pd.Series],
    interval: str = "15s",
    semantics: str = "3",
    **when: str,
) -> pd.DataFrame:
    """Evaluate PromQL every `interval`; a NaN in a series is a staleness marker."""
    rules = [f"      - {{record: {name}, expr: '{query}'}}" for name, query in queries.items()]
    text = "\n".join(["groups:", "  - name: queries", "    rules:", *rules])
    history = prometheus.evaluate(
        prometheus.load_rules(text), series, interval=interval, semantics=semantics,
        missing="stale", **when,
    )  # fmt: skip
    return history.recorded


prom_at_hand = {"start": "2026-05-04T11:16:45Z", "end": "2026-05-04T11:16:45Z"}
prom_functions = ("rate", "increase", "irate")
prom_found = prom_query(
    {f"by_{name}": f"{name}({prom_names[1]}[2m])" for name in prom_functions},
    prom_series,
    **prom_at_hand,
)
print(prom_found.T.round(4).to_string(header=False))

# %% [markdown]
# **Which Prometheus?** Two of the rules are younger than most answers on the web.
#
# | | Prometheus 2.x | Prometheus ≥ 3.0 (November 2024) |
# |---|---|---|
# | the window's left end (rule 1) | included: $t - w \le$ time $\le t$ | **excluded**: $t - w <$ time $\le t$ |
# | the zero of a counter (rule 6) | in older 2.x looked at before rule 5, and could *lengthen* the stretch | after rule 5 (repaired in 2024: prometheus/prometheus, pull request 13725) |
#
# The left end sounds like a detail. It is none where scrapes fall on round seconds, as in backfilled data, in tests and in
# recording rules. The next cell scrapes `payment-1` at 0, 15, 30 and 45 seconds and asks at 11:10:00.

# %%
# NBVAL_CHECK_OUTPUT
prom_round_scrapes = pd.date_range("2026-05-04T11:00Z", periods=120, freq="15s")
prom_round_series = {"x_total": prom_count(prom_one, prom_round_scrapes)}
prom_at_ten = {"start": "2026-05-04T11:10Z", "end": "2026-05-04T11:10Z"}
prom_asked = {
    "samples_in_1m": "count_over_time(x_total[1m])",
    "rate_1m": "rate(x_total[1m])",
    "rate_30s": "rate(x_total[30s])",
    "rate_15s": "rate(x_total[15s])",
}
prom_releases = {
    release: prom_query(prom_asked, prom_round_series, semantics=release, **prom_at_ten).iloc[0]
    for release in ("2", "3")
}
print(pd.DataFrame(prom_releases).reindex(prom_asked).round(4).to_string())

# %% [markdown]
# In Prometheus 3 a minute of exact 15-second scrapes holds 4 samples, not 5, so 45 seconds are seen instead of 60 and
# the rate comes out a little differently. And a range of one scrape interval never holds two samples:
# `rate(x[15s])` **has no result any more**, and an alert that is built on it can't fire. Prometheus' migration guide
# for 3.0 says so, and the remedy is old advice: make the range at least four scrape intervals, so that a failed scrape
# or two don't matter either.

# %% [markdown]
# ### First `rate`, then `sum`
#
# Three replicas, one service: how many requests a second does `payment` take? There are two orders, and one is
# wrong. The restart of `payment-2` shows which.

# %%
prom_orders = prom_query(
    {
        "rate_then_sum": "sum(rate(payment_requests_total[1m]))",
        "added_up": "sum(payment_requests_total)",
        "sum_then_rate": "rate(added_up[1m])",
    },
    prom_series,
)["2026-05-04T11:10Z":"2026-05-04T11:24Z"]
figure, axes = plots.grid(2, height=1.8)
axes[0].plot(prom_orders["rate_then_sum"], color=plots.BLUE)
axes[0].set(title="sum(rate(x[1m])): two replicas carry on", ylabel="requests/s", ylim=(0, 6))
axes[1].plot(prom_orders["sum_then_rate"], color=plots.RED)
axes[1].set(
    title="rate over sum(x): one restart looks like a flood",
    ylabel="requests/s",
    xlabel="time (UTC)",
)
plots.concise_dates(axes[1])
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(prom_orders[["rate_then_sum", "sum_then_rate"]].max().round(1).to_string())

# %% [markdown]
# The sum of three counters fell when one of them vanished and rose when it came back. To `rate()` the fall is a reset, so
# *everything* that the other two had ever counted is taken for new. The sum is no counter any more.
# **Rate first, then aggregate.** The same holds for a recording rule: record rates, not sums of counters.
#
# ### Windows that add up
#
# `rate()` looks at the samples of one window only and guesses what it can't see. So two windows side by side don't add
# up to the window that holds both, and a window with one sample has no rate, although the samples around it tell what
# happened. For a graph that is fine; for a bill, or for an error budget that is added up, it isn't. Whoever asks
# *afterwards* can do better with the samples around: take the growth between two neighbouring samples, spread it
# **evenly** over the time between them, and give each window the part that overlaps. Nothing is guessed beyond the
# samples, and every request is counted in exactly one window. (Prometheus 3 has an experimental relative, the modifier
# `smoothed`, which interpolates the counter at the window's ends; other databases join windows at their last sample.)
# The price: the newest window is not known before the sample that follows it.
#
# The next cell adds up five adjoining minutes in both ways.

# %%
# NBVAL_CHECK_OUTPUT
prom_known = prom_series[prom_names[0]].dropna()
prom_known = prom_known["2026-05-04T11:00Z":"2026-05-04T11:12Z"]
prom_adding = prom_query(
    {"one": f"increase({prom_names[0]}[1m])", "five": f"increase({prom_names[0]}[5m])"},
    prom_series, interval="1min", start="2026-05-04T11:06Z", end="2026-05-04T11:10Z",
)  # fmt: skip
prom_edges_of = pd.date_range("2026-05-04T11:05Z", "2026-05-04T11:10Z", freq="1min")
prom_at_edges = np.interp(
    (prom_edges_of - prom_known.index[0]).total_seconds(),
    (prom_known.index - prom_known.index[0]).total_seconds(),
    prom_known,
)
print(f"increase() of five minutes, added up: {prom_adding.iloc[:, 0].sum():.2f}")
print(f"increase() over all five at once:     {prom_adding.iloc[-1, 1]:.2f}")
print(f"spread evenly, five minutes:          {np.diff(prom_at_edges).sum():.2f}")
print(f"spread evenly, all five at once:      {prom_at_edges[-1] - prom_at_edges[0]:.2f}")

# %% [markdown]
# Five guesses add up to 2.5 requests more than one guess over the same five minutes. Spread evenly, the sum is the same
# however you cut.
#
# ### Exercise 1 · `rate()` as Prometheus computes it, and a rate that adds up (15 points)
#
# **Write** `counter_rate(samples, times, window)`, which evaluates `rate()` at many times and shows its work.
#
# - `samples`: what was scraped of one counter, a Series of floats with a rising UTC index (whole milliseconds,
#   scraped at any distance). NaN is a staleness marker; all other values are 0 or more.
# - `times`: the evaluation times, a UTC DatetimeIndex **in any order**.
# - `window`: the range $w$, a Timedelta.
#
# Return a DataFrame with `times` as its index, in the given order, and the columns
#
# - `samples`: how many samples the window holds;
# - `resets`: how often the value falls between neighbouring samples of the window;
# - `increase`: rule 3, without any extrapolation;
# - `before_s`, `after_s`: seconds by which rules 5 and 6 stretch the samples at either side;
# - `rate`: per second;
# - `even`: per second, by spreading growth evenly. Take **all pairs of neighbouring samples of the whole counter**, in
#   the window or not, but none with a staleness marker between them (nobody knows what happened there). A pair's growth
#   is that of rule 3; the window gets the share of it by which the time between the two samples overlaps the window.
#   Add up and divide by $w$. The samples themselves need not lie in the window;
# - `covered`: the share of the window, 0 to 1, that lies between the samples of such pairs.
#
# With fewer than two samples `samples` and `resets` (0) are still numbers, and `increase`, `before_s`, `after_s` and
# `rate` are NaN. `even` is NaN where `covered` is 0, and only there.
#
# The package's evaluator knows `rate` and its relatives, but neither `even` nor `covered`. It is kept back while your
# work is graded: compare with `prom_query` in cells of your own, but let no answer need it.
#
# **Right means:** rules 1 to 7 of Prometheus ≥ 3.0; every value within 1e-6 (relative); for seconds a few
# microseconds will do as well, for `even` and `covered` 1e-6 of the column's largest value. Whether a distance is
# "$1.1\,d$ or longer", or a window is covered at all, is never a matter of rounding in the hidden cases.
#
# **Example:** a counter scraped at 10:00:10, :20, :30 and :40 with the values 4, 10, 3, 9, and $w$ = 60 s.
#
# | time | samples | resets | increase | before_s | after_s | rate | even | covered | why |
# |---|---|---|---|---|---|---|---|---|---|
# | 10:00:45 | 4 | 1 | 6 + 3 + 6 = 15 | 5 | 5 | 15 × 40/30 / 60 = 0.3333 | 15/60 = 0.25 | 30/60 = 0.5 | 25 s to the left are more than 11 |
# | 10:01:10 | 3 | 1 | 3 + 6 = 9 | 10 | 5 | 9 × 35/20 / 60 = 0.2625 | 15/60 = 0.25 | 30/60 = 0.5 | the sample at 10:00:10 is out: left end; the 10 s after it are in |
# | 10:01:15 | 3 | 1 | 3 + 6 = 9 | 5 | 5 | 9 × 30/20 / 60 = 0.225 | (6 × 5/10 + 9)/60 = 0.2 | 25/60 | half of the first pair |
# | 10:03:00 | 0 | 0 | NaN | NaN | NaN | NaN | NaN | 0 | nothing there |
#
# **Scored:** five unseen counters with restarts, lost scrapes and markers, 3 points each. In two of them no window
# begins or ends at a sample; in three some do. For each counter: all eight columns right in every window 3 points,
# seven columns 1.2, six 0.3, fewer nothing. 5 s a call.


# %% nbgrader={"grade": false, "grade_id": "rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def counter_rate(samples: pd.Series, times: pd.DatetimeIndex, window: pd.Timedelta) -> pd.DataFrame:
    """Evaluate Prometheus' rate() of one counter, show how, and a rate that adds up over windows.

    Parameters
    ----------
    samples : Series of float
        What was scraped; rising UTC index. NaN is a staleness marker, no sample.
    times : DatetimeIndex
        Evaluation times (UTC) in any order.
    window : Timedelta
        The range; a window is ``(time - window, time]``.

    Returns
    -------
    DataFrame
        Indexed by `times`: `samples`, `resets`, `increase`, `before_s`, `after_s` (seconds),
        `rate`, `even` (1/s) and `covered` (0 to 1).
    """
    ### BEGIN SOLUTION
    alive = samples.dropna()
    starts = alive.index.searchsorted(times - window, side="right")
    stops = alive.index.searchsorted(times, side="right")
    # Pairs of neighbours without a marker between them: begin, end (seconds) and growth.
    seconds = (samples.index - samples.index[0]).total_seconds().to_numpy()
    level = samples.to_numpy(float)
    left, right = seconds[:-1], seconds[1:]
    growth = np.where(level[1:] < level[:-1], level[1:], level[1:] - level[:-1])
    whole = ~np.isnan(growth)
    left, right, growth = left[whole], right[whole], growth[whole]
    rows = []
    for time, start, stop in zip(times, starts, stops, strict=True):
        stamps, values = alive.index[start:stop], alive.to_numpy(float)[start:stop]
        end = (time - samples.index[0]).total_seconds()
        begin = end - window.total_seconds()
        overlap = np.clip(np.minimum(right, end) - np.maximum(left, begin), 0, None)
        row = {"samples": len(values), "resets": 0, "covered": overlap.sum() / (end - begin)}
        if overlap.any():
            row["even"] = (growth * overlap / (right - left)).sum() / (end - begin)
        if len(values) >= 2:
            step = np.diff(values)
            fell = step < 0
            increase = np.where(fell, values[1:], step).sum()
            span = (stamps[-1] - stamps[0]).total_seconds()
            spacing = span / (len(values) - 1)
            before = (stamps[0] - (time - window)).total_seconds()
            after = (time - stamps[-1]).total_seconds()
            before = spacing / 2 if before >= 1.1 * spacing else before
            after = spacing / 2 if after >= 1.1 * spacing else after
            if increase > 0:
                before = min(before, span * values[0] / increase)
            stretched = increase * (before + span + after) / span
            row |= {
                "resets": int(fell.sum()),
                "increase": increase,
                "before_s": before,
                "after_s": after,
                "rate": stretched / window.total_seconds(),
            }
        rows.append(row)
    columns = ["samples", "resets", "increase", "before_s", "after_s", "rate", "even", "covered"]
    return pd.DataFrame(rows, index=times, columns=columns)
    ### END SOLUTION


# %% [markdown]
# The visible check: the example, a young counter whose zero matters, a marker, distances just below the limit, a
# constant counter, windows with a sample or none, and times out of order.


# %% nbgrader={"grade": true, "grade_id": "check-rate", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
def _check_rates(what, seconds, values, ends, width, expected):
    start = pd.Timestamp("2026-05-04T10:00Z")
    series = pd.Series(values, start + pd.to_timedelta(seconds, unit="s"), dtype=float)
    at = start + pd.to_timedelta(ends, unit="s")
    found = counter_rate(series.copy(), at, pd.Timedelta(width, "s"))
    names = ["samples", "resets", "increase", "before_s", "after_s", "rate", "even", "covered"]
    assert isinstance(found, pd.DataFrame), f"return a DataFrame, not {type(found).__name__}"
    assert not set(names) - set(found), f"columns are missing: {set(names) - set(found)}"
    assert found.index.equals(at), f"{what}: the index must be `times`, in the given order"
    for end, row in zip(ends, expected, strict=True):
        for column, value in zip(names, row, strict=True):
            answer = float(found[column].iloc[list(ends).index(end)])
            assert np.isclose(answer, value, rtol=1e-6, atol=1e-9, equal_nan=True), (
                f"{what}: {column} of the window of {width} s that ends at {end} s: expected "
                f"{value:.6g}, found {answer:.6g}; samples at {seconds} s are {values}"
            )


_check_nan = float("nan")
_check_none = (_check_nan, _check_nan, _check_nan, _check_nan)
_check_rates(
    "the example", [10, 20, 30, 40], [4, 10, 3, 9], [70, 45, 75, 180, 10], 60,
    [
        (3, 1, 9, 10, 5, 0.2625, 0.25, 0.5), (4, 1, 15, 5, 5, 1 / 3, 0.25, 0.5),
        (3, 1, 9, 5, 5, 0.225, 0.2, 25 / 60), (0, 0, *_check_none, _check_nan, 0), (1, 0, *_check_none, _check_nan, 0),
    ],
)  # fmt: skip
_check_rates(
    "a young counter (rule 6)", [100, 160, 220], [10, 70, 130], [240], 240,
    [(3, 0, 120, 10, 20, 120 * 150 / 120 / 240, 0.5, 0.5)],
)  # fmt: skip
_check_rates(
    "the zero lies beyond half a spacing (rule 6 after rule 5)", [100, 160, 220], [50, 110, 170],
    [240], 240, [(3, 0, 120, 30, 20, 120 * 170 / 120 / 240, 0.5, 0.5)],
)  # fmt: skip
_check_rates(
    "a staleness marker is no sample, and nothing is known on its two sides", [0, 10, 20, 30, 40],
    [50, 60, _check_nan, 65, 75], [45, 40, 28], 40,
    [
        (3, 0, 15, 5, 5, 15 * 40 / 30 / 40, 15 / 40, 15 / 40), (3, 0, 15, 10, 0, 15 * 40 / 30 / 40, 0.5, 0.5),
        (2, 0, 10, 5, 5, 10 * 20 / 10 / 40, 0.25, 0.25),
    ],
)  # fmt: skip
_check_rates(
    "between 1 and 1.1 spacings (rule 5)", [10, 20, 30], [100, 103, 108], [40.5], 41,
    [(3, 0, 8, 10.5, 10.5, 0.4, 8 / 41, 20 / 41)],
)  # fmt: skip
_check_rates(
    "a counter that stands still", [0.5, 15.5, 30.5], [7, 7, 7], [32], 60,
    [(3, 0, 0, 7.5, 1.5, 0, 0, 0.5)],
)  # fmt: skip
_check_rates(
    "one sample in the window, or none: `even` looks at those around", [0, 60, 120], [5, 35, 10],
    [70, 50], 20,
    [(1, 0, *_check_none, (30 * 10 / 60 + 10 * 10 / 60) / 20, 1), (0, 0, *_check_none, 0.5, 1)],
)  # fmt: skip
print("exercise 1: the visible check passes")

# %% [markdown]
# Your function on the three counters of `payment`, beside the truth from the access log:

# %%
prom_ends = pd.date_range("2026-05-04T11:05Z", "2026-05-04T11:44Z", freq="30s")
prom_rates = pd.DataFrame(
    {
        name[-11:-2]: counter_rate(samples, prom_ends, pd.Timedelta("2min"))["rate"]
        for name, samples in prom_series.items()
    }
)
prom_arrivals = prom_count(pd.DatetimeIndex(prom_log["start"]), prom_ends)
prom_arrivals -= prom_count(pd.DatetimeIndex(prom_log["start"] + pd.Timedelta("2min")), prom_ends)
plots.timeline(
    {"sum of your rates": prom_rates.sum(axis=1, min_count=1), "from the log": prom_arrivals / 120},
    title="Scrapes every 15 seconds are enough to follow 3 requests a second",
    ylabel="requests/s",
    events=pd.DataFrame(
        {"start": [pd.Timestamp("2026-05-04T11:25Z")], "end": [pd.Timestamp("2026-05-04T11:36Z")]}
    ),
)
plt.show()

# %% [markdown]
# ## 4 · Histograms, and what their quantiles are worth
#
# A **classic histogram** is a set of counters. `payment_duration_seconds_bucket{le="0.5"}` counts the requests that took
# at most half a second. The buckets are **cumulative**: each contains those below, and `le="+Inf"` holds everything. Since they are
# counters they may be scraped, reset, rated and **added up over replicas**, which no percentile can (month 1). So the p99 of a service reads
#
#     histogram_quantile(0.99, sum by (le) (rate(payment_duration_seconds_bucket[5m])))
#
# Rate each bucket, add up by `le`, and only then estimate the quantile. The estimate finds the bucket in which the
# quantile lies and **interpolates** linearly, as if the requests were spread evenly in it. So it can be
# wrong by the width of a bucket. The rules, in this order:
#
# 1. $q$ is NaN: the value is NaN. $q < 0$: $-\infty$. $q > 1$: $+\infty$.
# 2. There are fewer than two buckets, or none with the bound $+\infty$, or no observations, that is, **every** count is 0
#    (a $+\infty$ of 0 above counts that aren't is no such case, but one for rule 3): NaN.
# 3. Sort by bound. A count that is smaller than one at a lower bound can't be right (a scrape in the middle of an update, rates over
#    series that came and went), so it is **raised** to the greatest count at lower bounds. The number of observations is
#    the count of $+\infty$ after that.
# 4. The rank is $q$ × observations; the quantile lies in the first bucket whose count is **at least** the rank.
# 5. If that is the bucket of $+\infty$: the value is the highest finite bound. There is nothing better to say, and
#    nothing to be proud of.
# 6. If it is the first bucket and its bound is 0 or less: the value is that bound.
# 7. Otherwise interpolate from the bound below (0 for the first bucket) to the bucket's own:
#    low + (high − low) × (rank − count below) ÷ (own count − count below), the count below the first bucket being 0.
#
# The next cell measures `payment`'s p99 with three sets of bounds, beside the truth from the log: three bounds, the
# default ones of Prometheus' Go client, and twenty of our own, each 1.2 times the last.

# %%
prom_layouts = {
    "three": [0.1, 1.0, 10.0],
    "default": [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    "own": [float(f"{0.1 * 1.2**power:.3g}") for power in range(20)],
}
prom_buckets = {
    f'payment_duration_seconds_bucket{{layout="{layout}",le="{bound}"}}': prom_count(
        pd.DatetimeIndex(prom_log.loc[prom_log["seconds"] <= float(bound), "start"]), prom_scrapes
    )
    for layout, bounds in prom_layouts.items()
    for bound in [*bounds, "+Inf"]
}
prom_rated = "sum by (layout, le) (rate(payment_duration_seconds_bucket[2m]))"
prom_p99 = prom_query(
    {"p99": f"histogram_quantile(0.99, {prom_rated})"},
    prom_buckets,
    interval="30s",
    start="2026-05-04T11:05Z",
)
prom_p99.columns = [name.split('"')[1] for name in prom_p99.columns]
prom_p99["truth"] = [
    prom_log.loc[prom_log["start"].between(end - pd.Timedelta("2min"), end), "seconds"].quantile(
        0.99
    )
    for end in prom_p99.index
]
prom_bounds = np.array(prom_layouts["default"])
prom_place = np.searchsorted(prom_bounds, prom_p99["default"])
figure, ax = plt.subplots(figsize=(9, 3.4))
ax.fill_between(
    prom_p99.index, prom_bounds[prom_place - 1], prom_bounds[prom_place], step="mid", color=plots.SKY, alpha=0.3,
    lw=0, label="bucket of the default",
)  # fmt: skip
for name, colour in [("truth", plots.BLACK), ("default", plots.BLUE), ("own", plots.ORANGE)]:
    ax.plot(prom_p99[name], color=colour, label=name)
ax.set(
    title="The default buckets can only say: the p99 lies somewhere in the blue band",
    xlabel="time (UTC)", ylabel="p99 (s)", ylim=(0, 2.7),
)  # fmt: skip
plots.concise_dates(ax)
ax.legend(loc="upper left", ncols=2)
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
prom_error = prom_p99[list(prom_layouts)].div(prom_p99["truth"], axis=0) - 1
print(
    pd.DataFrame(
        {
            "series": {name: len(bounds) + 1 for name, bounds in prom_layouts.items()},
            "mean error (%)": 100 * prom_error.abs().mean(),
            "worst error (%)": 100 * prom_error.abs().max(),
        }
    ).round(0).astype(int).to_string()
)  # fmt: skip

# %% [markdown]
# The same requests, three answers ("three" is in the table only: it is far off). The default bounds find that something happened at 11:25, and no more. They read too
# high all along: in the tail most requests lie near the lower end of a wide bucket, and the straight line doesn't know.
# Choose bounds where a decision is taken: the latency of your SLO **must be a bound**, for then the share of requests
# below it is exact (a count divided by a count), whatever the quantile says. Around it let neighbouring bounds grow by a constant factor $f$: then an estimate in a bucket is off by at most $f - 1$.
# And look at whether the p99 has been sitting exactly at a bound for weeks: that is rule 5, or an empty stretch.
#
# **Native histograms** end the guessing of bounds. One series holds a whole histogram, with exponential bounds: at schema
# $n$ each is $2^{2^{-n}}$ times the last (schema 3: 9 % wide), only buckets that hold something are stored, and any two
# histograms can be merged after the finer one has been brought to the coarser one's schema. They came as an experiment with Prometheus 2.40
# (2022), are stable since 3.8 (Prometheus, "Native Histograms" specification) and match
# OpenTelemetry's exponential histograms. `histogram_quantile` reads both kinds, and interpolates exponentially in the native one.
#
# **Replicas that don't agree.** While a release with better bounds is rolled out, old and new replicas have different
# bounds, and `sum by (le)` adds up what is there: at a bound that one replica lacks, the sum lacks that replica, so
# it falls below the count at a smaller bound. Rule 3 hides the hole and no error says so. A count at a bound
# means "at most so long" only if **every** replica says it. So add up at the bounds that all replicas have, and drop
# the others: the estimate gets coarser, and stays right.
#
# ### Exercise 2 · `histogram_quantile` over replicas, and how sure it is (10 points)
#
# **Write** `histogram_quantile(q, replicas)`. `q` is any float but exactly 0. `replicas` is a list of Series, one a
# replica: cumulative counts (0 or more, often fractions, since they are rates), indexed by upper bound (floats, all
# different within a replica, **in any order**, $+\infty$ among them or not). The list may be empty, and so may a
# Series. First merge: keep the bounds that **all** replicas have (exactly equal floats) and add up their counts; an
# empty list gives no buckets. Nothing is repaired before that. Then, on the merged buckets, return a dict with
#
# - `value`: the estimate, by rules 1 to 7 above;
# - `low`, `high`: the bounds between which the quantile surely lies, if the counts are right. They are the
#   bounds of rule 7; $-\infty$ and the bound under rule 6; the highest finite bound and $+\infty$ under rule 5; NaN and NaN
#   under rules 1 and 2.
#
# **Right means:** each within 1e-6 (relative). Python floats, NumPy floats and integers are all fine.
#
# **Example:** one replica has the counts 20, 80, 96, 100 at the bounds 0.1, 0.5, 1 and $+\infty$ (or two have the halves
# of these, and one of them 45 at the bound 0.7 as well, which is dropped).
#
# | q | rank | value | low | high |
# |---|---|---|---|---|
# | 0.9 | 90 | 0.5 + 0.5 × (90 − 80)/(96 − 80) = 0.8125 | 0.5 | 1 |
# | 0.1 | 10 | 0 + 0.1 × 10/20 = 0.05 | 0 | 0.1 |
# | 0.99 | 99 | 1 | 1 | +∞ |
# | 1.5 | | +∞ | NaN | NaN |
#
# **Scored:** five unseen batches of 36 calls, most with two or three replicas, 2 points each. A batch has six kinds:
# the quantile in a middle bucket, in the first bucket (rules 6 and 7), in the bucket of $+\infty$, counts that need
# repair after merging, $q$ outside 0 to 1, and nothing to compute (rule 2). A kind is right if all three numbers are, in each of
# its calls. All six kinds right 2 points, five 0.8, four 0.2. 5 s a call.


# %% nbgrader={"grade": false, "grade_id": "histogram-quantile", "locked": false, "schema_version": 3, "solution": true, "task": false}
def histogram_quantile(q: float, replicas: list[pd.Series]) -> dict[str, float]:
    """Estimate a quantile from cumulative buckets of replicas, as Prometheus does from one's.

    Parameters
    ----------
    q : float
        Which quantile; may lie outside 0 to 1 or be NaN.
    replicas : list of Series of float
        Cumulative counts of each replica, indexed by upper bound (any order). Bounds may differ.

    Returns
    -------
    dict
        `value`, and `low` and `high`: between which bounds the quantile surely lies.
    """
    ### BEGIN SOLUTION
    nan, inf = float("nan"), float("inf")
    if np.isnan(q):
        return {"value": nan, "low": nan, "high": nan}
    if q < 0 or q > 1:
        return {"value": -inf if q < 0 else inf, "low": nan, "high": nan}
    table = pd.concat(replicas, axis=1, join="inner") if replicas else pd.DataFrame()
    counts = table.sum(axis=1).sort_index().cummax()
    if len(counts) < 2 or counts.index[-1] != inf or counts.iloc[-1] == 0:
        return {"value": nan, "low": nan, "high": nan}
    upper, count = counts.index.to_numpy(float), counts.to_numpy(float)
    rank = q * count[-1]
    place = int(np.argmax(count >= rank))
    if place == len(count) - 1:
        return {"value": upper[-2], "low": upper[-2], "high": inf}
    if place == 0 and upper[0] <= 0:
        return {"value": upper[0], "low": -inf, "high": upper[0]}
    low, below = (upper[place - 1], count[place - 1]) if place else (0.0, 0.0)
    share = (rank - below) / (count[place] - below)
    return {"value": low + (upper[place] - low) * share, "low": low, "high": upper[place]}
    ### END SOLUTION


# %% [markdown]
# The visible check: the example, each edge, and bounds out of order.

# %% nbgrader={"grade": true, "grade_id": "check-histogram-quantile", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
_check_inf, _check_nan = float("inf"), float("nan")
_check_example = {_check_inf: 100, 0.1: 20, 1: 96, 0.5: 80}
for _check_what, _check_q, _check_buckets, _check_expected in [
    ("a middle bucket", 0.9, _check_example, (0.8125, 0.5, 1)),
    ("the first bucket", 0.1, _check_example, (0.05, 0, 0.1)),
    ("the bucket of +Inf (rule 5)", 0.99, _check_example, (1, 1, _check_inf)),
    ("the rank is a bucket's count (rule 4)", 0.8, _check_example, (0.5, 0.1, 0.5)),
    ("q = 1", 1, {0.5: 4, 2: 10, _check_inf: 10}, (2, 0.5, 2)),
    ("q above 1 (rule 1)", 1.5, _check_example, (_check_inf, _check_nan, _check_nan)),
    ("q below 0 (rule 1)", -0.1, _check_example, (-_check_inf, _check_nan, _check_nan)),
    ("q is NaN (rule 1)", _check_nan, _check_example, (_check_nan, _check_nan, _check_nan)),
    ("first bound below 0 (rule 6)", 0.1, {-1: 5, 2: 8, _check_inf: 8}, (-1, -_check_inf, -1)),
    ("from a negative bound", 0.75, {-1: 5, 2: 8, _check_inf: 8}, (0, -1, 2)),
    ("counts that fall (rule 3)", 0.5, {1: 4, 2: 8, 4: 6, 8: 12, _check_inf: 10}, (1.5, 1, 2)),
    ("the count of +Inf falls (rule 3)", 1, {1: 4, 2: 8, _check_inf: 2}, (2, 1, 2)),
    (
        "no observations (rule 2)",
        0.5,
        {1: 0, 2: 0, _check_inf: 0},
        (_check_nan, _check_nan, _check_nan),
    ),
    ("no +Inf (rule 2)", 0.5, {1: 2, 2: 4}, (_check_nan, _check_nan, _check_nan)),
    ("one bucket (rule 2)", 0.5, {_check_inf: 4}, (_check_nan, _check_nan, _check_nan)),
    ("no bucket (rule 2)", 0.5, {}, (_check_nan, _check_nan, _check_nan)),
]:
    _check_whole = pd.Series(
        list(_check_buckets.values()), pd.Index(list(_check_buckets), dtype=float), dtype=float
    )
    _check_answer = histogram_quantile(_check_q, [_check_whole])
    assert isinstance(_check_answer, dict), f"return a dict, not {type(_check_answer).__name__}"
    for _check_key, _check_value in zip(("value", "low", "high"), _check_expected, strict=True):
        assert _check_key in _check_answer, f"the dict has no {_check_key!r}"
        assert np.isclose(_check_answer[_check_key], _check_value, rtol=1e-6, equal_nan=True), (
            f"{_check_what}: expected {_check_key} = {_check_value}, found "
            f"{_check_answer[_check_key]}, for q = {_check_q} of {_check_buckets}"
        )
    _check_more = pd.concat([_check_whole / 4, pd.Series([3.0, 1.0], [0.07, 3.3])])
    _check_parts = [_check_more, 3 * _check_whole / 4]
    _check_answer = histogram_quantile(_check_q, _check_parts)
    assert np.isclose(_check_answer["value"], _check_expected[0], equal_nan=True), (
        f"{_check_what}, a quarter of the counts at one replica, which has the bounds 0.07 and 3.3 as "
        f"well: expected the same, {_check_expected[0]}, found {_check_answer['value']}"
    )
assert np.isnan(histogram_quantile(0.5, [])["value"]), "no replicas: no buckets, NaN (rule 2)"
_check_lacks = [pd.Series([1.0, 2.0], [1.0, _check_inf]), pd.Series([1.0], [1.0])]
assert np.isnan(histogram_quantile(0.5, _check_lacks)["value"]), (
    "one replica lacks +Inf, so the merged buckets do (rule 2): NaN"
)
print("exercise 2: the visible check passes")

# %% [markdown]
# Your function on the default buckets of one good and one bad minute: how much does the p99 really say?

# %%
prom_default_buckets = [
    (float(name.split('"')[3].replace("+Inf", "inf")), series)
    for name, series in prom_buckets.items()
    if 'layout="default"' in name
]
for prom_minute in ("2026-05-04T11:20Z", "2026-05-04T11:30Z"):
    prom_at = pd.DatetimeIndex([prom_minute])
    prom_bucket_rates = pd.Series(
        {
            bound: counter_rate(series, prom_at, pd.Timedelta("2min"))["rate"].iloc[0]
            for bound, series in prom_default_buckets
        }
    )
    for q in (0.5, 0.99):
        prom_found = histogram_quantile(q, [prom_bucket_rates])
        print(
            f"{prom_minute[11:16]} p{100 * q:.0f}: {prom_found['value']:.2f} s, "
            f"surely between {prom_found['low']:g} and {prom_found['high']:g} s"
        )

# %% [markdown]
# ### Cardinality: what a label costs
#
# Every distinct set of labels is a series of its own, kept in memory while it is alive and written at every scrape.
# The number of series is **at most the product** of the numbers of values of all labels. That is the
# whole of cost control in metrics. Take the latency histogram of all of the shop's services:

# %%
# NBVAL_CHECK_OUTPUT
prom_label_values = {
    "le (11 bounds, +Inf, _sum, _count)": 14,
    "service": len(shop.SERVICES),
    "replica": 3,
    "route": 12,
    "method": 4,
    "status code": 6,
    "customer id": 20_000,
}
prom_cost = pd.DataFrame({"values": prom_label_values})
prom_cost["series"] = prom_cost["values"].cumprod()
prom_cost["samples/s"] = prom_cost["series"] / 15
prom_cost["GB in 30 days"] = prom_cost["samples/s"] * 30 * 86_400 * 1.5 / 1e9
print(prom_cost.to_string(float_format=lambda x: f"{x:,.1f}"))

# %%
figure, ax = plt.subplots(figsize=(9, 2.6))
prom_colours = [plots.RED if name == "customer id" else plots.BLUE for name in prom_cost.index]
ax.barh(prom_cost.index, prom_cost["series"], color=prom_colours)
ax.invert_yaxis()
ax.set(
    xscale="log",
    title="One label too many turns a metric into an outage of the metrics store",
    xlabel="series at most, with this label and those above",
)
plt.show()

# %% [markdown]
# The estimate takes a scrape every 15 s and 1.5 bytes a sample: Prometheus' documentation ("Storage") gives 1 to 2, and
# the Gorilla paper, on which its compression rests, 1.37 (Pelkonen et al., VLDB, 2015). Disk is cheap. **Memory isn't**: every
# live series has an entry in the head block and in the index, whether it moves or not, and `sum by (le)` must read all of
# them. Watch `prometheus_tsdb_head_series`, set `sample_limit` per job, and find the culprits with `topk(10, count by (__name__)
# ({__name__=~".+"}))`.
#
# The product is an upper bound: not every route knows every method or fails in every way. And there is **churn**: a
# replica's name changes with every deploy, so a day of ten deploys holds ten times the series, although only one
# tenth is alive at any time.
#
# A rule of thumb: a label must have values that you can list. Customer, order, trace id, raw URL and error text belong
# in logs and traces. An **exemplar**, a trace id attached to one observation of a bucket, leads you from the metric to
# the trace without a label.
#
# **How others take metrics.** The data are the same; what travels and what is billed differ.
#
# | product | takes Prometheus metrics by | a counter becomes | what labels multiply |
# |---|---|---|---|
# | Prometheus, Mimir | scrape, remote write, OTLP | a cumulative counter | active series |
# | Datadog | the Agent's OpenMetrics check | a count of differences (the Agent subtracts; a fall is skipped as a reset) | custom metrics: one per name and set of tag values, billed |
# | New Relic | remote write | a count of differences ("delta sum") | time series, with limits on their number |
# | Splunk Observability | the Collector's Prometheus receiver | a cumulative counter, with delta as its default roll-up | metric time series (MTS), billed or limited |
# | Dynatrace | scraping on Kubernetes, or OTLP | a counter of differences; OTLP sums must have **delta** temporality, cumulative ones are refused | sets of dimension values |
#
# (From the products' own documentation as of 2026: Datadog "Metric Submission: Custom Agent Check"; New Relic "Translate
# PromQL queries to NRQL"; Splunk "Metric types"; Dynatrace "Ingest OpenTelemetry metrics".) **Delta or cumulative** is the
# difference to remember. A lost delta is lost for ever and must be sent once and only once; a lost cumulative sample costs resolution, no
# counts. Where one is turned into the other (the OpenTelemetry Collector's `cumulativetodelta`), all samples of a series must pass
# through the same process, since it has to remember the last one.

# %% [markdown]
# ## 5 · The shop, live
#
# Up to here the shop was simulated. It also runs for real: thirteen of its services as processes on your machine,
# which call each other over HTTP, keep orders in SQLite and in a queue, and say what they do through OpenTelemetry
# and the Prometheus client. Open a terminal beside this notebook (Linux or macOS) and give it users and a fault:
#
#     course testbed up                  # ready within seconds; shows a metric, a log line and a trace
#     course testbed load --rate 20      # twenty users a second
#     course testbed fault bad_deploy payment --severity 0.9 --seconds 240
#
# Then run the next cell, and again half a minute later. If Prometheus and Alertmanager are on the machine, the testbed
# starts both with the rule file that it writes; if not, the course's own scraper and evaluator answer the same
# queries. If no testbed runs, the cell shows the same kind of fault from a recording: two hours of these processes, watched
# by a real Prometheus. The first line of its output says which of the three you see. `course testbed down` ends everything.

# %%
from course.testbed import live
from course.testbed.stack.rules import metric_queries

live_view = live.recent(minutes=10, replay="bad_deploy")
print(f"You see {live_view.source}.")
print(
    f"{live_view.traces['trace_id'].nunique():,} traces kept, {len(live_view.logs):,} log lines, "
    f"{len(live_view.alerts)} alerts sent or resolved"
)
for live_fault in live_view.truth.itertuples():
    print(f"{live_fault.start:%H:%M:%S} {live_fault.kind} strikes {live_fault.root_service}")

figure, axes = plots.grid(2, height=1.8)
live_path = ["payment", "checkout", "gateway"]
plots.timeline(
    {name: 100 * live_view.metrics[name, "error_ratio"] for name in live_path},
    ax=axes[0], ylabel="errors (%)", events=live_view.truth, title="Failures travel up the calls",
)  # fmt: skip
plots.timeline(
    {name: live_view.metrics[name, "latency_p99_ms"] for name in live_path},
    ax=axes[1], ylabel="p99 (ms)", events=live_view.truth, title="The p99 of twenty seconds is often one slow request",
)  # fmt: skip
axes[0].set_ylim(top=1.4 * axes[0].get_ylim()[1])  # room for the legend, which serves both
axes[1].get_legend().remove()
plt.show()

# %%
live_sent = live_view.alerts[live_view.alerts["status"] == "firing"]
live_first = live_sent.groupby(["alertname", "service"], sort=False)["time"].min()
print(live_first.dt.strftime("%H:%M:%S").to_string())
print("\nThe first panel is this query, evaluated every few seconds:\n")
print(metric_queries(5.0)["error_ratio"])

# %% [markdown]
# Three things to see. A real process is noisier than a simulated one: at a few requests a second one failure more
# or less is a tooth in the curve, and the p99 of twenty seconds is the slowest or second slowest request. The query
# has everything that sections 3 and 4 said: a `rate` over **four scrapes**, so that one lost scrape does not matter;
# the rate of each instance first and the sum after it; a share of two sums, not a mean of shares. And the alerts:
# by the label `role` the rule file calls each a *cause* or a *symptom*; Alertmanager **inhibits** symptoms while a
# cause fires and **groups** the rest by role and cause, so that few notifications come for one incident (month 5
# builds such trees). In the recording two `CpuSaturated` rang four minutes *before* the fault, and have nothing to do
# with it: the rule fires above 70 % of the CPU, which small processes on a shared machine reach in any busy minute,
# and no user felt it. A cause alert without damage is the kind that month 5 takes off the pager.

# %% [markdown]
# ## 6 · A trace is a tree, and its clocks are wrong
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
# **Service graph**: who calls whom, how often, and how often did they fail? Count parents and children of different
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
# 4. **Critical path.** It belongs to one root: that with `parent_span_id` `""` (there is one at most), and if
#    this span was lost, the root that starts first (of several the smallest `span_id`). `critical_ns` is the time that a span has
#    on the path, 0 off it. Walk through the root from its end to its start. To walk through a span from
#    `high` down to `low`, cut its children to `[low, high]`, leave out those of which nothing is left, and
#    set `now = high`. Again and again, of the children that end at or before `now`, take the one that ends
#    last (of several the one whose cut part starts first, of several the smallest `span_id`): the time from its end to
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
print("exercise 3: the visible check passes")

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
# ## 7 · Telemetry is data, and data lies
#
# **The morning after.** The review of last night's incident stands still at one chart: the payment service
# served *no* request at all for 25 minutes, at an hour when customers paid. The service was fine. Its agent had
# been restarted with a broken exporter, the exporter wrote 0 for what it could not read, the dashboard drew
# the zeros, and an alert fired on them. Somebody "fixed" the gap next to it by drawing a line across.
#
# Every model of this course learns from tables like that one. What a fault of the *measurement* looks like to
# a detector is a fault of the *service*, and it is usually the larger one. So before any analysis, four
# questions to a table, each answered from the table itself:
#
# | question | typical fault | what gives it away |
# |---|---|---|
# | When was it measured? | wrong clock, wrong time zone, wrong unit | a second clock disagrees, by a constant |
# | How often does it count? | resent rows | two rows for one moment |
# | What is not there? | lost rows | holes in the grid |
# | Was it measured at all? | 0 written for "nothing read" | another column contradicts the 0 |
#
# The table below is one hour and a half of the shop's `payment` service as a collector stored it: a row a
# minute, `timestamp` written by the host, `received` by the collector. We break it ourselves, so that we know
# the truth: its clock is nine days and some seconds ahead, a part of it was stamped in local time, eight minutes
# are lost, three rows came twice, and the exporter of `requests` died for 25 minutes.

# %%
quality_day = shop.simulate(shop.Scenario(pd.Timestamp("2026-03-10T09:00Z"), minutes=90, seed=21))
quality_source = quality_day.service("payment")
quality_truth = pd.DataFrame(
    {
        "requests": (60 * quality_source["request_rate"]).round(),
        "latency_p50_ms": quality_source["latency_p50_ms"],
        "cpu_utilization": quality_source["cpu_utilization"],
        "queue_length": quality_source["queue_length"],
    }
)

quality_raw = quality_truth.copy()
quality_raw.iloc[40:65, 0] = 0.0  # the exporter of `requests` is dead
quality_stamps = quality_truth.index.as_unit("s").astype("int64") + 9 * 86_400 + 17
quality_raw.insert(0, "timestamp", quality_stamps + np.where(np.arange(90) >= 68, 3600, 0))
quality_raw.insert(0, "received", quality_truth.index + pd.Timedelta("2s"))
quality_raw["received"] = quality_raw["received"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
quality_resent = quality_raw.iloc[[10, 11, 12]].assign(received="2026-03-10T09:15:30Z")
quality_raw = pd.concat([quality_raw.drop(quality_raw.index[22:30]), quality_resent])
quality_raw = quality_raw.reset_index(drop=True)
quality_raw.head(3)

# %% [markdown]
# ### Clocks
#
# A time without a second source can't be checked. Real tables nearly always have one: the collector's own
# time of receipt, a text beside a number, the row number of a job that runs each minute, an event that other
# hosts saw, too. What to look at is one column that nobody stores: **the difference of the two clocks.**
#
# | difference (host minus second source) | what happened |
# |---|---|
# | a few seconds, negative | delivery takes time: nothing is wrong |
# | minutes, negative, some rows | the agent kept rows back while the network was down: nothing is wrong, and the *receipt* is the wrong time to use |
# | constant over all rows, any size | the host's clock is wrong: never synchronised, a dead battery, a typing error in a script |
# | constant over a part of the rows, a multiple of 30 minutes | wall-clock time of some zone read as UTC, or a daylight-saving switch in the middle (most offsets are whole hours, India's is 5:30; Nepal's 5:45 is one of the few quarters) |
# | grows slowly, then jumps back | drift, and NTP setting the clock: a lasting error above 0.125 s is stepped, a smaller one is slewed (NTP version 4, RFC 5905, 2010) |
# | a factor of 1000 | milliseconds taken for seconds: the year is beyond 50,000 |
#
# Unix time counts seconds since 1970-01-01T00:00Z and knows no zone, so a time-zone error in it is always
# somebody's conversion: `datetime.utcnow().timestamp()` in Python, which reads a naive time as local time, is the
# classic (deprecated since Python 3.12, 2023). Local wall-clock time can't be repaired completely: on the night
# when summer time ends, one hour exists twice and nothing in the text says which one it is. **Store UTC.**
#
# The differences of our table, in hours:

# %%
quality_received = pd.to_datetime(quality_raw["received"], utc=True)
quality_ahead = (
    quality_raw["timestamp"] - quality_received.dt.as_unit("s").astype("int64")
).rename("ahead_s")
quality_hours = quality_ahead / 3600
print(quality_hours.round(3).value_counts().to_string())
print(f"median {quality_hours.median():.3f}, mean {quality_hours.mean():.3f}")

# %% [markdown]
# Two levels, a whole hour apart, and three rows a little below the first: those that were sent again, three to
# five and a half minutes late. The **median** is the clock's error: it does not care about late rows or about a
# part with another zone, as long as most rows have neither. The mean is wrong by a quarter of an hour. What is
# left after the median is rounded to half hours, which is the zone. The moment of the change tells more: a level
# that changes at 01:00 UTC on the last Sunday of March or October is summer time in the European Union.
#
# ### Duplicates and gaps
#
# Agents send again when no acknowledgement came, so collectors store *at least once*. Which row of two wins is a
# decision that has to be written down. Here: the one received last, because a correction comes after what it
# corrects. A count of the duplicates belongs in the report: a sum over the raw table counts these minutes twice.
#
# A gap can be seen only against a **grid**: the regular times at which there should have been a row. `asfreq` or
# `reindex` makes the holes visible as `NaN`. Then leave them. A straight line across a gap is an invented
# measurement, it is smoother than anything real (so it lowers every estimate of noise), and the minutes in which
# an agent could not send are often the very minutes of the incident. If a method can't take `NaN`, fill a copy
# for that method alone, say how far (two or three samples at most), and never score the filled points.
#
# **A counter is no gauge.** `requests_total` only grows, and starts at 0 after a restart. Plotted as it is, it
# shows nothing but age; a gap in it loses no request, since the next reading contains them all. So a counter is
# differenced *first* (with its resets in mind, as `rate()` does) and laid on the grid afterwards; a gauge that
# was not read is lost for good.
#
# ### Missing is never zero
#
# 0 is a measurement: nobody came. "Not measured" is `NaN`. Exporters confuse the two, and so does `fillna(0)`.
# The number itself can't tell you which one it is. Other columns can: a service with a latency had requests; a
# process that sends rows uses memory; a success ratio of 0 means that as many requests failed as came. We write
# such knowledge down as conditions, a **contract** of the table, and let pandas evaluate it row by row
# (`DataFrame.eval`; a comparison with `NaN` is false, so a missing witness proves nothing):

# %%
quality_contract = {"requests": "latency_p50_ms > 0", "cpu_utilization": "cpu_utilization == 0"}
for quality_metric, quality_condition in quality_contract.items():
    quality_zero = quality_raw[quality_metric] == 0
    quality_refuted = quality_zero & quality_raw.eval(quality_condition)
    print(f"{quality_metric:16s} {quality_zero.sum():3d} zeros, {quality_refuted.sum():3d} refuted")
quality_idle = (quality_raw["queue_length"] == 0).sum()
print(f"{'queue_length':16s} {quality_idle:3d} zeros, nothing speaks against them")

# %% [markdown]
# The zeros of `requests` are lies, those of `queue_length` are the truth, and a rule that knows only names or
# only values gets one of the two wrong. One step more: a dead exporter writes 0 in quiet minutes, too, where
# nothing contradicts it. So the unit of judgement is the **run**: if one zero of an unbroken run of zeros is
# refuted, nobody can say which others of that run were measured, and the whole run is missing.
#
# The chart shows what the dashboard drew, and what can honestly be drawn.

# %%
quality_seconds = quality_raw["timestamp"] - quality_ahead.median()
quality_zone = ((quality_ahead - quality_ahead.median()) / 1800).round() * 1800
quality_minute = pd.to_datetime(
    ((quality_seconds - quality_zone) / 60).round() * 60, unit="s", utc=True
)
quality_fixed = (
    quality_raw.assign(minute=quality_minute)
    .sort_values("received")
    .drop_duplicates("minute", keep="last")
)
quality_fixed = quality_fixed.set_index("minute").sort_index().asfreq("1min")
quality_fixed["requests"] = quality_fixed["requests"].where(quality_fixed["requests"] != 0)

figure, axes = plots.grid(2, height=2.2, sharex=False)
quality_drawn = quality_raw.sort_values("timestamp")
axes[0].plot(
    pd.to_datetime(quality_drawn["timestamp"], unit="s", utc=True),
    quality_drawn["requests"],
    color=plots.RED,
)
axes[0].set(
    title="As stored: nine days ahead, an hour torn out, an outage that never was",
    xlabel="time as stamped (UTC)", ylabel="requests a minute",
)  # fmt: skip
plots.concise_dates(axes[0])
plots.timeline(
    quality_fixed["requests"],
    ax=axes[1],
    ylabel="requests a minute",
    title="Repaired: what was measured, where it belongs, and two honest holes",
)
for quality_label, quality_first, quality_last, quality_color in [
    ("rows lost", 22, 29, plots.GREY),
    ("never measured", 40, 64, plots.ORANGE),
]:
    quality_hole = pd.DataFrame(
        {"start": [quality_truth.index[quality_first]], "end": [quality_truth.index[quality_last]]}
    )
    plots.shade(axes[1], quality_hole, label=quality_label, color=quality_color)
axes[1].legend(loc="lower left")
for ax in axes:
    ax.set_ylim(bottom=-5)
plt.show()

# %% [markdown]
# Above, the last quarter of the table sits an hour too far right, the eight lost minutes look like a straight
# line of values, and the dead exporter like an outage. Below are the same rows. The holes stay holes: eight
# minutes were lost, 25 were never measured.
#
# **The quality report** is as important as the table. Who uses the data next must know what was done to it:
# how far the clock was moved, how many rows were shifted, dropped and missing, which metric has no measurement.
# Zero repairs is a finding, too: a repair that changes a clean table is one more source of damage.
#
# ### Exercise 4 · Repair telemetry (15 points)
#
# **Write** `repair(raw, impossible)`. It returns `(table, report)`.
#
# `raw` has one row for each sample of one host, in no particular order, with a unique index that means nothing:
#
# - `received`: text such as `"2026-03-10T14:00:03Z"`, the UTC time at which the collector stored the row. This
#   clock is right. A row arrives 0 to 600 s after its sample; most arrive within 5 s.
# - `timestamp`: the host's clock at the sample, a number of seconds since 1970-01-01T00:00Z, or of milliseconds
#   in all rows of the table. A number above `1e11` is milliseconds.
# - all other columns: metrics, floats, whose names vary. `NaN` is a value that was not measured.
#
# The host samples once a minute, on the minute, up to 8 s early or late. `impossible` maps some of the metrics to
# a condition for `raw.eval`: where it is true, a 0 of that metric in the same row was not measured. The
# conditions hold for the values as they came.
#
# **Right means**, in this order:
#
# 1. **Clock.** Let *ahead* be `timestamp` in seconds minus `received`. If its median over all rows is more than
#    60 s away from 0, the clock is wrong by that median in all rows: subtract it. Otherwise the clock is right,
#    and nothing is subtracted.
# 2. **Zone.** Round what is left of *ahead* to the nearest multiple of 1800 s, row by row. If one value other
#    than 0 occurs in at least 10 % of all rows (there is at most one), it is the zone shift: subtract it from the
#    rows that have it.
# 3. **Unusable rows.** A row of which what is left then is not between -630 s and 30 s (both included) has a stamp that nothing
#    explains. Drop it: guessing its minute would be inventing.
# 4. **Grid.** A sample belongs to the minute nearest to its repaired time. Of the rows of one minute the one with
#    the latest `received` wins, as a whole, also where it holds `NaN`. (Rows that tie are identical.) The table
#    has every minute from the first to the last that has a row; minutes without a row are `NaN` in every metric.
#    **Nothing is filled.**
# 5. **Zeros.** For each metric in `impossible`, look at its values in the table in order of time, without the
#    `NaN`. A *run* is an unbroken sequence of zeros in it (a lost minute or a `NaN` doesn't break it). If the
#    condition is true in at least one row of a run, all zeros of the run become `NaN`. All other zeros stay, and
#    so do the zeros of metrics that `impossible` doesn't name.
#
# `table` has the metrics as float columns (any order) and a `DatetimeIndex` in UTC, ascending, one minute apart.
# `raw` is not changed. `report` is a dict:
#
# | key | value |
# |---|---|
# | `"unit"` | `"s"` or `"ms"`, of `timestamp` |
# | `"clock_s"` | seconds that the clock was ahead in all rows, negative if behind, 0 if right; within 10 s |
# | `"zone_s"` | seconds of the zone shift, negative if earlier, 0 if there is none |
# | `"zone_rows"` | rows of `raw` that had it |
# | `"unusable"` | rows dropped by rule 3 |
# | `"duplicates"` | rows dropped by rule 4 |
# | `"lost"` | minutes of the table without a row |
# | `"not_measured"` | dict: metric to number of values that rule 5 took out; only metrics with at least one |
#
# **Example.** Four rows received at 14:00:02, 14:01:02, 14:03:02 and 14:03:40, stamped 13:00:00, 13:01:00,
# 13:03:00 and 13:03:00: the clock is an hour and 2 s behind (the median), 14:03 came twice and the later row
# wins, 14:02 is a row of `NaN`: `clock_s` is -3602, `duplicates` 1, `lost` 1.
#
# **Scored** on unseen tables of the shop, of two to five hours each: five with one kind of damage each (clock,
# zone, duplicates and gaps, zeros, unusable rows; 3 points), eight in which the kinds are mixed at random (10
# points), and two clean ones (2 points, in so far as the others are right). Of a table's points 70 % are for the
# table and 30 % for the report, key by key; with a wrong table the report counts a third of that. 2 s a call.


# %% nbgrader={"grade": false, "grade_id": "repair", "locked": false, "schema_version": 3, "solution": true, "task": false}
def repair(raw: pd.DataFrame, impossible: dict[str, str]) -> tuple[pd.DataFrame, dict]:
    """Put damaged telemetry on a regular UTC grid and say what was wrong.

    raw: columns `received` (ISO text, UTC), `timestamp` (epoch, s or ms), and float metrics.
    impossible: metric to a condition (`raw.eval`) under which its 0 was not measured.
    Returns the table (UTC index, one minute apart, NaN where nothing was measured) and the report.
    """
    ### BEGIN SOLUTION
    metrics = [name for name in raw.columns if name not in ("received", "timestamp")]
    unit = "ms" if raw["timestamp"].median() > 1e11 else "s"
    stamp = raw["timestamp"].astype(float) / (1000 if unit == "ms" else 1)
    came_in = pd.to_datetime(raw["received"], utc=True)
    arrived = (came_in - pd.Timestamp(0, tz="UTC")).dt.total_seconds()

    ahead = stamp - arrived
    clock = float(ahead.median())
    if abs(clock) <= 60:
        clock = 0.0
    left = ahead - clock
    halves = (left / 1800).round() * 1800
    shifts = halves[halves != 0].value_counts()
    zone = float(shifts.index[0]) if len(shifts) and shifts.iloc[0] >= 0.1 * len(raw) else 0.0
    shifted = (halves == zone) & (zone != 0)
    left = left - zone * shifted
    usable = left.between(-630, 30)

    minute = ((arrived + left) / 60).round() * 60
    rows = (
        raw[metrics]
        .astype(float)
        .assign(minute=pd.to_datetime(minute, unit="s", utc=True), arrived=arrived)
    )
    for metric, condition in impossible.items():
        rows["refuted " + metric] = (raw[metric] == 0) & raw.eval(condition)
    rows = rows[usable].sort_values("arrived", kind="stable")
    kept = rows.drop_duplicates("minute", keep="last").set_index("minute").sort_index()

    taken = {}
    for metric in impossible:
        values = kept[metric].dropna()
        zero = values == 0
        run = (zero != zero.shift()).cumsum()
        refuted = kept.loc[values.index, "refuted " + metric].groupby(run).transform("any")
        lies = values.index[zero & refuted.astype(bool)]
        kept.loc[lies, metric] = np.nan
        if len(lies):
            taken[metric] = len(lies)

    table = kept[metrics].asfreq("1min")
    report = {
        "unit": unit,
        "clock_s": clock,
        "zone_s": zone,
        "zone_rows": int(shifted.sum()),
        "unusable": int((~usable).sum()),
        "duplicates": len(rows) - len(kept),
        "lost": len(table) - len(kept),
        "not_measured": taken,
    }
    return table, report
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-repair", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
def _check_raw(received, stamped, **metrics):
    _day = "2026-03-10T"
    _stamps = [pd.Timestamp(f"{_day}{t}Z").timestamp() for t in stamped]
    return pd.DataFrame(
        {"received": [f"{_day}{t}Z" for t in received], "timestamp": _stamps, **metrics}
    )


_check_times = ["14:00:02", "14:01:02", "14:03:02", "14:03:40"]
_check_in = _check_raw(
    _check_times, ["13:00:00", "13:01:00", "13:03:00", "13:03:00"], load=[1.0, 0.0, 3.0, np.nan]
)
_check_before = _check_in.copy()
_check_table, _check_report = repair(_check_in, {})
assert _check_in.equals(_check_before), "repair must not change raw: work on a copy"
_check_index = pd.date_range("2026-03-10T14:00Z", periods=4, freq="1min")
assert list(_check_table.index) == list(_check_index), (
    f"the example: expected the minutes 14:00 to 14:03, found {list(_check_table.index)}; see rules 1 and 4"
)
assert str(_check_table.index.tz) == "UTC", "the index must be in UTC"
_check_load = _check_table["load"].tolist()
assert _check_load[:2] == [1.0, 0.0], (
    f"load begins with 1 and 0, found {_check_load}: no condition names it, its 0 stays"
)
assert np.isnan(_check_load[2]), (
    "14:02 has no row: it must be NaN, neither 0 nor filled; see rule 4"
)
assert np.isnan(_check_load[3]), (
    "14:03: the row received last wins as a whole, also where it is NaN; see rule 4"
)
_check_wanted = {
    "unit": "s",
    "clock_s": -3602,
    "zone_s": 0,
    "zone_rows": 0,
    "unusable": 0,
    "duplicates": 1,
    "lost": 1,
    "not_measured": {},
}
assert set(_check_report) == set(_check_wanted), (
    f"report needs the keys {sorted(_check_wanted)}, found {sorted(_check_report)}"
)
for _check_key, _check_value in _check_wanted.items():
    _check_found = _check_report[_check_key]
    _check_same = (
        abs(_check_found - _check_value) <= 10
        if _check_key == "clock_s"
        else _check_found == _check_value
    )
    assert _check_same, (
        f"the example: report[{_check_key!r}] should be {_check_value!r}, found {_check_found!r}"
    )

# Ten minutes, the last two of them stamped an hour and a half late, in milliseconds; one stamp is nonsense.
_check_minutes = pd.date_range("2026-03-10T14:00Z", periods=10, freq="1min")
_check_shift = np.array([0] * 8 + [5400] * 2)
_check_stamp = _check_minutes.as_unit("s").astype("int64").to_numpy() + _check_shift
_check_stamp[3] += 777
_check_in = pd.DataFrame(
    {
        "received": (_check_minutes + pd.Timedelta("3s")).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "timestamp": 1000 * _check_stamp,
        "requests": [5.0, 0.0, 0.0, 7.0, np.nan, 0.0, 4.0, 0.0, 3.0, 2.0],
        "latency": [9.0, np.nan, 8.0, 9.0, 9.0, np.nan, 8.0, np.nan, 9.0, 9.0],
    }
)
_check_table, _check_report = repair(
    _check_in.sample(frac=1, random_state=3), {"requests": "latency > 0"}
)
assert list(_check_table.index) == list(_check_minutes), (
    f"the second table: expected 14:00 to 14:09, found {_check_table.index[0]} to {_check_table.index[-1]}; see rule 2 and the unit"
)
assert _check_report["zone_s"] == 5400 and _check_report["zone_rows"] == 2, (
    f"two rows are 5400 s late, found {_check_report['zone_s']} s in {_check_report['zone_rows']} rows; see rule 2"
)
assert _check_report["unusable"] == 1 and _check_table.iloc[3].isna().all(), (
    "the stamp of 14:03 is 777 s off, which nothing explains: drop that row; see rule 3"
)
_check_requests = _check_table["requests"].tolist()
assert all(np.isnan(_check_requests[i]) for i in (1, 2, 5)), (
    f"requests at 14:01, 14:02 and 14:05 are one run (a NaN and a lost minute don't break it), refuted at 14:02: all NaN, found {_check_requests}"
)
assert _check_requests[7] == 0, (
    "the 0 at 14:07 stands in a run of its own that nothing refutes: it stays"
)
assert _check_report["not_measured"] == {"requests": 3}, (
    f"not_measured should be {{'requests': 3}}, found {_check_report['not_measured']}"
)
print("The visible checks pass. The points come from unseen tables.")

# %% [markdown]
# Your function on the table from above. It should move the clock by nine days and 15 s (17 s less the delivery),
# shift 22 rows by an hour, drop three duplicates, report eight lost minutes and 25 values that were never
# measured.

# %%
quality_table, quality_report = repair(quality_raw, quality_contract)
for quality_key, quality_value in quality_report.items():
    print(f"{quality_key:14s}{quality_value}")

# %% [markdown]
# ## 8 · Keep what matters, and count what you dropped
#
# Traces are the most expensive signal: one checkout takes some 12 to 20 kB, most of it saying that all went well. So
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
# budget or falls over; one that drops them in silence tells untruths in the very hour for which it was bought. So
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
# the sums of weights over many seeds have the number of traces in the group as their mean. (A single sum differs
# from seed to seed, and may depend on the order of the rows.)
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
    luck = np.random.default_rng(seed)
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
            rows = luck.choice(rows, number, replace=False)
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
print("exercise 5: the visible check passes")

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
).set_ylim(-1, 48)
plt.show()
print(f"kept {len(quarter)} of {len(sample_traces):,} traces, dropped: {quarter_kept['dropped']}")

# %% [markdown]
# ## 9 · The same measurements in nine formats
#
# In April the shop's platform team put a second trace store beside the first, to compare them for a week. On day
# one the dashboards disagreed by a factor of a thousand: the new exporter wrote milliseconds into a field of
# microseconds. The store took every span. It could not know better: **a wrong unit is valid JSON**. Two more
# faults came out in the same week: a batch of logs was refused as a whole whenever its last newline was missing,
# and the log store slowed to a crawl, since somebody had made the trace id a label.
#
# Telemetry is written once and read for years, by tools that come and go. Whoever runs AIOps moves it between
# them, and feeds models with what arrives. So this section puts one span, one log line and one metric point side
# by side in the formats of nine receivers, says what each of them can't say, and then asks the same questions in
# seven languages.
#
# | signal | format | goes to | time | can't say |
# |---|---|---|---|---|
# | span | **OTLP/JSON** (OpenTelemetry Protocol 1.x) | Tempo, Jaeger, any Collector: `/v1/traces` | ns, as text | hardly anything: the others translate from it |
# | span | **Zipkin v2** (zipkin-api 1.0.0) | Zipkin: `/api/v2/spans` | µs, number | types, a status, parts of a µs |
# | span | **Jaeger JSON** (`internal/uimodel`) | what Jaeger's query service answers | µs, number | a status but as a tag, parts of a µs |
# | line | **Loki push** (Loki 3.x) | `/loki/api/v1/push` | ns, as text | numbers: all is text |
# | line | **`_bulk`** (Elasticsearch 8.x) | `/_bulk` | as the mapping says | a field with two types |
# | line | **HEC** (Splunk Enterprise 9.x) | `/services/collector/event` | **seconds**, decimal | fields within fields |
# | point | **Datadog series v2** | `/api/v2/series` | **whole seconds** | parts of a second, types of tags |
# | point | **New Relic Metric API** | `/metric/v1` | **ms** | counters that only grow |
# | point | **Dynatrace lines** | `/api/v2/metrics/ingest` | **ms** | counters that only grow, empty values |
#
# The last column but one is where most conversions fail. New Relic and Dynatrace (and Datadog) want a count as
# its *increase* in an interval, not a counter as Prometheus has it: who sends the counter itself adds it up again
# and again.
#
# `course.telemetry.wire` has a strict reader for each of them. It takes the body of a request as text, refuses
# what the receiver would refuse, and gives back plain dicts. The course's tests hold the readers against the
# official models and clients: Protobuf's own parser for OTLP, datadog-api-client, dynatrace-metric-utils,
# newrelic-telemetry-sdk, the bulk writer of elasticsearch-py, py-zipkin. For Jaeger, Loki and HEC there is no
# such model for Python; their readers follow the documentation. None of them writes: writing is your part. Of the
# nine you will write five, those whose traps differ most; the other four are written out below.
#
# One measurement of each kind, as a program holds them in memory. Times and durations are whole nanoseconds.

# %%
formats_span = {
    "trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174",
    "parent_span_id": "eee19b7ec3c1b173", "service": "payment", "name": "POST /authorize",
    "kind": "SERVER", "start_ns": 1775876400123456789, "duration_ns": 41_002_345,
    "status": "ERROR",
    "attributes": {"http.response.status_code": 503, "retry": True, "amount": 12.5, "region": "eu"},
}  # fmt: skip
formats_line = {
    "time_ns": 1775876400164459134, "service": "payment", "level": "ERROR",
    "message": 'charge of "order 7" timed out', "trace_id": formats_span["trace_id"],
    "duration_ms": 41.002345,
}  # fmt: skip
formats_point = {
    "time_ns": 1775876460000000000, "metric": "shop.requests", "type": "count", "value": 97.0,
    "interval_s": 60, "dimensions": {"service": "payment", "Data Center": 'Frankfurt "A", eu'},
}  # fmt: skip

# %% [markdown]
# ### One span
#
# **OTLP/JSON.** A request holds *resources* (who sends), below them *scopes* (which library measured), below them
# spans. It is Protobuf's JSON mapping with its own rules (OpenTelemetry Protocol specification 1.x, "JSON
# Protobuf Encoding"):
#
# - trace and span ids are **hexadecimal**; Protobuf's own mapping would write bytes as base64;
# - 64-bit integers are **decimal strings**: a double, which is all that many JSON parsers have, holds 53 bits,
#   and nanoseconds since 1970 need 61;
# - enums are **numbers**: kind 1 internal, 2 server, 3 client, 4 producer, 5 consumer; status 0 unset, 1 ok, 2
#   error;
# - an attribute names its type: `stringValue`, `boolValue`, `intValue`, `doubleValue`; an `intValue` has 64 bits,
#   too;
# - what has its default may be left out: a root has no `parentSpanId` (or an empty one).

# %%
# NBVAL_CHECK_OUTPUT
formats_as_otlp = """
{"resourceSpans": [{
  "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "payment"}}]},
  "scopeSpans": [{"spans": [{
    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "eee19b7ec3c1b173", "name": "POST /authorize", "kind": 2,
    "startTimeUnixNano": "1775876400123456789", "endTimeUnixNano": "1775876400164459134",
    "status": {"code": 2},
    "attributes": [{"key": "http.response.status_code", "value": {"intValue": "503"}},
                   {"key": "retry", "value": {"boolValue": true}},
                   {"key": "amount", "value": {"doubleValue": 12.5}},
                   {"key": "region", "value": {"stringValue": "eu"}}]}]}]}]}
"""
print(*wire.read_otlp(formats_as_otlp)[0].items(), sep="\n")

# %% [markdown]
# **Zipkin v2.** A plain list of spans. Times are whole microseconds, as numbers. A duration is at least 1, since
# 0 would mean "unknown". Who sends is the `localEndpoint`. Names of services and spans are kept in lower case.
# Tags are text, whatever they were before. There is no status: by OpenTelemetry's mapping it becomes the tag
# `otel.status_code`, `OK` or `ERROR` (none where it is unset), and an error has the tag `error` as well, with the
# description of what went wrong, here none. An internal span has no kind. (OpenTelemetry's specification
# deprecates this mapping and announces its removal for December 2026: new code sends OTLP and leaves the
# translation to a Collector.)

# %%
# NBVAL_CHECK_OUTPUT
formats_as_zipkin = """
[{"traceId": "5b8efff798038103d269b633813fc60c", "id": "eee19b7ec3c1b174",
  "parentId": "eee19b7ec3c1b173", "name": "post /authorize", "kind": "SERVER",
  "timestamp": 1775876400123456, "duration": 41002,
  "localEndpoint": {"serviceName": "payment"},
  "tags": {"http.response.status_code": "503", "retry": "true", "amount": "12.5", "region": "eu",
           "otel.status_code": "ERROR", "error": ""}}]
"""
print(*wire.read_zipkin(formats_as_zipkin)[0].items(), sep="\n")

# %% [markdown]
# **Jaeger.** Here is the whole converter. Two things are special: the parent is one of a span's `references`, of
# type `CHILD_OF`, and spans name their sender by a key of the trace's table of `processes`. Tags carry their type
# beside them.

# %%
# NBVAL_CHECK_OUTPUT
FORMATS_JAEGER_TYPES = {bool: "bool", int: "int64", float: "float64", str: "string"}


def formats_to_jaeger(spans: list[dict]) -> str:
    """Write spans as Jaeger's query service would answer them, one entry a trace."""
    data = []
    for trace_id in dict.fromkeys(span["trace_id"] for span in spans):
        mine = [span for span in spans if span["trace_id"] == trace_id]
        services = sorted({span["service"] for span in mine})
        process = {service: f"p{number}" for number, service in enumerate(services, 1)}
        data.append(
            {
                "traceID": trace_id,
                "spans": [formats_jaeger_span(span, process) for span in mine],
                "processes": {key: {"serviceName": name} for name, key in process.items()},
            }
        )
    return json.dumps({"data": data})


def formats_jaeger_span(span: dict, process: dict[str, str]) -> dict:
    tags = [
        {"key": name, "type": FORMATS_JAEGER_TYPES[type(content)], "value": content}
        for name, content in span["attributes"].items()
    ]
    if span["status"] == "ERROR":
        tags.append({"key": "error", "type": "bool", "value": True})
    parent = {
        "refType": "CHILD_OF", "traceID": span["trace_id"], "spanID": span["parent_span_id"],
    }  # fmt: skip
    return {
        "traceID": span["trace_id"],
        "spanID": span["span_id"],
        "operationName": span["name"],
        "references": [parent] if span["parent_span_id"] else [],
        "startTime": span["start_ns"] // 1000,
        "duration": span["duration_ns"] // 1000,
        "tags": tags,
        "logs": [],
        "processID": process[span["service"]],
    }


formats_as_jaeger = formats_to_jaeger([formats_span])
print(json.dumps(json.loads(formats_as_jaeger)["data"][0]["spans"][0], indent=1)[:330], "...")
print(wire.read_jaeger(formats_as_jaeger)[0]["tags"])

# %% [markdown]
# Does a microsecond more or less matter? Look at three services of the shop during a bad quarter of an hour:
# the payment provider fails from 03:15 on.

# %%
formats_night = shop.Scenario(
    pd.Timestamp("2026-04-11T03:00Z"),
    minutes=40,
    seed=9,
    faults=(shop.Fault("third_party_outage", "payment-provider", 15, 15, 0.7),),
)
formats_recording = shop.simulate(formats_night)
formats_from, formats_to = (pd.Timestamp(f"2026-04-11T03:{m}Z") for m in ("08", "24"))
formats_traces = formats_recording.traces(formats_from, formats_to)
formats_logs = formats_recording.logs(formats_from, formats_to)

figure, ax = plt.subplots()
for formats_name, colour in [
    ("catalog-cache", plots.BLUE),
    ("catalog", plots.GREEN),
    ("payment", plots.RED),
]:
    of_service = formats_traces.loc[formats_traces["service"] == formats_name, "duration_ms"]
    ax.hist(
        of_service, bins=np.logspace(-3, 5, 90), histtype="step", lw=1.6, density=False,
        weights=np.full(len(of_service), 100 / len(of_service)), color=colour, label=formats_name,
    )  # fmt: skip
ax.axvspan(1e-3, 1, color=plots.ORANGE, alpha=0.2, lw=0)
ax.text(0.0013, 9.2, "0 in whole milliseconds", color=plots.BLACK)
ax.set(
    xscale="log", xlim=(1e-3, 1e5), xlabel="duration of a span (ms)", ylabel="spans (%)",
    title="In a format of whole milliseconds most calls to the cache take no time at all",
)  # fmt: skip
ax.legend(loc="upper right")
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
formats_cache = formats_traces.loc[formats_traces["service"] == "catalog-cache", "duration_ms"]
print(f"{(formats_cache < 1).mean():.0%} of {len(formats_cache):,} calls are shorter than 1 ms")
print(
    f"mean {formats_cache.mean():.3f} ms, of whole milliseconds {formats_cache.floordiv(1).mean():.3f} ms"
)

# %% [markdown]
# Cut to whole milliseconds, most of these calls last nothing, and the mean falls to a quarter. A format's unit is
# a limit on what you can measure, and a conversion that goes through floating-point seconds is a second one: a
# double keeps about 16 digits, and nanoseconds since 1970 have 19. Keep integers, and divide integers.
#
# ### One log line
#
# **Loki** sorts lines into *streams*. A stream is one set of **labels**; only labels are indexed, the text is
# compressed and read through at query time. Lines are `[time, text]`, or `[time, text, {...}]` with **structured
# metadata**: pairs of text that travel with the line, can be filtered by and are not indexed. Labels name what
# has few values, such as a service or a level. A trace id goes into the metadata.
#
# **`_bulk`** is *newline-delimited JSON*: a line with an action, a line with the document, and so on, and a
# newline at the very end. The body as a whole is no JSON document. A data stream, Elasticsearch's kind of index
# for logs, takes only the action `create`, and wants a field `@timestamp`. Field names follow the Elastic Common
# Schema: `service.name`, `log.level`, `message`, `trace.id`. By default Elasticsearch indexes every field, so it
# finds anything, and pays for it when it writes and stores.

# %%
# NBVAL_CHECK_OUTPUT
formats_as_loki = r"""
{"streams": [{"stream": {"service_name": "payment", "level": "ERROR"},
  "values": [["1775876400164459134", "charge of \"order 7\" timed out",
    {"trace_id": "5b8efff798038103d269b633813fc60c", "duration_ms": "41.002345"}]]}]}
"""
print(wire.read_loki(formats_as_loki)[0])

formats_as_bulk = (
    r"""{"create": {"_index": "logs-shop"}}
{"@timestamp": "2026-04-11T03:00:00.164459134Z", "service.name": "payment", "log.level": "ERROR", """
    r""""message": "charge of \"order 7\" timed out", "duration_ms": 41.002345, """
    r""""trace.id": "5b8efff798038103d269b633813fc60c"}
"""
)
print(wire.read_bulk(formats_as_bulk)[0])

# %% [markdown]
# **Splunk's HTTP Event Collector** takes envelopes, one after the other: JSON objects with *nothing* between
# them, no list and no commas. `time` is in **seconds** since 1970; `event` is the text or any JSON; `fields` are
# indexed with it and are flat. Host, source and sourcetype choose how Splunk parses what it gets. Splunk splits
# the raw text into words when it writes and finds most fields when it *reads*: what you forgot to parse can still
# be asked for, at the price of slower searches.

# %%
# NBVAL_CHECK_OUTPUT


def formats_to_hec(lines: list[dict]) -> str:
    """Write log lines as events of Splunk's HTTP Event Collector."""
    events = []
    for line in lines:
        whole, nanos = divmod(line["time_ns"], 1_000_000_000)
        envelope = {
            "time": f"{whole}.{nanos:09d}",  # as text: a double would lose the nanoseconds
            "host": line["service"],
            "sourcetype": "shop:log",
            "event": line["message"],
            "fields": {"service": line["service"], "level": line["level"]},
        }
        if line["trace_id"]:
            envelope["fields"]["trace_id"] = line["trace_id"]
        events.append(json.dumps(envelope))
    return "".join(events)


print(formats_to_hec([formats_line]))
print(len(wire.read_hec(formats_to_hec([formats_line, formats_line]))), "events")

# %% [markdown]
# What does a label cost? Count the streams of sixteen minutes of the shop's log, for three choices of labels.

# %%
formats_choices = {
    "service, level": ["service", "level"],
    "+ log statement": ["service", "level", "template_id"],
    "+ trace id": ["service", "level", "template_id", "trace_id"],
}
formats_streams = pd.Series(
    {name: len(formats_logs.groupby(by)) for name, by in formats_choices.items()}
)
figure, ax = plt.subplots(figsize=(9, 2.2))
bars = ax.barh(
    formats_streams.index, formats_streams, color=[plots.BLUE, plots.SKY, plots.RED], log=True
)
ax.bar_label(bars, labels=[f" {count:,}" for count in formats_streams])
ax.set(
    xlim=(1, 1e5), xlabel=f"streams for {len(formats_logs):,} lines (log scale)",
    title="One more label, the trace id, makes streams of most lines",
)  # fmt: skip
ax.invert_yaxis()
plt.show()

# %% [markdown]
# Each stream has an entry in the index and an open chunk in memory, written when it is full or old. With the
# trace id as a label most lines are a stream of their own: nothing compresses, and the index outgrows the text.
# The same holds for Prometheus (a series), Datadog (a custom metric, billed) and Dynatrace (a metric's
# dimensions): **cardinality is the number of different label sets, and you pay for it.** Ids belong where they
# are not indexed one by one: in structured metadata, in spans, in exemplars.
#
# ### One metric point
#
# **Datadog** wants series: a metric, tags such as `service:payment`, and points of whole seconds and values. The
# type is a number: 1 count, 2 rate, 3 gauge. A count is the increase over `interval` seconds. **New Relic** wants
# blocks of `common` and `metrics`; what stands in `common` holds for all of them. A count needs `interval.ms`,
# and its `timestamp` is the *beginning* of the interval, in milliseconds.

# %%
# NBVAL_CHECK_OUTPUT
FORMATS_DATADOG_TYPES = {"count": 1, "gauge": 3}


def formats_to_datadog(points: list[dict]) -> str:
    """Write points as a payload of Datadog's series v2."""
    series = []
    for point in points:
        one = {
            "metric": point["metric"],
            "type": FORMATS_DATADOG_TYPES[point["type"]],
            "points": [{"timestamp": point["time_ns"] // 10**9, "value": point["value"]}],
            "tags": [f"{key}:{value}" for key, value in point["dimensions"].items()],
        }
        if point["type"] == "count":
            one["interval"] = point["interval_s"]
        series.append(one)
    return json.dumps({"series": series})


def formats_to_newrelic(points: list[dict]) -> str:
    """Write points of one interval as a body of New Relic's Metric API."""
    metrics = []
    for point in points:
        one = {
            "name": point["metric"],
            "type": point["type"],
            "value": point["value"],
            "timestamp": point["time_ns"] // 10**6,
            "attributes": point["dimensions"],
        }
        if point["type"] == "count":
            one["interval.ms"] = 1000 * point["interval_s"]
            one["timestamp"] -= one["interval.ms"]
        metrics.append(one)
    return json.dumps([{"common": {"attributes": {"shop": "eu"}}, "metrics": metrics}])


print(wire.read_datadog(formats_to_datadog([formats_point]))[0])
print(wire.read_newrelic(formats_to_newrelic([formats_point]))[0])

# %% [markdown]
# **Dynatrace** takes lines of text: a metric key, dimensions, a payload, milliseconds since 1970. A count is
# written as its increase, `count,delta=97`, a gauge as `gauge,97`. Keys of dimensions are lower case and hold
# letters, digits, `_`, `-`, `:` and dots. Values stand in double quotes; in them a quote and a backslash get a
# backslash before them. Neither `NaN` nor infinity is a value, and no dimension may be empty.

# %%
# NBVAL_CHECK_OUTPUT
formats_as_dynatrace = r'shop.requests,service="payment",data_center="Frankfurt \"A\", eu" count,delta=97.0 1775876460000'
print(wire.read_dynatrace(formats_as_dynatrace)[0])
try:
    wire.read_dynatrace("shop.requests,Service=payment count,delta=97 1775876460")
except wire.FormatError as error:
    print(error)

# %% [markdown]
# The type is not decoration. It tells the receiver how to put points together when it zooms out: counts are
# added, gauges averaged. Here are the minutes of `payment`, sent once as a count and once, by mistake, as a
# gauge, rolled up to ten minutes.

# %%
formats_requests = (60 * formats_recording.service("payment")["request_rate"]).round()
formats_rolled = formats_requests.resample("10min").agg(["sum", "mean"])
figure, ax = plt.subplots()
formats_width = pd.Timedelta("2min")
ax.bar(
    formats_rolled.index + pd.Timedelta("4min"), formats_rolled["sum"],
    width=formats_width, color=plots.BLUE, label="sent as a count: added",
)  # fmt: skip
ax.bar(
    formats_rolled.index + pd.Timedelta("6min"), formats_rolled["mean"],
    width=formats_width, color=plots.RED, label="sent as a gauge: averaged",
)  # fmt: skip
ax.set(
    ylabel="requests in ten minutes", xlabel="11 April 2026 (UTC)",
    title="Sent as a gauge, nine of ten requests vanish from the roll-up",
)  # fmt: skip
ax.xaxis.set_major_formatter(plt.matplotlib.dates.DateFormatter("%H:%M"))
ax.legend()
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(formats_rolled.round(1).to_string())

# %% [markdown]
# How do the four vendors take the same data? All of them have an agent that finds and sends it by itself, an API
# for those who send it themselves, and, by now, an endpoint for OTLP. Instrument with OpenTelemetry, and a change
# of vendor is a change of the Collector's configuration.
#
# | vendor | own API | login | a unit to mind |
# |---|---|---|---|
# | Datadog | `/api/v2/series`, `/api/v2/logs` | header `DD-API-KEY` | seconds; a log's tags are one string, `a:1,b:2` |
# | New Relic | `/metric/v1`, `/log/v1`, `/trace/v1` | header `Api-Key` | milliseconds; a count's time is its beginning |
# | Splunk | HEC, port 8088 | `Authorization: Splunk <token>` | seconds, with decimals |
# | Dynatrace | `/api/v2/metrics/ingest`, `/api/v2/logs/ingest` | `Authorization: Api-Token <token>` | milliseconds; counts as deltas |
#
# ### Three questions, seven languages
#
# A query language shows what its store was built for.
#
# - **Prometheus** (PromQL) stores numbers by label set. It answers *how much*, and never *which request*.
# - **Loki** (LogQL) picks streams by labels and reads through their text, so a query begins with a selector in
#   braces and goes on like `grep`. Put a range behind it, and lines become numbers: `count_over_time({...}
#   [5m])`. Labels and structured metadata both stay on the result, so a count without `sum` has one series for
#   every trace id.
# - **ELK** (Lucene syntax in Kibana and `query_string`) has an index from each word to the documents that hold
#   it. A query is a filter; numbers come from aggregations beside it. A *text* field (`message`) was split into
#   lower-case words: `message:"timed out"` in quotes wants them side by side in this order, `message:(timed out)`
#   wants one of them. A *keyword* field (`service.name`, `log.level`, `trace.id`) is compared as a whole, case
#   included. Numbers have ranges: `duration_ms:>500`, `duration_ms:[100 TO 500]`. `AND`, `OR`, `NOT` are upper
#   case, and AND beside OR needs parentheses, since Lucene gives neither precedence. Side by side without a word
#   between them means OR. (Kibana's default language, KQL, is another one: switch it to Lucene.)
# - **Tempo** (TraceQL) finds spans by conditions on one span in braces: `resource.service.name` (who), `span.…`
#   (attributes), `name`, `duration > 500ms` (no space before the unit), `kind = server` and `status = error`
#   (words without quotes). Between braces stands structure: `{ a } >> { b }` finds the spans of b that have one of a anywhere above them, `>` directly
#   above.
# - **Splunk** (SPL) begins with a search over words and goes on through a pipe: `stats`, `eval`, `timechart`.
# - **New Relic** (NRQL) looks like SQL over events; `FACET` groups (there is no `GROUP BY`), `TIMESERIES` makes a
#   line, `percentage(count(*), WHERE ...)` makes a share.
# - **Dynatrace** (DQL) is a pipe as well: `fetch`, `filter`, `summarize`; equality is `==`, and a duration has a
#   unit, `500ms`.
#
# Three questions: **A**, the share of `payment`'s requests that failed, over five minutes; **B**, its ERROR lines
# about a time-out; **C**, its spans that took longer than 500 ms.
#
# | | A: a share | B: lines | C: spans |
# |---|---|---|---|
# | **PromQL** | `sum(rate(http_requests_total{service="payment",status=~"5.."}[5m])) / sum(rate(http_requests_total{service="payment"}[5m]))` | can't | can't |
# | **LogQL** | counts lines: `sum(count_over_time({service_name="payment", level="ERROR"}[5m]))` | `{service_name="payment", level="ERROR"} \|= "timed out"` | can't |
# | **Lucene** | by an aggregation beside the query | `service.name:payment AND log.level:ERROR AND message:"timed out"` | where spans are documents: `duration_ms:>500` |
# | **TraceQL** | of the spans that were kept: `{ ... } \| rate()` | can't | `{ resource.service.name = "payment" && duration > 500ms }` |
# | **SPL** | `service=payment earliest=-5m \| stats count(eval(status>=500)) AS failed count AS total \| eval share=failed/total` | `service=payment level=ERROR "timed out"` | `index=spans service=payment duration_ms>500` |
# | **NRQL** | `SELECT percentage(count(*), WHERE http.statusCode >= 500) FROM Transaction WHERE appName = 'payment' SINCE 5 minutes ago` | `SELECT * FROM Log WHERE service.name = 'payment' AND level = 'ERROR' AND message LIKE '%timed out%'` | `SELECT trace.id FROM Span WHERE service.name = 'payment' AND duration.ms > 500` |
# | **DQL** | `fetch spans, from:now()-5m \| filter service.name == "payment" \| summarize total = count(), failed = countIf(http.response.status_code >= 500)` | `fetch logs \| filter service.name == "payment" and loglevel == "ERROR" and contains(content, "timed out")` | `fetch spans \| filter service.name == "payment" and duration > 500ms` |
#
# (In a table cell `\|` stands for `|`.) Four of the languages run here, through `course.telemetry.queries`:
#
# - PromQL by the course's evaluator, as month 3 uses it for alerts;
# - Lucene, parsed by luqum: all of the above, wildcards and `_exists_:field`; no regular expressions and no fuzzy
#   words;
# - LogQL, a subset: selectors; the line filters `|=`, `!=`, `|~`, `!~`; label filters such as `| level="ERROR"`
#   or `| duration_ms > 500`, joined by `and`, `or` and commas; `count_over_time`, `rate`; `sum`, `min`, `max`,
#   `avg`, `count` with `by` or `without`;
# - TraceQL, a subset: conditions with `&&`, `||`, `!( )`, and the four arrows `>`, `>>`, `<`, `<<` between
#   braces.
#
# What a tool's own grammar refuses is refused here: the tests compare the two subsets with Grafana's grammars on
# 434 queries. The next cell brings the bad quarter of an hour into the shapes that the languages read.

# %%
formats_loki_streams = [
    {
        "labels": {"service_name": service, "level": level},
        "entries": [
            (time.value, text, {"trace_id": trace} if trace else {})
            for time, text, trace in zip(
                of["time"].dt.as_unit("ns"), of["message"], of["trace_id"], strict=True
            )
        ],
    }
    for (service, level), of in formats_logs.groupby(["service", "level"])
    if service in ("payment", "checkout")
]
formats_near = formats_traces[formats_traces["service"].isin(["payment", "checkout"])]
formats_kept_spans = [
    {
        "trace_id": row.trace_id, "span_id": row.span_id, "parent_span_id": row.parent_span_id,
        "service": row.service, "resource": {}, "name": row.operation, "kind": "SERVER",
        "start_ns": row.start.as_unit("ns").value, "status": row.status, "attributes": {},
        "end_ns": row.start.as_unit("ns").value + round(1e6 * row.duration_ms),
    }
    for row in formats_near.itertuples()
]  # fmt: skip
formats_minutes = formats_recording.service("payment").loc[: formats_to - pd.Timedelta("1min")]
formats_total = (60 * formats_minutes["request_rate"]).round()
formats_failed = (formats_total * formats_minutes["error_ratio"]).round()
formats_series = {
    f'http_requests_total{{service="payment",status="{status}"}}': counted.cumsum().set_axis(
        counted.index + pd.Timedelta("1min")
    )
    for status, counted in (("200", formats_total - formats_failed), ("503", formats_failed))
}

# %%
# NBVAL_CHECK_OUTPUT
formats_at = pd.Timestamp("2026-04-11T03:20:00Z")
formats_share = (
    'sum(rate(http_requests_total{service="payment",status=~"5.."}[5m]))'
    ' / sum(rate(http_requests_total{service="payment"}[5m]))'
)
print("share:", ask.promql(formats_share, formats_series, at=formats_at))
formats_count = 'sum(count_over_time({service_name="payment", level="ERROR"}[5m]))'
print(
    "lines:", ask.logql(formats_count, formats_loki_streams, at_ns=formats_at.as_unit("ns").value)
)
formats_slow = '{ resource.service.name = "payment" && status = error && duration > 500ms }'
print("spans:", len(ask.traceql(formats_slow, formats_kept_spans)))
formats_documents = [entry["document"] for entry in wire.read_bulk(formats_as_bulk)]
print("hits:", ask.lucene('message:"timed out" AND duration_ms:>40', formats_documents))
formats_refused: list[tuple] = [
    (ask.logql, "{service_name=payment}"),
    (ask.traceql, '{ status = "error" }'),
    (ask.lucene, "a AND b OR c"),
]
for formats_run, formats_bad in formats_refused:
    try:
        formats_run(formats_bad, [])
    except ask.QueryError as error:
        print(error)

# %% [markdown]
# Ask one thing in three languages, *how many requests of `payment` failed in the last five minutes*, minute by
# minute, and compare.

# %%
formats_asked = pd.date_range("2026-04-11T03:14Z", "2026-04-11T03:24Z", freq="1min")
formats_answers = pd.DataFrame(
    [
        {
            "PromQL: increase of a counter": ask.promql(
                'increase(http_requests_total{status="503"}[5m])', formats_series, at=moment
            )[0][1],
            "LogQL: lines": ask.logql(
                formats_count, formats_loki_streams, at_ns=moment.as_unit("ns").value
            )[0][1],
            "TraceQL: spans × 20": 20.0
            * len(
                ask.traceql(
                    '{ resource.service.name = "payment" && status = error }',
                    [
                        span
                        for span in formats_kept_spans
                        if 0 <= moment.as_unit("ns").value - span["end_ns"] < 300e9
                    ],
                )
            ),
        }
        for moment in formats_asked
    ],
    index=formats_asked,
)
figure, ax = plt.subplots()
for name, look in zip(
    formats_answers,
    [{"ls": "-", "lw": 3, "alpha": 0.5}, {"ls": "", "marker": "o"}, {"ls": ":", "marker": "s"}],
    strict=True,
):
    ax.plot(formats_answers.index, formats_answers[name], label=name, **look)
ax.set(
    title="Counters and lines tell one story; sampled spans tell it with noise",
    xlabel="11 April 2026 (UTC)", ylabel="failures in five minutes",
)  # fmt: skip
ax.xaxis.set_major_formatter(plt.matplotlib.dates.DateFormatter("%H:%M"))
ax.legend(loc="upper left")
plt.show()

# %%
# NBVAL_CHECK_OUTPUT
print(formats_answers.iloc[::5].round(1).to_string())

# %% [markdown]
# The first two agree but for the edges of their windows and the extrapolation of `increase`, since the shop writes one line for every failure.
# The third counts one request in twenty and multiplies: right on average, rough at any minute.
#
# ### Exercise 6 · One measurement, five formats, four languages (10 points)
#
# **Write** five converters and two functions that return queries. `json` is imported.
#
# The inputs are lists of dicts like `formats_span`, `formats_line` and `formats_point` above: the same keys,
# times and durations as whole nanoseconds (`int`). A list may be empty; its items are in any order. Text may hold
# quotes, backslashes, line breaks and letters that aren't ASCII.
#
# `to_otlp(spans) -> str`, a body for `/v1/traces`:
# - one entry in `resourceSpans` for every service, whose resource has the one attribute `service.name`;
# - ids in hexadecimal; a root's `parent_span_id` is `""`, and its `parentSpanId` is left out or empty;
# - `kind` is one of INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER; `status` one of UNSET, OK, ERROR. UNSET is left
#   out or 0;
# - the end is start plus duration; each attribute has the type of its Python value: `str`, `bool`, `int` or
#   `float`.
#
# `to_zipkin(spans) -> str`, a body for `/api/v2/spans`:
# - a root has no `parentId`, an INTERNAL span no `kind`; span and service names in lower case;
# - `timestamp` and `duration` are `start_ns` and `duration_ns` in whole microseconds, the rest cut off; a
#   `duration` of 0 becomes 1;
# - attributes become tags: `true` and `false` for a `bool`, else what `str()` gives; keys and values keep
#   their case. The status becomes tags as in the section above.
#
# `to_loki(lines) -> str`, a push body:
# - the labels `service_name` and `level`, no others; one stream for each pair of them; in a stream the lines in
#   order of time;
# - structured metadata `trace_id`, left out where it is `""`, and `duration_ms` as `str()` gives it, left out
#   where it is `None`.
#
# `to_bulk(lines, index) -> str`, for a data stream named `index`:
# - a `create` action naming `_index`, then the document; documents in the order of the input; no lines give `""`;
# - the fields `@timestamp` (UTC, with nine decimals and a `Z`, as above), `service.name`, `log.level`, `message`,
#   and `trace.id` and `duration_ms` (a number), left out where they are `""` and `None`.
#
# `to_dynatrace(points) -> str`, one line a point in any order:
# - `type` is `"gauge"` or `"count"`; the time in whole milliseconds, the rest cut off; a point whose value is not
#   finite has no line;
# - keys of dimensions in lower case, and every character other than `a`-`z`, `0`-`9`, `_`, `-`, `:` and `.`
#   becomes one `_` (every key begins with a letter, and no two become the same); a dimension whose value is `""` is left
#   out. Values of dimensions are `str` without line breaks.
#
# `queries(service, slow_ms) -> dict[str, str]`, with the keys `promql`, `logql`, `lucene`, `traceql`. The values
# are queries about the service named `service` that answer:
# - `promql`: the share of its requests that failed over the last five minutes, all instances together: one
#   series, any labels. The counter is `http_requests_total{service, instance, status}`; a status from 500 to 599
#   is a failure (there is at least one);
# - `logql`: the number of its ERROR lines over the last five minutes that contain `timed out` (in lower case),
#   all streams and traces together: one series, any labels. Labels and metadata are those of `to_loki`;
# - `lucene`: its documents of level ERROR or WARN with the words `timed out` side by side in the message, that
#   took more than `slow_ms` milliseconds. Fields are those of `to_bulk`;
# - `traceql`: its spans that failed (status error), took longer than `slow_ms` milliseconds and lie, at any
#   depth, below a span of `checkout`.
#
# A service's name holds lower-case letters, digits and hyphens; `slow_ms` is a positive `int`.
#
# `vendor_queries() -> dict[str, str]`: the letter, `"a"` to `"d"`, of the one query that answers each question.
#
# - `spl_lines`: how many ERROR lines of payment hold the phrase *timed out*, by host?
#   - a: `index=shop service=payment level=ERROR timed out | stats count by host`
#   - b: `index=shop service=payment level=ERROR "timed out" | group host | count`
#   - c: `index=shop service=payment level=ERROR "timed out" | stats count by host`
#   - d: `SELECT count(*) FROM shop WHERE level='ERROR' AND _raw LIKE '%timed out%' GROUP BY host`
# - `spl_share`: which share of payment's requests failed?
#   - a: `service=payment status>=500 | stats count(eval(status>=500)) AS failed count AS total | eval share=failed/total`
#   - b: `service=payment | stats count(eval(status>=500)) AS failed count AS total | eval share=failed/total`
#   - c: `service=payment | where status>=500 | stats count AS share`
#   - d: `service=payment | eval share=failed/total | stats count(eval(status>=500)) AS failed count AS total`
# - `nrql_share`: the share of failed requests for each service, in one answer?
#   - a: `SELECT percentage(count(*), WHERE http.statusCode >= 500) FROM Transaction GROUP BY appName SINCE 5 minutes ago`
#   - b: `SELECT count(*) FROM Transaction WHERE http.statusCode >= 500 FACET appName SINCE 5 minutes ago`
#   - c: `SELECT percentage(count(*), WHERE http.statusCode >= 500) FROM Transaction WHERE http.statusCode >= 500 FACET appName SINCE 5 minutes ago`
#   - d: `SELECT percentage(count(*), WHERE http.statusCode >= 500) FROM Transaction FACET appName SINCE 5 minutes ago`
# - `nrql_line`: the 99th percentile of payment's spans as a line over the last hour?
#   - a: `SELECT percentile(duration.ms, 99) FROM Span WHERE service.name = 'payment' TIMESERIES SINCE 1 hour ago`
#   - b: `SELECT percentile(duration.ms, 99) FROM Span WHERE service.name = 'payment' SINCE 1 hour ago`
#   - c: `SELECT average(duration.ms) FROM Span WHERE service.name = 'payment' TIMESERIES SINCE 1 hour ago`
#   - d: `SELECT percentile(duration.ms, 99) FROM Span FACET service.name TIMESERIES SINCE 1 hour ago`
# - `dql_lines`: how many ERROR lines about a time-out does each service have?
#   - a: `fetch logs | filter loglevel = "ERROR" and contains(content, "timed out") | summarize count(), by:{service.name}`
#   - b: `fetch logs | summarize count(), by:{service.name} | filter loglevel == "ERROR" and contains(content, "timed out")`
#   - c: `fetch logs | filter loglevel == "ERROR" and contains(content, "timed out") | summarize count(), by:{service.name}`
#   - d: `fetch logs | filter loglevel == "ERROR" and contains(content, "timed out") | stats count by service.name`
# - `dql_slow`: payment's spans that took longer than half a second?
#   - a: `fetch spans | filter service.name == "payment" and duration > 0.5`
#   - b: `fetch spans | filter service.name == "payment" and duration > 500ms`
#   - c: `fetch spans | filter service.name == "payment" | summarize duration > 500ms`
#   - d: `fetch spans WHERE service.name = 'payment' AND duration > 500ms`
#
# **Right** means: the strict readers of `course.telemetry.wire` take the body, and what they give is, value by
# value, what was put in; keys and spaces are yours. A query runs in `course.telemetry.queries` and finds exactly
# what it should on unseen telemetry.
#
# **Example:** for the three measurements above the bodies are `formats_as_otlp`, `formats_as_zipkin`,
# `formats_as_loki`, `formats_as_bulk` (with `index` `"logs-shop"`) and `formats_as_dynatrace`.
#
# **Scored:** each converter 1.2 points: 0.6 for a body of ordinary records, 0.6 for one of the rest (roots, empty
# and missing values, odd characters, very short spans, mixed types); an empty list must be right for the latter.
# Each of the four queries 0.75 points, on two unseen data sets. The choices 1 point for six right, 0.25 less for
# each that is wrong. 5 s a call.


# %% nbgrader={"grade": false, "grade_id": "formats", "locked": false, "schema_version": 3, "solution": true, "task": false}
def to_otlp(spans: list[dict]) -> str:
    """Write spans as OTLP/JSON: times in ns as text, ids in hexadecimal, typed attributes."""
    ### BEGIN SOLUTION
    kinds = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
    codes = {"UNSET": 0, "OK": 1, "ERROR": 2}
    by_service: dict[str, list[dict]] = {}
    for span in spans:
        found = {
            "traceId": span["trace_id"],
            "spanId": span["span_id"],
            "parentSpanId": span["parent_span_id"],
            "name": span["name"],
            "kind": kinds[span["kind"]],
            "startTimeUnixNano": str(span["start_ns"]),
            "endTimeUnixNano": str(span["start_ns"] + span["duration_ns"]),
            "status": {"code": codes[span["status"]]},
            "attributes": _otlp_attributes(span["attributes"]),
        }
        by_service.setdefault(span["service"], []).append(found)
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _otlp_attributes({"service.name": service})},
                    "scopeSpans": [{"spans": members}],
                }
                for service, members in by_service.items()
            ]
        }
    )


def _otlp_attributes(attributes: dict) -> list[dict]:
    names = {str: "stringValue", bool: "boolValue", int: "intValue", float: "doubleValue"}
    return [
        {"key": key, "value": {names[type(value)]: str(value) if type(value) is int else value}}
        for key, value in attributes.items()
    ]
    ### END SOLUTION


def to_zipkin(spans: list[dict]) -> str:
    """Write spans as Zipkin v2 JSON: whole µs as numbers, tags of text, names in lower case."""
    ### BEGIN SOLUTION
    found = []
    for span in spans:
        tags = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in span["attributes"].items()
        }
        if span["status"] != "UNSET":
            tags["otel.status_code"] = span["status"]
        if tags.get("otel.status_code") == "ERROR":
            tags["error"] = ""
        one = {
            "traceId": span["trace_id"],
            "id": span["span_id"],
            "name": span["name"].lower(),
            "timestamp": span["start_ns"] // 1000,
            "duration": max(span["duration_ns"] // 1000, 1),
            "localEndpoint": {"serviceName": span["service"].lower()},
            "tags": tags,
        }
        if span["parent_span_id"]:
            one["parentId"] = span["parent_span_id"]
        if span["kind"] != "INTERNAL":
            one["kind"] = span["kind"]
        found.append(one)
    return json.dumps(found)
    ### END SOLUTION


def to_loki(lines: list[dict]) -> str:
    """Write log lines as a push body: a stream for each service and level, ns as text."""
    ### BEGIN SOLUTION
    streams: dict[tuple[str, str], list] = {}
    for line in sorted(lines, key=lambda line: line["time_ns"]):
        metadata = {}
        if line["trace_id"]:
            metadata["trace_id"] = line["trace_id"]
        if line["duration_ms"] is not None:
            metadata["duration_ms"] = str(line["duration_ms"])
        entry = [str(line["time_ns"]), line["message"], metadata]
        streams.setdefault((line["service"], line["level"]), []).append(entry)
    return json.dumps(
        {
            "streams": [
                {"stream": {"service_name": service, "level": level}, "values": values}
                for (service, level), values in streams.items()
            ]
        }
    )
    ### END SOLUTION


def to_bulk(lines: list[dict], index: str) -> str:
    """Write log lines as a bulk body: an action and a document each, a newline at the end."""
    ### BEGIN SOLUTION
    parts = []
    for line in lines:
        seconds, rest = divmod(line["time_ns"], 10**9)
        document = {
            "@timestamp": f"{pd.Timestamp(seconds, unit='s'):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z",
            "service.name": line["service"],
            "log.level": line["level"],
            "message": line["message"],
        }
        if line["trace_id"]:
            document["trace.id"] = line["trace_id"]
        if line["duration_ms"] is not None:
            document["duration_ms"] = line["duration_ms"]
        parts += [json.dumps({"create": {"_index": index}}), json.dumps(document)]
    return "".join(part + "\n" for part in parts)
    ### END SOLUTION


def to_dynatrace(points: list[dict]) -> str:
    """Write points as metric lines: quoted dimensions, gauge or count delta, ms."""
    ### BEGIN SOLUTION
    import re

    written = []
    for point in points:
        if not np.isfinite(point["value"]):
            continue
        parts = [point["metric"]]
        for key, value in point["dimensions"].items():
            if value:
                key = re.sub(r"[^a-z0-9_\-:.]", "_", key.lower())
                escaped = value.replace("\\", "\\\\").replace('"', '\\"')
                parts.append(f'{key}="{escaped}"')
        payload = "gauge," if point["type"] == "gauge" else "count,delta="
        milliseconds = point["time_ns"] // 10**6
        written.append(f"{','.join(parts)} {payload}{float(point['value'])!r} {milliseconds}")
    return "\n".join(written)
    ### END SOLUTION


def queries(service: str, slow_ms: int) -> dict[str, str]:
    """Ask about one service in PromQL, LogQL, Lucene and TraceQL."""
    ### BEGIN SOLUTION
    counter = f'http_requests_total{{service="{service}"'
    return {
        "promql": (f'sum(rate({counter},status=~"5.."}}[5m])) / sum(rate({counter}}}[5m]))'),
        "logql": (
            f'sum(count_over_time({{service_name="{service}", level="ERROR"}} |= "timed out" [5m]))'
        ),
        "lucene": (
            f'service.name:"{service}" AND log.level:(ERROR OR WARN)'
            f' AND message:"timed out" AND duration_ms:>{slow_ms}'
        ),
        "traceql": (
            '{ resource.service.name = "checkout" } >> { resource.service.name = '
            f'"{service}" && status = error && duration > {slow_ms}ms }}'
        ),
    }
    ### END SOLUTION


def vendor_queries() -> dict[str, str]:
    """Choose the query that answers each question in SPL, NRQL and DQL."""
    ### BEGIN SOLUTION
    return {
        "spl_lines": "c",
        "spl_share": "b",
        "nrql_share": "d",
        "nrql_line": "a",
        "dql_lines": "c",
        "dql_slow": "b",
    }
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-formats", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
_check_root = formats_span | {
    "span_id": "00f067aa0ba902b7", "parent_span_id": "", "service": "Edge-1", "kind": "INTERNAL",
    "duration_ns": 400, "status": "UNSET", "attributes": {"n": 2**60 + 1, "on": False},
}  # fmt: skip
for _check_name, _check_text, _check_example, _check_read in [
    ("to_otlp", to_otlp([formats_span]), formats_as_otlp, wire.read_otlp),
    ("to_zipkin", to_zipkin([formats_span]), formats_as_zipkin, wire.read_zipkin),
    ("to_loki", to_loki([formats_line]), formats_as_loki, wire.read_loki),
    ("to_bulk", to_bulk([formats_line], "logs-shop"), formats_as_bulk, wire.read_bulk),
    ("to_dynatrace", to_dynatrace([formats_point]), formats_as_dynatrace, wire.read_dynatrace),
]:
    _check_found, _check_wanted = _check_read(_check_text), _check_read(_check_example)
    assert _check_found == _check_wanted, (
        f"{_check_name} of the example: expected\n{_check_wanted}\nfound\n{_check_found}"
    )
_check_spans = {s["service"]: s for s in wire.read_otlp(to_otlp([_check_root, formats_span]))}
assert _check_spans["Edge-1"]["attributes"] == {"n": 2**60 + 1, "on": False}, (
    f"to_otlp: attributes n = 2**60 + 1 and on = False came back as {_check_spans['Edge-1']['attributes']}"
)
_check_resources = json.loads(to_otlp([formats_span, _check_root, formats_span]))["resourceSpans"]
assert len(_check_resources) == 2, (
    f"to_otlp: spans of two services make two resourceSpans, found {len(_check_resources)}"
)
_check_spans = wire.read_zipkin(to_zipkin([_check_root]))[0]
assert (_check_spans["duration_us"], _check_spans["kind"], _check_spans["service"]) == (
    1,
    "",
    "edge-1",
), (
    "to_zipkin: an internal span of 400 ns from Edge-1 has duration 1, no kind, and the service "
    f"edge-1; found {_check_spans}"
)
assert _check_spans["tags"] == {"n": str(2**60 + 1), "on": "false"}, (
    f"to_zipkin: an unset status has no tag, False is the text false; found {_check_spans['tags']}"
)
_check_lines = [
    formats_line | {"time_ns": 10**18 + n, "trace_id": "", "duration_ms": None} for n in (2, 1)
]
_check_streams = wire.read_loki(to_loki(_check_lines))
assert [entry[0] - 10**18 for entry in _check_streams[0]["entries"]] == [1, 2] and len(
    _check_streams
) == 1, (
    f"to_loki: two lines of one service and level are one stream in order of time; found {_check_streams}"
)
assert _check_streams[0]["entries"][0][2] == {}, (
    f"to_loki: no trace id and no duration leave no metadata; found {_check_streams[0]['entries'][0][2]}"
)
_check_document = wire.read_bulk(to_bulk(_check_lines, "x"))[0]["document"]
assert (
    _check_document.get("@timestamp") == "2001-09-09T01:46:40.000000002Z"
    and len(_check_document) == 4
), f"to_bulk: four fields, @timestamp 2001-09-09T01:46:40.000000002Z; found {_check_document}"
_check_point = formats_point | {"type": "gauge", "dimensions": {"Größe/N": "a\\b", "x": ""}}
_check_line = wire.read_dynatrace(
    to_dynatrace([_check_point, _check_point | {"value": float("nan")}])
)
assert len(_check_line) == 1 and _check_line[0]["dimensions"] == {"gr__e_n": "a\\b"}, (
    f"to_dynatrace: one line (NaN has none) with gr__e_n = a\\b; found {_check_line}"
)
for _check_name, _check_text in [
    ("to_otlp", to_otlp([])), ("to_zipkin", to_zipkin([])), ("to_loki", to_loki([])),
    ("to_bulk", to_bulk([], "x")), ("to_dynatrace", to_dynatrace([])),
]:  # fmt: skip
    _check_read = getattr(wire, f"read_{_check_name[3:]}")
    assert _check_read(_check_text) == [], (
        f"{_check_name}([]) must be a body without records, found {_check_text!r}"
    )
_check_queries = queries("payment", 500)
_check_share = ask.promql(_check_queries["promql"], formats_series, at=formats_at)
assert len(_check_share) == 1 and abs(_check_share[0][1] - 0.4789) < 5e-4, (
    f"promql: the share at 03:20 is 0.4789, one series; found {_check_share}"
)
_check_count = ask.logql(
    _check_queries["logql"], wire.read_loki(formats_as_loki), at_ns=1775876500 * 10**9
)
assert [answer[-1] for answer in _check_count] == [1.0], (
    f"logql: formats_as_loki holds one such line, so one series of 1; found {_check_count}"
)
_check_hits = [
    ask.lucene(queries("payment", limit)["lucene"], formats_documents) for limit in (41, 42)
]
assert _check_hits == [[0], []], (
    f"lucene: the document of formats_as_bulk took 41.002345 ms, more than 41, not 42; found {_check_hits}"
)
_check_found = ask.traceql(queries("payment", 500)["traceql"], formats_kept_spans)
assert len(_check_found) == 48, (
    f"traceql: 48 spans of formats_kept_spans match, found {len(_check_found)}"
)
_check_choices = vendor_queries()
assert set(_check_choices) == {
    "spl_lines",
    "spl_share",
    "nrql_share",
    "nrql_line",
    "dql_lines",
    "dql_slow",
}, f"vendor_queries: six keys are asked for, found {sorted(_check_choices)}"
print("exercise 6: the visible check passes")

# %% [markdown]
# Look at the sizes. These are the bodies of 200 spans of the shop, as your functions write them, beside Jaeger's.

# %%
formats_batch = [
    formats_span | {
        "trace_id": row.trace_id, "span_id": row.span_id, "parent_span_id": row.parent_span_id,
        "service": row.service, "name": row.operation, "start_ns": row.start.as_unit("ns").value,
        "duration_ns": round(1e6 * row.duration_ms), "status": row.status,
    }
    for row in formats_traces.head(200).itertuples()
]  # fmt: skip
formats_bodies = {
    "OTLP/JSON": to_otlp(formats_batch),
    "Zipkin v2": to_zipkin(formats_batch),
    "Jaeger JSON": formats_to_jaeger(formats_batch),
}
import gzip

formats_sizes = pd.DataFrame(
    {
        name: [len(body) / 200, len(gzip.compress(body.encode())) / 200]
        for name, body in formats_bodies.items()
    },
    index=["plain", "gzip"],
).T
figure, ax = plt.subplots(figsize=(9, 2.4))
formats_sizes.plot.barh(ax=ax, color=[plots.SKY, plots.BLUE])
for formats_bars in ax.containers:
    ax.bar_label(formats_bars, fmt=" %.0f")
ax.set(
    xlabel="bytes a span", title="Compressed, the formats hardly differ",
    xlim=(0, 1.12 * formats_sizes.to_numpy().max()),
)  # fmt: skip
ax.invert_yaxis()
plt.show()

# %% [markdown]
# Names of fields compress away; random ids, up to 32 bytes a span, don't. So the choice of a format is a question
# of what it can say, and of who can read it, and hardly one of bytes, as long as you switch compression on.
#
# **What to remember.** Units, ids and types are what conversions break, and no receiver notices. Keep integers.
# Put what has few values into labels and what has many beside them. Test a converter by reading its output back.
# And send OTLP where you can choose.
#
# **Further reading:** OpenTelemetry Protocol specification 1.x, "JSON Protobuf Encoding"; Grafana Loki
# documentation 3.x, "Cardinality"; Elasticsearch reference 8.x, "Bulk API"; Benjamin H. Sigelman et al., "Dapper,
# a large-scale distributed systems tracing infrastructure", Google technical report, 2010 (where spans, trace ids
# and sampling as we use them come from).

# %% [markdown]
# ## 10 · What "AI" in observability honestly means
#
# Every vendor sells it, and the word covers five rather different things. From the plainest to the newest:
#
# | step | question | what it takes | fails when |
# |---|---|---|---|
# | threshold | is this value above a line? | a line for each metric | normal moves: night and day, growth, releases |
# | distribution shift | do these minutes look like those before? | a quiet window, a unit of noise | load changes; the quiet window wasn't quiet |
# | log templates | which *kinds* of messages are new or surge? | masking what varies in a message | a new release rewords its messages |
# | trace comparison | which operations take longer or fail *by themselves*? | span trees | few traces of a rare operation |
# | summary by a language model | what should I read first, in words? | a ranking to summarise | nobody has ranked: it then tells a fluent story about noise |
#
# Steps two to four are statistics that you can write down and test, and most of what a product calls "AI
# insight" is those three plus the call graph. A language model comes **after** such a ranking and not instead
# of it: it can't weigh 171 time series against their noise from a prompt, but it can turn five good
# lines into a paragraph and look up a runbook. RCACopilot (Chen et al., EuroSys 2024), Microsoft's system for
# summarising incidents, is built in this order: handlers first collect the diagnostic data that belong to the
# kind of alert, then a model names a category from them.
#
# The next cell ranks all metrics of the night twice: by the change of the mean in the metric's own unit, and by the same
# change divided by the metric's usual noise. The noise is 1.4826 times the median absolute deviation
# (MAD; the factor makes it equal to the standard deviation of a normal distribution; Hampel, JASA 1974) of
# the quiet minutes.

# %%
insight_quiet = insight_seen.metrics.loc[insight_seen.metrics.index < insight_since]
insight_bad = insight_seen.metrics.loc[insight_seen.metrics.index >= insight_since]
insight_moved = insight_bad.mean() - insight_quiet.mean()
insight_noise = 1.4826 * (insight_quiet - insight_quiet.median()).abs().median()

figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
for ax, insight_series, insight_label, insight_title in [
    (
        axes[0],
        insight_moved,
        "change (ms, %/100, requests/s ...)",
        "Biggest change: a mix of units",
    ),
    (
        axes[1],
        insight_moved / insight_noise.clip(lower=1e-3),
        "change / noise",
        "In units of noise",
    ),
]:
    insight_best = insight_series.loc[insight_series.abs().nlargest(7).index][::-1]
    insight_names = [f"{service} {metric}" for service, metric in insight_best.index]
    insight_at_root = [service == "inventory" for service, _ in insight_best.index]
    ax.barh(
        insight_names,
        insight_best,
        color=[plots.ORANGE if root else plots.BLUE for root in insight_at_root],
    )
    ax.set(xlabel=insight_label, title=insight_title)
plt.show()

# %% [markdown]
# Orange is `inventory`. On the left every bar is a p99, because a latency in milliseconds is a larger number than an
# error ratio, however far that has moved: here by fifty times its noise, and it isn't among the seven. On the right it
# leads. Beside it stand two that wait for `inventory`, and two CPUs that fell with the load. Noise as the unit makes
# signals comparable. It does not yet tell cause from echo; that takes the last section.

# %% [markdown]
# ### How far has a metric shifted?
#
# Two samples: the minutes before ($x$) and the minutes after ($y$). Three usual answers to "how different?":
#
# - **Robust z.** $(\bar y - \operatorname{median} x) / (1.4826\ \mathrm{MAD}(x))$: how many units of noise the
#   level has moved. It has a sign, and keeps growing with the size of the change. It sees levels only, not a
#   change of spread. BARO (Pham et al., FSE 2024) ranks root causes with hardly more than this, with the interquartile
#   range as unit.
# - **Kolmogorov–Smirnov (KS).** The largest distance of the two empirical distribution functions (Smirnov, Annals
#   of Mathematical Statistics, 1948): 0 if they are equal, 1 if they don't overlap. It sees any change of
#   shape, needs no unit, and comes with a p-value. But it stops at 1: once
#   two samples don't overlap, a shift of 5 and one of 500 units of noise look the same. And the p-value assumes
#   independent minutes, which telemetry hasn't got, so that it promises too much.
# - **Wasserstein-1.** The area between the two distribution functions: how far the mass must be moved on average,
#   in the metric's own unit (Ramdas, García Trillos and Cuturi, Entropy 2017, relate it to KS and others). Divided by
#   the noise it compares across metrics. It sees shape *and* size, and has no sign.
#
# Test 171 metrics at the 5 % level and eight or nine "change" on a quiet night. Either ask for much more than
# chance gives, or control the share of false ones among those found, by the rule of Benjamini and Hochberg
# (Journal of the Royal Statistical Society B, 1995).

# %%
from scipy import stats

insight_rows = []
for insight_pair in [("inventory", "latency_p99_ms"), ("payment-provider", "latency_p99_ms"),
             ("inventory", "error_ratio"), ("gateway", "cpu_utilization")]:  # fmt: skip
    insight_x, insight_y = insight_quiet[insight_pair], insight_bad[insight_pair]
    insight_unit = max(insight_noise[insight_pair], 1e-3)
    insight_z = (insight_y.mean() - insight_x.median()) / insight_unit
    insight_ks = stats.ks_2samp(insight_x, insight_y)
    insight_w1 = stats.wasserstein_distance(insight_x, insight_y)
    insight_rows.append([" ".join(insight_pair), insight_z, insight_ks.statistic, insight_ks.pvalue,
                         insight_w1, insight_w1 / insight_unit])  # fmt: skip
insight_shifts = pd.DataFrame(
    insight_rows, columns=["metric", "robust z", "KS", "p", "W1", "W1 / noise"]
)
print(insight_shifts.round(3).to_string(index=False))

figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for ax, insight_name, insight_title in [
    (axes[0], "inventory", "A shift: the curves part"),
    (axes[1], "payment-provider", "Noise: many ms, curves together"),
]:
    for insight_label, insight_frame in [("before", insight_quiet), ("after", insight_bad)]:
        ax.ecdf(insight_frame[insight_name, "latency_p99_ms"], label=insight_label)
    ax.set(xlabel=f"{insight_name}, p99 (ms)", title=insight_title)
axes[0].set_ylabel("share of minutes")
axes[0].legend()
plt.show()

# %% [markdown]
# The area between the curves is W1, the largest vertical gap is KS. In milliseconds (W1) the two latencies differ by a
# factor of four; divided by the noise, by more than sixty.
#
# **Load first.** CPU, the use of a pool and the number of requests follow the customers: a flash sale shifts them all,
# and nothing is broken. So take out what load explains before you compare:
#
# - CPU and pool use *per request*: the logarithm of utilisation ÷ request rate;
# - the request rate itself against that of the callers: a service that gets 1.2 calls for each request of the
#   storefront and suddenly gets 2 is being flooded; one whose caller doubled is not. The calls per request
#   come from the traces.
#
# On a logarithmic scale a change is a factor, which suits latencies as well: their noise grows with their level.
# Last, give the noise a floor. A gauge that did not move for half an hour has a MAD near 0, and any twitch would be
# infinitely unusual. The opposite happens, too: services differ in how much they vary by themselves, and the MAD, which
# looks at the middle half of the minutes only, doesn't see the tall ones of a **restless** service, one that collects
# garbage, say, or shares its host. Look at the upper end of the quiet minutes as well (their standard deviation, or the 95 %
# quantile less the median over 1.64, which is the same for a normal distribution), and take the largest.

# %% [markdown]
# ### Which kinds of messages are new or surge?
#
# Log lines differ in every number and name. What you count are **templates**: the constant part of a
# message. Drain (He et al., ICWS 2017) finds them online with a tree over the words; Loki, Elastic and
# Datadog ship relatives of it as "patterns". Where messages come from one code base, masking the
# numbers goes a long way:


# %%
def insight_mask(message: str) -> str:
    """Replace every number of a message: what is left is its template."""
    return re.sub(r"\d+(\.\d+)*", "#", message)


print(insight_mask("pool at 97 %"))
print(insight_mask("request of user=71204 from 192.0.2.6 refused"))

# %% [markdown]
# Then a template is a counter, and counters of rare events are close to **Poisson**. With $n_0$ lines
# before, $n_1$ after, and $r$ = minutes after ÷ minutes before, "nothing changed" expects about
# $\lambda = (n_0 + \tfrac12)\, r$ lines (the half keeps a template that is new from being infinitely
# surprising). The log-likelihood ratio of the count seen against the count expected,
#
# $$G = 2\,\bigl(n_1 \ln(n_1/\lambda) - (n_1 - \lambda)\bigr) \quad\text{for } n_1 > \lambda,$$
#
# measures the surprise, and $\sqrt{G}$ is on the scale of a z-score, so that logs and metrics can share a list.
# Dunning (Computational Linguistics, 1993) showed why this beats a difference or a quotient of counts:
# 0 → 8 is news, 1000 → 1040 is noise, and 1 → 3 is nothing at all, although the first is the smallest
# difference but one and the last has a quotient of 3.


# %%
def insight_surge(before: float, after: float, ratio: float) -> float:
    """Root of the Poisson log-likelihood ratio; 0 where the count did not rise."""
    expected = (before + 0.5) * ratio
    if after <= expected:
        return 0.0
    return float(np.sqrt(2 * (after * np.log(after / expected) - (after - expected))))


for insight_old, insight_new in [(0, 8), (1, 3), (1000, 1040)]:
    print(
        f"{insight_old:>4} -> {insight_new:<4}  {insight_surge(insight_old, insight_new, 1.0):.1f}"
    )

# %%
insight_lines = insight_seen.logs[insight_seen.logs["level"] != "INFO"].assign(
    template=lambda lines: lines["message"].map(insight_mask),
    when=lambda lines: np.where(lines["time"] < insight_since, "before", "after"),
)
insight_counts = insight_lines.pivot_table(
    index=["service", "template"], columns="when", aggfunc="size", fill_value=0
)
insight_counts["surge"] = [
    insight_surge(row.before, row.after, len(insight_bad) / len(insight_quiet))
    for row in insight_counts.itertuples()
]
insight_top = insight_counts.nlargest(6, "surge")[::-1]

figure, ax = plt.subplots(figsize=(9, 2.6))
ax.barh([f"{service}: {text}" for service, text in insight_top.index], insight_top["surge"],
        color=[plots.ORANGE if s == "inventory" else plots.BLUE for s, _ in insight_top.index])  # fmt: skip
ax.set(
    xlabel="surge (root of the likelihood ratio)",
    title="A new template at the cause, its echo at the callers",
)
plt.show()

# %% [markdown]
# `connection reset by peer` at `inventory` is new. At its callers another template surges: *call to
# inventory failed*. That line is a witness, not a suspect: it says at whom to look. Lines about a success
# (level INFO) follow the load, and a line such as *deploy applied: v214* announces a change: worth
# reading, but changes are mostly harmless, and no change is a symptom.

# %% [markdown]
# ### Which operations take longer or fail by themselves?
#
# The latency of a caller contains that of everything it waits for. Compare durations, and the gateway
# is always a suspect. Compare what a span spends **itself**, its duration less that of the children it waits for,
# and count only errors that **begin** at it: the span failed, and none of the children it waited for did.
# Sambasivan et al. (NSDI 2011) compared whole request flows of two periods in this spirit and found the changes
# behind real slowdowns in two storage and search systems.
#
# A child that starts after its parent has ended was sent by message, and nobody waited for it. The example fetches more
# traces than before, one request in fifty.


# %%
def insight_own_parts(spans: pd.DataFrame) -> pd.DataFrame:
    """Return time, service, caller ("" at the root), own_ms and own_error of every span."""
    parent = pd.Index(spans["span_id"]).get_indexer(spans["parent_span_id"])
    start = spans["start"].dt.as_unit("us").astype("int64").to_numpy() / 1000
    duration = spans["duration_ms"].to_numpy()
    failed = (spans["status"] == "ERROR").to_numpy()
    waited = (parent >= 0) & (start < (start + duration)[parent])
    children = np.bincount(parent[waited], duration[waited], len(spans))
    passed_on = np.bincount(parent[waited], failed[waited], len(spans)) > 0
    service = spans["service"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "time": spans["start"].array,
            "service": pd.Series(service, dtype=object),  # quicker to loop over than "str"
            "caller": pd.Series(np.where(parent >= 0, service[parent], ""), dtype=object),
            "own_ms": np.maximum(duration - children, 0.01),
            "own_error": failed & ~passed_on,
        }
    )


insight_dense = windows.window(
    insight_recording, insight_night.index[6], insight_night.index[72], trace_share=0.02
)
insight_parts = insight_own_parts(insight_dense.spans).assign(
    whole_ms=insight_dense.spans["duration_ms"].to_numpy(),
    after=lambda parts: parts["time"] >= insight_since,
)
insight_change = pd.DataFrame(
    {
        name: insight_parts.groupby(["service", "after"])[name]
        .median()
        .unstack()
        .pipe(lambda t: t[True] / t[False])
        for name in ["whole_ms", "own_ms"]
    }
)

figure, ax = plt.subplots(figsize=(9, 2.8))
insight_chain = ["gateway", "cart", "checkout", "inventory", "orders-db"]
insight_change.loc[insight_chain].plot.bar(ax=ax, rot=0, color=[plots.BLUE, plots.ORANGE])
ax.set(
    xlabel="",
    ylabel="median after ÷ before",
    title="Own time clears the callers and blames inventory",
)
ax.legend(["whole duration", "own time"])
ax.axhline(1, color="0.5", lw=1)
plt.show()

# %% [markdown]
# Durations are skewed, so compare logarithms: the difference of the means over
# $s\sqrt{1/n_0 + 1/n_1}$ is a t-statistic, again on the scale of a z-score. For errors, `insight_surge` with requests
# instead of minutes as the exposure. With three spans of an operation you know nothing: leave it out.

# %% [markdown]
# ### Cause or echo?
#
# In a list sorted by surprise the callers of the broken service stand next to it, or above it: they serve more
# requests, so their noise is smaller. Slowness and failures travel **up** the calls, from the called to the
# caller. That gives a rule that needs nothing but the call graph, which the spans contain (and `shop.TOPOLOGY`; as it
# seldom changes, you may keep a copy for the hours in which no span arrives):
#
# > A service that is slow or fails is *explained* if a service that it calls, directly or over others, is slow or
# > fails as well. Explained signals count little.
#
# Signals that never travel, such as memory, disk, CPU per request, own time and own errors, need no explaining.
# The rule can be wrong: a database that is slow because a caller floods it is not the cause, although it stands
# below. Its load, compared with that of its callers, tells.

# %%
insight_edges = {
    (caller, s)
    for caller, s in zip(insight_parts["caller"], insight_parts["service"], strict=True)
    if caller
}
insight_below: dict[str, set[str]] = {name: set() for name in shop.SERVICES}
for _ in range(6):  # the longest chain of calls has fewer links
    for insight_caller, insight_called in insight_edges:
        insight_below[insight_caller] |= {insight_called} | insight_below[insight_called]

insight_errors = (
    insight_bad.xs("error_ratio", axis=1, level="metric").mean()
    - insight_quiet.xs("error_ratio", axis=1, level="metric").median()
)
insight_errors = (insight_errors / 0.002).nlargest(6)[::-1]
insight_loud = set(insight_errors.index[insight_errors > 4])
insight_cause = [
    name in insight_loud and not insight_below[name] & insight_loud for name in insight_errors.index
]

figure, ax = plt.subplots(figsize=(9, 2.4))
ax.barh(insight_errors.index, insight_errors,
        color=[plots.ORANGE if cause else "0.75" for cause in insight_cause])  # fmt: skip
ax.set(
    xlabel="shift of the error ratio in units of 0.002",
    title="Grey is small or explained by a service further down: inventory is left",
)
plt.show()

# %% [markdown]
# ### Which evidence weighs how much?
#
# By now every signal has a size in units of noise, and there are hints around it: is it beyond *all* quiet minutes of its
# own? Is something below it slow or failing? Are its callers slow, which they would be if it were the cause? Does its
# service say so in other signals, too? Is something elsewhere much louder? A rule such as "explained signals count
# little" sets one weight by hand. Where there are examples with the answer, weights can be **learned**: let $x$ be the
# size of a signal and $h_k$ the hints, all on a logarithmic scale, and
#
# $$\log\frac{p}{1-p} = a_s + b_s \log(1+x) + \sum_k c_k\,h_k,$$
#
# a logistic regression for "a fault acts on this signal", with $a_s$ and $b_s$ for each kind of signal $s$ (a disk that
# fills moves by hardly anything, and means it; a queue moves often and means little) and one $c_k$ for each hint.
# Sort by the log odds; say nothing if the best of them is below a threshold. The signs are worth a look: they must
# agree with what you know of the shop, or the model has learned the sample. Fit on some practice windows, and choose
# the threshold on **others**.
#
# In the shop `windows.draw_windows` draws such examples and `windows.acts_on` holds their answers; some 300 windows
# (half a minute to simulate) are enough for two dozen weights. It learns the graph's lesson by itself: in our fit a failing
# service further down counts against a signal (-1.05), slow callers count for it (+0.68), and so does a second
# signal of the same service (+1.04).

# %% [markdown]
# ## 11 · The trap of the month: two clocks
#
# You may be tempted to order signals by time ("who was first?"), or simply to count lines before and after the
# moment at which it began. Both assume that all signals share one clock. They don't: a host whose time service
# died, a log pipeline that stamps lines when they *arrive*, an agent in local time. The next cell does to the night what
# an agent with a wrong clock does: all lines of `inventory` carry a time 30 minutes too early.

# %%
insight_skewed = insight_dense.logs.copy()
insight_here = insight_skewed["service"] == "inventory"
insight_skewed.loc[insight_here, "time"] -= pd.Timedelta("30min")


def insight_resets_surge(logs: pd.DataFrame) -> float:
    """Surge of "connection reset" at inventory across the begin of the incident."""
    lines = logs[
        (logs["service"] == "inventory") & logs["message"].str.startswith("connection reset")
    ]
    late = int((lines["time"] >= insight_since).sum())
    return insight_surge(len(lines) - late, late, len(insight_bad) / len(insight_quiet))


print(f"right clock {insight_resets_surge(insight_dense.logs):.1f}")
print(f"wrong clock {insight_resets_surge(insight_skewed):.1f}")

# %% [markdown]
# The strongest evidence of the night is gone, and no error message says so. The cure: don't trust a clock, measure
# it. A log line that carries a trace id belongs to a span whose time another clock has stamped. The median difference of
# the two over all lines of a service is the offset of its clock, robust against the odd line that is late.

# %%
insight_ends = insight_dense.spans.assign(
    ended=lambda spans: spans["start"] + pd.to_timedelta(spans["duration_ms"], unit="ms")
)[["trace_id", "service", "ended"]]
insight_joined = insight_skewed.merge(insight_ends, on=["trace_id", "service"])
insight_offset = (
    (insight_joined["time"] - insight_joined["ended"]).groupby(insight_joined["service"]).median()
)
insight_fixed = insight_skewed.copy()
insight_fixed["time"] -= insight_fixed["service"].map(insight_offset).fillna(pd.Timedelta(0))

print(f"offset of inventory: {insight_offset['inventory'].round('1s')}")
print(f"largest of the others: {insight_offset.drop('inventory').abs().max().round('1ms')}")
print(f"clock repaired {insight_resets_surge(insight_fixed):.1f}")

figure, axes = plots.grid(2, height=1.5)
for ax, insight_table, insight_title in [
    (axes[0], insight_skewed, "As collected: the resets come before anything is wrong"),
    (axes[1], insight_fixed, "Clock repaired by trace id: they begin with the incident"),
]:
    insight_chosen = insight_table[
        (insight_table["service"] == "inventory")
        & insight_table["message"].str.startswith("connection reset")
    ]
    insight_per_minute = insight_chosen.set_index("time").resample("1min").size()
    plots.timeline(
        insight_per_minute.reindex(insight_seen.metrics.index, fill_value=0),
        ax=ax, ylabel="lines a minute", title=insight_title, events=insight_truth,
    )  # fmt: skip
plt.show()

# %% [markdown]
# Prefer durations and counts over orders of events; where the order decides, state the error of the clocks
# beside it. The telemetry of the milestone has one clock.
#
# ### Exercise 7 · Milestone: rank what changed (20 points)
#
# **Write** `insight(metrics, logs, spans, since)`. It gets the three signals of one window of time:
#
# - `metrics`: DataFrame, one row a minute (UTC index), columns (service, metric) with the nine metrics of each of the
#   nineteen services (`shop.METRICS`). No value is missing.
# - `logs`: DataFrame with `time`, `service`, `level`, `message`, `trace_id`. Kept are one in ten lines
#   about failed requests, at most 12 per service and minute; one in ten of those about the traced requests that
#   succeeded; and all warnings.
# - `spans`: DataFrame with `trace_id`, `span_id`, `parent_span_id` ("" at the root), `service`, `operation`,
#   `start`, `duration_ms`, `status` ("OK" or "ERROR"): whole traces of 0.15 % of the requests (the section above had
#   2 %, to show the method).
# - `since`: a Timestamp. The 24 to 48 minutes before it are without fault. The 12 to 24 minutes from it on are
#   those that somebody looks at.
#
# The rows of `logs` and `spans` and the columns of `metrics` come in any order. `logs` and `spans` may be empty
# (columns, no rows) when their pipeline was down; `metrics` never is.
#
# In most windows one fault begins within the first third of the minutes from `since` on, and lasts until the end.
# In others nothing is wrong. In both kinds there may be a harmless surge of customers, crawlers or batch work
# (from 10 minutes before `since` at the earliest) or a harmless deploy, and the shop's ordinary life goes on.
#
# It returns a **list of at most five tuples** `(kind, service, name)`, the strongest first, or `[]` if nothing is wrong:
#
# | kind | name |
# |---|---|
# | `"metric"` | the metric, such as `"latency_p99_ms"` |
# | `"log"` | the template: the message with every number replaced by `#`, as `insight_mask` does |
# | `"span"` | `"duration"` (the service's own time) or `"errors"` (errors that begin there) |
#
# **Right means:** an entry is a *hit* if it names the service **where the fault acts** and a signal **that the fault acts on
# there**. What follows in other services, however loud, is no hit. Faults act on:
#
# | the fault | hits at its service |
# |---|---|
# | takes CPU away, slows the work, shrinks the pool | p50 and p99, pool use, queue, error ratio; span duration and errors; templates about slowness, a full pool or queue, timeouts; CPU, unless it is a neighbour on the machine who takes it |
# | delays or loses packets | p50, p99 (of a loss also error ratio); span duration (errors); templates about slowness, timeouts (of a loss: resets) |
# | makes requests fail | error ratio; span errors; the template of the failure itself |
# | leaks memory | memory, p50, p99, error ratio; span duration and errors; templates about heap and out of memory |
# | fills the disk | disk, error ratio; span errors; templates about the disk |
# | makes callers retry without end | as slow work and failures, and the request rate, the template about retries |
# | empties a cache | as slow work, and the request rate, at the cache **or** at the store behind it |
#
# An entry whose kind, service, metric or span name doesn't exist is a fault of the program: it costs the exercise. A log
# template that nobody wrote is just no hit; another mask than `#` is fine.
#
# A line that announces a change and *call to X failed* are never hits. Of several services that a noisy neighbour
# slows, the one that it slows most counts. Kinds of fault are drawn equally often, services, times, lengths and
# severities are random.
#
# **Example:** for the night above, `insight(insight_seen.metrics, insight_seen.logs, insight_seen.spans, insight_since)`
# may return `[("log", "inventory", "connection reset by peer #"), ("metric", "inventory", "error_ratio"), ...]`.
#
# **Practice** as much as you like: `windows.draw_windows(per_kind, harmless, seed)` draws windows of the same kind as the
# hidden ones, `windows.window` fetches the signals, `windows.acts_on(scenario)` says what is right and
# `windows.is_hit(entry, acted_on)` whether an entry is. The next cell does so once.
#
# Services differ in how much they vary **by themselves**, before `since` and after it: one has heavy and light
# requests, another a neighbour on its host or clients that send nonsense, a third collects garbage or writes
# temporary files. What is a great change of one service is any minute of another.
#
# **Scored** on 24 windows without a fault and up to 39 incidents, none of which you have seen. The incidents are chosen
# from 78 so that a limit from the quiet minutes alone is not enough. Take the rule "the median of the last two thirds of the
# minutes from `since` on is above 1.1 times the highest quiet minute; the largest quotient first", over metrics. In at most 16 of the incidents it has
# no hit among its first five, in equally many it has one in first place, and in at most 7 it has a hit further down.
# So this rule reaches about 60 % among five and 40 % in first place. Three shares count:
#
# | share | nothing up to | all from |
# |---|---|---|
# | incidents with a hit in **first place** | 51 % | 60 % |
# | incidents with a hit among the **first five** | 58 % | 64 % |
# | windows without a fault that give **`[]`** | 45 % | 58 % |
#
# Each rises in a straight line between, and the three results are **multiplied**: so much you get of 18 points, and so
# much counts of 2 points for a hit among the first five with empty `logs` and `spans`, in two of three further windows,
# in which a fault takes CPU, leaks memory and fills the disk (in one of three: 1 point). 2 s a call.
#
# Before the choice, over 273 incidents as they were drawn, that rule reaches 75 % in first place and 85 % among five at 20 %
# of false claims; the sample solution, with the weights of the section above, about 86 % and 90 % at a quarter.

# %%
insight_practice = []
insight_drawn = windows.draw_windows(1, 5, seed=2)
for insight_each, insight_one in zip(
    insight_drawn, shop.simulate_many([each.scenario for each in insight_drawn]), strict=True
):
    insight_practice.append(
        (
            windows.window(insight_one, insight_each.start, insight_each.end),
            insight_each.since,
            windows.acts_on(insight_each.scenario),
            insight_each.scenario.faults,
        )
    )

print(len(insight_practice), "windows, the first three:")
for _, insight_when, insight_right, insight_faults in insight_practice[:3]:
    insight_what = (
        insight_faults[0].kind + " at " + insight_faults[0].service if insight_faults else "nothing"
    )
    print(f"{insight_when:%a %H:%M} {insight_what}, {len(insight_right)} signals would be hits")


# %% nbgrader={"grade": false, "grade_id": "insight", "locked": false, "schema_version": 3, "solution": true, "task": false}
def insight(
    metrics: pd.DataFrame, logs: pd.DataFrame, spans: pd.DataFrame, since: pd.Timestamp
) -> list[tuple[str, str, str]]:
    """Rank what changed in a window, over all three signals.

    Parameters
    ----------
    metrics : DataFrame
        One row a minute (UTC), columns (service, metric) in any order.
    logs : DataFrame
        `time`, `service`, `level`, `message`, `trace_id`; rows in any order, perhaps none.
    spans : DataFrame
        `trace_id`, `span_id`, `parent_span_id`, `service`, `operation`, `start`, `duration_ms`,
        `status`; rows in any order, perhaps none.
    since : Timestamp
        Before it nothing was broken.

    Returns
    -------
    list of (kind, service, name)
        At most five, strongest first; empty if nothing is wrong.
    """
    ### BEGIN SOLUTION
    minutes = metrics.index[metrics.index >= since]
    late = minutes[len(minutes) // 3]  # by then a fault has begun
    before, after = metrics.index < since, metrics.index >= late
    parts = insight_own_parts(spans)
    quiet = parts[parts["time"] < since]
    served = Counter(quiet["service"])
    pairs = Counter(zip(quiet["caller"], quiet["service"], strict=True))
    calls = {(c, s): n / served[c] for (c, s), n in pairs.items() if c}
    found = [
        *_insight_metric_shifts(metrics, calls, before, after),
        *_insight_log_surges(logs, since, late, after.sum() / before.sum()),
        *_insight_span_changes(parts, since, late),
    ]
    ranked = sorted(_insight_log_odds(found, calls), reverse=True)
    best: list[tuple[str, str, str]] = []
    entries: Counter[str] = Counter()
    for _, *entry in ranked if ranked[0][0] > _INSIGHT_THRESHOLD else []:
        # Two entries a service at most, so that one loud service can't fill the list.
        if entries[entry[1]] < 2:
            best.append(tuple(entry))
            entries[entry[1]] += 1
    return best[:5]


# Log odds that a signal is one on which a fault acts: a logistic regression on 860 practice windows
# of `windows.draw_windows`, rounded. Of each signal the odds at rest, and what its own size adds.
_INSIGHT_SIGNALS = {
    "request_rate": (-4.78, 1.04), "error_ratio": (-1.71, 0.30), "latency_p50_ms": (-2.02, 0.60),
    "latency_p99_ms": (-1.90, 0.72), "cpu_utilization": (-3.22, 1.38),
    "memory_utilization": (-12.54, 4.16), "pool_utilization": (-2.69, 1.14),
    "queue_length": (-2.94, 0.52), "disk_utilization": (-8.67, 3.10), "log": (-3.97, 0.96),
    "duration": (-2.77, 1.01), "errors": (-2.43, 0.93),
}  # fmt: skip
# What the surroundings add: beyond all quiet minutes; slow and failing services further down; slow
# callers; a flood of requests, the loudest log line and the next signal of the same service; the
# loudest signal anywhere else.
_INSIGHT_AROUND = {
    "beyond": 0.85, "slow below": -0.45, "failing below": -1.05, "slow callers": 0.68,
    "flood": 0.95, "log": 0.59, "company": 1.04, "elsewhere": -1.44,
}  # fmt: skip
_INSIGHT_THRESHOLD = -0.9
# What is never worth a line: logarithms for loads and latencies, the metric's own unit for the rest.
_INSIGHT_SMALLEST = {
    "request_rate": 0.08, "error_ratio": 0.002, "latency_p50_ms": 0.04, "latency_p99_ms": 0.08,
    "cpu_utilization": 0.045, "memory_utilization": 0.004, "pool_utilization": 0.04,
    "queue_length": 2.0, "disk_utilization": 0.0005,
}  # fmt: skip


def _insight_metric_shifts(metrics, calls, before, after):
    """Shift over the usual noise, what load explains taken out; and how far beyond the quiet time."""
    names = [tuple(pair) for pair in metrics.columns]
    values = metrics.to_numpy(dtype=float)
    place = {pair: number for number, pair in enumerate(names)}
    levels = values.copy()
    for number, (service, name) in enumerate(names):
        rate = np.maximum(values[:, place[service, "request_rate"]], 0.02)
        if name == "request_rate":
            usual = [n * values[:, place[c, name]] for (c, s), n in calls.items() if s == service]
            levels[:, number] = np.log(rate / np.maximum(sum(usual), 0.02)) if usual else 0.0
        elif name in ("cpu_utilization", "pool_utilization"):
            levels[:, number] = np.log((values[:, number] + 0.002) / rate)
        elif name.startswith("latency"):
            levels[:, number] = np.log(np.maximum(values[:, number], 0.01))
    x, y = levels[before], levels[after]
    middle, high, highest = np.quantile(x, [0.5, 0.95, 1.0], axis=0)
    # The largest of three: a restless service has quiet minutes and tall ones.
    noise = np.maximum(1.4826 * np.median(np.abs(x - middle), axis=0), (high - middle) / 1.64)
    noise = np.maximum(noise, x.std(axis=0))
    noise = np.maximum(noise, [_INSIGHT_SMALLEST[name] for _, name in names])
    level = np.maximum(y.mean(axis=0), y[len(y) // 2 :].mean(axis=0))  # ramps are still rising
    beyond = (np.median(y, axis=0) - highest) / noise
    return [
        ("metric", *pair, score, out)
        for pair, score, out in zip(names, (level - middle) / noise, beyond, strict=True)
    ]


def _insight_log_surges(logs, since, late, ratio):
    """Templates of warnings and errors that are new or surge; "call to X failed" accuses X."""
    lines = logs[(logs["level"] != "INFO") & ((logs["time"] < since) | (logs["time"] >= late))]
    counts: dict[tuple[str, str], list[int]] = {}
    for service, message, new in zip(
        lines["service"], lines["message"], lines["time"] >= late, strict=True
    ):
        if not message.startswith("call to"):
            counts.setdefault((service, insight_mask(message)), [0, 0])[int(new)] += 1
    return [
        ("log", *key, insight_surge(old, new, ratio), float(old == 0))
        for key, (old, new) in counts.items()
    ]


def _insight_span_changes(parts, since, late):
    """Own time by the t-statistic of its logarithm, own errors as counts per request."""
    code, services = pd.factorize(parts["service"])
    old, new = (parts["time"] < since).to_numpy(), (parts["time"] >= late).to_numpy()
    own, failed = np.log(parts["own_ms"].to_numpy()), parts["own_error"].to_numpy()
    found = []
    for number, service in enumerate(services):
        x, y = np.flatnonzero(old & (code == number)), np.flatnonzero(new & (code == number))
        if len(x) >= 5 and len(y) >= 3:
            error = max(own[x].std(), 0.2) * np.sqrt(1 / len(x) + 1 / len(y))
            change = (own[y].mean() - own[x].mean()) / error
            found.append(("span", service, "duration", change, 0.0))
            surge = insight_surge(failed[x].sum(), failed[y].sum(), len(y) / (len(x) + 50))
            found.append(("span", service, "errors", surge, 0.0))
    return found


def _insight_log_odds(found, calls):
    """Log odds first, from a signal's own size and from what its service and the others show."""
    # While no span arrives, the graph is the one of yesterday.
    edges = list(calls) or [(call.caller, call.callee) for call in shop.TOPOLOGY.calls]
    below: dict[str, set[str]] = {}
    for _ in range(6):
        for caller, called in edges:
            below.setdefault(caller, set()).update({called}, below.get(called, ()))
    slow, failing, flood, loudest_log = Counter(), Counter(), {}, Counter()
    sizes: dict[str, list[float]] = {}
    for kind, service, name, size, _ in found:
        sizes.setdefault(service, []).append(size)
        if name in ("latency_p50_ms", "latency_p99_ms"):
            slow[service] = max(slow[service], size)
        elif name == "error_ratio":
            failing[service] = max(failing[service], size)
        elif name == "request_rate":
            flood[service] = size
        elif kind == "log":
            loudest_log[service] = max(loudest_log[service], size)
    loudest = {service: max(own) for service, own in sizes.items()}
    for kind, service, name, size, beyond in found:
        lower = below.get(service, ())
        callers = {caller for caller, called in edges if called == service}
        company = list(sizes[service])
        company.remove(size)
        around = {
            "beyond": beyond,
            "slow below": max((slow[other] for other in lower), default=0.0),
            "failing below": max((failing[other] for other in lower), default=0.0),
            "slow callers": max((slow[other] for other in callers), default=0.0),
            "flood": flood.get(service, 0.0),
            "log": loudest_log[service],
            "company": max(company, default=0.0),
            "elsewhere": max(loud for other, loud in loudest.items() if other != service),
        }
        rest, own = _INSIGHT_SIGNALS[kind if kind == "log" else name]
        odds = rest + own * _insight_scale(size)
        odds += sum(_INSIGHT_AROUND[what] * _insight_scale(value) for what, value in around.items())
        yield odds, kind, service, name


def _insight_scale(size):
    """Logarithm with a sign: 3 or 300 units of noise, that's news twice, not a hundred times."""
    return np.sign(size) * np.log1p(abs(size))
    ### END SOLUTION


# %% [markdown]
# The visible check asks for what the text fixes: the type, five entries at most, any order of rows, empty logs and
# spans, silence, and the night of the story; and for a first sign of quality on the practice windows, which are not
# chosen to be hard.

# %% nbgrader={"grade": true, "grade_id": "check-insight", "locked": true, "points": 20, "schema_version": 3, "solution": false, "task": false}
_check_night = insight(insight_seen.metrics, insight_seen.logs, insight_seen.spans, insight_since)
assert isinstance(_check_night, list), f"return a list, not {type(_check_night).__name__}"
assert 1 <= len(_check_night) <= 5, (
    f"the night of the story has 1 to 5 entries, you gave {len(_check_night)}"
)
for _check_entry in _check_night:
    assert len(_check_entry) == 3 and all(isinstance(part, str) for part in _check_entry), (
        f"an entry is (kind, service, name), three strings; found {_check_entry!r}"
    )
    assert _check_entry[0] in ("metric", "log", "span"), f"unknown kind {_check_entry[0]!r}"
_check_acted = windows.acts_on(insight_night)
assert any(windows.is_hit(entry, _check_acted) for entry in _check_night), (
    f"expected a signal of inventory that the loss of packets acts on, found {_check_night}: "
    "compare with noise, not in milliseconds, and look for what explains the callers"
)
_check_shuffled = insight(
    insight_seen.metrics.iloc[:, ::-1],
    insight_seen.logs.sample(frac=1, random_state=1),
    insight_seen.spans.sample(frac=1, random_state=2),
    insight_since,
)
assert _check_shuffled[0] == _check_night[0], (
    f"rows and columns in another order gave {_check_shuffled[0]} instead of {_check_night[0]} in "
    "first place: find parents by span_id and columns by name, not by position"
)
_check_bare = insight(
    insight_seen.metrics, insight_seen.logs.iloc[:0], insight_seen.spans.iloc[:0], insight_since
)
assert isinstance(_check_bare, list), "with empty logs and spans, still return a list"
_check_still = shop.simulate(shop.Scenario("2026-03-18T02:00Z", minutes=60, seed=7))
_check_still = windows.window(
    _check_still, _check_still.metrics.index[0], _check_still.metrics.index[-1]
)
_check_calm = insight(
    _check_still.metrics, _check_still.logs, _check_still.spans, _check_still.metrics.index[40]
)
assert _check_calm == [], f"on a quiet night nothing is wrong: expected [], found {_check_calm}"
_check_first = _check_silent = 0
for _check_window, _check_since, _check_right, _check_faults in insight_practice:
    _check_list = insight(
        _check_window.metrics, _check_window.logs, _check_window.spans, _check_since
    )
    if _check_faults:
        _check_first += bool(_check_list) and windows.is_hit(_check_list[0], _check_right)
    else:
        _check_silent += not _check_list
print(
    f"practice: {_check_first} of 13 causes in first place, {_check_silent} of 5 calm windows silent"
)
assert _check_first >= 6, f"only {_check_first} of 13 causes in first place: echoes, units, noise?"
assert _check_silent >= 2, (
    f"{5 - _check_silent} of 5 calm windows were claimed: raise the threshold"
)
print("exercise 7: the visible check passes")

# %% [markdown]
# How does it do on the practice windows? Eighteen are too few for a threshold: tune on ten times as many,
# with seeds of your own, and look at the false claims first.

# %%
insight_results = []
for insight_window, insight_when, insight_right, insight_faults in insight_practice:
    insight_list = insight(
        insight_window.metrics, insight_window.logs, insight_window.spans, insight_when
    )
    insight_hits = [windows.is_hit(entry, insight_right) for entry in insight_list]
    insight_results.append(
        {
            "fault": insight_faults[0].kind if insight_faults else "(none)",
            "at": insight_faults[0].service if insight_faults else "",
            "first entry": " / ".join(insight_list[0]) if insight_list else "(nothing is wrong)",
            "hit at place": insight_hits.index(True) + 1 if any(insight_hits) else 0,
        }
    )
print(pd.DataFrame(insight_results).sort_values("fault").to_string(index=False))

# %% [markdown]
# A 0 in a row with a fault is a miss, and not always your fault: a neighbour that comes and goes on a lightly loaded host moves
# nothing beyond the noise. A ranking that is honest says so by an empty list.
#
# ### Words at the end
#
# Now a summary has something to stand on. The next cell writes what you would hand to a colleague or to a language
# model: five lines of evidence, each with its numbers, and rules for the answer. A model that gets *this* can be
# checked line by line, and a template writes the same facts with no model at all.


# %%
def insight_brief(
    entries: list[tuple[str, str, str]], seen: windows.Window, since: pd.Timestamp
) -> str:
    """Evidence in words: for a colleague, or as the only facts a language model may use."""
    lines = [
        f"Window {seen.metrics.index[0]:%H:%M} to {seen.metrics.index[-1]:%H:%M} UTC, suspicious since {since:%H:%M}."
    ]
    for rank, (kind, service, name) in enumerate(entries, 1):
        if kind == "metric":
            values = seen.metrics[service, name]
            fact = f"median {values[values.index < since].median():.4g} -> {values[values.index >= since].median():.4g}"
        elif kind == "log":
            lines_of = seen.logs[
                (seen.logs["service"] == service) & (seen.logs["message"].map(insight_mask) == name)
            ]
            new = int((lines_of["time"] >= since).sum())
            fact = f"{len(lines_of) - new} -> {new} lines"
        else:
            own = insight_own_parts(seen.spans).query("service == @service")
            column = "own_ms" if name == "duration" else "own_error"
            means = own.groupby(own["time"] >= since)[column].mean()
            fact = f"mean {means.get(False, np.nan):.4g} -> {means.get(True, np.nan):.4g}"
        lines.append(f"{rank}. {kind} {service} / {name}: {fact}")
    lines.append(
        "Answer in three sentences. Cite a line number for each statement. If the lines don't tell, say so."
    )
    return "\n".join(lines)


insight_entries = insight(
    insight_seen.metrics, insight_seen.logs, insight_seen.spans, insight_since
)
print(insight_brief(insight_entries, insight_seen, insight_since))

# %% [markdown]
# ## 12 · Field study: Nezha's clocks
#
# The shop's damage was made for teaching. **Nezha** is a public data set of two real microservice systems under
# injected faults (Yu et al., ESEC/FSE 2023): Online Boutique on 2022-08-22 (10 pods, 24 faults) and Train Ticket
# on 2023-01-29 (46 pods, 28 faults), with every pod's metrics once a minute. Its rows carry two times, as yours
# do: `Time`, written by the collector, and `TimeStamp`. The faults have two as well: `inject_time` and
# `inject_timestamp`.
#
# The next cell gives **your** `repair` each table as it was collected, and prints what it reports where a clock
# is wrong or rows were dropped. The contract says what a running pod can't report: no CPU, no memory, a latency
# of 0, or a success rate of 0 while it works. Without the data the cell prints how to get them.

# %%
from course.field import nezha
from course.telemetry.public import PublicDataMissing

try:
    nezha_days = [nezha.load(nezha_name) for nezha_name in nezha.SYSTEMS]
except PublicDataMissing as error:
    nezha_days = []
    print(error)

nezha_repaired = {}
for nezha_day in nezha_days:
    nezha_repaired[nezha_day.system], nezha_reports = nezha.repair_day(repair, nezha_day)
    nezha_found = nezha.findings(nezha_reports)
    nezha_odd = nezha_found[(nezha_found["clock_s"] != 0) | (nezha_found["unusable"] > 0)]
    nezha_lag = (nezha_day.faults["time"] - nezha_day.faults["stamp"]).dt.total_seconds()
    print(f"{nezha_day.system}: {len(nezha_found)} tables")
    print(f"  metrics not measured, over all tables: {nezha_found['not_measured'].sum()}")
    print(f"  fault stamps over an hour behind: {(nezha_lag > 3600).sum()} of {len(nezha_lag)}")
    print(f"  tables with a wrong clock or unusable rows: {len(nezha_odd)}")
    if len(nezha_odd):
        print(nezha_odd[["clock_s", "zone_rows", "unusable", "lost"]].to_string())

# %% [markdown]
# Four real faults of the measurement:
#
# 1. **A clock 200,000,000 s ahead.** adservice's `TimeStamp` says 2028. So round a number is no drift: somebody
#    replaced digits in a text, 66 by 86. The rows that are *further* off prove it, for wherever 65, 66 or 67
#    stands later in the number as well, it became 86, 86 or 81, too (this explains 1,205 of the 1,209 rows). The
#    113 have no stamp to trust, and your function drops them.
# 2. **A time zone in a part of the rows.** On the Train Ticket day 24 of 28 fault stamps lag `inject_time` by
#    about eight hours, as if its text, which is UTC, had been read as the time in China; the last four don't. The
#    lag is 28,710 to 29,303 s instead of 28,800: these stamps were not made by a clock.
# 3. **A repeated row.** One of those stamps is that of the fault before.
# 4. **0 for "never collected".** The pods' success rate is 0 in every row of both days, while the front end of
#    Online Boutique answered 99.4 % of its requests. On the Train Ticket day the front end's own success rate is
#    0 in all 919 rows.
#
# Does it matter? Rank the services at each fault by a plain **robust z**: for every metric of a pod, how far the
# mean of the three minutes from the fault on lies from the median of the five minutes before, in units of their
# interquartile range plus 5 % of the median; a pod scores by its largest z. AC@k is the share of faults whose
# service is among the first k, Avg@5 the mean of AC@1 to AC@5. Equal scores share their places, else the order of
# the files decides. *As stamped* believes `TimeStamp` and `inject_timestamp`; *repaired* takes your tables and
# `inject_time`.

# %%
if nezha_days:
    nezha_table, nezha_faults = nezha.study(nezha_days, nezha_repaired)
    print(nezha_table[["faults", "pods", "AC@1", "AC@3", "AC@5", "Avg@5"]].round(3).to_string())
    figure, axes = plots.grid(2, height=2.6, sharex=False)
    nezha.plot_clock(nezha_days[0].pods["adservice"], "adservice", ax=axes[0])
    nezha.plot_study(nezha_table, ax=axes[1])
    plt.show()

# %% [markdown]
# As stamped, the two faults of adservice can't be found at all: when they were injected, its rows lie in 2028.
# And of 24 faults of Train Ticket nothing can be said, because eight hours earlier nobody measured: all 46 pods
# tie, so these score what chance scores. No error was raised anywhere. The study simply ran, and reported 0.625
# and 0.120 instead of 0.667 and 0.154.
#
# The gain looks small on Online Boutique because it concerns two faults of 24, and one fault is 0.042: no more
# than harmless choices change. At the unrounded times of receipt (`python -m course.field.nezha`), where no
# sample moves to its minute, the same ranking has AC@1 0.417 and Avg@5 0.683. Damage of this kind isn't judged by
# the average, but by what it makes invisible: one service, or one system.
#
# Beside it what others have published, and what this course measured earlier on both days of each system (56 and
# 45 faults). Only one day of each is pinned here, so the rows can't be compared digit by digit. Nezha's own
# method is given logs, traces and metrics and a fault-free period; from its authors' log file one can count the
# 24 faults of the day that you have ranked.

# %%
# NBVAL_CHECK_OUTPUT
print(nezha.published_table().drop(columns="source").to_string())
for nezha_row, nezha_source in nezha.published_table()["source"].items():
    print(f"{nezha_row[0]}, {nezha_row[1]}: {nezha_source}")
print(nezha.CITATION)

# %% [markdown]
# Robust z on metrics is far below, and the next cell shows where: it sees CPU contention, and next to nothing of
# wrong return values and delayed networks, which show in logs and traces. One signal isn't enough, and no ranking
# repairs a clock.

# %%
if nezha_days:
    print(nezha.by_type(nezha_faults, "Online Boutique", "repaired").round(3).to_string())
# %% [markdown]
# ## What to remember
#
# 1. Sort by surprise, not by size. Noise is the unit in which a millisecond, a ratio and a log line compare.
# 2. Take out what the load explains before you compare.
# 3. Count templates, not lines; compare own time and own errors, not durations.
# 4. Slowness and failures travel up the calls. What a service further down explains is an echo.
# 5. A ranking that can't say "nothing is wrong" is a slot machine. Measure its false claims on quiet windows.
# 6. Every clock is wrong until you have measured it. Missing is never zero.
# 7. A language model summarises a ranking. It doesn't replace one.

# %% [markdown]
# ## At work
#
# | task | tools of the trade | know |
# |---|---|---|
# | metrics, rules | Prometheus, Grafana | a shift against an earlier window is a recording rule with `offset` |
# | traces | Tempo, Jaeger | TraceQL's `compare()` splits spans into a selection and a baseline; Jaeger's page compares two traces |
# | logs | Loki, Elastic, Splunk | patterns are templates; Elastic's log rate analysis compares a baseline with a deviation, as you did |
# | all three, bought | Datadog Watchdog, Dynatrace Davis, New Relic, Splunk | they rank with the call graph; Dynatrace describes its use of topology and timing |
#
# Ask a vendor the questions of this exercise: on how many *unseen* incidents is the cause among the first five, how
# often does it claim something on a quiet day, and what does a list sorted by size reach? Then replay ten incidents of
# your own. What a product calls a root cause is a suspect, ranked.

# %% [markdown]
# ## Further reading
#
# - Sigelman et al.: *Dapper, a large-scale distributed systems tracing infrastructure*. Google technical report, 2010.
# - Sambasivan et al.: *Diagnosing performance changes by comparing request flows*. NSDI 2011.
# - Dunning: *Accurate methods for the statistics of surprise and coincidence*. Computational Linguistics 19(1), 1993.
# - He, Zhu, Zheng, Lyu: *Drain: an online log parsing approach with fixed depth tree*. ICWS 2017.
# - Benjamini, Hochberg: *Controlling the false discovery rate*. Journal of the Royal Statistical Society B 57(1), 1995.
# - Ramdas, García Trillos, Cuturi: *On Wasserstein two-sample testing and related families of nonparametric tests*.
#   Entropy 19(2), 2017.
# - Yu et al.: *Nezha: interpretable fine-grained root causes analysis for microservices on multi-modal observability
#   data*. ESEC/FSE 2023.
# - Pham, Ha, Zhang: *BARO: robust root cause analysis for microservices via multivariate Bayesian online change point
#   detection*. FSE 2024.
# - Chen et al.: *Automatic root cause analysis via large language models for cloud incidents* (RCACopilot). EuroSys 2024.

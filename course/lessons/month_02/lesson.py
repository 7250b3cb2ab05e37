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

# %%
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import plots, shop
from course.telemetry import queries as ask
from course.telemetry import wire

plots.use_style()

# %% [markdown]
# ## The same measurements in nine formats
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
# The first two agree but for the extrapolation of `increase`, since the shop writes one line for every failure.
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
#   becomes one `_`; a dimension whose value is `""` is left out. No dimension holds a line break.
#
# `queries(service, slow_ms) -> dict[str, str]`, with the keys `promql`, `logql`, `lucene`, `traceql`. The values
# are queries about the service named `service` that answer:
# - `promql`: the share of its requests that failed over the last five minutes, all instances together: one
#   series, any labels. The counter is `http_requests_total{service, instance, status}`; a status from 500 to 599
#   is a failure;
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

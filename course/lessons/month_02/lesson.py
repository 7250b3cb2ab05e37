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
# This month is about the three signals themselves: what metrics, logs and traces say, how they are stored, how
# they join, and where they lie.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import plots, shop
from course.shop.accesslog import access_log
from course.telemetry import prometheus

plots.use_style()

# %% [markdown]
# ## Metrics: what a scrape brings home
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
#
# ## Why a counter, and not a rate
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
#
# ## Resets: when a counter falls
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
#
# ## `rate()` by hand
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
# 4. **Mean spacing** of the $n$ samples: $s = (t_n - t_1) / (n - 1)$.
# 5. **Before and after.** From the window's beginning to the first sample there are
#    $t_1 - (t - w)$ seconds, from the last sample to the window's end $t - t_n$. Each of the two that is
#    $1.1\,s$ or longer is replaced by $s / 2$: the series seems to have begun (or ended) inside
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
#
# ## First `rate`, then `sum`
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
# ### Exercise 1 · `rate()` as Prometheus computes it (15 points)
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
# - `rate`: per second.
#
# With fewer than two samples `samples` and `resets` (0) are still numbers, the other four are NaN.
#
# **Right means:** rules 1 to 7 of Prometheus ≥ 3.0; every value within 1e-6 (relative), seconds also within a few
# microseconds. Whether a distance is "$1.1\,s$ or longer" is never a matter of rounding in the hidden cases.
#
# **Example:** a counter scraped at 10:00:10, :20, :30 and :40 with the values 4, 10, 3, 9, and $w$ = 60 s.
#
# | time | samples | resets | increase | before_s | after_s | rate | why |
# |---|---|---|---|---|---|---|---|
# | 10:00:45 | 4 | 1 | 6 + 3 + 6 = 15 | 5 | 5 | 15 × 40/30 / 60 = 0.3333 | 25 s to the left are more than 11 |
# | 10:01:10 | 3 | 1 | 3 + 6 = 9 | 10 | 5 | 9 × 35/20 / 60 = 0.2625 | the sample at 10:00:10 is out: left end |
# | 10:03:00 | 0 | 0 | NaN | NaN | NaN | NaN | nothing there |
#
# **Scored:** five unseen counters with restarts, lost scrapes and markers, 3 points each. In two of them no window
# begins or ends at a sample; in three some do. For each counter: all six columns right in every window 3 points,
# five columns 1.2, four 0.3. 5 s a call.


# %% nbgrader={"grade": false, "grade_id": "rate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def counter_rate(samples: pd.Series, times: pd.DatetimeIndex, window: pd.Timedelta) -> pd.DataFrame:
    """Evaluate Prometheus' rate() of one counter and show how it was extrapolated.

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
        Indexed by `times`: `samples`, `resets`, `increase`, `before_s`, `after_s` (seconds) and
        `rate` (1/s); the last four NaN where there are fewer than two samples.
    """
    ### BEGIN SOLUTION
    alive = samples.dropna()
    starts = alive.index.searchsorted(times - window, side="right")
    stops = alive.index.searchsorted(times, side="right")
    rows = []
    for time, start, stop in zip(times, starts, stops, strict=True):
        stamps, values = alive.index[start:stop], alive.to_numpy(float)[start:stop]
        row = {"samples": len(values), "resets": 0}
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
    columns = ["samples", "resets", "increase", "before_s", "after_s", "rate"]
    return pd.DataFrame(rows, index=times, columns=columns)
    ### END SOLUTION


# %% [markdown]
# The visible check: the example, a young counter whose zero matters, a marker, distances just below the limit, a
# constant counter, and times out of order.


# %% nbgrader={"grade": true, "grade_id": "check-rate", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
def _check_rates(what, seconds, values, ends, width, expected):
    start = pd.Timestamp("2026-05-04T10:00Z")
    series = pd.Series(values, start + pd.to_timedelta(seconds, unit="s"), dtype=float)
    at = start + pd.to_timedelta(ends, unit="s")
    found = counter_rate(series.copy(), at, pd.Timedelta(width, "s"))
    names = ["samples", "resets", "increase", "before_s", "after_s", "rate"]
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
_check_rates(
    "the example", [10, 20, 30, 40], [4, 10, 3, 9], [70, 45, 180, 10], 60,
    [
        (3, 1, 9, 10, 5, 0.2625), (4, 1, 15, 5, 5, 1 / 3),
        (0, 0, _check_nan, _check_nan, _check_nan, _check_nan), (1, 0, _check_nan, _check_nan, _check_nan, _check_nan),
    ],
)  # fmt: skip
_check_rates(
    "a young counter (rule 6)", [100, 160, 220], [10, 70, 130], [240], 240,
    [(3, 0, 120, 10, 20, 120 * 150 / 120 / 240)],
)  # fmt: skip
_check_rates(
    "the zero lies beyond half a spacing (rule 6 after rule 5)", [100, 160, 220], [50, 110, 170],
    [240], 240, [(3, 0, 120, 30, 20, 120 * 170 / 120 / 240)],
)  # fmt: skip
_check_rates(
    "a staleness marker is no sample", [0, 10, 20, 30, 40], [50, 60, _check_nan, 65, 75], [45, 40], 40,
    [(3, 0, 15, 5, 5, 15 * 40 / 30 / 40), (3, 0, 15, 10, 0, 15 * 40 / 30 / 40)],
)  # fmt: skip
_check_rates(
    "between 1 and 1.1 spacings (rule 5)", [10, 20, 30], [100, 103, 108], [40.5], 41,
    [(3, 0, 8, 10.5, 10.5, 0.4)],
)  # fmt: skip
_check_rates(
    "a counter that stands still", [0.5, 15.5, 30.5], [7, 7, 7], [32], 60,
    [(3, 0, 0, 7.5, 1.5, 0)],
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
# ## Histograms, and what their quantiles are worth
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
# 2. There are fewer than two buckets, or none with the bound $+\infty$, or no observations: NaN.
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
# The same requests, three answers. The default bounds find that something happened at 11:25, and no more. They read too
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
# ### Exercise 2 · `histogram_quantile`, and how sure it is (10 points)
#
# **Write** `histogram_quantile(q, buckets)`. `q` is any float but exactly 0. `buckets` is a Series of cumulative
# counts (0 or more, often fractions, since they are rates), indexed by upper bound (floats, all different, **in any
# order**, $+\infty$ among them or not); it may be empty. Return a dict with
#
# - `value`: the estimate, by rules 1 to 7 above;
# - `low`, `high`: the bounds between which the quantile surely lies, if the counts are right. They are the
#   bounds of rule 7; $-\infty$ and the bound under rule 6; the highest finite bound and $+\infty$ under rule 5; NaN and NaN
#   under rules 1 and 2.
#
# **Right means:** each within 1e-6 (relative). Python floats, NumPy floats and integers are all fine.
#
# **Example:** counts 20, 80, 96, 100 at the bounds 0.1, 0.5, 1 and $+\infty$.
#
# | q | rank | value | low | high |
# |---|---|---|---|---|
# | 0.9 | 90 | 0.5 + 0.5 × (90 − 80)/(96 − 80) = 0.8125 | 0.5 | 1 |
# | 0.1 | 10 | 0 + 0.1 × 10/20 = 0.05 | 0 | 0.1 |
# | 0.99 | 99 | 1 | 1 | +∞ |
# | 1.5 | | +∞ | NaN | NaN |
#
# **Scored:** five unseen batches of 36 histograms, 2 points each. A batch has six kinds: the quantile in a middle
# bucket, in the first bucket (rules 6 and 7), in the bucket of $+\infty$, counts that need repair, $q$ outside 0 to 1, and nothing to
# compute (rule 2). `low` and `high`, over all kinds, are judged as a seventh. All seven right 2 points, six 0.8, five
# 0.2. 5 s a call.


# %% nbgrader={"grade": false, "grade_id": "histogram-quantile", "locked": false, "schema_version": 3, "solution": true, "task": false}
def histogram_quantile(q: float, buckets: pd.Series) -> dict[str, float]:
    """Estimate a quantile from cumulative buckets, as Prometheus does.

    Parameters
    ----------
    q : float
        Which quantile; may lie outside 0 to 1 or be NaN.
    buckets : Series of float
        Cumulative counts, indexed by upper bound (any order); may be empty.

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
    counts = buckets.sort_index().cummax()
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
    _check_answer = histogram_quantile(
        _check_q,
        pd.Series(
            list(_check_buckets.values()), pd.Index(list(_check_buckets), dtype=float), dtype=float
        ),
    )
    assert isinstance(_check_answer, dict), f"return a dict, not {type(_check_answer).__name__}"
    for _check_key, _check_value in zip(("value", "low", "high"), _check_expected, strict=True):
        assert _check_key in _check_answer, f"the dict has no {_check_key!r}"
        assert np.isclose(_check_answer[_check_key], _check_value, rtol=1e-6, equal_nan=True), (
            f"{_check_what}: expected {_check_key} = {_check_value}, found "
            f"{_check_answer[_check_key]}, for q = {_check_q} of {_check_buckets}"
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
        prom_found = histogram_quantile(q, prom_bucket_rates)
        print(
            f"{prom_minute[11:16]} p{100 * q:.0f}: {prom_found['value']:.2f} s, "
            f"surely between {prom_found['low']:g} and {prom_found['high']:g} s"
        )

# %% [markdown]
# ## Cardinality: what a label costs
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
# into logs and traces. An **exemplar**, a trace id attached to one observation of a bucket, gives you the way from the metric to
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

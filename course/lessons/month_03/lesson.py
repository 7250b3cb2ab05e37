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
# # Month 3 · Anomaly detection
#
# **03:02, Tuesday.** Your phone rings: *checkout returns errors*. You open the shop's dashboard and
# scroll back. The evening before, at 19:23, minutes after a mail to all customers, the old static alert
# `cpu > 75 %` had paged the team over three single minutes of high CPU: more customers, more work, nothing
# wrong. Everybody went to bed annoyed. At 01:40 a new cache in the `payment` service began to leak memory.
# No alert looked at memory, and no customer noticed. At 02:58 the memory was full, at 03:00 the process was
# killed and started again, errors reached checkout, and at 03:02 the static alert on errors paged:
# **82 minutes after the fault began**, and more than seven and a half hours after the page that
# nobody needed.
#
# The next cell replays that night.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course import plots, shop

plots.use_style()

night = shop.Scenario(
    pd.Timestamp("2026-03-30T14:00Z"),
    minutes=15 * 60,
    seed=112,
    surges=(shop.Surge("marketing_mail", start=320, minutes=75, size=1.0),),
    faults=(shop.Fault("memory_leak", "payment", start=700, minutes=150, severity=0.35),),
)
recording = shop.simulate(night)
leak = pd.DataFrame([vars(fault) for fault in shop.truth(night)])[["start", "end"]]

figure, axes = plots.grid(3, height=1.7)
cpu = 100 * recording.service("storefront")["cpu_utilization"]
memory = 100 * recording.service("payment")["memory_utilization"]
errors = 100 * recording.service("checkout")["error_ratio"]
plots.timeline(
    cpu, ax=axes[0], ylabel="CPU (%)", title="storefront: a mail to all customers crosses the line"
)
axes[0].axhline(75, color=plots.RED, ls="--", lw=1)
plots.timeline(
    memory, ax=axes[1], ylabel="memory (%)", events=leak, title="payment: a leak nobody watches"
)
plots.timeline(
    errors, ax=axes[2], ylabel="errors (%)", events=leak, title="checkout: the page comes too late"
)
axes[2].axhline(5, color=plots.RED, ls="--", lw=1)
plt.show()

# %% [markdown]
# The dashed lines are the two static alerts. The one in the first panel is a false alarm, the one in the
# third is late, and the signal that would have told the truth more than an hour earlier, in the second, had
# no alert at all. One fixed line can't do better: what is normal for CPU at 19:00 is abnormal at 03:00, and
# what matters at 03:00 is on another metric.
#
# ## What you will learn
#
# | objective | where |
# |---|---|
# | understand anomaly detection | sections 1 and 7 |
# | master time series analysis | sections 2 and 3 |
# | learn detection algorithms | sections 3 to 6 |
# | practice with detection tools | sections 5, 8 and 10 |
#
# **Milestone:** you can detect anomalies in production systems. You prove it with a detector of
# your own design on 40 incidents and 30 quiet days that neither you nor it has seen.
#
# **Time:** four to eight hours. **You need:** pandas, NumPy, months 1 and 2 or the like.
#
# ## How you are graded
#
# Each exercise asks for one to three functions. The cell below it checks a few things at once and tells you
# what it expected. Passing it is a good sign, but the points come later, from hidden checks that call
# **your function on telemetry it has never seen**. So write what the text says, not what the
# visible check happens to test. Three rules hold everywhere:
#
# - Times are UTC, samples are one minute apart unless stated, a missing sample is `NaN` and never 0.
# - A detector may use the past and the present, **never the future**.
# - Names of variables, the method inside and the order of columns are yours, unless the text fixes
#   them. Helper functions and imports may stand in the same cell. Each cell may use the
#   imports and names of the cells above it. The cells with checks use names that begin with
#   `_check_`, so they never overwrite yours.
#
# The telemetry of this month is four quiet weeks of the shop, one sample a minute.

# %%
# NBVAL_CHECK_OUTPUT
from course import telemetry

history = telemetry.load("shop-quiet-28d")
print(f"{len(history):,} minutes from {history.index[0]:%Y-%m-%d} to {history.index[-1]:%Y-%m-%d}")
print(f"{history.columns.get_level_values('service').nunique()} services, metrics of each:")
print(*history["checkout"].columns, sep=", ")

# %% [markdown]
# ## 1 · What an anomaly is
#
# An anomaly is an observation that a model of *normal* did not expect. The survey of Chandola,
# Banerjee and Kumar (ACM Computing Surveys, 2009) sorts anomalies into three kinds, and the kind
# decides which model of normal you need:
#
# - **Point:** one value is odd by itself. Latency is 4 s. A threshold finds it.
# - **Contextual:** the value is odd *here and now*. 40 requests/s are normal at noon and odd at
#   four in the morning. You need a model of the context, such as the hour of the week.
# - **Collective:** no single value is odd, the run of them is. Latency sits 15 % above normal for
#   an hour. You need a memory, such as a cumulative sum, or the shape of a whole window.
#
# The next cell puts one of each into a real day of the shop's storefront.

# %%
day = history["storefront"].loc["2026-03-24"]
point = day["latency_p99_ms"].copy()
point.iloc[800] *= 8

contextual = day["request_rate"].copy()
contextual.iloc[240:270] = day["request_rate"].iloc[720:750].to_numpy()

collective = day["latency_p50_ms"].copy()
collective.iloc[1000:1090] *= 1.15

figure, axes = plots.grid(3, height=1.6)
for ax, series, where, title, unit in [
    (axes[0], point, (800, 800), "Point: one value that is never normal", "p99 (ms)"),
    (axes[1], contextual, (240, 269), "Contextual: noon's traffic at four o'clock", "requests/s"),
    (axes[2], collective, (1000, 1089), "Collective: 15 % slower for 90 minutes", "p50 (ms)"),
]:
    window = pd.DataFrame({"start": [day.index[where[0] - 8]], "end": [day.index[where[1] + 8]]})
    plots.timeline(series, ax=ax, ylabel=unit, title=title, events=window, shaded="anomaly")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# The first needs no more than a fixed threshold. The second vanishes in a histogram of the whole day: the
# same values occur at noon. The third is hard to see even when you know where it is, and yet 15 % for an
# hour and a half is what a bad deploy often looks like.
#
# An anomaly is not an incident. A flash sale is an anomaly and good news. A detector finds what is
# unusual; whether somebody should get up is decided by what users feel (month 5) and by what
# caused it (month 6).
#
# ## 2 · Seasons, trend and autocorrelation
#
# Traffic of a shop has a daily **season**, a weekly one, a slow **trend**, and noise that is not
# independent from minute to minute. Two tools show what is there before you assume anything.
#
# The **periodogram** says how much of the variance each frequency carries. The
# **autocorrelation function (ACF)** says how similar the series is to itself a while ago: at lag
# $k$ it is the correlation of $x_t$ and $x_{t-k}$. A season of length $p$ gives a peak of the
# periodogram at the frequency $1/p$, at its multiples $2/p, 3/p, \dots$ (the harmonics, when the
# shape is not a sine), and hills (local maxima) of the ACF at $p, 2p, \dots$
#
# The two err in different ways. The periodogram is sharp for short periods and coarse for long
# ones: with $n$ samples it knows only the periods $n, n/2, n/3, \dots$ The ACF is precise for long
# periods but shows every multiple. Used together, a peak of the one is confirmed by a hill of the
# other (Vlachos, Yu and Castelli, SDM 2005).

# %%
from scipy import signal

quarter = history["checkout"]["request_rate"].resample("15min").mean()
values = signal.detrend(quarter.to_numpy())

frequency, power = signal.periodogram(values, window="hann")
centred = values - values.mean()
spectrum = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
acf = np.fft.irfft(spectrum)[: len(centred)] / np.arange(len(centred), 0, -1)
acf /= acf[0]

figure, axes = plt.subplots(1, 2, figsize=(9, 2.8))
axes[0].loglog(0.25 / frequency[1:], power[1:])  # a sample is a quarter of an hour
axes[0].set(
    title="Peaks at 24 h and 12 h; the week is faint",
    xlabel="period (hours)",
    ylabel="power",
)
axes[0].set_xticks([1, 4, 12, 24, 168], ["1", "4", "12", "24", "168"])
axes[0].minorticks_off()
hours = np.arange(8 * 96) / 4
axes[1].plot(hours / 24, acf[: 8 * 96])
axes[1].set(title="Highest hill at 7 days", xlabel="lag (days)", ylabel="autocorrelation")
plt.show()

# %% [markdown]
# (The peaks at 21 and 28 hours, higher than that of the week, are explained below; the one at 8 hours is
# the third harmonic of the day.) The 12-hour peak is no season of its own: it is the second harmonic of the
# daily shape. Traffic has one maximum a day, at about 18:30, but the wave is no sine: its hill is narrower
# than its valley, and harmonics are what that takes. If you subtract the average day, the mean of all
# samples at the same phase, every harmonic of 24 h goes with it, and the week stands out in what is left.
#
# That gives a recipe. Let the series have $n$ samples, and `acf` be the ACF of what is left after the
# periods found so far.
#
# 1. **Candidate.** Take the highest peaks of the periodogram, a dozen at most, strongest first. A peak at
#    the frequency $k/n$ (entry $k$ of the periodogram) stands for a period of about $n/k$ samples, and for
#    nothing sharper than the range from $n/(k+1)$ to $n/(k-1)$. Leave out what has fewer than three cycles
#    or fewer than four samples a cycle.
# 2. **Refine.** A true period $p$ has hills at $p$, $2p$, $3p$ and so on. So choose the lag in that
#    range at which the mean of `acf[p], acf[2p], …` (up to $n/3$) is highest: the far hills tell the
#    period more sharply than the first. It must be the top of a hill, a local maximum of the ACF; a lag on the
#    slope of a longer season's hill is no period.
# 3. **Confirm.** A season makes the ACF high at $p$ and low at $p/2$. Ask for
#    `acf[p] - acf[p/2] > 0.35`. Autocorrelated noise has large power at low frequencies, too, but its
#    ACF has no such hill, up to chance. Chance is largest where the series holds few cycles: with
#    fewer than eight ask for 0.5.
# 4. **Of comparable peaks the shorter.** A week of days has a hill at 24 h *and* at 48 h. Keep a lag
#    only if its hill is at least 0.7 times the highest one between it and $n/3$, and drop a lag within
#    a factor of 1.5 of a period that you have already. In a shop the weekend also changes the *shape*
#    of the day. A daily wave that is weaker on two days of seven has extra peaks at 21 and 28 hours
#    (the frequencies $1 \pm 1/7$ per day); their hills are low, and this rule drops them.
# 5. **Subtract** the average shape of the period that you kept, and begin again at 1.
#
# One case breaks these rules: two seasons of nearly the same strength. The longer one lowers the hills of
# the shorter, so that rule 4 keeps the longer first, and its average shape over a few cycles takes a good
# part of the shorter one along. Two remedies: judge a candidate of which the series holds many cycles (eight or
# more) on the ACF of the series *less a moving average* over about two of its cycles, which takes out what is
# slower; and of two confirmed candidates subtract the shorter first.
#
# Missing samples: a straight line between the neighbours (`interpolate`) changes an ACF little while
# gaps are short. If a good part is missing, set the gaps to the mean and divide each lag by the number
# of pairs that are there.
#
# **STL** (Cleveland et al., Journal of Official Statistics, 1990) splits a series with a known
# period into *trend + seasonal + residual* by local regression (loess). With `robust=True` it
# weighs outliers down, so that one incident doesn't bend the seasonal shape. Two warnings:
#
# - STL at one minute with a daily period takes minutes to run. On 15-minute means it takes a few seconds,
#   less than one with the `jump` arguments below, and a season has no use for one-minute detail.
# - STL smooths to both sides: the residual at 12:00 depends on 12:15. **It looks ahead.** Use it
#   to explore the past, never to raise an alert.

# %%
from statsmodels.tsa.seasonal import STL

# Slow parts are fitted at every tenth sample and joined by lines: no visible difference, less time.
parts = STL(quarter, period=96, robust=True, trend_jump=10, low_pass_jump=10, seasonal_jump=3).fit()
figure, axes = plots.grid(3, height=1.5)
plots.timeline(
    {"15-minute mean": quarter, "trend": parts.trend},
    ax=axes[0], ylabel="requests/s", title="checkout: a daily wave on a slow trend",
)  # fmt: skip
axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.timeline(
    parts.seasonal, ax=axes[1], ylabel="requests/s", title="The seasonal part changes slowly"
)
plots.timeline(
    parts.resid,
    ax=axes[2],
    ylabel="requests/s",
    title="The rest: every weekend is odd to a daily season",
)
plt.show()

# %% [markdown]
# With a period of one day the *weekend* has no place: it ends up in the residual. STL knows one season
# only; `statsmodels.tsa.seasonal.MSTL` takes several. And look at the middle panel: the seasonal part
# is not the same on each day. STL's parameter `seasonal` (default 7) says over how many *cycles* the
# shape is smoothed. With 7, an incident on one day bends the shape of the days around it, with
# `robust=True`, too, and part of the noise goes into it: the default fails exercise 1. A season that
# repeats unchanged wants a window of more cycles than the series holds (the number must be odd), and
# `seasonal_deg=0` fits a level to the cycles instead of a slope. With a long period and few cycles even then
# two incidents at the same place weigh much. If a season repeats unchanged and the trend is slow, a plainer
# model does better: a smooth curve plus one level per phase, fitted robustly.
#
# ### Exercise 1 · Find the seasons and decompose (10 points)
#
# **Write** `find_periods(series, max_periods=2)` and `decompose(series, period)`.
#
# `find_periods` gets a regular series (any step; up to a twentieth of the samples may be `NaN`, here and
# there; it may have a slow linear trend) and returns a list of `pd.Timedelta`, **shortest first**: at most
# `max_periods` seasonal periods.
#
# - A period counts only if the series holds at least three cycles of it and each cycle has at least
#   four samples. Periods are whole numbers of samples.
# - Harmonics of a period are not periods of their own.
# - Multiples of a period are not either, if their hills vanish once the shorter period's average
#   shape is subtracted. A week that remains after the day is a period.
# - Two seasons differ by a factor of five or more. A season may have two hills a cycle, so that its second
#   harmonic is as strong as the first.
# - Seasons repeat unchanged. Their standard deviations are of the same order, the shorter period's the larger.
# - A series without a season gives `[]`, also if its noise is strongly autocorrelated: at neighbouring
#   samples up to 0.9.
#
# `decompose` gets three weeks at **one-minute** steps (some samples may be `NaN`, and once some forty in a
# row) and one period, a multiple of 15 minutes up to 28 hours. It returns a DataFrame with the columns
# `trend`, `seasonal`, `residual` on the grid of 15-minute means (`resample("15min")`). The three add up to
# the 15-minute mean. A 15-minute slot without any sample counts as the straight line between its neighbours
# (at an edge: as its nearest neighbour). The trend is slow: it turns at most twice in three weeks. The
# seasonal part repeats unchanged. Incidents may bend neither, even if they are ten or twenty times as high
# as the wave and come back at the same place of another cycle. A constant may be in the trend or in the
# seasonal part, as you like.
#
# **Right** means: each period within 5 % of the true one; the sum exact to 1e-6; trend and seasonal
# part close to the true ones: full points up to a root mean square error of 20 % of the part's own
# standard deviation, none from 50 %; the worse of the two parts counts. The error of the seasonal part is
# taken day by day and the worst day counts, because that is where an incident bends it.
#
# **Example:** for `quarter` above, `find_periods` returns `[Timedelta('1 days'), Timedelta('7 days')]`,
# give or take a few samples on the week.
#
# **Scored:** 6 points for the periods: unseen series of four to five weeks at 15 minutes, five with
# seasons (two with a day or a day and a week, three with others that you can't guess) and two without.
# The points for the five are multiplied by the share of the two in which you find nothing, and those for
# a day, which is easily guessed, by the share of the other three that is right as well. 4 points for two
# decompositions with different periods. 20 s a call.


# %% nbgrader={"grade": false, "grade_id": "decompose", "locked": false, "schema_version": 3, "solution": true, "task": false}
def find_periods(series: pd.Series, max_periods: int = 2) -> list[pd.Timedelta]:
    """Find seasonal periods, shortest first.

    Parameters
    ----------
    series : Series
        Regular DatetimeIndex of any step; may hold NaN.
    max_periods : int
        How many periods to return at most.

    Returns
    -------
    list of Timedelta
        Empty if the series has no season.
    """
    ### BEGIN SOLUTION
    step = series.index[1] - series.index[0]
    rest = signal.detrend(series.interpolate(limit_direction="both").to_numpy(dtype=float))
    n = len(rest)
    found: list[int] = []
    while len(found) < max_periods:
        frequency, power = signal.periodogram(rest, window="hann")
        power[(frequency < 2.9 / n) | (frequency > 1 / 4)] = 0
        spectrum = np.abs(np.fft.rfft(rest - rest.mean(), 2 * n)) ** 2
        acf = np.fft.irfft(spectrum)[:n] / np.arange(n, 0, -1)
        acf /= acf[0]
        for peak in np.argsort(power)[::-1][:12]:
            shortest, longest = int(n / (peak + 1)), int(np.ceil(n / (peak - 1)))
            # The hills at the multiples tell the period more sharply than the first alone.
            lags = range(shortest, longest + 1)
            lag = max(lags, key=lambda k: acf[k : max(k, n // 3) + 1 : k].mean())
            hill = acf[lag] - acf[lag // 2] > (0.35 if n / lag >= 8 else 0.5)
            hill = hill and not any(2 / 3 < lag / known < 3 / 2 for known in found)
            if power[peak] > 0 and hill and acf[lag] > 0.7 * acf[lag : max(lag, n // 3) + 1].max():
                break
        else:
            break
        found.append(lag)
        phase = np.arange(n) % lag
        rest = rest - (np.bincount(phase, rest) / np.bincount(phase))[phase]
    return [lag * step for lag in sorted(found)]
    ### END SOLUTION


def decompose(series: pd.Series, period: pd.Timedelta) -> pd.DataFrame:
    """Split a one-minute series into trend, seasonal part and residual.

    Parameters
    ----------
    series : Series
        One-minute DatetimeIndex; may hold NaN.
    period : Timedelta
        The season, a multiple of 15 minutes.

    Returns
    -------
    DataFrame
        Columns `trend`, `seasonal`, `residual`; one row per 15 minutes.
    """
    ### BEGIN SOLUTION
    means = series.resample("15min").mean().interpolate(limit_direction="both")
    cycle = round(period / pd.Timedelta("15min"))
    # A window of more cycles than there are: the seasonal part hardly changes from cycle to cycle.
    steady = 2 * (len(means) // cycle) + 7
    parts = STL(
        means, period=cycle, seasonal=steady + 1 - steady % 2, seasonal_deg=0, robust=True,
        trend_jump=10, low_pass_jump=10, seasonal_jump=3,
    ).fit()  # fmt: skip
    return pd.DataFrame({"trend": parts.trend, "seasonal": parts.seasonal, "residual": parts.resid})
    ### END SOLUTION


# %% [markdown]
# The visible check uses traffic of the storefront, with and without its seasons.

# %% nbgrader={"grade": true, "grade_id": "check-decompose", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
_check_traffic = history["storefront"]["request_rate"]
_check_periods = find_periods(_check_traffic.resample("15min").mean())
assert isinstance(_check_periods, list), f"return a list, not {type(_check_periods).__name__}"
assert len(_check_periods) == 2, f"storefront traffic has two seasons, you found {_check_periods}"
for _check_found, _check_expected in zip(
    _check_periods, [pd.Timedelta("1D"), pd.Timedelta("7D")], strict=True
):
    assert abs(_check_found / _check_expected - 1) < 0.05, (
        f"expected about {_check_expected}, found {_check_found}"
    )
_check_three = find_periods(_check_traffic.iloc[: 21 * 1440].resample("15min").mean())
assert len(_check_three) == 2, f"21 days hold exactly three weeks: two seasons, not {_check_three}"
_check_index = pd.date_range("2026-03-02", periods=2688, freq="15min", tz="UTC")
for _check_seed, _check_phi in [(0, 0.0), (1, 0.8), (2, 0.9), (3, 0.9)]:
    _check_noise = np.random.default_rng(_check_seed).normal(size=2688)
    _check_noise = pd.Series(signal.lfilter([1], [1, -_check_phi], _check_noise), _check_index)
    _check_periods = find_periods(_check_noise)
    assert _check_periods == [], (
        f"noise with a lag-1 autocorrelation of {_check_phi} has no season, found {_check_periods}"
    )
_check_t = np.arange(2688)
_check_two = pd.Series(
    3.5 * np.sin(2 * np.pi * _check_t / 26)
    + 2.3 * np.sin(2 * np.pi * _check_t / 470)
    + signal.lfilter([1], [1, -0.5], np.random.default_rng(4).normal(0, 0.87, 2688)),
    _check_index,
)
_check_two[np.random.default_rng(5).uniform(size=2688) < 0.03] = np.nan
_check_periods = find_periods(_check_two)
assert len(_check_periods) == 2, (
    f"a series with NaN and seasons of 6.5 h and 117.5 h has two, you found {_check_periods}"
)
assert abs(_check_periods[1] / pd.Timedelta("117.5h") - 1) < 0.05, _check_periods
_check_angle = 2 * np.pi * _check_t / 361
_check_hills = pd.Series(
    3.5 * (np.sin(_check_angle) + 1.1 * np.cos(2 * _check_angle)), _check_index
)
_check_hills += np.random.default_rng(6).normal(size=2688)
_check_periods = find_periods(_check_hills)
assert len(_check_periods) == 1 and abs(_check_periods[0] / pd.Timedelta("90.25h") - 1) < 0.05, (
    f"one season of 90.25 h with two hills a cycle: half of it is no season, found {_check_periods}"
)
_check_minutes = pd.date_range("2026-03-02", periods=21 * 1440, freq="min", tz="UTC")
_check_wave = pd.Series(3 * np.sin(2 * np.pi * np.arange(21 * 1440) / 1440), _check_minutes)
_check_hurt = _check_wave + np.linspace(0, 6, 21 * 1440)
_check_hurt += np.random.default_rng(1).normal(0, 1, 21 * 1440)
for _check_day in (4, 9, 15):
    _check_hurt.iloc[_check_day * 1440 + 700 : _check_day * 1440 + 850] += 30
_check_parts = decompose(_check_hurt, pd.Timedelta("1D"))
assert set(_check_parts.columns) == {"trend", "seasonal", "residual"}, list(_check_parts.columns)
_check_bent = _check_parts["seasonal"] - _check_parts["seasonal"].mean()
_check_bent = (_check_bent - _check_wave.resample("15min").mean()).abs().max()
assert _check_bent < 1.5, f"incidents on three days bend the seasonal part by {_check_bent:.1f}"
_check_rise = _check_parts["trend"].iloc[-96:].mean() - _check_parts["trend"].iloc[:96].mean()
assert 4.5 < _check_rise < 7, f"the trend rises by about 5.7, yours by {_check_rise:.1f}"
_check_gap = (_check_parts.sum(axis=1) - _check_hurt.resample("15min").mean()).abs().max()
assert _check_gap < 1e-6, (
    f"the parts must add up to the 15-minute mean; they miss it by {_check_gap:.3g}"
)
print("exercise 1: the visible check passes")

# %% [markdown]
# ## 3 · A robust, causal baseline
#
# The most used score in operations is the **z-score**: how many standard deviations away from the
# mean. It has a weakness that operations meet every week: the incident of last Tuesday is *in the
# history*. One hour of errors moves the mean and blows up the standard deviation, and the next
# incident looks normal. Statisticians say that mean and standard deviation have a **breakdown
# point** of 0: a single wild value can move them anywhere. The **median** and the **median absolute
# deviation**
#
# $$\mathrm{MAD} = \operatorname{median}_i \left|x_i - \operatorname{median}(x)\right|$$
#
# have a breakdown point of one half (Rousseeuw and Croux, JASA, 1993). For normally distributed
# data $1.4826 \cdot \mathrm{MAD}$ estimates the standard deviation, so
#
# $$z_t = \frac{x_t - \operatorname{median}}{1.4826 \cdot \mathrm{MAD}}$$
#
# reads like a z-score. Context comes in by choosing *which* samples the median is taken over: for
# Tuesday 14:xx, those of the previous Tuesdays between 14:00 and 15:00. That is the baseline per
# **hour of the week**: 168 small models instead of one.
#
# The next cell puts a one-hour incident into a past Wednesday and compares the two bands.

# %%
wednesday = pd.Timestamp("2026-03-25", tz="UTC")
latency = history["checkout"]["latency_p99_ms"].copy()
spoilt = (latency.index >= wednesday - pd.Timedelta("7D") + pd.Timedelta("14h")) & (
    latency.index < wednesday - pd.Timedelta("7D") + pd.Timedelta("15h")
)
latency[spoilt] *= 6

slot = latency.index.day_of_week * 24 + latency.index.hour
past = latency[latency.index < wednesday]
groups = past.groupby(slot[latency.index < wednesday])
mean, deviation = groups.mean(), groups.std()
median = groups.median()
mad = groups.agg(lambda x: 1.4826 * (x - x.median()).abs().median())

today = latency.loc["2026-03-25"]
hour = today.index.day_of_week * 24 + today.index.hour
figure, axes = plots.grid(2, height=2.0)
for ax, centre, spread, title in [
    (axes[0], mean, deviation, "Mean ± 3 SD: blind at 14:00, because of last Wednesday"),
    (axes[1], median, mad, "Median ± 3 robust SD: wider at 14:00, but not blind"),
]:
    low = (centre - 3 * spread).loc[hour].to_numpy()
    high = (centre + 3 * spread).loc[hour].to_numpy()
    ax.fill_between(today.index, low, high, color=plots.SKY, alpha=0.4, label="expected")
    plots.timeline({"p99": today}, ax=ax, ylabel="p99 (ms)", title=title)
plt.show()

# %% [markdown]
# Look at 14:00 to 15:00. The band in the first panel would let nine times the usual latency pass. The
# one in the second is twice as wide as in the hours before and after (1014 ms instead of 489 and
# 498 ms), because the incident makes up a third of that hour's reference. Its upper edge is 1.7 times
# the usual latency of that hour instead of 1.4 times, so an incident of twice the normal latency still
# sticks out, if only just.
#
# "Causal" means that the score at time $t$ uses nothing later than $t$. There are three popular
# ways to break it without noticing: scaling by the mean of the *whole* series, windows centred on
# $t$, and baselines that include the sample which is being judged. You will see in section 7 what
# that does to a result.
#
# Two details decide whether such a baseline works in production. With few samples the MAD is
# unreliable, so below a minimum there should be no score at all. And when a metric is constant,
# such as an error ratio of exactly 0 at night, the MAD is 0 and any blip has an infinite score. So
# the scale needs a floor.
#
# ### Exercise 2 · A causal robust z-score (15 points)
#
# **Write** `robust_zscore(series, *, weeks=4, min_samples=60, min_scale=1e-6)`.
#
# For each sample, the **reference** is all samples of the same hour of the week in the `weeks`
# weeks before: for a sample on Tuesday at 14:20, those from 14:00:00 up to, not including, 15:00
# on the Tuesdays 7, 14, …, `7 * weeks` days earlier. Samples that are `NaN` don't count. Then
# `z = (x - median) / max(1.4826 * MAD, min_scale)`, with median and MAD of the reference.
#
# **Right** means: a Series of floats on the same index. `NaN` where the reference has fewer than
# `min_samples` samples or where the sample itself is `NaN`. The index is sorted, UTC, without
# duplicates, but **may have gaps**: minutes that are missing altogether.
# Agreement to 1e-6. The past must not change when the future does. Five weeks of minutes take at
# most 10 s (grouping by hour is fast; a loop over samples is not).
#
# **Example:** two weeks that are constant at 5, with one sample of 7 in the second week:
# that sample has `z = 2 / min_scale` with `weeks=1`, all others in the second week 0, and the
# whole first week is `NaN`.
#
# **Scored:** five unseen series of different services, with gaps, `NaN`, constant stretches, other
# `weeks`, `min_samples` and `min_scale`, equal points each. All scores of a series must be right, within
# 10 s.


# %% nbgrader={"grade": false, "grade_id": "robust-z", "locked": false, "schema_version": 3, "solution": true, "task": false}
def robust_zscore(
    series: pd.Series, *, weeks: int = 4, min_samples: int = 60, min_scale: float = 1e-6
) -> pd.Series:
    """Score each sample against the same hour of the week in the weeks before.

    Parameters
    ----------
    series : Series
        Sorted UTC DatetimeIndex, nominally one minute; may have gaps and NaN.
    weeks : int
        How many earlier weeks the reference takes in.
    min_samples : int
        Below this many reference samples the score is NaN.
    min_scale : float
        Floor of the robust standard deviation, in the unit of the series.

    Returns
    -------
    Series
        Robust z-scores on the same index.
    """
    ### BEGIN SOLUTION
    hours = series.index.floor("h")
    by_hour = {hour: group.to_numpy(dtype=float) for hour, group in series.groupby(hours)}
    centre, scale = {}, {}
    for hour in by_hour:
        earlier = [hour - week * pd.Timedelta("7D") for week in range(1, weeks + 1)]
        found = [by_hour[moment] for moment in earlier if moment in by_hour]
        reference = np.concatenate(found) if found else np.array([])
        reference = reference[~np.isnan(reference)]
        if len(reference) >= min_samples:
            centre[hour] = np.median(reference)
            mad = np.median(np.abs(reference - centre[hour]))
            scale[hour] = max(1.4826 * mad, min_scale)
    middle = hours.map(centre).to_numpy(dtype=float)
    spread = hours.map(scale).to_numpy(dtype=float)
    return (series - middle) / spread
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-robust-z", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
_check_index = pd.date_range("2026-03-02", periods=14 * 1440, freq="min", tz="UTC")
_check_flat = pd.Series(5.0, _check_index)
_check_flat.iloc[8 * 1440 + 30] = 7.0
_check_z = robust_zscore(_check_flat, weeks=1, min_scale=0.5)
assert isinstance(_check_z, pd.Series) and _check_z.index.equals(_check_index), (
    "return a Series on the same index"
)
assert _check_z.iloc[: 7 * 1440].isna().all(), "the first week has no reference: NaN"
assert abs(_check_z.iloc[8 * 1440 + 30] - 4.0) < 1e-6, (
    f"the sample of 7 is 2 above the median, the floor of the scale is 0.5: z is 4, "
    f"not {_check_z.iloc[8 * 1440 + 30]}"
)
_check_holes = pd.Series(np.arange(14.0 * 1440) % 7, _check_index)
_check_holes.iloc[60:90] = np.nan
_check_holes = _check_holes.drop(_check_holes.index[1440 + 100 : 1440 + 103])
_check_few = robust_zscore(_check_holes, weeks=1, min_samples=40)
assert _check_few.index.equals(_check_holes.index), "missing minutes stay missing in the answer"
assert _check_few.loc["2026-03-09 01"].isna().all(), (
    "the hour a week before holds 30 samples, fewer than min_samples=40: NaN"
)
assert _check_few.loc["2026-03-10 01"].notna().all(), (
    "an hour with three missing minutes holds 57 samples, enough for min_samples=40"
)
_check_p99 = history["payment"]["latency_p99_ms"]
_check_changed = _check_p99.copy()
_check_changed.iloc[-1440:] *= 3
_check_same = (
    robust_zscore(_check_p99).iloc[:-1440].equals(robust_zscore(_check_changed).iloc[:-1440])
)
assert _check_same, "the score of the past moved when only the last day changed: it looks ahead"
_check_week = robust_zscore(_check_p99, weeks=3).iloc[-7 * 1440 :]
assert 0.7 < _check_week.abs().median() / 0.6745 < 1.4, (
    f"on quiet data half of |z| lies below about 0.67, yours has the median {_check_week.abs().median():.2f}"
)
print("exercise 2: the visible check passes")

# %% [markdown]
# ## 4 · Small changes that stay: EWMA and CUSUM
#
# A z-score judges one minute at a time. A shift of one standard deviation that stays is invisible
# minute by minute and obvious after half an hour. Two classics of quality control add memory:
#
# - **EWMA** (Roberts, Technometrics, 1959): $s_t = \lambda x_t + (1-\lambda) s_{t-1}$, a moving
#   average that forgets. Alarm when $s_t$ leaves a band.
# - **CUSUM** (Page, Biometrika, 1954): add up what exceeds an allowance $k$, never below zero:
#
# $$S^+_t = \max(0,\; S^+_{t-1} + z_t - k), \qquad S^-_t = \max(0,\; S^-_{t-1} - z_t - k)$$
#
#   Alarm when either exceeds $h$, then start again from zero. With $k = 0.5$ it is tuned for
#   shifts of about one standard deviation.
#
# The next chart draws the upper sum *without* the restart, so that you see how far it climbs; the dashed
# line is $h = 8$.

# %%
rng = np.random.default_rng(4)
minutes = pd.date_range("2026-03-25", periods=360, freq="min", tz="UTC")
shifted = pd.Series(rng.normal(size=360), minutes)
shifted.iloc[200:] += 1.0

up = np.zeros(360)
for t in range(1, 360):
    up[t] = max(0.0, up[t - 1] + shifted.iloc[t] - 0.5)
path = pd.Series(up, minutes)

figure, axes = plots.grid(2, height=1.8)
shift = pd.DataFrame({"start": [minutes[200]], "end": [minutes[-1]]})
plots.timeline(
    {"z": shifted, "EWMA, λ = 0.1": shifted.ewm(alpha=0.1, adjust=False).mean()},
    ax=axes[0], ylabel="z", events=shift, shaded="shift",
    title="A shift of one standard deviation is hard to see",
)  # fmt: skip
plots.timeline(
    path, ax=axes[1], ylabel="S⁺", events=shift, shaded="shift",
    title="CUSUM leaves no doubt (drawn without restart)",
)  # fmt: skip
axes[1].axhline(8, color=plots.RED, ls="--", lw=1)
plt.show()

# %% [markdown]
# How high must $h$ be? The currency is the **average run length (ARL)**: the mean number of samples until
# an alarm. On quiet data (ARL₀) it should be long, after a change short. Textbooks give formulas, such as
# Siegmund's approximation (in his book *Sequential Analysis*, Springer, 1985) for a one-sided CUSUM of
# independent standard normal samples,
#
# $$\mathrm{ARL}_0 \approx \frac{e^{2kb} - 2kb - 1}{2k^2}, \qquad b = h + 1.166,$$
#
# and half of that when two sides are watched. The word that kills it is *independent*. Minutes of
# telemetry are not independent: a slow minute is followed by a slow minute. The next cell measures
# what that costs the upper sum.


# %%
from course.scoring import average_run_length


def autoregressive(phi: float, n: int, seed: int) -> np.ndarray:
    """AR(1) noise with standard deviation 1."""
    noise = np.random.default_rng(seed).normal(size=n) * np.sqrt(1 - phi**2)
    return signal.lfilter([1], [1, -phi], noise)


# %%
def climbs(z: np.ndarray) -> np.ndarray:
    """Where the upper sum alone, k = 0.5, exceeds 5 and starts again."""
    alarms, total = np.zeros(len(z), dtype=bool), 0.0
    for t, value in enumerate(z.tolist()):
        total = max(0.0, total + value - 0.5)
        if total > 5:
            alarms[t], total = True, 0.0
    return alarms


b = 5 + 1.166
formula = (np.exp(2 * 0.5 * b) - 2 * 0.5 * b - 1) / (2 * 0.5**2)
measured = {
    phi: average_run_length(climbs(autoregressive(phi, 200_000, 1))) for phi in (0, 0.3, 0.5, 0.7)
}
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.bar([str(phi) for phi in measured], list(measured.values()), color=plots.BLUE)
ax.axhline(formula, color=plots.RED, ls="--", lw=1, label="Siegmund's formula")
ax.set(
    title="Autocorrelation eats the promised ARL",
    xlabel="lag-1 autocorrelation of the samples",
    ylabel="samples per alarm",
)
ax.legend()
plt.show()
print("formula:", round(formula), " measured:", {p: round(a) for p, a in measured.items()})
for metric in ("latency_p99_ms", "latency_p50_ms"):
    logs = np.log(history["checkout"][metric])
    rest = logs - logs.groupby(logs.index.day_of_week * 24 + logs.index.hour).transform("median")
    print(
        f"checkout, {metric} less its hour's median: lag-1 autocorrelation {rest.autocorr(1):.2f}"
    )

# %% [markdown]
# The shop's minutes are like that: once the hour's median is taken away, checkout's p99 has a lag-1
# autocorrelation of 0.41 and its p50 one of 0.54. At 0.3 the detector raises nearly five times as many
# false alarms as the formula promised, at 0.5 nine times as many. The remedy is to measure instead of to
# assume: take quiet data and *resample* it. Drawing single samples would destroy the very autocorrelation
# that matters, so draw **blocks** of consecutive samples and join them (the block bootstrap: Künsch, Annals
# of Statistics, 1989). Blocks of an hour or two keep what is related within minutes (blocks should be
# several times as long as the memory, which the ACF shows). The lag-1 autocorrelation alone won't do: two series that share it
# may forget in two minutes or remember for half an hour, and the sums climb on what is remembered.
#
# One pass is enough for every $h$: along a resampled path, remember the highest value that
# $\max(S^+, S^-)$ has reached so far. The first time it exceeds $h$ is the run length for that $h$.
# Paths that end without an alarm still count: *total samples ÷ number of alarms* is the right
# estimate, because run lengths are close to exponentially distributed. The other way is to let the
# sums restart along the path and to count every alarm. That is what runs in production **and what
# exercise 3 measures**. On independent samples the two agree; on autocorrelated ones alarms come in pairs
# after a restart, and the first passage promises 10 to 30 % too much.
#
# ### Exercise 3 · Change detection by CUSUM (15 points)
#
# **Write** `cusum(z, k=0.5, h=8.0)` and
# `calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0)`.
#
# `cusum` returns a boolean Series on the index of `z`: `True` at each alarm. Both sums start at 0,
# and both start again at 0 *after* an alarm; the alarm is at the sample that takes a sum **above**
# `h` (not equal). A `NaN` changes nothing: the sums wait.
#
# `calibrate_threshold` gets a Series of quiet z-scores (`NaN` dropped or bridged, as you like) and
# returns the `h` (float) at which the two-sided CUSUM has an ARL₀ of `target_arl` samples on data
# *like these*. The same `seed` gives the same answer.
#
# **Right** means: `cusum` exact. For the threshold, the ARL₀ is measured on fresh data from the
# same source, with the sums restarting after each alarm.
#
# **Example:** `cusum(pd.Series([3.0, 3.0, 3.0, 3.0]), k=0.5, h=5.5)` is
# `[False, False, True, False]`: the sums are 2.5, 5.0, 7.5, and after the restart 2.5.
#
# **Scored:** 5 points for `cusum` on unseen series; 10 for the threshold on four pairs of unseen sources,
# three weeks of minutes each, `k` 0.4 or 0.5, `target_arl` from 500 to 800, some with heavier tails than
# the normal distribution. Both sources of a pair have the same target and the same lag-1 autocorrelation,
# about 0.5, and differ beyond it: one may forget within two samples, one may swing to and fro, and of one a
# part may stay for a quarter of an hour. The worse of the two counts, and the points of each pair are
# multiplied by the share of the four that is right. Full points while the measured ARL₀ is within a factor
# of 2.1 of the target (three weeks hold about fifty alarms, and a good bootstrap stays within 1.6), none at a
# factor of 2.9. 20 s a call.


# %% nbgrader={"grade": false, "grade_id": "cusum", "locked": false, "schema_version": 3, "solution": true, "task": false}
def cusum(z: pd.Series, k: float = 0.5, h: float = 8.0) -> pd.Series:
    """Two-sided CUSUM of a standardised series.

    Parameters
    ----------
    z : Series
        Standardised samples; may hold NaN.
    k : float
        Allowance per sample, in standard deviations.
    h : float
        Threshold.

    Returns
    -------
    Series of bool
        True at each alarm; both sums restart at 0 after it.
    """
    ### BEGIN SOLUTION
    alarms = np.zeros(len(z), dtype=bool)
    up = down = 0.0
    for i, value in enumerate(z.to_numpy(dtype=float)):
        if np.isnan(value):
            continue
        up, down = max(0.0, up + value - k), max(0.0, down - value - k)
        if up > h or down > h:
            alarms[i], up, down = True, 0.0, 0.0
    return pd.Series(alarms, index=z.index)
    ### END SOLUTION


def calibrate_threshold(
    quiet: pd.Series, *, k: float = 0.5, target_arl: float = 500, seed: int = 0
) -> float:
    """Find the threshold at which quiet data alarm once in `target_arl` samples.

    Parameters
    ----------
    quiet : Series
        Standardised samples without incidents.
    k : float
        Allowance of the CUSUM.
    target_arl : float
        Wanted mean number of samples per alarm.
    seed : int
        Of the bootstrap.

    Returns
    -------
    float
        The threshold h.
    """
    ### BEGIN SOLUTION
    values = quiet.dropna().to_numpy(dtype=float)
    block, paths = 120, 300
    blocks = int(np.ceil(4 * target_arl / block))
    starts = np.random.default_rng(seed).integers(0, len(values) - block + 1, (paths, blocks))
    samples = values[starts[:, :, None] + np.arange(block)].reshape(paths, -1)
    up, down, top = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    highest = np.empty_like(samples)
    for t in range(samples.shape[1]):
        up = np.maximum(0, up + samples[:, t] - k)
        down = np.maximum(0, down - samples[:, t] - k)
        top = np.maximum(top, np.maximum(up, down))
        highest[:, t] = top
    low, high = 0.0, float(highest.max())
    for _ in range(18):
        h = (low + high) / 2
        # `highest` never falls, so the samples before the first alarm are those at or below h.
        watched = np.minimum((highest <= h).sum(axis=1) + 1, highest.shape[1]).sum()
        alarms = (highest[:, -1] > h).sum()
        if watched < target_arl * alarms:
            low = h
        else:
            high = h
    return high
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-cusum", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
_check_alarms = cusum(pd.Series([3.0, 3.0, 3.0, 3.0]), k=0.5, h=5.5)
assert _check_alarms.tolist() == [False, False, True, False], (
    f"expected an alarm at the third sample only, found {_check_alarms.tolist()}"
)
_check_alarms = cusum(pd.Series([-3.0, np.nan, -3.0, -3.0]), k=0.5, h=5.5)
assert _check_alarms.tolist() == [False, False, False, True], (
    f"a NaN must change nothing and the lower side counts too, found {_check_alarms.tolist()}"
)
for _check_phi, _check_share in [(0.1, 1.0), (0.8, 1.0), (0.94, 0.5)]:
    _check_long = _check_share**0.5 * autoregressive(_check_phi, 80_000, 7)
    _check_long += (1 - _check_share) ** 0.5 * autoregressive(0.0, 80_000, 8)
    _check_quiet = pd.Series(_check_long[: 14 * 1440])
    _check_h = calibrate_threshold(_check_quiet, k=0.5, target_arl=300)
    assert isinstance(_check_h, float), f"return a float, not {type(_check_h).__name__}"
    assert _check_h == calibrate_threshold(_check_quiet, k=0.5, target_arl=300), (
        "the same seed, the same answer"
    )
    _check_arl = average_run_length(cusum(pd.Series(_check_long[20_000:]), k=0.5, h=_check_h))
    assert 300 / 1.6 < _check_arl < 300 * 1.6, (
        f"AR(1) noise of {_check_phi} with a share of {_check_share} of the variance: "
        f"h = {_check_h:.2f} gives an ARL of {_check_arl:.0f}, the target is 300"
    )
print("exercise 3: the visible check passes")

# %% [markdown]
# ### Change points, after the fact
#
# CUSUM answers *now*: has something changed? After an incident you ask another question: *when exactly* did
# it change? Then the future is known, and offline **change point detection** uses it. PELT (Killick,
# Fearnhead and Eckley, JASA, 2012) finds the segmentation that minimises the sum of squared deviations from
# a simple model per segment plus a penalty per change point. At work you take the package `ruptures`.

# %%
import ruptures

leaking = recording.service("payment")["memory_utilization"].loc[
    "2026-03-31 00:00":"2026-03-31 04:00"
]
scaled = ((leaking - leaking.mean()) / leaking.std()).to_numpy()
changes = ruptures.Pelt(model="clinear", min_size=5, jump=1).fit(scaled).predict(pen=3)[:-1]
ax = plots.timeline(
    100 * leaking,
    ylabel="memory (%)",
    events=leak,
    title="Offline change points date the leak and the crash to a few minutes",
)
plots.mark(ax, leaking.index[changes], label="change point")
ax.legend(loc="upper left", ncols=3)
plt.show()

# %% [markdown]
# The first change point, 01:38, is two minutes before the leak began; those at 02:58 and 03:03 bracket the
# crash at 03:00, when memory falls from full to half. The *model* matters: `clinear` fits straight lines
# that join, which a leak is; with constant levels (`l2`) PELT would, with the same penalty, cut the ramp
# into steps and date the leak eleven minutes late. All this is good for a post-mortem and useless as an
# alert: it needed the whole night to know.
#
# ## 5 · Many metrics at once: Isolation Forest
#
# Payment has nine metrics. An incident often moves several a little: more latency *and* more CPU
# per request. **Isolation Forest** (Liu, Ting and Zhou, ICDM, 2008) needs no model of normal: it
# cuts the data by random thresholds on random features until every sample sits alone. Odd samples
# are alone after few cuts. The score is $2^{-E[\text{depth}]/c(n)}$, where $n$ is the number of samples
# that a tree was grown on and $c(n)$ the mean depth of an unsuccessful search in a binary tree of that
# size: near 1 is odd, about 0.5 and below is ordinary.
#
# It knows nothing of time. To the forest, a sample is a point in a space of features, and *you*
# choose that space. The next chart shows the same minutes of a fault twice: as raw metrics, where no
# single cut along one axis separates them (and a forest cuts along one axis at a time), and as features
# that carry the context, where one cut does.

# %%
cpu_days = shop.service_days(
    3,
    seed=7,
    after=history.index[-1],
    services=["checkout"],
    kinds=["cpu_saturation"],
    severity=(0.3, 0.45),
)
example = max(cpu_days, key=lambda day: (day.events["end"] - day.events["start"]).iloc[0])
inside = (example.live.index >= example.events["start"].iloc[0]) & (
    example.live.index <= example.events["end"].iloc[0]
)
live = example.live
cost = 100 * live["cpu_utilization"] / live["request_rate"]
change = live["latency_p50_ms"].ewm(span=15).mean() - live["latency_p50_ms"].rolling("2h").median()
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for ax, x, y, title, names in [
    (axes[0], live["request_rate"], 100 * live["cpu_utilization"],
     "Raw metrics: ordinary values, odd pairs", ("requests/s", "CPU (%)")),
    (axes[1], cost, change,
     "One cut parts nearly all of it", ("CPU (%) per request/s", "p50 minus its usual (ms)")),
]:  # fmt: skip
    ax.scatter(x[~inside], y[~inside], s=5, color=plots.GREY, alpha=0.4, label="quiet")
    ax.scatter(x[inside], y[inside], s=9, color=plots.ORANGE, label="fault")
    ax.set(title=title, xlabel=names[0], ylabel=names[1])
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# Good features for operations share three properties. They **divide by the load** where load explains the
# metric (CPU *per request*), so that a burst of customers is nothing new. (Where replicas are added for a
# planned sale, the CPU of each stays level and CPU per request *falls*: look at rises only.) They **compare
# with the recent past** (an average of the last minutes against the median of the last hours), so that slow
# seasons drop out; some faults show within minutes and small ones only in the mean of many. Clip a score
# before you average it, so that one wild minute does not fill the average. And they are **causal**: trailing
# windows only. What happens every night at about the same time (`catalog-db` and `search` rebuild an index at
# about 02:00) is normal, too: features that don't know the hour need a threshold above it.
#
# The second trap is the threshold. scikit-learn's parameter `contamination` is the share of
# training samples that get the label *anomaly*. If the training data are quiet, every one of those
# labels is false, by construction: `contamination=0.01` on a day of minutes means 14 false minutes
# a day. Setting it from the share of anomalies in the *test* labels is looking at the answer. The
# honest way: train on one part of the quiet history, score the part that the forest has **not**
# seen, and put the threshold where that part raises as few alerts as you can afford. If two weeks
# were held out and you can carry one alert a week, it is the height of the third highest alert, so
# that two are above it.
#
# And a weakness to know: the score **saturates**. A sample beyond everything that the forest was trained on
# falls into the outermost leaf, whether it is a little or far beyond, and with many features the cut that
# would isolate it is rarely drawn. Two remedies: few features, each of which a fault moves far (each further
# one must earn its place on practice days); and invented training samples far out on each axis, one axis at a
# time, some hundreds per axis at one to several times the highest quiet value, which give the trees a reason
# to cut there. A third is not to use a forest: where each feature by itself is higher in a fault, **one
# threshold for the largest of them**, each in units of its highest quiet value, is simpler and often better.
# Measure it beside your forest.
#
# A last detail decides how many pages a good score becomes. A score that hovers around its threshold
# goes on and off, and each time it comes back after more than ten quiet minutes it is a new alert,
# a false one if the incident is over by then. You may **hold** a flag: once on, it stays on for some
# time after the last crossing. Section 6 shows what that brings and what it costs.
#
# The next cell finds the height of the n-th highest alert. The one after it is the baseline of exercise 4:
# a forest on raw metrics, with everything else done well. Its days hold faults of two kinds that begin outside
# the busiest hours: what they do to a metric mostly stays below what every afternoon does, and drowns in the daily
# wave. And each day has a harmless surge.

# %%
from sklearn.ensemble import IsolationForest

from course import scoring


def nth_alert(scores: np.ndarray, n: int, apart: int = 60) -> float:
    """Height of the n-th highest alert; samples within an hour of a higher one belong to it."""
    left = np.array(scores, dtype=float)
    for _ in range(n):
        top = int(np.argmax(left))
        height = float(left[top])
        left[max(0, top - apart) : top + apart] = -np.inf
    return height


# %%
from functools import partial

DROWNED = {"cpu_saturation": (0.2, 0.5), "pool_exhaustion": (0.08, 0.22)}
RAW = ["request_rate", "latency_p50_ms", "latency_p99_ms", "error_ratio", "cpu_utilization"]
forest_services = ["checkout", "search", "storefront"]
moderate_days = partial(
    shop.service_days, after=history.index[-1], services=forest_services, kinds=DROWNED,
    begins=(1140, 660), surge_share=1.0, lead=True,
)  # fmt: skip
forest_days = [
    *moderate_days(12, seed=53, balanced=True),
    *moderate_days(4, seed=46, quiet_share=1.0),
]

raw_forests = {}
for name in forest_services:
    rows = history[name][RAW].ffill().to_numpy()
    half = len(rows) // 2
    forest = IsolationForest(n_estimators=50, max_samples=4096, random_state=1).fit(rows[:half])
    raw_forests[name] = forest, nth_alert(-forest.score_samples(rows[half:]), 3)

results = []
for day in forest_days:
    forest, threshold = raw_forests[day.service]
    score = pd.Series(-forest.score_samples(day.live[RAW].ffill().to_numpy()), day.live.index)
    held = (score > threshold).rolling(45, min_periods=1).max() > 0
    results.append(scoring.event_scores(held, day.events[["start", "end"]]))
raw = scoring.pool_scores(results)
print(f"raw metrics, {len(forest_days)} days: recall {raw.recall:.2f}, F1 {raw.f1:.2f}, ", end="")
print(f"{7 * raw.false_alarms_per_day:.1f} false alarms a week")

# %% [markdown]
# ### Exercise 4 · Isolation Forest on causal features (15 points)
#
# **Write** `causal_features(metrics)`, `fit_forest(history, *, seed=0)` and
# `forest_flags(model, metrics)`.
#
# `metrics` and `history` are frames of **one service** with the columns that you saw above, one row
# a minute; values may be `NaN` (in the days here none is). `causal_features` returns a DataFrame of finite numbers; it may leave out
# the first rows (at most one day) where a window is not full, and its remaining index is that of the
# input (leading `NaN`: leave the rows out). Which features you choose is yours; of them only the absence of
# look-ahead is checked, the points come from the flags. `fit_forest` gets four quiet weeks and returns whatever `forest_flags` needs.
# `forest_flags` gets the day before and the day to be judged in one frame and returns a boolean
# Series for at least the second day. That day may have only begun: its first hour at least is there. A
# forest is the way taught here; another detector is not refused, and need not use `seed` or
# `causal_features`.
#
# **Right** means: no feature and no flag at time $t$ changes when later samples do. The same `seed`
# and history give the same flags, in a fresh kernel, too. On unseen quiet days there are few alerts;
# on unseen incidents there is one that **begins** anywhere between start and end. An alert is a run of
# flags; runs that are at most 10 minutes apart are one alert; an alert that began before the incident
# does not count for it. Holding a flag on after the last crossing is allowed: it looks back, not ahead.
#
# **Example:** `forest_flags(fit_forest(history["cart"]), history["cart"].iloc[-2880:])` is `False`
# for nearly all of its minutes.
#
# **Scored:** event F1 over 48 unseen incident days with faults of the two kinds in `DROWNED`, of the slight
# severities given there, which begin after 19:00 or before 11:00, and 16 unseen quiet days, of the three services
# `checkout`, `search` and `storefront`. Each day has a surge. Points rise from 0.62 to 0.72. Over eight sets of
# such days the forest on raw metrics above reaches 0.01 on average, a fixed line per metric at its highest value
# in the history 0.16, one at its highest half-hour 0.40, and one at the highest half-hour of the night that watches
# the night only 0.58: none of them knows what this hour and this load explain. (A line for each eight hours of the day
# does know the hour, roughly: 0.79.) Good features reach 0.83 with a
# forest, and 0.88 with one threshold for the largest of them, each in units of its highest quiet value. Up to
# seven false alarms per service-week cost no more than the F1 that they take away; beyond that the points
# fall in a straight line, to none at 21. With look-ahead there are no points: some days are asked for a
# second time in a fresh kernel, cut off at moments that you can't know, among them a few minutes after
# your alerts. 30 s a call.


# %% nbgrader={"grade": false, "grade_id": "isolation-forest", "locked": false, "schema_version": 3, "solution": true, "task": false}
def causal_features(metrics: pd.DataFrame) -> pd.DataFrame:
    """Engineer features of one service that use the past and the present only.

    Parameters
    ----------
    metrics : DataFrame
        One row a minute, UTC; may hold NaN.

    Returns
    -------
    DataFrame
        Finite numbers; the first rows may be missing.
    """
    ### BEGIN SOLUTION
    metrics = metrics.ffill()
    load = metrics["request_rate"].clip(lower=0.1)
    levels = pd.DataFrame(
        {
            "latency": np.log(metrics["latency_p50_ms"].clip(lower=0.01)),
            "errors": np.sqrt(metrics["error_ratio"]),
            "CPU per request": np.log((metrics["cpu_utilization"] + 0.01) / load),
            "pool per request": np.sqrt(metrics["pool_utilization"] / load),
        }
    )
    usual = levels.rolling("6h", min_periods=60).median().shift(10)
    # Some faults show within minutes, small or slow ones only in the mean of many.
    rise = {minutes: levels.rolling(minutes).mean() - usual for minutes in (10, 40)}
    # Faults push all four upwards; what falls below its usual level is no trouble.
    return pd.concat(rise, axis=1).clip(lower=0).dropna()
    ### END SOLUTION


def fit_forest(history: pd.DataFrame, *, seed: int = 0) -> object:
    """Train on quiet history and set the threshold on quiet history that was held out.

    Parameters
    ----------
    history : DataFrame
        Four quiet weeks of one service.
    seed : int
        Of the forest.

    Returns
    -------
    object
        Whatever `forest_flags` needs.
    """
    ### BEGIN SOLUTION
    features = causal_features(history)
    half = len(features) // 2
    scale = features.iloc[:half].quantile(0.99) + 1e-6
    train = (features.iloc[:half] / scale).to_numpy()
    # Samples far out on one axis each: the trees cut there, so that far scores higher than near.
    luck = np.random.default_rng(seed)
    far = np.zeros((3000, train.shape[1]))
    far[np.arange(3000), luck.integers(0, train.shape[1], 3000)] = 6 * luck.uniform(size=3000) ** 2
    forest = IsolationForest(n_estimators=50, max_samples=4096, random_state=seed)
    forest.fit(np.vstack([train.clip(max=8), far]))
    held_out = (features.iloc[half:] / scale).to_numpy().clip(max=8)
    # One alert is left in two held-out weeks.
    threshold = nth_alert(-forest.score_samples(held_out), 2)
    return {"forest": forest, "scale": scale, "threshold": threshold}
    ### END SOLUTION


def forest_flags(model: object, metrics: pd.DataFrame) -> pd.Series:
    """Flag the odd minutes.

    Parameters
    ----------
    model : object
        From `fit_forest`.
    metrics : DataFrame
        The day before and the day to be judged.

    Returns
    -------
    Series of bool
    """
    ### BEGIN SOLUTION
    # The windows reach back seven hours; the hour before the day is scored for flags that are held.
    features = causal_features(metrics.loc[metrics.index[0] + pd.Timedelta("15h") :])
    features = features.loc[metrics.index[0] + pd.Timedelta("23h") :]
    scaled = (features / model["scale"]).to_numpy().clip(max=8)
    flags = pd.Series(-model["forest"].score_samples(scaled) > model["threshold"], features.index)
    return flags.rolling(45, min_periods=1).max() > 0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-isolation-forest", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
_check_recent = history["cart"].iloc[-2880:]
_check_features = causal_features(_check_recent)
assert np.isfinite(_check_features.to_numpy()).all(), (
    "features must be finite: drop or fill the warm-up"
)
assert _check_features.index.isin(_check_recent.index).all() and len(_check_features) >= 1440, (
    f"features of {len(_check_recent)} minutes keep the index and at least the last day, "
    f"found {len(_check_features)}"
)
_check_cut = causal_features(_check_recent.iloc[:-300])
_check_moved = (_check_features.reindex(_check_cut.index) - _check_cut).abs().max().max()
assert _check_moved < 1e-9, f"features move by {_check_moved:.3g} when the future is cut off"
_check_models = {_check_name: fit_forest(history[_check_name]) for _check_name in forest_services}
_check_results: list[scoring.EventScores] = []
for _check_day in forest_days:
    _check_frame = pd.concat([_check_day.lead, _check_day.live])
    _check_flags = forest_flags(_check_models[_check_day.service], _check_frame)
    _check_flags = _check_flags.reindex(_check_day.live.index)
    assert _check_flags.notna().all(), "every minute of the second day needs a flag"
    _check_flags = _check_flags.astype(bool)
    _check_begins = scoring.alert_intervals(_check_flags)["start"]
    if len(_check_begins) and len(_check_results) < 8:
        _check_until = _check_begins.iloc[0] + pd.Timedelta("2min")
        _check_early = forest_flags(
            _check_models[_check_day.service], _check_frame.loc[:_check_until]
        ).reindex(_check_flags.loc[:_check_until].index)
        assert _check_early.astype(bool).equals(_check_flags.loc[:_check_until]), (
            "flags change when the samples after an alert are cut off"
        )
    _check_results.append(scoring.event_scores(_check_flags, _check_day.events[["start", "end"]]))
_check_pooled = scoring.pool_scores(_check_results)
print(f"yours, {len(forest_days)} days: recall {_check_pooled.recall:.2f}, ", end="")
print(
    f"F1 {_check_pooled.f1:.2f}, {7 * _check_pooled.false_alarms_per_day:.1f} false alarms a week"
)
assert 7 * _check_pooled.false_alarms_per_day <= 21, "more than 21 false alarms per service-week"
assert _check_pooled.f1 > 0.4, (
    f"an F1 of {_check_pooled.f1:.2f} is far below what the hidden days ask for: does a feature "
    "know what the load explains?"
)
print("full points need an F1 of 0.72 on the hidden days, and below 0.62 there are none")
print("exercise 4: the visible check passes")

# %% [markdown]
# ### Shapes: the matrix profile
#
# Some anomalies are a wrong *shape* at a right level: a heartbeat that skips, a batch job that runs
# twice. The **matrix profile** (Yeh et al., ICDM, 2016) gives for every window of a series the
# distance to its nearest neighbour elsewhere, after both are scaled to mean 0 and variance 1.
# Windows with a small distance are *motifs*, the one with the largest is the **discord**: no
# other window looks like it. The naive computation takes $n^2 m$ steps; MASS (Mueen's algorithm)
# gets all distances of one window by one FFT:


# %%
def mass(query: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Distances of a query to all windows of a series, each scaled to mean 0, variance 1."""
    m = len(query)
    windows = np.lib.stride_tricks.sliding_window_view(series, m)
    dots = signal.fftconvolve(series, query[::-1], mode="valid")
    spread = windows.std(axis=1) * query.std()
    correlation = (dots - m * windows.mean(axis=1) * query.mean()) / (m * spread)
    return np.sqrt(np.maximum(2 * m * (1 - correlation), 0))


batch = history["fulfilment"]["request_rate"].resample("15min").mean().iloc[-10 * 96 :].copy()
odd = slice(5 * 96 + 40, 5 * 96 + 60)
batch.iloc[odd] = batch.iloc[odd].to_numpy()[::-1]
window = 48
profile = np.array(
    [
        np.delete(distances := mass(batch.to_numpy()[i : i + window], batch.to_numpy()),
                  slice(max(0, i - window // 2), i + window // 2)).min()
        for i in range(len(batch) - window + 1)
    ]
)  # fmt: skip
figure, axes = plots.grid(2, height=1.7)
plots.timeline(
    batch, ax=axes[0], ylabel="requests/s", title="fulfilment: five hours run backwards",
    events=pd.DataFrame({"start": [batch.index[odd.start]], "end": [batch.index[odd.stop]]}),
    shaded="anomaly",
)  # fmt: skip
axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.timeline(
    pd.Series(profile, batch.index[window - 1 :]), ax=axes[1], ylabel="distance",
    title="Matrix profile: the windows that meet it are like no other",
)  # fmt: skip
plt.show()

# %% [markdown]
# The levels in the shaded hours are ordinary, only their order is not; a threshold can't see that.
# Each distance is drawn at the *end* of its window of twelve hours, the moment at which it could be
# known at the earliest; the neighbours that it is compared with lie before and after.
# At work you take `stumpy`, which does the same for millions of samples. Choose it when the shape
# carries the meaning; for plain levels it is the wrong tool, because the scaling throws the level
# away.

# %% [markdown]
# ## 6 · How good is a detector?
#
# Count **events**, not minutes. Nobody is paged once per minute, and an incident of three hours
# isn't 36 times as important as one of five minutes. The course counts like this:
#
# - flagged samples that are at most 10 minutes apart are one **alert**; it begins at its first flag;
# - an alert **hits** an incident if it *begins* within it. An alarm that has been on since yesterday
#   tells nobody anything: it is a false alarm, and the incident is missed;
# - later alerts of an incident that has been hit are neither hits nor false alarms;
# - **recall** = incidents hit ÷ incidents; **precision** = incidents hit ÷ (incidents hit + false
#   alarms); F1 is their harmonic mean. And what the on-call engineer feels: **alerts per day** and
#   the **detection delay** (median, over the incidents that were hit).
#
# When long incidents should be *covered*, range-based precision and recall (Tatbul et al., NeurIPS,
# 2018) give partial credit for overlap, and can weigh early or late parts. `course.scoring` has
# them, and the area measures that need no threshold: average precision, and VUS-PR, its mean over label
# windows that are widened step by step (Paparrizos et al., PVLDB, 2022).
#
# Events decide, but which threshold? Every threshold is a trade between missed incidents and false
# alarms. Choose it on **validation** data, for the false alarms that the team can carry, and look at
# the test data once. The next cell does so for a simple score, a smoothed robust z of checkout's
# latency, on incidents simulated for practice.

# %%
validation = shop.service_days(
    20, seed=51, after=history.index[-1], services=["checkout"], quiet_share=0.4
)


past = history["checkout"]["latency_p50_ms"]
by_hour = past.groupby(past.index.day_of_week * 24 + past.index.hour)
usual_p50 = by_hour.median()
spread_p50 = by_hour.agg(lambda x: 1.4826 * (x - x.median()).abs().median())


def latency_score(live: pd.DataFrame) -> pd.Series:
    """Smoothed |robust z| of the median latency; the reference is the quiet history."""
    hour = live.index.day_of_week * 24 + live.index.hour
    z = (live["latency_p50_ms"] - usual_p50.loc[hour].to_numpy()) / spread_p50.loc[hour].to_numpy()
    return z.clip(-8, 8).ewm(span=10, adjust=False).mean().abs()


scores = [latency_score(day.live) for day in validation]
rows = []
for threshold in np.linspace(0.8, 4, 9):
    pooled = scoring.pool_scores(
        [
            scoring.event_scores(score > threshold, day.events[["start", "end"]])
            for score, day in zip(scores, validation, strict=True)
        ]
    )
    rows.append((threshold, pooled.recall, 7 * pooled.false_alarms_per_day))
sweep = pd.DataFrame(rows, columns=["threshold", "recall", "false alarms per week"])

figure, ax = plt.subplots(figsize=(7, 3))
ax.plot(sweep["false alarms per week"], sweep["recall"], marker="o", ms=4)
ax.axvline(1, color=plots.RED, ls="--", lw=1, label="what the team can carry")
ax.set_xscale("symlog", linthresh=1)
ax.set(
    title="Within the budget, one metric finds few incidents",
    xlabel="false alarms per service-week",
    ylabel="event recall",
    ylim=(0, 1),
    xlim=(0, None),
)
ax.legend()
plt.show()

# %% [markdown]
# ### Holding a flag
#
# The same score without its smoothing crosses a line many times in one incident. Prometheus has a word
# for the remedy (section 8), control engineers call it **hysteresis**: going off takes more than going
# on. The simplest form is to *hold* each flag for some minutes after the last crossing. It uses the
# past only. The chart below shows one incident; the table counts on all validation days.


# %%
def hold(flags: pd.Series, minutes: int) -> pd.Series:
    """Keep each flag on until `minutes` have passed since the last crossing."""
    return flags.rolling(minutes, min_periods=1).max() > 0


# %%
def jumpy_flags(live: pd.DataFrame) -> pd.Series:
    """Flag single minutes whose latency is more than three robust sigmas off."""
    hour = live.index.day_of_week * 24 + live.index.hour
    z = (live["latency_p50_ms"] - usual_p50.loc[hour].to_numpy()) / spread_p50.loc[hour].to_numpy()
    return z.abs() > 3


jumpy = [jumpy_flags(day.live) for day in validation]
rows = []
for minutes in (1, 15, 45, 120):
    pooled = scoring.pool_scores(
        [
            scoring.event_scores(hold(flags, minutes), day.events[["start", "end"]])
            for flags, day in zip(jumpy, validation, strict=True)
        ]
    )
    rows.append((minutes, pooled.alerts_per_day, pooled.repeats, pooled.recall, pooled.precision))
columns = ["held (min)", "alerts a day", "repeats", "recall", "precision"]
print(pd.DataFrame(rows, columns=columns).round(2).to_string(index=False))

incident, crossings = validation[5].events, jumpy[5]
span = slice(incident["start"].iloc[0] - pd.Timedelta("60min"),
             incident["end"].iloc[0] + pd.Timedelta("90min"))  # fmt: skip
ax = plots.timeline(
    {
        "held for 45 minutes": hold(crossings, 45).loc[span] + 2.6,
        "held for 15 minutes": hold(crossings, 15).loc[span] + 1.3,
        "as it crosses": crossings.loc[span] * 1.0,
    },
    ylabel="flag",
    events=incident,
    title="Held for a while the incident is one alert, held too long it is missed",
)
ax.set_yticks([])
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# As the score crosses, three alerts begin: a false one at 07:09, the hit at 07:53 and a repeat at 08:15. Held
# for 15 minutes, the repeat is gone. Held for 45, all three are a single alert, and it began *before* the
# incident, which is now missed. That is the price, and the table counts it: this jumpy detector raises
# fourteen alerts a day and finds all eleven incidents (no great feat: with so many alerts, an incident of
# an hour is hit by chance nearly every other time). Held for 15 minutes it finds ten, for 45 eight, for two
# hours three. On a score that seldom crosses without
# reason the price is nearly nothing, and what holding removes are the alerts that come back just after
# an incident has ended. So get the score right first, then choose the time on practice days, together
# with the threshold.

# %% [markdown]
# ### Exercise 5 · Evaluate by events (15 points)
#
# In production some alerts are raised while a service is **silenced**, because a planned maintenance
# runs. They count for nothing, and neither do incidents that the team made itself. That is one more
# rule than `course.scoring` knows.
#
# **Write** `evaluate_alerts(flags, events, silences, *, merge="10min")`,
# `point_adjust(labels, flags, *, max_delay=None)` and `random_score_f1(labels, *, draws=20, seed=0)`.
#
# `evaluate_alerts` gets a boolean Series (regular minutes, UTC), and two DataFrames with the columns
# `start` and `end` (timestamps, both inclusive, sorted, no overlaps within one frame; possibly
# empty). It counts by these rules:
#
# | what | how it counts |
# |---|---|
# | flags inside a silence, its first and last minute included | taken away *before* flags are joined to alerts; flags on both sides of a short silence may still be one alert |
# | flags at most `merge` apart | one alert, which begins at its first flag |
# | first alert that begins within an event | hit |
# | later alerts that begin within that event | repeats: neither hits nor false alarms |
# | alert that spans two events | belongs to the one in which it begins, and to neither if it begins before both |
# | alert that begins in no event | false alarm |
# | event that **begins** inside a silence | not counted at all; an alert that begins within that event is not counted either |
# | event that begins before a silence and runs into it | counted like any other |
# | event partly or wholly outside the index, such as one that begins before the first sample | counted; it is missed if no alert begins within it |
# | time watched | number of samples outside silences, one minute each |
#
# It returns a dict of floats: `recall`, `precision`, `f1`, `median_delay_min` (from the start of the
# event to the start of the alert that hit it, in minutes) and `alerts_per_day` (all alerts that are
# hits, repeats or false alarms, per day watched). What has no value is `nan`: recall without counted events,
# precision without hits and false alarms, delay without hits, F1 without events and without
# false alarms, and alerts per day if everything is silenced. F1 is
# `2 * hits / (2 * hits + missed + false alarms)`: with events and no alerts it is 0, while precision is
# `nan`.
#
# `point_adjust` gets two boolean arrays and returns a third. A run of `True` in `labels` is *found* if
# at least one of its samples is flagged. A run that is found is flagged as a whole. So far that is the
# **point adjustment** of section 7, in which it will turn out to be a trap. At work an alert that comes
# after three hours is worth little, so Ren et al. (*Time-Series Anomaly Detection Service at Microsoft*,
# KDD, 2019) limit the delay: with a `max_delay` of $k$ samples a run is found only if one of its first
# $k + 1$ samples is flagged, and a run that is not found loses all its flags. `None` sets no limit.
# Flags outside the runs stay as they are.
#
# `random_score_f1` draws `draws` scores uniformly from 0 to 1, takes for each the **best F1 over all
# thresholds** (samples count, flags are `score >= threshold`), once as it is and once after point
# adjustment without a limit at every threshold, and returns the two means `(f1, f1_adjusted)`, both
# over the same draws. The labels hold at least one `True`.
#
# **Right** means: exact to 1e-9 for the first two, within 0.03 of the expected value for the means of
# 100 draws. 10 s a call, also for 10,000 labels.
#
# **Example:** flags from 10:05 to 10:07, an event from 10:00 to 10:30, no silences, one day of
# minutes: recall 1, precision 1, F1 1, delay 5, 1 alert per day. With labels `[1, 1, 1, 0]` and flags
# `[0, 1, 0, 1]`, `point_adjust` gives `[1, 1, 1, 1]` for `max_delay=1` and `[0, 0, 0, 1]` for
# `max_delay=0`.
#
# **Scored:** 9 points for `evaluate_alerts` on unseen cases: four ordinary ones, all with silences, earn 7,
# and four special ones (no events, no flags, always on, all silenced) earn 2, multiplied by the share of
# ordinary ones that are right. 3 points for `point_adjust`: 2.5 for three cases with a limit, 0.5 for one
# without. The 0.5 and the 3 points for `random_score_f1` are multiplied by the share of the cases with a limit
# that are right.


# %% nbgrader={"grade": false, "grade_id": "evaluate", "locked": false, "schema_version": 3, "solution": true, "task": false}
def evaluate_alerts(
    flags: pd.Series, events: pd.DataFrame, silences: pd.DataFrame, *, merge: str = "10min"
) -> dict[str, float]:
    """Judge flags by events; what happens in a silence does not count.

    Parameters
    ----------
    flags : Series of bool
        Regular minutes, UTC.
    events, silences : DataFrame
        Columns `start`, `end`, both inclusive; sorted; possibly empty.
    merge : str
        Flags at most this far apart are one alert.

    Returns
    -------
    dict
        recall, precision, f1, median_delay_min, alerts_per_day.
    """
    ### BEGIN SOLUTION
    silent = np.zeros(len(flags), dtype=bool)
    for start, end in zip(silences["start"], silences["end"], strict=True):
        silent |= (flags.index >= start) & (flags.index <= end)
    times = flags.index[flags.to_numpy(dtype=bool) & ~silent]
    begins = (
        times[np.insert(np.diff(times) > pd.Timedelta(merge), 0, True)] if len(times) else times
    )

    hits, missed, delays = 0, 0, []
    false, counted = len(begins), len(begins)
    for start, end in zip(events["start"], events["end"], strict=True):
        within = begins[(begins >= start) & (begins <= end)]
        false -= len(within)
        if ((silences["start"] <= start) & (silences["end"] >= start)).any():
            counted -= len(within)
        elif len(within):
            hits += 1
            delays.append((within[0] - start) / pd.Timedelta("1min"))
        else:
            missed += 1
    nan = float("nan")
    watched = (~silent).sum() / 1440
    return {
        "recall": hits / (hits + missed) if hits + missed else nan,
        "precision": hits / (hits + false) if hits + false else nan,
        "f1": 2 * hits / (2 * hits + missed + false) if hits + missed + false else nan,
        "median_delay_min": float(np.median(delays)) if delays else nan,
        "alerts_per_day": float(counted / watched) if watched else nan,
    }
    ### END SOLUTION


def point_adjust(
    labels: np.ndarray, flags: np.ndarray, *, max_delay: int | None = None
) -> np.ndarray:
    """Flag every true run that is found in time as a whole, and no other.

    Parameters
    ----------
    labels, flags : ndarray of bool
        Of the same length.
    max_delay : int, optional
        A flag in the first `max_delay + 1` samples of a run finds it; None: any flag does.

    Returns
    -------
    ndarray of bool
    """
    ### BEGIN SOLUTION
    labels, adjusted = np.asarray(labels, dtype=bool), np.array(flags, dtype=bool)
    edges = np.flatnonzero(np.diff(np.r_[False, labels, False].astype(int)))
    for start, end in edges.reshape(-1, 2):
        in_time = end if max_delay is None else min(start + max_delay + 1, end)
        adjusted[start:end] = adjusted[start:in_time].any()
    return adjusted
    ### END SOLUTION


def random_score_f1(labels: np.ndarray, *, draws: int = 20, seed: int = 0) -> tuple[float, float]:
    """Mean best F1 of a random score, as it is and after point adjustment."""
    ### BEGIN SOLUTION
    labels = np.asarray(labels, dtype=bool)
    edges = np.flatnonzero(np.diff(np.r_[False, labels, False].astype(int))).reshape(-1, 2)

    def best(values: np.ndarray) -> float:
        order = np.argsort(-values)
        hits = np.cumsum(labels[order])
        return float(np.max(2 * hits / (np.arange(1, len(labels) + 1) + labels.sum())))

    def best_adjusted(values: np.ndarray) -> float:
        # A run is found as a whole as soon as the threshold falls to its highest score.
        peaks = values.copy()
        for start, end in edges:
            peaks[start:end] = values[start:end].max()
        order = np.argsort(-peaks, kind="stable")
        hits = np.cumsum(labels[order])
        f1 = 2 * hits / (np.arange(1, len(labels) + 1) + labels.sum())
        last = np.append(np.diff(peaks[order]) != 0, True)
        return float(np.max(f1[last]))

    luck = np.random.default_rng(seed)
    scores = [luck.uniform(size=len(labels)) for _ in range(draws)]
    return (
        float(np.mean([best(score) for score in scores])),
        float(np.mean([best_adjusted(score) for score in scores])),
    )
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-evaluate", "locked": true, "points": 15, "schema_version": 3, "solution": false, "task": false}
_check_index = pd.date_range("2026-03-25", periods=1440, freq="min", tz="UTC")
_check_none = pd.DataFrame({"start": _check_index[:0], "end": _check_index[:0]})
_check_event = pd.DataFrame({"start": [_check_index[600]], "end": [_check_index[630]]})
_check_flags = pd.Series(False, _check_index)
_check_flags.iloc[605:608] = True
_check_result = evaluate_alerts(_check_flags, _check_event, _check_none)
_check_expected = {"recall": 1, "precision": 1, "f1": 1, "median_delay_min": 5, "alerts_per_day": 1}
for _check_name, _check_value in _check_expected.items():
    assert abs(_check_result[_check_name] - _check_value) < 1e-9, (
        f"{_check_name} is {_check_value}, you have {_check_result[_check_name]}"
    )
_check_result = evaluate_alerts(~pd.Series(False, _check_index), _check_event, _check_none)
assert _check_result["recall"] == 0, "an alarm that is always on begins outside the event: no hit"
_check_silence = pd.DataFrame({"start": [_check_index[590]], "end": [_check_index[606]]})
_check_result = evaluate_alerts(_check_flags, _check_event, _check_silence)
assert np.isnan(_check_result["recall"]), "the only event begins in a silence: recall has no value"
assert _check_result["alerts_per_day"] == 0, (
    "the alert at 10:07 belongs to an event that doesn't count"
)
_check_labels = np.array([0, 1, 1, 1, 0, 1, 1, 0], dtype=bool)
_check_adjusted = point_adjust(_check_labels, np.array([1, 0, 1, 0, 0, 0, 0, 0], dtype=bool))
assert _check_adjusted.tolist() == [True, True, True, True, False, False, False, False], (
    _check_adjusted
)
_check_late = np.array([0, 0, 1, 0, 0, 1, 0, 1], dtype=bool)
_check_adjusted = point_adjust(_check_labels, _check_late, max_delay=0)
assert _check_adjusted.tolist() == [False] * 5 + [True, True, True], (
    f"the run from 1 to 3 is flagged one sample late, with max_delay=0 it is lost: {_check_adjusted}"
)
_check_adjusted = point_adjust(_check_labels, _check_late, max_delay=1)
assert _check_adjusted.tolist() == [False, True, True, True, False, True, True, True], (
    f"with max_delay=1 both runs are found: {_check_adjusted}"
)
_check_result = evaluate_alerts(
    _check_flags,
    _check_event,
    pd.DataFrame({"start": [_check_index[0]], "end": [_check_index[-1]]}),
)
assert np.isnan(_check_result["alerts_per_day"]), "all is silenced: alerts per day have no value"
_check_long = np.zeros(5000, dtype=bool)
_check_long[1000:1300] = True
_check_f1, _check_f1_adjusted = random_score_f1(_check_long)
assert 0.05 < _check_f1 < 0.2, (
    f"6 % of samples are anomalous, random F1 is about 0.11, not {_check_f1:.2f}"
)
assert _check_f1_adjusted > 0.9, (
    f"one lucky sample finds the run of 300, yours: {_check_f1_adjusted:.2f}"
)
print("exercise 5: the visible check passes")

# %% [markdown]
# ## 7 · The trap: results that are too good
#
# **Point adjustment** was introduced with the argument that one alert per incident is enough (Xu et
# al., WWW, 2018), and became the standard of deep anomaly detection. But it lets *one* lucky sample
# turn a run of hundreds into hundreds of hits, while a false alarm stays one sample. Kim et al.
# (AAAI, 2022) showed that a **random** score then beats the state of the art. (A limit of delay, as in
# exercise 5, softens the trap; it does not remove it.) See for yourself:

# %%
rng = np.random.default_rng(5)
rows = []
for length in (1, 5, 20, 60, 180):
    labels = np.zeros(10_080, dtype=bool)
    for start in rng.choice(np.arange(100, 9_800, 400), 5, replace=False):
        labels[start : start + length] = True
    rows.append((length, *random_score_f1(labels, draws=10)))
trap = pd.DataFrame(rows, columns=["minutes per incident", "F1", "F1 after point adjustment"])

figure, ax = plt.subplots(figsize=(7, 2.8))
x = np.arange(len(trap))
ax.bar(x - 0.2, trap["F1"], 0.4, color=plots.BLUE, label="honest")
ax.bar(x + 0.2, trap["F1 after point adjustment"], 0.4, color=plots.RED, label="point-adjusted")
ax.set_xticks(x, trap["minutes per incident"])
ax.set(
    title="A random score 'detects' long incidents",
    xlabel="minutes per incident (5 incidents in a week)",
    ylabel="best F1",
    ylim=(0, 1.05),
)
ax.legend(loc="upper left")
plt.show()
print(trap.round(2).to_string(index=False))

# %% [markdown]
# **Look-ahead** is the second way. A centred window knows what comes next. The cell below scores the
# same leak with a centred and with a trailing window of one hour: the centred one alarms *before the
# fault has begun*. In a notebook that looks like a gift. In production the samples don't exist yet.

# %%
memory = recording.service("payment")["memory_utilization"].loc[
    "2026-03-31 00:30":"2026-03-31 03:00"
]
trailing = memory.rolling(61).mean()
centred = memory.rolling(61, center=True).mean()
limit = memory.iloc[:60].mean() + 0.02
ax = plots.timeline(
    {"memory": 100 * memory, "trailing mean": 100 * trailing, "centred mean": 100 * centred},
    ylabel="memory (%)",
    events=leak.assign(end=memory.index[-1]),
    title="A centred window knows the fault before it starts",
)
ax.axhline(100 * limit, color=plots.GREY, ls="--", lw=1, label="limit")
ax.legend(loc="upper left")
plt.show()
for name, smoothed in [("centred", centred), ("trailing", trailing)]:
    crossing = smoothed[smoothed > limit].index[0]
    minutes_late = (crossing - leak["start"].iloc[0]) / pd.Timedelta("1min")
    print(f"{name:8} crosses the limit {minutes_late:+.0f} min after the fault began")

# %% [markdown]
# How to catch both: score a random detector with your own measure (it must look bad), and cut the
# future off (nothing before the cut may change). The hidden checks do the second to you.
#
# The third way is the threshold that was chosen on the test labels, "best F1". It is an upper bound
# that no detector reaches in production, and it flatters erratic scores most.
#
# ## 8 · From a score to an alerting rule
#
# Much of what you have built is available where the metrics are: as **alerting rules** of Prometheus.
# A rule is an expression in PromQL. Each label set for which it returns a value is an alert of its
# own. Three fields make the difference between a rule and a nuisance:
#
# - `for: 5m`: the alert is *pending* until the expression has held for five minutes at every
#   evaluation; only then it is *firing*. One quiet evaluation resets it.
# - `keep_firing_for: 10m` (Prometheus 2.42 and later): once firing, it stays so until the expression
#   has been silent for ten minutes. That is **hysteresis**: no flapping around the threshold.
# - `labels`: they say where the alert goes. `severity: page` wakes somebody up, `severity: ticket`
#   waits for the morning.
#
# The course evaluates rule files by itself; its evaluator gives the same answers as Prometheus'
# own `promtool`. The shop's metrics have names such as `shop_error_ratio{service="checkout"}`.

# %%
from course.telemetry import prometheus

rules = """
groups:
  - name: example
    interval: 1m
    rules:
      - alert: CheckoutErrors
        expr: shop_error_ratio{service="checkout"} > 0.05
        for: 3m
        keep_firing_for: 10m
        labels:
          severity: page
"""
release = shop.Scenario(
    pd.Timestamp("2026-03-31T09:00Z"),
    minutes=180,
    seed=8,
    faults=(shop.Fault("bad_deploy", "checkout", start=60, minutes=60, severity=1.0),),
)
deploy = shop.simulate(release)
answer = prometheus.evaluate(prometheus.load_rules(rules), prometheus.to_series(deploy.metrics))
pending, firing = answer.pending("CheckoutErrors"), answer.firing("CheckoutErrors")
bad = pd.DataFrame([vars(fault) for fault in shop.truth(release)])[["start", "end"]]
figure, axes = plots.grid(2, height=1.6)
plots.timeline(
    100 * deploy.service("checkout")["error_ratio"], ax=axes[0], ylabel="errors (%)",
    title="A bad deploy: errors flutter around the threshold (dashed)", events=bad,
)  # fmt: skip
axes[0].axhline(5, color=plots.RED, ls="--", lw=1)
plots.timeline(
    {"pending": pending.astype(int), "firing": firing.astype(int)},
    ax=axes[1], ylabel="state", title="for waits, keep_firing_for bridges: one alert, not many",
)  # fmt: skip
axes[1].set_yticks([0, 1], ["off", "on"])
plt.show()
above = deploy.service("checkout")["error_ratio"] > 0.05
print(f"above 5 %: {(above & ~above.shift(fill_value=False)).sum()} times; ", end="")
print(f"alerts: {(firing & ~firing.shift(fill_value=False)).sum()}")

# %% [markdown]
# Without either field it would have been six alerts, with `for` alone three, with `keep_firing_for` alone two.
# The second *pending* at 11:53 is a single minute above the line, long after the deploy has been rolled
# back: `for` lets it pass without an alert.
#
# A rule may look back a week, too: `offset 1w` shifts a selector. That is the contextual baseline of
# section 3, in its simplest form. `a and b` keeps the series of `a` for which `b` has one with exactly
# the same labels, whatever its value; a comparison such as `b > 0.5` first drops what does not pass it.
# (The name of the metric is not one of the labels that are compared. Where the others differ, name those
# that shall agree: `a and on(service) b`.) And a rule may notice what is *not* there: `absent(x)` returns
# 1 when there is no sample of `x`. A service that sends nothing raises no error rate.
#
# ### Exercise 6 · Alerting rules for Prometheus (10 points)
#
# **Write** `alert_rules()`, which returns the text of a rule file with exactly these three alerts, in
# groups with an interval of one minute:
#
# | alert | fires when | severity |
# |---|---|---|
# | `ErrorRatioHigh` | the error ratio of a service has been above 5 % at every evaluation for 5 minutes; it keeps firing until the ratio has not been above 5 % for 10 minutes | `page` |
# | `LatencySlow` | two things have held at every evaluation for 10 minutes: the mean of a service's p99 latency over the last 10 minutes is above 1.5 times the mean over the same 10 minutes one week before, and its last request rate is above 0.5 per second | `ticket` |
# | `TelemetryMissing` | checkout's request rate has been absent at every evaluation for 3 minutes | `page` |
#
# The metrics are `shop_error_ratio` (0 to 1), `shop_latency_p99_ms` and `shop_request_rate`, each
# with the label `service`. Alerts of the first two rules must keep the label `service`, and all three
# must carry the label `severity`; other labels may be there. Samples are a minute apart, and `[10m]` holds the
# last ten (as from Prometheus 3 on: the left end of a range is excluded) that are there. A selector without
# a range takes the last sample if it is less than 5 minutes old: Prometheus looks back that far, and so
# does the evaluator. A series without one is absent: if checkout's samples stop after minute 0,
# `TelemetryMissing` fires from minute 8 on.
#
# **Right** means: on unseen series, each alert fires at the right minutes for the right service.
# Rule files of up to 64 KiB without YAML anchors or aliases are accepted.
#
# **Example:** `load_rules(alert_rules())` raises no error, and the error ratio of one service at 6 %
# for 8 minutes fires `ErrorRatioHigh` for that service from its sixth minute on. A p99 that is twice as
# high as a week ago from minute 0 to 59 has a ten-minute mean above 1.5 times from minute 5 to 63
# (six of ten samples suffice, five do not), so `LatencySlow` fires from minute 15 to 63.
#
# **Scored:** 4, 4 and 2 points; each case of a rule must agree at every minute, label sets and
# severity included. 10 s a call.


# %% nbgrader={"grade": false, "grade_id": "alert-rules", "locked": false, "schema_version": 3, "solution": true, "task": false}
def alert_rules() -> str:
    """Return a Prometheus rule file with ErrorRatioHigh, LatencySlow and TelemetryMissing."""
    ### BEGIN SOLUTION
    return """
groups:
  - name: shop
    interval: 1m
    rules:
      - alert: ErrorRatioHigh
        expr: shop_error_ratio > 0.05
        for: 5m
        keep_firing_for: 10m
        labels:
          severity: page
      - alert: LatencySlow
        expr: >
          avg_over_time(shop_latency_p99_ms[10m])
            > 1.5 * avg_over_time(shop_latency_p99_ms[10m] offset 1w)
          and shop_request_rate > 0.5
        for: 10m
        labels:
          severity: ticket
      - alert: TelemetryMissing
        expr: absent(shop_request_rate{service="checkout"})
        for: 3m
        labels:
          severity: page
"""
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-alert-rules", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
_check_rules = prometheus.load_rules(alert_rules())
_check_names = sorted(_check_rule.name for _check_rule in _check_rules.alerts)
assert _check_names == ["ErrorRatioHigh", "LatencySlow", "TelemetryMissing"], (
    f"alerts found: {_check_names}"
)
_check_index = pd.date_range("2026-03-25", periods=60, freq="min", tz="UTC")
_check_wide = pd.DataFrame(
    {
        ("cart", "error_ratio"): 0.01,
        ("checkout", "error_ratio"): 0.01,
        ("checkout", "request_rate"): 9.0,
    },
    index=_check_index,
)
_check_wide.columns = pd.MultiIndex.from_tuples(_check_wide.columns, names=["service", "metric"])
_check_wide.iloc[20:28, 0] = 0.06
_check_wide.iloc[30:34, 1] = 0.5
_check_answer = prometheus.evaluate(_check_rules, prometheus.to_series(_check_wide))
_check_firing = _check_answer.firing("ErrorRatioHigh", service="cart", severity="page")
assert _check_firing.any(), (
    "ErrorRatioHigh must fire for cart, with the labels service and severity=page"
)
_check_first, _check_last = np.flatnonzero(_check_firing)[[0, -1]]
assert (_check_first, _check_last) == (25, 37), (
    f"cart's errors last from minute 20 to 27: firing from minute 25 to 37, not {_check_first} to {_check_last}"
)
assert not _check_answer.firing("ErrorRatioHigh", service="checkout").any(), "4 minutes are not 5"
assert not _check_answer.firing("TelemetryMissing").any(), "checkout's request rate is there"
_check_wide.iloc[30:50, 2] = np.nan
_check_missing = prometheus.evaluate(_check_rules, prometheus.to_series(_check_wide)).firing(
    "TelemetryMissing", severity="page"
)
assert _check_missing.any(), (
    "checkout's request rate stops for 20 minutes: TelemetryMissing must fire"
)
_check_index = pd.date_range("2026-03-17", periods=8 * 1440, freq="min", tz="UTC")
_check_wide = pd.DataFrame(
    {
        ("cart", "latency_p99_ms"): 100.0,
        ("cart", "request_rate"): 5.0,
        ("cart", "error_ratio"): 0.0,
    },
    index=_check_index,
)
_check_wide.columns = pd.MultiIndex.from_tuples(_check_wide.columns, names=["service", "metric"])
_check_wide.iloc[-300:-240, 0] = 200.0
_check_slow = prometheus.evaluate(_check_rules, prometheus.to_series(_check_wide)).firing(
    "LatencySlow", service="cart", severity="ticket"
)
assert 30 < _check_slow.sum() < 60, (
    f"an hour at twice last week's p99: firing for {_check_slow.sum()} minutes, expected 30 to 60"
)
print("exercise 6: the visible check passes")

# %% [markdown]
# ## 9 · Milestone: detect unseen incidents
#
# Now the night of the prologue, forty times over. You get four quiet weeks of a service, and then days of
# it as they happened. All have a harmless surge, some have an incident of one of four
# kinds: CPU saturation, memory leak, bad deploy, pool exhaustion. Most are slight, as incidents are while
# something can still be done about them. What you build here is what raises the alerts of month 5, whose
# causes month 6 explains and on which month 7 acts.
#
# Some services do calendar work: `catalog-db` and `search` rebuild an index at about 02:00, a few minutes
# earlier or later, shorter or longer than the night before. It is in the history, so it is normal.
#
# You may practise as much as you like: `shop.service_days` makes days with known truth from a
# seed of yours. The hidden days come from seeds that nobody knows, so memorising is no use; the
# *kind* of day is the same. The next cell gives three simple detectors what you will give yours: tuning
# on practice days, the width of the band as well as the time that a flag is held. The third has one fixed
# line per metric, at the highest value that the history holds: no model at all, but all metrics.

# %%
SERVICES = ["checkout", "payment", "inventory", "search", "cart", "catalog-db"]
SLIGHT = {
    "cpu_saturation": (0.14, 0.35), "pool_exhaustion": (0.06, 0.15),
    "bad_deploy": (0.14, 0.42), "memory_leak": (0.14, 0.42),
}  # fmt: skip

# %%
practice_days = [
    *shop.service_days(
        24,
        seed=71,
        after=history.index[-1],
        services=SERVICES,
        kinds=SLIGHT,
        begins=(1140, 660),
        surge_share=1.0,
        balanced=True,
    ),
    *shop.service_days(
        12,
        seed=72,
        after=history.index[-1],
        services=SERVICES,
        quiet_share=1.0,
        surge_share=1.0,
    ),
]


def static_sigma(past: pd.DataFrame, live: pd.DataFrame) -> pd.Series:
    """Distance of p99 from the mean of the whole history, in standard deviations."""
    usual = past["latency_p99_ms"]
    return (live["latency_p99_ms"] - usual.mean()).abs() / usual.std()


def plain_ewma(past: pd.DataFrame, live: pd.DataFrame) -> pd.Series:
    """Distance of p50 from its moving average, in standard deviations of that distance."""
    usual = past["latency_p50_ms"]
    joined = pd.concat([usual.iloc[-240:], live["latency_p50_ms"]])
    expected = joined.ewm(span=60, adjust=False).mean().shift(1).loc[live.index]
    step = (usual - usual.ewm(span=60, adjust=False).mean().shift(1)).std()
    return (live["latency_p50_ms"] - expected).abs() / step


def record_high(past: pd.DataFrame, live: pd.DataFrame) -> pd.Series:
    """Highest ratio of a metric to its highest value in the history; 1 is a record."""
    columns = [column for column in past if column not in ("request_rate", "disk_utilization")]
    return (live[columns] / past[columns].max()).max(axis=1)


def judge(flagged: list[pd.Series]) -> list[scoring.EventScores]:
    """Scores of the flags on each practice day."""
    return [
        scoring.event_scores(flags, day.events[["start", "end"]])
        for flags, day in zip(flagged, practice_days, strict=True)
    ]


tuned = {}
for name, detector, widths in [
    ("static sigma", static_sigma, (3, 9, 25)),
    ("plain EWMA", plain_ewma, (4, 7, 10)),
    ("record high", record_high, (1.0, 1.04, 1.1)),
]:
    distances = [detector(history[day.service], day.live) for day in practice_days]
    best = -1.0
    for width in widths:
        for minutes in (1, 60):
            flagged = [hold(distance > width, minutes) for distance in distances]
            pooled = scoring.pool_scores(judge(flagged))
            weekly = 7 * pooled.false_alarms_per_day
            print(
                f"{name:12} width {width:4}, held {minutes:2} min: recall {pooled.recall:.2f}, "
                f"F1 {pooled.f1:.2f}, {weekly:5.1f} false alarms per service-week"
            )
            if weekly <= 1 and pooled.f1 > best:
                best, tuned[name] = pooled.f1, (width, minutes, flagged)
for name, (width, minutes, flagged) in tuned.items():
    recall = scoring.pool_scores(judge(flagged)).recall
    print(
        f"within the budget, {name} finds {recall:.0%} at best (width {width}, held {minutes} min)"
    )

# %% [markdown]
# At their textbook widths the first two raise far more false alarms than one per service and week. At widths
# that keep the budget they find nothing here. The record high is the one to beat: seven
# metrics see more than one. Beware of the best row: it is the best of six on 24 incidents, so a part of it
# is luck. On eight sets of days like the hidden ones a static band tuned like this reaches an F1 of 0.03, the EWMA
# 0.07 and the record high 0.45 on average.
#
# ### Exercise 7 · Milestone (20 points)
#
# **Write** `fit_detector(history)` and `detect(model, live)`.
#
# `history` is a frame of four quiet weeks of one service, those that you have (columns as above, one row a
# minute). It has deploys, harmless spikes and nightly jobs in it, and no surge. `fit_detector` returns
# whatever `detect` needs. `live` is one day of the same service in the week after: values may be
# `NaN` (in the days here none is). `detect` returns a boolean Series on the index of `live`. Any method is allowed.
#
# The day begins at 00:00 with nothing before it: trailing windows start empty, and what you compute from
# them is unreliable until they have filled. The day may also have only begun (the first hour at least is
# there), as it does in production. A day has at most one incident, which begins after 19:00 or before 11:00, when
# few look at a dashboard, and one harmless surge at any hour: more customers, or a batch job that needs CPU
# without any request.
#
# **Right** means: a flag at time $t$ doesn't change when later samples do (without that: no points);
# the same history and day give the same flags, in a fresh kernel, too, so give every random generator a
# seed. Alerts, hits and false alarms are counted as in section 6, and a flag may be held.
#
# **Example:** `detect(fit_detector(history["cart"]), history["cart"].iloc[-1440:])` is `False` nearly
# everywhere.
#
# **Scored:** pooled event F1 over 40 unseen incident days and 30 unseen quiet days of the services in
# `SERVICES`; each of the four kinds strikes ten times, with the severities in `SLIGHT`, those of the practice days.
# Points rise from F1 0.73 to 0.78. Over eight sets of such days one line per metric at its highest half-hour so far
# reaches 0.61, and one for each eight hours of the day 0.76: they know the hour roughly and the load not at all.
# A careful detector reaches 0.9, on the worst of twenty sets 0.78.
# The budget is one false alarm per service-week. Seventy days are ten weeks, so
# chance alone may bring 15 alarms to a detector that keeps it: up to 1.5 a week cost nothing, at 3 a week
# nothing is left. Look-ahead is tried as in exercise 4, after some of your alerts and at other moments,
# in a fresh kernel that remembers nothing. 30 s for a fit, 10 s for a day.
#
# Hints, if you want them: take out of each metric what the load explains (divide by it, or fit a curve over
# it), then what the time of day explains; give every feature its own threshold, taken from history that its
# baseline has not seen. A nightly job that comes a few minutes earlier or later makes a median and a MAD of its
# quarter of an hour useless: take a high quantile, and that of the neighbours. Smooth: slight faults show only in the
# mean of twenty minutes or more. Clip the scores first, so that a single wild
# minute does not fill the average, but leave room above the threshold: what is clipped at 5 never exceeds 5. The
# false alarms of the features add up, and four weeks of history can't measure a rate of one in twelve weeks: a
# limit is an extrapolation beyond the highest quiet score. Ask the practice days how large a margin pays. At
# the start of a day let an average begin at zero. An alert that goes out and comes back just after the incident
# has ended is a false alarm.


# %% nbgrader={"grade": false, "grade_id": "milestone", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit_detector(history: pd.DataFrame) -> object:
    """Learn what is normal from four quiet weeks of one service.

    Parameters
    ----------
    history : DataFrame
        One row a minute, UTC.

    Returns
    -------
    object
        Whatever `detect` needs.
    """
    ### BEGIN SOLUTION

    def levels(metrics: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
        """The load, and scales on which a fault is a shift upwards."""
        metrics = metrics.ffill()
        load = metrics["request_rate"].clip(lower=0.05)
        table = {
            "CPU per request": np.log(metrics["cpu_utilization"].clip(lower=0.001) / load),
            "pool per request": np.sqrt(metrics["pool_utilization"].clip(lower=0) / load),
            # The square root of a count has about the same spread at any count.
            "failed requests": np.sqrt(60 * load * metrics["error_ratio"].clip(lower=0)),
            "memory": metrics["memory_utilization"],
        }
        return np.log(load), pd.DataFrame(table)

    def quarter_of_day(table: pd.DataFrame) -> np.ndarray:
        return np.asarray(table.index.hour * 4 + table.index.minute // 15)

    def without_load(load: pd.Series, table: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
        expected = {name: np.interp(load, curve.index, curve[name]) for name in table}
        return table - pd.DataFrame(expected, table.index)

    def baseline(metrics: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """What each level usually is at this load, and beyond that at this quarter of an hour."""
        load, table = levels(metrics)
        steps = np.quantile(load, np.linspace(0.02, 0.98, 20))
        nearest = steps[np.abs(load.to_numpy()[:, None] - steps).argmin(axis=1)]
        curve = table.groupby(nearest).median()
        rest, quarter = without_load(load, table, curve), quarter_of_day(table)
        usual = rest.groupby(quarter).median()
        spread = (rest - usual.loc[quarter].to_numpy()).abs().groupby(quarter).quantile(0.95) / 2
        # A nightly job is not there at the same minute each night: neighbours count, too.
        around = [spread.set_axis((spread.index + shift) % 96) for shift in range(-2, 3)]
        return curve, usual, pd.concat(around).groupby(level=0).max() + 1e-6

    def scores(metrics: pd.DataFrame, known: tuple) -> pd.DataFrame:
        """Clipped z-scores, smoothed over many minutes; the average begins at zero."""
        (load, table), (curve, usual, spread) = levels(metrics), known
        quarter = quarter_of_day(table)
        rest = without_load(load, table, curve) - usual.loc[quarter].to_numpy()
        z = (rest / spread.loc[quarter].to_numpy()).clip(-5, 5).fillna(0)
        z.iloc[0] = 0.0
        return z.ewm(span=45, adjust=False).mean()

    week = np.asarray((history.index - history.index[0]) // pd.Timedelta("7D"))
    # Each week is scored by a baseline from the others, as a new day will be.
    highest = [
        scores(history[week == number], baseline(history[week != number])).max()
        for number in np.unique(week)
    ]
    usual = baseline(history)
    # The margin beyond the highest quiet score is from the practice days.
    limits = 1.35 * pd.concat(highest, axis=1).max(axis=1)
    return {"scores": lambda live: scores(live, usual), "limits": limits}
    ### END SOLUTION


def detect(model: object, live: pd.DataFrame) -> pd.Series:
    """Flag the minutes of one day that don't look normal.

    Parameters
    ----------
    model : object
        From `fit_detector`.
    live : DataFrame
        One day, one row a minute; may hold NaN.

    Returns
    -------
    Series of bool
        On the index of `live`.
    """
    ### BEGIN SOLUTION
    flags = (model["scores"](live) > model["limits"]).any(axis=1)
    return flags.rolling(60, min_periods=1).max() > 0
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "check-milestone", "locked": true, "points": 20, "schema_version": 3, "solution": false, "task": false}
_check_models = {_check_name: fit_detector(history[_check_name]) for _check_name in SERVICES}
_check_flagged = []
for _check_day in practice_days:
    _check_flags = detect(_check_models[_check_day.service], _check_day.live)
    assert isinstance(_check_flags, pd.Series), "detect returns a Series"
    assert _check_flags.index.equals(_check_day.live.index), "on the index of live"
    _check_flags = _check_flags.astype(bool)
    _check_begins = scoring.alert_intervals(_check_flags)["start"]
    if len(_check_begins):
        _check_until = _check_begins.iloc[0] + pd.Timedelta("2min")
        _check_early = detect(_check_models[_check_day.service], _check_day.live.loc[:_check_until])
        assert _check_early.astype(bool).equals(_check_flags.loc[:_check_until]), (
            "flags change when the samples after an alert are cut off"
        )
    _check_flagged.append(_check_flags)
_check_pooled = scoring.pool_scores(judge(_check_flagged))
print(
    f"practice days: recall {_check_pooled.recall:.2f}, precision {_check_pooled.precision:.2f}, ",
    end="",
)
print(
    f"F1 {_check_pooled.f1:.2f}, {7 * _check_pooled.false_alarms_per_day:.1f} false alarms a week"
)
assert 7 * _check_pooled.false_alarms_per_day <= 3, "more than three false alarms per service-week"
assert _check_pooled.f1 > 0.6, (
    f"an event F1 of {_check_pooled.f1:.2f} on the practice days is too low"
)
print("full points need an F1 of 0.78 on the hidden days, with at most 1.5 false alarms a week,")
print("and up to 0.73 there are none")
print("exercise 7: the visible check passes")

# %% [markdown]
# Which kinds does your detector find that the simple ones miss? And which does it still miss? With
# six incidents of a kind the bars are rough: one incident more or less is a sixth.

# %%
rivals = {name: found[2] for name, found in tuned.items()}
rivals["yours"] = _check_flagged  # from the cell above
kinds = [day.events["kind"].iloc[0] if len(day.events) else "quiet" for day in practice_days]
by_kind = pd.DataFrame(
    {
        name: pd.Series([result.recall for result in judge(flags)], kinds).dropna()
        .groupby(level=0).mean()
        for name, flags in rivals.items()
    }
)  # fmt: skip
counts = pd.Series(kinds).value_counts()
by_kind.index = [f"{kind} ({counts[kind]})" for kind in by_kind.index]
ax = by_kind.plot.barh(
    figsize=(8, 3.6), width=0.75, color=[plots.GREY, plots.ORANGE, plots.GREEN, plots.BLUE]
)
ax.set(
    title="Within the budget sigma and EWMA find nothing, the record high finds mostly leaks",
    xlabel="event recall on the practice days",
    ylabel="kind (incidents)",
    xlim=(0, 1.05),
)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## 10 · Field study: the Numenta Anomaly Benchmark
#
# The shop is simulated. How do the same ideas fare on **real** telemetry? The Numenta Anomaly
# Benchmark (NAB; Lavin and Ahmad, ICMLA, 2015; Ahmad et al., Neurocomputing, 2017) holds, among others, server
# metrics of Amazon CloudWatch and series whose anomaly has a known cause. It is the most quoted
# public set of its kind, and one to read with care: its label windows are wide (a tenth of the
# series, shared among its anomalies), some labels are disputed, and many anomalies are trivial or
# debatable (Wu and Keogh, TKDE, 2023). Each series is short and has no week to learn from, so a
# baseline per hour of the week is out of the question.
#
# The next cell puts **your own** functions on these series: a robust z against the last hours, your
# CUSUM on it, and a threshold that your bootstrap takes from the first 15 % of each series, at most 750 samples
# (the probation, in which nothing counts). No label is used to choose anything. Without the data the cell
# prints how to get them.

# %%
from course.field import nab
from course.telemetry.public import PublicDataMissing


def my_nab_detector(values: pd.Series) -> pd.Series:
    """Trailing robust z, your CUSUM, your threshold from the probation."""
    trailing = values.rolling(288, min_periods=36)
    centre = trailing.median().shift(1)
    spread = 1.4826 * (values - centre).abs().rolling(288, min_periods=36).median().shift(1)
    floor = 0.05 * values.expanding(36).std().shift(1) + 1e-9
    z = ((values - centre) / spread.clip(lower=floor)).clip(-8, 8)
    quiet = z[z.index < values.attrs["probation_end"]]
    h = (
        calibrate_threshold(quiet, k=0.5, target_arl=min(500, len(quiet)))
        if len(quiet) > 300
        else 40
    )
    return cusum(z, k=0.5, h=h)


try:
    study = nab.study(my_nab_detector, name="your CUSUM")
except PublicDataMissing as error:
    study = None
    print(error)
else:
    columns = ["series", "events", "recall", "precision", "alerts_per_series_day", "chance_recall"]
    print(study[columns].round(2).to_string())
    nab.plot_study(study.loc[["aws"]])
    plt.show()

# %% [markdown]
# An alert counts here if it overlaps a label window; flags less than an hour apart are one alert.
# Read each row beside *chance*, the same number of alerts at random times: wide windows are easy to
# hit. "Reference" is a robust score with a time-of-day range that gets used to what
# it has seen lately. Its form was chosen on the series of *other* groups, and its threshold by the number of
# alerts alone: as many as the EWMA raises. `python -m course.field.nab` prints the whole study with intervals.
# The reference is a little more precise than the EWMA at the same recall, and the interval of that difference
# contains zero: **the EWMA is not shown to be beaten** on a dozen series with two dozen windows. Treat any
# difference below a tenth as noise.
#
# What the command prints for the AWS group (12 of its 17 series, the ones that the course can pin to a
# file; 23 label windows), when every family may raise as many alerts as the EWMA (chance is a mean over
# rotations of the alerts, more of them here than in the cell above, so its last digit may differ):
#
# | detector | windows found | recall | precision | alerts a series-day | chance recall | chance precision |
# |---|---|---|---|---|---|---|
# | static | 17 of 23 | 0.74 | 0.16 | 1.68 | 0.59 | 0.12 |
# | rolling MAD | 11 of 23 | 0.48 | 0.14 | 1.68 | 0.46 | 0.13 |
# | EWMA | 18 of 23 | 0.78 | 0.17 | 1.68 | 0.57 | 0.11 |
# | robust, time of day (the reference) | 18 of 23 | 0.78 | 0.18 | 1.68 | 0.54 | 0.12 |
#
# The difference between the last two is 0.013 in precision, with a 95 % interval from -0.022 to 0.042.
#
# NAB itself publishes another number: the **NAB score** over its whole corpus of 58 series, 100 for a
# perfect and 0 for a silent detector. It rewards early detection within a window, and NAB chooses each
# detector's threshold *on the labels*. It is no recall and no precision, and can't be compared with
# the table above.

# %%
# NBVAL_CHECK_OUTPUT
print(nab.published_table().to_string())
print(f"\nSource: {nab.SOURCE}\n{nab.CITATION}")

# %% [markdown]
# ## What to remember
#
# 1. An anomaly is relative to a model of normal. Say which one: a level, a context, a memory, a shape.
# 2. Median and MAD survive last week's incident; mean and standard deviation don't.
# 3. Divide by the load before you look for trouble, or every burst of customers is an incident.
# 4. Calibrate on quiet data that the model hasn't seen. Formulas that assume independence promise too
#    much.
# 5. Count events, alerts a day and delay. A random score must look bad under your measure.
# 6. Cut the future off and compare. If the past moves, the result is worthless.
#
# ## At work
#
# | task | tools of the trade | choose it when |
# |---|---|---|
# | seasonal baseline in the metrics store | Prometheus recording rules, `offset 1w` | rules are versioned and reviewed with the service |
# | decomposition, seasons | statsmodels (STL, MSTL) | exploring, monthly reports |
# | change points after the fact | ruptures | dating an incident, checking a deploy |
# | many metrics, no labels | scikit-learn (IsolationForest) | features carry the context |
# | streams | river | one pass, little memory |
# | shapes | stumpy | the shape carries the meaning |
#
# Start with the rule that you can explain at three in the morning. Add a model where the rule measurably
# fails, and keep the rule as the baseline that the model has to beat.
#
# ## Further reading
#
# - Chandola, Banerjee, Kumar: *Anomaly detection: A survey*. ACM Computing Surveys 41(3), 2009.
# - Cleveland, Cleveland, McRae, Terpenning: *STL: A seasonal-trend decomposition procedure based on
#   loess*. Journal of Official Statistics 6(1), 1990.
# - Page: *Continuous inspection schemes*. Biometrika 41, 1954.
# - Liu, Ting, Zhou: *Isolation Forest*. ICDM 2008.
# - Tatbul, Lee, Zdonik, Alam, Gottschlich: *Precision and recall for time series*. NeurIPS 2018.
# - Kim, Choi, Choi, Lee, Yoon: *Towards a rigorous evaluation of time-series anomaly detection*.
#   AAAI 2022.
# - Wu, Keogh: *Current time series anomaly detection benchmarks are flawed and are creating the
#   illusion of progress*. IEEE TKDE 35(3), 2023.

"""Wrong answers of month 3 that a real student might give, and right ones written another way.

Most are the reference solution with one mistake: `_mistake` takes the solution cell from the
lesson and changes a fragment of it, so they can't fall behind the lesson.
"""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parent)
_solution, _mistake = _LESSON.solution, _LESSON.mistake

_DECOMPOSE_TAIL = _solution("decompose")[_solution("decompose").index("def decompose") :]

_PHASE_MEDIAN = """
def decompose(series, period):
    means = series.resample("15min").mean().interpolate(limit_direction="both")
    phase = np.arange(len(means)) % int(period / pd.Timedelta("15min"))
    seasonal = (means - means.median()).groupby(phase).transform("median")
    return pd.DataFrame({"trend": 0.0, "seasonal": seasonal, "residual": means - seasonal})
"""

_PERIODS_CONSTANT = f"""
def find_periods(series, max_periods=2):
    return [pd.Timedelta("1D"), pd.Timedelta("7D")]

{_PHASE_MEDIAN}
"""

_PERIODS_METADATA = f"""
def find_periods(series, max_periods=2):
    day, span = pd.Timedelta("1D"), series.index[-1] - series.index[0]
    if span < 14 * day:
        return []
    return [day, 7 * day] if series.isna().any() or span > 31 * day else []

{_PHASE_MEDIAN}
"""

_GATED_DAY = """
from statsmodels.tsa.seasonal import seasonal_decompose


def find_periods(series, max_periods=2):
    return [pd.Timedelta("1D")] if series.interpolate().autocorr(1) > 0.9 else []


def decompose(series, period):
    means = series.resample("15min").mean().interpolate(limit_direction="both")
    parts = seasonal_decompose(
        means, period=round(period / pd.Timedelta("15min")), extrapolate_trend="freq"
    )
    return pd.DataFrame({"trend": parts.trend, "seasonal": parts.seasonal, "residual": parts.resid})
"""

_PEAKS_ONLY = f"""
def find_periods(series, max_periods=2):
    step = series.index[1] - series.index[0]
    frequency, power = signal.periodogram(series.interpolate(limit_direction="both").to_numpy())
    best = np.argsort(power[1:])[::-1][:max_periods] + 1
    return sorted(step / frequency[i] for i in best)


{_DECOMPOSE_TAIL.replace(", robust=True", "")}
"""

_FIXED_LENGTHS = """
def find_periods(series, max_periods=2):
    found = []
    for text in ("1D", "7D"):
        lag = int(pd.Timedelta(text) / (series.index[1] - series.index[0]))
        if lag * 3 <= len(series) and series.autocorr(lag) > 0.5:
            found.append(pd.Timedelta(text))
    return found


def decompose(series, period):
    means = series.resample("15min").mean()
    lag = int(period / pd.Timedelta("15min"))
    trend = means.rolling(lag, center=True).mean()
    seasonal = (means - trend).groupby(np.arange(len(means)) % lag).transform("mean")
    return pd.DataFrame({"trend": trend, "seasonal": seasonal, "residual": means - trend - seasonal})
"""

_WHOLE_SERIES_Z = """
def robust_zscore(series, *, weeks=4, min_samples=60, min_scale=1e-6):
    middle = series.median()
    spread = max(1.4826 * (series - middle).abs().median(), min_scale)
    return (series - middle) / spread
"""

_CLOCK_Z = """
def robust_zscore(series, *, weeks=4, min_samples=60, min_scale=1e-6):
    start = series.index[0] + pd.Timedelta("7D")
    return pd.Series(np.where(series.index < start, np.nan, 0.0), series.index)
"""

_CUSUM_ONLY = _solution("cusum")[: _solution("cusum").index("def calibrate_threshold")]

_TEXTBOOK_ARL = f"""
from scipy.optimize import brentq


{_CUSUM_ONLY.replace("if up > h or down > h", "if up >= h or down >= h")}


def calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0):
    def arl(h):
        b = h + 1.166
        return (np.exp(2 * k * b) - 2 * k * b - 1) / (4 * k**2)

    return float(brentq(lambda h: arl(h) - target_arl, 0.1, 50))
"""

_CONSTANT_CUSUM = f"""
{_CUSUM_ONLY}

def calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0):
    return 9.0
"""

_TABLE_CUSUM = f"""
{_CUSUM_ONLY}

def calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0):
    h = np.interp(target_arl, [200, 300, 400, 500, 600, 700], [8, 9, 10, 11, 14, 16])
    return float(h * (1.1 if k < 0.5 else 1.0))
"""

_REMEMBERED_CUSUM = f"""
{_CUSUM_ONLY}

def calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0):
    slow = min(max(quiet.dropna().autocorr(10) / 0.27, 0.0), 1.0)
    short, long = (8.0, 25.0) if k >= 0.5 else (9.5, 30.0)
    return float((short + slow * (long - short)) * (target_arl / 500) ** 0.4)
"""

_LAG_ONE_CUSUM = f"""
{_CUSUM_ONLY}

def calibrate_threshold(quiet, *, k=0.5, target_arl=500, seed=0):
    phi = quiet.dropna().autocorr(1)
    noise = np.random.default_rng(seed).normal(size=60_000) * np.sqrt(1 - phi**2)
    like = signal.lfilter([1], [1, -phi], noise)
    low, high = 1.0, 60.0
    while high - low > 0.1:
        h = (low + high) / 2
        few = len(like) / max(cusum(pd.Series(like), k, h).sum(), 1) < target_arl
        low, high = (h, high) if few else (low, h)
    return high
"""

_HIGHEST_BINS = """
def find_periods(series, max_periods=2):
    step = series.index[1] - series.index[0]
    values = signal.detrend(series.interpolate(limit_direction="both").to_numpy())
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2
    power[:3] = 0
    share = power / power.sum()
    found = [int(np.argmax(share))]
    if share[found[0]] < 0.25:
        return []
    below = share[: found[0] // 2]
    if len(below) > 3 and below.max() > 0.1:
        found.append(int(np.argmax(below)))
    return sorted(len(values) / k * step for k in found)


def decompose(series, period):
    means = series.resample("15min").mean().interpolate(limit_direction="both")
    t = np.arange(len(means))
    clipped = means.clip(upper=means.quantile(0.97))
    trend = np.polyval(np.polyfit(t, clipped, 3), t)
    angle = 2 * np.pi * t / (period / pd.Timedelta("15min"))
    waves = np.column_stack([np.sin(angle), np.cos(angle)])
    seasonal = waves @ np.linalg.lstsq(waves, clipped - trend, rcond=None)[0]
    return pd.DataFrame(
        {"trend": trend, "seasonal": seasonal, "residual": means - trend - seasonal}, means.index
    )
"""

_RAW_FOREST = """
COLUMNS = ["request_rate", "latency_p50_ms", "latency_p99_ms", "error_ratio", "cpu_utilization"]


def causal_features(metrics):
    return metrics[COLUMNS].ffill().dropna()


def fit_forest(history, *, seed=0):
    features = causal_features(history).to_numpy()
    half = len(features) // 2
    forest = IsolationForest(n_estimators=50, max_samples=4096, random_state=seed)
    forest.fit(features[:half])
    return forest, nth_alert(-forest.score_samples(features[half:]), 3)


def forest_flags(model, metrics):
    features = causal_features(metrics)
    flags = pd.Series(-model[0].score_samples(features.to_numpy()) > model[1], features.index)
    return flags.rolling(45, min_periods=1).max() > 0
"""

_CONSTANT_FOREST = """
def causal_features(metrics):
    return metrics[["request_rate"]].ffill()


def fit_forest(history, *, seed=0):
    return None


def forest_flags(model, metrics):
    return pd.Series(False, metrics.index)
"""

_CLOCK_FLAGS = "(np.asarray(metrics.index.hour * 60 + metrics.index.minute) % 97) == 0"

_CONSTANT_EVALUATION = """
def evaluate_alerts(flags, events, silences, *, merge="10min"):
    nan, days = float("nan"), len(flags) / 1440
    names = ["recall", "precision", "f1", "median_delay_min", "alerts_per_day"]
    if not flags.any():
        return dict(zip(names, [0.0, nan, 0.0, nan, 0.0]))
    if flags.all():
        return dict(zip(names, [0.0, 0.0, 0.0, nan, 1 / days]))
    if not len(events):
        return dict(zip(names, [nan, 0.0, 0.0, nan, flags.sum() / days]))
    return dict(zip(names, [0.5, 0.5, 0.5, 5.0, 1.0]))


def point_adjust(labels, flags, *, max_delay=None):
    return np.asarray(labels, dtype=bool)


def random_score_f1(labels, *, draws=20, seed=0):
    return 0.11, 0.95
"""

_LIBRARY_ONLY = """
def evaluate_alerts(flags, events, silences, *, merge="10min"):
    found = scoring.event_scores(flags, events, merge=merge)
    return {
        "recall": found.recall, "precision": found.precision, "f1": found.f1,
        "median_delay_min": found.median_delay / pd.Timedelta("1min"),
        "alerts_per_day": found.alerts_per_day,
    }


def point_adjust(labels, flags, *, max_delay=None):
    return scoring.point_adjust(labels, flags)


def random_score_f1(labels, *, draws=20, seed=0):
    luck = np.random.default_rng(seed)
    scores = [luck.uniform(size=len(labels)) for _ in range(draws)]
    plain = [scoring.best_f1(labels, score).f1 for score in scores]
    adjusted = [scoring.best_f1(labels, score, "pa").f1 for score in scores]
    return float(np.mean(plain)), float(np.mean(adjusted))
"""

_POINTWISE = """
def evaluate_alerts(flags, events, silences, *, merge="10min"):
    truth = pd.Series(False, flags.index)
    for start, end in zip(events["start"], events["end"]):
        truth[start:end] = True
    tp = (flags & truth).sum()
    precision, recall = tp / max(flags.sum(), 1), tp / max(truth.sum(), 1)
    return {
        "recall": float(recall), "precision": float(precision),
        "f1": float(2 * precision * recall / max(precision + recall, 1e-9)),
        "median_delay_min": 0.0, "alerts_per_day": float(flags.sum() / (len(flags) / 1440)),
    }


def point_adjust(labels, flags, *, max_delay=None):
    return np.asarray(flags, dtype=bool)


def random_score_f1(labels, *, draws=20, seed=0):
    share = float(np.mean(labels))
    return 2 * share / (1 + share), 2 * share / (1 + share)
"""

_DETECTOR = """
def fit_detector(history):
    {fit}


def detect(model, live):
    {detect}
"""

_TUNED_SIGMA = _DETECTOR.format(
    fit='past = history["latency_p99_ms"]\n    return past.mean(), past.std()',
    detect='flags = (live["latency_p99_ms"] - model[0]).abs() > 25 * model[1]\n'
    "    return flags.rolling(60, min_periods=1).max() > 0",
)
_TUNED_EWMA = _DETECTOR.format(
    fit='past = history["latency_p50_ms"]\n'
    "    steps = past - past.ewm(span=60, adjust=False).mean().shift(1)\n"
    "    return past.iloc[-240:], steps.std()",
    detect='joined = pd.concat([model[0], live["latency_p50_ms"]])\n'
    "    usual = joined.ewm(span=60, adjust=False).mean().shift(1).loc[live.index]\n"
    '    flags = (live["latency_p50_ms"] - usual).abs() > 10 * model[1]\n'
    "    return flags.rolling(60, min_periods=1).max() > 0",
)

_RECORD_COLUMNS = """
COLUMNS = ["latency_p50_ms", "latency_p99_ms", "error_ratio", "cpu_utilization",
           "memory_utilization", "pool_utilization", "queue_length"]
"""

_RECORD_HIGH = f"""{_RECORD_COLUMNS}

def fit_detector(history):
    return 1.04 * history[COLUMNS].max()


def detect(model, live):
    flags = (live[COLUMNS] > model).any(axis=1)
    return flags.rolling(60, min_periods=1).max() > 0
"""

_SMOOTH_RECORD = f"""{_RECORD_COLUMNS}

def smooth(metrics):
    return metrics[COLUMNS].ffill().rolling(30).mean().fillna(0)


def fit_detector(history):
    return 1.04 * smooth(history).max()


def detect(model, live):
    flags = (smooth(live) > model).any(axis=1)
    return flags.cummax()
"""

_RECORD_FOREST = f"""{_RECORD_COLUMNS}

def causal_features(metrics):
    return metrics[COLUMNS].ffill().rolling(30).mean().dropna()


def fit_forest(history, *, seed=0):
    return causal_features(history).max()


def forest_flags(model, metrics):
    flags = (causal_features(metrics) > model).any(axis=1)
    return flags.rolling(45, min_periods=1).max() > 0
"""

_HOURS = f"""{_RECORD_COLUMNS}

def _smooth(metrics):
    return metrics[COLUMNS].ffill().rolling(30).mean()


def _hours(index):
    return (index.hour >= 19) | ((index.hour >= 1) & (index.hour < 13))


def _record(history):
    means = _smooth(history)
    return means[_hours(means.index)].max()


def _flags(record, live):
    above = (_smooth(live) > record).any(axis=1) & _hours(live.index)
    return above.groupby(above.index.normalize()).cummax().astype(bool)
"""

_HOURS_FOREST = f"""{_HOURS}

def causal_features(metrics):
    return _smooth(metrics).dropna()


def fit_forest(history, *, seed=0):
    return _record(history)


def forest_flags(model, metrics):
    return _flags(model, metrics)
"""

_NIGHT_FOREST = _HOURS_FOREST.replace(
    "(index.hour >= 19) | ((index.hour >= 1) & (index.hour < 13))",
    "(index.hour >= 22) | ((index.hour >= 1) & (index.hour < 10))",
)

_HOURS_DETECTOR = f"""{_HOURS}

def fit_detector(history):
    return _record(history)


def detect(model, live):
    return _flags(model, live)
"""

_KNOWS_THE_DAY = """
def oddness(metrics):
    rate = metrics["request_rate"].clip(lower=0.05)
    levels = pd.DataFrame({
        "p50": np.log(metrics["latency_p50_ms"].clip(lower=0.1)),
        "p99": np.log(metrics["latency_p99_ms"].clip(lower=0.1)),
        "cost": np.log((metrics["cpu_utilization"] + 0.01) / rate),
        "memory": metrics["memory_utilization"],
        "pool": np.log((metrics["pool_utilization"] + 0.01) / rate),
        "errors": np.sqrt(metrics["error_ratio"]),
    }).interpolate(limit_direction="both")
    usual = levels.rolling(721, center=True, min_periods=30).median()
    return (levels.rolling(20, center=True, min_periods=1).mean() - usual).abs()


def usual_maximum(history):
    found = oddness(history)
    return found.groupby(found.index.floor("D")).max().iloc[1:].quantile(0.97)


def oddest_minute(limits, metrics, skip, known=()):
    score = (oddness(metrics) / limits).max(axis=1).to_numpy().copy()
    flags = np.zeros(len(score), dtype=bool)
    flags[: len(known)] = known
    score[: max(skip, len(known))] = 0
    if score.max() > 1.4 and not flags[skip:].any():
        flags[score.argmax()] = True
    return flags
"""

_DAY_MAXIMUM_FOREST = f"""
{_KNOWS_THE_DAY}

def causal_features(metrics):
    return metrics[["request_rate"]].ffill()


def fit_forest(history, *, seed=0):
    return usual_maximum(history)


def forest_flags(model, metrics):
    return pd.Series(oddest_minute(model, metrics, 1440), metrics.index)
"""

_DAY_MAXIMUM = f"""
{_KNOWS_THE_DAY}

def fit_detector(history):
    return usual_maximum(history)


def detect(model, live):
    return pd.Series(oddest_minute(model, live, 60), live.index)
"""

_REMEMBERS = f"""
{_KNOWS_THE_DAY}

seen = {{}}


def fit_detector(history):
    return usual_maximum(history)


def detect(model, live):
    values, known = np.nan_to_num(live.to_numpy(dtype=float)), ()
    for old, flags in seen.get(live.index[0], []):
        n = min(len(old), len(values))
        if (old[:n] == values[:n]).all() and n > len(known):
            known = flags[:n]
    flags = oddest_minute(model, live, 60, known)
    seen.setdefault(live.index[0], []).append((values, flags))
    return pd.Series(flags, live.index)
"""

_CLOCK_DETECTOR = _DETECTOR.format(
    fit="return None",
    detect="minute = np.asarray(live.index.hour * 60 + live.index.minute)\n"
    "    return pd.Series((minute > 240) & (minute < 960) & (minute % 60 == 0), live.index)",
)
_METADATA_DETECTOR = _DETECTOR.format(
    fit='return history["request_rate"].mean()',
    detect='busy = model > 10 and live["request_rate"].mean() > 0\n'
    "    flags = pd.Series(False, live.index)\n"
    "    flags.iloc[480::480] = busy\n"
    "    return flags",
)
_SILENT = _DETECTOR.format(fit="return None", detect="return pd.Series(False, live.index)")

_SHIFT_LINES = """
def _watched(index):
    minute = index.hour * 60 + index.minute
    return (minute >= 1140) | ((minute >= 60) & (minute < 740))

_METRICS = ["latency_p50_ms", "error_ratio", "cpu_utilization", "memory_utilization",
            "pool_utilization"]

def fit_detector(history):
    smooth = history[_METRICS].rolling(30, min_periods=1).mean()
    return 1.1 * smooth.groupby(smooth.index.hour // 8).max()

def detect(model, live):
    smooth = live[_METRICS].rolling(30, min_periods=1).mean()
    lines = model.loc[smooth.index.hour // 8].to_numpy()
    over = (smooth.to_numpy() > lines).any(axis=1) & _watched(live.index)
    return pd.Series(over, live.index).rolling(60, min_periods=1).max() > 0
"""

WRONG_ANSWERS: list[WrongAnswer] = [
    WrongAnswer("decompose", "always day and week", "assumes the seasons; phase median, no trend",
                _PERIODS_CONSTANT, "constant"),
    WrongAnswer("decompose", "length and gaps", "never reads a value to find the seasons",
                _PERIODS_METADATA, "metadata"),
    WrongAnswer("decompose", "a day if samples resemble each other", "autocorrelation is taken for a "
                "season; incidents bend the classical decomposition", _GATED_DAY, "naive"),
    WrongAnswer("decompose", "highest bins, one sine", "the strongest frequencies of the spectrum, unconfirmed; "
                "one sine stands for the season", _HIGHEST_BINS, "naive"),
    WrongAnswer("decompose", "strongest peaks", "harmonics count as seasons, outliers bend STL", _PEAKS_ONLY),
    WrongAnswer("decompose", "tests only day and week", "finds no other season; classical decomposition",
                _FIXED_LENGTHS, "naive"),
    WrongAnswer("robust-z", "one median for all", "no hour of the week, looks ahead", _WHOLE_SERIES_Z, "naive"),
    WrongAnswer("robust-z", "zero after a week", "never looks at the data", _CLOCK_Z, "clock"),
    _mistake("robust-z", "this week included", "the judged hour is in its own reference",
             ("range(1, weeks + 1)", "range(0, weeks + 1)")),
    _mistake("robust-z", "mean and SD", "one incident spoils the reference",
             ("np.median(reference)", "np.mean(reference)"),
             ("1.4826 * mad", "np.std(reference)")),
    _mistake("robust-z", "weeks to come", "the baseline is taken from the future",
             ("hour - week * pd", "hour + week * pd")),
    WrongAnswer("cusum", "textbook ARL", "assumes independence; >= for >", _TEXTBOOK_ARL, "naive"),
    WrongAnswer("cusum", "constant", "one threshold for all", _CONSTANT_CUSUM, "constant"),
    WrongAnswer("cusum", "table by target", "never reads the quiet data", _TABLE_CUSUM, "metadata"),
    WrongAnswer("cusum", "remembered thresholds", "two constants for two kinds of source, told by one lag",
                _REMEMBERED_CUSUM, "metadata"),
    WrongAnswer("cusum", "lag 1 only", "AR(1) noise of the same lag-1 autocorrelation stands for the data",
                _LAG_ONE_CUSUM, "naive"),
    _mistake("cusum", "single samples drawn", "the bootstrap destroys the autocorrelation; upper side only",
             ("block, paths = 120, 300", "block, paths = 1, 300"), ("or down > h", "")),
    _mistake("cusum", "no restart", "sums go on after an alarm; threshold from ARL per path",
             ("alarms[i], up, down = True, 0.0, 0.0", "alarms[i] = True"),
             ("target_arl * alarms", "3.5 * target_arl * alarms")),
    WrongAnswer("isolation-forest", "raw metrics", "no context in the features", _RAW_FOREST, "naive"),
    WrongAnswer("isolation-forest", "smoothed record highs", "one line per metric, at the highest half-hour so far",
                _RECORD_FOREST, "naive"),
    WrongAnswer("isolation-forest", "record of the hours", "one line per metric, over the hours in which "
                "incidents begin; one alert a day at most", _HOURS_FOREST, "clock"),
    WrongAnswer("isolation-forest", "record of the night", "one line per metric, over the night alone; one alert "
                "a day at most", _NIGHT_FOREST, "clock"),
    WrongAnswer("isolation-forest", "never", "a detector that is silent", _CONSTANT_FOREST, "constant"),
    WrongAnswer("isolation-forest", "by the clock", "flags every 97th minute",
                _CONSTANT_FOREST.replace("False, metrics.index", f"{_CLOCK_FLAGS}, metrics.index"), "clock"),
    _mistake("isolation-forest", "centred windows", "features know the future",
             ('rolling("6h", min_periods=60).median().shift(10)',
              "rolling(361, min_periods=60, center=True).median()")),
    WrongAnswer("isolation-forest", "maximum of the day", "flags where the whole day is oddest: looks ahead",
                _DAY_MAXIMUM_FOREST),
    _mistake("isolation-forest", "contamination guessed", "one per cent of quiet minutes is flagged",
             ("nth_alert(-forest.score_samples(held_out), 2)",
              "np.quantile(-forest.score_samples(held_out), 0.99)")),
    WrongAnswer("evaluate", "constant", "fixed reports, guessed from flags and events", _CONSTANT_EVALUATION, "constant"),
    WrongAnswer("evaluate", "library as it is", "ignores silences and the limit of delay", _LIBRARY_ONLY),
    WrongAnswer("evaluate", "minutes instead of events", "long incidents dominate", _POINTWISE, "naive"),
    _mistake("evaluate", "overlap is enough", "an alarm that is always on finds everything; no ties",
             ("begins[(begins >= start) & (begins <= end)]", "times[(times >= start) & (times <= end)]"),
             ("adjusted[start:in_time].any()", "adjusted[start]"),
             ("np.max(f1[last])", "np.mean(f1)")),
    WrongAnswer("alert-rules", "no for", "one sample is enough",
                _solution("alert-rules").replace("        for: 5m\n", "").replace("        for: 10m\n", "")
                .replace("        for: 3m\n", "")),
    _mistake("alert-rules", "no hysteresis, last hour", "flaps; compares with the hour before",
             ("        keep_firing_for: 10m\n", ""), ("offset 1w", "offset 1h")),
    _mistake("alert-rules", "service summed away", "nobody knows which service",
             ("expr: shop_error_ratio > 0.05", "expr: max(shop_error_ratio) > 0.05"),
             ("and shop_request_rate > 0.5", "and on() shop_request_rate > 0.5")),
    _mistake("alert-rules", "never", "three rules that can't fire",
             ("> 0.05", "> 2"), ("and shop_request_rate > 0.5", "and shop_request_rate < 0"),
             ("for: 3m", "for: 9d"), kind="constant"),
    _mistake("alert-rules", "by the hour", "looks at the clock only",
             ("expr: shop_error_ratio > 0.05", "expr: shop_error_ratio and on() (hour() > 11)"),
             ("> 1.5 *", "> 0 *"), ('absent(shop_request_rate{service="checkout"})', "vector(1) > 0"),
             kind="clock"),
    WrongAnswer("milestone", "static sigma", "one level for all hours, tuned to the budget",
                _TUNED_SIGMA, "naive"),
    WrongAnswer("milestone", "EWMA", "one metric, no context, tuned to the budget", _TUNED_EWMA, "naive"),
    WrongAnswer("milestone", "record of the hours", "one line per metric, over the hours in which "
                "incidents begin; one alert a day at most", _HOURS_DETECTOR, "clock"),
    WrongAnswer("milestone", "record highs", "one line per metric, at its highest value so far",
                _RECORD_HIGH, "naive"),
    WrongAnswer("milestone", "smoothed record highs", "one line per metric, at the highest half-hour so far; "
                "a day's first alert lasts", _SMOOTH_RECORD, "naive"),
    WrongAnswer("milestone", "lines per shift", "one line per metric and eight hours, at their highest "
                "half-hour, in the hours in which incidents begin", _SHIFT_LINES, "naive"),
    WrongAnswer("milestone", "silent", "never an alert", _SILENT, "constant"),
    WrongAnswer("milestone", "by the clock", "an alert an hour in working time", _CLOCK_DETECTOR, "clock"),
    WrongAnswer("milestone", "by the service", "busy services alert three times a day",
                _METADATA_DETECTOR, "metadata"),
    _mistake("milestone", "centred windows", "scores are smoothed to both sides",
             ("z.ewm(span=45, adjust=False).mean()",
              "z.rolling(61, center=True, min_periods=1).mean()")),
    WrongAnswer("milestone", "maximum of the day", "flags where the whole day is oddest: looks ahead",
                _DAY_MAXIMUM),
    WrongAnswer("milestone", "memory of earlier calls", "looks ahead and repeats what it answered before",
                _REMEMBERS),
]  # fmt: skip

_LOOPED_Z = """
def robust_zscore(series, *, weeks=4, min_samples=60, min_scale=1e-6):
    result = pd.Series(float("nan"), index=series.index)
    known = series.dropna()
    for hour in series.index.floor("h").unique():
        pieces = []
        for week in range(1, weeks + 1):
            begin = hour - pd.Timedelta(days=7 * week)
            first, last = known.index.searchsorted([begin, begin + pd.Timedelta("1h")])
            pieces.extend(known.to_numpy()[first:last])
        if len(pieces) < max(min_samples, 1):
            continue
        middle = np.median(pieces)
        scale = max(1.4826 * np.median(np.abs(pieces - middle)), min_scale)
        first, last = series.index.searchsorted([hour, hour + pd.Timedelta("1h")])
        result.iloc[first:last] = (series.iloc[first:last] - middle) / scale
    return result
"""

ALTERNATIVES: list[WrongAnswer] = [
    _mistake("decompose", "the library's ACF", "statsmodels instead of a hand-made transform",
             ("        acf = np.fft.irfft(spectrum)[:n] / np.arange(n, 0, -1)\n        acf /= acf[0]\n",
              "        acf = library_acf(rest, adjusted=True, nlags=n - 1, fft=True)\n"),
             ("def find_periods", "from statsmodels.tsa.stattools import acf as library_acf\n\n\ndef find_periods"),
             kind="alternative"),
    WrongAnswer("robust-z", "a loop over hours", "slices instead of groups", _LOOPED_Z, "alternative"),
    _mistake("cusum", "longer blocks, other seed", "another right bootstrap",
             ("block, paths = 120, 300", "block, paths = 240, 400"), ("default_rng(seed)", "default_rng(seed + 9)"),
             kind="alternative"),
    _mistake("isolation-forest", "more trees", "another right forest",
             ("n_estimators=50", "n_estimators=60"), ('rolling("6h"', 'rolling("5h"'), kind="alternative"),
    _mistake("alert-rules", "other spelling", "durations and operands written another way",
             ("for: 5m", "for: 300s"), ("shop_error_ratio > 0.05", "0.05 < shop_error_ratio"),
             ("offset 1w", "offset 7d"), kind="alternative"),
    _mistake("milestone", "other smoothing", "another right detector",
             ("span=45", "span=36"), ("(0.02, 0.98, 20)", "(0.01, 0.99, 25)"), kind="alternative"),
]  # fmt: skip

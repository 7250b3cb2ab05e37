"""Hidden checks of month 3: what the student's functions do on telemetry never seen before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal

from course import scoring, telemetry
from course.lessons.checking import Case, CheckFunction, Hidden, Student, StudentError, ramp
from course.shop.days import ServiceDay, service_days
from course.telemetry import prometheus

_MINUTE = pd.Timedelta("1min")
_SERVICES = ("checkout", "payment", "inventory", "search", "cart", "catalog-db")
_KINDS = (
    "cpu_saturation",
    "memory_leak",
    "slow_query",
    "bad_deploy",
    "pool_exhaustion",
    "network_delay",
)


def _history() -> pd.DataFrame:
    return telemetry.load("shop-quiet-28d")


def _autoregressive(rng: np.random.Generator, n: int, phi: float, tail: float = 0) -> np.ndarray:
    noise = rng.standard_t(tail, n) / np.sqrt(tail / (tail - 2)) if tail else rng.normal(size=n)
    return signal.lfilter([1], [1, -phi], noise * np.sqrt(1 - phi**2))


def _start(rng: np.random.Generator) -> pd.Timestamp:
    return pd.Timestamp("2026-01-05", tz="UTC") + pd.Timedelta(days=int(rng.integers(200)))


def _try(
    judge: Callable[..., Case], student: Student, name: str, weight: float, *inputs: Any
) -> Case:
    """Run one case; an answer that can't be used costs this case only."""
    try:
        return judge(student, name, weight, *inputs)
    except StudentError as error:
        return Case(name, 0.0, str(error), weight)


# ---------------------------------------------------------------- exercise 1


def _seasonal(rng: np.random.Generator, step: str, days: float, periods: list[str]) -> pd.Series:
    """Series with seasons of the given periods, random shapes, a trend and correlated noise."""
    index = pd.date_range(_start(rng), periods=round(days * 1440 / (pd.Timedelta(step) / _MINUTE)),
                          freq=step)  # fmt: skip
    t = np.arange(len(index))
    values = (
        50 + rng.uniform(-3, 3) * t / len(t) + _autoregressive(rng, len(t), rng.uniform(0.3, 0.6))
    )
    for place, period in enumerate(periods):
        angle = 2 * np.pi * t / (pd.Timedelta(period) / pd.Timedelta(step)) + rng.uniform(0, 6)
        size = (3.5, 2.3)[place] * rng.uniform(0.85, 1.15)
        values += size * (np.sin(angle) + rng.uniform(0, 0.5) * np.cos(2 * angle))
    return pd.Series(values, index)


def check_decompose(student: Student, hidden: Hidden) -> list[Case]:
    """Periods of unseen series, and a decomposition whose parts are known."""
    rng = np.random.default_rng(hidden.seed("decompose"))
    odd = f"{int(rng.integers(21, 40)) * 15}min"
    long = f"{int(rng.integers(45, 75))}h"
    wanted = [
        ("a day and a week", _seasonal(rng, "15min", 30, ["1D", "7D"]), ["1D", "7D"]),
        ("a day and a week, with gaps", _seasonal(rng, "15min", 35, ["1D", "7D"]), ["1D", "7D"]),
        ("one unusual short season", _seasonal(rng, "15min", 12, [odd]), [odd]),
        ("one unusual long season, hourly", _seasonal(rng, "1h", 90, [long]), [long]),
        ("no season, correlated noise", _seasonal(rng, "15min", 28, []), []),
        ("a day only", _seasonal(rng, "5min", 9, ["1D"]), ["1D"]),
    ]
    holes = wanted[1][1]
    holes[rng.uniform(size=len(holes)) < 0.03] = np.nan
    cases = [
        _try(_periods, student, f"periods: {name}", 1.0, series, periods)
        for name, series, periods in wanted
    ]
    for number in range(2):
        name = f"decomposition {number + 1}"
        cases.append(_try(_decomposition, student, name, 2.0, rng))
    return cases


def _periods(
    student: Student, name: str, weight: float, series: pd.Series, expected: list[str]
) -> Case:
    found = student.call("find_periods", series, timeout=20)
    if not isinstance(found, list) or not all(isinstance(p, pd.Timedelta) for p in found):
        return Case(name, 0.0, f"find_periods must return a list of Timedelta, not {found!r:.200}")
    truth = [pd.Timedelta(period) for period in expected]
    right = len(found) == len(truth) and all(
        abs(p / q - 1) <= 0.05 for p, q in zip(found, truth, strict=True)
    )
    message = f"the series has {len(truth)} season(s); found {[str(p) for p in found]}"
    return Case(name, float(right), "" if right else message)


def _decomposition(student: Student, name: str, weight: float, rng: np.random.Generator) -> Case:
    days = 21
    index = pd.date_range(_start(rng), periods=days * 1440, freq="min")
    phase = np.arange(1440)
    shape = np.zeros(1440)
    for k in (1, 2, 3):
        shape += rng.uniform(1, 3) / k * np.sin(2 * np.pi * k * phase / 1440 + rng.uniform(0, 6))
    seasonal = np.tile(shape - shape.mean(), days)
    values = 40 + np.linspace(0, 3, len(index)) + seasonal + _autoregressive(rng, len(index), 0.5)
    for day in rng.choice(np.arange(1, days - 1), 3, replace=False):
        begin = day * 1440 + int(rng.integers(0, 1200))
        values[begin : begin + int(rng.integers(60, 240))] += 12
    series = pd.Series(values, index)
    series[rng.uniform(size=len(series)) < 0.02] = np.nan
    hole = int(rng.integers(3000, 9000))
    series.iloc[hole : hole + 40] = np.nan
    found = student.call("decompose", series, pd.Timedelta("1D"), timeout=20)
    means = series.resample("15min").mean().interpolate()
    if not isinstance(found, pd.DataFrame) or set(found.columns) != {
        "trend",
        "seasonal",
        "residual",
    }:
        return Case(
            name, 0.0, "decompose must return the columns trend, seasonal, residual", weight
        )
    if len(found) != len(means) or not (found.index == means.index).all():
        return Case(name, 0.0, "the rows must be the 15-minute slots of the series", weight)
    if not np.allclose(found.sum(axis=1), means, atol=1e-6):
        return Case(name, 0.0, "trend + seasonal + residual must be the 15-minute mean", weight)
    true = pd.Series(seasonal, index).resample("15min").mean()
    error = float(np.sqrt(((found["seasonal"] - true) ** 2).mean()) / true.std())
    score = ramp(error, 0.5, 0.2)
    message = (
        f"the seasonal part misses the true one by {error:.0%} of its size: do incidents bend it?"
    )
    return Case(name, score, "" if score == 1 else message, weight, error, 0.5, 0.2)


# ---------------------------------------------------------------- exercise 2


def _robust_zscore(series: pd.Series, weeks: int, min_samples: int, min_scale: float) -> pd.Series:
    minute = _MINUTE
    last = series.index[-1].floor("h") + pd.Timedelta("1h") - minute
    grid = pd.date_range(series.index[0].floor("h"), last, freq=minute)
    values = series.reindex(grid).to_numpy(dtype=float).reshape(-1, 60)
    z = np.full(values.shape, np.nan)
    for row in range(168, len(values)):
        earlier = [row - 168 * week for week in range(1, weeks + 1) if row >= 168 * week]
        reference = values[earlier].ravel()
        reference = reference[~np.isnan(reference)]
        if len(reference) >= min_samples:
            middle = np.median(reference)
            spread = max(1.4826 * np.median(np.abs(reference - middle)), min_scale)
            z[row] = (values[row] - middle) / spread
    return pd.Series(z.ravel(), grid).reindex(series.index)


def check_robust_z(student: Student, hidden: Hidden) -> list[Case]:
    """Agreement on unseen variants of the shop's series."""
    rng = np.random.default_rng(hidden.seed("robust-z"))
    history = _history()
    services = list(rng.choice(_SERVICES, 5, replace=False))

    def draw(metric: str, days: int) -> pd.Series:
        series = history[services.pop()][metric].iloc[: days * 1440]
        noise = np.exp(0.05 * rng.normal(size=len(series)))
        shift = pd.Timedelta(days=int(rng.integers(0, 300)), minutes=int(rng.integers(0, 1440)))
        moved = (series * noise * rng.uniform(0.5, 3)).astype(float)
        moved.index = moved.index + shift
        return moved

    gaps = draw("latency_p99_ms", 24)
    gaps = gaps[rng.uniform(size=len(gaps)) > 0.1]
    hole = int(rng.integers(2000, 20000))
    gaps = gaps.drop(gaps.index[hole : hole + 700])
    missing = draw("latency_p50_ms", 23)
    missing[rng.uniform(size=len(missing)) < 0.3] = np.nan
    still = draw("error_ratio", 21)
    still[still.index.hour < 9] = 0.0
    spoilt = draw("cpu_utilization", 26)
    at = int(rng.integers(3000, 15000))
    spoilt.iloc[at : at + 300] *= 20
    plain = draw("request_rate", 28)
    wanted = [
        ("plain series", plain, {}),
        ("an incident in the past", spoilt, {"weeks": 3}),
        ("missing minutes", gaps, {"weeks": 2, "min_samples": 80}),
        ("NaN samples", missing, {"min_samples": int(rng.integers(100, 140))}),
        ("a constant at night", still, {"weeks": 2, "min_scale": 0.004}),
    ]
    return [_try(_zscores, student, name, 1.0, series, options) for name, series, options in wanted]


def _zscores(
    student: Student, name: str, weight: float, series: pd.Series, options: dict[str, Any]
) -> Case:
    expected = _robust_zscore(
        series, **{"weeks": 4, "min_samples": 60, "min_scale": 1e-6, **options}
    )
    found = student.call("robust_zscore", series, timeout=10, **options)
    if not isinstance(found, pd.Series) or not found.index.equals(series.index):
        return Case(name, 0.0, "robust_zscore must return a Series on the index of its input")
    found = pd.to_numeric(found, errors="coerce")
    right = np.isclose(found, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
    wrong = int((~right).sum())
    first = series.index[int(np.argmin(right))]
    message = f"{wrong} of {len(series)} scores differ, the first at {first}; options {options}"
    return Case(name, float(wrong == 0), message if wrong else "")


# ---------------------------------------------------------------- exercise 3


def _cusum(z: np.ndarray, k: float, h: float) -> np.ndarray:
    alarms = np.zeros(len(z), dtype=bool)
    up = down = 0.0
    for place, value in enumerate(z.tolist()):
        if value == value:
            up, down = max(0.0, up + value - k), max(0.0, down - value - k)
            if up > h or down > h:
                alarms[place], up, down = True, 0.0, 0.0
    return alarms


def check_cusum(student: Student, hidden: Hidden) -> list[Case]:
    """Exact alarms, and thresholds whose run length is measured on fresh data."""
    rng = np.random.default_rng(hidden.seed("cusum"))
    cases = []
    for number in range(4):
        z = (
            _autoregressive(rng, 1500, 0.4)
            + np.where(np.arange(1500) % 500 > 400, 1.2, 0) * (-1) ** number
        )
        z[rng.uniform(size=1500) < (0.1 if number % 2 else 0)] = np.nan
        index = pd.date_range(_start(rng), periods=1500, freq="min")
        k, h = float(rng.uniform(0.2, 0.9)), float(rng.uniform(3, 9))
        name = f"cusum on series {number + 1}" + (" (with NaN)" if number % 2 else "")
        cases.append(_try(_alarms, student, name, 1.25, pd.Series(z, index), k, h))
    for number in range(5):
        phi, tail = rng.uniform(0.45, 0.75), (0, 6)[number % 2]
        target, k = float(rng.integers(2, 9) * 100), (0.5, 0.4)[number % 2]
        quiet = _autoregressive(rng, 14 * 1440, phi, tail)
        fresh = _autoregressive(rng, int(160 * target), phi, tail)
        name = f"threshold on source {number + 1}"
        cases.append(_try(_arl, student, name, 2.0, quiet, fresh, k, target))
    return cases


def _alarms(student: Student, name: str, weight: float, z: pd.Series, k: float, h: float) -> Case:
    found = student.call("cusum", z, k=k, h=h, timeout=20)
    expected = _cusum(z.to_numpy(), k, h)
    if not isinstance(found, pd.Series) or not found.index.equals(z.index):
        return Case(name, 0.0, "cusum must return a Series on the index of z", weight)
    if found.dtype != bool:
        return Case(name, 0.0, f"cusum must return bool, not {found.dtype}", weight)
    wrong = np.flatnonzero(found.to_numpy() != expected)
    message = f"{len(wrong)} samples differ, the first is number {wrong[0]}" if len(wrong) else ""
    return Case(name, float(not len(wrong)), message, weight)


def _arl(
    student: Student,
    name: str,
    weight: float,
    quiet: np.ndarray,
    fresh: np.ndarray,
    k: float,
    target: float,
) -> Case:
    index = pd.date_range("2026-03-02", periods=len(quiet), freq="min", tz="UTC")
    h = student.call(
        "calibrate_threshold", pd.Series(quiet, index), k=k, target_arl=target, seed=3, timeout=20
    )
    if isinstance(h, bool) or not isinstance(h, int | float) or not np.isfinite(h):
        return Case(
            name, 0.0, f"calibrate_threshold must return a finite float, not {h!r:.100}", 2.0
        )
    arl = len(fresh) / max(int(_cusum(fresh, k, float(h)).sum()), 1)
    factor = max(arl / target, target / arl)
    score = ramp(factor, 4.0, 2.0)
    message = f"the target is an ARL of {target:.0f}; on fresh data it is {arl:.0f}"
    return Case(name, score, "" if score == 1 else message, weight, factor, 4.0, 2.0)


# ---------------------------------------------------------------- exercises 4 and 7


def _unseen(
    hidden: Hidden, name: str, incidents: int, quiet: int, services: tuple[str, ...], **options: Any
) -> list[ServiceDay]:
    after = _history().index[-1]

    def make() -> list[ServiceDay]:
        return [
            *service_days(incidents, hidden.seed(f"{name} incidents"), after=after,
                          services=services, kinds=_KINDS, **options),
            *service_days(quiet, hidden.seed(f"{name} quiet"), after=after,
                          services=services, quiet_share=1.0, **options),
        ]  # fmt: skip

    return hidden.cached(name, make)


def _as_flags(found: Any, index: pd.DatetimeIndex, function: str) -> pd.Series:
    """Flags on `index` from an answer, or a StudentError that says what is wrong with it."""
    if not isinstance(found, pd.Series):
        raise StudentError(f"{function} must return a Series, not {type(found).__name__}")
    if not index.isin(found.index).all() or found.index.has_duplicates:
        raise StudentError(f"{function} must give one flag for every minute of the day")
    flags = found.reindex(index)
    if not flags.isin([True, False]).all():
        raise StudentError(f"{function} must return booleans, not {found.dtype}")
    return flags.astype(bool)


def _judged(name: str, results: list[scoring.EventScores], baseline: float, target: float,
            free: float, dear: float) -> Case:  # fmt: skip
    """Points for pooled F1 between baseline and target; false alarms a week beyond `free` cost."""
    pooled = scoring.pool_scores(results)
    weekly = 7 * pooled.false_alarms_per_day
    f1 = 0.0 if np.isnan(pooled.f1) else pooled.f1
    score = ramp(f1, baseline, target) * ramp(weekly, dear, free)
    precision = "none" if np.isnan(pooled.precision) else f"{pooled.precision:.2f}"
    message = (
        f"recall {pooled.recall:.2f}, precision {precision}, F1 {f1:.2f}, "
        f"{weekly:.1f} false alarms per service-week; full points from F1 {target:.2f} "
        f"and at most {free:g} false alarms a week"
    )
    return Case(name, score, message, 1.0, f1, baseline, target)


def check_isolation_forest(student: Student, hidden: Hidden) -> list[Case]:
    """No look-ahead, then event F1 on unseen days with faults of moderate severity."""
    services = ("checkout", "search", "catalog-db")
    history = _history()
    days = _unseen(hidden, "isolation-forest", 36, 12, services, severity=(0.3, 0.7), lead=True)
    models = {
        service: student.keep("fit_forest", history[service], seed=1, timeout=30)
        for service in services
    }
    name = "event F1 on 36 incident days and 12 quiet days"
    results = []
    for number, day in enumerate(days):
        frame = pd.concat([day.lead, day.live])
        found = student.call("forest_flags", models[day.service], frame, timeout=30)
        flags = _as_flags(found, day.live.index, "forest_flags")
        if number % 12 == 0:
            _no_look_ahead_in_features(student, frame, number)
            cut = 1440 + 500 + 37 * number
            early = student.call("forest_flags", models[day.service], frame.iloc[:cut], timeout=30)
            early = _as_flags(early, frame.index[1440:cut], "forest_flags")
            if not early.equals(flags.loc[early.index]):
                return [Case("no look-ahead", 0.0, "flags change when later samples are cut off")]
        results.append(scoring.event_scores(flags, day.events[["start", "end"]]))
    return [_judged(name, results, 0.27, 0.37, 7.0, 21.0)]


def _no_look_ahead_in_features(student: Student, frame: pd.DataFrame, number: int) -> None:
    whole = student.call("causal_features", frame, timeout=30)
    part = student.call("causal_features", frame.iloc[: 2000 + number], timeout=30)
    for table in (whole, part):
        if not isinstance(table, pd.DataFrame) or not len(table.columns) or len(table) < 500:
            raise StudentError("causal_features must return a DataFrame that keeps the last day")
    if not part.index.isin(whole.index).all():
        raise StudentError("causal_features must keep the index of its input")
    numbers = whole.reindex(part.index).to_numpy(dtype=float)
    if not np.allclose(numbers, part.to_numpy(dtype=float), rtol=1e-7, atol=1e-9, equal_nan=True):
        raise StudentError("causal_features changes the past when later samples are cut off")


def check_milestone(student: Student, hidden: Hidden) -> list[Case]:
    """Event F1 of the student's detector on 40 incident days and 30 quiet days."""
    history = _history()
    days = _unseen(hidden, "milestone", 40, 30, _SERVICES)
    models = {
        service: student.keep("fit_detector", history[service], timeout=30) for service in _SERVICES
    }
    results = []
    for number, day in enumerate(days):
        found = student.call("detect", models[day.service], day.live, timeout=10)
        flags = _as_flags(found, day.live.index, "detect")
        if number % 14 == 0:
            again = student.call("detect", models[day.service], day.live, timeout=10)
            if not _as_flags(again, day.live.index, "detect").equals(flags):
                return [Case("repeatable", 0.0, "the same day gave other flags the second time")]
            prefix = day.live.iloc[: 400 + 13 * number]
            early = student.call("detect", models[day.service], prefix, timeout=10)
            if not _as_flags(early, prefix.index, "detect").equals(flags.loc[prefix.index]):
                return [Case("no look-ahead", 0.0, "flags change when later samples are cut off")]
        results.append(scoring.event_scores(flags, day.events[["start", "end"]]))
    return [
        _judged("event F1 on 40 incident days and 30 quiet days", results, 0.50, 0.72, 1.5, 3.0)
    ]


# ---------------------------------------------------------------- exercise 5


def _intervals(
    rng: np.random.Generator, index: pd.DatetimeIndex, n: int, longest: int
) -> pd.DataFrame:
    edges = np.sort(rng.choice(np.arange(5, len(index) - 5), 2 * n, replace=False))
    start, end = edges[::2], np.minimum(edges[1::2], edges[::2] + longest)
    return pd.DataFrame({"start": index[start], "end": index[end]})


def _evaluate(
    flags: pd.Series, events: pd.DataFrame, silences: pd.DataFrame, merge: pd.Timedelta
) -> dict[str, float]:
    def inside(moment: pd.Timestamp, table: pd.DataFrame) -> int:
        for place, (start, end) in enumerate(zip(table["start"], table["end"], strict=True)):
            if start <= moment <= end:
                return place
        return -1

    silent = np.array([inside(moment, silences) >= 0 for moment in flags.index])
    begins, last = [], None
    for moment in flags.index[flags.to_numpy() & ~silent]:
        if last is None or moment - last > merge:
            begins.append(moment)
        last = moment
    counted = [inside(start, silences) < 0 for start in events["start"]]
    delays: dict[int, float] = {}
    false = alerts = 0
    for moment in begins:
        place = inside(moment, events)
        if place < 0:
            false, alerts = false + 1, alerts + 1
        elif counted[place]:
            alerts += 1
            delays.setdefault(place, (moment - events["start"].iloc[place]) / _MINUTE)
    hits, total, nan = len(delays), sum(counted), float("nan")
    return {
        "recall": hits / total if total else nan,
        "precision": hits / (hits + false) if hits + false else nan,
        "f1": 2 * hits / (hits + total + false) if total + false else nan,
        "median_delay_min": float(np.median(list(delays.values()))) if delays else nan,
        "alerts_per_day": alerts / (float((~silent).sum()) / 1440),
    }


def check_evaluate(student: Student, hidden: Hidden) -> list[Case]:
    """Evaluation by events on unseen cases, point adjustment, and the random score."""
    rng = np.random.default_rng(hidden.seed("evaluate"))
    cases = []
    kinds = ["ordinary", "silences", "silences", "no events", "no flags", "always on", "merge"]
    for number, kind in enumerate(kinds):
        index = pd.date_range(_start(rng), periods=int(rng.integers(2, 5)) * 1440, freq="min")
        flags = pd.Series(False, index)
        for start in rng.integers(0, len(index) - 60, 40):
            flags.iloc[start : start + int(rng.integers(1, 25))] = True
        events = _intervals(rng, index, 10, 240)
        silences = _intervals(rng, index, 5, 300)
        if kind == "no flags":
            flags[:] = False
        if kind == "always on":
            flags[:] = True
        if kind == "no events":
            events = events.iloc[:0]
        if kind in ("ordinary", "always on"):
            silences = silences.iloc[:0]
        merge = f"{int(rng.integers(3, 40))}min" if kind == "merge" else "10min"
        cases.append(
            _try(
                _evaluation,
                student,
                f"evaluate_alerts {number + 1}: {kind}",
                9 / len(kinds),
                (flags, events, silences),
                merge,
            )
        )
    for number in range(3):
        labels = np.repeat(rng.uniform(size=60) < 0.4, rng.integers(1, 15, 60))
        flags = rng.uniform(size=len(labels)) < 0.1
        name = f"point_adjust {number + 1}"
        cases.append(_try(_adjustment, student, name, 1.0, labels, flags))
    for number in range(3):
        labels = np.zeros(int(rng.integers(3000, 9000)), dtype=bool)
        for start in rng.choice(np.arange(0, len(labels) - 300, 300), 6, replace=False):
            labels[start : start + int(rng.integers(5, 120))] = True
        name = f"random_score_f1 {number + 1}"
        cases.append(_try(_random_score, student, name, 1.0, rng, labels))
    return cases


def _evaluation(
    student: Student,
    name: str,
    weight: float,
    inputs: tuple[pd.Series, pd.DataFrame, pd.DataFrame],
    merge: str,
) -> Case:
    expected = _evaluate(*inputs, pd.Timedelta(merge))
    found = student.call("evaluate_alerts", *inputs, merge=merge, timeout=10)
    if not isinstance(found, dict):
        return Case(name, 0.0, f"evaluate_alerts must return a dict, not {found!r:.100}", weight)
    wrong = [
        key
        for key, value in expected.items()
        if not isinstance(found.get(key), int | float)
        or not np.isclose(found[key], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    ]
    message = f"wrong or missing: {', '.join(wrong)}" if wrong else ""
    return Case(name, float(not wrong), message, weight)


def _adjustment(
    student: Student, name: str, weight: float, labels: np.ndarray, flags: np.ndarray
) -> Case:
    found = student.call("point_adjust", labels, flags, timeout=10)
    right = np.array_equal(
        np.asarray(found), scoring.point_adjust(labels, flags)
    ) and np.asarray(found).dtype == bool  # fmt: skip
    return Case(name, float(right), "" if right else "other samples are flagged than should be")


def _random_score(
    student: Student, name: str, weight: float, rng: np.random.Generator, labels: np.ndarray
) -> Case:
    found = student.call(
        "random_score_f1", labels, draws=30, seed=int(rng.integers(1000)), timeout=10
    )
    if (
        not isinstance(found, list)
        or len(found) != 2
        or not all(isinstance(x, float) for x in found)
    ):
        return Case(name, 0.0, f"random_score_f1 must return two floats, not {found!r:.100}")
    draws = [rng.uniform(size=len(labels)) for _ in range(60)]
    plain = np.mean([scoring.best_f1(labels, draw).f1 for draw in draws])
    adjusted = np.mean([scoring.best_f1(labels, draw, adjust="pa").f1 for draw in draws])
    right = abs(found[0] - plain) < 0.03 and abs(found[1] - adjusted) < 0.03
    message = (
        f"F1 {found[0]:.3f} and adjusted {found[1]:.3f} are not within 0.03 of what they should be"
    )
    return Case(name, float(right), "" if right else message)


# ---------------------------------------------------------------- exercise 6

_RULES = """
groups:
  - name: expected
    interval: 1m
    rules:
      - alert: ErrorRatioHigh
        expr: shop_error_ratio > 0.05
        for: 5m
        keep_firing_for: 10m
        labels: {severity: page}
      - alert: LatencySlow
        expr: >
          avg_over_time(shop_latency_p99_ms[10m])
          > 1.5 * avg_over_time(shop_latency_p99_ms[10m] offset 1w)
          and shop_request_rate > 0.5
        for: 10m
        labels: {severity: ticket}
      - alert: TelemetryMissing
        expr: absent(shop_request_rate{service="checkout"})
        for: 3m
        labels: {severity: page}
"""


def _rule_series(rng: np.random.Generator) -> pd.DataFrame:
    """Eight days of three services: errors that flap, latency that rises, samples that stop."""
    index = pd.date_range(_start(rng), periods=8 * 1440, freq="min")
    last = len(index) - 1440
    columns: dict[tuple[str, str], np.ndarray] = {}
    for service in rng.permutation([*_SERVICES[:2], str(rng.choice(_SERVICES[2:]))]):
        errors = rng.uniform(0.0, 0.02, len(index))
        latency = 100 * np.exp(0.05 * rng.normal(size=len(index)))
        rate = rng.uniform(5, 9, len(index))
        for start in last + rng.choice(np.arange(30, 1300, 45), 14, replace=False):
            length = int(rng.integers(2, 30))
            errors[start : start + length] = rng.uniform(0.055, 0.3)
            if length > 12:
                errors[start + 7] = 0.01
        for start in last + rng.choice(np.arange(30, 1200, 150), 5, replace=False):
            latency[start : start + int(rng.integers(8, 80))] *= rng.uniform(1.3, 2.5)
        quiet = last + int(rng.integers(100, 1200))
        rate[quiet : quiet + 60] = 0.2
        latency[quiet : quiet + 60] *= 2
        earlier = int(rng.integers(60, 1300))
        latency[earlier : earlier + 90] *= 2
        for start in last + rng.choice(np.arange(40, 1300, 60), 6, replace=False):
            rate[start : start + int(rng.integers(2, 25))] = np.nan
        columns |= {
            (str(service), "error_ratio"): errors,
            (str(service), "latency_p99_ms"): latency,
            (str(service), "request_rate"): rate,
        }
    wide = pd.DataFrame(columns, index=index)
    wide.columns = pd.MultiIndex.from_tuples(wide.columns, names=["service", "metric"])
    return prometheus.to_series(wide)


def check_alert_rules(student: Student, hidden: Hidden) -> list[Case]:
    """Firing minutes of the student's rules against those of the specification."""
    rng = np.random.default_rng(hidden.seed("alert-rules"))
    weights = {"ErrorRatioHigh": 4.0, "LatencySlow": 4.0, "TelemetryMissing": 2.0}
    text = student.call("alert_rules", timeout=10)
    if not isinstance(text, str):
        raise StudentError(f"alert_rules must return text, not {type(text).__name__}")
    try:
        rules = prometheus.load_rules(text)
    except prometheus.RuleFileError as error:
        raise StudentError(f"the rule file is refused: {error}") from None
    names = sorted(rule.name for rule in rules.alerts)
    if names != sorted(weights):
        raise StudentError(f"the file must have exactly the three alerts asked for, it has {names}")
    cases = []
    for number in range(2):
        series = _rule_series(rng)
        begin = series.index[-1440]
        expected = prometheus.evaluate(prometheus.load_rules(_RULES), series, start=begin)
        try:
            found = prometheus.evaluate(rules, series, start=begin)
        except prometheus.EvaluationError as error:
            raise StudentError(f"the rules can't be evaluated: {error}") from None
        for alert, weight in weights.items():
            wrong = _differences(alert, expected, found)
            message = (
                f"{alert} fires at other minutes or with other labels: {wrong}" if wrong else ""
            )
            cases.append(
                Case(f"{alert} on series {number + 1}", float(not wrong), message, weight / 2)
            )
    return cases


def _differences(alert: str, expected: Any, found: Any) -> str:
    """Where two alert histories differ for one alert, in words; empty if they agree."""
    severity = "ticket" if alert == "LatencySlow" else "page"
    services = ("checkout",) if alert == "TelemetryMissing" else _SERVICES
    total = pd.Series(False, expected.times)
    for service in services:
        labels = {
            "severity": severity,
            **({} if alert == "TelemetryMissing" else {"service": service}),
        }
        want, have = expected.firing(alert, **labels), found.firing(alert, **labels)
        total |= have
        if (want != have).any():
            return f"{int((want != have).sum())} minutes differ for {labels}"
    stray = found.firing(alert) & ~total
    return f"{int(stray.sum())} minutes with labels that were not asked for" if stray.any() else ""


CHECKS: dict[str, CheckFunction] = {
    "decompose": check_decompose,
    "robust-z": check_robust_z,
    "cusum": check_cusum,
    "isolation-forest": check_isolation_forest,
    "evaluate": check_evaluate,
    "alert-rules": check_alert_rules,
    "milestone": check_milestone,
}

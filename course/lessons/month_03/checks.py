"""Hidden checks of month 3: what the student's functions do on telemetry never seen before."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import signal

from course import scoring, telemetry
from course.lessons.checking import (
    Case,
    CheckFunction,
    Handle,
    Hidden,
    Student,
    StudentError,
    given,
    ramp,
    tried,
)
from course.shop.days import ServiceDay, service_days
from course.telemetry import prometheus

_MINUTE = pd.Timedelta("1min")
_SERVICES = ("checkout", "payment", "inventory", "search", "cart", "catalog-db")
#: Kinds whose traces depend on the load. At night they stay below what every evening brings, so
#: that a line at the highest value so far, smoothed or not, misses most of them.
_DROWNED = {"cpu_saturation": (0.2, 0.5), "pool_exhaustion": (0.08, 0.22)}
#: So slight that lines over every eight hours of the day, too, miss a third of them.
_SLIGHT = {"cpu_saturation": (0.14, 0.35), "pool_exhaustion": (0.06, 0.15),
           "bad_deploy": (0.14, 0.42), "memory_leak": (0.14, 0.42)}  # fmt: skip


@cache
def _history() -> pd.DataFrame:
    return telemetry.load("shop-quiet-28d")


def _autoregressive(rng: np.random.Generator, n: int, phi: float, tail: float = 0) -> np.ndarray:
    noise = rng.standard_t(tail, n) / np.sqrt(tail / (tail - 2)) if tail else rng.normal(size=n)
    return signal.lfilter([1], [1, -phi], noise * np.sqrt(1 - phi**2))


def _correlated(
    rng: np.random.Generator, n: int, rho: float, slow: complex, tail: float
) -> np.ndarray:
    """Noise with unit variance and lag-1 autocorrelation ``rho``: a part of it stays, or none.

    With ``slow = 0`` it is a moving average of two samples, which knows nothing of the one before;
    otherwise white noise and an AR(1) part that decays by ``abs(slow)`` a sample, and swings if
    ``slow`` is complex: its autocorrelation at lag k is the real part of ``slow ** k``.
    """
    if slow:
        share, white = rho / slow.real, _autoregressive(rng, n, 0.0, tail)
        both = _autoregressive(rng, n, 0.0, tail) + 1j * _autoregressive(rng, n, 0.0, tail)
        steady = signal.lfilter([1], [1, -slow], both * np.sqrt(1 - abs(slow) ** 2)).real
        return np.sqrt(share) * steady + np.sqrt(1 - share) * white
    theta = (1 - np.sqrt(1 - 4 * rho**2)) / (2 * rho)
    white = _autoregressive(rng, n + 1, 0.0, tail)
    return (white[1:] + theta * white[:-1]) / np.sqrt(1 + theta**2)


def _start(rng: np.random.Generator) -> pd.Timestamp:
    return pd.Timestamp("2026-01-05", tz="UTC") + pd.Timedelta(days=int(rng.integers(200)))


# ---------------------------------------------------------------- exercise 1


def _seasonal(rng: np.random.Generator, periods: list[str], redness: float) -> pd.Series:
    """Four to five weeks with seasons of random shape, a trend, correlated noise, perhaps gaps.

    Step, length and gaps are drawn alike for every kind of series, so that they tell nothing.
    """
    index = pd.date_range(_start(rng), periods=int(rng.integers(28, 36)) * 96, freq="15min")
    t = np.arange(len(index))
    values = 50 + rng.uniform(-3, 3) * t / len(t) + _autoregressive(rng, len(t), redness)
    for place, period in enumerate(periods):
        angle = 2 * np.pi * t / (pd.Timedelta(period) / pd.Timedelta("15min")) + rng.uniform(0, 6)
        size = (3.5, 2.3)[place] * rng.uniform(0.85, 1.15)
        # One season alone has two hills a cycle: its second harmonic is as strong as the first.
        second = rng.uniform(0.9, 1.3) if len(periods) == 1 else rng.uniform(0, 0.5)
        values += size * (np.sin(angle) + second * np.cos(2 * angle))
    if rng.uniform() < 0.5:
        values[rng.uniform(size=len(t)) < 0.03] = np.nan
    return pd.Series(values, index)


def check_decompose(student: Student, hidden: Hidden) -> list[Case]:
    """Periods of unseen series, and decompositions of series whose parts are known."""
    rng = np.random.default_rng(hidden.seed("decompose"))
    short = f"{int(rng.integers(21, 40)) * 15}min"
    brief = f"{int(rng.integers(17, 28)) * 15}min"
    long, longer = f"{int(rng.integers(70, 120))}h", f"{int(rng.integers(100, 160))}h"
    wanted = [
        ("a day and a week", ["1D", "7D"]),
        ("two unusual seasons", [brief, longer]),
        ("one unusual short season", [short]),
        ("one unusual long season", [long]),
        ("a day only", ["1D"]),
        ("no season, correlated noise", []),
        ("no season, strongly correlated noise", []),
    ]
    found = []
    for name, periods in wanted:
        redness = rng.uniform(0.8, 0.88) if name.endswith("strongly correlated noise") else (
            rng.uniform(0.3, 0.6)
        )  # fmt: skip
        series = _seasonal(rng, periods, redness)
        found.append(tried(_periods, student, f"periods: {name}", series, periods, weight=1.2))
    # Seasons that are also found in noise prove nothing, and a day is easily guessed.
    quiet = float(np.mean([case.score for case in found[5:]]))
    unusual = float(np.mean([case.score for case in found[1:4]]))
    cases = [
        given(case, share, what)
        for case, (share, what) in zip(
            found[:5],
            [
                (quiet * unusual, "what has no season or unusual ones is"),
                *[(quiet, "what has no season is")] * 3,
                (quiet * unusual, "what has no season or unusual ones is"),
            ],
            strict=True,
        )
    ]
    cases += [replace(case, weight=0.0) for case in found[5:]]
    other = int(rng.choice([cycle for cycle in range(40, 110) if abs(cycle - 96) > 4]))
    for period in ("1D", f"{other * 15}min"):
        name = f"decomposition with a period of {'a day' if period == '1D' else 'another length'}"
        cases.append(tried(_decomposition, student, name, rng, pd.Timedelta(period), weight=2.0))
    return cases


def _periods(student: Student, name: str, series: pd.Series, expected: list[str]) -> Case:
    found = student.call("find_periods", series, timeout=20)
    if not isinstance(found, list) or not all(isinstance(p, pd.Timedelta) for p in found):
        return Case(name, 0.0, f"find_periods must return a list of Timedelta, not {found!r:.200}")
    truth = [pd.Timedelta(period) for period in expected]
    right = len(found) == len(truth) and all(
        abs(p / q - 1) <= 0.05 for p, q in zip(found, truth, strict=True)
    )
    message = f"the series has {len(truth)} season(s); found {[str(p) for p in found]}"
    return Case(name, float(right), "" if right else message)


def _decomposition(
    student: Student, name: str, rng: np.random.Generator, period: pd.Timedelta
) -> Case:
    days, cycle = 21, round(period / _MINUTE)
    index = pd.date_range(_start(rng), periods=days * 1440, freq="min")
    phase, t = np.arange(cycle), np.linspace(0, 1, len(index))
    shape = np.zeros(cycle)
    for k in (1, 2, 3):
        shape += rng.uniform(1, 3) / k * np.sin(2 * np.pi * k * phase / cycle + rng.uniform(0, 6))
    seasonal = np.resize(shape - shape.mean(), len(index))
    drift = rng.choice([-1, 1]) * rng.uniform(4, 8) * t + rng.uniform(1, 2) * np.sin(
        2 * np.pi * t + rng.uniform(0, 6)
    )
    values = 40 + drift + seasonal + _autoregressive(rng, len(index), 0.5)
    # Incidents as they are: far above the usual, and two of them in the same hours of a cycle.
    at = (rng.integers(cycle) + np.array([0, cycle // 2])) % (cycle - 180)
    for place, number in enumerate(rng.choice(np.arange(2, 20 * 1440 // cycle - 1), 4, False)):
        begin = int(number) * cycle + int(at[place % 2])
        values[begin : begin + int(rng.integers(90, 180))] += rng.uniform(25, 45)
    series = pd.Series(values, index)
    series[rng.uniform(size=len(series)) < 0.02] = np.nan
    hole = int(rng.integers(3000, 9000))
    series.iloc[hole : hole + 40] = np.nan
    found = student.call("decompose", series, period, timeout=20)
    means = series.resample("15min").mean().interpolate()
    if not isinstance(found, pd.DataFrame) or set(found.columns) != {
        "trend",
        "seasonal",
        "residual",
    }:
        return Case(name, 0.0, "decompose must return the columns trend, seasonal, residual")
    if len(found) != len(means) or not (found.index == means.index).all():
        return Case(name, 0.0, "the rows must be the 15-minute slots of the series")
    if not np.allclose(found.sum(axis=1), means, rtol=0, atol=1e-6):
        return Case(name, 0.0, "trend + seasonal + residual must be the 15-minute mean")
    parts = {"seasonal": seasonal, "trend": 40 + drift}
    # A constant may be moved between the two; only their shapes are compared.
    level = float(found["seasonal"].mean())
    found = found.assign(seasonal=found["seasonal"] - level, trend=found["trend"] + level)
    errors = {}
    for part, values in parts.items():
        true = pd.Series(values, index).resample("15min").mean()
        error = (found[part] - true) ** 2
        # An incident bends the season where it is: the worst day counts.
        worst_day = float(error.groupby(error.index.floor("D")).mean().max())
        mean = worst_day if part == "seasonal" else float(error.mean())
        errors[part] = float(np.sqrt(mean) / true.std())
    worst = max(errors, key=lambda part: errors[part])
    score = ramp(errors[worst], 0.5, 0.2)
    message = (
        f"the {worst} part misses the true one by {errors[worst]:.0%} of its size: "
        "do incidents bend it?"
    )
    return Case(name, score, "" if score == 1 else message, 1.0, errors[worst], 0.5, 0.2)


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
    cases = hidden.cached("robust-z", lambda: _zscore_cases(hidden.seed("robust-z")))
    return [tried(_zscores, student, name, *inputs) for name, *inputs in cases]


def _zscore_cases(seed: int) -> list[tuple[str, pd.Series, dict[str, Any], pd.Series]]:
    rng = np.random.default_rng(seed)
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
    for series in (spoilt, still):
        # Minutes that are missing altogether: a week before is not always 10,080 rows before.
        stop = int(rng.integers(2000, 9000))
        series.drop(series.index[stop : stop + int(rng.integers(20, 200))], inplace=True)
    plain = draw("request_rate", 28)
    wanted: list[tuple[str, pd.Series, dict[str, Any]]] = [
        ("plain series", plain, {}),
        ("an incident in the past", spoilt, {"weeks": 3}),
        ("missing minutes", gaps, {"weeks": 2, "min_samples": 80}),
        ("NaN samples", missing, {"min_samples": int(rng.integers(100, 140))}),
        ("a constant at night", still, {"weeks": 2, "min_scale": 0.004}),
    ]
    usual: dict[str, Any] = {"weeks": 4, "min_samples": 60, "min_scale": 1e-6}
    return [
        (name, series, options, _robust_zscore(series, **(usual | options)))
        for name, series, options in wanted
    ]


def _zscores(
    student: Student,
    name: str,
    series: pd.Series,
    options: dict[str, Any],
    expected: pd.Series,
) -> Case:
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
        cases.append(tried(_alarms, student, name, pd.Series(z, index), k, h, weight=1.25))
    pairs = []
    mild = int(rng.integers(_PAIRS))
    swings = [rng.uniform(8, 13), rng.uniform(18, 26), rng.uniform(26, 36)]
    for number in range(_PAIRS):
        # The same target and the same lag-1 autocorrelation, once with a long memory and once with
        # a short one or a swing: a threshold that comes from these two numbers fails one of them.
        target, k = float(rng.integers(5, 9) * 100), float(rng.choice([0.4, 0.5]))
        rho, tail = float(rng.uniform(0.46, 0.5)), (0, 6)[number % 2]
        other = 0.95 * np.exp(2j * np.pi / swings.pop()) if number != mild else 0.0
        kinds = [rng.uniform(0.91, 0.935), other]
        sources = [
            (_correlated(rng, 21 * 1440, rho, slow, tail),
             _correlated(rng, int(80 * target), rho, slow, tail))
            for slow in (kinds if rng.uniform() < 0.5 else kinds[::-1])
        ]  # fmt: skip
        name = f"threshold on sources {2 * number + 1} and {2 * number + 2}"
        pairs.append(tried(_arl, student, name, sources, k, target, weight=10 / _PAIRS))
    # A threshold that happens to suit one pair is no calibration.
    right = float(np.mean([case.score for case in pairs]))
    return cases + [given(case, right, "the other pairs are") for case in pairs]


_PAIRS = 4


def _alarms(student: Student, name: str, z: pd.Series, k: float, h: float) -> Case:
    found = student.call("cusum", z, k=k, h=h, timeout=20)
    expected = _cusum(z.to_numpy(), k, h)
    if not isinstance(found, pd.Series) or not found.index.equals(z.index):
        return Case(name, 0.0, "cusum must return a Series on the index of z")
    if found.dtype != bool:
        return Case(name, 0.0, f"cusum must return bool, not {found.dtype}")
    wrong = np.flatnonzero(found.to_numpy() != expected)
    message = f"{len(wrong)} samples differ, the first is number {wrong[0]}" if len(wrong) else ""
    return Case(name, float(not len(wrong)), message)


def _arl(
    student: Student,
    name: str,
    sources: list[tuple[np.ndarray, np.ndarray]],
    k: float,
    target: float,
) -> Case:
    """Two sources, one target: the worse threshold counts."""
    found = []
    for quiet, fresh in sources:
        index = pd.date_range("2026-03-02", periods=len(quiet), freq="min", tz="UTC")
        h = student.call(
            "calibrate_threshold", pd.Series(quiet, index), k=k, target_arl=target, seed=3,
            timeout=20,
        )  # fmt: skip
        if isinstance(h, bool) or not isinstance(h, int | float) or not np.isfinite(h):
            message = f"calibrate_threshold must return a finite float, not {h!r:.100}"
            return Case(name, 0.0, message)
        found.append(min(scoring.average_run_length(_cusum(fresh, k, float(h))), float(len(fresh))))
    factor = max(max(arl / target, target / arl) for arl in found)
    score = ramp(factor, 2.9, 2.1)
    message = f"the target is an ARL of {target:.0f}; on fresh data the two are " + " and ".join(
        f"{arl:.0f}" for arl in found
    )
    return Case(name, score, "" if score == 1 else message, 1.0, factor, 2.9, 2.1)


# ---------------------------------------------------------------- exercises 4 and 7


#: Incidents begin after 19:00 or before 11:00: at the busiest hours a line over all would see them,
#: and in fewer hours one over these.
_OFF_PEAK = (1140, 660)


def _unseen(
    hidden: Hidden, name: str, incidents: int, quiet: int, services: tuple[str, ...], **options: Any
) -> list[ServiceDay]:
    def make() -> list[ServiceDay]:
        after = _history().index[-1]
        return [
            *service_days(incidents, hidden.seed(f"{name} incidents"), after=after,
                          services=services, balanced=True, **options),
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


_Asked = tuple[Handle, ServiceDay, int]  # model, day, and how many of its minutes


def _flags(
    student: Student,
    function: str,
    asked: list[_Asked],
    seen: Callable[[ServiceDay, int], pd.DataFrame],
    timeout: float,
) -> list[pd.Series]:
    """Flags of days, each as far as it was asked for."""
    calls = [(model, seen(day, minutes)) for model, day, minutes in asked]
    found = student.each(function, calls, timeout=timeout)
    return [
        _as_flags(answer, day.live.index[:minutes], function)
        for answer, (_, day, minutes) in zip(found, asked, strict=True)
    ]


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
    """Event F1 on unseen days with slight faults, and no look-ahead."""
    services = ("checkout", "search", "storefront")
    history = _history()
    days = _unseen(
        hidden, "isolation-forest", 48, 16, services,
        kinds=_DROWNED, begins=_OFF_PEAK, surge_share=1.0, lead=True,
    )  # fmt: skip

    def fit(service: str) -> Handle:
        return student.keep("fit_forest", history[service], seed=1, timeout=30)

    def seen(day: ServiceDay, minutes: int) -> pd.DataFrame:
        return pd.concat([day.lead, day.live.iloc[:minutes]])

    def ask(asked: list[_Asked]) -> list[pd.Series]:
        return _flags(student, "forest_flags", asked, seen, timeout=30)

    models = {service: fit(service) for service in services}
    flags = ask([(models[day.service], day, 1440) for day in days])
    results = _by_event(days, flags)
    name = "event F1 on 48 incident days and 16 quiet days"
    judged = _judged(name, results, 0.62, 0.72, 7.0, 21.0)
    if not judged.score:
        return [judged]
    problem = _looks_ahead(student, hidden, days, flags, results, fit, ask)
    if problem:
        return [Case("no look-ahead", 0.0, problem)]
    for number in (3, 11, 53):
        day = days[number]
        _no_look_ahead_in_features(student, seen(day, 1440), number)
    return [judged]


def _no_look_ahead_in_features(student: Student, frame: pd.DataFrame, number: int) -> None:
    part = student.call("causal_features", frame.iloc[: 2000 + 17 * number], timeout=30)
    whole = student.call("causal_features", frame, timeout=30)
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
    days = _unseen(
        hidden, "milestone", 40, 30, _SERVICES,
        kinds=_SLIGHT, begins=_OFF_PEAK, surge_share=1.0,
    )  # fmt: skip

    def fit(service: str) -> Handle:
        return student.keep("fit_detector", history[service], timeout=30)

    def seen(day: ServiceDay, minutes: int) -> pd.DataFrame:
        return day.live.iloc[:minutes]

    def ask(asked: list[_Asked]) -> list[pd.Series]:
        return _flags(student, "detect", asked, seen, timeout=10)

    models = {service: fit(service) for service in _SERVICES}
    flags = ask([(models[day.service], day, 1440) for day in days])
    results = _by_event(days, flags)
    name = "event F1 on 40 incident days and 30 quiet days"
    judged = _judged(name, results, 0.73, 0.78, 1.5, 3.0)
    if not judged.score:
        return [judged]
    problem = _looks_ahead(student, hidden, days, flags, results, fit, ask)
    return [Case("no look-ahead", 0.0, problem)] if problem else [judged]


def _by_event(days: list[ServiceDay], flags: list[pd.Series]) -> list[scoring.EventScores]:
    return [
        scoring.event_scores(found, day.events[["start", "end"]])
        for day, found in zip(days, flags, strict=True)
    ]


def _looks_ahead(
    student: Student,
    hidden: Hidden,
    days: list[ServiceDay],
    flags: list[pd.Series],
    results: list[scoring.EventScores],
    fit: Callable[[str], Handle],
    ask: Callable[[list[_Asked]], list[pd.Series]],
) -> str:
    """Ask again for days that end early, in a kernel that remembers nothing; say what differs.

    A flag that knows the future shows where it pays: shortly after the first alert of an
    incident. Days that end shortly before one, after a moment that looks odd, or anywhere,
    are mixed in, so that the length of a day does not tell that there is something to find.
    """
    answers = np.concatenate([found.to_numpy() for found in flags])
    rng = np.random.default_rng([hidden.seed("cuts"), zlib.crc32(answers.tobytes())])
    hits = {
        number: round((day.events["start"] + result.delays - day.live.index[0]).min() / _MINUTE)
        for number, (day, result) in enumerate(zip(days, results, strict=True))
        if result.tp_events
    }
    drawn = rng.permutation(list(dict.fromkeys(day.service for day in days))).tolist()
    drawn.sort(key=lambda name: all(days[number].service != name for number in hits))
    again = set(drawn[:2])
    waiting = [number for number in hits if days[number].service in again]
    waiting = rng.permutation(waiting).tolist()
    cuts = [(n, hits[n] + 1 + int(rng.choice([0, 0, 0, 1, 2, 3, 4, 5]))) for n in waiting[:7]]
    cuts += [(n, hits[n] - int(rng.integers(0, 30))) for n in waiting[7:8]]
    others = [n for n, day in enumerate(days) if day.service in again and n not in waiting[:8]]
    others = rng.permutation(others).astype(int).tolist()
    cuts += [(n, _odd_moment(days[n].live) + int(rng.integers(1, 12))) for n in others[:6]]
    cuts += [(n, int(rng.integers(200, 1440))) for n in others[6:7]]
    cuts += [(n, 1440) for n in others[7:8]]
    student.restart()
    # The first request starts the new kernel, in which models can be kept from then on.
    student.hold(0)
    models = {service: fit(service) for service in sorted(again)}
    for number, minutes in rng.permutation(cuts).tolist() if cuts else []:
        day, minutes = days[number], min(max(minutes, 61), 1440)
        # Each by itself: what else is asked would tell that a day was cut off.
        (found,) = ask([(models[day.service], day, minutes)])
        if not found.equals(flags[number].iloc[:minutes]):
            return _AHEAD if minutes < 1440 else _FORGETFUL
    return ""


_AHEAD = (
    "in a fresh kernel, after a new fit, a day that ended early got other flags than the whole "
    "day had at the same minutes: flags depend on later samples, on earlier calls or on chance"
)
_FORGETFUL = "in a fresh kernel, after a new fit, the same day got other flags than the first time"


def _odd_moment(live: pd.DataFrame) -> int:
    """The minute at which a jumpy detector would have most reason to raise an alert."""
    levels = np.log1p(live[["latency_p50_ms", "error_ratio", "cpu_utilization"]].ffill().bfill())
    change = levels.rolling(10, min_periods=1).mean() - levels.rolling(120, min_periods=1).median()
    oddness = (change.abs() / change.abs().quantile(0.9).clip(lower=1e-9)).max(axis=1)
    return int(np.argmax(oddness.to_numpy()[60:])) + 60


# ---------------------------------------------------------------- exercise 5


def _intervals(
    rng: np.random.Generator, index: pd.DatetimeIndex, n: int, longest: int
) -> pd.DataFrame:
    edges = np.sort(rng.choice(np.arange(5, len(index) - 5), 2 * n, replace=False))
    start, end = edges[::2], np.minimum(edges[1::2], edges[::2] + longest)
    return pd.DataFrame({"start": index[start], "end": index[end]})


def _place(moments: pd.Index, table: pd.DataFrame) -> np.ndarray:
    """For each moment the row of the interval that it lies in, or -1."""
    place = np.searchsorted(pd.DatetimeIndex(table["start"]), moments, side="right") - 1
    ends = pd.DatetimeIndex(table["end"])
    inside = (place >= 0) & (moments <= ends[place]) if len(table) else place >= 0
    return np.where(inside, place, -1)


def _evaluate(
    flags: pd.Series, events: pd.DataFrame, silences: pd.DataFrame, merge: pd.Timedelta
) -> dict[str, float]:
    silent = _place(flags.index, silences) >= 0
    times = flags.index[flags.to_numpy() & ~silent]
    begins = times[np.diff(times, prepend=times[:1] - 2 * merge - _MINUTE) > merge]
    counted = _place(pd.DatetimeIndex(events["start"]), silences) < 0
    delays: dict[int, float] = {}
    false = alerts = 0
    for moment, place in zip(begins, _place(begins, events).tolist(), strict=True):
        if place < 0:
            false, alerts = false + 1, alerts + 1
        elif counted[place]:
            alerts += 1
            delays.setdefault(place, (moment - events["start"].iloc[place]) / _MINUTE)
    hits, total, nan = len(delays), int(counted.sum()), float("nan")
    watched = float((~silent).sum()) / 1440
    return {
        "recall": hits / total if total else nan,
        "precision": hits / (hits + false) if hits + false else nan,
        "f1": 2 * hits / (hits + total + false) if total + false else nan,
        "median_delay_min": float(np.median(list(delays.values()))) if delays else nan,
        "alerts_per_day": alerts / watched if watched else nan,
    }


_Alerts = tuple[pd.Series, pd.DataFrame, pd.DataFrame, str]


def _alert_case(rng: np.random.Generator, kind: str) -> _Alerts:
    index = pd.date_range(_start(rng), periods=int(rng.integers(2, 5)) * 1440, freq="min")
    flags = pd.Series(False, index)
    for start in rng.integers(0, len(index) - 60, 40):
        flags.iloc[start : start + int(rng.integers(1, 25))] = True
    events, silences = _intervals(rng, index, 10, 240), _intervals(rng, index, 5, 300)
    if kind == "events at the edges":
        day = pd.Timedelta("1D")
        events.loc[0, "start"] = index[0] - pd.Timedelta(f"{int(rng.integers(20, 300))}min")
        events.loc[9, "end"] = index[-1] + pd.Timedelta(f"{int(rng.integers(20, 300))}min")
        later = pd.DataFrame({"start": [index[-1] + day], "end": [index[-1] + 1.2 * day]})
        events = pd.concat([events, later], ignore_index=True)
        flags.iloc[: int(rng.integers(3, 12))] = True
    if kind == "no flags":
        flags[:] = False
    if kind == "always on":
        flags[:] = True
    if kind == "no events":
        events = events.iloc[:0]
    if kind == "all silenced":
        silences = pd.DataFrame({"start": [index[0] - _MINUTE], "end": [index[-1]]})
    merge = f"{int(rng.integers(3, 40))}min" if kind == "another merge" else "10min"
    return flags, events, silences, merge


_ORDINARY = ("ordinary 1", "ordinary 2", "events at the edges", "another merge")
_SPECIAL = ("no events", "no flags", "always on", "all silenced")


def _alert_cases(seed: int) -> dict[str, tuple[_Alerts, dict[str, float]]]:
    """Inputs and what is right; in every ordinary one the silences change the answer."""
    rng = np.random.default_rng(seed)
    found = {}
    for kind in (*_ORDINARY, *_SPECIAL):
        while True:
            flags, events, silences, merge = _alert_case(rng, kind)
            gap = pd.Timedelta(merge)
            expected = _evaluate(flags, events, silences, gap)
            unsilenced = _evaluate(flags, events, silences.iloc[:0], gap)
            if kind in _SPECIAL or all(
                abs(expected[key] - unsilenced[key]) > 1e-6 for key in ("recall", "precision")
            ):
                break
        found[kind] = (flags, events, silences, merge), expected
    return found


def check_evaluate(student: Student, hidden: Hidden) -> list[Case]:
    """Evaluation by events on unseen cases, point adjustment, and the random score."""
    seed = hidden.seed("evaluate")
    alerts = hidden.cached("evaluate alerts", lambda: _alert_cases(seed))
    found = {
        kind: tried(_evaluation, student, f"evaluate_alerts: {kind}", inputs, expected, weight=1.75)
        for kind, (inputs, expected) in alerts.items()
    }
    # What is right for a fixed answer, too, counts only beside what is not.
    usual = float(np.mean([found[kind].score for kind in _ORDINARY]))
    cases = [found[kind] for kind in _ORDINARY]
    cases += [given(found[kind], usual, "the ordinary cases are", weight=0.5) for kind in _SPECIAL]

    rng = np.random.default_rng(seed + 1)
    delayed = []
    for number, limit in enumerate((0, int(rng.integers(1, 4)), int(rng.integers(4, 9)), None)):
        labels = np.repeat(rng.uniform(size=80) < 0.45, rng.integers(1, 18, 80))
        flags = rng.uniform(size=len(labels)) < 0.12
        name = f"point_adjust {number + 1} (max_delay {'None' if limit is None else 'given'})"
        delayed.append(tried(_adjustment, student, name, labels, flags, limit, weight=2.5 / 3))
    limited = float(np.mean([case.score for case in delayed[:3]]))
    cases += [*delayed[:3], given(delayed[3], limited, "max_delay is", weight=0.5)]

    draws = hidden.cached("random scores", lambda: _random_cases(seed + 2))
    for number, (labels, expected) in enumerate(draws):
        name = f"random_score_f1 {number + 1}"
        case = tried(_random_score, student, name, labels, number, expected)
        cases.append(given(case, limited, "point_adjust with a max_delay is"))
    return cases


def _evaluation(student: Student, name: str, inputs: _Alerts, expected: dict[str, float]) -> Case:
    flags, events, silences, merge = inputs
    found = student.call("evaluate_alerts", flags, events, silences, merge=merge, timeout=10)
    if not isinstance(found, dict):
        return Case(name, 0.0, f"evaluate_alerts must return a dict, not {found!r:.100}")
    wrong = [
        key
        for key, value in expected.items()
        if not isinstance(found.get(key), int | float)
        or not np.isclose(found[key], value, rtol=1e-9, atol=1e-9, equal_nan=True)
    ]
    message = f"wrong or missing: {', '.join(wrong)}" if wrong else ""
    return Case(name, float(not wrong), message)


def _adjusted(labels: np.ndarray, flags: np.ndarray, max_delay: int | None) -> np.ndarray:
    """Point adjustment with the limit of delay of Ren et al. (KDD 2019)."""
    adjusted = flags.copy()
    edges = np.flatnonzero(np.diff(np.r_[False, labels, False].astype(int))).reshape(-1, 2)
    for start, end in edges:
        last = end if max_delay is None else min(start + max_delay + 1, end)
        adjusted[start:end] = flags[start:last].any()
    return adjusted


def _adjustment(
    student: Student,
    name: str,
    labels: np.ndarray,
    flags: np.ndarray,
    limit: int | None,
) -> Case:
    found = student.call("point_adjust", labels, flags, max_delay=limit, timeout=10)
    answer = np.asarray(found)
    right = answer.dtype == bool and np.array_equal(answer, _adjusted(labels, flags, limit))
    message = "" if right else "other samples are flagged than should be"
    return Case(name, float(right), message)


def _random_cases(seed: int) -> list[tuple[np.ndarray, tuple[float, float]]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(3):
        labels = np.zeros(int(rng.integers(3000, 9000)), dtype=bool)
        for start in rng.choice(np.arange(0, len(labels) - 300, 300), 6, replace=False):
            labels[start : start + int(rng.integers(5, 120))] = True
        draws = [rng.uniform(size=len(labels)) for _ in range(200)]
        plain = float(np.mean([scoring.best_f1(labels, draw).f1 for draw in draws]))
        adjusted = float(np.mean([scoring.best_f1(labels, draw, adjust="pa").f1 for draw in draws]))
        found.append((labels, (plain, adjusted)))
    return found


def _random_score(
    student: Student,
    name: str,
    labels: np.ndarray,
    seed: int,
    expected: tuple[float, float],
) -> Case:
    found = student.call("random_score_f1", labels, draws=100, seed=seed, timeout=10)
    if (
        not isinstance(found, list)
        or len(found) != 2
        or not all(isinstance(x, float) for x in found)
    ):
        return Case(name, 0.0, f"random_score_f1 must return two floats, not {found!r:.100}")
    right = all(abs(a - b) < 0.03 for a, b in zip(found, expected, strict=True))
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
        level = rng.uniform(30, 300) * np.exp(
            np.where(np.arange(len(index)) < last, 0, rng.normal(0, 0.1))
        )
        latency = level * np.exp(0.05 * rng.normal(size=len(index)))
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

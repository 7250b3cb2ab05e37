"""Random rule files and series, from a seed."""

import json
import random
from dataclasses import dataclass

import numpy as np
import pandas as pd

SERVICES = ("checkout", "cart", "search")
START = pd.Timestamp(0, tz="UTC")


@dataclass(frozen=True)
class Case:
    """One rule file over a few series.

    Attributes
    ----------
    rules : str
        YAML.
    series : dict of list
        Values by series name, None where there is none.
    missing : str
        "gap" (promtool's ``_``) or "stale".
    scrape_s, evaluation_s : int
        Distance of samples and of evaluations, in seconds.
    """

    rules: str
    series: dict[str, list[float | None]]
    missing: str
    scrape_s: int
    evaluation_s: int

    @property
    def frame(self) -> pd.DataFrame:
        """The series as the evaluator takes them."""
        size = len(next(iter(self.series.values())))
        index = pd.date_range(START, periods=size, freq=f"{self.scrape_s}s")
        return pd.DataFrame(self.series, index, dtype=float)

    @property
    def end_s(self) -> int:
        """The last evaluation, in seconds."""
        span = (len(next(iter(self.series.values()))) - 1) * self.scrape_s
        return span // self.evaluation_s * self.evaluation_s


def make_case(seed: int, size: int = 60) -> Case:
    """The case of a seed; the same on every machine."""
    rng = random.Random(seed)
    scrape = rng.choice([60, 60, 60, 30, 15])
    series = {name: _with_holes(rng, values) for name, values in _series(rng, size, scrape).items()}
    evaluation = rng.choice([60, 60, 60, 30, 120])
    return Case(_rules(rng), series, rng.choice(["gap", "gap", "stale"]), scrape, evaluation)


def _series(rng: random.Random, size: int, scrape: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for service in SERVICES:
        zones = ("a", "b") if service != "search" else ("a",)
        for zone in zones:
            found[f'latency{{service="{service}",zone="{zone}"}}'] = _gauge(rng, size)
        found[f'errors{{service="{service}"}}'] = [
            round(min(1.0, abs(v) / 20), 4) for v in _gauge(rng, size)
        ]
        found[f'requests_total{{service="{service}"}}'] = _counter(rng, size, scrape)
    buckets = [_counter(rng, size, scrape, resets=False) for _ in range(3)]
    total = np.cumsum(buckets, axis=0).tolist()
    for bound, values in zip(("0.1", "1", "+Inf"), total, strict=True):
        found[f'duration_bucket{{le="{bound}",service="cart"}}'] = values
    found["limit"] = [float(rng.choice([3, 5, 8]))] * size
    return found


def _gauge(rng: random.Random, size: int) -> list[float]:
    level, digits = rng.uniform(-2, 8), rng.choice([0, 1, 3])
    values = []
    for _ in range(size):
        if rng.random() < 0.7:
            level += rng.gauss(0, 1.0)
        if rng.random() < 0.03:
            level += rng.choice([-8, 8])
        values.append(round(level, digits) + 0.0)
    return values


def _counter(rng: random.Random, size: int, scrape: int, resets: bool = True) -> list[float]:
    value, values = float(rng.choice([0, 0, 500])), []
    for _ in range(size):
        value += rng.randrange(0, 40)
        if resets and rng.random() < 0.05:
            value = float(rng.randrange(0, 5))
        values.append(value)
    return values


def _with_holes(rng: random.Random, values: list[float]) -> list[float | None]:
    holed: list[float | None] = list(values)
    for _ in range(rng.choice([0, 0, 1, 2, 4])):
        begin = rng.randrange(len(holed))
        for position in range(begin, min(len(holed), begin + rng.choice([1, 2, 4, 9, 14]))):
            holed[position] = None
    return holed


def _rules(rng: random.Random) -> str:
    lines, recorded, number = ["groups:"], [], 0
    for group in range(rng.choice([1, 1, 2])):
        lines.append(f"- name: g{group}")
        if rng.random() < 0.2:
            lines.append(f"  interval: {rng.choice(['30s', '1m', '2m'])}")
        lines.append("  rules:")
        for _ in range(rng.randrange(2, 4)):
            number += 1
            if rng.random() < 0.35:
                name = f"level:r{number}"
                lines += _rule("record", name, _vector(rng, 2, recorded))
                recorded.append(name)
                if rng.random() < 0.3:
                    lines.append("    labels: {team: core}")
            else:
                lines += _alert(rng, f"A{number}", recorded)
    return "\n".join(lines) + "\n"


def _rule(kind: str, name: str, expression: str) -> list[str]:
    return [f"  - {kind}: {name}", f"    expr: {json.dumps(expression)}"]


def _alert(rng: random.Random, name: str, recorded: list[str]) -> list[str]:
    shows_value = rng.random() < 0.08
    condition = f"latency > {_number(rng)}" if shows_value else _condition(rng, recorded)
    lines = _rule("alert", name, condition)
    if rng.random() < 0.6:
        lines.append(f"    for: {rng.choice(['0s', '1m', '2m', '90s', '5m'])}")
    if rng.random() < 0.5:
        lines.append(f"    keep_firing_for: {rng.choice(['1m', '2m', '3m30s', '10m'])}")
    labels = []
    if rng.random() < 0.5:
        labels.append(f"severity: {rng.choice(['page', 'ticket'])}")
    if rng.random() < 0.2:
        labels.append("where: 'in {{ $labels.service }}/{{ .Labels.zone }}'")
    if shows_value:  # raw samples only: computed values may differ in the last digit
        shown = rng.choice(["$value", '$value | printf "%.1f"', 'printf "%.2e" .Value'])
        labels.append(f"value: '{{{{ {shown} }}}}'")
    return lines + ([f"    labels: {{{', '.join(labels)}}}"] if labels else [])


def _condition(rng: random.Random, recorded: list[str]) -> str:
    draw = rng.random()
    comparison = _comparison(rng, 2, recorded)
    if draw < 0.5:
        return comparison
    if draw < 0.75:
        joint = rng.choice(["and", "or", "unless"])
        other = _comparison(rng, 1, recorded)
        return f"({comparison}) {joint} {rng.choice(['', 'on(service) '])}({other})"
    if draw < 0.83:
        selector = rng.choice(['latency{service="cart",zone="b"}', 'errors{service=~"se.*"}'])
        window = rng.choice(["", "[3m]"])
        return f"absent{'_over_time' if window else ''}({selector}{window})"
    if draw < 0.9:
        return f"{_fraction(rng)} < {_vector(rng, 1, recorded)}"
    if draw < 0.95:
        return f"minute() % {rng.randrange(5, 20)} > bool 3 == 1"
    return f"{_selector(rng, [])} == bool {rng.randrange(5)} > 0"


def _comparison(rng: random.Random, depth: int, recorded: list[str]) -> str:
    """Raw samples may meet a threshold exactly; a computed value must not lie on its edge."""
    if rng.random() < 0.25:
        return (
            f"{_selector(rng, [])} {rng.choice(['>', '<', '>=', '<=', '==', '!='])} {_number(rng)}"
        )
    return f"{_vector(rng, depth, recorded)} {rng.choice(['>', '<'])} {_fraction(rng)}"


def _number(rng: random.Random) -> str:
    return rng.choice([str(rng.randrange(-1, 7)), _fraction(rng)])


def _fraction(rng: random.Random) -> str:
    return f"{rng.uniform(-1, 8):.5f}"


def _selector(rng: random.Random, recorded: list[str]) -> str:
    if recorded and rng.random() < 0.4:
        return rng.choice(recorded)
    matcher = rng.choice(
        [
            "",
            "",
            '{service="cart"}',
            '{service!="cart"}',
            '{service=~"c.+"}',
            '{service!~"ch|se.*"}',
        ]
    )
    return rng.choice(["latency", "latency", "errors", "requests_total"]) + matcher


def _offset(rng: random.Random) -> str:
    return rng.choice(["", "", "", " offset 1m", " offset 7m"])


def _range(rng: random.Random) -> str:
    return rng.choice(["1m", "2m", "3m", "5m", "10m", "17m", "45s", "30m"])


def _vector(rng: random.Random, depth: int, recorded: list[str]) -> str:
    if depth == 0 or rng.random() < 0.2:
        return _selector(rng, recorded) + _offset(rng)
    maker = rng.choices(
        [_over_time, _rate, _aggregation, _arithmetic, _function, _matching, _subquery, _histogram],
        [5, 3, 4, 2, 2, 2, 1, 1],
    )[0]
    return maker(rng, depth - 1, recorded)


def _over_time(rng: random.Random, depth: int, recorded: list[str]) -> str:
    name = rng.choice(
        "avg min max sum count stddev stdvar last present".split() + ["changes", "resets", "q"]
    )
    if name in ("changes", "resets"):  # the last digit of a computed value must not count
        recorded = []
    selector = f"{_selector(rng, recorded)}[{_range(rng)}]{_offset(rng)}"
    if name == "q":
        return f"quantile_over_time({rng.choice([0, 0.25, 0.5, 0.9, 1])}, {selector})"
    return f"{name}{'' if name in ('changes', 'resets') else '_over_time'}({selector})"


def _rate(rng: random.Random, depth: int, recorded: list[str]) -> str:
    name = rng.choice(["rate", "rate", "increase", "irate", "delta", "idelta", "deriv", "predict"])
    if name in ("rate", "increase", "irate"):
        return f"{name}(requests_total[{_range(rng)}]{_offset(rng)})"
    if name == "predict":
        return f"predict_linear({_selector(rng, recorded)}[{_range(rng)}]{_offset(rng)}, 600)"
    return f"{name}({_selector(rng, recorded)}[{_range(rng)}]{_offset(rng)})"


def _aggregation(rng: random.Random, depth: int, recorded: list[str]) -> str:
    op = rng.choice("sum avg min max count stddev stdvar group quantile topk".split())
    grouping = rng.choice(["", " by (service)", " without (zone)", " by (zone, service)"])
    inner = _vector(rng, depth, recorded)
    if op == "quantile":
        return f"quantile{grouping} ({rng.choice([0.1, 0.5, 0.95])}, {inner})"
    if op == "topk":
        return f"topk(9, {inner})"
    return f"{op}{grouping} ({inner})"


def _arithmetic(rng: random.Random, depth: int, recorded: list[str]) -> str:
    inner, raw = _vector(rng, depth, recorded), _selector(rng, [])
    op, number = rng.choice("+ - * /".split()), rng.choice(["2", "0.5", "3", "1.7"])
    jump = rng.choice("/ % ^".split())
    return rng.choice(
        [f"({inner} {op} {number})", f"({number} {jump} {raw})", f"({raw} {jump} {number})"]
        + [f"(-({inner}))"]
    )


def _function(rng: random.Random, depth: int, recorded: list[str]) -> str:
    """Where a function jumps, the last digit of a computed value would count: raw samples only."""
    inner, raw = _vector(rng, depth, recorded), _selector(rng, [])
    return rng.choice(
        [f"{name}({raw})" for name in "ceil floor sgn round sqrt ln log2 log10".split()]
        + [
            f"abs({inner})",
            f"exp({inner})",
            f"clamp({inner}, 1, 4)",
            f"clamp_min({inner}, 2)",
            f"clamp_max({inner}, 3)",
            f"round({raw}, 0.25)",
            f"vector(scalar({inner}))",
            f'label_replace({inner}, "tier", "$1-x", "service", "(c.).*")',
        ]
    )


def _matching(rng: random.Random, depth: int, recorded: list[str]) -> str:
    op = rng.choice(["+", "-", "/", ">", "<", "<= bool"])
    latency = _over_or_plain(rng, "latency")
    errors = _over_or_plain(rng, "errors")
    return rng.choice(
        [
            f"({latency} {op} on(service) group_left() {errors})",
            f"({errors} {op} ignoring(zone) group_right() {latency})",
            f"(sum by (service) ({latency}) {op} {errors})",
            f"({latency} {op} ignoring(service, zone) group_left() limit)",
            f"({errors} {op} on(service) {latency})",
            f"({latency} {op} scalar(limit))",
        ]
    )


def _over_or_plain(rng: random.Random, metric: str) -> str:
    return rng.choice([metric, metric, f"max_over_time({metric}[{_range(rng)}])"])


def _subquery(rng: random.Random, depth: int, recorded: list[str]) -> str:
    name = rng.choice(["max", "avg", "sum", "count", "min"])
    step = rng.choice(["1m", "2m", "30s", ""])
    return f"{name}_over_time({_vector(rng, 0, recorded)}[{_range(rng)}:{step}]{_offset(rng)})"


def _histogram(rng: random.Random, depth: int, recorded: list[str]) -> str:
    quantile, span = rng.choice(["0.5", "0.9", "0.99"]), rng.choice(["5m", "10m"])
    return f"histogram_quantile({quantile}, rate(duration_bucket[{span}]))"

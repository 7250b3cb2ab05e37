"""Random configurations and alerts that meet at few labels, so that most matchers decide something."""

import json
import random
from dataclasses import dataclass
from typing import Any

LABELS = {
    "service": ["cart", "checkout", "orders-db", "payment"],
    "severity": ["page", "ticket", "info"],
    "team": ["web", "data"],
    "zone": ["a", "b", 'c"d', ""],
}
_PATTERNS = ["c.*", "cart|checkout", ".+", "", "page|ticket", "[ab]", "(?i:WEB)", "p.*", ".*d.*"]


@dataclass(frozen=True)
class Case:
    """A configuration as text, and alerts as labels, no two of them equal."""

    config: str
    alerts: list[dict[str, str]]


def make_case(seed: int) -> Case:
    """A valid configuration and 12 alerts."""
    rng = random.Random(seed)
    receivers = [f"r{number}" for number in range(6)]
    top = {
        "route": {"receiver": "r0", **_settings(rng), "routes": _routes(rng, receivers, 0)},
        "inhibit_rules": [_inhibition(rng) for _ in range(rng.randrange(3))],
        "receivers": [{"name": name} for name in receivers],
        "time_intervals": [
            {"name": "night", "time_intervals": [
                {"times": [{"start_time": "22:00", "end_time": "24:00"}],
                 "weekdays": ["monday:friday"]}]}
        ],
    }  # fmt: skip
    alerts: list[dict[str, str]] = []
    while len(alerts) < 12:
        labels = {k: rng.choice(v) for k, v in LABELS.items() if rng.random() < 0.8}
        labels = {"alertname": rng.choice("AB"), **{k: v for k, v in labels.items() if v}}
        if labels not in alerts:
            alerts.append(labels)
    return Case(json.dumps(top, indent=1), alerts)


def _routes(rng: random.Random, receivers: list[str], depth: int) -> list[dict[str, Any]]:
    made = []
    for _ in range(rng.randrange(0 if depth else 1, 4 - depth)):
        route: dict[str, Any] = {**_settings(rng), **_sides(rng, "", rng.randint(0, 2))}
        if rng.random() < 0.8:
            route["receiver"] = rng.choice(receivers)
        if rng.random() < 0.35:
            route["continue"] = rng.random() < 0.8
        if rng.random() < 0.1:
            route[rng.choice(["mute_time_intervals", "active_time_intervals"])] = ["night"]
        if depth < 2 and (below := _routes(rng, receivers, depth + 1)):
            route["routes"] = below
        made.append(route)
    return made


def _settings(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if rng.random() < 0.5:
        made["group_by"] = rng.choice(
            [["..."], [], rng.sample(["alertname", *LABELS], rng.randint(1, 3))]
        )
    for key in ("group_wait", "group_interval", "repeat_interval"):
        if rng.random() < 0.2:
            made[key] = rng.choice(["1m", "2h", "45s"])
    return made


def _sides(rng: random.Random, side: str, number: int) -> dict[str, Any]:
    """Conditions in the old or the new syntax, or both."""
    made: dict[str, Any] = {}
    for _ in range(number):
        name = rng.choice(list(LABELS))
        value, pattern = rng.choice(LABELS[name]), rng.choice(_PATTERNS)
        style = rng.randrange(4)
        if style == 0:
            made.setdefault(f"{side}match", {})[name] = value
        elif style == 1:
            made.setdefault(f"{side}match_re", {})[name] = pattern
        else:
            operator = rng.choice(["=", "!=", "=~", "!~"])
            text = value if len(operator) == 1 else pattern
            made.setdefault(f"{side}matchers", []).append(_write(rng, name, operator, text))
    return made


def _write(rng: random.Random, name: str, operator: str, value: str) -> str:
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    plain = value if rng.random() < 0.3 and '"' not in value else quoted
    space = rng.choice(["", " "])
    text = f"{name}{space}{operator}{space}{plain}"
    return "{" + text + "}" if rng.random() < 0.2 else text


def _inhibition(rng: random.Random) -> dict[str, Any]:
    return {
        **_sides(rng, "source_", 1),
        **_sides(rng, "target_", 1),
        "equal": rng.sample(list(LABELS), rng.randrange(3)),
    }

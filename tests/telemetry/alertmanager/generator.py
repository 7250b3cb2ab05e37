"""Random configurations and alerts, small enough that routes, groups and inhibitions meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

LABELS = {
    "alertname": ["Down", "Slow", "Full", "Errors"],
    "severity": ["page", "ticket", "info"],
    "team": ["shop", "pay", "data"],
    "service": ["cart", "checkout", "orders-db"],
    "zone": ["a", "b", ""],
}
RECEIVERS = ["default", "pager", "chat", "mail", "night"]
PATTERNS = {
    "alertname": ["Down|Slow", "D.*", ".+", "Err.rs"],
    "severity": ["page|ticket", "p.*", ".*"],
    "team": ["shop|data", "[ps].*", ".+"],
    "service": ["c.*", ".*-db", "cart|checkout"],
    "zone": ["a|b", ".*", ".+", "a?"],
}


@dataclass(frozen=True)
class Case:
    """A configuration as text, and the labels of some alerts."""

    config: str
    alerts: list[dict[str, str]]


def make_case(seed: int, alerts: int = 6) -> Case:
    """The case of a seed."""
    rng = np.random.default_rng([21, seed])
    document: dict[str, Any] = {"route": _route(rng, depth=0)}
    document["receivers"] = [{"name": name} for name in RECEIVERS]
    if rules := [_inhibit(rng) for _ in range(int(rng.integers(0, 4)))]:
        document["inhibit_rules"] = rules
    found: list[dict[str, str]] = []
    while len(found) < alerts:
        labels = _alert(rng)
        if labels not in found:
            found.append(labels)
    return Case(yaml.safe_dump(document, sort_keys=False), found)


def _alert(rng: np.random.Generator) -> dict[str, str]:
    chosen = {name: str(rng.choice(values)) for name, values in LABELS.items()}
    dropped = [name for name in LABELS if name != "alertname" and rng.random() < 0.15]
    return {name: value for name, value in chosen.items() if value and name not in dropped}


def _route(rng: np.random.Generator, depth: int) -> dict[str, Any]:
    route: dict[str, Any] = {}
    if depth:
        route |= _conditions(rng, "matchers", "match", "match_re", least=0)
        if rng.random() < 0.3:
            route["continue"] = bool(rng.random() < 0.8)
    if not depth or rng.random() < 0.8:
        route["receiver"] = str(rng.choice(RECEIVERS))
    if rng.random() < 0.6:
        number = int(rng.integers(0, 4))
        names = rng.permutation(list(LABELS))[:number].tolist()
        route["group_by"] = ["..."] if rng.random() < 0.15 else names
    children = int(rng.integers(0, 4)) if depth < 3 else 0
    if children:
        route["routes"] = [_route(rng, depth + 1) for _ in range(children)]
    return route


def _inhibit(rng: np.random.Generator) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    for side in ("source", "target"):
        rule |= _conditions(rng, f"{side}_matchers", f"{side}_match", f"{side}_match_re", least=1)
    if rng.random() < 0.7:
        rule["equal"] = rng.permutation(list(LABELS))[: int(rng.integers(0, 3))].tolist()
    return rule


def _conditions(
    rng: np.random.Generator, many: str, equal: str, regex: str, least: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = rng.permutation(list(LABELS))[: int(rng.integers(least, 3))].tolist()
    style = rng.choice([many, many, equal, regex])
    for name in names:
        if style == many:
            operator = str(rng.choice(["=", "!=", "=~", "!~"]))
            pool = PATTERNS[name] if operator.endswith("~") else LABELS[name]
            value = str(rng.choice(pool))
            written = value if rng.random() < 0.3 and value.isalnum() else f'"{value}"'
            found.setdefault(many, []).append(f"{name}{rng.choice(['', ' '])}{operator}{written}")
        else:
            pool = PATTERNS[name] if style == regex else LABELS[name]
            found.setdefault(str(style), {})[name] = str(rng.choice(pool))
    if many in found and len(found[many]) > 1 and rng.random() < 0.3:
        found[many] = ["{" + ", ".join(found[many]) + "}"]
    return found

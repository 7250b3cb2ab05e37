"""Harmless bursts of demand or work: they move metrics as faults do, and nothing is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course.shop.effects import Effects
from course.shop.topology import TOPOLOGY
from course.shop.workload import JOURNEYS

# Services that the autoscaler scales with demand; stores and the third party stay as they are.
_ELASTIC = tuple(
    place for place, s in enumerate(TOPOLOGY.services) if s.kind in ("edge", "app", "worker")
)


@dataclass(frozen=True)
class SurgeType:
    """A kind of surge.

    Attributes
    ----------
    kind : name, the key in `SURGES`
    summary : what happens
    journeys : extra demand at size 1.0 as a fraction of each journey's own
    envelope : (age in minutes, minutes) -> 0..1 over the surge
    work : service -> share of its CPU that extra work takes at size 1.0
    announced : whether it stands in the change log beforehand, with a scale-out
    """

    kind: str
    summary: str
    journeys: dict[str, float]
    envelope: Callable[[np.ndarray, int], np.ndarray]
    work: dict[str, float]
    announced: bool = False


def _plateau(age: np.ndarray, minutes: int) -> np.ndarray:
    return np.minimum(np.minimum(age / 4, (minutes - age + 1) / 6), 1.0)


def _burst_and_decay(age: np.ndarray, minutes: int) -> np.ndarray:
    return np.minimum(age / 2, 1.0) * np.exp(-age / (0.35 * minutes))


def _half_day(age: np.ndarray, minutes: int) -> np.ndarray:
    return np.sin(np.pi * age / (minutes + 1)) ** 0.5


_KINDS = (
    SurgeType("flash_sale", "A sale starts: browsing first, then many orders.",
              {"storefront": 0.55, "search": 0.25, "cart": 0.6, "checkout": 0.7, "account": 0.2},
              _plateau, {}, announced=True),
    SurgeType("marketing_mail", "A mail goes out: a burst of readers that fades.",
              {"storefront": 0.6, "account": 0.3, "cart": 0.2}, _burst_and_decay, {}),
    SurgeType("bot_crawl", "A crawler reads search and catalog pages.",
              {"search": 0.45, "storefront": 0.2}, _plateau, {}),
    SurgeType("batch_job", "A report or re-index runs beside the traffic.",
              {}, _plateau, {"catalog-db": 0.28, "orders-db": 0.25, "search": 0.12}),
    SurgeType("holiday", "A day off somewhere: people shop at odd hours.",
              {"storefront": 0.25, "search": 0.25, "cart": 0.3, "checkout": 0.3, "account": 0.15},
              _half_day, {}),
)  # fmt: skip

#: The kinds of harmless surge by name.
SURGES: dict[str, SurgeType] = {surge.kind: surge for surge in _KINDS}


def surge_demand(kind: str, start: int, minutes: int, size: float, total: int) -> np.ndarray:
    """Return the factor on each journey's demand, [minute of the scenario, journey]."""
    factor = np.ones((total, len(JOURNEYS)))
    surge = SURGES[kind]
    envelope = surge.envelope(np.arange(1.0, minutes + 1), minutes)
    for place, journey in enumerate(JOURNEYS):
        factor[start : start + minutes, place] += size * surge.journeys.get(journey, 0.0) * envelope
    return factor


def surge_work(effects: Effects, kind: str, start: int, minutes: int, size: float) -> None:
    """Write a surge's work and its planned scale-out into ``effects``."""
    surge, where = SURGES[kind], slice(start, start + minutes)
    envelope = surge.envelope(np.arange(1.0, minutes + 1), minutes)
    for name, share in surge.work.items():
        place = TOPOLOGY.position[name]
        taken = np.minimum(share * size, 0.6) * envelope
        effects.share[where, place] *= 1 - taken
        effects.hog[where, place] += taken
    if surge.announced:
        effects.scale[where, list(_ELASTIC)] *= 1 + 0.7 * size * envelope[:, None]

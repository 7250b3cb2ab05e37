"""What goes wrong in a control scenario, and sets of scenarios drawn from a seed.

Besides the shop's kinds of fault there are three that only matter where somebody can act: an
overload that feeds itself after its trigger is gone, a cache full of wrong entries, and a short
trouble that passes by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from course.shop import seeds
from course.shop.draw import CALENDAR
from course.shop.effects import Effects
from course.shop.faults import FAULTS, Strike
from course.shop.scenario import Deploy, Fault, Scenario, Surge
from course.shop.topology import BACKING, TOPOLOGY
from course.shop.workload import JOURNEYS

#: Minutes of telemetry before the first action, and steps of an episode.
WARM_UP, STEPS = 60, 120
METASTABLE, POISONED, BLIP = "metastable", "poisoned_cache", "blip"
#: Services where each kind of incident costs the users something, by measurement. Of the shop's kinds
#: network_delay is left out: by itself it makes no request miss its objective.
PLACES: dict[str, tuple[str, ...]] = {
    "cpu_saturation": ("storefront", "search", "cart", "checkout", "catalog", "pricing",
                       "inventory", "payment", "session-cache", "catalog-db", "orders-db"),
    "memory_leak": ("gateway", "storefront", "search", "cart", "account", "catalog", "pricing",
                    "inventory", "payment"),
    "slow_query": ("catalog-db", "orders-db"),
    "cache_stampede": tuple(BACKING),
    "pool_exhaustion": ("gateway", "storefront", "search", "cart", "checkout", "account",
                        "catalog", "pricing", "inventory", "payment", "catalog-db", "orders-db"),
    "bad_deploy": ("gateway", "storefront", "search", "cart", "checkout", "account", "catalog",
                   "pricing", "inventory", "payment", "shipping"),
    "bad_config": ("gateway", "storefront", "search", "cart", "checkout", "account", "catalog",
                   "pricing", "inventory", "payment", "orders-db"),
    "network_loss": ("gateway", "storefront", "search", "cart", "checkout", "account", "catalog",
                     "pricing", "inventory", "payment", "session-cache", "orders-db"),
    "third_party_outage": ("payment-provider",),
    "disk_full": ("catalog-db", "orders-db", "search", "gateway"),
    "retry_storm": ("storefront", "search", "cart", "checkout", "account", "catalog"),
    "noisy_neighbour": ("storefront", "search", "cart", "checkout", "catalog", "catalog-db",
                        "orders-db"),
    METASTABLE: ("storefront", "search", "cart", "checkout", "account", "catalog", "payment"),
    POISONED: tuple(BACKING),
    BLIP: ("storefront", "search", "cart", "checkout", "account", "catalog", "payment"),
}  # fmt: skip
#: Kinds of incident that are none: whoever acts on them does no good.
HARMLESS = (BLIP,)
#: Kinds that cost the users nothing below a severity.
_MILD = {"memory_leak": 0.85, "network_loss": 0.85}

_RETRIES = 5.0  # further attempts of a metastable overload's callers: no backoff, no budget
_WASTE = 0.4  # part of the capacity that goes into answers nobody waits for any more
_BUSY = 0.64  # utilisation of a tightly sized service
_TRIGGER = (5, 8)  # minutes of a trigger, [low, high)


@dataclass(frozen=True)
class Incident:
    """What goes wrong: ``kind`` at ``service`` from minute ``start`` of the scenario on.

    Parameters
    ----------
    kind : str
        A key of `PLACES`.
    service : str
    start, minutes : int
        In minutes of the scenario. A metastable overload's trigger lasts some minutes of it only.
    severity : float
        0 < severity <= 1.
    """

    kind: str
    service: str
    start: int
    minutes: int
    severity: float = 0.8

    def __post_init__(self) -> None:
        if self.kind not in PLACES:
            raise ValueError(f"unknown kind {self.kind!r}; choose one of: {', '.join(PLACES)}")
        if self.kind in FAULTS:
            Fault(self.kind, self.service, self.start, self.minutes, self.severity)
        elif self.service not in PLACES[self.kind]:
            raise ValueError(
                f"{self.kind} can't strike {self.service}; "
                f"choose one of: {', '.join(PLACES[self.kind])}"
            )
        if self.start < 0 or self.minutes < 1:
            raise ValueError(
                f"start is {self.start} and minutes {self.minutes}; they must be 0 or later and at "
                "least 1"
            )
        if not 0 < self.severity <= 1:
            raise ValueError(f"severity is {self.severity}; it must lie in (0, 1]")


@dataclass(frozen=True)
class ControlScenario:
    """An episode: the shop's time without faults, and at most one incident in it.

    Parameters
    ----------
    shop : Scenario
        Of `WARM_UP` + `STEPS` minutes, without faults; surges and deploys are welcome.
    incident : Incident, optional
        Not before the warm-up is over.
    """

    shop: Scenario
    incident: Incident | None = None

    def __post_init__(self) -> None:
        if self.shop.minutes != WARM_UP + STEPS:
            raise ValueError(
                f"the scenario has {self.shop.minutes} minutes; an episode has {WARM_UP} of "
                f"warm-up and {STEPS} steps, {WARM_UP + STEPS} together"
            )
        if self.shop.faults:
            raise ValueError("the scenario has faults; give one incident instead")
        if self.incident is None:
            return
        if not WARM_UP <= self.incident.start <= self.shop.minutes - self.incident.minutes:
            raise ValueError(
                f"the incident lasts from minute {self.incident.start} for "
                f"{self.incident.minutes}; it must lie within {WARM_UP}..{self.shop.minutes}"
            )

    @property
    def kind(self) -> str:
        """Kind of the incident; "" if there is none."""
        return self.incident.kind if self.incident else ""

    @property
    def faulty(self) -> bool:
        """Whether something is wrong that does not pass by itself."""
        return self.incident is not None and self.incident.kind not in HARMLESS

    @property
    def announced(self) -> Scenario:
        """The scenario whose change log an operator would see: a bad release is in it."""
        if self.incident is None or self.incident.kind not in FAULTS:
            return self.shop
        i = self.incident
        fault = Fault(i.kind, i.service, i.start, i.minutes, i.severity)
        return replace(self.shop, faults=(fault,))


def strike(effects: Effects, scenario: ControlScenario) -> np.ndarray:
    """Write a scenario's incident into ``effects``.

    Returns
    -------
    np.ndarray
        Share of a service's capacity that goes into abandoned requests when all fail, [service].
    """
    waste = np.zeros(len(TOPOLOGY.services))
    incident = scenario.incident
    if incident is None:
        return waste
    blow = Strike(
        place=TOPOLOGY.position[incident.service],
        start=incident.start,
        minutes=incident.minutes,
        severity=incident.severity,
        rng=seeds.stream(scenario.shop.seed, seeds.FAULT, 0),
    )
    if incident.kind in FAULTS:
        FAULTS[incident.kind].apply(effects, blow)
    else:
        _OWN_KINDS[incident.kind](effects, blow)
    if incident.kind == METASTABLE:
        waste[blow.place] = _WASTE
    return waste


def _metastable(effects: Effects, blow: Strike) -> None:
    """A tightly sized service whose callers retry at once, and a trigger of some minutes."""
    place = blow.place
    _size_tightly(effects, place, _BUSY)
    effects.eager[:, place] += _RETRIES - TOPOLOGY.services[place].retries
    _trigger(effects, blow)


def _blip(effects: Effects, blow: Strike) -> None:
    """The same trigger, with callers that back off: it passes."""
    _size_tightly(effects, blow.place, 0.55)
    _trigger(effects, blow)


def _poisoned(effects: Effects, blow: Strike) -> None:
    """A bad write filled the cache with entries that callers can't read."""
    share = 0.35 * blow.severity * np.minimum(blow.jitter(0.1), 1.5)
    effects.add_failures(blow.where, blow.place, share)


def _size_tightly(effects: Effects, place: int, busy: float) -> None:
    """Give the service as little CPU as keeps it at ``busy`` in the busier minutes of the day."""
    rate = float(np.quantile(effects.rate[:, place], 0.95))
    factor = rate / TOPOLOGY.capacity[place] / busy
    effects.scale[:, place] *= factor
    effects.pool[:, place] /= factor  # its workers stay


def _trigger(effects: Effects, blow: Strike) -> None:
    # A burst of customers is damped on its way to a service further down.
    at_entry = TOPOLOGY.names[blow.place] in JOURNEYS
    variant = int(blow.rng.integers(0 if at_entry else 1, 3))
    length = min(int(blow.rng.integers(*_TRIGGER)), blow.minutes)
    where = slice(blow.start, blow.start + length)
    if variant == 0:  # a burst of customers
        effects.rate[where] *= 2.6
    elif variant == 1:  # a short outage
        effects.add_failures(where, blow.place, 0.65)
    else:  # replicas crash
        effects.scale[where, blow.place] *= 0.3


_OWN_KINDS: dict[str, Callable[[Effects, Strike], None]] = {
    METASTABLE: _metastable,
    POISONED: _poisoned,
    BLIP: _blip,
}


def draw_scenarios(
    n: int,
    seed: int,
    *,
    kinds: Sequence[str] | None = None,
    control_share: float = 0.25,
    severity: tuple[float, float] = (0.6, 1.0),
) -> list[ControlScenario]:
    """Draw ``n`` episodes with one incident each, or with nothing but a harmless surge.

    Parameters
    ----------
    n : int
    seed : int
        Decides everything; the first scenarios are the same for any larger ``n``.
    kinds : sequence of str, optional
        Keys of `PLACES` that are not `HARMLESS`; all of them by default, each as likely.
    control_share : float
        Probability that nothing is wrong. Half of these have a surge, a quarter a short trouble
        that passes, a quarter a harmless release.
    severity : (float, float)
        Range of the uniform severity.

    Returns
    -------
    list of ControlScenario
        By day, when there are customers; the incident starts 10 to 50 minutes after the first
        action may be taken, and lasts 40 minutes to the end of the episode.

    Examples
    --------
    >>> [scenario.kind for scenario in draw_scenarios(3, seed=0, kinds=["bad_deploy"])]
    ['bad_deploy', 'bad_deploy', '']
    """
    if n < 0:
        raise ValueError(f"n is {n}; it must be 0 or more")
    if not 0 <= control_share <= 1:
        raise ValueError(f"control_share is {control_share}; it must lie in 0..1")
    low, high = severity
    if not 0 < low <= high <= 1:
        raise ValueError(f"severity is {severity}; it must satisfy 0 < low <= high <= 1")
    chosen = [kind for kind in PLACES if kind not in HARMLESS] if kinds is None else list(kinds)
    if not chosen:
        raise ValueError("kinds is empty; name at least one")
    for kind in chosen:
        if kind not in PLACES:
            raise ValueError(f"unknown kind {kind!r}; choose from: {', '.join(PLACES)}")
    return [
        _draw(seeds.stream(seed, seeds.DRAW, number, 20), chosen, control_share, severity)
        for number in range(n)
    ]


def _draw(
    rng: np.random.Generator,
    kinds: Sequence[str],
    control_share: float,
    severity: tuple[float, float],
) -> ControlScenario:
    quiet, surging = rng.random(2) < (control_share, 0.3)
    day, minute = int(rng.integers(CALENDAR[1])), int(rng.integers(10 * 60, 17 * 60))
    kind = kinds[int(rng.integers(len(kinds)))]
    which = int(rng.integers(4))
    if quiet:
        kind = (BLIP, "deploy", "surge", "surge")[which]
    service = PLACES[kind if kind in PLACES else BLIP]
    place = service[int(rng.integers(len(service)))]
    start = WARM_UP + int(rng.integers(10, 51))
    minutes = int(rng.integers(40, WARM_UP + STEPS - start + 1))
    low, high = severity
    hardness = round(float(rng.uniform(max(low, min(_MILD.get(kind, low), high)), high)), 3)
    surge = Surge(
        ("flash_sale", "marketing_mail", "bot_crawl", "batch_job")[int(rng.integers(4))],
        int(rng.integers(20, WARM_UP + STEPS - 80)), int(rng.integers(20, 71)),
        round(float(rng.uniform(0.4, 1.0)), 3),
    )  # fmt: skip
    version = f"v{rng.integers(100, 1000)}"
    shop = Scenario(
        start=CALENDAR[0] + pd.Timedelta(minutes=day * 1440 + minute),
        minutes=WARM_UP + STEPS,
        seed=int(rng.integers(2**63)),
        surges=(surge,) if kind == "surge" or (surging and kind not in (BLIP, METASTABLE)) else (),
        deploys=(Deploy(place, start, version),) if kind == "deploy" else (),
    )
    if kind not in PLACES:
        return ControlScenario(shop)
    return ControlScenario(shop, Incident(kind, place, start, minutes, hardness))

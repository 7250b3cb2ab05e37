"""What a capacity plan costs: replicas paid for, and minutes in which they were too few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class PlanScores:
    """What a plan came to.

    Attributes
    ----------
    replica_hours : hours of replicas paid for, all services together
    breach_minutes : minutes in which a service had too few replicas, summed over services
    attainment : share of a service's minutes with enough, the worst service's
    cost : ``price`` x replica hours + ``penalty`` x breach minutes
    """

    replica_hours: float
    breach_minutes: float
    attainment: float
    cost: float


def plan_scores(
    replicas: ArrayLike,
    needed: ArrayLike,
    *,
    minutes: float = 1.0,
    price: float = 1.0,
    penalty: float = 0.0,
) -> PlanScores:
    """Score replicas over time against those that the objective would have needed.

    Parameters
    ----------
    replicas : array_like of float, shape (services,) or (n, services)
        Running replicas; one row holds for the whole time.
    needed : array_like of float, shape (n, services)
        Fewest replicas with which the service keeps its objective in each period.
    minutes : float
        Length of a period.
    price : float
        Of a replica for an hour.
    penalty : float
        Of a minute in breach of one service, in the same unit.

    Examples
    --------
    >>> scores = plan_scores([2, 4], [[1, 4], [3, 4]], minutes=30, price=2, penalty=0.5)
    >>> scores
    PlanScores(replica_hours=6.0, breach_minutes=30.0, attainment=0.5, cost=27.0)
    """
    demand = np.asarray(needed, dtype=float)
    if demand.ndim != 2 or demand.size == 0:
        raise ValueError(
            "needed must have one row a period and one column a service, at least one of each; "
            f"found shape {demand.shape}."
        )
    supply = np.asarray(replicas, dtype=float)
    if supply.shape not in (demand.shape, demand.shape[1:]):
        raise ValueError(
            f"replicas must have shape {demand.shape} or {demand.shape[1:]}, found {supply.shape}."
        )
    if not (np.isfinite(supply).all() and np.isfinite(demand).all()):
        raise ValueError("replicas and needed must be finite. Fill or drop the missing periods.")
    if (supply < 0).any() or (demand < 0).any():
        raise ValueError("replicas and needed must be 0 or more.")
    if minutes <= 0 or price < 0 or penalty < 0:
        raise ValueError("minutes must be above 0, price and penalty 0 or more.")
    running = np.broadcast_to(supply, demand.shape)
    short = running < demand
    hours = float(running.sum() * minutes / 60)
    breach = float(short.sum() * minutes)
    attainment = float(1 - short.mean(axis=0).max())
    return PlanScores(hours, breach, attainment, price * hours + penalty * breach)

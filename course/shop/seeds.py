"""Random streams of a scenario: one per purpose, so that one never shifts another."""

from __future__ import annotations

import numpy as np

DEMAND, WORK, COUNTS, ERRORS, QUANTILES, GAUGES, LIFE, FAULT, DRAW, REQUESTS, TRUTH = range(11)


def stream(seed: int, *purpose: int) -> np.random.Generator:
    """Return the generator of ``seed`` for a purpose; equal arguments give equal numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))

"""Average run length: the currency of sequential change detection."""

from __future__ import annotations

import numpy as np


def average_run_length(z: np.ndarray, k: float, h: float) -> float:
    """Measure the mean number of samples per alarm of a two-sided CUSUM.

    Parameters
    ----------
    z : ndarray of float, shape (n,)
        Standardised samples without NaN.
    k : float
        Allowance per sample, in standard deviations.
    h : float
        Threshold; the sums restart at zero after an alarm.

    Returns
    -------
    float
        ``n / alarms``; infinite without an alarm.

    Examples
    --------
    >>> average_run_length(np.full(12, 1.5), k=0.5, h=2.5)
    3.0
    """
    values = np.asarray(z, dtype=float)
    if np.isnan(values).any():
        raise ValueError(f"z has {int(np.isnan(values).sum())} NaN; drop or bridge them first")
    high = low = 0.0
    alarms = 0
    for value in values.tolist():
        high = high + value - k
        high = high if high > 0 else 0.0
        low = low - value - k
        low = low if low > 0 else 0.0
        if high > h or low > h:
            alarms += 1
            high = low = 0.0
    return len(values) / alarms if alarms else float("inf")

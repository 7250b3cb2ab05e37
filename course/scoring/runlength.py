"""Average run length: the currency of sequential change detection."""

from __future__ import annotations

import numpy as np
import pandas as pd


def average_run_length(alarms: np.ndarray | pd.Series) -> float:
    """Measure the mean number of samples per alarm.

    The estimate of a detector that starts anew after each alarm and runs on: total samples over
    number of alarms, so that the unfinished run at the end counts.

    Parameters
    ----------
    alarms : ndarray or Series of bool, shape (n,)
        True at each alarm.

    Returns
    -------
    float
        ``n / alarms``; infinite without an alarm.

    Raises
    ------
    TypeError
        The alarms are not bool.

    Examples
    --------
    >>> average_run_length(np.array([False, False, True, False, False, True]))
    3.0
    """
    flags = np.asarray(alarms)
    if flags.dtype != bool:
        raise TypeError(f"alarms must be bool, True at each alarm; they are {flags.dtype}")
    number = int(flags.sum())
    return len(flags) / number if number else float("inf")

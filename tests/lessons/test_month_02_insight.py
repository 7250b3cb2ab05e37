"""The milestone's incidents: chosen so that a plain limit finds a fixed share of them."""

import numpy as np
import pandas as pd

from course.lessons.month_02.checks import insight as checks

SINCE = pd.Timestamp("2026-03-10T01:00Z")
HIT = ("metric", "cart", "error_ratio")


def _metrics(**levels: float) -> pd.DataFrame:
    index = pd.date_range("2026-03-10T00:30Z", periods=60, freq="1min", name="time")
    names = ("cart", "search", "account")
    columns = pd.MultiIndex.from_product([names, ["error_ratio"]], names=["service", "metric"])
    table = pd.DataFrame(0.1, index, columns)
    for service, level in levels.items():
        table.loc[index >= SINCE, (service, "error_ratio")] = level
    return table


def test_a_limit_ranks_by_the_quotient_and_leaves_out_what_is_below_it() -> None:
    found = checks.by_limit(_metrics(cart=0.2, search=0.4, account=0.105), SINCE)
    assert found == [("metric", "search", "error_ratio"), ("metric", "cart", "error_ratio")]


def test_as_many_easy_incidents_as_hard_ones_and_all_calm_windows() -> None:
    acted = frozenset({HIT})
    hard, middle, easy = _metrics(), _metrics(cart=0.2, search=0.4), _metrics(cart=0.3)
    kinds = [hard] * 20 + [middle] * 9 + [easy] * 40 + [hard] * 5
    windows = [
        ((metrics, None, None, SINCE), acted if number < 69 else frozenset())
        for number, metrics in enumerate(kinds)
    ]
    order = np.random.default_rng(1).permutation(len(windows))
    chosen = [order[place] for place in checks._mixed([windows[at] for at in order])]
    counts = np.histogram(chosen, [0, 20, 29, 69, 74])[0].tolist()
    assert counts == [16, 7, 16, 5]

"""The charts of the lessons."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from course import plots


def test_waterfall_draws_spans_by_their_start() -> None:
    spans = pd.DataFrame(
        {
            "span_id": ["b", "a"], "service.name": ["cart", "gateway"], "name": ["GET", "GET /"],
            "status_code": ["ERROR", "UNSET"], "start_time_unix_nano": [4_000_000, 1_000_000],
            "end_time_unix_nano": [6_000_000, 11_000_000],
        }
    )  # fmt: skip
    ax = plots.waterfall(spans, title="two spans", highlight=["a"])
    bars = ax.containers[0].patches
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gateway: GET /", "cart: GET"]
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0.0, 10.0), (3.0, 2.0)]
    plt.close("all")

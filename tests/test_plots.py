"""The charts of the lessons."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

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


def test_reliability_draws_each_curve_beside_the_diagonal() -> None:
    curves = {
        "one": pd.DataFrame({"said": [0.1, 0.4], "happened": [0.1, 0.3], "n": [5, 5]}),
        "two": pd.DataFrame({"said": [0.2, 0.5], "happened": [0.0, 0.1], "n": [5, 5]}),
    }
    ax = plots.reliability(curves, title="two is too loud")
    diagonal, *lines = ax.get_lines()
    assert diagonal.get_xdata()[1] == diagonal.get_ydata()[1] == pytest.approx(0.525)
    assert [line.get_label() for line in lines] == ["one", "two"]
    assert lines[1].get_ydata().tolist() == [0.0, 0.1]
    assert ax.get_xlim() == ax.get_ylim()


def test_precision_recall_flags_equal_scores_together() -> None:
    ax = plots.precision_recall(
        [True, False, True, False], {"score": [0.9, 0.5, 0.5, 0.1]}, title="a finding"
    )
    curve, chance = ax.get_lines()
    assert curve.get_xdata().tolist() == [0.5, 1.0, 1.0]
    assert curve.get_ydata().tolist() == pytest.approx([1.0, 2 / 3, 0.5])
    assert chance.get_ydata()[0] == 0.5

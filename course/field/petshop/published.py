"""Published figures on PetShop, quoted with their source.

They are those of a notebook of the data set's authors: walk from the symptom down the call graph
as long as a callee is an outlier by its median absolute deviation.
"""

from __future__ import annotations

import pandas as pd

CITATION = (
    "Hardt, Orchard, Blöbaum, Kirschbaum, Kasiviswanathan (2024). The PetShop Dataset - Finding Causes "
    "of Performance Issues across Microservices. CLeaR 2024; arXiv:2311.04806."
)
SOURCE = (
    "notebook on graph traversal in amazon-science/petshop-root-cause-analysis (commit 1c5992dc): top-1 "
    "and top-3 accuracy of traversal by MAD"
)
#: Accuracy by traffic and metric: top-1, top-3.
TRAVERSAL: dict[tuple[str, str], tuple[float, float]] = {
    ("low", "latency"): (0.571, 0.571),
    ("low", "availability"): (0.833, 1.0),
    ("high", "latency"): (0.571, 0.786),
    ("high", "availability"): (0.667, 1.0),
}


def published_table() -> pd.DataFrame:
    """The figures as a table, indexed by traffic and metric."""
    table = pd.DataFrame(TRAVERSAL, index=["AC@1", "AC@3"]).T
    return table.rename_axis(["traffic", "metric"])

"""Record what published implementations answer, for the tests to compare with.

Run it in an environment of its own, since the packages pin old dependencies::

    python -m venv /tmp/oracles
    /tmp/oracles/bin/pip install numpy pandas scikit-learn scipy
    /tmp/oracles/bin/pip install --no-deps vus==0.0.6 TSB-AD==1.5 prts==1.0.0.3
    /tmp/oracles/bin/pip install --no-deps --target /tmp/vus-2022 vus==0.0.5
    /tmp/oracles/bin/python tests/scoring/oracles/make_oracles.py /tmp/vus-2022

The range-AUC and VUS code of `vus` and `TSB-AD` is loaded file by file: importing the packages
would import every detector that they hold.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import types
from importlib.metadata import distribution, distributions, version
from pathlib import Path
from typing import Any

import numpy as np
from prts import ts_precision, ts_recall

HERE = Path(__file__).parent
BIASES = ("flat", "front", "back", "middle")


def load(file: Path) -> types.ModuleType:
    """Load one module by its file."""
    spec = importlib.util.spec_from_file_location(f"oracle_{abs(hash(file))}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed(package: str, path: str) -> Path:
    """Give the path of a file of an installed package."""
    return Path(str(distribution(package).locate_file(path)))


def make_cases() -> list[dict[str, Any]]:
    """Make labels and scores: short and long ranges, at the edges, close together, with ties."""
    rng = np.random.default_rng(20220707)
    layouts = {
        "one_range": (300, [(120, 149)]),
        "at_both_edges": (280, [(0, 9), (270, 279)]),
        "single_samples": (260, [(50, 50), (52, 52), (200, 200)]),
        "buffers_overlap": (400, [(100, 110), (116, 130), (300, 305)]),
        "buffers_touch": (300, [(100, 110), (121, 130)]),
        "short_series": (40, [(10, 14), (30, 31)]),
    }
    cases = []
    for (name, (n, ranges)), kind in itertools.product(
        layouts.items(), ("noise", "good", "late", "ties", "constant")
    ):
        labels = np.zeros(n, dtype=int)
        for first, last in ranges:
            labels[first : last + 1] = 1
        noise = rng.random(n)
        scores = {
            "noise": noise,
            "good": labels + 0.6 * noise,
            "late": np.roll(labels, 3) + 0.6 * noise,
            "ties": np.round(3 * (0.5 * labels + noise)) / 4,
            "constant": np.full(n, 0.5),
        }[kind]
        scores = np.round(scores, 4)
        cases.append({"name": f"{name}-{kind}", "labels": labels, "scores": scores})
    return cases


def volume(case: dict[str, Any], first: Any, current: Any, tsb: Any) -> list[dict[str, Any]]:
    """Give VUS-PR of the first and the current definition and range-AUC-PR of the first.

    The current one has no usable range-AUC for one buffer: that of vus 0.0.6 is still the first
    definition, and that of TSB-AD 1.5 divides by the number of ranges, which it finds to be 0.
    """
    labels, scores = case["labels"].astype(float), case["scores"]
    answers = []
    for window in (0, 1, 5, 10, 16):
        volumes = {
            "2022": first.metricor(),
            "current": current.metricor(),
            "tsb-ad": tsb.basic_metricor(),
        }
        area = first.metricor().RangeAUC(labels, scores, window=window, plot_ROC=True)[1]
        answers.append(
            {
                "window": window,
                "range_auc_pr": {"2022": float(area)},
                "vus_pr": {
                    name: float(metricor.RangeAUC_volume_opt(labels, scores, window)[-1])
                    for name, metricor in volumes.items()
                },
            }
        )
    return answers


def ranges(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Give range-based precision and recall of `prts` for every form."""
    flags = (case["scores"] >= np.quantile(case["scores"], 0.8)).astype(int)
    answers = []
    for bias, cardinality in itertools.product(BIASES, ("one", "reciprocal")):
        recall = [
            float(ts_recall(case["labels"], flags, alpha, cardinality, bias))
            for alpha in (0.0, 0.3, 1.0)
        ]
        precision = float(ts_precision(case["labels"], flags, 0.0, cardinality, bias))
        answers.append(
            {"bias": bias, "cardinality": cardinality, "recall": recall, "precision": precision}
        )
    return [{"flags": flags.tolist(), "alphas": [0.0, 0.3, 1.0], "answers": answers}]


def main() -> None:
    """Write `oracles.json` beside this script."""
    # `vus` imports tqdm only for progress bars that these functions do not show.
    sys.modules.setdefault("tqdm", types.SimpleNamespace(tqdm=lambda items: items))  # type: ignore
    old = Path(sys.argv[1])
    metricors = (
        load(old / "vus" / "utils" / "metrics.py"),
        load(installed("vus", "vus/utils/metrics.py")),
        load(installed("TSB-AD", "TSB_AD/evaluation/basic_metrics.py")),
    )
    (old_vus,) = (each for each in distributions(path=[str(old)]) if each.name == "vus")
    record = {
        "versions": {
            "vus (2022)": old_vus.version,
            **{name: version(name) for name in ("vus", "TSB-AD", "prts", "numpy")},
        },
        "cases": [
            {
                "name": case["name"],
                "labels": case["labels"].tolist(),
                "scores": case["scores"].tolist(),
                "volume": volume(case, *metricors),
                "ranges": ranges(case)[0],
            }
            for case in make_cases()
        ],
    }
    text = json.dumps(record, separators=(",", ":")).replace('{"name"', '\n{"name"')
    (HERE / "oracles.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

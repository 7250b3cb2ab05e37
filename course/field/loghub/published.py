"""Published grouping accuracy of Drain on Loghub's 2,000-line sets, with its source."""

from __future__ import annotations

CITATION = (
    "Zhu, He, Liu, He, Xie, Zheng, Lyu (2019). Tools and Benchmarks for Automated Log Parsing. "
    "ICSE-SEIP 2019. Drain: He, Zhu, Zheng, Lyu (2017). Drain: An Online Log Parsing Approach with "
    "Fixed Depth Tree. ICWS 2017."
)
SOURCE = (
    "table in logparser/Drain/README.md of logpai/logparser (commit 89c2832f): regular expressions, "
    "similarity and depth chosen for each system"
)
#: Grouping accuracy by system.
DRAIN: dict[str, float] = {
    "Apache": 1.0,
    "BGL": 0.9625,
    "HDFS": 0.9975,
    "Hadoop": 0.9475,
    "OpenSSH": 0.7875,
    "OpenStack": 0.7325,
    "Zookeeper": 0.9665,
}

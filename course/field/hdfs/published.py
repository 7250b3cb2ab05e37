"""A published figure on HDFS sessions, quoted with its source.

It was measured with all 553,366 normal test sessions, at the natural share of abnormal ones.
"""

from __future__ import annotations

CITATION = (
    "Du, Li, Zheng, Srikumar (2017). DeepLog: Anomaly Detection and Diagnosis from System Logs "
    "through Deep Learning. ACM CCS 2017, figure 4."
)
#: Precision, recall and F1 of DeepLog, a network that predicts the next statement.
DEEPLOG: dict[str, float] = {"precision": 0.95, "recall": 0.96, "f1": 0.96}

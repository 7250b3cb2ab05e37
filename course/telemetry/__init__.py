"""Telemetry: embedded data sets, public data sets, and the formats of the tools.

>>> from course import telemetry
>>> telemetry.load("shop-quiet-28d")["checkout"].shape
(40320, 9)
"""

from course.telemetry.datasets import DataSetMissing, folder, load, names, parts, verify

__all__ = ["DataSetMissing", "folder", "load", "names", "parts", "verify"]

"""An embedded evaluator of Prometheus rule files.

It reads a rule file as strictly as ``promtool check rules`` and evaluates recording and alerting
rules over pandas series with the semantics of Prometheus, all times at once. What it supports of
PromQL is listed in :mod:`course.telemetry.prometheus.expressions`, of templates in
:mod:`course.telemetry.prometheus.templates`; everything else is refused with a reason.

Examples
--------
Minutes of one service, exposed as gauges, under a rule with a delay and a hysteresis:

>>> import pandas as pd
>>> index = pd.date_range("2026-03-02 09:00", periods=8, freq="1min", tz="UTC")
>>> latency = [200.0, 900, 950, 980, 300, 940, 200, 200]
>>> minutes = pd.DataFrame({("checkout", "latency_p99_ms"): latency}, index)
>>> series = to_series(minutes)
>>> series.columns.tolist()
['shop_latency_p99_ms{service="checkout"}']
>>> rules = load_rules('''
... groups:
...   - name: checkout
...     rules:
...       - alert: SlowCheckout
...         expr: shop_latency_p99_ms > 800
...         for: 1m
...         keep_firing_for: 2m
...         labels: {severity: page}
... ''')
>>> history = evaluate(rules, series)
>>> history.firing("SlowCheckout", service="checkout").astype(int).tolist()
[0, 0, 1, 1, 1, 1, 1, 1]
>>> history.intervals[["alertname", "service", "severity"]].values.tolist()
[['SlowCheckout', 'checkout', 'page']]
"""

from course.telemetry.durations import format_duration, parse_duration
from course.telemetry.prometheus.alerts import Alert, AlertHistory
from course.telemetry.prometheus.errors import EvaluationError, RuleFileError
from course.telemetry.prometheus.evaluate import evaluate
from course.telemetry.prometheus.rulefile import Rule, RuleFile, RuleGroup, load_rules
from course.telemetry.prometheus.series import to_series

__all__ = [
    "Alert",
    "AlertHistory",
    "EvaluationError",
    "Rule",
    "RuleFile",
    "RuleFileError",
    "RuleGroup",
    "evaluate",
    "format_duration",
    "load_rules",
    "parse_duration",
    "to_series",
]

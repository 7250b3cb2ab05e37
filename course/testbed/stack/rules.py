"""Rules and routes that both kinds of monitoring load."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

_BY = "sum by (service)"
#: The shop's metrics as PromQL over the raw ones; $window is the range of a rate.
METRIC_QUERIES: dict[str, str] = {
    "request_rate": f"{_BY} (rate(shop_requests_total[$window]))",
    "error_ratio": f'{_BY} (rate(shop_requests_total{{code=~"5.."}}[$window]))'
    f" / {_BY} (rate(shop_requests_total[$window]))",
    "latency_p50_ms": "1000 * histogram_quantile(0.5, sum by (service, le)"
    " (rate(shop_request_duration_seconds_bucket[$window])))",
    "latency_p99_ms": "1000 * histogram_quantile(0.99, sum by (service, le)"
    " (rate(shop_request_duration_seconds_bucket[$window])))",
    "cpu_utilization": f"clamp_max({_BY} (rate(shop_cpu_seconds_total[$window]))"
    f" / {_BY} (shop_cpu_limit_cores), 1)",
    "memory_utilization": f"{_BY} (shop_memory_used_bytes) / {_BY} (shop_memory_limit_bytes)",
    "pool_utilization": f"clamp_max({_BY} (rate(shop_pool_busy_seconds_total[$window]))"
    f" / {_BY} (shop_pool_limit), 1)",
    "queue_length": f"{_BY} (shop_queue_length)",
    "disk_utilization": f"{_BY} (shop_disk_used_bytes) / {_BY} (shop_disk_size_bytes)",
}

# (name, expression, labels, summary). A cause inhibits symptoms.
_ALERTS = (
    ("ServiceDown", 'up{job="shop"} == 0', {"role": "cause", "cause": "down"},
     "{{ $labels.service }} does not answer scrapes"),
    ("MemoryLeakPredicted",
     "predict_linear(shop_memory_utilization[$trend], 600) > 1 and shop_memory_utilization > 0.75",
     {"role": "cause", "cause": "memory"},
     "{{ $labels.service }} reaches its memory limit within ten minutes"),
    ("CpuSaturated", "shop_cpu_utilization > 0.7", {"role": "cause", "cause": "cpu"},
     "{{ $labels.service }} uses most of its CPU"),
    ("PoolExhausted", "shop_pool_utilization > 0.85", {"role": "cause", "cause": "pool"},
     "{{ $labels.service }} has hardly a free worker or connection"),
    ("DiskFull", "shop_disk_utilization > 0.95", {"role": "cause", "cause": "disk"},
     "{{ $labels.service }} has hardly any disk left"),
    ("ThirdPartyFails", 'shop_error_ratio{service="payment-provider"} > 0.2',
     {"role": "cause", "cause": "third-party"}, "the payment provider fails"),
    ("QueueBacklog", f'{_BY} (shop_queue_length{{service="order-queue"}}) > 40',
     {"role": "cause", "cause": "queue"}, "orders wait for fulfilment"),
    ("UsersSeeErrors", 'shop_error_ratio{service="gateway"} > 0.05',
     {"role": "symptom", "cause": "unknown"}, "more than one user in twenty sees an error"),
    ("UsersWait", 'shop_latency_p99_ms{service="gateway"} > 1200',
     {"role": "symptom", "cause": "unknown"}, "one user in a hundred waits for over 1.2 s"),
    ("ServiceErrors", 'shop_error_ratio{service!="gateway"} > 0.1',
     {"role": "symptom", "cause": "unknown"}, "{{ $labels.service }} fails"),
)  # fmt: skip

#: What Alertmanager is told, and the embedded notifier does.
GROUP_BY = ("role", "cause")
INHIBIT = ({"role": "cause"}, {"role": "symptom"})


def window(interval: float) -> str:
    """Range of a rate: long enough for four scrapes.

    Examples
    --------
    >>> window(5), window(0.5)
    ('20s', '2s')
    """
    return f"{max(round(4 * interval), 2)}s"


def metric_queries(interval: float) -> dict[str, str]:
    """`METRIC_QUERIES` for an interval between scrapes in seconds."""
    values = {"window": window(interval)}
    return {name: Template(text).substitute(values) for name, text in METRIC_QUERIES.items()}


def rule_file(interval: float) -> str:
    """The rule file (YAML) for an interval between scrapes in seconds.

    Every metric of the shop is recorded as ``shop_NAME``; ``shop_queue_length`` is a raw metric
    already.
    """
    recording = [
        {"record": f"shop_{name}", "expr": expression}
        for name, expression in metric_queries(interval).items()
        if name != "queue_length"
    ]
    values = {"trend": f"{max(round(18 * interval), 6)}s"}
    alerting = [
        {
            "alert": name,
            "expr": Template(expression).substitute(values),
            "for": f"{max(round(interval), 1)}s",
            "labels": labels,
            "annotations": {"summary": summary},
        }
        for name, expression, labels, summary in _ALERTS
    ]
    groups = [
        {"name": "shop-metrics", "rules": recording},
        {"name": "shop-alerts", "rules": alerting},
    ]
    return json.dumps({"groups": groups}, indent=1)  # JSON is YAML


def prometheus_file(folder: Path, interval: float, alertmanager: int) -> str:
    """Prometheus' configuration."""
    every = f"{round(interval * 1000)}ms"
    return json.dumps(
        {
            "global": {"scrape_interval": every, "scrape_timeout": every,
                       "evaluation_interval": every},
            "rule_files": [str(folder / "rules.yml")],
            "alerting": {"alertmanagers": [
                {"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
            "scrape_configs": [
                {"job_name": "shop", "file_sd_configs": [
                    {"files": [str(folder / "targets.json")], "refresh_interval": "5s"}]}],
        },
        indent=1,
    )  # fmt: skip


def targets_file(ports: dict[str, int]) -> str:
    """Targets for service discovery: a restart changes the port, never the instance."""
    return json.dumps(
        [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"service": name, "instance": name}}
            for name, port in ports.items()
            if port
        ]
    )


def group_wait(interval: float) -> float:
    """Seconds that a new group waits, so that a cause can still silence its symptoms."""
    return 3 * interval


def alertmanager_file(control: int, token: str, interval: float) -> str:
    """Alertmanager's configuration; notifications go to the supervisor."""
    source, target = INHIBIT
    return json.dumps(
        {
            "route": {
                "receiver": "supervisor", "group_by": list(GROUP_BY),
                "group_wait": f"{round(group_wait(interval) * 1000)}ms",
                "group_interval": f"{round(2 * interval * 1000)}ms", "repeat_interval": "4h",
            },
            "inhibit_rules": [
                {"source_matchers": [f'{k}="{v}"' for k, v in source.items()],
                 "target_matchers": [f'{k}="{v}"' for k, v in target.items()]}],
            "receivers": [{"name": "supervisor", "webhook_configs": [
                {"url": f"http://127.0.0.1:{control}/notify", "send_resolved": True,
                 "http_config": {"authorization": {"credentials": token}}}]}],
        },
        indent=1,
    )  # fmt: skip

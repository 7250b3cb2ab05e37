"""Record what the official clients write and refuse, for the tests of the readers.

    python -m venv clients && clients/bin/pip install datadog-api-client==2.62.0 \\
        dynatrace-metric-utils==0.2.1 newrelic-telemetry-sdk==0.9.0 py-zipkin==1.2.8 \\
        elasticsearch==9.5.1
    clients/bin/python -m tests.telemetry.wire.record

They are recorded, not required: together they take more than 100 MB.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("answers.json")
_PACKAGES = ("datadog-api-client", "dynatrace-metric-utils", "newrelic-telemetry-sdk", "py-zipkin",
             "elasticsearch")  # fmt: skip
_TEXTS = ("payment", "a b", 'say "hi"', "C:\\tmp", "a=b,c", "Größe", "雪", "\\", "x\\\\")


def main() -> None:
    """Write the answers beside this file."""
    rng = random.Random(2)
    answers = {
        "versions": {name: version(name) for name in _PACKAGES},
        "datadog": {"written": _datadog(rng), "judged": _datadog_judged(rng)},
        "dynatrace": {"written": _dynatrace(rng)},
        "newrelic": {"written": _newrelic(rng)},
        "zipkin": {"written": _zipkin(rng)},
        "elasticsearch": {"written": _elasticsearch(rng)},
    }
    ANSWERS.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _attributes(rng: random.Random) -> dict[str, str]:
    return {f"key{n}": rng.choice(_TEXTS) for n in range(rng.randrange(4))}


def _datadog(rng: random.Random) -> list[Any]:
    from datadog_api_client.model_utils import model_to_dict
    from datadog_api_client.v2.model.metric_intake_type import MetricIntakeType
    from datadog_api_client.v2.model.metric_payload import MetricPayload
    from datadog_api_client.v2.model.metric_point import MetricPoint
    from datadog_api_client.v2.model.metric_series import MetricSeries

    found = []
    for _ in range(20):
        kind = rng.choice(["count", "rate", "gauge"])
        meant = {
            "metric": f"shop.m{rng.randrange(9)}",
            "type": kind,
            "interval": rng.randrange(1, 600),
            "points": [[rng.randrange(10**9, 2 * 10**9), rng.uniform(0, 9)] for _ in range(3)],
            "tags": [f"{key}:{value}" for key, value in _attributes(rng).items()],
            "unit": "request",
        }
        series = MetricSeries(
            metric=meant["metric"],
            type=MetricIntakeType({"count": 1, "rate": 2, "gauge": 3}[kind]),
            interval=meant["interval"],
            points=[MetricPoint(timestamp=t, value=v) for t, v in meant["points"]],
            tags=meant["tags"],
            unit="request",
        )
        body = json.dumps(model_to_dict(MetricPayload(series=[series])))
        found.append({"body": body, "meant": [meant]})
    return found


def _datadog_judged(rng: random.Random) -> list[Any]:
    """Bodies with one value of another type, and whether the client's model takes them."""
    from datadog_api_client import Configuration
    from datadog_api_client.model_utils import validate_and_convert_types
    from datadog_api_client.v2.model.metric_payload import MetricPayload

    good: dict[str, Any] = {
        "series": [
            {
                "metric": "shop.m",
                "type": 1,
                "interval": 60,
                "points": [{"timestamp": 1_700_000_000, "value": 0.5}],
                "tags": ["a:b"],
                "unit": "request",
                "source_type_name": "shop",
                "resources": [{"name": "a", "type": "host"}],
            }
        ]
    }
    found = []
    for content in [good, *_spoilt(good)]:
        try:
            model = validate_and_convert_types(
                content, (MetricPayload,), ["body"], True, True, Configuration()
            )
            taken = not getattr(model, "_unparsed", False)
        except Exception:
            taken = False
        found.append({"body": json.dumps(content), "taken": taken})
    return found


def _spoilt(content: Any) -> Iterator[Any]:
    """Yield copies with one value replaced by one of another type, and with one key less."""
    for path in list(_paths(content)):
        for other in ("text", 7, 1.5, None, True, [], {}):
            changed = copy.deepcopy(content)
            place = changed
            for step in path[:-1]:
                place = place[step]
            if type(place[path[-1]]) is type(other):
                continue
            place[path[-1]] = other
            yield changed
        changed = copy.deepcopy(content)
        place = changed
        for step in path[:-1]:
            place = place[step]
        if isinstance(place, dict):
            del place[path[-1]]
            yield changed


def _paths(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for step, value in items:
        yield (*above, step)
        if isinstance(value, dict | list):
            yield from _paths(value, (*above, step))


def _dynatrace(rng: random.Random) -> list[Any]:
    from dynatrace.metric.utils import DynatraceMetricsFactory, DynatraceMetricsSerializer

    factory, serializer = DynatraceMetricsFactory(), DynatraceMetricsSerializer()
    found = []
    for _ in range(60):
        dimensions, time = _attributes(rng), rng.randrange(10**12, 2 * 10**12)
        value = rng.choice([rng.uniform(0, 1e3), rng.uniform(0, 1e-3), 3e18, 1e-20])
        kind = rng.choice(["gauge", "count", "summary"])
        key = rng.choice(["shop.requests", "shop.queue-depth.m2", "Shop_x"])
        content: Any = value
        if kind == "gauge":
            metric = factory.create_float_gauge(key, value, dimensions, time)
        elif kind == "count":
            metric = factory.create_float_counter_delta(key, value, dimensions, time)
        else:
            metric = factory.create_float_summary(key, 1.5, 9.5, 20.0, 4, dimensions, time)
            content = {"min": 1.5, "max": 9.5, "sum": 20.0, "count": 4.0}
        meant = {
            "key": key,
            "dimensions": dimensions,
            "type": "count" if kind == "count" else "gauge",
            "value": content,
            "timestamp_ms": time,
        }
        found.append({"body": serializer.serialize(metric), "meant": [meant]})
    return found


def _newrelic(rng: random.Random) -> list[Any]:
    import gzip

    from newrelic_telemetry_sdk import CountMetric, GaugeMetric, MetricClient, SummaryMetric

    client = MetricClient("no key: nothing is sent")
    found = []
    for _ in range(20):
        end, interval = rng.randrange(10**12, 2 * 10**12), rng.randrange(1, 10**5)
        tags, value = _attributes(rng), rng.uniform(0, 9)
        metrics = [
            GaugeMetric("g", value, tags, end_time_ms=end),
            CountMetric("c", value, interval, tags, end_time_ms=end),
            SummaryMetric("s", 2, 3.0, 1.0, 2.0, interval, tags, end_time_ms=end),
        ]
        common = {"attributes": {"shop": "eu"}}
        body = client._create_payload(metrics, common)
        text = gzip.decompress(body).decode() if isinstance(body, bytes) else body
        attributes = {"shop": "eu", **tags}
        summary = {"count": 2, "sum": 3.0, "min": 1.0, "max": 2.0}
        meant = [
            ["g", "gauge", value, end, None],
            ["c", "count", value, end - interval, interval],
            ["s", "summary", summary, end - interval, interval],
        ]
        names = ("name", "type", "value", "timestamp_ms", "interval_ms")
        records = [dict(zip(names, one, strict=True), attributes=attributes) for one in meant]
        found.append({"body": text, "meant": records})
    return found


def _zipkin(rng: random.Random) -> list[Any]:
    from py_zipkin import Encoding, Kind
    from py_zipkin.encoding._encoders import get_encoder
    from py_zipkin.encoding._helpers import Span, create_endpoint

    encoder, found = get_encoder(Encoding.V2_JSON), []
    for _ in range(20):
        kind = rng.choice([Kind.CLIENT, Kind.SERVER, Kind.LOCAL])
        micros, duration = rng.randrange(10**15, 2 * 10**15), rng.randrange(1, 10**7)
        meant = {
            "trace_id": f"{rng.randrange(1, 2**128):032x}",
            "span_id": f"{rng.randrange(1, 2**64):016x}",
            "parent_span_id": rng.choice(["", f"{rng.randrange(1, 2**64):016x}"]),
            "service": "payment",
            "name": "post /authorize",
            "kind": "" if kind is Kind.LOCAL else kind.value,
            "duration_us": duration,
            "tags": _attributes(rng),
        }
        span = Span(
            meant["trace_id"], meant["name"], meant["parent_span_id"] or None, meant["span_id"],
            kind, micros / 1e6, duration / 1e6,
            local_endpoint=create_endpoint(port=80, service_name="payment", host="127.0.0.1"),
            tags=meant["tags"],
        )  # fmt: skip
        body = encoder.encode_queue([encoder.encode_span(span)])
        found.append({"body": body if isinstance(body, str) else body.decode(), "meant": [meant]})
    return found


def _elasticsearch(rng: random.Random) -> list[Any]:
    from elasticsearch.helpers import expand_action
    from elasticsearch.serializer import NdjsonSerializer

    serializer, found = NdjsonSerializer(), []
    for _ in range(20):
        rows, meant = [], []
        for _ in range(rng.randrange(1, 5)):
            document = {"message": rng.choice(_TEXTS), "n": rng.randrange(9), **_attributes(rng)}
            action = rng.choice(["create", "index"])
            identifier = rng.choice([None, "7"])
            given = {"_op_type": action, "_index": "logs", "_source": document}
            if identifier:
                given["_id"] = identifier
            rows += [part for part in expand_action(given) if part is not None]
            meant.append(
                {"action": action, "index": "logs", "id": identifier, "document": document}
            )
        body = serializer.dumps(rows)
        found.append({"body": body.decode(), "meant": meant})
    return found


if __name__ == "__main__":
    main()

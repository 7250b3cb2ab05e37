"""Hidden check of the wire formats: bodies read strictly and compared, queries executed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from course.lessons.checking import Case, CheckFunction, Hidden, Student, StudentError, tried
from course.telemetry import queries as ask
from course.telemetry import wire

Records = list[dict[str, Any]]

_WORDS = ("payment", "checkout", "orders-db", "cart", "search", "gift-card", "fraud-score", "kiosk",
          "stock-sync", "mailer", "ledger")  # fmt: skip
_KINDS = {"INTERNAL": "", "SERVER": "SERVER", "CLIENT": "CLIENT", "PRODUCER": "PRODUCER",
          "CONSUMER": "CONSUMER"}  # fmt: skip
_LEVELS = ("INFO", "WARN", "ERROR")
_PHRASES = ("timed out", "TIMED OUT", "out of time", "timed it out", "timed, out of stock",
            "connection refused", "timedout", "time to check out")  # fmt: skip
_DAY = 86_400 * 10**9
_WINDOW = 300 * 10**9


def _hex(rng: np.random.Generator, digits: int) -> str:
    """Random digits that begin with a letter, so that they are never all 0."""
    return "a" + "".join(rng.choice(list("0123456789abcdef"), digits - 1))


def _moment(rng: np.random.Generator) -> int:
    """Nanoseconds of a random time between 2024 and 2027, none of them round."""
    return 1_704_067_200 * 10**9 + int(rng.integers(0, 3 * 365)) * _DAY + _odd(rng, _DAY)


def _odd(rng: np.random.Generator, below: int) -> int:
    """A number whose last digits survive neither a float nor a coarser unit."""
    return int(rng.integers(0, below // 1000)) * 1000 + int(rng.choice([137, 459, 613, 871]))


def _text(rng: np.random.Generator, *, awkward: bool) -> str:
    """A message, always with quotes; backslashes, line breaks and other letters if awkward."""
    words = list(rng.choice(["order", "user", "card", "stock", "retry", "cache", "page"], 3))
    words.insert(int(rng.integers(4)), f'"{rng.integers(1000)}"')
    if awkward:
        for extra in ("C:\\tmp", "line\nbreak", "Größe", "a=b,c", "tab\tstop", "雪"):
            words.insert(int(rng.integers(len(words) + 1)), extra)
    return " ".join(words)


# ---------------------------------------------------------------- inputs


def _spans(rng: np.random.Generator, *, awkward: bool) -> Records:
    """Two or three traces; awkward ones have roots, internal and short spans, and any type."""
    begin = _moment(rng)
    found: Records = []
    services = list(rng.choice(_WORDS, int(rng.integers(3, 6)), replace=False))
    if awkward:
        services[0] = f"{services[0].title()}-EU"
    for _ in range(int(rng.integers(2, 4))):
        trace = _hex(rng, 32)
        above = [_hex(rng, 16)]
        for _ in range(int(rng.integers(5, 11))):
            kinds = list(_KINDS) if awkward else list(_KINDS)[1:]
            states = ["UNSET", "OK", "ERROR"] if awkward else ["OK", "ERROR"]
            short = awkward and rng.random() < 0.3
            found.append(
                {
                    "trace_id": trace,
                    "span_id": _hex(rng, 16),
                    "parent_span_id": "" if awkward and len(above) == 1 else str(rng.choice(above)),
                    "service": str(rng.choice(services)),
                    "name": f"{rng.choice(['GET', 'POST'])} /{rng.choice(_WORDS)}",
                    "kind": str(rng.choice(kinds)),
                    "start_ns": begin + _odd(rng, 10**10),
                    "duration_ns": int(rng.integers(1, 900)) if short else _odd(rng, 10**9),
                    "status": str(rng.choice(states)),
                    "attributes": _attributes(rng, awkward=awkward),
                }
            )
            above.append(found[-1]["span_id"])
    rng.shuffle(found)
    return found


def _attributes(rng: np.random.Generator, *, awkward: bool) -> dict[str, Any]:
    """Text and status codes; awkward ones have 64-bit integers, floats, flags, or none at all."""
    found: dict[str, Any] = {
        "http.response.status_code": int(rng.choice([200, 404, 500, 503])),
        f"shop.{rng.choice(_WORDS)}": _text(rng, awkward=awkward),
    }
    if awkward:
        found |= {
            "order.id": int(rng.integers(2**54, 2**62)) | 1,
            "retry": bool(rng.random() < 0.5),
            "amount": float(rng.choice([12.0, 0.1, 1e-7, round(rng.uniform(1, 99), 2)])),
            "Mixed.Case": "",
        }
        if rng.random() < 0.2:
            found = {}
    return found


def _lines(rng: np.random.Generator, *, awkward: bool) -> Records:
    """Lines of a few services, in random order; awkward ones lack ids and durations at times."""
    begin, used = _moment(rng), set()
    services = list(rng.choice(_WORDS, 3, replace=False))
    found: Records = []
    while len(found) < 24:
        time = begin + _odd(rng, 10**11)
        if time in used:
            continue
        used.add(time)
        bare = awkward and rng.random() < 0.5
        found.append(
            {
                "time_ns": time,
                "service": str(rng.choice(services)),
                "level": str(rng.choice(_LEVELS)),
                "message": _text(rng, awkward=awkward),
                "trace_id": "" if awkward and rng.random() < 0.5 else _hex(rng, 32),
                "duration_ms": None if bare else round(float(rng.uniform(0.1, 900)), 3),
            }
        )
    if awkward:
        found[int(rng.integers(24))]["duration_ms"] = 0.0
    return found


def _points(rng: np.random.Generator, *, awkward: bool) -> Records:
    """Gauges and counts; awkward ones have odd keys and values, or no value."""
    begin = _moment(rng)
    found: Records = []
    for number in range(20):
        dimensions = {
            "service": str(rng.choice(_WORDS)),
            "note": f'{rng.choice(_WORDS)} "{number}"',
        }
        value = float(rng.choice([round(rng.uniform(0.01, 500), 2), float(rng.integers(1, 900))]))
        if awkward:
            place = str(rng.choice(["C:\\data", "a=b, c", 'say "\\"', "köln ost", "\\"]))
            dimensions |= {"Data Center": place, "Zone/#2": "x", "empty": ""}
            value = float(rng.choice([value, 0.0, 1e-9, 3e18, math.nan, math.inf]))
        found.append(
            {
                "time_ns": begin + _odd(rng, 10**12),
                "metric": f"shop.{rng.choice(['orders', 'latency', 'queue-depth'])}.m{number}",
                "type": str(rng.choice(["gauge", "count"])),
                "value": value,
                "interval_s": 60,
                "dimensions": {
                    key: dimensions[key] for key in map(str, rng.permutation(list(dimensions)))
                },
            }
        )
    return found


# ---------------------------------------------------------------- what the bodies should say


def _same(found: Any, expected: Any) -> bool:
    """Whether two plain values are equal and of one type, so that True is not 1 nor 12.0 twelve."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _same(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return bool(found == expected)


def _compare(found: Records, expected: Records, key: Callable[[dict[str, Any]], Any]) -> str:
    """What differs between records that are told apart by a key; "" if nothing does."""
    if len(found) != len(expected):
        return f"{len(expected)} records went in, {len(found)} came back"
    by_key = {key(record): record for record in found}
    for record in expected:
        other = by_key.get(key(record))
        if other is None:
            return "a record can't be found again: look at its id, its time and its names"
        for name, value in record.items():
            if not _same(other.get(name), value):
                return f"{name} came back as {other.get(name)!r:.60}, which is not what went in"
    return ""


def _span_key(span: dict[str, Any]) -> tuple[str, str]:
    return span["trace_id"], span["span_id"]


def _otlp(body: str, spans: Records) -> str:
    expected = [
        {
            **{name: span[name] for name in ("trace_id", "span_id", "parent_span_id", "service")},
            "resource": {},
            "name": span["name"],
            "kind": span["kind"],
            "start_ns": span["start_ns"],
            "end_ns": span["start_ns"] + span["duration_ns"],
            "status": span["status"],
            "attributes": span["attributes"],
        }
        for span in spans
    ]
    found = _compare(wire.read_otlp(body), expected, _span_key)
    services = len({span["service"] for span in spans})
    resources = len(json.loads(body)["resourceSpans"])
    if not found and resources != services:
        found = f"{resources} resources for {services} services"
    return found


def _zipkin(body: str, spans: Records) -> str:
    def tag(value: Any) -> str:
        return json.dumps(value) if isinstance(value, bool) else str(value)

    def status(span: dict[str, Any]) -> dict[str, str]:
        code = {} if span["status"] == "UNSET" else {"otel.status_code": span["status"]}
        return code | ({"error": ""} if span["status"] == "ERROR" else {})

    expected = [
        {
            **{name: span[name] for name in ("trace_id", "span_id", "parent_span_id")},
            "service": span["service"].lower(),
            "name": span["name"].lower(),
            "kind": _KINDS[span["kind"]],
            "start_us": span["start_ns"] // 1000,
            "duration_us": max(1, span["duration_ns"] // 1000),
            "tags": {key: tag(value) for key, value in span["attributes"].items()} | status(span),
        }
        for span in spans
    ]
    return _compare(wire.read_zipkin(body), expected, _span_key)


def _loki(body: str, lines: Records) -> str:
    streams: dict[tuple[str, str], list[Any]] = {}
    for line in sorted(lines, key=lambda line: line["time_ns"]):
        metadata = {"trace_id": line["trace_id"]} if line["trace_id"] else {}
        if line["duration_ms"] is not None:
            metadata["duration_ms"] = str(line["duration_ms"])
        entry = (line["time_ns"], line["message"], metadata)
        streams.setdefault((line["service"], line["level"]), []).append(entry)
    expected = [
        {"labels": {"service_name": service, "level": level}, "entries": entries}
        for (service, level), entries in streams.items()
    ]
    return _compare(
        wire.read_loki(body), expected, lambda stream: tuple(sorted(stream["labels"].items()))
    )


def _document(line: dict[str, Any]) -> dict[str, Any]:
    """A line as a document, but for its time."""
    document = {
        "service.name": line["service"],
        "log.level": line["level"],
        "message": line["message"],
    }
    if line["trace_id"]:
        document["trace.id"] = line["trace_id"]
    if line["duration_ms"] is not None:
        document["duration_ms"] = line["duration_ms"]
    return document


def _bulk(body: str, lines: Records, index: str) -> str:
    expected: Records = []
    for line in lines:
        time = pd.Timestamp(line["time_ns"], unit="ns")
        stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S')}.{line['time_ns'] % 10**9:09d}Z"
        document = {"@timestamp": stamp, **_document(line)}
        expected.append({"action": "create", "index": index, "document": document})
    found = wire.read_bulk(body)
    for number, (one, other) in enumerate(zip(found, expected, strict=False), 1):
        if "duration_ms" in (one["document"] or {}) and not isinstance(
            one["document"]["duration_ms"], bool | str
        ):
            one["document"]["duration_ms"] = float(one["document"]["duration_ms"])
        one["number"] = other["number"] = number  # documents stay in the order of the input
    return _compare(found, expected, lambda action: action.get("number"))


def _dynatrace(body: str, points: Records) -> str:
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789_-:.")
    expected = [
        {
            "key": point["metric"],
            "dimensions": {
                "".join(c if c in letters else "_" for c in key.lower()): value
                for key, value in point["dimensions"].items()
                if value
            },
            "type": point["type"],
            "value": float(point["value"]),
            "timestamp_ms": point["time_ns"] // 10**6,
        }
        for point in points
        if math.isfinite(point["value"])
    ]
    return _compare(wire.read_dynatrace(body), expected, lambda line: line["key"])


_CONVERTERS: tuple[tuple[str, Callable[..., Records], Callable[..., str]], ...] = (
    ("to_otlp", _spans, _otlp),
    ("to_zipkin", _spans, _zipkin),
    ("to_loki", _lines, _loki),
    ("to_bulk", _lines, _bulk),
    ("to_dynatrace", _points, _dynatrace),
)


def _body(student: Student, name: str, function: str, judge: Any, records: Any) -> Case:
    """One body for every list of records; all must be right."""
    extra = records[0]
    for inputs in records[1:]:
        body = student.call(function, inputs, *extra, timeout=5)
        try:
            wrong = judge(body, inputs, *extra)
        except wire.FormatError as error:
            wrong = str(error)
        if wrong:
            what = "an empty list" if not inputs else "unseen records"
            return Case(name, 0.0, f"{function} of {what}: {wrong}")
    return Case(name, 1.0)


# ---------------------------------------------------------------- queries


def _counters(rng: np.random.Generator, service: str) -> tuple[dict[str, pd.Series], Any, float]:
    """Counters of several services, a time, and the share of failures that is asked for."""
    start = pd.Timestamp(_moment(rng), unit="ns", tz="UTC").floor("min")
    index = pd.date_range(start, periods=30, freq="30s")
    found: dict[str, pd.Series] = {}
    for name in dict.fromkeys([service, *rng.choice(_WORDS, 3), f"{service}-v2"]):
        for instance in range(int(rng.integers(2, 4))):
            for status in ("200", "302", "404", "429", "500", "503"):
                steps = rng.integers(5, 60, len(index)) * (4 if status == "200" else 1)
                counted = pd.Series(steps.cumsum().astype(float), index)
                if rng.random() < 0.3:  # the process restarts, and its counters with it
                    at = int(rng.integers(8, 18))
                    counted.iloc[at:] -= counted.iloc[at - 1]
                labels = f'instance="{name}-{instance}",service="{name}",status="{status}"'
                found[f"http_requests_total{{{labels}}}"] = counted
    at = index[-1] + pd.Timedelta("7s")
    asked = f'sum(rate(http_requests_total{{service="{service}",status=~"5.."}}[5m])) / '
    asked += f'sum(rate(http_requests_total{{service="{service}"}}[5m]))'
    return found, at, ask.promql(asked, found, at=at)[0][1]


def _promql(query: str, rng: np.random.Generator, service: str, slow_ms: int) -> str:
    series, at, expected = _counters(rng, service)
    found = ask.promql(query, series, at=at)
    if len(found) != 1:
        return f"the answer has {len(found)} series, not one"
    if not math.isclose(found[0][1], expected, rel_tol=1e-9):
        return f"the share is not {found[0][1]:.6g}"
    return ""


def _logged(rng: np.random.Generator, service: str, slow_ms: int) -> Records:
    """Lines before and in the window of five minutes, many of them nearly what is asked for."""
    end = _moment(rng)
    near = [service, service, service, f"{service}-v2", str(rng.choice(_WORDS))]
    limit = float(slow_ms)
    found = []
    for number in range(260):
        asked_for = number < 4  # so that no query is right by finding nothing
        trace = _hex(rng, 32) if rng.random() < 0.7 else ""
        duration = rng.choice([limit, limit + 0.5, limit * 3, limit / 2, limit - 0.5, math.nan])
        if asked_for:
            duration = limit * 2
        phrase = "timed out" if asked_for else rng.choice(_PHRASES)
        found.append(
            {
                "time_ns": end - _odd(rng, (1 if asked_for else 2) * _WINDOW),
                "service": service if asked_for else str(rng.choice(near)),
                "level": "ERROR" if asked_for else str(rng.choice(_LEVELS, p=[0.2, 0.3, 0.5])),
                "message": f"{_text(rng, awkward=False)} {phrase} after {rng.integers(9)}",
                "trace_id": trace,
                "duration_ms": None if math.isnan(duration) else float(duration),
            }
        )
    rng.shuffle(found)
    return found


def _logql(query: str, rng: np.random.Generator, service: str, slow_ms: int) -> str:
    lines = _logged(rng, service, slow_ms)
    at = max(line["time_ns"] for line in lines)
    streams: dict[tuple[str, str], Any] = {}
    expected = 0
    for line in lines:
        key = (line["service"], line["level"])
        metadata = {"trace_id": line["trace_id"]} if line["trace_id"] else {}
        if line["duration_ms"] is not None:
            metadata["duration_ms"] = str(line["duration_ms"])
        entry = (line["time_ns"], line["message"], metadata)
        streams.setdefault(key, []).append(entry)
        within = at - _WINDOW < line["time_ns"] <= at
        expected += within and key == (service, "ERROR") and "timed out" in line["message"]
    held = [
        {"labels": {"service_name": name, "level": level}, "entries": entries}
        for (name, level), entries in streams.items()
    ]
    found = ask.logql(query, held, at_ns=at)
    if len(found) != 1 or not isinstance(found[0][1], float):
        return f"the answer has {len(found)} series or lines, not one series"
    return "" if found[0][1] == expected else f"the number of lines is not {found[0][1]:g}"


def _lucene(query: str, rng: np.random.Generator, service: str, slow_ms: int) -> str:
    lines = _logged(rng, service, slow_ms)
    documents, expected = [], []
    for place, line in enumerate(lines):
        document = _document(line)
        documents.append(document)
        words = line["message"].lower()
        if (
            line["service"] == service
            and line["level"] in ("ERROR", "WARN")
            and ("timed out" in words or "timed, out" in words)
            and (line["duration_ms"] or 0.0) > slow_ms
        ):
            expected.append(place)
    return _hits(set(ask.lucene(query, documents)), set(expected), "documents")


def _traceql(query: str, rng: np.random.Generator, service: str, slow_ms: int) -> str:
    """Chains of spans, some of them below a span of checkout, some beside it."""
    spans, expected = [], set()
    limit = slow_ms * 10**6
    others = [word for word in _WORDS if word not in ("checkout", service)]
    for _ in range(40):
        trace, parent = _hex(rng, 32), ""
        by_id: dict[str, Any] = {}
        order = ["checkout", service, *rng.choice(others, 2), f"{service}-v2", service]
        if rng.random() < 0.25:
            order.remove("checkout")
        for name in rng.permutation(order):
            status = str(rng.choice(["OK", "ERROR", "ERROR", "UNSET"]))
            duration = int(rng.choice([limit, limit + 1000, 2 * limit, limit // 2, limit * 5]))
            span: dict[str, Any] = {
                "trace_id": trace,
                "span_id": _hex(rng, 16),
                "parent_span_id": parent,
                "service": str(name),
                "resource": {},
                "name": f"GET /{name}",
                "kind": "SERVER",
                "status": status,
                "attributes": {},
            }
            span["start_ns"] = _moment(rng)
            span["end_ns"] = span["start_ns"] + duration
            spans.append(span)
            slow_failure = name == service and status == "ERROR" and duration > limit
            if slow_failure and _below_checkout(by_id, parent):
                expected.add(span["span_id"])
            by_id[span["span_id"]] = span
            if rng.random() < 0.9:
                parent = str(span["span_id"])
    rng.shuffle(spans)
    return _hits(set(ask.traceql(query, spans)), expected, "spans")


def _below_checkout(by_id: dict[str, Any], place: str) -> bool:
    """Whether a span of checkout is at a place or above it."""
    while place in by_id:
        if by_id[place]["service"] == "checkout":
            return True
        place = by_id[place]["parent_span_id"]
    return False


def _hits(found: set[Any], expected: set[Any], what: str) -> str:
    if found == expected:
        return ""
    missed, stray = len(expected - found), len(found - expected)
    return f"{missed} {what} are missed and {stray} found that were not asked for"


_LANGUAGES = {"promql": _promql, "logql": _logql, "lucene": _lucene, "traceql": _traceql}


def _queries(student: Student, rng: np.random.Generator) -> list[Case]:
    """Each query on two unseen data sets, about two services."""
    share = 0.375
    services = rng.choice([word for word in _WORDS if word != "checkout"], 2, replace=False)
    cases = []
    for number, service in enumerate(map(str, services), 1):
        slow_ms = int(rng.integers(50, 2000))
        try:
            found = student.call("queries", service, slow_ms, timeout=5)
            if not isinstance(found, dict):
                raise StudentError(f"queries must return a dict, not {type(found).__name__}")
            refused = ""
        except StudentError as error:
            found, refused = {}, str(error)
        for language, judge in _LANGUAGES.items():
            wrong = refused or _asked(judge, found.get(language), rng, service, slow_ms)
            name = f"{language}, data set {number}"
            cases.append(Case(name, float(not wrong), wrong and f"{language}: {wrong}", share))
    return cases


def _asked(
    judge: Callable[..., str], query: Any, rng: np.random.Generator, service: str, slow_ms: int
) -> str:
    if not isinstance(query, str):
        return "there is no query of this language, as text"
    try:
        return judge(query, rng, service, slow_ms)
    except ask.QueryError as error:
        return str(error)


_CHOICES = {"spl_lines": "c", "spl_share": "b", "nrql_share": "d", "nrql_line": "a",
            "dql_lines": "c", "dql_slow": "b"}  # fmt: skip


def _choose(student: Student, name: str) -> Case:
    found = student.call("vendor_queries", timeout=5)
    if not isinstance(found, dict):
        return Case(name, 0.0, f"vendor_queries must return a dict, not {type(found).__name__}")
    right = sum(isinstance(found.get(key), str) and found.get(key) == letter
                for key, letter in _CHOICES.items())  # fmt: skip
    message = "" if right == len(_CHOICES) else f"{right} of {len(_CHOICES)} choices are right"
    return Case(name, max(0.0, 1 - 0.25 * (len(_CHOICES) - right)), message)


def check_formats(student: Student, hidden: Hidden) -> list[Case]:
    """Bodies of unseen records, queries on unseen telemetry, choices."""
    rng = np.random.default_rng(hidden.seed("formats"))
    cases = []
    for function, make, judge in _CONVERTERS:
        extra = (f"logs-{rng.choice(_WORDS)}",) if function == "to_bulk" else ()
        ordinary = (extra, make(rng, awkward=False))
        rest: tuple[Any, ...] = (extra, make(rng, awkward=True), [])
        for name, records in (("ordinary records", ordinary), ("the rest", rest)):
            named = f"{function}: {name}"
            cases.append(tried(_body, student, named, function, judge, records, weight=0.6))
    cases += _queries(student, rng)
    cases.append(tried(_choose, student, "vendor_queries", weight=1.0))
    return cases


CHECKS: dict[str, CheckFunction] = {"formats": check_formats}

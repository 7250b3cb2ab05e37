"""Wrong answers to the exercise on wire formats, and right ones written another way."""

from __future__ import annotations

from pathlib import Path

from course.lessons.checking import WrongAnswer
from course.lessons.mistakes import Solutions

_LESSON = Solutions(Path(__file__).parents[1])
_solution, _mistake = _LESSON.solution, _LESSON.mistake

_GUESSED_CHOICES = """
def vendor_queries():
    return {"spl_lines": "b", "spl_share": "b", "nrql_share": "a", "nrql_line": "b",
            "dql_lines": "b", "dql_slow": "b"}
"""

_GUESSED_QUERIES = """
def queries(service, slow_ms):
    return {
        "promql": f'rate(http_requests_total{{service="{service}",status=~"5.."}}[5m])',
        "logql": f'count_over_time({{service_name="{service}"}} |= "timed out" [5m])',
        "lucene": f"service.name:{service} AND message:timed AND duration_ms:>{slow_ms}",
        "traceql": f'{{ resource.service.name = "{service}" && duration > {slow_ms}ms }}',
    }
"""

_CONSTANT = """
def to_otlp(spans):
    return '{"resourceSpans": []}'


def to_zipkin(spans):
    return "[]"


def to_loki(lines):
    return '{"streams": []}'


def to_bulk(lines, index):
    return ""


def to_dynatrace(points):
    return ""


def queries(service, slow_ms):
    return {
        "promql": 'sum(rate(http_requests_total{service="payment",status=~"5.."}[5m]))'
        ' / sum(rate(http_requests_total{service="payment"}[5m]))',
        "logql": 'sum(count_over_time({service_name="payment", level="ERROR"} |= "timed out" [5m]))',
        "lucene": 'service.name:payment AND message:"timed out" AND duration_ms:>500',
        "traceql": '{ resource.service.name = "checkout" } >> '
        '{ resource.service.name = "payment" && status = error && duration > 500ms }',
    }
"""

_METADATA = f"""
def to_otlp(spans):
    one = {{"traceId": "a" * 32, "name": "GET /", "kind": 2, "status": {{"code": 1}},
            "startTimeUnixNano": "1775876400123456789", "endTimeUnixNano": "1775876400164459134"}}
    members = [one | {{"spanId": f"{{n:016x}}"}} for n in range(1, len(spans) + 1)]
    resource = {{"attributes": [{{"key": "service.name", "value": {{"stringValue": "payment"}}}}]}}
    return json.dumps(
        {{"resourceSpans": [{{"resource": resource, "scopeSpans": [{{"spans": members}}]}}]}}
    )


def to_zipkin(spans):
    return json.dumps(
        [{{"traceId": "a" * 32, "id": f"{{n:016x}}", "timestamp": 1775876400123456, "duration": 41002}}
         for n in range(1, len(spans) + 1)]
    )


def to_loki(lines):
    values = [[str(1775876400164459134 + n), "timed out"] for n in range(len(lines))]
    stream = {{"service_name": "payment", "level": "ERROR"}}
    return json.dumps({{"streams": [{{"stream": stream, "values": values}}] if lines else []}})


def to_bulk(lines, index):
    action = json.dumps({{"create": {{"_index": index}}}})
    return (action + '\\n{{"message": "timed out"}}\\n') * len(lines)


def to_dynatrace(points):
    return "\\n".join(f"{{point['metric']}} gauge,1 1775876460000" for point in points)

{_GUESSED_QUERIES}
{_GUESSED_CHOICES}
"""

_DUMPED = f"""
def to_otlp(spans):
    return json.dumps({{"spans": spans}})


def to_zipkin(spans):
    return json.dumps(spans)


def to_loki(lines):
    return json.dumps({{"streams": lines}})


def to_bulk(lines, index):
    return "\\n".join(json.dumps(line) for line in lines)


def to_dynatrace(points):
    return "\\n".join(
        f"{{p['metric']}},{{','.join(f'{{k}}={{v}}' for k, v in p['dimensions'].items())}} {{p['value']}}"
        for p in points
    )

{_GUESSED_QUERIES}
{_GUESSED_CHOICES}
"""

_BY_HAND = """
def to_otlp(spans):
    parts = []
    for s in spans:
        attributes = ",".join(
            '{"key":"%s","value":{"stringValue":"%s"}}' % pair for pair in s["attributes"].items()
        )
        parts.append(
            '{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"%s"}}]},'
            '"scopeSpans":[{"spans":[{"traceId":"%s","spanId":"%s","parentSpanId":"%s","name":"%s",'
            '"kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[%s]}]}]}'
            % (s["service"], s["trace_id"], s["span_id"], s["parent_span_id"], s["name"],
               s["start_ns"], s["start_ns"] + s["duration_ns"], attributes)
        )
    return '{"resourceSpans":[%s]}' % ",".join(parts)


def to_zipkin(spans):
    parts = []
    for s in spans:
        tags = ",".join('"%s":"%s"' % pair for pair in s["attributes"].items())
        parts.append(
            '{"traceId":"%s","id":"%s","parentId":"%s","name":"%s","kind":"%s","timestamp":%d,'
            '"duration":%d,"localEndpoint":{"serviceName":"%s"},"tags":{%s}}'
            % (s["trace_id"], s["span_id"], s["parent_span_id"], s["name"], s["kind"],
               s["start_ns"] // 1000, s["duration_ns"] // 1000, s["service"], tags)
        )
    return "[%s]" % ",".join(parts)


def to_loki(lines):
    parts = [
        '{"stream":{"service_name":"%s","level":"%s"},"values":[["%d","%s",{"trace_id":"%s"}]]}'
        % (x["service"], x["level"], x["time_ns"], x["message"], x["trace_id"])
        for x in lines
    ]
    return '{"streams":[%s]}' % ",".join(parts)


def to_bulk(lines, index):
    return "".join(
        '{"create":{"_index":"%s"}}\\n{"@timestamp":"%s","service.name":"%s","log.level":"%s",'
        '"message":"%s","trace.id":"%s","duration_ms":%s}\\n'
        % (index, pd.Timestamp(x["time_ns"]).isoformat() + "Z", x["service"], x["level"],
           x["message"], x["trace_id"], x["duration_ms"])
        for x in lines
    )


def to_dynatrace(points):
    return "\\n".join(
        "%s,%s gauge,%s %d"
        % (p["metric"], ",".join('%s="%s"' % pair for pair in p["dimensions"].items()), p["value"],
           p["time_ns"] // 10**6)
        for p in points
    )
"""

_SOLUTION = _solution("formats")
_ASKED = _SOLUTION[_SOLUTION.index("def queries") :]
_CONVERTED = _SOLUTION[: _SOLUTION.index("def queries")]

_PANDAS_TIME = ("f\"{pd.Timestamp(seconds, unit='s'):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z\"",
                "pd.Timestamp(line['time_ns']).isoformat(timespec='nanoseconds') + 'Z'")  # fmt: skip

WRONG_ANSWERS = [
    WrongAnswer("formats", "empty bodies", "valid bodies that say nothing", _CONSTANT + _GUESSED_CHOICES, "constant"),
    WrongAnswer("formats", "right number of records", "counts what goes in, not what it says", _METADATA, "metadata"),
    WrongAnswer("formats", "dumped as they are", "json.dumps of the dicts, first guess at each language", _DUMPED, "naive"),
    WrongAnswer("formats", "templates of text", "% instead of json.dumps: quotes in values break the body",
                _BY_HAND + _ASKED),
    _mistake("formats", "floating-point seconds", "a double can't hold nanoseconds since 1970",
             ('str(span["start_ns"])', 'f"{span[\'start_ns\'] / 1e9 * 1e9:.0f}"'),
             ('str(span["start_ns"] + span["duration_ns"])',
              'f"{(span[\'start_ns\'] + span[\'duration_ns\']) / 1e9 * 1e9:.0f}"'),
             ('span["start_ns"] // 1000', 'round(span["start_ns"] / 1e9 * 1e6)'),
             ('str(line["time_ns"])', 'f"{line[\'time_ns\'] / 1e9 * 1e9:.0f}"'),
             ("f\"{pd.Timestamp(seconds, unit='s'):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z\"",
              "pd.Timestamp(line['time_ns'] / 1e9, unit='s').isoformat(timespec='nanoseconds') + 'Z'"),
             ('point["time_ns"] // 10**6', 'round(point["time_ns"] / 1e9 * 1000)')),
    _mistake("formats", "milliseconds everywhere", "one unit for all formats",
             ('str(span["start_ns"])', 'str(span["start_ns"] // 10**6)'),
             ('str(span["start_ns"] + span["duration_ns"])',
              'str((span["start_ns"] + span["duration_ns"]) // 10**6)'),
             ('span["start_ns"] // 1000', 'span["start_ns"] // 10**6'),
             ('span["duration_ns"] // 1000', 'span["duration_ns"] // 10**6'),
             ('str(line["time_ns"])', 'str(line["time_ns"] // 10**6)'),
             ("f\"{pd.Timestamp(seconds, unit='s'):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z\"",
              "pd.Timestamp(line['time_ns']).isoformat(timespec='milliseconds') + 'Z'"),
             ('"dql_slow": "b"', '"dql_slow": "a"')),
    _mistake("formats", "the trap of each format",
             "ints as numbers, ids that are null, the trace id as a label, no last newline, no quotes",
             ('str(value) if type(value) is int else value', "value"),
             ('if span["parent_span_id"]:', "if True:"),
             ('span["parent_span_id"]\n', 'span["parent_span_id"] or None\n'),
             ('(line["service"], line["level"]), [])', '(line["service"], line["level"] + line["trace_id"]), [])'),
             ('"".join(part + "\\n" for part in parts)', '"\\n".join(parts)'),
             ("f'{key}=\"{escaped}\"'", "f'{key}={value}'"),
             ('status=~"5.."}}[5m])) / sum', 'status=~"5.."}}[5m])) / count')),
    WrongAnswer("formats", "text everywhere", "what is easy to print: every value through str()",
                _CONVERTED.replace("names[type(value)]", '"stringValue"')
                .replace("str(value) if type(value) is int else value", "str(value)")
                .replace("str(value).lower() if isinstance(value, bool) else str(value)", "repr(value)")
                .replace('if line["duration_ms"] is not None:', "if True:")
                .replace('document["duration_ms"] = line["duration_ms"]',
                         'document["duration_ms"] = str(line["duration_ms"])')
                .replace('span["start_ns"] // 1000', 'str(span["start_ns"] // 1000)')
                + _GUESSED_QUERIES + _GUESSED_CHOICES),
]  # fmt: skip

_ALTERNATIVE_QUERIES = """
def queries(service, slow_ms):
    good = f'sum without (status, instance) (rate(http_requests_total{{service="{service}",status!~"5.*"}}[5m]))'
    total = f'sum by (service) (rate(http_requests_total{{service="{service}"}}[5m]))'
    return {
        "promql": f"1 - {good} / {total}",
        "logql": f'sum by () (count_over_time({{service_name=~"{service}"}} |~ `timed out`'
        ' | level="ERROR" [300s]))',
        "lucene": f'+service.name:{service} +log.level:(WARN ERROR) +message:"Timed Out" '
        f"+duration_ms:{{{slow_ms} TO *]",
        "traceql": f'{{ .service.name = "checkout" }} >> {{ duration > {slow_ms * 1000}us && '
        f'(resource.service.name =~ "{service}") && !(status != error) }}',
    }
"""

_ALTERNATIVE_CONVERTERS = """
import re

KINDS = dict(INTERNAL=1, SERVER=2, CLIENT=3, PRODUCER=4, CONSUMER=5)
RFC = "%Y-%m-%dT%H:%M:%S"


def typed(value):
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": f"{value:d}"}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}


def to_otlp(spans):
    frame = pd.DataFrame({"service": [s["service"] for s in spans], "span": spans}, dtype=object)
    resources = []
    for service, group in frame.groupby("service"):
        scopes = []
        for s in group["span"]:
            one = {
                "flags": 1,
                "attributes": [{"value": typed(v), "key": k} for k, v in s["attributes"].items()],
                "name": s["name"], "kind": KINDS[s["kind"]],
                "endTimeUnixNano": f'{s["start_ns"] + s["duration_ns"]}',
                "startTimeUnixNano": f'{s["start_ns"]}',
                "spanId": s["span_id"].upper(), "traceId": s["trace_id"].upper(),
            }
            if s["parent_span_id"]:
                one["parentSpanId"] = s["parent_span_id"].upper()
            if s["status"] != "UNSET":
                one["status"] = {"code": 1 + (s["status"] == "ERROR")}
            scopes.append({"scope": {"name": "course"}, "spans": [one]})
        name = {"key": "service.name", "value": {"stringValue": service}}
        resources.append({"scopeSpans": scopes, "resource": {"attributes": [name]}})
    return json.dumps({"resourceSpans": resources}, ensure_ascii=False, indent=2)


def to_zipkin(spans):
    out = []
    for s in reversed(spans):
        tags = {k: json.dumps(v) if v is True or v is False else f"{v}" for k, v in s["attributes"].items()}
        tags |= {"UNSET": {}, "OK": {"otel.status_code": "OK"},
                 "ERROR": {"otel.status_code": "ERROR", "error": ""}}[s["status"]]
        one = {"tags": tags, "localEndpoint": {"serviceName": s["service"].lower()},
               "duration": s["duration_ns"] // 1000 or 1, "timestamp": (s["start_ns"] - s["start_ns"] % 1000) // 1000,
               "name": s["name"].lower(), "id": s["span_id"], "traceId": s["trace_id"],
               "parentId": s["parent_span_id"] or None,
               "kind": None if s["kind"] == "INTERNAL" else s["kind"]}
        out.append({k: v for k, v in one.items() if v is not None})
    return json.dumps(out, separators=(",", ":"))


def to_loki(lines):
    streams = []
    for service, level in sorted({(x["service"], x["level"]) for x in lines}):
        mine = [x for x in lines if (x["service"], x["level"]) == (service, level)]
        values = []
        for x in sorted(mine, key=lambda x: x["time_ns"]):
            meta = {k: str(x[k]) for k in ("duration_ms", "trace_id") if x[k] not in ("", None)}
            values.append([f'{x["time_ns"]}', x["message"]] + ([meta] if meta else []))
        streams.append({"values": values, "stream": {"level": level, "service_name": service}})
    return json.dumps({"streams": streams}, ensure_ascii=False)


def to_bulk(lines, index):
    rows = []
    for x in lines:
        time = pd.Timestamp(x["time_ns"], unit="ns", tz="UTC")
        row = {"message": x["message"], "service": {"name": x["service"]}, "log": {"level": x["level"]},
               "@timestamp": f'{time.strftime(RFC)}.{x["time_ns"] % 1_000_000_000:09d}Z'}
        if x["trace_id"]:
            row["trace"] = {"id": x["trace_id"]}
        if x["duration_ms"] is not None:
            row["duration_ms"] = x["duration_ms"]
        rows += [{"create": {"_index": index}}, row]
    return "".join(json.dumps(row, ensure_ascii=False) + "\\n" for row in rows)


def to_dynatrace(points):
    out = ""
    for p in points:
        if p["value"] != p["value"] or p["value"] in (float("inf"), float("-inf")):
            continue
        out += p["metric"]
        for key, value in sorted(p["dimensions"].items()):
            if value == "":
                continue
            key = "".join(c if re.match("[a-z0-9_:.-]", c) else "_" for c in key.lower())
            out += f",{key}=" + '"' + re.sub(r'(["\\\\])', r"\\\\\\1", value) + '"'
        how = {"gauge": "gauge,", "count": "count,delta="}[p["type"]]
        out += f" {how}{p['value']} {p['time_ns'] // 1_000_000}\\n"
    return out
"""

_CHOSEN = _SOLUTION[_SOLUTION.index("def vendor_queries") :]

ALTERNATIVES = [
    WrongAnswer("formats", "other order, other spelling", "keys, spaces, groups and queries written another way",
                _ALTERNATIVE_CONVERTERS + _ALTERNATIVE_QUERIES + _CHOSEN, "alternative"),
    _mistake("formats", "pandas for the time", "another right way to a time stamp", _PANDAS_TIME, kind="alternative"),
]  # fmt: skip

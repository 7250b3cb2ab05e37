"""What queries find, and what is refused."""

from __future__ import annotations

import contextlib

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.telemetry.queries import QueryError, logql, lucene, promql, traceql

S = 10**9
STREAMS = [
    {
        "labels": {"service_name": "payment", "level": "ERROR"},
        "entries": [
            (10 * S, "request timed out", {"trace_id": "a", "duration_ms": "900.5"}),
            (20 * S, "request Timed Out", {"trace_id": "b"}),
            (30 * S, "call timed out", {}),
        ],
    },
    {
        "labels": {"service_name": "payment", "level": "INFO"},
        "entries": [(25 * S, "no more timed out", {"duration_ms": "x"})],
    },
    {"labels": {"service_name": "cart", "level": "ERROR"}, "entries": [(26 * S, "timed out", {})]},
]


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ('{service_name="payment"}', [10, 20, 25, 30]),
        ('{service_name="payment", level!="INFO"} |= "timed out"', [10, 30]),
        ('{service_name=~"pay.*|x"} |~ "(?i)timed out" != "more"', [10, 20, 30]),
        ('{service_name=~"pay"}', []),
        ('{level="ERROR"} | trace_id="b"', [20]),
        ('{level="ERROR"} | trace_id!="b"', [10, 26, 30]),
        ('{level=~".+"} | duration_ms > 100', [10]),
        ('{level=~".+"} | duration_ms != 100', [10]),
        ('{level=~".+"} | trace_id="b" or service_name="cart" and level="ERROR"', [20, 26]),
        ('{level=~".+"} | (trace_id="b" or service_name="cart"), level="INFO"', []),
        ("{level=`INFO`} !~ `^timed`", [25]),
    ],
)
def test_logql_finds_lines(query, seconds):
    assert [time // S for time, _, _ in logql(query, STREAMS)] == seconds


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ('sum(count_over_time({service_name="payment"}[20s]))', [({}, 3.0)]),  # 10 s is outside
        ('sum(count_over_time({service_name="payment"}[21s]))', [({}, 4.0)]),
        ('sum by (level) (rate({service_name="payment"}[20s]))',
         [({"level": "ERROR"}, 0.1), ({"level": "INFO"}, 0.05)]),
        ('count(count_over_time({level="ERROR"}[1m]))', [({}, 4.0)]),  # a series each trace
        ('max without (trace_id, duration_ms) (count_over_time({level="ERROR"} | trace_id="" [1m]))',
         [({"level": "ERROR", "service_name": "cart"}, 1.0),
          ({"level": "ERROR", "service_name": "payment"}, 1.0)]),
        ('sum(count_over_time({service_name="nobody"}[1m]))', []),
    ],
)  # fmt: skip
def test_logql_counts(query, answer):
    assert logql(query, STREAMS, at_ns=30 * S) == answer


def _span(name, parent, service, status="OK", ms=10, **attributes):
    return {
        "trace_id": "t", "span_id": name, "parent_span_id": parent, "service": service,
        "resource": {"zone": "eu"}, "name": f"GET /{name}", "kind": "SERVER", "status": status,
        "start_ns": 0, "end_ns": ms * 10**6, "attributes": attributes,
    }  # fmt: skip


SPANS = [
    _span("a", "", "gateway", ms=900),
    _span("b", "a", "checkout", "ERROR", ms=800, code=503),
    _span("c", "b", "payment", "ERROR", ms=700, code=503, retry=True),
    _span("d", "c", "bank", "ERROR", ms=500),
    _span("e", "a", "payment", ms=501, code=200, retry=False),
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("{}", "abcde"),
        ("{ duration > 500ms }", "abce"),
        ("{ duration >= 0.5s && status != error }", "ae"),
        ('{ resource.service.name = "payment" }', "ce"),
        ('{ .service.name = "payment" && !(status = error) }', "e"),
        ('{ name =~ "GET /[ab]" || span.code = 200 }', "abe"),
        ("{ span.code != 503 }", "e"),  # a missing attribute never matches
        ("{ .retry = true }", "c"),
        ("{ .code = true }", ""),
        ('{ resource.zone = "eu" && kind = server }', "abcde"),
        ('{ resource.service.name = "checkout" } >> { status = error }', "cd"),
        ('{ resource.service.name = "checkout" } > { status = error }', "c"),
        ('{ resource.service.name = "bank" } << { status = error }', "bc"),
        ('{ resource.service.name = "bank" } < { status = error }', "c"),
        ('{ resource.service.name = "gateway" } > {} > {}', "c"),
    ],
)
def test_traceql_finds_spans(query, found):
    assert "".join(traceql(query, SPANS)) == found


def test_traceql_ends_on_a_ring_of_spans():
    ring = [_span("a", "b", "x"), _span("b", "a", "x")]
    assert traceql("{} >> {}", ring) == ["a", "b"]


DOCUMENTS = [
    {"service.name": "payment", "log.level": "ERROR", "message": "Request timed out", "ms": 900},
    {"service.name": "payment-v2", "log.level": "WARN", "message": "timed, out of stock", "ms": 5},
    {"service.name": "payment", "log.level": "INFO", "message": "out timed", "trace.id": "t"},
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("service.name:payment", [0, 2]),
        ('service.name:"payment-v2"', [1]),
        ("log.level:error", []),
        ('message:"timed out"', [0, 1]),
        ("message:(timed AND out)", [0, 1, 2]),
        ("timed request", [0, 1, 2]),
        ("+timed -stock", [0, 2]),
        ("log.level:(ERROR OR WARN) AND ms:>5", [0]),
        ("ms:>=5", [0, 1]),
        ("ms:[5 TO 900}", [1]),
        ("ms:{5 TO *]", [0]),
        ("NOT ms:*", [2]),
        ("_exists_:trace.id", [2]),
        ("service.name:pay*v?", [1]),
        ("message:tim*", [0, 1, 2]),
        ("*:*", [0, 1, 2]),
        ("(log.level:INFO OR log.level:WARN) AND NOT message:stock", [2]),
    ],
)
def test_lucene_finds_documents(query, found):
    assert lucene(query, DOCUMENTS) == found


INDEX = pd.date_range("2026-03-01", periods=11, freq="1min", tz="UTC")
SERIES = {
    f'req{{status="{status}"}}': pd.Series([float(step * n) for n in range(11)], INDEX)
    for status, step in (("200", 30), ("500", 10))
}


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ('sum(rate(req{status=~"5.."}[5m])) / sum(rate(req[5m]))', [({}, 0.25)]),
        ("sum by (status) (increase(req[4m]))", [({"status": "200"}, 120.0), ({"status": "500"}, 40.0)]),
        ("req > 1000", []),
        ("1 + 1", [({}, 2.0)]),
    ],
)  # fmt: skip
def test_promql_answers(query, answer):
    found = promql(query, SERIES, at=INDEX[-1] + pd.Timedelta("1s"))
    assert [labels for labels, _ in found] == [labels for labels, _ in answer]
    assert [v for _, v in found] == pytest.approx([v for _, v in answer])


def _ask_promql(query):
    return promql(query, SERIES, at=INDEX[-1])


ASK = {
    "logql": lambda query: logql(query, STREAMS, at_ns=30 * S),
    "traceql": lambda query: traceql(query, SPANS),
    "lucene": lambda query: lucene(query, DOCUMENTS),
    "promql": _ask_promql,
}
REFUSED = [
    ("logql", '{a=~".*"}', "empty"),
    ("logql", '{a="b"} | json | c="d"', "plain text"),
    ("logql", '{a=~"("}', "regular expression"),
    ("logql", 'rate({a="b"}[0s])', "longer than zero"),
    ("logql", "sum(" * 200, "nested"),
    ("traceql", '{ status = "error" }', "without quotes"),
    ("traceql", "{ service = 1 }", "span.service"),
    ("traceql", "{ duration > 500 }", "duration"),
    ("traceql", '{ name > "a" }', "expected a string|number or a duration"),
    ("traceql", "{" + "(" * 200, "nested"),
    ("lucene", "a AND b OR c", "parentheses"),
    ("lucene", "level:ERROR or level:WARN", "upper case"),
    ("lucene", "message:/t.*/", "not executed"),
    ("lucene", "a:****b", "three"),
    ("lucene", "(" * 200, "nested"),
    ("lucene", 'a:"b', "Lucene"),
    ("lucene", "a~.", "no number"),
    ("lucene", "a^.", "Lucene"),
    ("lucene", ":".join(["a"] * 2000), "deep"),
    ("lucene", "a" + "^2" * 1300, "deep"),
    ("promql", "sum(rate(req[5m])", "PromQL"),
    ("promql", "req[5m]", "range vector"),
    ("promql", "'a': b\n- c", "PromQL"),
]


@pytest.mark.parametrize(("language", "query", "reason"), REFUSED)
def test_it_is_refused_with_a_reason(language, query, reason):
    with pytest.raises(QueryError, match=reason):
        ASK[language](query)


@pytest.mark.parametrize("language", ASK)
@pytest.mark.parametrize("hostile", [None, 3, b"{}", "", "x" * 5000, "\0", "\ud800"], ids=range(7))
def test_no_input_gets_past_it_or_raises_anything_else(language, hostile):
    with contextlib.suppress(QueryError):
        assert isinstance(ASK[language](hostile), list)
        assert isinstance(hostile, str) and hostile


PIECES = list('{}()[]|&=!~<>"`*?:+-.,\\ ') + [
    "a",
    "status",
    "duration",
    "5m",
    "AND",
    "OR",
    "NOT",
    "TO",
]


@pytest.mark.parametrize("language", ["logql", "traceql", "lucene"])
@given(query=st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_any_text_is_executed_or_refused(language, query):
    with contextlib.suppress(QueryError):
        assert isinstance(ASK[language](query), list)

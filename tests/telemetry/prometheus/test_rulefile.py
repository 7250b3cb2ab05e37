"""Which rule files are loaded, and what is said of the others."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.telemetry.durations import format_duration
from course.telemetry.prometheus import RuleFileError, load_rules, parse_duration
from tests.telemetry.prometheus import promtool, record
from tests.telemetry.prometheus.rejects import INVALID, STRICTER, VALID

ONE_ALERT = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: {}\n"


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
def test_invalid_files_are_refused(text: str) -> None:
    with pytest.raises(RuleFileError):
        load_rules(text)


@pytest.mark.parametrize("text", VALID.values(), ids=VALID)
def test_valid_files_are_loaded(text: str) -> None:
    load_rules(text)


@pytest.mark.parametrize("text", STRICTER.values(), ids=STRICTER)
def test_files_outside_the_subset_are_refused(text: str) -> None:
    with pytest.raises(RuleFileError):
        load_rules(text)


def test_promtool_was_asked_about_every_file() -> None:
    checks = record.load()["checks"]
    assert len(INVALID) >= 30
    assert not any(checks[text] for text in INVALID.values())
    assert all(checks[text] for text in VALID.values())
    assert all(checks[text] for text in STRICTER.values())


@pytest.mark.prometheus
@pytest.mark.usefixtures("real_promtool")
def test_promtool_still_says_the_same() -> None:
    assert [name for name, text in INVALID.items() if promtool.accepts(text)] == []
    assert [name for name, text in VALID.items() if not promtool.accepts(text)] == []


def test_an_error_names_group_rule_line_and_what_is_allowed() -> None:
    with pytest.raises(RuleFileError) as caught:
        load_rules(ONE_ALERT.format("count_values('a', x)"))
    for part in ("'g'", "'A'", "line 4", "count_values", "supported are", "avg_over_time"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("\x00\x01", "NUL"),
        ("\x1b[31m", "special characters"),
        ("\ud800", "special characters"),
        ("[" * 5000, "nested deeper"),
        ("a" * 1_000_000, "at most 65536"),
        ("groups:\n" + "  - &a [x]\n  - *a\n", "anchor"),
        ("? [a]\n: b\n", "plain name"),
        ("groups: !!python/object/apply:os.system [id]\n", "tag"),
    ],
    ids=lambda value: value[:12],
)
def test_bad_input_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(RuleFileError, match=said):
        load_rules(text)


@pytest.mark.parametrize("value", [None, b"groups: []", 3, ["groups"]])
def test_only_text_is_read(value: object) -> None:
    with pytest.raises(RuleFileError, match="text"):
        load_rules(value)  # type: ignore[arg-type]


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for old, new in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]")
    began = time.perf_counter()
    with pytest.raises(RuleFileError, match="anchor"):
        load_rules("\n".join(lines))
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 1500 + "x" + ")" * 1500,
        "-" * 4000 + "x",
        "x" + "+x" * 1900,
        "abs(" * 700 + "x" + ")" * 700,
        "x" * 5000,
        "x[1s:1s]" * 500,
    ],
    ids=lambda value: value[:8],
)
def test_deep_and_long_expressions_are_refused(expression: str) -> None:
    with pytest.raises(RuleFileError):
        load_rules(ONE_ALERT.format(f"'{expression}'"))


@given(st.text(max_size=200))
def test_any_text_is_loaded_or_refused(text: str) -> None:
    try:
        load_rules(text)
    except RuleFileError as error:
        assert str(error)


@given(st.text(alphabet="xay{}[]()=~!\"',.:0159 +-*/<>mshandoru#@$\n", max_size=40))
@settings(max_examples=300)
def test_any_expression_is_loaded_or_refused(text: str) -> None:
    document = ONE_ALERT.format("|\n      " + text.replace("\n", "\n      "))
    try:
        load_rules(document)
    except RuleFileError as error:
        assert str(error)


@given(st.integers(0, 10**12))
def test_durations_survive_being_written(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "1.5h", "-5m", "5 m", "1m1h", "1m1m", "m", "٣m", "300y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)

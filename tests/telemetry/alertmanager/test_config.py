"""Reading a configuration: matchers, inheritance, and what hostile text can't do."""

from __future__ import annotations

import contextlib
import doctest
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course.telemetry.alertmanager import AlertmanagerConfigError, load_config, parse_matchers

TREE = """
route:
  receiver: default
  group_by: [alertname, service]
  group_wait: 1m
  routes:
    - matchers: [team="pay"]
      receiver: pay
      group_by: ['...']
      routes:
        - matchers: [severity=page]
          group_interval: 1m
        - matchers: [severity=~"t.*"]
          group_by: [zone]
receivers: [{name: default}, {name: pay}]
"""


@pytest.mark.parametrize(
    ("text", "labels", "met"),
    [
        ('a="1"', {"a": "1"}, True),
        ("a=1", {"a": "2"}, False),
        ("a=", {}, True),
        ('a!=""', {}, False),
        ('a=~"1|2"', {"a": "12"}, False),
        ('a=~"1|2"', {"a": "2"}, True),
        ('a!~"x.*"', {}, True),
        ('{a="1", b!="2"}', {"a": "1", "b": "2"}, False),
        ('a="x,y"', {"a": "x,y"}, True),
        (r'a="\"\\\n"', {"a": '"\\\n'}, True),
    ],
)
def test_matchers(text: str, labels: dict[str, str], met: bool) -> None:
    assert all(matcher.matches(labels) for matcher in parse_matchers(text)) is met


def test_children_inherit_what_they_do_not_set() -> None:
    (pay,) = load_config(TREE).route.routes
    page, ticket = pay.routes
    assert (page.receiver, page.group_all, page.group_wait_ms) == ("pay", True, 60_000)
    assert (page.group_interval_ms, ticket.group_interval_ms) == (60_000, 300_000)
    assert (ticket.group_all, ticket.group_by) == (False, ("zone",))


def test_a_label_that_an_alert_lacks_is_no_part_of_its_group() -> None:
    route = load_config(TREE).route
    assert route.group({"alertname": "Down", "zone": "a"}) == (("alertname", "Down"),)


@given(st.text(max_size=60))
def test_any_text_is_matchers_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_matchers(text)


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_refused(text: str) -> None:
    with contextlib.suppress(AlertmanagerConfigError):
        load_config(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"route:", "is text"),
        (None, "is text"),
        ("", "starts with `route:`"),
        ("route: " + "[" * 50, "nested deeper|not valid YAML"),
        ("x" * 70_000, "at most"),
        ("a: &x [1]\nb: *x\n", "anchor"),
        (
            "route: {receiver: a, routes: [" + "{}, " * 300 + "]}\nreceivers: [{name: a}]",
            "more than 200",
        ),
    ],
)
def test_hostile_text_is_refused_with_its_reason(text: object, message: str) -> None:
    with pytest.raises(AlertmanagerConfigError, match=message):
        load_config(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["matchers", "config", "notify"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"course.telemetry.alertmanager.{name}"))
    assert result.attempted > 0
    assert result.failed == 0

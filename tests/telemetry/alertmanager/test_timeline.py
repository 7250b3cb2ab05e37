"""Messages in simulated time, worked by hand from the documentation of Alertmanager."""

import pandas as pd
import pytest

from course.telemetry.alertmanager import ConfigError, TimedAlert, load_config, notify

_AT = pd.Timestamp("2026-03-02T09:00Z")


def _alert(start: float, end: float, **labels: str) -> TimedAlert:
    minute = pd.Timedelta("1min")
    return TimedAlert(labels, _AT + start * minute, _AT + end * minute)


def _config(route: str, more: str = ""):
    return load_config(f"route: {{receiver: a, {route}}}\nreceivers: [{{name: a}}]\n{more}")


def _minutes(messages) -> list[float]:
    return [(message.time - _AT) / pd.Timedelta("1min") for message in messages]


def test_a_group_waits_then_tells_at_the_next_interval_what_is_new() -> None:
    config = _config("group_wait: 1m, group_interval: 5m")
    messages = notify(config, [_alert(0, 60, n="1"), _alert(0.5, 60, n="2"), _alert(3, 60, n="3")])
    assert _minutes(messages) == [1, 6]
    assert [message.firing for message in messages] == [(0, 1), (0, 1, 2)]


def test_nothing_new_is_repeated_at_the_first_look_after_the_repeat_interval() -> None:
    config = _config("group_wait: 0s, group_interval: 5m, repeat_interval: 12m")
    assert _minutes(notify(config, [_alert(0, 40, n="1")])) == [0, 15, 30]


def test_what_ends_within_the_wait_is_never_told() -> None:
    config = _config("group_wait: 1m, group_interval: 5m")
    assert notify(config, [_alert(0, 0.5, n="1")]) == []


def test_resolved_alerts_are_told_once_where_asked() -> None:
    config = _config("group_wait: 0s, group_interval: 5m")
    messages = notify(config, [_alert(0, 7, n="1")], send_resolved=True)
    assert [(m.firing, m.resolved) for m in messages] == [((0,), ()), ((), (0,))]
    assert _minutes(messages) == [0, 10]


def test_an_inhibited_alert_is_told_when_its_source_ends() -> None:
    rule = "inhibit_rules: [{source_match: {s: up}, target_match: {s: down}, equal: [z]}]"
    config = _config("group_by: ['...'], group_wait: 0s, group_interval: 5m", rule)
    messages = notify(config, [_alert(0, 8, s="up", z="1"), _alert(0, 30, s="down", z="1"),
                               _alert(0, 30, s="down", z="2")])  # fmt: skip
    assert [(m.firing, t) for m, t in zip(messages, _minutes(messages), strict=True)] == [
        ((0,), 0), ((2,), 0), ((1,), 10)]  # fmt: skip


def test_aliases_and_large_files_are_refused() -> None:
    with pytest.raises(ConfigError, match="anchor|alias"):
        load_config("route: &r {receiver: a}\nreceivers: [{name: a}]\nx: *r")
    with pytest.raises(ConfigError, match="65536"):
        load_config("#" * 70_000)

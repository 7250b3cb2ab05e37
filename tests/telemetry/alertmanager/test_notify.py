"""Who is told when: hand-worked timelines, and one against a running Alertmanager."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.telemetry.alertmanager import Alert, load_config, notifications
from tests.conftest import require
from tests.telemetry.alertmanager import real

MINUTE = 60_000
CONFIG = """
route:
  receiver: chat
  group_by: [service]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 1h
  routes:
    - matchers: [severity="page"]
      receiver: pager
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: [alertname!="Down"]
    equal: [service]
receivers: [{name: chat}, {name: pager}]
"""


def _sent(alerts, until=600 * MINUTE, **options):
    found = notifications(load_config(CONFIG), alerts, until_ms=until, **options)
    return [
        (one.time_ms / MINUTE, one.receiver, len(one.firing), len(one.resolved)) for one in found
    ]


def _alert(name, start, end=None, service="cart", severity="ticket"):
    labels = {"alertname": name, "service": service, "severity": severity}
    return Alert(labels, int(start * MINUTE), None if end is None else int(end * MINUTE))


@pytest.mark.parametrize(
    ("alerts", "sent"),
    [
        # One alert: after group_wait, and its end at the next look.
        ([_alert("Slow", 0, 3)], [(0.5, "chat", 1, 0), (5.5, "chat", 0, 1)]),
        # Over before the first look: nobody hears of it.
        ([_alert("Slow", 0, 0.4)], []),
        # Two within group_wait are one message, a third waits for the next look.
        (
            [_alert("Slow", 0, 20), _alert("Full", 0.3, 20), _alert("Errors", 1, 20)],
            [(0.5, "chat", 2, 0), (5.5, "chat", 3, 0), (20.5, "chat", 0, 3)],
        ),
        # Another service is another group, another severity another receiver.
        (
            [_alert("Slow", 0, 4), _alert("Slow", 0, 4, service="pay"),
             _alert("Slow", 0, 4, severity="page")],
            [(0.5, "chat", 1, 0), (0.5, "chat", 1, 0), (0.5, "pager", 1, 0),
             (5.5, "chat", 0, 1), (5.5, "chat", 0, 1), (5.5, "pager", 0, 1)],
        ),
        # It comes back after its end was told: a new group with a new wait.
        (
            [_alert("Slow", 0, 3), _alert("Slow", 20, 23)],
            [(0.5, "chat", 1, 0), (5.5, "chat", 0, 1), (20.5, "chat", 1, 0), (25.5, "chat", 0, 1)],
        ),
        # It flaps between two looks: nobody hears of that.
        ([_alert("Slow", 0, 1), _alert("Slow", 2, 4)], [(0.5, "chat", 1, 0), (5.5, "chat", 0, 1)]),
        # While the source fires its target is left out; then it is told.
        (
            [_alert("Down", 0, 8), _alert("Slow", 0, 12)],
            [(0.5, "chat", 1, 0), (10.5, "chat", 1, 1), (15.5, "chat", 0, 1)],
        ),
        # A source of another service inhibits nothing.
        (
            [_alert("Down", 0, 4, service="pay"), _alert("Slow", 0, 4)],
            [(0.5, "chat", 1, 0), (0.5, "chat", 1, 0), (5.5, "chat", 0, 1), (5.5, "chat", 0, 1)],
        ),
    ],
)  # fmt: skip
def test_hand_worked_timelines(alerts, sent) -> None:
    assert sorted(_sent(alerts)) == sorted(sent)


def test_a_long_alert_is_repeated_at_the_first_look_after_repeat_interval() -> None:
    """After more than an hour: looks are five minutes apart, and one at exactly an hour is too early."""
    times = [time for time, *_ in _sent([_alert("Slow", 0)], until=200 * MINUTE)]
    assert times == [0.5, 65.5, 130.5, 195.5]


def test_without_send_resolved_an_end_is_silent() -> None:
    assert _sent([_alert("Slow", 0, 3)], send_resolved=False) == [(0.5, "chat", 1, 0)]


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="before its start"):
        _sent([_alert("Slow", 5, 3)])


TIMES = st.tuples(st.integers(0, 40), st.integers(1, 40), st.sampled_from(["Down", "Slow", "Full"]))


@settings(max_examples=60)
@given(st.lists(TIMES, max_size=8), st.randoms())
def test_properties_of_every_timeline(drawn, random) -> None:
    alerts = [_alert(name, start, start + length) for start, length, name in drawn]
    config = load_config(CONFIG)
    sent = notifications(config, alerts, until_ms=600 * MINUTE)
    assert [one.time_ms for one in sent] == sorted(one.time_ms for one in sent)
    for one in sent:
        assert one.firing or one.resolved
        firing = {alert.fingerprint for alert in alerts if alert.fires(one.time_ms)}
        assert set(one.firing) <= firing
        assert not set(one.resolved) & firing
    # Nobody is left without an end, and nothing hangs on the order of the alerts.
    if sent:
        assert not sent[-1].firing
    random.shuffle(alerts)
    assert notifications(config, alerts, until_ms=600 * MINUTE) == sent


@pytest.mark.prometheus
@pytest.mark.slow
def test_a_running_alertmanager_sends_the_same_at_the_same_times() -> None:
    """Two services, an inhibition, an end, a return and a repetition, with timers of seconds."""
    require(real.ALERTMANAGER, "Alertmanager is not installed; apt install prometheus-alertmanager")
    with real.webhook() as (address, arrived):
        timers = "group_wait: 1s\n  group_interval: 3s\n  repeat_interval: 5s"
        text = CONFIG.replace(
            "group_wait: 30s\n  group_interval: 5m\n  repeat_interval: 1h", timers
        ).replace(
            "receivers: [{name: chat}, {name: pager}]",
            f"""receivers:
  - name: chat
    webhook_configs: [{{url: '{address}/chat'}}]
  - name: pager
    webhook_configs: [{{url: '{address}/pager'}}]
""",
        )
        plan = [("Slow", "cart", 0, 12.2), ("Down", "cart", 2, 8.2), ("Full", "pay", 0.5, 5.0)]
        with real.running(text) as port:
            begin = time.time()
            alerts = []
            for name, service, start, end in sorted(plan, key=lambda entry: entry[2]):
                time.sleep(max(0.0, begin + start - time.time()))
                labels = {"alertname": name, "service": service, "severity": "ticket"}
                stamps = {"startsAt": begin + start, "endsAt": begin + end}
                real.send(port, [{"labels": labels} | {
                    key: datetime.fromtimestamp(value, UTC).isoformat()
                    for key, value in stamps.items()
                }])  # fmt: skip
                alerts.append(Alert(labels, int(1000 * start), int(1000 * end)))
            time.sleep(max(0.0, begin + 17.5 - time.time()))
    plain = CONFIG.replace("group_wait: 30s\n  group_interval: 5m\n  repeat_interval: 1h", timers)
    expected = [
        (one.receiver, dict(one.group), sorted(dict(f)["alertname"] for f in one.firing),
         sorted(dict(r)["alertname"] for r in one.resolved), one.time_ms / 1000)
        for one in notifications(load_config(plain), alerts, until_ms=17_000)
    ]  # fmt: skip

    def named(message: dict, status: str) -> list[str]:
        return sorted(a["labels"]["alertname"] for a in message["alerts"] if a["status"] == status)

    found = [
        (message["path"][1:], message["groupLabels"], named(message, "firing"),
         named(message, "resolved"), at - begin)
        for at, message in arrived
    ]  # fmt: skip

    def key(entry: tuple) -> tuple:
        return str(entry[1]), entry[4]

    found.sort(key=key)
    expected.sort(key=key)
    assert [entry[:4] for entry in found] == [entry[:4] for entry in expected]
    for one, other in zip(found, expected, strict=True):
        assert abs(one[4] - other[4]) < 1.0

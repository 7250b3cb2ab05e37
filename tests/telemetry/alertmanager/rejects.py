"""Configurations by whether Alertmanager takes them."""

_END = "\nreceivers: [{name: a}, {name: b}]\n"


def _child(text: str) -> str:
    return f"route: {{receiver: a, routes: [{{{text}}}]}}{_END}"


VALID = {
    "empty group_by": _child("receiver: b, group_by: []"),
    "bare matcher": _child("matchers: [severity=page]"),
    "two in one": _child("matchers: ['a=\"b\", c!=d']"),
    "a value with a hyphen": _child("matchers: [service=orders-db]"),
    "no receiver of its own": _child("match: {a: b}"),
    "group_wait of zero": _child("group_wait: 0s"),
    "an empty value": _child("matchers: ['a=\"\"']"),
}
INVALID = {
    "no route": _END,
    "unknown receiver": _child("receiver: c"),
    "unknown key": _child("reciever: b"),
    "root with matchers": "route: {receiver: a, matchers: [a=b]}" + _END,
    "root that continues": "route: {receiver: a, continue: true}" + _END,
    "root without receiver": "route: {group_by: [a]}" + _END,
    "all and one": _child("group_by: ['...', a]"),
    "twice": _child("group_by: [a, a]"),
    "no label": _child("group_by: ['a-b']"),
    "no matcher": _child("matchers: ['a b']"),
    "bad regular expression": _child("matchers: ['a=~\"(\"']"),
    "open quote": _child("matchers: ['a=\"b']"),
    "zero interval": _child("group_interval: 0s"),
    "bad duration": _child("group_wait: 5 minutes"),
    "unknown time interval": _child("mute_time_intervals: [night]"),
    "two receivers of one name": "route: {receiver: a}\nreceivers: [{name: a}, {name: a}]",
    "backwards": "time_intervals: [{name: n, time_intervals: [{times: [{start_time: '10:00', end_time: '09:00'}]}]}]\n"
    + _child("receiver: b"),
}

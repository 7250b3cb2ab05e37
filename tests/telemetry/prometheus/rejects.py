"""Rule files that nobody may load, and some that everybody must."""


def _file(rule: str, group: str = "name: g") -> str:
    return f"groups:\n- {group}\n  rules:\n  - {rule}\n"


def _expression(text: str) -> str:
    return _file(f"{{alert: A, expr: '{text}'}}")


INVALID: dict[str, str] = {
    "not a mapping": "- a\n- b\n",
    "only text": "hello\n",
    "broken YAML": "groups: [\n",
    "tab indentation": "groups:\n\t- name: g\n",
    "unknown top field": "groups: []\nrules: []\n",
    "groups a mapping": "groups: {name: g}\n",
    "group without name": "groups:\n- rules: []\n",
    "group name twice": "groups:\n- name: g\n- name: g\n",
    "unknown group field": "groups:\n- name: g\n  every: 1m\n",
    "key twice": "groups:\n- name: g\n  name: h\n",
    "rules a text": "groups:\n- name: g\n  rules: no\n",
    "bad interval": _file("{alert: A, expr: x}", "name: g\n  interval: often"),
    "bad limit": _file("{alert: A, expr: x}", "name: g\n  limit: many"),
    "rule without name": _file("{expr: x}"),
    "alert and record": _file("{alert: A, record: r, expr: x}"),
    "no expression": _file("{alert: A}"),
    "empty expression": _file("{alert: A, expr: ''}"),
    "unknown rule field": _file("{alert: A, expr: x, until: 5m}"),
    "misspelt keep_firing_for": _file("{alert: A, expr: x, keepFiringFor: 5m}"),
    "for without unit": _file("{alert: A, expr: x, for: 5}"),
    "for with words": _file("{alert: A, expr: x, for: five minutes}"),
    "for negative": _file("{alert: A, expr: x, for: -5m}"),
    "for fractional": _file("{alert: A, expr: x, for: 1.5h}"),
    "for units out of order": _file("{alert: A, expr: x, for: 30m1h}"),
    "for too long": _file("{alert: A, expr: x, for: 300y}"),
    "for in a recording rule": _file("{record: r, expr: x, for: 5m}"),
    "keep_firing_for in a recording rule": _file("{record: r, expr: x, keep_firing_for: 5m}"),
    "annotations in a recording rule": _file("{record: r, expr: x, annotations: {a: b}}"),
    "bad metric name": _file("{record: my-metric, expr: x}"),
    "bad label name": _file("{alert: A, expr: x, labels: {my-label: a}}"),
    "name as label": _file("{alert: A, expr: x, labels: {__name__: a}}"),
    "labels a list": _file("{alert: A, expr: x, labels: [a]}"),
    "label value a list": _file("{alert: A, expr: x, labels: {a: [b]}}"),
    "bad annotation name": _file("{alert: A, expr: x, annotations: {my-note: a}}"),
    "unclosed template": _file("{alert: A, expr: x, labels: {a: '{{ $value'}}"),
    "unknown template variable": _file("{alert: A, expr: x, annotations: {a: '{{ $labell.x }}'}}"),
    "unknown template function": _file("{alert: A, expr: x, annotations: {a: '{{ shout 3 }}'}}"),
    "template if without end": _file("{alert: A, expr: x, annotations: {a: '{{ if $value }}'}}"),
    "unclosed bracket": _expression("sum(x"),
    "two operators": _expression("x > > 3"),
    "one equals sign": _expression("x = 3"),
    "unknown function": _expression("average_over_time(x[5m])"),
    "rate of an instant vector": _expression("rate(x)"),
    "abs of a range": _expression("abs(x[5m])"),
    "missing argument": _expression("clamp(x, 1)"),
    "sum of a scalar": _expression("sum(1)"),
    "scalar comparison without bool": _expression("1 > 2"),
    "and with a scalar": _expression("x and 1"),
    "bool on arithmetic": _expression("x + bool y"),
    "group_left without on": _expression("x + group_left y"),
    "group_left in and": _expression("x and on(a) group_left b"),
    "empty matcher": _expression('{a=~".*"}'),
    "bad regular expression": _expression('x{a=~"("}'),
    "lookahead": _expression('x{a=~"(?=b)"}'),
    "range without unit": _expression("rate(x[300])"),
    "offset without unit": _expression("x offset 300"),
    "range of a range": _expression("x[5m][5m]"),
    "zero range": _expression("rate(x[0s])"),
    "name twice": _expression('x{__name__="y"}'),
    "or between matchers": _expression('x{a="b" or c="d"}'),
    "quoted metric name": _expression('{"x"}'),
    "aggregation by a number": _expression("sum by (1) (x)"),
    "Python": _expression("x if y else z"),
}

VALID: dict[str, str] = {
    "no groups": "groups: []\n",
    "group without rules": "groups:\n- name: g\n",
    "null rules": "groups:\n- name: g\n  rules:\n",
    "all group fields": _file("{alert: A, expr: x}", "name: g\n  interval: 1h30m\n  limit: 3"),
    "all alert fields": _file(
        "{alert: A b, expr: x, for: 1h30m, keep_firing_for: 0s, "
        "labels: {severity: page, n: 1}, annotations: {d: 'is {{ $value | humanize }}'}}"
    ),
    "for zero without unit": _file("{alert: A, expr: x, for: 0}"),
    "all duration units": _file("{alert: A, expr: x, for: 1y2w3d4h5m6s7ms}"),
    "name with a number between colons": _expression("rate(job:5:total[5m])"),
    "for null": _file("{alert: A, expr: x, for: }"),
    "zero for in a recording rule": _file("{record: 'a:b:c', expr: x, for: 0s}"),
    "expression a number": _file("{record: r, expr: 1}"),
    "block text": "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      x\n        > 3\n",
    "comment in an expression": (
        "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      x # [5] offset 3\n      > 3\n"
    ),
    "JSON": '{"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "x"}]}]}',
    "label template": _file("{alert: A, expr: x, labels: {a: '{{ $labels.b }}-{{ .Value }}'}}"),
    "annotation with if": _file(
        "{alert: A, expr: x, annotations: {a: '{{ if gt $value 3.0 }}big{{ else }}{{ end }}'}}"
    ),
    "annotation with query": _file(
        """{alert: A, expr: x, annotations: {a: '{{ with query "y" }}{{ . | first }}{{ end }}'}}"""
    ),
    "all matchers": _expression('x{a="b",c!="d",e=~"f|g",h!~"i.*"}'),
    "trailing comma": _expression('x{a="b",}'),
    "subquery": _expression("max_over_time(rate(x[5m])[1h:1m] offset 5m)"),
    "subquery default step": _expression("max_over_time(x[1h:])"),
    "group_left": _expression("x / on(a) group_left(b) y"),
    "ignoring": _expression("x > bool ignoring(a) y"),
    "numbers": _expression("x > 0x1F + 1e3 - .5 + Inf"),
    "colon names": _expression("job:x:rate5m > 1"),
    "calendar": _expression("hour() > 8 and day_of_week() < 6"),
    "without": _expression("sum without (a, b) (x)"),
    "name as annotation": _file("{alert: A, expr: x, annotations: {__name__: b}}"),
    "by last": _expression("sum(x) by (a)"),
    "quantile": _expression("quantile by (a) (0.9, x)"),
}

STRICTER: dict[str, str] = {
    "empty": "",
    "alias": _file("{alert: A, expr: x, labels: {a: &a b, c: *a }}"),
    "anchor": "groups: &a []\n",
    "tag": "groups: !!seq []\n",
    "merge key": "groups:\n- {<<: {name: g}}\n",
    "second document": "groups: []\n---\ngroups: []\n",
    "repeated rule": "groups:\n- name: g\n  rules:\n  - {alert: A, expr: x}\n  - {alert: A, expr: x}\n",
    "at modifier": _expression("x @ 100"),
    "negative offset": _expression("x offset -5m"),
    "count_values": _expression('count_values("a", x)'),
    "holt_winters": _expression("holt_winters(x[5m], 0.5, 0.5)"),
    "range vector result": _expression("x[5m]"),
    "string result": _expression('"x"'),
}

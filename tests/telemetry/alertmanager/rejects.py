"""Configurations that Alertmanager refuses, takes, and that only the evaluator refuses."""

_TAIL = "\nreceivers: [{name: a}, {name: b}]\n"


def _with(route: str, rest: str = "") -> str:
    return f"route:\n  receiver: a\n{route}{rest}{_TAIL}"


INVALID: dict[str, str] = {
    "no route": "receivers: [{name: a}]\n",
    "no receiver at the root": "route: {group_by: [x]}" + _TAIL,
    "unknown receiver": "route: {receiver: c}" + _TAIL,
    "unknown receiver of a child": _with("  routes: [{receiver: c}]"),
    "receiver twice": "route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n",
    "receiver without a name": "route: {receiver: a}\nreceivers: [{name: a}, {}]\n",
    "matchers at the root": _with("  matchers: ['x=1']"),
    "match at the root": _with("  match: {x: '1'}"),
    "root continues": _with("  continue: true"),
    "group_by ... and another": _with("  group_by: ['...', x]"),
    "group_by twice": _with("  group_by: [x, x]"),
    "group_by no label": _with("  group_by: ['1x']"),
    "zero group_interval": _with("  group_interval: 0s"),
    "zero repeat_interval": _with("  repeat_interval: 0s"),
    "duration without unit": _with("  group_wait: 30"),
    "unknown field": _with("  grup_by: [x]"),
    "unknown field at the top": _with("", "\nroutes: []"),
    "matcher without operator": _with("  routes: [{matchers: ['x']}]"),
    "matcher of a bad regex": _with("  routes: [{matchers: ['x=~\"(\"']}]"),
    "match_re of a bad regex": _with("  routes: [{match_re: {x: '('}}]"),
    "open quote": _with("  routes: [{matchers: ['x=\"1']}]"),
    "quote within": _with("  routes: [{matchers: ['x=1\"2']}]"),
    "equal no label": _with("", "\ninhibit_rules: [{equal: ['1x']}]"),
    "inhibit with unknown field": _with("", "\ninhibit_rules: [{source: {x: '1'}}]"),
    "routes no list": _with("  routes: {receiver: b}"),
    "no mapping": "- route\n",
    "key twice": _with("  receiver: b"),
}
VALID: dict[str, str] = {
    "smallest": "route: {receiver: a}" + _TAIL,
    "zero group_wait": _with("  group_wait: 0s"),
    "empty group_by": _with("  group_by: []"),
    "empty value": _with("  routes: [{matchers: ['x=']}]"),
    "braces and commas": _with("  routes: [{matchers: ['{x=1,y!=2,}']}]"),
    "escapes": _with(r"""  routes: [{matchers: ['x="a\"b\\"']}]"""),
    "child inherits the receiver": _with("  routes: [{matchers: ['x=1']}]"),
    "inhibit without conditions": _with("", "\ninhibit_rules: [{equal: [x]}]"),
    "templates and global": _with("", "\ntemplates: []\nglobal: {resolve_timeout: 5m}"),
    "continue of a child": _with("  routes: [{receiver: b, continue: true}]"),
    "null routes": _with("  routes:"),
}
STRICTER: dict[str, str] = {
    "alias": _with("  group_by: &g [x]\n  routes: [{group_by: *g}]"),
    "anchor": _with("  group_by: &g [x]"),
}

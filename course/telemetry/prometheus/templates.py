"""The part of Prometheus' templates that alert labels may use.

Evaluated in labels: ``{{ $labels.name }}``, ``{{ .Labels.name }}``, ``{{ $value }}``,
``{{ .Value }}``, the last two also through ``| printf "%.2f"`` or as ``printf "%.2f" $value``.
Annotations are checked for the same balance and known names, and are not expanded.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

SUPPORTED = (
    "labels may use {{ $labels.name }}, {{ $value }} and "
    '{{ $value | printf "%.2f" }} (verbs f, e, g)'
)
_ACTION = re.compile(r"\{\{-?(?: |\s)*(.*?)\s*-?\}\}", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)", re.ASCII)
_VALUE = r"(?:\$value|\.Value)"
_FORMAT = r'"(%\.?\d{0,2}[feg])"'
_PIPED = re.compile(rf"{_VALUE}\s*\|\s*printf\s+{_FORMAT}", re.ASCII)
_CALLED = re.compile(rf"printf\s+{_FORMAT}\s+{_VALUE}", re.ASCII)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`]*`')
_VARIABLE = re.compile(r"\$[a-zA-Z_]\w*|\$", re.ASCII)
_WORD = re.compile(r"(?<![\w.$])[a-zA-Z_]\w*", re.ASCII)
_KNOWN_WORDS = frozenset(
    [
        "if",
        "else",
        "end",
        "range",
        "with",
        "template",
        "define",
        "block",
        "and",
        "or",
        "not",
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "len",
        "index",
        "slice",
        "print",
        "printf",
        "println",
        "html",
        "js",
        "urlquery",
        "call",
        "true",
        "false",
        "nil",
        "query",
        "first",
        "label",
        "value",
        "strvalue",
        "args",
        "reReplaceAll",
        "safeHtml",
        "match",
        "title",
        "toUpper",
        "toLower",
        "graphLink",
        "tableLink",
        "sortByLabel",
        "stripPort",
        "stripDomain",
        "humanize",
        "humanize1024",
        "humanizeDuration",
        "humanizePercentage",
        "humanizeTimestamp",
        "toTime",
        "pathPrefix",
        "externalURL",
        "parseDuration",
        "break",
        "continue",
    ]
)


@dataclass(frozen=True)
class _Label:
    name: str


@dataclass(frozen=True)
class _Value:
    format: str | None


@dataclass(frozen=True)
class Template:
    """A parsed label value: text, label references and value references in turn."""

    parts: tuple[str | _Label | _Value, ...]

    @property
    def uses_value(self) -> bool:
        """Whether the result depends on the sample's value."""
        return any(isinstance(part, _Value) for part in self.parts)

    def expand(self, labels: Mapping[str, str], value: float) -> str:
        """The text for one sample; a label that is not there is empty."""
        pieces = []
        for part in self.parts:
            if isinstance(part, _Label):
                pieces.append(labels.get(part.name, ""))
            elif isinstance(part, _Value):
                pieces.append(_format_value(value, part.format))
            else:
                pieces.append(part)
        return "".join(pieces)


def parse_label_template(text: str) -> Template:
    """Parse a label's value.

    Raises
    ------
    ValueError
        If it uses anything but what `SUPPORTED` says.
    """
    parts: list[str | _Label | _Value] = []
    position = 0
    for match in _ACTION.finditer(text):
        parts.append(_literal(text[position : match.start()]))
        parts.append(_action(match))
        position = match.end()
    parts.append(_literal(text[position:]))
    return Template(tuple(part for part in parts if part != ""))


def _literal(text: str) -> str:
    if "{{" in text:
        raise ValueError(f"unclosed `{{{{` in the template {text[:60]!r}; {SUPPORTED}")
    return text


def _action(match: re.Match[str]) -> _Label | _Value:
    body = match.group(1)
    if match.group(0).startswith("{{-") or match.group(0).endswith("-}}"):
        raise ValueError(f"trim markers are not supported in a label's template; {SUPPORTED}")
    if label := _LABEL.fullmatch(body):
        return _Label(label.group(1))
    if re.fullmatch(_VALUE, body):
        return _Value(None)
    if formatted := _PIPED.fullmatch(body) or _CALLED.fullmatch(body):
        return _Value(formatted.group(1))
    raise ValueError(f"template {{{{ {body[:60]} }}}} is not supported; {SUPPORTED}")


def check_annotation(text: str) -> None:
    """Refuse an annotation whose template Prometheus could not read.

    Raises
    ------
    ValueError
        If braces are unbalanced, or a variable or function is unknown.
    """
    depth = 0
    position = 0
    for match in _ACTION.finditer(text):
        _literal(text[position : match.start()])
        position = match.end()
        body = match.group(1)
        if body.startswith("/*"):
            continue
        depth = _check_action(_STRING.sub(" ", body), depth)
    _literal(text[position:])
    if depth:
        raise ValueError("a template `if`, `range` or `with` has no {{ end }}; add it")


def _check_action(body: str, depth: int) -> int:
    words = _WORD.findall(body)
    if not body.strip() and not words:
        return depth
    for word in words:
        if word not in _KNOWN_WORDS:
            raise ValueError(f"template function {word!r} is not known to Prometheus")
    declared = set(re.findall(r"(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=", body))
    known = {"$labels", "$value", "$externalLabels", "$externalURL", "$"}
    if not declared and not depth:
        for variable in _VARIABLE.findall(body):
            if variable not in known:
                raise ValueError(
                    f"template variable {variable!r} is not known; use $labels, $value"
                )
    if words and words[0] in ("if", "range", "with", "define", "block"):
        return depth + 1
    if words and words[0] == "end":
        if not depth:
            raise ValueError("a template {{ end }} closes nothing; remove it")
        return depth - 1
    return depth


def _format_value(value: float, verb: str | None) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if verb is None or verb == "%g":
        return _shortest(value)
    return verb % value


def _shortest(value: float) -> str:
    """Go's %v of a float64: shortest digits that round-trip, an exponent below 1e-4 or from 1e6."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return repr(value)
    text = "".join(map(str, digits))
    power = exponent + len(text) - 1 if value else 0
    prefix = "-" if sign else ""
    if power < -4 or power >= 6:
        tail = f".{text[1:]}" if len(text) > 1 else ""
        return f"{prefix}{text[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{prefix}0.{'0' * (-power - 1)}{text}"
    whole, rest = text[: power + 1].ljust(power + 1, "0"), text[power + 1 :]
    return f"{prefix}{whole}{'.' + rest if rest else ''}"

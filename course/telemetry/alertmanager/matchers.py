"""Label matchers as Alertmanager reads them: ``severity="page"``, ``team=~"a|b"``, ``env!=dev``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from course.telemetry.regexes import regex_matches

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_MATCHER = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL | re.ASCII
)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Matcher:
    """One condition on one label; a label that an alert does not have is the empty string.

    Attributes
    ----------
    name, operator, value : str
        The operator is one of ``=``, ``!=``, ``=~`` and ``!~``; a regular expression matches the
        whole value.
    """

    name: str
    operator: str
    value: str

    def matches(self, labels: Labels) -> bool:
        """Whether an alert with these labels meets the condition."""
        found = labels.get(self.name, "")
        if self.operator in ("=", "!="):
            return (found == self.value) == (self.operator == "=")
        return regex_matches(f"^(?:{self.value})$", [found])[0] == (self.operator == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.operator}"{self.value}"'


def all_match(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Whether all conditions are met; no condition is met by everything."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matchers(text: str) -> list[Matcher]:
    """Read one or several matchers, with commas between and braces around if you like.

    Raises
    ------
    ValueError
        What could not be read, and why.

    Examples
    --------
    >>> [str(matcher) for matcher in parse_matchers('{team=~"a|b", env != dev}')]
    ['team=~"a|b"', 'env!="dev"']
    """
    inner = text
    if text.startswith("{"):
        inner = inner[1:]
    if inner.endswith("}") and not inner.endswith("\\}"):
        inner = inner[:-1]
    return [_parse(part) for part in _parts(inner)]


def make_matcher(name: str, operator: str, value: str) -> Matcher:
    """A matcher whose regular expression is known to be one.

    Raises
    ------
    ValueError
        The value is no regular expression (RE2), where the operator wants one.
    """
    if operator in ("=~", "!~"):
        try:
            regex_matches(f"^(?:{value})$", [""])
        except Exception as error:
            raise ValueError(f"{value[:40]!r} is no regular expression: {error}") from None
    return Matcher(name, operator, value)


def _parts(text: str) -> list[str]:
    """Split at commas outside of quotes; a last comma may stand alone."""
    parts, current, quoted, escaped = [], "", False, False
    for sign in text:
        if sign == "," and not quoted:
            parts.append(current)
            current = ""
            continue
        if sign == '"' and not escaped:
            quoted = not quoted
        escaped = sign == "\\" and not escaped
        current += sign
    if current.strip() or not parts:
        parts.append(current)
    return parts


def _parse(text: str) -> Matcher:
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text.strip()[:60]!r} is no matcher; write a label, one of = != =~ !~, and a value"
        )
    name, operator, raw = match.groups()
    return make_matcher(name, operator, _unquote(raw, text))


def _unquote(raw: str, whole: str) -> str:
    inner, quoted = raw, raw.startswith('"')
    if quoted:
        inner = inner[1:]
    value, escaped, closed = "", False, False
    for place, sign in enumerate(inner):
        if escaped:
            value += _ESCAPES.get(sign, "\\" + sign)
            escaped = False
        elif sign == "\\" and place < len(inner) - 1:
            escaped = True
        elif sign == '"':
            if not quoted or place < len(inner) - 1:
                raise ValueError(f'{whole.strip()[:60]!r} has a quote within the value; write \\"')
            closed = True
        else:
            value += sign
    if quoted and not closed:
        raise ValueError(f"{whole.strip()[:60]!r} has a quote that is not closed")
    return value

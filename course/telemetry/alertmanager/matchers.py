"""Matchers of labels, in the syntax of Alertmanager 0.25 (``pkg/labels``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from course.telemetry.alertmanager.errors import ConfigError
from course.telemetry.regexes import regex_matches

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_SPACE = r"[\t\n\f\r ]*"  # RE2's \s
_MATCHER = re.compile(
    rf"{_SPACE}([a-zA-Z_:][a-zA-Z0-9_:]*){_SPACE}(=~|=|!=|!~){_SPACE}(.*?){_SPACE}",
    re.ASCII | re.DOTALL,
)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, order=True)
class Matcher:
    """One condition on one label; ``operator`` is ``=``, ``!=``, ``=~`` or ``!~``.

    A label that an alert lacks counts as the empty string. Regular expressions are RE2 and match
    the whole value.

    Examples
    --------
    >>> Matcher("service", "=~", "cart|checkout").matches({"service": "cart"})
    True
    >>> Matcher("team", "!=", "web").matches({})
    True
    """

    name: str
    operator: str
    value: str

    def __post_init__(self) -> None:
        if self.operator in ("=~", "!~"):
            try:
                _whole(self.value, "")
            except pa.ArrowInvalid as error:
                raise ConfigError(f"{self.value[:60]!r} is no RE2 expression: {error}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels satisfies the condition."""
        value = labels.get(self.name, "")
        if self.operator == "=":
            return value == self.value
        if self.operator == "!=":
            return value != self.value
        return _whole(self.value, value) == (self.operator == "=~")


@lru_cache(maxsize=4096)
def _whole(pattern: str, value: str) -> bool:
    return regex_matches(f"^(?:{pattern})$", [value])[0]


def is_label(name: str) -> bool:
    """Whether the text may be the name of a label."""
    return _LABEL.fullmatch(name) is not None


def parse_matchers(text: str) -> list[Matcher]:
    """Read one entry of a ``matchers`` list: one matcher, or several joined by commas.

    Braces around the whole are allowed, quotes around a value too; inside quotes ``\\"``, ``\\\\``
    and ``\\n`` are escapes.

    Raises
    ------
    ConfigError
        If a part is no matcher.

    Examples
    --------
    >>> parse_matchers('{severity="page", service=~"cart|search"}')
    [Matcher(name='severity', operator='=', value='page'), Matcher(name='service', operator='=~', value='cart|search')]
    """
    return [_parse(part) for part in _split(text.removeprefix("{").removesuffix("}"))]


def _split(text: str) -> list[str]:
    """Parts between commas that stand outside quotes."""
    parts, part, quoted, escaped = [], "", False, False
    for letter in text:
        if letter == "," and not quoted:
            parts.append(part)
            part = ""
            continue
        if letter == '"':
            quoted, escaped = (quoted, False) if escaped else (not quoted, False)
        else:
            escaped = letter == "\\" and not escaped
        part += letter
    return [*parts, part] if part.strip() else parts


def _parse(text: str) -> Matcher:
    match = _MATCHER.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text[:60]!r} is no matcher; write a label, one of = != =~ !~ and a value, "
            'such as severity="page"'
        )
    name, operator, raw = match.groups()
    return Matcher(name, operator, _unquote(raw))


def _unquote(raw: str) -> str:
    body, value, place = raw.removeprefix('"'), "", 0
    open_quote = body != raw
    while place < len(body):
        letter, last = body[place], place == len(body) - 1
        if letter == "\\" and not last:
            place += 1
            value += _ESCAPES.get(body[place], "\\" + body[place])
        elif letter == '"':
            if not open_quote or not last:
                raise ConfigError(f"the value {raw[:60]!r} holds an unescaped double quote")
            open_quote = False
        else:
            value += letter
        place += 1
    if open_quote:
        raise ConfigError(f"the value {raw[:60]!r} lacks its closing quote")
    return value

"""Tokens of LogQL and TraceQL, and a reader of them that says where a query goes wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from course.telemetry.regexes import regex_matches

MAX_CHARACTERS = 4096
MAX_DEPTH = 40

_STRING = r'"(?:[^"\\\n]|\\.)*"|`[^`]*`'
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


class QueryError(ValueError):
    """A query that its language refuses, or that lies outside of what is executed here."""


@dataclass(frozen=True)
class Token:
    """A piece of a query: its kind, its text, and where it begins."""

    kind: str
    text: str
    place: int


def tokens(query: str, kinds: dict[str, str], language: str) -> list[Token]:
    """Split a query into tokens.

    Parameters
    ----------
    query : str
        At most 4096 characters.
    kinds : dict of str to str
        Pattern by kind, the first that matches wins. Strings and white space are added.
    language : str
        For messages.

    Raises
    ------
    QueryError
        Where nothing fits.
    """
    if not isinstance(query, str):
        raise QueryError(f"a {language} query is text, not {type(query).__name__}")
    if len(query) > MAX_CHARACTERS:
        raise QueryError(f"the query has {len(query)} characters, more than {MAX_CHARACTERS}")
    named = {"space": r"\s+", "string": _STRING, **kinds}
    pattern = re.compile("|".join(f"(?P<{kind}>{text})" for kind, text in named.items()), re.ASCII)
    found, place = [], 0
    while place < len(query):
        match = pattern.match(query, place)
        if match is None:
            raise QueryError(f"{language}: nothing known begins with {query[place:][:20]!r}")
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), place))
        place = match.end()
    return [*found, Token("end", "", len(query))]


def unquote(token: Token) -> str:
    """Return the value of a string token."""
    if token.text.startswith("`"):
        return token.text[1:-1]

    def one(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise QueryError(f"{token.text}: the escape \\{match[1]} is not supported; use `...`")
        return _ESCAPES[match[1]]

    return re.sub(r"\\(.)", one, token.text[1:-1], flags=re.DOTALL)


def checked_regex(pattern: str, *, whole: bool) -> str:
    """Return a pattern for RE2, matched against the whole value or anywhere in it.

    Raises
    ------
    QueryError
        If RE2 does not take it.
    """
    try:
        regex_matches(pattern, [""])
    except ValueError as error:
        raise QueryError(f"{pattern!r} is no regular expression: {error}") from None
    return rf"\A(?:{pattern})\z" if whole else pattern


def search(pattern: str, value: str) -> bool:
    """Whether RE2 finds the pattern in a value; linear time whatever the pattern."""
    return regex_matches(pattern, [value])[0]


class Cursor:
    """Where a parser stands among the tokens of a query."""

    def __init__(self, found: list[Token], language: str) -> None:
        self._tokens, self._place, self._language = found, 0, language
        self._depth = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._place]

    def sees(self, *texts: str) -> bool:
        """Whether one of some symbols or words comes next."""
        return self.token.kind != "string" and self.token.text in texts and self.token.text != ""

    def take(self, *texts: str) -> str:
        """Return the next token's text, which must be one of some symbols or words."""
        if not self.sees(*texts):
            self.fail(" or ".join(texts))
        return self.step().text

    def take_kind(self, *kinds: str) -> Token:
        """Return the next token, which must be of some kind."""
        if self.token.kind not in kinds:
            self.fail("a " + " or ".join(kinds))
        return self.step()

    def step(self) -> Token:
        """Return the next token and go past it."""
        self._place += 1
        return self._tokens[self._place - 1]

    def deeper(self) -> None:
        """Count one level of nesting."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise QueryError(f"{self._language}: nested deeper than {MAX_DEPTH}")

    def shallower(self) -> None:
        """Leave one level of nesting."""
        self._depth -= 1

    def fail(self, expected: str) -> NoReturn:
        """Raise a `QueryError` about the next token."""
        here = self.token
        found = repr(here.text) if here.kind != "end" else "the end"
        raise QueryError(
            f"{self._language}: expected {expected} at character {here.place + 1}, found {found}"
        )

"""Strict JSON, and small readers that say where a document leaves its format.

A reader takes a value and its place ("spans[0].traceId") and returns the value or raises. Readers
are put together: ``record({"id": hexadecimal(16)}, {"name": text})``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Reader = Callable[[Any, str], Any]

MAX_CHARACTERS = 20_000_000
INT64 = (-(2**63), 2**63 - 1)
UINT64 = (0, 2**64 - 1)
UINT32 = (0, 2**32 - 1)


class FormatError(ValueError):
    """A text that is not of its format; says what was expected, what was found and where."""


def fail(where: str, expected: str, found: Any) -> NoReturn:
    """Raise a `FormatError` in the one form that all have."""
    shown = json.dumps(found, default=repr) if not isinstance(found, str) else repr(found)
    raise FormatError(f"{where or 'the document'}: expected {expected}, found {shown:.80}")


def as_text(value: Any, what: str) -> str:
    """Return a body that is text of an acceptable length."""
    if not isinstance(value, str):
        raise FormatError(f"{what} must be text (str), not {type(value).__name__}")
    if len(value) > MAX_CHARACTERS:
        raise FormatError(f"{what} has {len(value)} characters, more than {MAX_CHARACTERS}")
    return value


def parse_json(body: str, what: str) -> Any:
    """Parse a JSON text as RFC 8259 has it: no NaN, no key twice in an object.

    Examples
    --------
    >>> parse_json('{"a": NaN}', "the body")
    Traceback (most recent call last):
    ...
    course.telemetry.wire._shape.FormatError: the body: JSON has no NaN
    """
    body = as_text(body, what)
    try:
        return _strict(what).decode(body)
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} is no JSON: {error or 'nested too deep'}") from None


def _strict(what: str) -> json.JSONDecoder:
    def constant(name: str) -> Any:
        raise FormatError(f"{what}: JSON has no {name}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise FormatError(f"{what}: the key {twice!r} stands twice in one object")
        return found

    return json.JSONDecoder(parse_constant=constant, object_pairs_hook=once)


def decoder(what: str) -> json.JSONDecoder:
    """Return the strict decoder, for bodies that hold several documents in a row."""
    return _strict(what)


def text(value: Any, where: str) -> str:
    """Read any string."""
    return value if isinstance(value, str) else fail(where, "a string", value)


def filled(value: Any, where: str) -> str:
    """Read a string that is not empty."""
    return value if isinstance(value, str) and value else fail(where, "a string, not empty", value)


def boolean(value: Any, where: str) -> bool:
    """Read true or false."""
    return value if isinstance(value, bool) else fail(where, "true or false", value)


def number(value: Any, where: str) -> float:
    """Read a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        fail(where, "a finite number", value)
    return value


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def integer(low: int, high: int, what: str = "an integer") -> Reader:
    """Return a reader of JSON integers from `low` to `high`."""

    def read(value: Any, where: str) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and low <= value <= high else fail(where, what, value)

    return read


def decimal(low: int, high: int, what: str) -> Reader:
    """Return a reader of integers that are written as decimal strings."""

    def read(value: Any, where: str) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9][0-9]{0,19})", value):
            found = int(value)
            if low <= found <= high:
                return found
        return fail(where, what, value)

    return read


def matching(pattern: str, what: str) -> Reader:
    """Return a reader of strings that match a pattern as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: Any, where: str) -> str:
        good = isinstance(value, str) and compiled.fullmatch(value) is not None
        return value if good else fail(where, what, value)

    return read


def one_of(*allowed: Any) -> Reader:
    """Return a reader of a few fixed values."""

    def read(value: Any, where: str) -> Any:
        for item in allowed:
            if type(value) is type(item) and value == item:
                return value
        return fail(where, "one of " + ", ".join(map(repr, allowed)), value)

    return read


def array(item: Reader, *, low: int = 0, high: int | None = None) -> Reader:
    """Return a reader of lists."""

    def read(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            fail(where, "a list", value)
        if len(value) < low or (high is not None and len(value) > high):
            limits = f"at least {low}" if high is None else f"{low} to {high}"
            fail(where, f"a list of {limits} items", value)
        return [item(entry, f"{where}[{place}]") for place, entry in enumerate(value)]

    return read


def table(value_of: Reader, key: Reader = text) -> Reader:
    """Return a reader of objects whose keys are data: labels, tags, attributes."""

    def read(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            fail(where, "an object", value)
        return {
            key(name, f"{where}: key"): value_of(entry, f"{where}.{name}")
            for name, entry in value.items()
        }

    return read


def record(required: Mapping[str, Reader], optional: Mapping[str, Reader]) -> Reader:
    """Return a reader of objects with known keys; any other key is refused."""

    def read(value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            fail(where, "an object", value)
        for name in required:
            if name not in value:
                fail(where, f"the key {name!r}", sorted(value))
        known = {**required, **optional}
        for name in value:
            if name not in known:
                fail(where, f"only the keys {', '.join(known)}", name)
        prefix = f"{where}." if where else ""
        return {name: known[name](entry, f"{prefix}{name}") for name, entry in value.items()}

    return read

"""Lucene's query syntax, as Kibana and Elasticsearch's ``query_string`` take it, over documents.

luqum parses; this module executes. Without an operator between them, clauses are joined by OR, the
default of ``query_string``. Text fields are split into lower-case words; every other field is a
keyword, compared as it stands, or a number. Regular expressions, fuzzy terms and proximity are
refused, and so is AND beside OR without parentheses, to which Lucene gives no precedence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from course.telemetry.queries._scan import MAX_CHARACTERS, MAX_DEPTH, QueryError

Document = dict[str, Any]
Test = Callable[[Document], bool]

_WORD = re.compile(r"\w+")
_UNESCAPE = re.compile(r"\\(.)")


def lucene(
    query: str, documents: Iterable[Document], *, text_fields: Collection[str] = ("message",)
) -> list[int]:
    """Execute a query over documents.

    Parameters
    ----------
    query : str
        Terms, "phrases", field:value, AND, OR, NOT, +, -, parentheses, wildcards (``*``, ``?``),
        ranges (``[a TO b]``, ``{a TO b}``, ``>a``, ``<=b``) and ``_exists_:field``.
    documents : iterable of dict
        Flat, as `course.telemetry.wire.read_bulk` returns them.
    text_fields : collection of str
        Fields that are analysed; the first is searched where a query names no field.

    Returns
    -------
    list of int
        Positions of the documents that match.

    Raises
    ------
    QueryError
        If the query is refused.

    Examples
    --------
    >>> documents = [{"message": "Request timed out", "ms": 900}, {"message": "timed", "ms": 5}]
    >>> lucene('message:"timed out" AND ms:>500', documents)
    [0]
    >>> lucene("message:timed AND NOT ms:[100 TO *]", documents)
    [1]
    """
    test = _Compiler(tuple(text_fields)).compile(query)
    return [place for place, document in enumerate(documents) if test(document)]


def _parse(query: str) -> Any:
    from luqum.exceptions import ParseError
    from luqum.parser import parser

    if not isinstance(query, str):
        raise QueryError(f"a Lucene query is text, not {type(query).__name__}")
    if len(query) > MAX_CHARACTERS:
        raise QueryError(f"the query has {len(query)} characters, more than {MAX_CHARACTERS}")
    if not query.strip():
        raise QueryError("Lucene: the query is empty")
    if query.count("(") > MAX_DEPTH or len(re.findall(r"\bNOT\b|[!+-]", query)) > 4 * MAX_DEPTH:
        raise QueryError(f"Lucene: nested deeper than {MAX_DEPTH}")
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    if sign := re.search(r"&&|\|\||(?:^|[\s(])!", bare):
        raise QueryError(f"Lucene: write AND, OR and NOT, not {sign.group().strip()!r}")
    if word := re.search(r"(?<![\w:.])(?:and|or|not)(?![\w:.])", bare):
        raise QueryError(f"Lucene: operators are upper case; {word.group()!r} would be a term")
    try:
        return parser.parse(query)
    except ArithmeticError:
        raise QueryError("Lucene: after ~ or ^ stands no number") from None
    except (ParseError, ValueError, RecursionError) as error:
        raise QueryError(f"Lucene: {error}") from None


class _Compiler:
    """Turns a tree of luqum into a test of documents."""

    def __init__(self, text_fields: tuple[str, ...]) -> None:
        self._text_fields = text_fields

    def compile(self, query: str) -> Test:
        """Return the test of a query's text."""
        tree = _parse(query)
        try:
            return self._node(tree, self._text_fields[0] if self._text_fields else "message")
        except RecursionError:
            raise QueryError("Lucene: nested too deep") from None

    def _node(self, node: Any, field: str) -> Test:
        kind = type(node).__name__
        handler = getattr(self, f"_{kind.lower()}", None)
        if handler is None:
            raise QueryError(f"Lucene: {str(node).strip()!r} ({kind}) is not executed here")
        result: Test = handler(node, field)
        return result

    def _searchfield(self, node: Any, field: str) -> Test:
        name = _UNESCAPE.sub(r"\1", node.name)
        if name == "_exists_":
            wanted = _UNESCAPE.sub(r"\1", str(node.expr).strip())
            return lambda document: document.get(wanted) is not None
        return self._node(node.expr, name)

    def _group(self, node: Any, field: str) -> Test:
        return self._node(node.expr, field)

    _fieldgroup = _group

    def _andoperation(self, node: Any, field: str) -> Test:
        tests = [self._clause(child, field) for child in node.children]
        return lambda document: all(test(document) for test in tests)

    def _oroperation(self, node: Any, field: str) -> Test:
        mixed = any(type(child).__name__ == "AndOperation" for child in node.children)
        if mixed:
            raise QueryError(
                "Lucene: AND beside OR needs parentheses: Lucene gives neither precedence"
            )
        tests = [self._clause(child, field) for child in node.children]
        return lambda document: any(test(document) for test in tests)

    def _clause(self, node: Any, field: str) -> Test:
        """A clause of an explicit AND or OR; one of several words needs parentheses."""
        if type(node).__name__ == "UnknownOperation":
            raise QueryError(
                f"Lucene: {str(node).strip()!r} has no operator between its parts; "
                "a phrase needs quotes, and parts need AND or OR"
            )
        return self._node(node, field)

    def _unknownoperation(self, node: Any, field: str) -> Test:
        """Clauses in a row: + must, - must not, of the others at least one unless some must."""
        groups: dict[str, list[Test]] = {"Plus": [], "Prohibit": [], "other": []}
        for child in node.children:
            kind = type(child).__name__
            if kind in ("AndOperation", "OrOperation"):
                raise QueryError("Lucene: parts in a row beside AND or OR need parentheses")
            kind = "Prohibit" if kind == "Not" else kind
            inner = child.a if kind in ("Plus", "Prohibit") else child
            groups[kind if kind in groups else "other"].append(self._node(inner, field))
        must, must_not, should = groups["Plus"], groups["Prohibit"], groups["other"]
        return lambda document: (
            all(test(document) for test in must)
            and not any(test(document) for test in must_not)
            and (bool(must) or not should or any(test(document) for test in should))
        )

    def _not(self, node: Any, field: str) -> Test:
        test = self._node(node.a, field)
        return lambda document: not test(document)

    _prohibit = _not

    def _plus(self, node: Any, field: str) -> Test:
        return self._node(node.a, field)

    def _word(self, node: Any, field: str) -> Test:
        return self._term(str(node.value), field)

    def _phrase(self, node: Any, field: str) -> Test:
        return self._literal(_UNESCAPE.sub(r"\1", node.value[1:-1]), field)

    def _term(self, written: str, field: str) -> Test:
        if field == "*" and written == "*":
            return lambda _: True
        if re.search(r"(?<!\\)[*?]", written):
            return self._wildcard(written, field)
        return self._literal(_UNESCAPE.sub(r"\1", written), field)

    def _literal(self, value: str, field: str) -> Test:
        if field in self._text_fields:
            wanted = _words(value)
            return lambda document: _in_a_row(wanted, _words(document.get(field)))
        return lambda document: _equal(document.get(field), value)

    def _wildcard(self, written: str, field: str) -> Test:
        if written == "*":
            return lambda document: document.get(field) is not None
        if len(re.findall(r"\*", written)) > 3:
            raise QueryError("Lucene: at most three * in a term")
        parts = re.findall(r"\\.|[*?]|[^*?\\]+", written)
        pattern = "".join(
            {"*": ".*", "?": "."}.get(part) or re.escape(_UNESCAPE.sub(r"\1", part))
            for part in parts
        )
        if field in self._text_fields:
            lower = re.compile(pattern.lower(), re.DOTALL)
            return lambda document: any(map(lower.fullmatch, _words(document.get(field))))
        exact = re.compile(pattern, re.DOTALL)
        return lambda document: (
            isinstance(document.get(field), str) and bool(exact.fullmatch(document[field]))
        )

    def _range(self, node: Any, field: str) -> Test:
        low, high = _bound(node.low), _bound(node.high)
        return lambda document: (
            _ordered(low, document.get(field), node.include_low)
            and _ordered(document.get(field), high, node.include_high)
        )

    def _from(self, node: Any, field: str) -> Test:
        low = _bound(node.a)
        return lambda document: _ordered(low, document.get(field), node.include)

    def _to(self, node: Any, field: str) -> Test:
        high = _bound(node.a)
        return lambda document: _ordered(document.get(field), high, node.include)


def _words(value: Any) -> list[str]:
    return _WORD.findall(value.lower()) if isinstance(value, str) else []


def _in_a_row(wanted: list[str], words: list[str]) -> bool:
    return bool(wanted) and any(
        words[place : place + len(wanted)] == wanted
        for place in range(len(words) - len(wanted) + 1)
    )


def _equal(found: Any, value: str) -> bool:
    if isinstance(found, bool):
        return value == str(found).lower()
    if isinstance(found, int | float):
        try:
            return float(value) == found
        except ValueError:
            return False
    return isinstance(found, str) and found == value


class _Open:
    """An end of a range that is not there."""


def _bound(node: Any) -> Any:
    text = _UNESCAPE.sub(r"\1", str(node.value).strip('"'))
    return _Open if text == "*" else text


def _ordered(low: Any, high: Any, inclusive: bool) -> bool:
    """Whether low < high, one of which is a bound's text; never for a missing value."""
    if low is None or high is None or isinstance(low, bool) or isinstance(high, bool):
        return False
    if low is _Open or high is _Open:
        return True
    if isinstance(low, int | float) or isinstance(high, int | float):
        try:
            low, high = float(low), float(high)
        except ValueError:
            return False
    return bool(low <= high if inclusive else low < high)

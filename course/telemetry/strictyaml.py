"""A small strict YAML reader: only mappings, lists and scalars, each with its line.

It reads parser events and never builds an alias, so a file of a few bytes cannot grow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12


@dataclass(frozen=True)
class Form:
    """What a text should be, for messages: "a rule file", its first key, and the error to raise."""

    what: str
    first: str
    error: type[ValueError]


@dataclass(frozen=True)
class Scalar:
    """A scalar as written; `null` tells an empty or null value from a quoted one."""

    text: str
    line: int
    null: bool


@dataclass(frozen=True)
class Mapping:
    """Keys in the order of the file, each with the line it stands on."""

    items: dict[str, "Node"]
    lines: dict[str, int]
    line: int


@dataclass(frozen=True)
class Sequence:
    """A list of nodes."""

    items: list["Node"]
    line: int


Node = Scalar | Mapping | Sequence


def kind(node: Node) -> str:
    """What a node is, in words fit for an error message."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "nothing" if node.null else f"the value {node.text[:40]!r}"


def read_yaml(text: str, form: Form) -> Node:
    """The single document of `text`.

    Raises
    ------
    ValueError
        Of the form's kind, if the text is no string, too large, binary or empty, is not YAML, holds
        more than one document, an anchor, alias, tag, merge key or duplicate key, or nests too deep.
    """
    _check_text(text, form)
    events = _checked_events(text, form)
    try:
        root = _node(next(events), events, form)
        next(events, None)
    except StopIteration:
        raise form.error(f"the file is empty; {form.what} starts with `{form.first}:`") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise form.error(f"{where}not valid YAML: {problem}") from None
    return root


def _check_text(text: str, form: Form) -> None:
    if not isinstance(text, str):
        raise form.error(
            f"{form.what} is text (str), found {type(text).__name__}; decode bytes as UTF-8 first"
        )
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise form.error(f"the file has {len(text)} characters; at most {MAX_BYTES} bytes are read")
    if "\x00" in text:
        raise form.error("the file holds a NUL byte: this is not a text file")
    if not text.strip():
        raise form.error(f"the file is empty; {form.what} starts with `{form.first}:`")


def _checked_events(text: str, form: Form) -> Iterator[Any]:
    """The content events of one document, refusing what such a file has no use for."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise form.error(
                    f"line {line}: a second document (`---`); {form.what} is one document"
                )
            continue
        if isinstance(event, yaml.AliasEvent):
            raise form.error(f"line {line}: alias *{event.anchor}; aliases are not allowed")
        if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            continue
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise form.error(f"line {line}: anchor &{event.anchor}; anchors are not allowed")
        if (tag := getattr(event, "tag", None)) is not None:
            raise form.error(f"line {line}: tag {tag}; tags are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise form.error(
                f"line {line}: nested deeper than {MAX_DEPTH} levels; {form.what} needs fewer"
            )
        yield event


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _node(event: Any, events: Iterator[Any], form: Form) -> Node:
    line = _line(event)
    if isinstance(event, yaml.ScalarEvent):
        null = event.style is None and event.value in ("", "~", "null", "Null", "NULL")
        return Scalar(event.value, line, null)
    if isinstance(event, yaml.SequenceStartEvent):
        entries = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            entries.append(_node(event, events, form))
        return Sequence(entries, line)
    mapping = Mapping({}, {}, line)
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        _add(mapping, _node(event, events, form), events, form)
    return mapping


def _add(mapping: Mapping, key: Node, events: Iterator[Any], form: Form) -> None:
    if not isinstance(key, Scalar):
        raise form.error(f"line {key.line}: a key must be a plain name, found {kind(key)}")
    if key.text == "<<":
        raise form.error(f"line {key.line}: merge key `<<`; merge keys are not allowed")
    if key.text in mapping.items:
        raise form.error(
            f"line {key.line}: key {key.text[:40]!r} is set twice "
            f"(first on line {mapping.lines[key.text]}); keep one"
        )
    mapping.lines[key.text] = key.line
    mapping.items[key.text] = _node(next(events), events, form)

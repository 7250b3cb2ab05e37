"""Elasticsearch's bulk body: what it takes at ``/_bulk``.

Source: Elasticsearch 8.x reference, "Bulk API": one action a line, the document on the next line
(none after a delete), and a newline at the very end.
"""

from __future__ import annotations

from typing import Any

from course.telemetry.wire._shape import FormatError, as_text, fail, parse_json

ACTIONS = ("create", "index", "update", "delete")
_METADATA = frozenset(
    [
        "_index",
        "_id",
        "routing",
        "version",
        "version_type",
        "if_seq_no",
        "if_primary_term",
        "require_alias",
        "require_data_stream",
        "dynamic_templates",
        "pipeline",
        "retry_on_conflict",
    ]
)


def read_bulk(body: str) -> list[dict[str, Any]]:
    """Read a bulk body; an empty text holds no actions.

    Returns
    -------
    list of dict
        One dict an action: action, index (None where the URL would have to name it), id (or
        None), document (dict, None after a delete). An object inside a document is spread out:
        ``{"log": {"level": "INFO"}}`` becomes ``{"log.level": "INFO"}``, as Elasticsearch reads
        both alike.

    Raises
    ------
    FormatError
        Says what was expected, what was found and where.

    Examples
    --------
    >>> read_bulk('{"create": {"_index": "logs"}}\\n{"message": "hello"}\\n')[0]["document"]
    {'message': 'hello'}
    >>> read_bulk('{"create": {"_index": "logs"}}\\n{"message": "hello"}')
    Traceback (most recent call last):
    ...
    course.telemetry.wire._shape.FormatError: the bulk body must end with a newline
    """
    if not as_text(body, "the bulk body"):
        return []
    if not body.endswith("\n"):
        raise FormatError("the bulk body must end with a newline")
    lines = body[:-1].split("\n")
    found: list[dict[str, Any]] = []
    waiting: dict[str, Any] | None = None
    for number, line in enumerate(lines, 1):
        content = parse_json(line, f"line {number} of the bulk body")
        if not isinstance(content, dict):
            fail(f"line {number}", "an object", content)
        if waiting is not None:
            waiting["document"] = _spread(content)
            waiting = None
            continue
        found.append(_action(content, number))
        waiting = None if found[-1]["action"] == "delete" else found[-1]
    if waiting is not None:
        raise FormatError(f"line {len(lines)}: an action without a document on the next line")
    return found


def _action(content: dict[str, Any], number: int) -> dict[str, Any]:
    if len(content) != 1 or next(iter(content)) not in ACTIONS:
        fail(f"line {number}", f"an action, one key of {', '.join(ACTIONS)}", content)
    ((name, about),) = content.items()
    if not isinstance(about, dict):
        fail(f"line {number}.{name}", "an object", about)
    for key, value in about.items():
        if key not in _METADATA:
            fail(f"line {number}.{name}", "only keys such as _index and _id", key)
        if key in ("_index", "_id") and not (isinstance(value, str) and value):
            fail(f"line {number}.{name}.{key}", "a string, not empty", value)
    if name in ("update", "delete") and "_id" not in about:
        fail(f"line {number}.{name}", "an _id", about)
    return {
        "action": name,
        "index": about.get("_index"),
        "id": about.get("_id"),
        "document": None,
    }


def _spread(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any]] = list(reversed(document.items()))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += [(f"{name}.{key}", entry) for key, entry in reversed(value.items())]
            continue
        if name in found:
            raise FormatError(f"the field {name!r} stands twice in one document")
        found[name] = value
    return found

"""The kernel's side of a call. Its text runs in the kernel alone, never in the trusted process.

A request names a function, or a held object and its method, with packed arguments; the
answer is written to a file as a packet. Whatever a hostile notebook makes of this code, all
it can do is to write some other answer.
"""

from __future__ import annotations

import linecache
import os
import sys
import types
from typing import Any

codec: Any = None
_held: dict[str, Any] = {}


def load(codec_source: str) -> None:
    """Make the codec from its text, once in a kernel."""
    global codec
    codec = types.ModuleType("__course_codec__")
    sys.modules["__course_codec__"] = codec
    exec(compile(codec_source, "<course codec>", "exec"), codec.__dict__)


def serve(request_path: str, answer_path: str, namespace: dict) -> None:
    """Read one request, do it and write its answer."""
    try:
        with open(request_path, "rb") as file:
            request = codec.decode(file.read())
        answer = {"ok": True, "value": _perform(request, namespace)}
    except BaseException as error:
        answer = {"ok": False, **_describe(error)}
    try:
        packet = codec.encode(answer)
    except BaseException as error:
        kind = "type" if isinstance(error, codec.CodecError) else type(error).__name__
        packet = codec.encode(
            {
                "ok": False,
                "error": "Untransportable",
                "message": str(error)[:500],
                "kind": kind,
                "found": type(answer.get("value")).__name__,
            }
        )
    temporary = answer_path + ".part"
    with open(temporary, "wb") as file:
        file.write(packet)
    os.replace(temporary, answer_path)


def _perform(request: dict, namespace: dict) -> Any:
    what = request["do"]
    if what == "hold":
        _held[request["key"]] = request["value"]
        return None
    if what == "drop":
        for key in request["keys"]:
            _held.pop(key, None)
        return None
    if what == "method":
        function = getattr(_held[request["on"]], request["name"])
    else:
        name = request["name"]
        if name not in namespace:
            raise _Missing(f"the notebook defines no `{name}`")
        function = namespace[name]
        if not callable(function):
            raise _Missing(f"`{name}` is a {type(function).__name__}, not a function")
    if what == "each":
        return [function(*map(_unhandle, args)) for args in request["calls"]]
    args = [_unhandle(item) for item in request["args"]]
    kwargs = {name: _unhandle(item) for name, item in request["kwargs"].items()}
    value = function(*args, **kwargs)
    if request.get("keep"):
        _held[request["keep"]] = value
        return None
    return value


class _Missing(Exception):
    pass


def _unhandle(value: Any) -> Any:
    if isinstance(value, codec.HandleRef):
        return _held[value.key]
    if type(value) is list:
        return [_unhandle(item) for item in value]
    if type(value) is dict:
        return {key: _unhandle(item) for key, item in value.items()}
    return value


def _describe(error: BaseException) -> dict:
    line, text, function = None, "", ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if "ipykernel_" in code.co_filename or "ipython-input" in code.co_filename:
            line, function = trace.tb_lineno, code.co_name
            text = linecache.getline(code.co_filename, trace.tb_lineno).strip()
        trace = trace.tb_next
    try:
        message = str(error)
    except BaseException:
        message = ""
    return {
        "error": type(error).__name__,
        "message": message[:2000],
        "line": line,
        "text": text[:200],
        "function": function[:100],
    }

"""The kernel's side of a call. Its text is sent to the kernel; the trusted process never runs it.

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


def serve(request_path: str, answer_path: str, codec_source: str, namespace: dict) -> None:
    """Read one request, do it and write its answer."""
    state: Any = sys.modules.get("__course_agent__")
    if state is None:
        state = types.ModuleType("__course_agent__")
        state.held = {}
        state.codec = types.ModuleType("__course_codec__")
        sys.modules["__course_codec__"] = state.codec
        exec(compile(codec_source, "<course codec>", "exec"), state.codec.__dict__)
        sys.modules["__course_agent__"] = state
    codec, held = state.codec, state.held
    try:
        with open(request_path, "rb") as file:
            request = codec.decode(file.read())
        answer = {"ok": True, "value": _perform(request, held, namespace, codec)}
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


def _perform(request: dict, held: dict, namespace: dict, codec: Any) -> Any:
    what = request["do"]
    if what == "hold":
        held[request["key"]] = request["value"]
        return None
    if what == "drop":
        for key in request["keys"]:
            held.pop(key, None)
        return None
    args = [_unhandle(item, held, codec) for item in request["args"]]
    kwargs = {name: _unhandle(item, held, codec) for name, item in request["kwargs"].items()}
    if what == "method":
        function = getattr(held[request["on"]], request["name"])
    else:
        name = request["name"]
        if name not in namespace:
            raise _Missing(f"the notebook defines no `{name}`")
        function = namespace[name]
        if not callable(function):
            raise _Missing(f"`{name}` is a {type(function).__name__}, not a function")
    value = function(*args, **kwargs)
    if request.get("keep"):
        held[request["keep"]] = value
        return None
    return value


class _Missing(Exception):
    pass


def _unhandle(value: Any, held: dict, codec: Any) -> Any:
    if isinstance(value, codec.HandleRef):
        return held[value.key]
    if type(value) is list:
        return [_unhandle(item, held, codec) for item in value]
    if type(value) is dict:
        return {key: _unhandle(item, held, codec) for key, item in value.items()}
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

"""What of a submission may be shown: plain text and checked pictures, never active content.

A feedback page and the formgrader show student output on a page of the instructor's, so a
notebook is rebuilt from what is known to be harmless.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from typing import Any

from course.grading.limits import Limits

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")
_ESCAPE = re.compile(
    r"\x1b(\[[0-9;?]*[ -/]*[@-~])?|[\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}
_FENCED = re.compile(r"\A(~{3,}|`{3,})text\n(.*)\n\1\Z", re.DOTALL)
CUT = "\n[... cut ...]"
_MAX_OUTPUTS = 200


def plain(text: Any, limit: int = 64 * 1024) -> str:
    """Text without control characters (colours stay), cut at `limit` characters."""
    text = (
        "".join(part for part in text if isinstance(part, str)) if isinstance(text, list) else text
    )
    if not isinstance(text, str):
        return ""
    cut = text[:limit] + (CUT if len(text) > limit else "")
    return _CONTROL.sub("", cut.encode("utf-8", "replace").decode())


def line(text: Any, limit: int) -> str:
    """Text on a line of its own, without colours: nothing in it can pose as another line."""
    return " ".join(_ESCAPE.sub("", plain(text, limit)).split())


class OutputRecorder:
    """Gathers a cell's outputs from messages, within limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.outputs: list[dict] = []
        self._text = limits.stream_bytes
        self._pictures = limits.image_bytes

    def add(self, kind: Any, content: dict) -> None:
        """Record one output message; anything unknown, active or beyond the limits is dropped."""
        if kind == "clear_output":
            self.outputs.clear()
            return
        if kind not in ("stream", "error", "display_data", "execute_result"):
            return
        output = safe_output({**content, "output_type": kind}, self._text, self._pictures)
        if output is None or self._text <= 0 or len(self.outputs) >= _MAX_OUTPUTS:
            return
        self._text -= _text_size(output)
        self._pictures -= _picture_size(output)
        last = self.outputs[-1] if self.outputs else {}
        if kind == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            self.outputs.append(output)


def safe_output(
    output: Any, text_limit: int = 64 * 1024, picture_limit: int = 2**21
) -> dict | None:
    """Rebuild one output from its harmless parts, or return None."""
    kind = output.get("output_type") if isinstance(output, dict) else None
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return {
            "output_type": "stream",
            "name": name,
            "text": plain(output.get("text"), text_limit),
        }
    if kind == "error":
        lines = output.get("traceback")
        lines = lines[-60:] if isinstance(lines, list) else []
        share = max(text_limit // 60, 200)
        return {
            "output_type": "error",
            "ename": plain(output.get("ename"), 200),
            "evalue": plain(output.get("evalue"), 2000),
            "traceback": [plain(line, share) for line in lines],
        }
    if kind not in ("display_data", "execute_result"):
        return None
    data = _safe_data(output.get("data"), text_limit, picture_limit)
    if not data:
        return None
    safe = {"output_type": kind, "data": data, "metadata": {}}
    if kind == "execute_result":
        count = output.get("execution_count")
        safe["execution_count"] = count if type(count) is int else None
    return safe


def _safe_data(data: Any, text_limit: int, picture_limit: int) -> dict:
    if not isinstance(data, dict):
        return {}
    safe = {}
    for kind, magic in _PICTURES.items():
        encoded = data.get(kind)
        if not isinstance(encoded, str) or not 0 < len(encoded) <= picture_limit:
            continue
        try:
            raw = base64.b64decode(encoded.replace("\n", ""), validate=True)
        except (binascii.Error, ValueError):
            continue
        if raw.startswith(magic):
            safe[kind] = base64.b64encode(raw).decode()
    if "text/plain" in data:
        safe["text/plain"] = plain(data["text/plain"], text_limit)
    return safe


def as_plain_text(source: str) -> str:
    """Markdown that shows `source` as it is, letter for letter, and renders nothing of it."""
    done = _FENCED.fullmatch(source)
    if done and done.group(1) not in done.group(2):
        return source
    longest = max((len(run) for run in re.findall(r"~{3,}", source)), default=2)
    fence = "~" * (longest + 1)
    return f"{fence}text\n{source}\n{fence}"


def make_safe(nb: Any, trusted: Collection[str] = ()) -> Any:
    """Make a whole notebook safe to show, in place.

    Parameters
    ----------
    nb : NotebookNode
        A valid notebook.
    trusted : collection of str
        Texts of the lesson's own Markdown cells, which may stay as they are.
    """
    for cell in nb.cells:
        cell.pop("attachments", None)
        keep = {"nbgrader", "deletable", "editable"}
        for name in [name for name in cell.metadata if name not in keep]:
            del cell.metadata[name]
        if cell.cell_type == "code":
            from nbformat import from_dict

            outputs = [safe_output(dict(output)) for output in cell.outputs[:_MAX_OUTPUTS]]
            cell.outputs = [from_dict(output) for output in outputs if output]
        elif cell.source not in trusted:
            if cell.cell_type == "raw":
                cell.cell_type = "markdown"
            cell.source = as_plain_text(cell.source)
    return nb


def _text_size(output: dict) -> int:
    size = len(output.get("text", "")) + sum(map(len, output.get("traceback", ())))
    return size + len(output.get("data", {}).get("text/plain", "")) + 50


def _picture_size(output: dict) -> int:
    return sum(len(output.get("data", {}).get(kind, "")) for kind in _PICTURES)

"""What happened in a run: faults (the truth), changes and restarts, notifications."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from course._files import write_atomic


class Ledger:
    """Files of a run folder that grow while it runs.

    Parameters
    ----------
    folder : Path

    Notes
    -----
    ``truth.json`` holds the faults, ``events.jsonl`` the change log (kinds "deploy", "flag",
    "scale") and what the supervisor did ("restart", "oom"), ``surges.jsonl`` harmless surges, ``notifications.jsonl`` what the
    alert manager sent. Times are Unix seconds.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truths: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def event(self, kind: str, service: str, detail: str) -> None:
        """Append one line to the change log."""
        self._append(
            "events.jsonl",
            {"time": time.time(), "kind": kind, "service": service, "detail": detail},
        )

    def surge(self, kind: str, seconds: float, size: float) -> None:
        """Append a harmless surge; like a fault it is no part of what an operator sees."""
        now = time.time()
        self._append(
            "surges.jsonl", {"start": now, "end": now + seconds, "kind": kind, "size": size}
        )

    def notification(self, content: dict[str, Any]) -> None:
        """Append what an alert manager sent."""
        self._append("notifications.jsonl", {"time": time.time(), **content})

    def begin_fault(self, fault: dict[str, Any]) -> None:
        """Enter a fault with its planned end."""
        with self._lock:
            self.truths.append(fault)
            self._write_truth()

    def end_fault(self, number: int, at: float) -> None:
        """Correct the end of a fault that was stopped."""
        with self._lock:
            for fault in self.truths:
                if fault["id"] == number:
                    fault["end"] = min(fault["end"], at)
            self._write_truth()

    def _write_truth(self) -> None:
        write_atomic(self.folder / "truth.json", json.dumps(self.truths))

    def _append(self, name: str, line: dict[str, Any]) -> None:
        with self._lock, (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; a last line that is not finished is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]

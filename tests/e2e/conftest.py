"""What the end-to-end tests share: the small course of the grading tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "grading"))

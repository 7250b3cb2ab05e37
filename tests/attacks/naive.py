"""Stock grading, for comparison: asserts beside the student's code, marks from its outputs."""

from __future__ import annotations

import tempfile

import nbformat
from nbclient import NotebookClient
from nbgrader.utils import determine_grade

from tests.attacks.attack import Attack

_DOUBLE = """
import numpy as np
expected = pd.Series(np.random.default_rng(7).normal(size=20)) * 2
answer = double(expected / 2)
assert len(answer) == 20, "wrong length"
assert (answer == expected).all(), "wrong values"
"""
_DETECT = """
import numpy as np
truth = pd.Series(np.random.default_rng(8).random(50) > 0.8)
answer = detect(truth * 100.0)
assert len(answer) == 50, "wrong length"
assert (answer == truth).all(), "wrong places"
"""


def points_beside_the_tests(attack: Attack, text: str) -> float:
    """Points of a notebook whose hidden tests run in the student's own kernel.

    Parameters
    ----------
    attack : Attack
        The attack.
    text : str
        Its notebook.
    """
    made = nbformat.reads(text, as_version=4)
    hidden = {"check-double": _DOUBLE, "check-detect": _DETECT}
    for cell in made.cells:
        cell.source = hidden.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            made, timeout=20, allow_errors=True, kernel_name="python3",
            resources={"metadata": {"path": folder}},
        )  # fmt: skip
        client.execute()
    graded = [cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    return sum(determine_grade(cell)[0] or 0.0 for cell in graded)

"""Notebook files that lie about their cells, their points and their kernel."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

TRIED = "print(T.mark, 'tried')\n"
FULL_MARKS = {
    "output_type": "execute_result", "execution_count": 1, "metadata": {},
    "data": {"text/plain": "20.0"},
}  # fmt: skip


def _graded(tree: dict) -> list[dict]:
    return [c for c in tree["cells"] if _meta(c).get("grade_id", "").startswith("check-")]


def _meta(cell: dict) -> dict:
    return cell["metadata"].get("nbgrader", {})


def _each(**changes: object) -> Callable[[dict], None]:
    """Change the nbgrader metadata of every check cell, and let the cell say full marks."""

    def change(tree: dict) -> None:
        for cell in _graded(tree):
            _meta(cell).update(changes)
            cell["source"] = "20.0"
            cell["outputs"] = [dict(FULL_MARKS)]

    return change


def _cell_type(kind: str) -> Callable[[dict], None]:
    def change(tree: dict) -> None:
        for cell in _graded(tree):
            cell["cell_type"] = kind
            cell.pop("outputs"), cell.pop("execution_count")

    return change


def _extra_checks(tree: dict) -> None:
    """Check cells with the same grade_id, before and after the real ones."""
    for cell in _graded(tree):
        for place in (0, len(tree["cells"])):
            twin = copy.deepcopy(cell)
            twin.update(
                id=f"twin{place}{_meta(cell)['grade_id']}",
                source="20.0",
                outputs=[dict(FULL_MARKS)],
            )
            tree["cells"].insert(place, twin)


def _extra_points(tree: dict) -> None:
    """Graded cells, tasks and solutions that the lesson does not have."""
    template = _graded(tree)[0]
    for name, more in (("bonus", {}), ("check-bonus", {}), ("essay", {"task": True, "grade": False}),
                       ("manual", {"solution": True}), ("check-double ", {}), ("CHECK-DOUBLE", {})):  # fmt: skip
        cell = copy.deepcopy(template)
        cell.update(id=f"x{len(tree['cells'])}", source="99.0", outputs=[dict(FULL_MARKS)])
        _meta(cell).update(grade_id=name, points=99, **more)
        tree["cells"].append(cell)


def _same_ids(tree: dict) -> None:
    for cell in tree["cells"]:
        cell["id"] = "same"


def _hostile_ids(tree: dict) -> None:
    for i, cell in enumerate(tree["cells"]):
        cell["id"] = (
            "../../../../etc/passwd",
            "x" * 100_000,
            "'; drop table grade; --",
            "\u0000",
            "<b>",
        )[i % 5]


def _kernel(tree: dict) -> None:
    tree["metadata"] = {
        "kernelspec": {"name": "../../../tmp/MARK", "display_name": "x", "language": "bash",
                       "argv": ["/bin/sh", "-c", "touch /tmp/MARK"],
                       "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}},
        "language_info": {"name": "bash", "file_extension": "/../../../tmp/MARK", "nbconvert_exporter": "os.system"},
        "jupytext": {"formats": "py:percent"}, "celltoolbar": "x", "widgets": {"x": 1},
        "course": {"notes": [], "refused": False}, "nbgrader": {"points": 30},
    }  # fmt: skip


def _huge(tree: dict) -> None:
    tree["metadata"]["x"] = "y" * 8_000_000
    for cell in tree["cells"]:
        cell["metadata"]["z"] = {f"k{i}": ["v"] * 10 for i in range(2000)}
        _meta(cell).update(comment="c" * 200_000)


def _solve_the_check(tree: dict) -> None:
    """Let a check cell hold the solution and call itself one."""
    for cell in _graded(tree):
        _meta(cell).update(solution=True, locked=False, checksum="0" * 32)
        cell["source"] = "pass"
        cell["outputs"] = [dict(FULL_MARKS)]


def _swap(tree: dict) -> None:
    """Exchange the ids of the two exercises, so that points move to the cheaper one."""
    for cell in _graded(tree):
        meta = _meta(cell)
        meta["grade_id"] = {"check-double": "check-detect", "check-detect": "check-double"}[
            meta["grade_id"]
        ]


def _forged_grades(tree: dict) -> None:
    for cell in tree["cells"]:
        cell["metadata"]["nbgrader"] = {**_meta(cell), "score": 20, "max_score": 20, "manual_score": 20,
                                        "extra_credit": 99, "auto_score": 20, "needs_manual_grade": True}  # fmt: skip
        if cell["cell_type"] == "code":
            cell["outputs"] = [dict(FULL_MARKS)] * 3


def _surrogates(tree: dict) -> None:
    tree["cells"].append({"cell_type": "code", "id": "s", "metadata": {}, "outputs": [],
                          "execution_count": None, "source": ["'\ud800'", "\n", "\u202e\u0000"]})  # fmt: skip
    tree["cells"].append({"cell_type": "code", "metadata": {"tags": "x"}, "source": {"a": 1}})


def _attack(name: str, tries: str, change: Callable[[dict], None], **more: object) -> Attack:
    return Attack(name, tries, TRIED, change=change, through="nbgrader", **more)


RIGHT = "def double(v):\n    return v * 2\n"
ATTACKS = [
    _attack("forged points", "check cells worth a billion points", _each(points=1e9)),
    _attack("points that are no number", "NaN, negative and textual points",
            lambda tree: [_meta(cell).update(points=p) for cell, p in zip(_graded(tree), ("NaN", -50), strict=True)]),
    _attack("grade: false", "a check cell that is not graded has full marks", _each(grade=False)),
    _attack("a check cell made a solution cell", "the student's own text stands in the check",
            _solve_the_check),
    _attack("a check cell of another type", "a Markdown cell has no output and full marks",
            _cell_type("markdown")),
    _attack("a raw check cell", "a raw cell is never run", _cell_type("raw")),
    _attack("check cells twice", "another cell with the same grade_id counts", _extra_checks),
    _attack("cells that earn more points", "graded cells and tasks of one's own", _extra_points),
    _attack("exchanged exercises", "the points of the harder exercise for the easier", _swap,
            double=RIGHT, honest=10.0),
    _attack("forged scores in metadata and outputs", "manual scores, extra credit, results",
            _forged_grades),
    _attack("duplicate cell ids", "every cell has the same id", _same_ids, double=RIGHT, honest=10.0),
    _attack("hostile cell ids", "paths, SQL, markup and a hundred thousand letters", _hostile_ids,
            double=RIGHT, honest=10.0),
    _attack("another kernel", "a kernel name that is a path, a command, another language", _kernel,
            double=RIGHT, honest=10.0),
    _attack("huge metadata", "megabytes in notebook and cells", _huge, double=RIGHT, honest=10.0),
    _attack("broken text", "surrogates, control characters, sources that are no text", _surrogates,
            double=RIGHT, honest=10.0),
    Attack("a forged time of submission", "a timestamp.txt that nbgrader cannot read must not stop the run",
           TRIED, files={"timestamp.txt": "9999-99-99 <script>alert(666)</script> UTC\n"},
           through="nbgrader", evidence=""),
    Attack("a second notebook", "another copy of the notebook beside and below", TRIED,
           files={"fixture-copy.ipynb": "{}", "sub/fixture.ipynb": "{}", "Fixture.ipynb": "[",
                  ".ipynb_checkpoints/fixture.ipynb": "{}"},
           double=RIGHT, honest=10.0, through="nbgrader"),
    Attack("file names that are commands", "names with markup, options, newlines and escapes", TRIED,
           files={"-rf": "x", "$(touch MARK).csv": "x", "a\nb.csv": "x", "\x1b[31m.csv": "x",
                  "'; drop table grade; --": "x", "..csv": "x", "~": "x"},
           double=RIGHT, honest=10.0, through="nbgrader"),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))

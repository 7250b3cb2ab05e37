"""Only the cells run that an answer needs, and in doubt one more."""

from __future__ import annotations

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode

from course.grading.slicing import names_of, plan, prefix_cells, warmth
from course.lessons import months

MODULES = frozenset({"np", "plt"})


def notebook(*cells: tuple[str, str]) -> NotebookNode:
    """Code cells as (kind, text); kind is demo, answer NAME or check NAME."""
    made = []
    for kind, text in cells:
        cell = nbformat.v4.new_code_cell(text)
        if kind != "demo":
            cell.metadata["nbgrader"] = {
                "grade_id": kind.replace("answer ", "").replace(" ", "-"),
                "solution": kind.startswith("answer"), "grade": kind.startswith("check"),
            }  # fmt: skip
        cell.outputs = [nbformat.v4.new_output("stream", text=f"{kind}\n")]
        made.append(cell)
    return nbformat.v4.new_notebook(cells=made)


LESSON = notebook(
    ("demo", "import numpy as np\nimport matplotlib.pyplot as plt\nlimit = 3"),
    ("answer f", "def f(x):\n    return x > limit"),
    ("check f", "assert f(4)"),
    ("demo", "chart = [f(i) for i in range(9)]\nplt.show()"),
    ("demo", "weights = np.ones(3)"),
    ("demo", "other = 7\nprint(other)"),
    ("answer g", "def g(x):\n    return x * scale(x)"),
    ("demo", "def scale(x):\n    return weights.sum()"),
)


def changed(**answers: str) -> NotebookNode:
    """The lesson with other answers."""
    copy = nbformat.from_dict(LESSON)
    cells = [nbformat.from_dict(dict(cell)) for cell in copy.cells]
    for cell in cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
    return nbformat.v4.new_notebook(cells=cells)


def test_without_a_lesson_every_cell_runs() -> None:
    found = plan(LESSON, None)
    assert found.run == set(range(8))
    assert not found.prefix


def test_answers_run_and_what_they_need_and_no_chart() -> None:
    assert plan(LESSON, LESSON).run == {1, 4, 6, 7}


def test_the_cells_before_the_first_answer_are_the_prefix() -> None:
    assert [cell.source for cell in prefix_cells(LESSON)] == [LESSON.cells[0].source]
    assert warmth(LESSON).prefix == (LESSON.cells[0].source,)
    assert warmth(LESSON).imports == ("numpy", "matplotlib.pyplot")


def test_cells_that_need_what_is_withheld_are_no_part_of_the_prefix() -> None:
    lesson = notebook(
        ("demo", "import numpy as np\nlimit = 3"),
        (
            "demo",
            "from course.telemetry import prometheus\ndef ask(): return prometheus.evaluate()",
        ),
        ("demo", "shown = ask()"),
        ("demo", "weights = np.ones(limit)"),
        ("answer f", "def f(x): return x"),
    )
    lesson.metadata["course"] = {"withheld": ["course.telemetry.prometheus"]}
    assert [cell.source for cell in prefix_cells(lesson)] == [
        lesson.cells[0].source, lesson.cells[3].source
    ]  # fmt: skip
    assert plan(lesson, lesson).run == {4}


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("figure, ax = plots.one()\nax.plot(data)", {"plots", "data"}),
        ("for ax in axes:\n    ax.plot()", {"axes"}),
        ("for ax in axes:\n    ax.plot()\nax.show()", {"axes", "ax"}),
        ("with make() as held:\n    x = held\ny = x", {"make"}),
        ("if data:\n    x = 1\nprint(x)", {"data", "print", "x"}),
        ("x = x + 1", {"x"}),
        ("x += 1", {"x"}),
        ("def f():\n    return g()\ndef g():\n    return 1", {"g"}),
        ("rows = [row for row in table]", {"table"}),
        ("limit = 3\ndef f():\n    return limit", {"limit"}),
        ("key = 3\nby = lambda row: row[key]", {"key"}),
        ("for table['a'] in rows:\n    pass", {"table", "rows"}),
        ("import numpy as np\nz = np.ones(3)", set()),
        ("x: int\nprint(x)", {"int", "print", "x"}),
    ],
)
def test_what_a_cell_binds_before_it_reads_it_needs_from_nobody(code: str, used: set[str]) -> None:
    assert names_of(code).used == used


def test_one_exercise_alone_needs_less() -> None:
    assert plan(LESSON, LESSON, only="f").run == {1}


def test_what_a_check_asks_for_runs() -> None:
    assert plan(LESSON, LESSON, only="f", asked=["other"]).run == {1, 5}


def test_cells_of_the_student_s_own_run() -> None:
    mine = changed()
    mine.cells.insert(4, nbformat.v4.new_code_cell("helper = chart"))
    assert plan(mine, LESSON).run == {1, 3, 4, 5, 7, 8}


def test_an_edited_cell_of_the_lesson_is_the_student_s_own() -> None:
    mine = changed()
    mine.cells[5].source = "other = 8"
    assert 5 in plan(mine, LESSON).run


@pytest.mark.parametrize(
    "text",
    ["def f(x):\n    return globals()['other']", "def f(x):\n    return eval('other')",
     "%load_ext x\ndef f(x): return x", "from math import *\ndef f(x): return x"],
)  # fmt: skip
def test_code_that_looks_names_up_while_it_runs_has_everything_run(text: str) -> None:
    assert plan(changed(f=text), LESSON).run == {1, 2, 3, 4, 5, 6, 7}


def test_what_no_answer_can_have_changed_is_shown_as_the_lesson_has_it() -> None:
    shown = plan(LESSON, LESSON, only="f").shown
    assert shown[5] == LESSON.cells[5].outputs
    assert 2 not in shown and 3 not in shown, "the check and the chart of the student's f"


@pytest.mark.parametrize(
    ("text", "used", "bound"),
    [
        ("def f(a, b=c):\n    d = a\n    return d + e", "c e", "f"),
        ("x = [y for y in z]", "z", "x"),
        ("class A(B):\n    q = 1\n    def m(self): return w", "B w", "A"),
        ("table['a'] = 1", "table", "table"),
        ("items.sort()", "items", "items"),
        ("shuffle(items)", "shuffle items", "items shuffle"),
        ("plt.show()", "plt", ""),
        ("np.random.seed(3)", "np", "np"),
        ("print(items)", "print items", ""),
        ("def f():\n    global g\n    g = 1", "", "f g"),
        ("import a.b as c, d.e", "", "c d"),
        ("for i in r:\n    s += i", "r s", "i s"),
        ("not python at all", "", ""),
    ],
)
def test_names(text: str, used: str, bound: str) -> None:
    found = names_of(text, MODULES)
    assert (found.used, found.bound) == (set(used.split()), set(bound.split()))


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    names_of(text)
    plan(changed(f=text), LESSON)


@pytest.mark.parametrize("month", months(), ids=lambda month: month.name)
def test_a_month_s_answers_need_no_check_and_few_demonstrations(month) -> None:
    from course.grading.audit import lesson_notebook

    lesson = lesson_notebook(month)
    asked = [name for exercise in month.exercises for name in exercise.functions]
    run = plan(lesson, lesson, asked=asked).run
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    graded = [cell for cell in code if cell.metadata.get("nbgrader", {}).get("solution")]
    assert len(run) < len(graded) + (len(code) - len(graded)) / 2

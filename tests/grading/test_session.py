"""A notebook runs to its end whatever its cells do, and its functions can be asked afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fixture_course as fixture
import numpy as np
import pandas as pd
import pytest

from course.grading.session import NotebookSession, NotebookStudent
from course.lessons import Exercise
from course.lessons.checking import StudentError

pytestmark = pytest.mark.sandbox
EXERCISE = Exercise("e", "E", 10.0, ("f",), 2.0, ())


def student(session: NotebookSession) -> NotebookStudent:
    return NotebookStudent(session, EXERCISE)


def test_outputs_are_recorded_and_errors_do_not_stop_it(run_cells: Callable) -> None:
    session = run_cells("print('hello')", "1 / 0", "40 + 2")
    first, second, third = (cell.outputs for cell in session.notebook.cells)
    assert first[0].text == "hello\n"
    assert second[0].ename == "ZeroDivisionError"
    assert third[0].data["text/plain"] == "42"


def test_a_function_gets_values_and_gives_plain_copies(run_cells: Callable) -> None:
    ask = student(
        run_cells(
            "def f(series, factor=1):\n    return {'sum': series.sum() * factor, 's': series}"
        )
    )
    series = pd.Series([1.0, 2.0], index=pd.date_range("2026", periods=2, freq="1min", tz="UTC"))
    answer = ask.call("f", series, factor=np.int64(3))
    assert answer["sum"] == 9.0
    assert type(answer["sum"]) is float
    pd.testing.assert_series_equal(answer["s"], series)


def test_many_calls_travel_together_and_answer_in_order(run_cells: Callable) -> None:
    session = run_cells("def f(model, x):\n    return {'x': x + model['a']}")
    ask = student(session)
    model = ask.hold({"a": 100})
    requests: list[str] = []
    before = session.ask
    session.ask = lambda request, timeout: (
        requests.append(request["do"]) or before(request, timeout)
    )
    assert ask.each("f", [(model, n) for n in range(40)]) == [{"x": 100 + n} for n in range(40)]
    assert requests[0] == "call", "the first call alone shows how long one takes"
    assert len(requests) <= 5


def test_slow_calls_are_asked_one_by_one(run_cells: Callable) -> None:
    session = run_cells("import time\ndef f(x):\n    time.sleep(0.2)\n    return x")
    requests: list[str] = []
    before = session.ask
    session.ask = lambda request, timeout: (
        requests.append(request["do"]) or before(request, timeout)
    )
    assert student(session).each("f", [(n,) for n in range(4)], timeout=0.5) == [0, 1, 2, 3]
    assert requests == ["call"] * 4


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("def f(x):\n    return 1 / (x - 3)", "ZeroDivisionError: division by zero (line 2 of its cell"),
        ("def f(x):\n    return object() if x == 3 else x", "returned a object that cannot be graded"),
        ("import time\ndef f(x):\n    time.sleep(60 if x == 3 else 0)", "no answer within"),
        ("import os\ndef f(x):\n    return os._exit(0) if x == 3 else x", "the kernel stopped while `f` ran"),
        ("g = 1", "defines no `f`"),
    ],
)  # fmt: skip
def test_one_bad_call_of_many_is_told_as_if_it_were_alone(
    run_cells: Callable, cell: str, said: str
) -> None:
    with pytest.raises(StudentError) as caught:
        student(run_cells(cell)).each("f", [(n,) for n in range(6)], timeout=1)
    assert said in str(caught.value)


def test_held_and_kept_objects_stay_in_the_kernel(run_cells: Callable) -> None:
    ask = student(run_cells(
        "class Counter:\n"
        "    def __init__(self, start): self.n = start[0]\n"
        "    def add(self, k): self.n += k; return self.n\n"
        "def size(values): return len(values)\n"
    ))  # fmt: skip
    values = ask.hold([5, 6, 7])
    assert ask.call("size", values) == 3
    counter = ask.keep("Counter", values)
    assert ask.method(counter, "add", 2) == 7
    assert ask.method(counter, "add", 2) == 9


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("def f():\n    raise NotImplementedError('write this function')", "is not written yet"),
        ("def f():\n    x = 1\n    return x / 0", "ZeroDivisionError: division by zero (line 3 of its cell: `return x / 0`)"),
        ("raise ValueError('early')\ndef f(): pass", "defines no `f`; its cell stopped with ValueError: early"),
        ("f = 3", "`f` is a int, not a function"),
        ("def f(): return object()", "returned a object that cannot be graded"),
        ("def f(): return (x for x in 'ab')", "returned a generator that cannot be graded"),
        ("def f(): raise SystemExit(1)", "raised SystemExit"),
        ("import time\ndef f(): time.sleep(60)", "no answer within 1 s"),
        ("def f():\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass", "no answer within 1 s"),
        ("import os\ndef f(): os._exit(0)", "the kernel stopped while `f` ran"),
        ("import numpy as np\ndef f(): return np.ones(10**10)", "MemoryError"),
        ("import numpy as np\ndef f(): return np.ones(10**8)", "larger than the 256 MB"),
        ("class E(Exception):\n    def __str__(self): raise E()\ndef f(): raise E()", "raised E"),
    ],
)  # fmt: skip
def test_a_student_reads_what_went_wrong(run_cells: Callable, cell: str, said: str) -> None:
    with pytest.raises(StudentError) as caught:
        student(run_cells(cell)).call("f", timeout=1 if "within" in said else 10)
    assert said in str(caught.value)


def test_a_dead_kernel_is_started_again_for_the_next_call(run_cells: Callable) -> None:
    session = run_cells("import os\ndef f(): os._exit(0)\ndef g(): return 7")
    with pytest.raises(StudentError):
        student(session).call("f")
    assert student(session).call("g") == 7


def test_a_handle_of_a_dead_kernel_is_refused(run_cells: Callable) -> None:
    ask = student(run_cells("import os\ndef f(): os._exit(0)\ndef g(x): return x"))
    held = ask.hold(1)
    with pytest.raises(StudentError):
        ask.call("f")
    with pytest.raises(StudentError, match="stopped earlier"):
        ask.call("g", held)


def test_kernels_are_started_again_only_so_often(run_cells: Callable) -> None:
    names = ["f", "g", "h", "i"]
    cells = [f"import os\ndef {name}(): os._exit(0)" for name in names]
    session = run_cells(*cells, limits=replace(fixture.QUICK, restarts=2))
    for name in names:
        with pytest.raises(StudentError, match="the kernel stopped"):
            student(session).call(name)
    assert session.generation == 3


def test_a_function_that_killed_the_kernel_is_not_called_again(run_cells: Callable) -> None:
    session = run_cells("import os\ndef f(): os._exit(0)\ndef g(): return 7")
    for said in ("the kernel stopped", "not asked again"):
        with pytest.raises(StudentError, match=said):
            student(session).call("f")
    assert student(session).call("g") == 7
    assert session.generation == 2


def test_a_hanging_function_is_not_asked_for_ever(run_cells: Callable) -> None:
    ask = student(run_cells("import time\ndef f(): time.sleep(60)"))
    for _ in range(3):
        with pytest.raises(StudentError, match="no answer"):
            ask.call("f", timeout=0.3)
    with pytest.raises(StudentError, match="not asked again"):
        ask.call("f")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os; os._exit(3)", "process ended"),
        ("import time\nwhile True: time.sleep(1)", "Stopped after"),
        ("held = []\nwhile True: held.append(b'x' * 50_000_000)", "MB of memory"),
        (
            "import time\nfor i in range(40):\n    open(str(i), 'wb').write(b'x' * 10_000_000)\n    time.sleep(0.1)",
            "wrote more than",
        ),
    ],
)
def test_the_cells_after_a_deadly_one_still_count(
    run_cells: Callable, cell: str, said: str
) -> None:
    limits = replace(fixture.QUICK, cell_s=5.0, memory=700 * 2**20, folder_size=50 * 2**20)
    session = run_cells("a = 1", cell, "def f(): return a", limits=limits)
    assert said in str(session.notebook.cells[1].outputs)
    assert student(session).call("f") == 1


def test_a_flood_of_output_is_cut_while_it_is_read(run_cells: Callable) -> None:
    session = run_cells(
        "for i in range(20_000): print('x' * 500)", "print('y' * 100_000_000)", "print('z')"
    )
    texts = [sum(len(o.get("text", "")) for o in cell.outputs) for cell in session.notebook.cells]
    assert max(texts) < 2 * fixture.QUICK.stream_bytes
    assert session.notebook.cells[2].outputs[0].text == "z\n"


def test_own_files_can_be_read_and_the_originals_not_changed(
    run_cells: Callable, tmp_path: Path
) -> None:
    (tmp_path / "own.csv").write_text("1")
    (tmp_path / "other.ipynb").write_text("{}")
    session = run_cells(
        "import os\nprint(sorted(os.listdir()), open('own.csv').read())\nopen('own.csv', 'w').write('2')",
        files=tmp_path,
    )
    assert session.notebook.cells[0].outputs[0].text == "['own.csv'] 1\n"
    assert (tmp_path / "own.csv").read_text() == "1"


def test_another_answer_takes_the_place_of_the_last_one(run_cells: Callable) -> None:
    session = run_cells("base = 1", "def f(x):\n    return helper(x)\ndef helper(x):\n    return x",
                        "shown = f(base)", "def last(): return shown")  # fmt: skip
    for place, cell in enumerate(session.notebook.cells):
        cell.metadata["nbgrader"] = {"grade_id": f"cell-{place}"}
    session.replace("cell-1", "def f(x):\n    return 2 * x")
    assert (student(session).call("f", 4), student(session).call("last")) == (8, 2)
    with pytest.raises(StudentError, match="defines no `helper`"):
        student(session).call("helper", 1)
    session.replace("cell-1", "import os\nos._exit(1)")
    with pytest.raises(StudentError):
        student(session).call("f", 4)
    session.replace("cell-1", "def f(x):\n    return 3 * x")
    assert student(session).call("f", 4) == 12


def test_no_run_folder_is_left_behind(run_cells: Callable) -> None:
    session = run_cells("import os; os._exit(0)", "1")
    folder = session._kernel.folder.path
    assert folder.exists()
    session.close()
    assert not folder.exists()

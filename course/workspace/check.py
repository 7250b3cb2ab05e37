"""Run a month's visible checks on a student's notebook, in a fresh kernel."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from course._files import sha256, write_atomic
from course.errors import CourseError
from course.workspace.syllabus import Exercise, Month

Status = Literal["pass", "fail", "not started"]
CELL_TIMEOUT_S = 120
STARTUP_TIMEOUT_S = 120
_MOST_BYTES = 50_000_000
_TIMEOUT = "CellTimeoutError"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Result:
    """What the visible check of one exercise said.

    Parameters
    ----------
    exercise : str
        Its id.
    points : float
        What the hidden checks can give; passing the visible check gives none by itself.
    status : {"pass", "fail", "not started"}
    message : str
        Why it failed; empty for a pass.
    """

    exercise: str
    points: float
    status: Status
    message: str = ""


def run_checks(
    workspace: Path,
    month: Month,
    *,
    only: str | None = None,
    release: Path | None = None,
    cell_timeout_s: float = CELL_TIMEOUT_S,
) -> list[Result]:
    """Run a student's notebook from top to bottom and report the check of each exercise.

    The check cells are taken from the release, so that a check edited by mistake does not
    mislead. Cells tagged ``demo`` are left out: they only show something.

    Parameters
    ----------
    workspace : Path
        Folder with the student's notebooks.
    month : Month
        Which notebook.
    only : str, optional
        Id of one exercise; the checks of the others are not run.
    release : Path, optional
        Folder of released assignments; without it the notebook's own check cells are used.
    cell_timeout_s : float
        Longest time for one cell, in seconds.

    Returns
    -------
    list of Result
        In the order of the exercises.

    Raises
    ------
    CourseError
        The notebook is missing or broken, or there is no such exercise.
    """
    wanted = _wanted(month, only)
    notebook = _read(workspace / month.notebook_file)
    released = _released_cells(release, month)
    own = {_grade_id(cell): cell for cell in notebook.cells if _grade_id(cell)}
    for exercise in wanted:
        if exercise.id not in own:
            raise CourseError(
                f"{month.notebook_file} has no cell {exercise.id!r} (exercise {exercise.title}): "
                "it was deleted. Your file is unchanged; copy the cell back from a fresh release."
            )
    outcome = _execute(
        notebook,
        released,
        {exercise.check_id for exercise in wanted},
        workspace,
        month,
        cell_timeout_s,
    )
    return [_result(exercise, own, released, outcome) for exercise in wanted]


def save_results(workspace: Path, month: Month, results: list[Result]) -> Path:
    """Keep results for `course progress`; those of exercises not run now are kept as they were."""
    path = results_file(workspace, month)
    kept = {result.exercise: result for result in load_results(workspace, month)}
    kept |= {result.exercise: result for result in results}
    content = {
        "month": month.name,
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "notebook_sha256": sha256(workspace / month.notebook_file),
        "results": [asdict(result) for result in kept.values()],
    }
    write_atomic(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return path


def load_results(workspace: Path, month: Month) -> list[Result]:
    """Return the results kept by `save_results`; none if there is no usable file."""
    try:
        content = json.loads(results_file(workspace, month).read_text(encoding="utf-8"))
        return [Result(**item) for item in content["results"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def results_file(workspace: Path, month: Month) -> Path:
    """Where the results of a month are kept."""
    return workspace / ".course" / "results" / f"{month.name}.json"


def _wanted(month: Month, only: str | None) -> tuple[Exercise, ...]:
    if only is None:
        return month.exercises
    found = tuple(exercise for exercise in month.exercises if exercise.id == only)
    if not found:
        there = ", ".join(exercise.id for exercise in month.exercises)
        raise CourseError(f"month {month.number} has no exercise {only!r}; it has {there}")
    return found


def _read(path: Path) -> Any:
    import nbformat

    if not path.is_file():
        raise CourseError(f"there is no notebook {path}: run `course lab` once to get it")
    if path.stat().st_size > _MOST_BYTES:
        raise CourseError(
            f"{path} has {path.stat().st_size / 1e6:.0f} MB: clear its outputs "
            "(Edit → Clear Outputs of All Cells) and save it"
        )
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CourseError(
            f"{path} is no valid notebook ({reason}). It is unchanged; earlier versions may be in "
            ".ipynb_checkpoints beside it."
        ) from error
    return notebook


def _released_cells(release: Path | None, month: Month) -> dict[str, Any]:
    if release is None or not (release / month.notebook_file).is_file():
        return {}
    cells = _read(release / month.notebook_file).cells
    return {_grade_id(cell): cell for cell in cells if _grade_id(cell)}


def _grade_id(cell: Any) -> str:
    about = cell.metadata.get("nbgrader")
    return str(about.get("grade_id", "")) if isinstance(about, dict) else ""


def _execute(
    notebook: Any,
    released: dict[str, Any],
    checks: set[str],
    workspace: Path,
    month: Month,
    cell_timeout_s: float,
) -> dict[str, tuple[str, str] | None]:
    """Run the cells; return (error name, message) or None by grade_id for those that ran."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=int(cell_timeout_s),
        startup_timeout=STARTUP_TIMEOUT_S,
        kernel_name="python3",
        interrupt_on_timeout=True,
        error_on_timeout={"ename": _TIMEOUT, "evalue": "", "traceback": []},
        raise_on_iopub_timeout=False,
        allow_errors=True,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str((workspace / month.notebook_file).parent)}},
    )
    outcome: dict[str, tuple[str, str] | None] = {}
    last = ""
    with _kernel(client):
        for index, cell in enumerate(notebook.cells):
            grade_id = _grade_id(cell)
            if cell.cell_type != "code" or "demo" in cell.metadata.get("tags", []):
                continue
            if grade_id.startswith("check-"):
                if grade_id not in checks:
                    continue
                cell.source = released.get(grade_id, cell).source
            error = _run(client, cell, index)
            if grade_id:
                outcome[grade_id] = error
            name = error[0] if error else ""
            # Two in a row: the first could not be interrupted, and nothing more will run.
            if name == "DeadKernelError" or name == last == _TIMEOUT:
                break
            last = name
    return outcome


@contextmanager
def _kernel(client: Any) -> Iterator[None]:
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError

    with ExitStack() as stack:
        stack.enter_context(suppress(DeadKernelError))
        try:
            stack.enter_context(client.setup_kernel(env={**os.environ, "MPLBACKEND": "agg"}))
        except (RuntimeError, NoSuchKernel) as error:
            raise CourseError(
                f"the Python kernel does not start ({error}): install the course again, "
                "and see `jupyter kernelspec list` for the kernel named python3"
            ) from error
        yield


def _run(client: Any, cell: Any, index: int) -> tuple[str, str] | None:
    from nbclient.exceptions import DeadKernelError

    replies: list[dict[str, Any]] = []
    client.on_cell_error = lambda execute_reply, **_: replies.append(execute_reply["content"])
    try:
        client.execute_cell(cell, index)
    except DeadKernelError:
        return "DeadKernelError", "the kernel ended while this cell ran"
    if not replies:
        return None
    name, message = replies[0]["ename"], _ANSI.sub("", replies[0]["evalue"])
    if name == _TIMEOUT:
        message = f"ran longer than {client.timeout} s and was stopped"
    return name, message


def _result(
    exercise: Exercise,
    own: dict[str, Any],
    released: dict[str, Any],
    outcome: dict[str, tuple[str, str] | None],
) -> Result:
    stub = released.get(exercise.id)
    points = exercise.points
    if stub is not None and own[exercise.id].source.strip() == stub.source.strip():
        return Result(exercise.id, points, "not started")
    cause, error = outcome.get(exercise.id), outcome.get(exercise.check_id)
    if exercise.check_id in outcome and error is None:
        return Result(exercise.id, points, "pass")
    told = cause or error
    if told is None:
        why = "an earlier cell hung or ended the kernel, so it was not run"
        if exercise.check_id not in own:
            why = "its check cell was deleted"
        return Result(exercise.id, points, "fail", why)
    name, message = told
    where = "your cell: " if cause else ""
    if name == "NotImplementedError" and not cause:
        where = "it still raises NotImplementedError, or calls an exercise that does: "
    text = message if name == "AssertionError" else f"{name}: {message}".rstrip(": ")
    return Result(exercise.id, points, "fail", where + text)

"""A submission's notebook: run it, keep its kernel alive, call its functions, survive its death."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from nbformat import NotebookNode, from_dict

from course.grading import codec
from course.grading.forkserver import fork_server
from course.grading.kernel import Kernel, KernelStartError
from course.grading.limits import Limits
from course.grading.safety import line
from course.grading.sandbox import RunFolder, SandboxError
from course.grading.slicing import Plan, names_of, plan, prefix_cells, warmth, withheld
from course.lessons import Exercise
from course.lessons.checking import Handle, StudentError

_KERNEL_DIED = "the kernel stopped"
# A slow or hanging function is asked at most this often within one exercise.
_TIMEOUTS = 3
# Calls in one request.
_TOGETHER = 16


class NotebookSession:
    """One notebook in one sandboxed kernel, restarted and rerun a bounded number of times.

    Parameters
    ----------
    notebook : NotebookNode
        Executed in place: outputs are replaced by those of the run.
    limits : Limits
        What it may use.
    files : Path, optional
        Folder of the submission; regular files in it are copied.
    unsafe : bool
        Run without a sandbox.
    lesson : NotebookNode, optional
        The month's notebook. With it, only those of its cells run that something needs, and
        the first ones have been run by the warm parent (see `course.grading.slicing`).
    asked : collection of str
        Names that checks will call.
    only : str
        Take this exercise's cell alone for the student's.
    more : iterable of str
        Further code that is going to be run in the kernel.
    """

    def __init__(
        self,
        notebook: NotebookNode,
        limits: Limits | None = None,
        *,
        files: Path | None = None,
        unsafe: bool = False,
        lesson: NotebookNode | None = None,
        asked: Collection[str] = (),
        only: str = "",
        more: Iterable[str] = (),
    ) -> None:
        self.notebook, self.limits = notebook, limits or Limits()
        self.notes: list[str] = []
        self.generation = 0
        self._files, self._unsafe, self._lesson = files, unsafe, lesson
        self._plan: Plan = plan(notebook, lesson, asked=asked, only=only, more=more)
        self._kernel: Kernel | None = None
        self._deadline = time.monotonic() + self.limits.total_s
        self._deadly: set[int] = set()
        self.deadly_functions: set[str] = set()
        self._crashed = self._keep_files = False
        self._resumed = 0

    def __enter__(self) -> NotebookSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the kernel."""
        if self._kernel is not None:
            self._kernel.close()
            self._kernel = None

    @property
    def alive(self) -> bool:
        """Whether there is a kernel to ask."""
        return self._kernel is not None and self._kernel.alive

    def run(self) -> None:
        """Run the cells, recording outputs; go on after errors, and after the kernel's death."""
        self._show_the_others()
        cells = sorted(self._plan.run)
        until = time.monotonic() + self.limits.notebook_s
        room = self.limits.notebook_bytes
        if not self._start():
            return
        for i in cells:
            cell = self.notebook.cells[i]
            left = until - time.monotonic()
            if left <= 0 or not self.alive:
                reason = "the notebook's time was up" if left <= 0 else "the kernel was gone"
                _append_error(cell, "NotRun", f"This cell was not run: {reason}.")
                continue
            room -= self._run_cell(i, min(self.limits.cell_s, left), room)

    def _run_cell(self, i: int, timeout: float, room: int) -> int:
        """Run a cell and record its outputs if they fit; returns their size in characters."""
        cell, kernel = self.notebook.cells[i], self._kernel
        assert kernel is not None
        result = kernel.execute(cell.source, timeout, record=True)
        size = sum(len(str(output)) for output in result.outputs)
        cell.outputs = [from_dict(output) for output in result.outputs] if size < room else []
        if result.status == "timeout":
            _append_error(cell, "Timeout", f"Stopped after {result.seconds:.0f} s.")
        elif result.status == "error" and not any(
            output.output_type == "error" for output in cell.outputs
        ):
            _append_error(cell, "Error", result.error)
        if not self.alive:
            reason = kernel.death or "its process ended"
            _append_error(cell, "KernelDied", f"{_KERNEL_DIED} in this cell: {reason}.")
            self.notes.append(f"{_KERNEL_DIED} in a cell: {reason}")
            self._deadly.add(i)
            self._revive(before=i)
        return size

    def _show_the_others(self) -> None:
        """Give the cells that are not run the lesson's outputs, or say that they were not run."""
        for i, cell in enumerate(self.notebook.cells):
            if cell.cell_type != "code" or i in self._plan.run or not cell.source.strip():
                continue
            cell.outputs = [from_dict(dict(output)) for output in self._plan.shown.get(i, [])]
            if i not in self._plan.shown:
                text = "Not run in grading: no graded answer needs this cell.\n"
                cell.outputs = [from_dict(
                    {"output_type": "stream", "name": "stdout", "text": text}
                )]  # fmt: skip

    def replace(self, exercise: str, source: str) -> None:
        """Put another answer to an exercise in the place of the one that ran, in the same kernel.

        For answers that are trusted not to spy on each other, as those of an audit: what the
        last one has defined is forgotten, and the cells after it that use it run again.
        """
        cells = self.notebook.cells
        place = next(
            i for i, cell in enumerate(cells)
            if cell.metadata.get("nbgrader", {}).get("grade_id") == exercise
        )  # fmt: skip
        last, new = names_of(cells[place].source), names_of(source)
        cells[place].source = source
        self._plan.run.add(place)
        self._deadly.discard(place)
        self.deadly_functions.clear()
        if not self.alive:
            self._revive()
            return
        kernel = self._kernel
        assert kernel is not None
        others = (names_of(c.source) for i, c in enumerate(cells) if i != place and _is_code(c))
        own = sorted(last.bound.difference(*(names.bound for names in others)))
        kernel.execute(
            "\n".join(f"globals().pop({name!r}, None)" for name in own), self.limits.cell_s
        )
        changed = set(last.bound | new.bound)
        for i in sorted(i for i in self._plan.run if i >= place):
            if i != place and not names_of(cells[i].source).used & changed:
                continue
            if not self.alive:
                return
            self._run_cell(i, self.limits.cell_s, self.limits.notebook_bytes)

    def crash(self, *, keep_files: bool = True) -> None:
        """Kill the kernel as a power cut would; the next request starts another.

        Parameters
        ----------
        keep_files : bool
            Resume in the files as they are, or in those that were handed in.
        """
        if self._kernel is not None:
            self._crashed, self._keep_files = True, keep_files
            self._kernel.kill("the check ended it")

    def execute(self, code: str, timeout: float | None = None) -> str:
        """Run extra code in the kernel; returns the error's text, empty when all went well."""
        if not self.alive and not self._revive():
            return "the kernel is gone"
        result = self._kernel.execute(code, timeout or self.limits.cell_s)  # type: ignore[union-attr]
        return "" if result.status == "ok" else result.error or result.status

    def ask(self, request: dict, timeout: float) -> dict:
        """Pass a request to the kernel; start it again first when it has died.

        Raises
        ------
        TimeoutError, ConnectionError, codec.CodecError
            As `Kernel.ask`.
        """
        if not self.alive and not self._revive():
            raise ConnectionError("it could not be started again")
        return self._kernel.ask(request, timeout)  # type: ignore[union-attr]

    @property
    def crashed(self) -> bool:
        """Whether a check has killed the kernel, which has not been resumed yet."""
        return self._crashed

    @property
    def death(self) -> str:
        """Why the kernel died."""
        return self._kernel.death if self._kernel is not None else ""

    def failed_definition(self, function: str, exercise: str) -> str:
        """How the cell that defines a function, or else the exercise's cell, failed; or ""."""
        pattern = re.compile(
            rf"^\s*(def|class)\s+{re.escape(function)}\b|^{re.escape(function)}\s*=", re.M
        )
        for cell in self.notebook.cells:
            own = cell.metadata.get("nbgrader", {}).get("grade_id") == exercise
            if cell.cell_type == "code" and (own or pattern.search(cell.source)):
                for output in cell.outputs:
                    if output.output_type == "error":
                        return f"{output.ename}: {output.evalue}"
        return ""

    def _start(self, adopt: RunFolder | None = None) -> bool:
        """Start a kernel, forked from a warm parent where there can be one."""
        server = None if self._unsafe else fork_server(warmth(self._lesson))
        self.generation += 1
        left_out = {path.name for path in self._files.glob("*.ipynb")} if self._files else set()
        where: dict[str, Any] = {"parent": server.runs, "uid": server.uid} if server else {}
        folder = RunFolder.make(self._files, left_out, adopt=adopt, **where)
        folder.withheld = withheld(self._lesson)
        self.close()
        self.notes += [note for note in folder.notes if note not in self.notes]
        prefix = self._plan.prefix and server is not None and not server.prefix_problem
        try:
            self._kernel = Kernel(
                folder, self.limits, deadline=self._deadline, unsafe=self._unsafe,
                server=server, prefix=prefix,
            )  # fmt: skip
        except (KernelStartError, SandboxError, OSError) as error:
            self.notes.append(f"no kernel could be started: {error}")
            return False
        if self._plan.prefix and not prefix and self._lesson is not None:
            for cell in prefix_cells(self._lesson):
                self._kernel.execute(cell.source, self.limits.cell_s)
        return True

    def _revive(self, before: int | None = None) -> bool:
        """Start a new kernel and rerun what does not kill it; False when that was enough."""
        keep = self._crashed and self._keep_files and self._kernel is not None
        adopt = self._kernel.folder if keep and self._kernel else None
        if not self._crashed and self.generation > self.limits.restarts + self._resumed:
            return False
        if time.monotonic() > self._deadline:
            return False
        self._resumed += self._crashed
        self._crashed = False
        if not self._start(adopt):
            return False
        until = time.monotonic() + self.limits.notebook_s
        for i in sorted(self._plan.run):
            cell = self.notebook.cells[i]
            if i in self._deadly or _is_check(cell) or (before is not None and i >= before):
                continue
            left = until - time.monotonic()
            if left <= 0 or not self.alive:
                return self.alive
            self._kernel.execute(cell.source, min(self.limits.cell_s, left))  # type: ignore[union-attr]
        return self.alive


class NotebookStudent:
    """What a check of one exercise sees of a notebook (see `course.lessons.checking.Student`).

    Parameters
    ----------
    session : NotebookSession
        The executed notebook.
    exercise : Exercise
        Its `time_limit_s` is the default timeout of a call; all calls together get ten times
        that and at least a minute.
    """

    def __init__(self, session: NotebookSession, exercise: Exercise) -> None:
        self._session, self._limit = session, exercise.time_limit_s
        self._exercise = exercise.id
        self._left = max(60.0, 10 * exercise.time_limit_s)
        self._timeouts = self._keys = 0

    def call(self, function: str, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        """Call a function of the notebook and return a plain copy of its answer."""
        request = {"do": "call", "name": function, **_arguments(self, args, kwargs)}
        return self._ask(request, f"`{function}`", timeout, function)

    def each(
        self, function: str, calls: Iterable[tuple[Any, ...]], *, timeout: float | None = None
    ) -> list[Any]:
        """Call a function once for each tuple of arguments, several calls a request."""
        waiting, answers, limit = list(calls), list[Any](), timeout or self._limit
        size = 1  # the first alone shows how long one takes
        while waiting:
            part, waiting = waiting[:size], waiting[size:]
            started = time.monotonic()
            answers += self._together(function, part, limit)
            latest = max((time.monotonic() - started) / len(part), 1e-4)
            # As many as should take a quarter of the time that one may take.
            size = int(min(max(limit / 4 / latest, 1), _TOGETHER))
        return answers

    def _together(self, function: str, part: list[tuple[Any, ...]], limit: float) -> list[Any]:
        if len(part) > 1:
            calls = [_arguments(self, args, {})["args"] for args in part]
            timeouts = self._timeouts
            try:
                found = self._ask(
                    {"do": "each", "name": function, "calls": calls}, f"`{function}`", 2 * limit,
                    function,
                )  # fmt: skip
                if type(found) is list and len(found) == len(part):
                    return found
            except StudentError:
                if self._timeouts > timeouts or not self._session.alive:
                    raise
            # Something is wrong with one of them: asked one by one, it tells what.
        return [self.call(function, *args, timeout=limit) for args in part]

    def keep(
        self, function: str, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Handle:
        """Call a function and leave its answer in the kernel."""
        request = {"do": "call", "name": function, "keep": (key := self._key()),
                   **_arguments(self, args, kwargs)}  # fmt: skip
        self._ask(request, f"`{function}`", timeout, function)
        return Handle(key)

    def hold(self, value: Any) -> Handle:
        """Send a value once; the handle stands for it in later calls."""
        self._ask(
            {"do": "hold", "key": (key := self._revived_key()), "value": value}, "the input", None
        )
        return Handle(key)

    def method(
        self, handle: Handle, name: str, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Call a method of a held object."""
        self._check_handle(handle)
        request = {"do": "method", "on": handle.key, "name": name, **_arguments(self, args, kwargs)}
        return self._ask(request, f"the method `{name}`", timeout)

    def kill(self) -> None:
        """Kill the kernel between two calls; held values are lost, files stay."""
        self._session.crash()

    def restart(self) -> None:
        """Go on in a fresh kernel and fresh files, which know nothing of earlier calls."""
        self._session.crash(keep_files=False)

    def crash(self, function: str, *args: Any, after: float, **kwargs: Any) -> bool:
        """Call a function and kill its kernel in the middle, `after` seconds on."""
        session = self._session
        if not session.alive:
            self._ask({"do": "drop", "keys": []}, "the kernel", None)
        timer = threading.Timer(after, session.crash)
        timer.start()
        try:
            self.call(function, *args, timeout=after + self._limit, **kwargs)
        except StudentError:
            if not session.crashed:
                raise
            session.deadly_functions.discard(function)
            self._timeouts -= 1
            return True
        finally:
            timer.cancel()
            timer.join()
        return False

    def _key(self) -> str:
        self._keys += 1
        return f"{self._session.generation}-{self._keys}-{id(self)}"

    def _revived_key(self) -> str:
        # A dead kernel is only replaced by the next request, which makes a new generation.
        if not self._session.alive:
            self._ask({"do": "drop", "keys": []}, "the kernel", None)
        return self._key()

    def _check_handle(self, handle: Handle) -> None:
        if not handle.key.startswith(f"{self._session.generation}-") or not self._session.alive:
            raise StudentError(
                "the kernel stopped earlier in this exercise, and with it what it held"
            )

    def _ask(self, request: dict, what: str, timeout: float | None, function: str = "") -> Any:
        allowed = min(timeout or self._limit, self._left)
        if self._timeouts >= _TIMEOUTS or allowed <= 0:
            raise StudentError(f"{what} was not asked again: earlier calls took too long")
        if function in self._session.deadly_functions:
            raise StudentError(f"{what} was not asked again: it stopped the kernel before")
        started = time.monotonic()
        try:
            answer = self._session.ask(request, allowed)
        except TimeoutError:
            self._timeouts += 1
            raise StudentError(f"{what} gave no answer within {allowed:g} s") from None
        except ConnectionError:
            self._timeouts += 1
            reason = self._session.death or "its process ended"
            raise StudentError(f"{_KERNEL_DIED} while {what} ran: {reason}") from None
        except codec.CodecError as error:
            if request.get("do") and _is_input_error(request):
                raise
            raise StudentError(f"{what} gave no usable answer: {error}") from None
        finally:
            self._left -= time.monotonic() - started
            if function and not self._session.alive:
                self._session.deadly_functions.add(function)
        if answer["ok"]:
            return answer.get("value")
        raise StudentError(self._explain(answer, what, function))

    def _explain(self, answer: dict, what: str, function: str) -> str:
        kind, message = line(answer.get("error"), 100), line(answer.get("message"), 300)
        if kind == "NotImplementedError":
            return f"{what} is not written yet (it raises NotImplementedError)"
        if kind == "_Missing":
            failed = self._session.failed_definition(function, self._exercise) if function else ""
            return message + (f"; its cell stopped with {failed}" if failed else "")
        if kind == "Untransportable":
            found = line(answer.get("found"), 100)
            return f"{what} returned a {found} that cannot be graded: {message}"
        where, number = "", answer.get("line")
        if type(number) is int:
            text = line(answer.get("text"), 200)
            where = (
                f" (line {number} of its cell: `{text}`)"
                if text
                else f" (line {number} of its cell)"
            )
        return f"{what} raised {kind}: {message}{where}"


def _arguments(student: NotebookStudent, args: Iterable[Any], kwargs: dict[str, Any]) -> dict:
    def replace(value: Any) -> Any:
        if isinstance(value, Handle):
            student._check_handle(value)
            return codec.HandleRef(value.key)
        if isinstance(value, (list, tuple)):
            return [replace(item) for item in value]
        if isinstance(value, dict):
            return {key: replace(item) for key, item in value.items()}
        return value

    return {"args": [replace(value) for value in args],
            "kwargs": {name: replace(value) for name, value in kwargs.items()}}  # fmt: skip


def _is_input_error(request: dict) -> bool:
    """Whether it is the check's own input that cannot travel: a fault of the check."""
    try:
        codec.encode(request)
    except codec.CodecError:
        return True
    return False


def _is_code(cell: NotebookNode) -> bool:
    return bool(cell.cell_type == "code")


def _is_check(cell: NotebookNode) -> bool:
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def _append_error(cell: NotebookNode, name: str, text: str) -> None:
    output = {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}
    cell.outputs.append(from_dict(output))

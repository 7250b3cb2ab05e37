"""The place where attacks are run: a course with its secrets, things to reach for, and eyes on all.

Everything that only the sandbox protects is left open to every user of the machine, so that
file permissions cannot win a point for the sandbox. The one exception is the course secret,
which the grader refuses to use when others can read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import selectors
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "grading"))

import fixture_course as fixture

from course.grading import api, hidden
from course.grading.core import grade_notebook
from course.grading.limits import MB
from course.grading.secret import course_secret
from tests.attacks.attack import FULL, Attack, Outcome
from tests.attacks.pages import active_content

LIMITS = replace(
    fixture.QUICK, cell_s=2.0, notebook_s=12.0, total_s=30.0, memory=600 * MB, restarts=1,
    file_size=64 * MB, folder_size=96 * MB, processes=128,
)  # fmt: skip
CONFIG = fixture.CONFIG.replace('{"cell_s": 6.0', '{"restarts": 1, "cell_s": 3.0')
ATTACKER, HONEST, EARLIER = "eve", "mia", "ann"
_OPENED: list[str] = []
sys.addaudithook(lambda event, given: _OPENED.append(str(given[0])) if event == "open" else None)
# Where a mark left by an attack would be seen, and how deep it is looked for.
_PLACES = (("/tmp", 2), ("/dev/shm", 1), ("/var/tmp", 1), ("/run", 2), ("/", 1))


class Bait:
    """What there is to steal, to change, to reach and to kill."""

    def __init__(self, base: Path) -> None:
        self.course, tokens = base / "course", base / "tokens.json"
        made = self.course.is_dir()
        self.tokens = json.loads(tokens.read_text()) if made else _tokens()
        self.temporary = Path(tempfile.mkdtemp(prefix="canary-", dir="/tmp"))
        self.home = Path(tempfile.mkdtemp(prefix=".canary-", dir=Path.home()))
        os.environ["ATTACK_TEST_TOKEN"] = self.tokens["environment"]
        if not made:
            self._make_course()
            self.tokens["secret"] = (self.course / ".course-secret").read_text().strip()
            tokens.write_text(json.dumps(self.tokens))
        self.restore()
        self.listener = Listener(self.temporary)
        self.victim = self._start_victim()

    def _make_course(self) -> None:
        self.course.mkdir()
        fixture.make_course(self.course)
        (self.course / "nbgrader_config.py").write_text(CONFIG)
        notebook = fixture.answered()
        notebook.cells.append(nbformat.v4.new_markdown_cell(self.tokens["submission"]))
        fixture.submit(self.course, EARLIER, notebook)
        (self.course / "source" / "notes.txt").write_text(self.tokens["source"])
        fixture.submit(self.course, HONEST, fixture.answered())
        quietly_grade(self.course, EARLIER)

    def _start_victim(self) -> subprocess.Popen:
        return subprocess.Popen(
            ["sleep", "100000"], env={"TOKEN": self.tokens["process"], "PATH": os.defpath},
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def restore(self) -> None:
        """Put out the bait again, open to all."""
        for folder, token in ((self.temporary, "temporary file"), (self.home, "home")):
            folder.chmod(0o777)
            for name in ("bait.txt", "zone"):
                (folder / name).write_text(self.tokens[token])
                (folder / name).chmod(0o666)
        for place, _, names in os.walk(self.course):
            os.chmod(place, 0o777)
            for name in names:
                if name != ".course-secret":
                    os.chmod(os.path.join(place, name), 0o666)

    def target(self, mark: str) -> dict[str, Any]:
        """Everything that an attack may know: the places, none of the tokens."""
        return {
            "mark": mark, "course": str(self.course), "temporary": str(self.temporary),
            "home": str(self.home), "secret": str(self.course / ".course-secret"),
            "gradebook": str(self.course / "gradebook.db"),
            "source": str(self.course / "source" / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb"),
            "notes": str(self.course / "source" / "notes.txt"),
            "other": str(self.course / "submitted" / EARLIER / fixture.NAME / f"{fixture.NOTEBOOK}.ipynb"),
            "grader": os.getpid(), "victim": self.victim.pid, "repository": str(Path.cwd()),
            **self.listener.addresses,
        }  # fmt: skip

    def snapshot(self, *, nbgrader: bool) -> dict[str, Any]:
        """State of every file that an attack must not change."""
        state: dict[str, Any] = {}
        for root in (self.course, self.temporary, self.home):
            for path in sorted(root.rglob("*")):
                inside = path.relative_to(root)
                if nbgrader and root == self.course and _is_nbgraders(inside.parts):
                    continue
                state[str(path)] = _fingerprint(path)
        state["gradebook"] = _grades(self.course / "gradebook.db")
        return state

    def events(self) -> list[str]:
        """Connections since the last call, and the victim's end."""
        events = self.listener.events()
        if self.victim.poll() is not None:
            events.append("killed a process of the host")
            self.victim = self._start_victim()
        return events

    def close(self) -> None:
        """Take the bait away."""
        self.listener.close()
        self.victim.kill()
        self.victim.wait()
        for folder in (self.temporary, self.home):
            shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("ATTACK_TEST_TOKEN", None)


def _tokens() -> dict[str, str]:
    names = ("environment", "temporary file", "home", "submission", "process", "source")
    return {name: secrets.token_hex(12) for name in names}


class Listener:
    """Servers of the host: whoever connects, or sends a datagram, is noted."""

    def __init__(self, folder: Path) -> None:
        self._hits: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._closed = False
        abstract = f"attack-test-{secrets.token_hex(4)}"
        self.addresses: dict[str, Any] = {
            "unix": str(folder / "socket"), "abstract": abstract, "ip": _own_address(),
        }  # fmt: skip
        for name, family, kind, address in (
            ("TCP", socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0)),
            ("UDP", socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 0)),
            ("unix socket", socket.AF_UNIX, socket.SOCK_STREAM, self.addresses["unix"]),
            ("abstract socket", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{abstract}"),
        ):
            server = socket.socket(family, kind)
            server.bind(address)
            if kind == socket.SOCK_STREAM:
                server.listen(64)
            server.setblocking(False)
            if family == socket.AF_INET:
                self.addresses[name.lower()] = server.getsockname()[1]
            self._selector.register(server, selectors.EVENT_READ, name)
        os.chmod(self.addresses["unix"], 0o777)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            for key, _ in self._selector.select(0.2):
                with contextlib.suppress(OSError):
                    if key.data == "UDP":
                        key.fileobj.recvfrom(100)
                    else:
                        key.fileobj.accept()[0].close()
                    self._hits.append(f"reached the host's {key.data}")

    def events(self) -> list[str]:
        """What was noted since the last call."""
        time.sleep(0.05)
        hits, self._hits = sorted(set(self._hits)), []
        return hits

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()


class Arena:
    """Grades attacks one after another in this process, each followed by an honest submission."""

    def __init__(self, base: Path) -> None:
        base.chmod(0o755)
        self._cache = os.environ.get("COURSE_CACHE")
        os.environ["COURSE_CACHE"] = str(base / "cache")
        hidden.cache_folder.cache_clear()
        self.bait = Bait(base)
        self._secret = course_secret(self.bait.course)
        self._source = fixture.lesson()

    def run(self, attack: Attack, *, unsafe: bool = False) -> Outcome:
        """Grade one attack and what comes after it."""
        mark = f"atk{secrets.token_hex(4)}"
        path = self._submit(attack, mark)
        nbgrader = attack.through == "nbgrader"
        before = self.bait.snapshot(nbgrader=nbgrader)
        self.bait.events()
        _OPENED.clear()
        started = time.monotonic()
        grade = self._through_nbgrader if nbgrader else self._through_notebook
        with _clean_modules() as imported:
            points, said, next_points, seconds = grade(attack, path, unsafe)
        seconds = seconds or time.monotonic() - started
        baits = (str(self.bait.temporary), str(self.bait.home))
        opened = sorted({name for name in _OPENED if name.startswith(baits)})
        changed = [
            *(f"made the grader open {name}" for name in opened),
            *_differences(before, self.bait.snapshot(nbgrader=nbgrader)),
            *self.bait.events(),
            *(f"learnt: {name}" for name, token in self.bait.tokens.items() if token in said),
            *(f"imported into the grader: {name}" for name in imported),
            *_traces(mark),
        ]
        if nbgrader:
            changed += [f"active content: {part}" for part in self._active()]
        evidence = not attack.evidence or f"{mark} {attack.evidence}" in said
        if changed:
            self.bait.restore()
        return Outcome(points, attack.honest, changed, next_points, evidence, seconds, said[-4000:])

    def close(self) -> None:
        """Clean up."""
        self.bait.close()
        os.environ.pop("COURSE_CACHE", None)
        if self._cache is not None:
            os.environ["COURSE_CACHE"] = self._cache
        hidden.cache_folder.cache_clear()

    def _submit(self, attack: Attack, mark: str) -> Path:
        """Hand in the attack's notebook, files and links."""
        target = self.bait.target(mark)
        folder = self.bait.course / "submitted" / ATTACKER
        shutil.rmtree(folder, ignore_errors=True)
        path = fixture.submit(self.bait.course, ATTACKER, notebook(attack, target))
        for name, content in attack.files.items():
            file = path.parent / name.replace("MARK", mark)
            file.parent.mkdir(parents=True, exist_ok=True)
            text = content.replace("MARK", mark) if isinstance(content, str) else content
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        for name, place in attack.links.items():
            link = path.parent / name
            link.unlink(missing_ok=True)
            link.symlink_to(str(target.get(place, place)))
        return path

    def _through_notebook(
        self, attack: Attack, path: Path, unsafe: bool
    ) -> tuple[float, str, float, float]:
        limits = replace(LIMITS, **attack.limits)
        started = time.monotonic()
        graded = grade_notebook(
            path, fixture.MONTH, self._secret, source=self._source, files=path.parent,
            limits=limits, unsafe=unsafe,
        )  # fmt: skip
        seconds = time.monotonic() - started
        honest = self.bait.course / "submitted" / HONEST / fixture.NAME / path.name
        after = grade_notebook(
            honest, fixture.MONTH, self._secret, source=self._source, files=honest.parent,
            limits=fixture.QUICK,
        )  # fmt: skip
        said = "\n".join([_outputs(graded.notebook), str(graded)])
        return graded.points, said, after.points, seconds

    def _through_nbgrader(
        self, attack: Attack, path: Path, unsafe: bool
    ) -> tuple[float, str, float, float]:
        grades = quietly_grade(self.bait.course, ATTACKER, HONEST, unsafe=unsafe)
        said = [_outputs(nbformat.read(self._result("autograded", ATTACKER, "ipynb"), 4))]
        said.append(self._result("feedback", ATTACKER, "html").read_text())
        for step in ("autograded", "feedback"):
            folder = self.bait.course / step / ATTACKER
            said += [p.read_text(errors="replace") for p in folder.rglob("*") if p.is_file()]
        return grades[ATTACKER], "\n".join(said), grades[HONEST], 0.0

    def _result(self, step: str, student: str, suffix: str) -> Path:
        return self.bait.course / step / student / fixture.NAME / f"{fixture.NOTEBOOK}.{suffix}"

    def _active(self) -> list[str]:
        """What a browser would run or fetch of the attacker's page, and not of an honest one."""
        allowed = active_content(self._result("feedback", EARLIER, "html").read_text())
        page = active_content(self._result("feedback", ATTACKER, "html").read_text())
        return sorted(page - allowed)


def notebook(attack: Attack, target: dict) -> str:
    """The text of the notebook that is handed in."""
    top, double, detect = attack.cells()
    names = f"import json, types\nT = types.SimpleNamespace(**json.loads({json.dumps(target)!r}))"
    made = fixture.answered(double, detect, names, *([top] if top.strip() else []))
    tree = json.loads(nbformat.writes(made))
    if attack.change is not None:
        attack.change(tree)
    return json.dumps(tree).replace("MARK", target["mark"])


def quietly_grade(course: Path, *students: str, unsafe: bool = False) -> dict[str, float]:
    """`api.grade` in this process, without its table."""
    with contextlib.redirect_stdout(io.StringIO()):
        summary = api.grade(
            fixture.MONTH, course_dir=course, students=students, progress=False, unsafe=unsafe
        )
    return {grade.student: grade.total for grade in summary.grades}


@contextlib.contextmanager
def _clean_modules() -> Iterator[list[str]]:
    """Note modules that the grader has imported from a submission."""
    imported: list[str] = []
    yield imported
    for name, module in list(sys.modules.items()):
        if isinstance(module, types.ModuleType):
            place = str(getattr(module, "__file__", None) or "")
            if f"/{ATTACKER}/" in place or "/cg-" in place:
                imported.append(name)


def _is_nbgraders(parts: tuple[str, ...]) -> bool:
    """Whether a grading run may change a file of the course folder."""
    return (
        parts[0].startswith((".nbgrader", "gradebook.db", "__pycache__"))
        or parts[:2] in {(step, name) for step in ("autograded", "feedback") for name in (ATTACKER, HONEST)}
        or parts[:2] == ("submitted", ATTACKER)
    )  # fmt: skip


def _fingerprint(path: Path) -> tuple:
    info = path.lstat()
    content = ""
    if path.is_symlink():
        content = os.readlink(path)
    elif path.is_file():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return (oct(info.st_mode), info.st_uid, content)


def _grades(database: Path) -> list[tuple]:
    """What the gradebook holds of everyone but the attacker and the honest one after it."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = []
        for query in (
            "select name from assignment",
            "select name, max_score from base_cell join grade_cells using (id)",
            "select id from student where id not in (?, ?)",
            "select student_id, name, auto_score, manual_score, extra_credit, needs_manual_grade"
            " from grade join submitted_notebook on grade.notebook_id = submitted_notebook.id"
            " join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id"
            " join base_cell on grade.cell_id = base_cell.id where student_id not in (?, ?)",
        ):
            given = (ATTACKER, HONEST) if "?" in query else ()
            rows += sorted(connection.execute(query, given).fetchall(), key=repr)
    return rows


def _differences(before: dict, after: dict) -> list[str]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))  # fmt: skip
    return [f"changed {name}" for name in names]


def _outputs(made: Any) -> str:
    """The texts of all outputs."""
    lines = []
    for cell in made.cells:
        for output in cell.get("outputs", ()):
            lines += [output.get("text", ""), output.get("evalue", ""), output.get("ename", "")]
            lines += output.get("traceback", ())
            lines.append(str(output.get("data", {}).get("text/plain", "")))
    return "\n".join(lines)


def _traces(mark: str) -> list[str]:
    """Processes and files that bear the mark, after a moment in which the killed may end."""
    until = time.monotonic() + 3
    while (alive := _marked_processes(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    found = [f"left the process {process.name()}" for process in alive]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    for place, depth in (*_PLACES, (str(Path.home()), 2), (str(Path.cwd()), 1)):
        found += [f"left the file {path}" for path in _marked_files(place, mark, depth)]
    return found


def _marked_processes(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            texts = [process.name(), *process.cmdline()]
            with contextlib.suppress(psutil.Error):
                texts += [f"{k}={v}" for k, v in process.environ().items()]
            if any(mark in text for text in texts):
                found.append(process)
    return found


def _marked_files(place: str, mark: str, depth: int) -> list[str]:
    """Marked names below a place; run folders are searched to the bottom."""
    found = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if mark in entry.name:
                found.append(entry.path)
            with contextlib.suppress(OSError):
                deeper = depth > 1 or entry.name.startswith("cg-") or "/cg-" in entry.path
                if deeper and entry.is_dir(follow_symlinks=False):
                    found += _marked_files(entry.path, mark, max(depth - 1, 1))
    return found


def _own_address() -> str:
    """An address of this machine beside its loopback, else the loopback."""
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET and not address.address.startswith("127."):
                return address.address
    return "127.0.0.1"


__all__ = ["FULL", "Arena"]

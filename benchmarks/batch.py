"""Grade a class on this machine, good and hostile submissions mixed, and kill the run in between.

    python -m benchmarks.batch                                 200 students, 10 of them hostile
    python -m benchmarks.batch --students 8 --hostile 2 --kill

Makes a course folder of its own, runs ``course grade 3`` there in a process, with ``--kill``
ends it by SIGKILL once half of the submissions are graded and runs the same command again, and
says what was lost (nothing should be), what was graded twice (nothing), and how fast it went.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from course.grading.journal import Journal, Record
from course.grading.submissions import load_config, open_course, read_scores
from course.lessons import Month, month

ROOT = Path(__file__).parents[1]
CONFIG = """\
from course.grading.plugin import configure

c = get_config()
configure(c)
"""
WARNS = (
    "import logging\nimport sys\nimport warnings\n\n"
    "warnings.warn('a warning on stderr')\nlogging.warning('another')\n"
    "print('an error that is none', file=sys.stderr)\n"
)


# --- submissions ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    """What a student hands in, and what may be expected of it.

    Parameters
    ----------
    kind : str
        Part of the student's name.
    content : str or bytes
        The notebook file.
    total : float, optional
        Exact points that it must get.
    at_most : dict of str to float
        Largest share that an exercise may earn.
    at_least : dict of str to float
        Smallest share that an exercise must earn.
    """

    kind: str
    content: str | bytes
    total: float | None = None
    at_most: dict[str, float] = field(default_factory=dict)
    at_least: dict[str, float] = field(default_factory=dict)


def answered(lesson: NotebookNode, answers: dict[str, str], top: str = "") -> str:
    """The lesson's notebook with some solutions replaced, and perhaps a cell at its top."""
    notebook = nbformat.from_dict(json.loads(nbformat.writes(lesson)))
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(grade_id, cell.source)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if top:
        notebook.cells.insert(1, nbformat.v4.new_code_cell(top))
    return nbformat.writes(notebook)


def hostile(lesson: NotebookNode, exercise: str) -> list[tuple[str, str | bytes]]:
    """Ten submissions that mean harm; each attack stands in the last exercise."""
    attacks = {
        "endless": "while True:\n    pass\n",
        "exits": "import os\nos._exit(0)\n",
        "eats-memory": "a = []\nwhile True:\n    a.append(bytearray(10**8))\n",
        "forks": "import os\nfor _ in range(10**4):\n    os.fork()\n",
        "floods": "while True:\n    print('x' * 10**6)\n",
        "kills": "import os\nos.kill(-1, 9)\n",
        "fills-disk": "with open('x', 'wb') as f:\n    while True:\n        f.write(bytes(10**7))\n",
    }
    files: list[tuple[str, str | bytes]] = [
        (name, answered(lesson, {exercise: code})) for name, code in attacks.items()
    ]
    files += [("corrupt", '{"cells": ['), ("binary", bytes(range(256))), ("deep", "[" * 200_000)]
    return files


def make_class(chosen: Month, students: int, attackers: int) -> list[Submission]:
    """A class: reference solutions, mistakes by ability, untouched releases, attacks."""
    lesson = nbformat.read(ROOT / "source" / chosen.notebook_file, as_version=4)
    release = (ROOT / "release" / chosen.notebook_file).read_text(encoding="utf-8")
    everything = sum(exercise.points for exercise in chosen.exercises)
    last, chance = chosen.exercises[-1].id, random.Random(3)
    attacks = hostile(lesson, last)
    made = []
    for i in range(attackers):
        name, content = attacks[i % len(attacks)]
        made.append(Submission(f"hostile-{name}", content, at_most={last: 0.0}))
    for i in range(students - attackers):
        made.append(
            Submission("reference", answered(lesson, {}), everything) if i % 20 == 0
            else Submission("warns", answered(lesson, {}, WARNS), everything) if i % 20 == 1
            else Submission("untouched", release, 0.0) if i % 20 == 2
            else mistaken(lesson, chosen, chance)
        )  # fmt: skip
    chance.shuffle(made)
    return made


def mistaken(lesson: NotebookNode, chosen: Month, chance: random.Random) -> Submission:
    """The reference with as many of the month's other answers as the student's ability allows."""
    ability, known = chance.betavariate(4, 2), chosen.load_wrong_answers()
    answers = {}
    for exercise in chosen.exercises:
        if chance.random() > ability:
            mistakes = [answer for answer in known if answer.exercise == exercise.id]
            answers[exercise.id] = chance.choice(mistakes)
    right = {name for name, answer in answers.items() if answer.kind == "alternative"}
    return Submission(
        "mixed",
        answered(lesson, {name: answer.code for name, answer in answers.items()}),
        at_most={name: 0.5 for name in answers.keys() - right},
        # A right answer may call what another exercise got wrong.
        at_least={name: 0.9 for name in right if len(answers) == 1},
    )


def make_course(root: Path, chosen: Month, submissions: list[Submission]) -> list[str]:
    """Write the course folder; gives the students' names in the order of the submissions."""
    (root / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    for step in ("source", "release"):
        shutil.copytree(ROOT / step / chosen.name, root / step / chosen.name)
    names = []
    for i, submission in enumerate(submissions):
        names.append(f"{i:03d}-{submission.kind}")
        path = root / "submitted" / names[-1] / chosen.notebook_file
        path.parent.mkdir(parents=True)
        content = submission.content
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return names


# --- the run ----------------------------------------------------------------------------------


class Watch:
    """Runs a command and notes how much memory its processes take.

    Parameters
    ----------
    command : list of str
        What to run.
    """

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.peaks: dict[str, float] = {}
        self.left: list[psutil.Process] = []

    def run(self, until: Callable[[], bool] = lambda: False) -> int:
        """Run to the end, or to a kill as soon as `until` says so; gives the exit code."""
        process = subprocess.Popen(self.command)
        known: set[psutil.Process] = set()
        while process.poll() is None:
            known = set(self._look(psutil.Process(process.pid)))
            if until():
                process.kill()
                process.wait()
                # Whatever has not ended by itself after 10 s is an orphan.
                self.left += psutil.wait_procs(known, timeout=10)[1]
                break
            time.sleep(0.5)
        return process.wait()

    def _look(self, main: psutil.Process) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            below = main.children(recursive=True)
            self._note("main process", main)
            workers = [p for p in below if p.ppid() == main.pid and _is_worker(p)]
            for worker in workers:
                self._note("worker", worker)
                for child in worker.children(recursive=True):
                    self._note("process in a sandbox", child)
            return below
        return []

    def _note(self, what: str, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.Error):
            size = process.memory_info().rss / 2**20
            self.peaks[what] = max(self.peaks.get(what, 0.0), size)


def _is_worker(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("spawn_main" in word for word in process.cmdline())
    return False


def main(arguments: list[str] | None = None) -> int:
    """Make the class, grade it, say how it went; 0 if everything is as it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--students", type=int, default=200, help="submissions (200)")
    parser.add_argument("--hostile", type=int, default=10, help="hostile ones among them (10)")
    parser.add_argument("--jobs", type=int, default=2, help="submissions at a time (2)")
    parser.add_argument("--kill", action="store_true", help="kill the run once, in the middle")
    parser.add_argument("--keep", action="store_true", help="keep the course folder")
    options = parser.parse_args(arguments)
    root, chosen = Path(tempfile.mkdtemp(prefix="batch-")), month(3)
    try:
        submissions = make_class(chosen, options.students, options.hostile)
        names = make_course(root, chosen, submissions)
        return grade(root, chosen, dict(zip(names, submissions, strict=True)), options)
    finally:
        if options.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)


def grade(
    root: Path, chosen: Month, submitted: dict[str, Submission], options: argparse.Namespace
) -> int:
    """Run the command, once or twice, and report."""
    watch = Watch([sys.executable, "-m", "course.cli", "grade", str(chosen.number),
                   "--course", str(root), "--jobs", str(options.jobs)])  # fmt: skip
    journal = Journal.beside_gradebook(root, chosen.name)
    started = time.monotonic()
    if options.kill:
        half = max(1, len(submitted) // 2)
        watch.run(lambda: len(finished(journal, submitted)) >= half)
        print(f"killed after {time.monotonic() - started:.0f} s: "
              f"{len(finished(journal, submitted))} recorded, {len(watch.left)} processes left")  # fmt: skip
    code = watch.run()
    seconds = time.monotonic() - started
    records = finished(journal, submitted)
    wrong = unexpected(root, chosen, submitted)
    repeated = [name for name, record in records.items() if record.times > 1]
    print(
        f"\nexit code            {code}"
        f"\ngraded               {len(records)} of {len(submitted)}"
        f"\nlost                 {len(submitted) - len(records)}"
        f"\ngraded twice         {len(repeated)}"
        f"\norphan processes     {len(watch.left)}"
        f"\ntime                 {seconds:.0f} s"
        f"\nsubmissions a minute {60 * len(records) / seconds:.2f}"
    )
    for what, size in watch.peaks.items():
        print(f"peak memory          {size:.0f} MB, {what}")
    print(f"unexpected points    {len(wrong)}", *wrong, sep="\n  ")
    return int(bool(wrong or repeated or watch.left or len(records) < len(submitted)))


def finished(journal: Journal, submitted: dict[str, Submission]) -> dict[str, Record]:
    """The finished records."""
    found = {name: journal.read(name) for name in submitted}
    return {name: record for name, record in found.items() if record is not None and record.done}


def unexpected(root: Path, chosen: Month, submitted: dict[str, Submission]) -> list[str]:
    """What got other points than it should have."""
    with open_course(load_config(root, unsafe=False)) as nbgrader:
        scores = read_scores(nbgrader, chosen)
    faults = []
    for name, expected in submitted.items():
        if name not in scores:
            faults.append(f"{name}: no grade")
            continue
        shares = {e: score.final / score.most for e, score in scores[name].items()}
        total = sum(score.final for score in scores[name].values())
        if expected.total is not None and abs(total - expected.total) > 1e-6:
            faults.append(f"{name}: {total:g} points, expected {expected.total:g}")
        faults += [f"{name}: {e} earns {shares[e]:.0%}, expected at most {limit:.0%}"
                   for e, limit in expected.at_most.items() if shares[e] > limit + 1e-9]  # fmt: skip
        faults += [f"{name}: {e} earns {shares[e]:.0%}, expected at least {limit:.0%}"
                   for e, limit in expected.at_least.items() if shares[e] < limit - 1e-9]  # fmt: skip
    return faults


if __name__ == "__main__":
    sys.exit(main())

"""Try a month's checks while writing them: ``python -m course.grading.tryout MONTH``.

Runs a notebook (by default the lesson itself, with its solutions) in the sandbox and prints
every case. Options: ``--exercise ID`` (may be repeated), ``--notebook FILE``,
``--wrong NAME`` (replace a solution by a wrong answer, ``all`` for each of them),
``--seed N`` (another test secret), ``--unsafe``.
"""

from __future__ import annotations

import argparse
import logging
import time

from nbformat import NotebookNode

from course.grading.audit import answered, lesson_notebook
from course.grading.core import check_exercise
from course.grading.hidden import hidden_cases
from course.grading.secret import test_secret
from course.grading.session import NotebookSession
from course.lessons import month as find_month


def main(argv: list[str] | None = None) -> None:
    """Parse the command line, run the notebook once and print the cases."""
    parser = argparse.ArgumentParser(prog="python -m course.grading.tryout", description=__doc__)
    parser.add_argument("month")
    parser.add_argument("--exercise", action="append")
    parser.add_argument("--notebook")
    parser.add_argument("--wrong")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unsafe", action="store_true")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING)
    month = find_month(options.month)
    wrong = [
        answer for answer in month.load_wrong_answers() if options.wrong in (answer.name, "all")
    ]
    wanted = (
        options.exercise
        or sorted({answer.exercise for answer in wrong})
        or [exercise.id for exercise in month.exercises]
    )
    notebook = lesson_notebook(month, options.notebook)
    hidden, checks = hidden_cases(test_secret(options.seed), month.path), month.load_checks()
    lesson = lesson_notebook(month)

    def attempt(notebook: NotebookNode, names: list[str], only: str = "") -> None:
        asked = [function for name in names for function in month.exercise(name).functions]
        started = time.monotonic()
        with NotebookSession(
            notebook, unsafe=options.unsafe, lesson=lesson, only=only, asked=asked
        ) as session:
            session.run()
            print(f"notebook: {time.monotonic() - started:.1f} s", *session.notes, sep="\n")
            for name in names:
                graded = check_exercise(session, month.exercise(name), checks, hidden)
                print(f"{name} ({graded.seconds:.1f} s): {graded.text()}")

    attempt(notebook, wanted)
    for answer in wrong:
        if answer.exercise in wanted:
            print(f"{answer.kind} {answer.name!r}:")
            attempt(
                answered(lesson, answer.exercise, answer.code), [answer.exercise], answer.exercise
            )


if __name__ == "__main__":
    main()

"""The `course` command: what a student runs, and thin wrappers around what instructors run."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from course import __version__
from course.errors import CourseError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        0: done; 1: something that was checked is not right; 2: the command could not be
        carried out; 130: interrupted.
    """
    parser = make_parser()
    args = parser.parse_args(arguments)
    _put_own_tools_first()
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt as error:
        text = str(error) or "interrupted; files are written whole or not at all"
        print(f"course: {text}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if error.filename is None:
            raise
        print(f"course: {error.filename}: {error.strerror}", file=sys.stderr)
        return USAGE


def make_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="course",
        description="The AIOps course. Students: lab, check, progress, data, testbed. "
        "Instructors, in a checkout: build, audit, grade, bundle.",
        epilog="`course COMMAND --help` shows options and examples.",
    )
    parser.add_argument("--version", action="version", version=f"aiops-course {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    lab = _add(
        commands, "lab", _lab, "prepare the workspace and open JupyterLab",
        ["course lab", "course lab --month 3 --no-browser", "course lab --port 9000"],
    )  # fmt: skip
    lab.add_argument("--month", help="month to open; by default the first one")
    lab.add_argument("--no-browser", action="store_true", help="print the address only")
    lab.add_argument("--port", type=_port, help="by default the first free one from 8888 on")
    lab.add_argument("--prepare-only", action="store_true", help="do not start JupyterLab")
    _add_workspace(lab)

    check = _add(
        commands, "check", _check, "run the visible checks of a month on your notebook",
        ["course check 3", "course check 3 --exercise robust-z"],
    )  # fmt: skip
    check.add_argument("month", help="number or name of the month")
    check.add_argument("--exercise", help="id of one exercise")
    _add_workspace(check)

    progress = _add(
        commands, "progress", _progress, "show what you have passed so far", ["course progress"]
    )
    _add_workspace(progress)

    _add_data(commands)
    _add_testbed(commands)
    _add_instructor(commands)
    return parser


def _add_data(commands: Any) -> None:
    data = _add(
        commands, "data", None, "list, fetch and verify data sets",
        ["course data list", "course data fetch nab", "course data verify"],
    )  # fmt: skip
    actions = data.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add(actions, "list", _data_list, "list embedded and public data sets", ["course data list"])
    fetch = _add(
        actions, "fetch", _data_fetch, "download a public data set", ["course data fetch nab"]
    )
    fetch.add_argument("name", help="its name in `course data list`")
    _add(
        actions, "verify", _data_verify, "check the embedded data's hashes", ["course data verify"]
    )
    _add(actions, "build", _data_build, "record the embedded data again", ["course data build"])


def _add_testbed(commands: Any) -> None:
    testbed = _add(
        commands, "testbed", None, "run the shop as real processes, with load, faults and telemetry",
        ["course testbed up", "course testbed load --rate 20",
         "course testbed fault slow_query orders-db --seconds 120", "course testbed down"],
    )  # fmt: skip
    actions = testbed.add_subparsers(title="actions", metavar="ACTION", required=True)
    up = _add(
        actions, "up", _testbed_up, "start the shop and return once it is ready",
        ["course testbed up", "course testbed up --foreground",
         "course testbed up --stack embedded --interval 2"],
    )  # fmt: skip
    up.add_argument(
        "--stack", choices=["auto", "real", "embedded"], default="auto",
        help="Prometheus and Alertmanager, or what the course brings (auto: the real ones if there)",
    )  # fmt: skip
    up.add_argument("--interval", type=_seconds, default=5.0, help="seconds between scrapes (5)")
    up.add_argument("--foreground", action="store_true", help="stay; Ctrl-C ends everything")

    load = _add(
        actions, "load", _testbed_load, "let users arrive",
        ["course testbed load --rate 20", "course testbed load --rate 20 --day-minutes 60",
         "course testbed load --surge flash_sale --seconds 120", "course testbed load --rate 0"],
    )  # fmt: skip
    load.add_argument("--rate", type=float, default=20.0, help="mean arrivals a second (20)")
    load.add_argument(
        "--day-minutes", type=float, default=0.0,
        help="minutes in which a day passes; by default the rate is constant",
    )  # fmt: skip
    load.add_argument("--surge", help="lay a harmless surge over what arrives: flash_sale, …")
    load.add_argument("--seconds", type=_seconds, default=120.0, help="length of the surge (120)")
    load.add_argument("--size", type=float, default=1.0, help="size of the surge (1.0)")

    fault = _add(
        actions, "fault", _testbed_fault, "break something, or list what can be broken",
        ["course testbed fault", "course testbed fault memory_leak cart --severity 0.8",
         "course testbed fault third_party_outage --seconds 60", "course testbed fault --heal"],
    )  # fmt: skip
    fault.add_argument("kind", nargs="?", help="without one all kinds are listed")
    fault.add_argument("service", nargs="?", help="where it strikes; by default the first it can")
    fault.add_argument("--severity", type=float, default=0.6, help="above 0, up to 1 (0.6)")
    fault.add_argument("--seconds", type=_seconds, default=120.0, help="how long (120)")
    fault.add_argument("--heal", action="store_true", help="end all faults")

    breakers = _add(
        actions, "breakers", _testbed_breakers, "put circuit breakers between the services",
        ["course testbed breakers on", "course testbed breakers on payment orders-db",
         "course testbed breakers off"],
    )  # fmt: skip
    breakers.add_argument("state", choices=["on", "off"])
    breakers.add_argument(
        "callees", nargs="*", help="who is guarded; by default payment-provider",
    )  # fmt: skip
    rollback = _add(
        actions, "rollback", _testbed_rollback,
        "take releases back that fail, or one service's latest release now",
        ["course testbed rollback on", "course testbed rollback off",
         "course testbed rollback catalog"],
    )  # fmt: skip
    rollback.add_argument("what", metavar="on|off|SERVICE")
    show = _add(
        actions, "show", _testbed_show, "see one mechanism at work, measured with and without it",
        ["course testbed show breaker", "course testbed show rollback --seconds 60"],
    )  # fmt: skip
    show.add_argument("what", choices=["breaker", "rollback"])
    show.add_argument("--seconds", type=_seconds, default=40.0, help="length of each fault (40)")

    record = _add(
        actions, "record", _testbed_record, "record a data set: play faults, gather what was seen",
        ["course testbed record --minutes 130 --seed 7 data/testbed-incidents",
         "course testbed record --minutes 15 --faults 5 /tmp/try",
         "course testbed record --minutes 20 --plan plan.json /tmp/try"],
    )  # fmt: skip
    record.add_argument("target", type=Path, help="folder and name of the set")
    record.add_argument("--minutes", type=float, default=130.0, help="length (130)")
    record.add_argument("--seed", type=int, default=7, help="of the plan (7)")
    record.add_argument("--faults", type=_positive, help="by default one in ten minutes")
    record.add_argument("--plan", type=Path, help="a plan as JSON instead of a random one")
    record.add_argument("--rate", type=float, default=20.0, help="mean arrivals a second (20)")
    record.add_argument(
        "--interval", type=_seconds, default=5.0, help="seconds between scrapes (5)"
    )
    record.add_argument("--stack", choices=["auto", "real", "embedded"], default="auto")

    compare = _add(
        actions, "compare", _testbed_compare, "set a recording beside the simulator",
        ["course testbed compare data/testbed-incidents"],
    )  # fmt: skip
    compare.add_argument("target", type=Path, help="folder and name of the recording")

    status = _add(actions, "status", _testbed_status, "show what runs", ["course testbed status"])
    down = _add(actions, "down", _testbed_down, "end everything", ["course testbed down"])
    for parser in (up, load, fault, breakers, rollback, show, record, status, down):
        parser.add_argument(
            "--run",
            type=Path,
            metavar="DIR",
            dest="run_folder",
            help="run folder; by default one of your own",
        )


def _add_instructor(commands: Any) -> None:
    build = _add(
        commands, "build", _build, "make notebooks and releases from the lessons",
        ["course build", "course build 3 --force", "course build --check"],
    )  # fmt: skip
    build.add_argument("month", nargs="?", help="one month; by default all")
    build.add_argument("--check", action="store_true", help="only say what has drifted")
    build.add_argument("--force", action="store_true", help="run notebooks that have not changed")

    audit = _add(
        commands, "audit", _audit, "prove the checks: reference, release, wrong answers, margins",
        ["course audit 3", "course audit --seeds 2", "course audit 3 --record"],
    )  # fmt: skip
    audit.add_argument("month", nargs="?", help="one month; by default all")
    audit.add_argument("--seeds", type=_positive, default=20, help="secrets to try (20)")
    audit.add_argument(
        "--record", action="store_true",
        help="keep the tables beside the lesson; tests audit anew only what has changed since",
    )  # fmt: skip

    grade = _add(
        commands, "grade", _grade, "grade what was submitted, in a sandbox",
        ["course grade 3", "course grade month-03-anomaly-detection --student ada",
         "course grade 3 --jobs 8 --again"],
    )  # fmt: skip
    grade.add_argument("month", help="number or name of the month")
    grade.add_argument("--student", help="one student; by default all")
    grade.add_argument(
        "--jobs", type=_positive, default=_cores(),
        help="submissions graded at a time; by default as many as there are cores",
    )  # fmt: skip
    grade.add_argument(
        "--again", action="store_true", help="grade also what is graded and has not changed"
    )
    grade.add_argument(
        "--course", type=Path, metavar="DIR", help="folder with nbgrader_config.py (this checkout)"
    )
    grade.add_argument(
        "--unsafe", action="store_true", help="without a sandbox: only for notebooks you trust"
    )

    bundle = _add(
        commands, "bundle", _bundle, "pack what a student gets into one zip file",
        ["course bundle", "course bundle dist/aiops-course-student.zip"],
    )  # fmt: skip
    bundle.add_argument("out", nargs="?", type=Path, help="by default below dist/")


def _add(
    commands: Any, name: str, run: Command | None, summary: str, examples: list[str]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def _add_workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace", type=Path, metavar="DIR", help="folder of your notebooks (workspace/)"
    )


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{value} is no port; take one from 1 to 65535")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} seconds is not between 0.2 and 86400")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too small; at least 1")
    return value


# --- students ---------------------------------------------------------------------------------


def _lab(args: argparse.Namespace) -> int:
    from course.workspace import files, lab, syllabus

    months = syllabus.months()
    release = syllabus.release_folder()
    month = syllabus.month(args.month) if args.month else _first_released(months, release)
    workspace = _workspace(args)
    outcomes = files.prepare(workspace, release)
    print(f"workspace: {workspace}")
    for outcome in outcomes:
        if outcome.action in {"updated", "beside"}:
            print(outcome)
    if args.prepare_only:
        return OK
    command = lab.lab_command(
        workspace, month.notebook_file, port=args.port, browser=not args.no_browser
    )
    environment = lab.lab_environment(lab.write_settings(workspace))
    print(f"JupyterLab opens {month.notebook_file}; stop it with Ctrl-C")
    return lab.start(command, environment, workspace)


def _check(args: argparse.Namespace) -> int:
    from course.workspace import check, syllabus

    month = syllabus.month(args.month)
    workspace = _workspace(args)
    results = check.run_checks(
        workspace, month, only=args.exercise, release=syllabus.release_folder()
    )
    check.save_results(workspace, month, results)
    rows = [
        (result.exercise, f"{result.points:g}", result.status, _first_line(result.message))
        for result in results
    ]
    _print_table(("exercise", "points", "check", "message"), rows)
    passed = [result for result in results if result.status == "pass"]
    possible = sum(result.points for result in results)
    print(
        f"\n{len(passed)} of {len(results)} visible checks pass: exercises worth "
        f"{sum(result.points for result in passed):g} of {possible:g} points. "
        "The grade comes from hidden checks on unseen data."
    )
    return OK if len(passed) == len(results) else FAILED


def _progress(args: argparse.Namespace) -> int:
    from course.workspace import syllabus
    from course.workspace.progress import progress

    rows = []
    for state in progress(_workspace(args), syllabus.months()):
        exercises = len(state.month.exercises)
        graded = f"{state.graded[0]:g} / {state.graded[1]:g}" if state.graded else "-"
        opened = "yes" if state.opened else "no"
        passed = f"{state.passed} / {exercises}"
        worth = f"{state.points_passed:g} / {state.month.points:g}"
        rows.append((str(state.month.number), state.month.title, opened, passed, worth, graded))
    _print_table(("month", "title", "opened", "checks passed", "worth", "graded"), rows)
    return OK


def _data_list(args: argparse.Namespace) -> int:
    from course import telemetry
    from course.telemetry import public

    print("embedded:")
    for name in telemetry.names():
        print(f"  {name}")
    print("public (course data fetch NAME):")
    for name, data in public.catalogue().items():
        print(f"  {name}: {data.licence}")
    return OK


def _data_fetch(args: argparse.Namespace) -> int:
    from course.telemetry import public

    if args.name not in public.catalogue():
        there = ", ".join(public.catalogue())
        raise CourseError(f"there is no public data set {args.name!r}; there is {there}")
    try:
        print(public.fetch(args.name))
    except (public.PublicDataMissing, public.PublicDataCorrupt) as error:
        raise CourseError(str(error)) from None
    return OK


def _data_verify(args: argparse.Namespace) -> int:
    from course import telemetry

    problems = [f"{name}: {state}" for name, state in telemetry.verify().items() if state != "ok"]
    return _report(problems, "all embedded data sets have the recorded hashes")


def _data_build(args: argparse.Namespace) -> int:
    from course.shop import record

    return record.main([])


# --- the testbed ------------------------------------------------------------------------------


def _testbed(args: argparse.Namespace) -> tuple[Any, Path]:
    """The testbed's commands and its run folder."""
    if os.name != "posix":
        raise CourseError(
            "the testbed needs Linux or macOS; the recordings are in `course data list`"
        )
    for package in ("prometheus_client", "opentelemetry", "psutil"):
        if importlib.util.find_spec(package) is None:
            raise CourseError(
                "the testbed needs more packages; install them with "
                "`pip install 'aiops-course[testbed]'`"
            )
    from course.testbed import commands, rundir

    return commands, (args.run_folder or rundir.default_folder()).expanduser().absolute()


def _testbed_up(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    commands.up(folder, stack=args.stack, interval=args.interval, foreground=args.foreground)
    return OK


def _testbed_load(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    print(
        commands.set_load(folder, args.rate, args.day_minutes, args.surge, args.seconds, args.size)
    )
    return OK


def _testbed_fault(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    if args.heal:
        print(commands.heal(folder))
    elif args.kind:
        print(commands.begin_fault(folder, args.kind, args.service, args.severity, args.seconds))
    else:
        from course.testbed.troubles import KINDS

        rows = [(kind, ", ".join(KINDS[kind].services)) for kind in KINDS]
        _print_table(("kind", "services"), rows)
    return OK


def _testbed_breakers(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    guarded = (args.callees or ["payment-provider"]) if args.state == "on" else []
    print(commands.set_breakers(folder, guarded))
    return OK


def _testbed_rollback(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    print(commands.set_rollback(folder, args.what))
    return OK


def _testbed_show(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    from course.testbed import show

    print(show.SHOWS[args.what](folder, commands.running_state(folder), args.seconds))
    return OK


def _testbed_record(args: argparse.Namespace) -> int:
    _, folder = _testbed(args)
    from course.testbed import plan, record

    faults = args.faults or max(round(args.minutes / 10), 1)
    if args.plan:
        steps, how = plan.load(args.plan), "a given plan"
    else:
        steps = plan.draw(args.minutes, args.seed, faults)
        how = (
            f"`course testbed record --minutes {args.minutes:g} --seed {args.seed} "
            f"--faults {faults} --rate {args.rate:g}`"
        )
    files = record.record(
        args.target, steps, args.minutes, folder.with_name(f"{folder.name}-record"),
        how=how, rate=args.rate, stack=args.stack,
        interval=args.interval,
    )  # fmt: skip
    for file in files:
        print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")
    return OK


def _testbed_compare(args: argparse.Namespace) -> int:
    from course.testbed import compare

    print(compare.report(args.target))
    return OK


def _testbed_status(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    status = commands.status(folder)
    rows = [
        (row["name"], "runs" if row["running"] else "is started again", str(row["pid"]),
         f"{row['memory_mb']} MB", str(row["starts"]))
        for row in status["processes"]
    ]  # fmt: skip
    _print_table(("process", "state", "pid", "memory", "starts"), rows)
    load = status["load"]
    outcomes = ", ".join(f"{n} {name}" for name, n in load.get("outcomes", {}).items()) or "none"
    print(f"\nload: {load.get('rate', 0):g} users a second; visits so far: {outcomes}")
    print(f"monitoring: {status['stack']}")
    print(f"circuit breakers before: {', '.join(status['breakers']['callees']) or 'none'}; "
          f"automatic rollback: {'on' if status['auto_rollback'] else 'off'}")  # fmt: skip
    for fault in status["faults"]:
        print(f"fault: {fault['kind']} at {fault['root_service']}, severity {fault['severity']:g}")
    return OK


def _testbed_down(args: argparse.Namespace) -> int:
    commands, folder = _testbed(args)
    print("ended" if commands.down(folder) else "no testbed runs")
    return OK


# --- instructors ------------------------------------------------------------------------------


def _build(args: argparse.Namespace) -> int:
    _need("authoring", "build")
    from course.authoring import build
    from course.lessons import months

    layout = build.Layout.of_checkout()
    chosen = _months(args.month)
    if args.check:
        problems = build.check_syllabus(months(), layout)
        for month in chosen:
            problems += build.check(month, layout)
        return _report(problems, f"{len(chosen)} month(s): notebooks and releases are up to date")
    build.build_syllabus(months(), layout)
    for month in chosen:
        print(build.build(month, layout, force=args.force))
    return OK


def _audit(args: argparse.Namespace) -> int:
    _need("grading", "audit")
    from course.grading import api

    return OK if api.audit(_months(args.month), seeds=args.seeds, record=args.record) else FAILED


def _grade(args: argparse.Namespace) -> int:
    _need("grading", "grade")
    from course.grading import api

    (month,) = _months(args.month)
    summary = api.grade(
        month, course_dir=args.course, student=args.student, jobs=args.jobs, unsafe=args.unsafe,
        again=args.again,
    )  # fmt: skip
    return FAILED if summary.failed else OK


def _bundle(args: argparse.Namespace) -> int:
    _need("authoring", "bundle")
    from course.authoring.build import Layout
    from course.authoring.bundle import bundle
    from course.lessons import months

    path = bundle(Layout.of_checkout(), months(), args.out)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, no leak")
    return OK


# --- helpers ----------------------------------------------------------------------------------


def _put_own_tools_first() -> None:
    """Let tools that nbgrader calls by name, such as alembic, be those of this environment."""
    own = str(Path(sys.executable).parent)
    paths = os.environ.get("PATH", "").split(os.pathsep)
    if paths[0] != own:
        os.environ["PATH"] = os.pathsep.join([own, *paths])


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _need(part: str, command: str) -> None:
    if importlib.util.find_spec(f"course.{part}") is None:
        raise CourseError(
            f"`course {command}` is for instructors: it needs a checkout of the course, "
            "and this is the student's package"
        )


def _months(which: str | None) -> tuple[Any, ...]:
    from course.lessons import month, months

    if which is None:
        return months()
    try:
        return (month(which),)
    except KeyError as error:
        raise CourseError(error.args[0]) from None


def _first_released(months: tuple[Any, ...], release: Path) -> Any:
    for month in months:
        if (release / month.notebook_file).is_file():
            return month
    raise CourseError(f"no month of the syllabus is in {release}: run `course build`")


def _workspace(args: argparse.Namespace) -> Path:
    from course.workspace.syllabus import default_workspace

    return (args.workspace or default_workspace()).expanduser().resolve()


def _report(problems: list[str], fine: str) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return FAILED
    print(fine)
    return OK


def _first_line(text: str, width: int = 100) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())

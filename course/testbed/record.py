"""Record a data set on the testbed: play a plan, then gather what was seen.

The parts have the names and columns of the shop's embedded sets, so `course.telemetry.load` and
whatever was written for the simulator read them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from course.errors import CourseError
from course.shop.surges import SURGES
from course.testbed import commands, gather
from course.testbed.card import write_card
from course.testbed.control import ask_supervisor
from course.testbed.plan import Step


def record(
    target: Path,
    steps: list[Step],
    minutes: float,
    folder: Path,
    *,
    how: str,
    rate: float = 20.0,
    stack: str = "auto",
    interval: float = 5.0,
) -> list[Path]:
    """Start a testbed of its own, play the plan, write the data set and end the testbed.

    Parameters
    ----------
    target : Path
        Folder and name of the set: ``data/testbed-incidents`` becomes
        ``data/testbed-incidents.parquet``, ``data/testbed-incidents.logs.parquet`` and so on.
    steps : list of Step
    minutes : float
        Length; one day of the load's shape passes in it.
    folder : Path
        Run folder.
    how : str
        For the card: how the plan came about.
    rate : float
        Mean arrivals a second.
    stack : {"auto", "real", "embedded"}
    interval : float
        Seconds between scrapes.

    Returns
    -------
    list of Path
        The files that were written. An interruption (Ctrl-C) ends the recording early and keeps
        all that is done.
    """
    late = [step for step in steps if step.at + step.seconds > minutes * 60]
    if late:
        raise CourseError(
            f"{len(late)} steps of the plan end after {minutes:g} minutes, the first is "
            f"{late[0].what} at {late[0].at:g} s; record longer, or shorten the plan"
        )
    with commands.attached(folder, stack=stack, interval=interval) as state:
        begin = pd.Timestamp.now("UTC").ceil("s")
        whole = _play(state, steps, minutes, rate)
        end = pd.Timestamp.now("UTC").floor("s")
        print("gathering what was seen; Ctrl-C now would give it up", flush=True)
        parts = gather.gather(state, folder, begin, end, interval)
        facts = {"how": how, "minutes": minutes, "rate": rate, "interval": interval,
                 "whole": whole, "monitoring": gather.monitoring_name(state)}  # fmt: skip
    files = gather.write(target, parts)
    return [*files, write_card(target, parts, facts)]


def _play(state: Mapping[str, Any], steps: list[Step], minutes: float, rate: float) -> bool:
    """Play the plan in real time; False if it was interrupted."""
    ask_supervisor(state, "/load", {"rate": rate, "day_minutes": minutes, "hour": 6.0})
    begin, waiting = time.monotonic(), list(steps)
    with tqdm(total=round(minutes * 60), bar_format=_BAR, disable=None) as bar:
        try:
            while (age := time.monotonic() - begin) < minutes * 60:
                while waiting and waiting[0].at <= age:
                    step = waiting.pop(0)
                    tqdm.write(f"{age / 60:6.1f} min  {_said(step)}")
                    try:
                        _carry_out(state, step)
                    except CourseError as error:  # one step less is no reason to lose the rest
                        tqdm.write(f"            not done: {error}")
                bar.update(int(age) - bar.n)
                time.sleep(0.2)
        except KeyboardInterrupt:
            tqdm.write("interrupted; what is done is kept")
            ask_supervisor(state, "/heal", {})
            return False
    return True


_BAR = "{percentage:3.0f}% |{bar}| {elapsed} of {elapsed}+{remaining}"


def _carry_out(state: Mapping[str, Any], step: Step) -> None:
    if step.action == "fault":
        order: dict[str, Any] = {
            "kind": step.what, "service": step.service, "severity": step.severity,
            "seconds": step.seconds, "seed": step.seed,
        }  # fmt: skip
        ask_supervisor(state, "/fault", order)
    elif step.action == "surge":
        surge = {"kind": step.what, "seconds": step.seconds, "size": step.severity,
                 "journeys": SURGES[step.what].journeys}  # fmt: skip
        ask_supervisor(state, "/load", {"surge": surge})
    else:
        change = {"kind": step.what, "service": step.service, "detail": step.detail}
        ask_supervisor(state, "/change", change)


def _said(step: Step) -> str:
    where = f" at {step.service}" if step.service else ""
    length = f" for {step.seconds:.0f} s" if step.seconds else ""
    return f"{step.action}: {step.what}{where}{length}"

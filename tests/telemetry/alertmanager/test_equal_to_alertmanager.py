"""The embedded evaluator answers as amtool and Alertmanager: recorded always, live where they are."""

import random

import pytest

from course.telemetry.alertmanager import ConfigError, load_config
from tests.conftest import require
from tests.telemetry.alertmanager import real, record
from tests.telemetry.alertmanager.compare import embedded_answer
from tests.telemetry.alertmanager.generator import make_case
from tests.telemetry.alertmanager.rejects import INVALID, VALID


@pytest.fixture(scope="module")
def recorded() -> dict:
    return record.load()


def _accepts(text: str) -> bool:
    try:
        load_config(text)
    except ConfigError:
        return False
    return True


def test_recorded_cases_are_enough_and_say_something(recorded: dict) -> None:
    answers = [answer for _, answer in recorded["cases"]]
    assert len(answers) >= 200
    assert sum(len(set(map(tuple, a["receivers"]))) > 1 for a in answers) >= 110
    assert sum(any(len(r) > 1 for r in a["receivers"]) for a in answers) >= 30
    assert sum(bool(a["inhibited"]) for a in answers) >= 40


def test_every_recorded_case_is_equal(recorded: dict) -> None:
    unequal = [n for n, (case, answer) in enumerate(recorded["cases"])
               if embedded_answer(case) != answer]  # fmt: skip
    assert not unequal


@pytest.mark.parametrize("name", [*VALID, *INVALID])
def test_what_is_taken_is_what_amtool_takes(recorded: dict, name: str) -> None:
    text = {**VALID, **INVALID}[name]
    assert recorded["checks"][text] == (name in VALID)
    assert _accepts(text) == (name in VALID)


@pytest.mark.prometheus
def test_fresh_cases_are_equal() -> None:
    require(real.AMTOOL and real.ALERTMANAGER, "Alertmanager and amtool are not installed; on "
            "Debian 12: apt install prometheus-alertmanager")  # fmt: skip
    first = random.SystemRandom().randrange(10_000, 10_000_000)
    cases = {seed: make_case(seed) for seed in range(first, first + 8)}
    assert not [s for s, case in cases.items() if embedded_answer(case) != real.answer(case)]

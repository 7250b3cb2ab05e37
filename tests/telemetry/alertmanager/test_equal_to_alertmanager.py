"""The embedded evaluator answers as amtool and a running Alertmanager do."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from course.telemetry.alertmanager import AlertmanagerConfigError, load_config
from tests.conftest import require
from tests.telemetry.alertmanager import real, record
from tests.telemetry.alertmanager.generator import Case, make_case
from tests.telemetry.alertmanager.rejects import INVALID, STRICTER, VALID

RECORDED = record.load()


@pytest.fixture
def real_tools() -> None:
    reason = "Alertmanager is not installed; on Debian 12: apt install prometheus-alertmanager"
    require(real.AMTOOL and real.ALERTMANAGER, reason)


def embedded(case: Case) -> dict[str, Any]:
    """What the evaluator says, in the form of the recorded answers."""
    config = load_config(case.config)
    groups: dict[Any, list[int]] = {}
    for number, labels in enumerate(case.alerts):
        for route in config.route.match(labels):
            groups.setdefault((id(route), route.receiver, route.group(labels)), []).append(number)
    return {
        "receivers": [config.receivers_of(labels) for labels in case.alerts],
        "groups": sorted(
            (
                [receiver, dict(labels), numbers]
                for (_, receiver, labels), numbers in groups.items()
            ),
            key=json.dumps,
        ),
        "inhibited": [
            number for number, labels in enumerate(case.alerts) if config.muted(labels, case.alerts)
        ],
    }


def test_at_least_200_recorded_configurations_are_equal() -> None:
    assert len(RECORDED["cases"]) >= 200
    different = [
        seed for seed, (case, answer) in enumerate(RECORDED["cases"]) if embedded(case) != answer
    ]
    assert different == []


def test_the_recorded_cases_ask_for_all_that_the_evaluator_does() -> None:
    """Else equality would mean little: trees that branch, continue, group and inhibit."""
    answers = [answer for _, answer in RECORDED["cases"]]
    receivers = Counter(
        name for answer in answers for names in answer["receivers"] for name in names
    )
    assert len(receivers) == 5
    assert receivers.most_common(1)[0][1] < 0.5 * receivers.total()
    assert sum(len(names) > 1 for answer in answers for names in answer["receivers"]) > 50
    assert sum(bool(answer["inhibited"]) for answer in answers) > 50
    sizes = Counter(len(numbers) for answer in answers for *_, numbers in answer["groups"])
    assert sizes[1] > 100
    assert sum(number for size, number in sizes.items() if size > 2) > 100


@pytest.mark.parametrize("name", [*INVALID, *VALID, *STRICTER])
def test_the_evaluator_takes_what_amtool_takes(name: str) -> None:
    text = {**INVALID, **VALID, **STRICTER}[name]
    assert RECORDED["checks"][text] is (name not in INVALID)
    if name in VALID:
        load_config(text)
    else:
        with pytest.raises(AlertmanagerConfigError):
            load_config(text)


@pytest.mark.prometheus
@pytest.mark.usefixtures("real_tools")
class TestLive:
    """With the tools at hand, where the answers are asked for anew."""

    def test_fresh_configurations_are_equal(self) -> None:
        for seed in range(10_000, 10_008):
            case = make_case(seed)
            assert embedded(case) == record.answer(case), seed

    def test_recorded_answers_are_what_these_tools_say(self) -> None:
        for case, answer in RECORDED["cases"][::60]:
            assert record.answer(case) == answer
        for text in (*INVALID.values(), *VALID.values()):
            assert real.accepts(text) is RECORDED["checks"][text], text

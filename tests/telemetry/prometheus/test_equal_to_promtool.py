"""The embedded evaluator gives promtool's answers: recorded ones always, live ones where it is."""

import copy
import random

import pytest

from course.telemetry.prometheus import load_rules
from tests.telemetry.prometheus import promtool, record
from tests.telemetry.prometheus.compare import differences, embedded_answer
from tests.telemetry.prometheus.generator import make_case


@pytest.fixture(scope="module")
def recorded() -> dict:
    return record.load()


def test_recorded_cases_are_enough_and_say_something(recorded: dict) -> None:
    answers = [answer for _, answer in recorded["cases"]]
    assert len(answers) >= 200
    assert sum(bool(answer.get("firing")) for answer in answers) >= 150
    assert any("error" in answer for answer in answers)
    assert sum(len(answer.get("recorded", ())) for answer in answers) > 5000


def test_every_recorded_case_is_equal(recorded: dict) -> None:
    unequal = {
        number: found
        for number, (case, answer) in enumerate(recorded["cases"])
        if (found := differences(embedded_answer(case), answer))
    }
    assert not unequal


def test_a_changed_answer_is_noticed(recorded: dict) -> None:
    rng = random.Random(1)
    loud = [a for _, a in recorded["cases"] if a.get("firing") and a.get("recorded")]
    for answer in loud[:50]:
        moved = copy.deepcopy(answer)
        rng.choice(moved["firing"])[1].pop()
        assert differences(answer, moved)
        relabelled = copy.deepcopy(answer)
        rng.choice(relabelled["firing"])[0]["severity"] = "other"
        assert differences(answer, relabelled)
        silent = {**answer, "firing": answer["firing"][1:]}
        assert differences(answer, silent)
        finite = [sample for sample in answer["recorded"] if abs(sample[2]) < float("inf")]
        if finite:
            position = answer["recorded"].index(finite[0])
            changed = copy.deepcopy(answer)
            changed["recorded"][position][2] += 1e-6 * max(1.0, abs(finite[0][2]))
            assert differences(answer, changed)


def _expected(case, answer):
    """The embedded answer as the expectations of ``promtool test rules``."""
    expected = {
        rule.name: {second: [] for second in promtool.evaluation_seconds(case)}
        for rule in load_rules(case.rules).alerts
    }
    for labels, seconds in answer["firing"]:
        for second in seconds:
            expected[labels["alertname"]][second].append(labels)
    return expected


@pytest.mark.prometheus
@pytest.mark.usefixtures("real_promtool")
class TestLive:
    """A fresh batch on every run."""

    def test_fresh_cases_are_equal(self) -> None:
        first = random.SystemRandom().randrange(10_000, 10_000_000)
        unequal = {}
        for seed in range(first, first + 25):
            case = make_case(seed)
            if found := differences(embedded_answer(case), promtool.answer(case)):
                unequal[seed] = found[:3]
        assert not unequal

    def test_promtool_confirms_our_alerts_and_rejects_mutated_ones(self) -> None:
        confirmed = 0
        for seed in range(60):
            case = make_case(seed)
            answer = embedded_answer(case)
            if not answer.get("firing") or "record:" in case.rules:
                continue
            expected = _expected(case, answer)
            assert promtool.run(case, expected)[0] == 0, seed
            labels, seconds = answer["firing"][0]
            expected[labels["alertname"]][seconds[-1]].pop()
            assert promtool.run(case, expected)[0] == 1, seed
            confirmed += 1
        assert confirmed >= 10

    def test_recorded_answers_are_what_this_promtool_says(self, recorded: dict) -> None:
        for case, answer in recorded["cases"][::30]:
            assert differences(promtool.answer(case), answer) == []

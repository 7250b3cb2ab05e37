"""The audit tells right answers from wrong ones and says what does not hold."""

from __future__ import annotations

from collections.abc import Iterator

import fixture_course as fixture
import pytest

from course.grading.audit import AuditReport, audit
from course.lessons.checking import WrongAnswer

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


@pytest.fixture(scope="module")
def report(sandbox: None) -> Iterator[AuditReport]:
    yield audit(fixture.MONTH, seeds=3, jobs=1)


def test_a_sound_month_passes(report: AuditReport) -> None:
    assert report.faults == []
    assert report.ok


def test_reference_and_release_and_every_answer_are_tried(report: AuditReport) -> None:
    tried = {(trial.exercise, trial.answer) for trial in report.trials}
    assert tried == {
        *((answer.exercise, answer.name) for answer in fixture.ANSWERS),
        *((e.id, kind) for e in fixture.MONTH.exercises for kind in ("reference", "release")),
    }


def test_the_table_shows_the_margin_beside_the_naive_answer(report: AuditReport) -> None:
    line = next(line for line in str(report).splitlines() if line.startswith("detect    spikes"))
    assert line.split()[2:] == ["1", "0", "0.5", "0.9", "+0.25"]


def test_an_answer_that_loses_the_reference_s_names_gets_no_help_from_it(
    report: AuditReport,
) -> None:
    shares = [trial.share for trial in report.trials if trial.answer == "leftover"]
    assert shares == [0.0, 0.0]


def test_a_check_that_lets_a_wrong_answer_through_is_a_fault(
    sandbox: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = WrongAnswer("double", "not wrong at all", "", "def double(v):\n    return 2 * v\n")
    monkeypatch.setattr(fixture, "ANSWERS", [right])
    report = audit(fixture.MONTH, seeds=1, exercises=["double"], jobs=1)
    assert [fault for fault in report.faults if "not wrong at all" in fault]
    assert "keeps 100" in str(report)

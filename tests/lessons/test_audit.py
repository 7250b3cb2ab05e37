"""Reference 100, release 0, wrong answers lose, right alternatives keep: for every month."""

import os

import pytest

from course.grading.audit import audit
from course.grading.audited import made_from, recorded
from course.grading.sandbox import sandbox_available
from course.lessons import months
from tests.conftest import require

SEEDS = int(os.environ.get("COURSE_AUDIT_SEEDS", "2"))


@pytest.mark.sandbox
@pytest.mark.parametrize("month", months(), ids=lambda month: month.name)
def test_the_month_passes_its_audit(month):
    """Whole where something has changed since the audit on record; one exercise of it elsewhere."""
    available, reason = sandbox_available()
    require(available, reason)
    exercises = [exercise.id for exercise in month.exercises]
    if SEEDS < 20 and recorded(month) >= SEEDS:
        # Another one after each change.
        exercises = [exercises[int(made_from(month), 16) % len(exercises)]]
    report = audit(month, seeds=SEEDS, exercises=exercises)
    assert not report.faults, str(report)

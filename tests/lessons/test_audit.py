"""Reference 100, release 0, wrong answers lose, right alternatives keep: for every month."""

import os

import pytest

from course.grading.audit import audit
from course.grading.sandbox import sandbox_available
from course.lessons import months
from tests.conftest import require

SEEDS = int(os.environ.get("COURSE_AUDIT_SEEDS", "2"))


@pytest.mark.sandbox
@pytest.mark.parametrize("month", months(), ids=lambda month: month.name)
def test_the_month_passes_its_audit(month):
    available, reason = sandbox_available()
    require(available, reason)
    report = audit(month, seeds=SEEDS)
    assert not report.faults, str(report)

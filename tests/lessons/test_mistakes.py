"""Wrong answers made from a lesson's own solution, and the tasks that a person grades."""

import pytest

from course.lessons import month
from course.lessons.mistakes import Solutions

LESSON = """# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "solution": true}
def double(value):
    return 2 * value

# %% [markdown]
# The end.
"""


@pytest.fixture
def solutions(tmp_path):
    (tmp_path / "lesson.py").write_text(LESSON, encoding="utf-8")
    return Solutions(tmp_path)


def test_a_mistake_is_the_solution_with_a_fragment_changed(solutions):
    wrong = solutions.mistake("double", "treble", "miscounts", ("2 *", "3 *"))
    assert wrong.code.strip() == "def double(value):\n    return 3 * value"
    assert (wrong.exercise, wrong.kind) == ("double", "wrong")


def test_a_fragment_that_is_gone_is_named(solutions):
    with pytest.raises(LookupError, match="the solution has no '4' any more"):
        solutions.mistake("double", "treble", "miscounts", ("4", "3"))


def test_a_solution_that_is_gone_is_named(solutions):
    with pytest.raises(LookupError, match="no solution cell with the grade_id 'halve'"):
        solutions.solution("halve")


def test_points_of_tasks_come_on_top_of_the_hundred():
    overview = month(1)
    assert sum(exercise.points for exercise in overview.exercises) == 100
    assert [(task.id, task.points) for task in overview.tasks] == [("explain-design", 10)]

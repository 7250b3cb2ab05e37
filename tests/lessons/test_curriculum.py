"""The curriculum as data, and what lies beside each lesson."""

import ast

import pytest

from course.grading.audit import lesson_notebook
from course.lessons import month, months
from course.lessons.checking import ramp


def _defined(code: str) -> set[str]:
    return {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("one", months(), ids=lambda one: one.name)
class TestEveryMonth:
    def test_points_sum_to_100(self, one):
        assert sum(exercise.points for exercise in one.exercises) == 100

    def test_every_exercise_has_a_hidden_check(self, one):
        assert set(one.load_checks()) == {exercise.id for exercise in one.exercises}

    def test_every_exercise_has_at_least_four_wrong_answers(self, one):
        wrong = [a.exercise for a in one.load_wrong_answers() if a.kind != "alternative"]
        assert {e.id: wrong.count(e.id) >= 4 for e in one.exercises} == {
            e.id: True for e in one.exercises
        }

    def test_every_exercise_has_a_constant_or_clock_answer(self, one):
        blind = {
            a.exercise
            for a in one.load_wrong_answers()
            if a.kind in {"constant", "clock", "metadata"}
        }
        assert blind == {exercise.id for exercise in one.exercises}

    def test_every_function_asked_for_is_defined_by_the_solution_of_its_exercise(self, one):
        cells = {
            cell.metadata.get("nbgrader", {}).get("grade_id"): cell.source
            for cell in lesson_notebook(one).cells
        }
        missing = {
            exercise.id: sorted(set(exercise.functions) - _defined(cells[exercise.id]))
            for exercise in one.exercises
        }
        assert missing == {exercise.id: [] for exercise in one.exercises}

    def test_wrong_answers_compile(self, one):
        for answer in one.load_wrong_answers():
            compile(answer.code, answer.name, "exec")


def test_a_month_is_found_by_number_and_by_name():
    assert month(3) is month("3") is month("month-03") is month("month-03-anomaly-detection")


def test_an_unknown_month_names_those_that_exist():
    with pytest.raises(KeyError, match="month-03-anomaly-detection"):
        month(99)


def test_ramp_rises_from_baseline_to_target_in_either_direction():
    assert [ramp(x, 0.4, 0.8) for x in (0.3, 0.4, 0.6, 0.9)] == [0, 0, 0.5, 1]
    assert [ramp(x, 5, 1) for x in (6, 3, 0.5)] == [0, 0.5, 1]
    assert ramp(float("nan"), 0, 1) == 0

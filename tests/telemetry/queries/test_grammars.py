"""The subsets of LogQL and TraceQL against Grafana's own grammars."""

from __future__ import annotations

import json

import pytest

from course.telemetry.queries import QueryError, parse_logql, parse_traceql
from tests.telemetry.queries import record

PARSERS = {"logql": parse_logql, "traceql": parse_traceql}
ROWS = json.loads(record.VERDICTS.read_text(encoding="utf-8"))["queries"]
#: The grammars know whole languages, the subsets a part; and they know no types and no meaning.
OUTSIDE = 0.05


def _taken(language: str, text: str) -> bool:
    try:
        PARSERS[language](text)
    except QueryError:
        return False
    return True


def test_the_recorded_queries_are_those_of_the_generator():
    assert [(language, text) for language, text, _ in ROWS] == record.cases()


@pytest.mark.parametrize("language", PARSERS)
def test_nothing_is_taken_that_the_grammar_of_the_tool_refuses(language):
    refused = [text for which, text, good in ROWS if which == language and not good]
    assert len(refused) > 60
    assert [text for text in refused if _taken(language, text)] == []


@pytest.mark.parametrize("language", PARSERS)
def test_nearly_all_is_taken_that_the_grammar_of_the_tool_takes(language):
    good = [text for which, text, good in ROWS if which == language and good]
    assert len(good) > 90
    lost = [text for text in good if not _taken(language, text)]
    assert len(lost) <= OUTSIDE * len(good), lost


def test_the_installed_grammars_still_say_what_was_recorded():
    verdicts = record.asked()
    if verdicts is None:
        pytest.skip("Node or the grammars are not installed; the recorded verdicts stand for them")
    assert verdicts == [good for _, _, good in ROWS]

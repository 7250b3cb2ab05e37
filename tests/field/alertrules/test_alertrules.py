"""The loader and the lint on entries written by hand."""

from course.field.alertrules import as_labels, lint, read_rules, rule_file
from course.telemetry import prometheus

_TEXT = """
groups:
  - name: g
    services:
      - name: s
        exporters:
          - rules:
              - {name: a, query: 'up == 0', severity: critical}
              - {name: b, query: 'x{a="b>c"}', severity: warning, for: 5m}
              - {name: c, query: 'absent(up)', severity: critical, for: 0m}
              - {name: d 5xx, query: 'rate(x_total[1m]) > 1', severity: info, for: 2m}
"""


def test_lint_reads_for_severity_and_comparison() -> None:
    found = lint(read_rules(_TEXT))
    assert found["no for"].tolist() == [True, False, True, False]
    assert found["critical at once"].tolist() == [True, False, True, False]
    assert found["no threshold"].tolist() == [False, True, False, False]
    assert found["short range"].tolist() == [False, False, False, True]


def test_labels_speak_of_pages_and_tickets() -> None:
    labels = as_labels(read_rules(_TEXT))
    assert [one["severity"] for one in labels] == ["page", "ticket", "page", "info"]
    assert labels[0] == {"alertname": "a", "severity": "page", "service": "s"}


def test_a_rule_file_of_the_collection_can_be_loaded() -> None:
    rules = prometheus.load_rules(rule_file(read_rules(_TEXT)))
    assert [rule.name for rule in rules.alerts] == ["A", "B", "C", "D5Xx"]

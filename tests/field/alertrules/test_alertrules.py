"""The loader and the lint on entries written by hand."""

from course.field.alertrules import lint, read_rules

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
"""


def test_lint_reads_for_severity_and_comparison() -> None:
    found = lint(read_rules(_TEXT))
    assert found["no for"].tolist() == [True, False, True]
    assert found["critical at once"].tolist() == [True, False, True]
    assert found["no threshold"].tolist() == [False, True, False]

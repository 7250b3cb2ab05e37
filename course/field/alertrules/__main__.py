"""Lint the collection: ``python -m course.field.alertrules``."""

from course.field.alertrules import FINDINGS, lint, load_rules


def main() -> None:
    """Print how many rules each finding holds for."""
    rules = load_rules()
    found = lint(rules)
    print(f"{len(rules)} rules for {rules['service'].nunique()} kinds of system")
    for name, what in FINDINGS.items():
        print(f"{name}: {found[name].sum()} ({found[name].mean():.0%}): {what}")


if __name__ == "__main__":
    main()

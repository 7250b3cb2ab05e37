"""What the evaluator raises."""


class RuleFileError(ValueError):
    """A rule file that may not be loaded: where, what was found, what is allowed."""


class EvaluationError(ValueError):
    """A rule that Prometheus would fail at run time, such as many-to-many matching."""

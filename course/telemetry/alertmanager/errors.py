"""What the evaluator raises."""


class ConfigError(ValueError):
    """A configuration that may not be loaded: where, what was found, what is allowed."""

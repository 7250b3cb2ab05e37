"""Grading: submissions run in a sandbox, and are judged from outside it."""

import course._lean  # noqa: F401

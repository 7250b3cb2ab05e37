"""A course for AIOps engineers: one online shop, eighteen months of graded notebooks."""

__version__ = "0.1.0"

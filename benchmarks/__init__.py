"""Measurements of speed, memory and difficulty: `python -m benchmarks` lists and runs them."""

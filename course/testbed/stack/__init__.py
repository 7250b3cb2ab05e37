"""Monitoring of the testbed: Prometheus and Alertmanager, or an embedded default.

Both scrape the same targets, evaluate the same rule file, group and inhibit alerts the same way
and answer the same HTTP requests; `course.testbed.query` asks either.
"""

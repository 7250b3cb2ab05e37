# One line a target; each works in its own environment, made on first use from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help lab test test-all lint build grade bench coverage clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12
lab: .venv/.installed  ## prepare the workspace and open JupyterLab (LAB="--no-browser --port 9000")
	course lab $(LAB)
test: lint  ## everything; audits in full where something changed since the last on record
	pytest -n 2 --dist loadscope
test-all: lint  ## everything and slow tests, all audits with 20 secrets
	COURSE_AUDIT_SEEDS=20 pytest -n 2 --dist loadscope
lint: .venv/.installed  ## style and types
	ruff check . && ruff format --check . && mypy
build: .venv/.installed  ## make notebooks and releases from the lessons
	course build
grade: .venv/.installed  ## grade what was submitted (MONTH=3)
	course grade $(MONTH)
bench: .venv/.installed  ## measure simulator and grading
	python -m benchmarks
coverage: .venv/.installed  ## coverage of course/, outside notebook runs
	pytest -n 2 --dist loadscope --ignore=tests/notebooks --cov=course --cov-report=term-missing:skip-covered
clean:  ## remove the environment and caches
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

"""Every example in the docstrings gives what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import course.testbed

MODULES = [
    module.name
    for module in pkgutil.walk_packages(course.testbed.__path__, "course.testbed.")
    if not module.ispkg
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_services_start_without_what_only_notebooks_need() -> None:
    """Thirteen processes start at once: each import counts thirteen times."""
    import subprocess
    import sys

    code = "import course.testbed.service, sys; print({'pandas', 'numpy', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

"""Which files of the package a text depends on: its imports, followed to their end.

What a notebook shows and what an audit finds depend on these files and no others, so a change of
the package makes stale only what it can have changed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path


def reached(texts: Iterable[Path], package: Path) -> list[Path]:
    """Files of a package that some Python files import, directly or through others.

    Parameters
    ----------
    texts : iterable of Path
        Python files, within the package or not; a missing one imports nothing. IPython's magics
        may stand in comments only.
    package : Path
        Folder of the package, whose name is that of the import.

    Returns
    -------
    list of Path
        In order: the modules, the `__init__` of each package above them, and what is no Python in
        their folders (tables, grammars). Imports within functions count; modules that are named by
        a computed string are not seen.

    Raises
    ------
    SyntaxError
        One of the files is no Python.
    """
    found: set[Path] = set()
    pending = [path for path in texts if path.is_file()]
    while pending:
        path = pending.pop()
        for name in _imports(path, package):
            for module in _files(name, package):
                if module not in found:
                    found.add(module)
                    pending.append(module)
    beside = {
        path for folder in {module.parent for module in found} for path in folder.iterdir()
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }  # fmt: skip
    return sorted(found | beside)


def libraries(texts: Iterable[Path], package: Path) -> list[str]:
    """First names of what some Python files import and the package does not hold, in order.

    Parameters
    ----------
    texts : iterable of Path
        Files; those that are no Python import nothing.
    package : Path
        Folder of the package, whose name is that of the import.
    """
    names: set[str] = set()
    for path in texts:
        if path.suffix == ".py" and path.is_file():
            names.update(name.partition(".")[0] for name in _imports(path, package))
    return sorted(names - {package.name, ""})


def _imports(path: Path, package: Path) -> tuple[str, ...]:
    """Dotted names that a file may import, relative ones from its place in the package."""
    here = path.parent.relative_to(package.parent).parts if path.is_relative_to(package) else ()
    return _imported(path, here, path.stat().st_mtime_ns)


@lru_cache(maxsize=4096)
def _imported(path: Path, here: tuple[str, ...], changed: int) -> tuple[str, ...]:
    """Dotted names that a file may import; of ``from a import b`` both `a` and `a.b`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(names)


def _files(name: str, package: Path) -> Iterator[Path]:
    """The files that importing a dotted name runs: packages above it and the module itself."""
    first, *rest = name.split(".")
    if first != package.name:
        return
    place = package
    yield from _there(place / "__init__.py")
    for part in rest:
        yield from _there(place / f"{part}.py")
        place = place / part
        yield from _there(place / "__init__.py")


def _there(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path

"""Which cells of a submission have to run for its grade.

Everything that a student wrote runs. Of the lesson's own cells the warm parent has run those
before the first answer; of the others only those run whose names something needs: charts that
nobody's code refers to do not. The analysis errs towards running more: what a function reads may
come from any cell, a bare call such as ``history.pop(...)`` counts as a change of all names in it,
and student code that looks names up while it runs (`globals`, `exec`, magics) has everything run.
"""

from __future__ import annotations

import ast
import symtable
import warnings
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from nbformat import NotebookNode

from course.grading.forkserver import Warmth

K = TypeVar("K")
_DYNAMIC = {"eval", "exec", "get_ipython", "globals", "locals", "vars", "__import__"}
_SETTERS = ("seed", "set_", "use", "simplefilter", "filterwarnings", "rc")
_READERS = {"print", "display", "len", "repr", "isinstance", "getattr", "hasattr", "sorted"}


@dataclass(frozen=True)
class Names:
    """Names of a cell at the level of the notebook."""

    used: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    dynamic: bool = False


@dataclass
class Plan:
    """What to do with each code cell, by its place in the notebook.

    Parameters
    ----------
    run : set of int
        To be run, in order.
    shown : dict of int to list
        Not run, with the lesson's outputs, which do not depend on any answer.
    prefix : bool
        Whether the kernel has to begin with the names of the lesson's first cells.
    """

    run: set[int] = field(default_factory=set)
    shown: dict[int, list] = field(default_factory=dict)
    prefix: bool = False


def warmth(lesson: NotebookNode | None) -> Warmth:
    """What a warm parent of a lesson should have done."""
    if lesson is None:
        return Warmth()
    sources = tuple(cell.source for cell in lesson.cells if cell.cell_type == "code")
    prefix = tuple(cell.source for cell in prefix_cells(lesson))
    return Warmth(_imports(sources), prefix, withheld(lesson))


def withheld(lesson: NotebookNode | None) -> tuple[str, ...]:
    """Parts of the course that a lesson withholds while it is graded: its exercises ask for them.

    A lesson names them at its top, as ``withheld`` of the metadata ``course``.
    """
    about = lesson.metadata.get("course", {}) if lesson is not None else {}
    return tuple(about.get("withheld", ()))


def prefix_cells(lesson: NotebookNode) -> list[NotebookNode]:
    """The code cells before the first one that a student writes or is graded on.

    Without those that need what the lesson withholds: they would fail.
    """
    kept, beyond = withheld(lesson), set[str]()
    cells = []
    for cell in lesson.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id"):
            break
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if kept:
            needed = [f"{name}." for name in _imports((cell.source,))]
            names = names_of(cell.source)
            if names.used & beyond or any(n.startswith(f"{k}.") for n in needed for k in kept):
                beyond |= names.bound
                continue
        cells.append(cell)
    return cells


def plan(
    notebook: NotebookNode,
    lesson: NotebookNode | None,
    *,
    asked: Collection[str] = (),
    only: str = "",
    more: Iterable[str] = (),
) -> Plan:
    """Decide which code cells of a notebook to run.

    Parameters
    ----------
    notebook : NotebookNode
        The restored submission.
    lesson : NotebookNode, optional
        The month's notebook; without it every cell runs.
    asked : collection of str
        Names that the checks will call.
    only : str
        Consider this exercise's cell alone as the student's; the others run where needed.
    more : iterable of str
        Further code that is going to be run in the kernel.
    """
    code = [i for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()]
    if lesson is None:
        return Plan(set(code))
    originals = {cell.source: cell for cell in lesson.cells if cell.cell_type == "code"}
    prefix = {cell.source for cell in prefix_cells(lesson)}
    own: list[int] = []
    theirs: list[int] = []
    for i in code:
        cell = notebook.cells[i]
        answer = bool(cell.metadata.get("nbgrader", {}).get("solution"))
        if only:
            answer = cell.metadata.get("nbgrader", {}).get("grade_id") == only
        (own if answer or cell.source not in originals else theirs).append(i)
    sources = [*originals, *(notebook.cells[i].source for i in own)]
    modules = frozenset().union(*map(imported, sources))
    names = {i: names_of(notebook.cells[i].source, modules) for i in code}
    extra = [names_of(text, modules) for text in more]
    if any(names[i].dynamic for i in own) or any(found.dynamic for found in extra):
        run = {i for i in code if notebook.cells[i].source not in prefix}
        return Plan(run, _shown(notebook, originals, names, set(code) - run, set(own)), True)
    wanted = set(asked).union(*(names[i].used for i in own), *(found.used for found in extra))
    later = [i for i in theirs if notebook.cells[i].source not in prefix]
    run = set(own) | needed_cells(names, wanted, later)
    return Plan(run, _shown(notebook, originals, names, set(code) - run, set(own)), True)


def needed_cells(names: dict[K, Names], wanted: Iterable[str], among: Iterable[K]) -> set[K]:
    """Those cells that bind a wanted name, or one that such a cell uses in turn."""
    names_wanted, waiting, found = set(wanted), set(among), set[K]()
    while more := {cell for cell in waiting if names[cell].bound & names_wanted}:
        found |= more
        waiting -= more
        names_wanted.update(*(names[cell].used for cell in more))
    return found


def _shown(
    notebook: NotebookNode, originals: dict[str, NotebookNode], names: dict[int, Names],
    left_out: set[int], own: set[int],
) -> dict[int, list]:  # fmt: skip
    """Outputs of the cells left out that no answer can have changed."""
    touched: set[str] = set().union(*(names[i].bound for i in own)) if own else set()
    shown = {}
    for i in sorted(names):
        if i in own:
            continue
        if names[i].used & touched:
            touched |= names[i].bound
        elif i in left_out:
            shown[i] = originals[notebook.cells[i].source].get("outputs", [])
    return shown


@lru_cache(maxsize=2048)
def names_of(source: str, modules: frozenset[str] = frozenset()) -> Names:
    """Names that a cell uses and binds at the level of the notebook.

    Parameters
    ----------
    source : str
        The cell; IPython's magics are understood.
    modules : frozenset of str
        Names that stand for imported modules.

    Examples
    --------
    >>> found = names_of("def f(x):\\n    return x + y\\nz.append(1)")
    >>> sorted(found.used), sorted(found.bound)
    (['y', 'z'], ['f', 'z'])
    """
    code = _plain_python(source)
    try:
        tree, table = ast.parse(code), symtable.symtable(code, "<cell>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # It will fail in the kernel as well; what it was meant to bind is not there then.
        return Names()
    used, bound = set(), set()
    pending = [table]
    while pending:
        scope = pending.pop()
        pending += scope.get_children()
        top = scope.get_type() == "module"
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            if symbol.is_referenced() and (top or symbol.is_global()):
                used.add(name)
            if (top or symbol.is_declared_global()) and (
                symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            ):
                bound.add(name)
    bound |= _changed(tree, modules)
    # A symbol table takes the target of ``x += 1`` for assigned alone.
    used |= {
        node.target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    used &= _needed(tree)
    star = any(isinstance(n, ast.ImportFrom) and n.names[0].name == "*" for n in ast.walk(tree))
    return Names(frozenset(used), frozenset(bound), star or bool(used & _DYNAMIC))


def _needed(tree: ast.Module) -> set[str]:
    """Names that a cell reads before it has certainly bound them itself.

    What a function or a lambda reads always counts: it looks names up when it is called, and by
    then a later cell may have bound them anew.
    """
    needed: set[str] = set()

    def read(node: ast.AST, bound: set[str]) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            bound = set()
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            needed.update({node.id} - bound)
        elif isinstance(node, ast.AugAssign):
            needed.update(_stored(node.target) - bound)
        for part in ast.iter_child_nodes(node):
            read(part, bound)

    def follow(body: list[ast.stmt], bound: set[str]) -> set[str]:
        for statement in body:
            if isinstance(statement, ast.With):
                for item in statement.items:
                    read(item, bound)
                bound = follow(statement.body, bound.union(*map(_stored, statement.items)))
            elif isinstance(statement, ast.For):
                read(statement.iter, bound)
                read(statement.target, bound)
                follow(statement.body, bound | _stored(statement.target))
                follow(statement.orelse, bound)
            else:
                read(statement, bound)
                bound = bound | _bound_by(statement)
        return bound

    follow(tree.body, set())
    return needed


def _bound_by(statement: ast.stmt) -> set[str]:
    """Names that a simple statement or a definition has bound once it has run."""
    if isinstance(statement, ast.Assign):
        return set().union(*map(_stored, statement.targets))
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return _stored(statement.target)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    return set()


def _stored(node: ast.AST) -> set[str]:
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


@lru_cache(maxsize=2048)
def imported(source: str) -> frozenset[str]:
    """Names that a cell's import statements bind."""
    try:
        tree = ast.parse(_plain_python(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    )


def _plain_python(source: str) -> str:
    if not any(mark in source for mark in "%!?"):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        with warnings.catch_warnings(action="ignore"):
            return TransformerManager().transform_cell(source)
    except Exception:
        return source


def _changed(tree: ast.Module, modules: frozenset[str]) -> set[str]:
    """Names whose objects a cell may change: targets below a name, and bare calls.

    A bare call counts against the object it is made on and its arguments. Made on an imported
    module it changes nothing that anybody else sees (`plt.show()`), unless its name says so.
    """
    found: set[str] = set()
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            found |= _root(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            owner, name = _root(call.func), ast.unparse(call.func).rsplit(".", 1)[-1]
            if owner & modules:
                found |= owner if name.startswith(_SETTERS) else set()
            elif name not in _READERS:
                found |= owner
                for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
                    found |= _root(argument) - modules
        pending += ast.iter_child_nodes(node)
    return found


def _root(node: ast.AST) -> set[str]:
    """The name that an expression such as ``a.b[0].c`` starts from; none for a call's result."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
    return {node.id} if isinstance(node, ast.Name) else set()


@lru_cache(maxsize=4096)
def _imports(sources: tuple[str, ...]) -> tuple[str, ...]:
    """Modules that the cells of a lesson import anywhere, in order."""
    found: dict[str, None] = {}
    for source in sources:
        try:
            tree = ast.parse(_plain_python(source))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update({alias.name: None for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module] = None
                found.update({f"{node.module}.{alias.name}": None for alias in node.names})
    return tuple(found)

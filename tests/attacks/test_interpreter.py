"""Notebooks that change Python, IPython or the kernel under the tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_it_works_elsewhere, assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ATTACKS = [
    Attack(
        "strip asserts by an AST transformer",
        "no assert is ever run",
        """
        import ast
        class Strip(ast.NodeTransformer):
            def visit_Assert(self, node): return ast.Pass()
        get_ipython().ast_transformers.append(Strip())
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "strip asserts by an input transformer",
        "a check cell becomes its points",
        """
        def instead(lines):
            return ['10.0\\n'] if any('assert' in line for line in lines) else lines
        get_ipython().input_transformers_post.append(instead)
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "replace do_execute",
        "every cell succeeds unread",
        """
        print(T.mark, 'tried')
        kernel = get_ipython().kernel
        async def do_execute(*args, **kwargs):
            return {'status': 'ok', 'execution_count': 1, 'payload': [], 'user_expressions': {}}
        kernel.do_execute = do_execute
        """,
        control="in-process",
    ),
    Attack(
        "replace run_cell",
        "cells are not run, and reported as successful",
        """
        from IPython.core.interactiveshell import ExecutionResult
        print(T.mark, 'tried')
        def nothing(*args, **kwargs):
            result = ExecutionResult(None)
            result.execution_count = 1
            return result
        async def nothing_async(*args, **kwargs):
            return nothing()
        shell = get_ipython()
        shell.run_cell, shell.run_cell_async = nothing, nothing_async
        """,
        control="in-process",
    ),
    Attack(
        "forge results from run-cell events",
        "an execute_result of full marks before and after every cell",
        """
        shell = get_ipython()
        def forge(*args):
            shell.kernel.send_response(shell.kernel.iopub_socket, 'execute_result',
                {'data': {'text/plain': '20'}, 'metadata': {}, 'execution_count': 1})
        shell.events.register('pre_run_cell', forge)
        shell.events.register('post_run_cell', forge)
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "forge results by the display hook",
        "asserts become expressions and their results full marks",
        """
        import ast, sys
        class Claim(ast.NodeTransformer):
            def visit_Assert(self, node): return ast.Expr(ast.Constant(10.0))
        get_ipython().ast_transformers.append(Claim())
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "swallow every exception",
        "a custom handler keeps errors out of the outputs",
        """
        get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)
        get_ipython().showtraceback = lambda *a, **k: None
        get_ipython()._showtraceback = lambda *a, **k: None
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "disable AssertionError",
        "the check raises something that is swallowed",
        """
        import builtins
        class Quiet(BaseException): pass
        builtins.AssertionError = Quiet
        get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "patch sys.modules",
        "the numpy that a check imports is a stand-in whose cases are all zeros",
        """
        import sys, types
        real = sys.modules['numpy']
        class Still:
            def normal(self, size): return real.zeros(size)
            random = normal
        class Liar(types.ModuleType):
            random = types.SimpleNamespace(default_rng=lambda seed: Still())
            def __getattr__(self, name): return getattr(real, name)
        print(T.mark, 'tried')
        sys.modules['numpy'] = Liar('numpy')
        sys.modules['numpy.random'] = Liar.random
        """,
        control="in-process",
    ),
    Attack(
        "patch builtins",
        "whatever a check imports has no chance in it, and open, isinstance and float lie",
        """
        import builtins, types
        real = builtins.__import__
        class Still:
            def normal(self, size): return real('numpy').zeros(size)
            random = normal
        def lying(name, *args, **kwargs):
            if name != 'numpy' or 'sys' in globals(): return real(name, *args, **kwargs)
            made = types.SimpleNamespace(random=types.SimpleNamespace(default_rng=lambda seed: Still()))
            return made
        builtins.__import__ = lying
        builtins.float = type('float', (float,), {'__eq__': lambda self, other: True})
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "patch pandas and numpy",
        "comparisons and their summaries are true",
        """
        import numpy, pandas
        pandas.Series.__eq__ = lambda self, other: self.notna()
        pandas.Series.equals = pandas.DataFrame.equals = lambda self, other: True
        pandas.Series.all = lambda self, *a, **k: True
        numpy.array_equal = numpy.allclose = lambda *a, **k: True
        numpy.testing.assert_allclose = numpy.testing.assert_array_equal = lambda *a, **k: None
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "jump over the asserts by tracing",
        "a trace function replaces the values that a check compares",
        """
        import sys
        class Yes:
            def __eq__(self, other): return self
            def __len__(self): return 20
            def all(self): return True
        def trace(frame, event, arg):
            names = frame.f_globals
            if frame.f_code.co_filename.count('ipykernel_') and 'answer' in names:
                names['answer'] = Yes()
            return trace
        sys.settrace(trace)
        print(T.mark, 'tried')
        """,
        control="in-process",
    ),
    Attack(
        "import hook with lying modules",
        "whatever is imported from here on is a stand-in",
        """
        import importlib.abc, importlib.machinery, sys, types
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path, target=None):
                if name.split('.')[0] in ('course', 'checks', 'agent', 'codec', 'pandas'):
                    return importlib.machinery.ModuleSpec(name, self)
            def create_module(self, spec): return types.ModuleType(spec.name)
            def exec_module(self, module): module.__getattr__ = lambda name: (lambda *a: 1.0)
        sys.meta_path.insert(0, Finder())
        for name in [n for n in sys.modules if n.split('.')[0] == 'course']: del sys.modules[name]
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "read expected values from frames, In and the garbage collector",
        "the answer lies somewhere in the kernel's memory",
        double="""
        import gc, re, sys
        def double(v):
            frame = sys._getframe()
            while frame:
                for names in (frame.f_locals, frame.f_globals):
                    if 'expected' in names: return names['expected']
                frame = frame.f_back
            for thing in gc.get_objects():
                if type(thing).__name__ in ('HiddenCases', 'Secret', 'Case', 'NotebookStudent'):
                    return v * 2
            if any(re.search('^expected =', text, re.M) for text in get_ipython().user_ns['In']):
                return v * 2
            print(T.mark, 'tried')
            return v
        """,
        control="in-process",
    ),
    Attack(
        "replace the agent",
        "a stand-in of the grader's module in the kernel says that all is well",
        """
        import sys, types
        class Fake(types.ModuleType):
            held = {}
            class codec:
                CodecError = ValueError
                class HandleRef: pass
                decode = staticmethod(lambda data: {'do': 'hold', 'key': 1, 'value': 1})
                encode = staticmethod(lambda value: b'AIOPS1\\n' + (25).to_bytes(8, 'little')
                                      + b'{"t":"dict","v":[["ok",1]]}')
        sys.modules['__course_agent__'] = Fake('x')
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "replace the codec",
        "the answers' encoder writes a score instead of a value",
        """
        import sys, types
        class Codec(types.ModuleType):
            CodecError = ValueError
            class HandleRef: pass
            def decode(self, data): return {'do': 'hold', 'key': 1, 'value': 1}
            def encode(self, answer):
                text = b'{"t":"dict","v":[["ok",true],["value",1.0],["score",1.0],["points",30]]}'
                return b'AIOPS1\\n' + len(text).to_bytes(8, 'little') + text
        fake = types.ModuleType('__course_agent__')
        fake.held = {}
        fake.codec = Codec('__course_codec__')
        sys.modules['__course_codec__'] = fake.codec
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "catch the agent by a patched exec",
        "the code that the grader sends is read, and its answer replaced",
        """
        import builtins
        real = builtins.exec
        seen = []
        def catch(code, *names):
            seen.append(str(code)[:2000])
            real(code, *names)
            for space in names:
                if isinstance(space, dict) and 'serve' in space:
                    space['serve'] = lambda request, answer, *rest: open(answer, 'wb').write(b'full')
        builtins.exec = catch
        print(T.mark, 'tried')
        """,
        "def double(v):\n    print(seen)\n    raise ValueError(T.mark + ' tried ' + str(seen))\n",
    ),
    Attack(
        "replace the namespace",
        "every name is a function that agrees",
        """
        class Space(dict):
            def __contains__(self, name): return True
            def __missing__(self, name): raise KeyError(name)
        shell = get_ipython()
        print(T.mark, 'tried')
        shell.user_ns = Space(shell.user_ns)
        """,
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.control], ids=str)
def test_it_works_where_tests_and_student_share_a_process(arena: Arena, attack: Attack) -> None:
    assert_it_works_elsewhere(attack, arena)

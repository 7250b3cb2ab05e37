"""A first dozen of hostile notebooks: none earns a point that it has not worked for.

Every attack stands at the top of a notebook whose answers are wrong, so honest points are 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import fixture_course as fixture
import pytest

from course.grading.core import grade_notebook
from course.grading.secret import test_secret

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

LIMITS = replace(fixture.QUICK, cell_s=3.0, notebook_s=30.0)
WRONG = ("def double(v):\n    return v\n", "def detect(v):\n    return v > 1e9\n")

ATTACKS = {
    "strip asserts by an AST transformer": """
import ast
class Strip(ast.NodeTransformer):
    def visit_Assert(self, node): return ast.Pass()
get_ipython().ast_transformers.append(Strip())
""",
    "strip asserts by an input transformer": """
get_ipython().input_transformers_cleanup.append(lambda lines: ['30.0'])
""",
    "replace do_execute": """
kernel = get_ipython().kernel
async def do_execute(*args, **kwargs):
    return {'status': 'ok', 'execution_count': 1, 'payload': [], 'user_expressions': {}}
kernel.do_execute = do_execute
""",
    "replace run_cell": """
get_ipython().run_cell = get_ipython().run_cell_async = lambda *a, **k: None
""",
    "an object that equals everything": """
import pandas as pd
class Yes:
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *a, **k: self
    def __bool__(self): return True
    def __len__(self): return 20
def double(v): return Yes()
detect = double
""",
    "a Series subclass that equals everything": """
import pandas as pd
class Yes(pd.Series):
    def __eq__(self, other): return True
    def equals(self, other): return True
    def __array__(self, *a, **k): return super().__array__(*a, **k)
""",
    "forge execute_result and full marks in outputs": """
from IPython.display import publish_display_data
ip = get_ipython()
def forge(*args):
    ip.kernel.send_response(ip.kernel.iopub_socket, 'execute_result',
        {'data': {'text/plain': '20'}, 'metadata': {}, 'execution_count': 1})
ip.events.register('pre_run_cell', forge)
ip.events.register('post_run_cell', forge)
""",
    "forge answers in the answers' folder": """
import os, threading, time
def race():
    while True:
        for name in os.listdir('/run/course/out'):
            if not name.startswith('k-'):
                try: open('/run/course/out/' + name, 'wb').write(b'AIOPS1\\n' + (4).to_bytes(8, 'little') + b'true')
                except OSError: pass
threading.Thread(target=race, daemon=True).start()
""",
    "answer with links to files of the grader": """
import os
real = os.replace
def replace(a, b):
    os.symlink('/etc/passwd', b)
os.replace = replace
""",
    "answer with a pipe": """
import os
os.replace = lambda a, b: os.mkfifo(b)
""",
    "answer with a file of a terabyte": """
import os, resource
def replace(a, b):
    with open(b, 'wb') as f: f.truncate(200 * 2**20)
os.replace = replace
""",
    "patch the agent to say all is well": """
import sys, types
class Fake(types.ModuleType):
    held = {}
    class codec:
        CodecError = ValueError
        class HandleRef: pass
        decode = staticmethod(lambda data: {'do': 'hold', 'key': 1, 'value': 1})
        encode = staticmethod(lambda value: b'AIOPS1\\n' + (25).to_bytes(8, 'little') + b'{"t":"dict","v":[["ok",1]]}')
sys.modules['__course_agent__'] = Fake('x')
""",
    "read expected values from frames, In and the garbage collector": """
import gc, sys
def search():
    found = []
    frame = sys._getframe()
    while frame:
        found += [v for k, v in frame.f_locals.items() if k in ('truth', 'expected', 'seed', 'hidden')]
        frame = frame.f_back
    found += [o for o in gc.get_objects() if type(o).__name__ in ('HiddenCases', 'Secret', 'Case')]
    return found
def double(v):
    found = search()
    return found[0] if found else v
def detect(v):
    found = search()
    return found[0] if found else v > 1e9
""",
    "find the secret, the checks or the solutions on disk": """
import os
hits = []
for place, folders, files in os.walk('/'):
    folders[:] = [f for f in folders if f not in ('proc', 'usr', 'dev', '.pyenv', 'site-packages')]
    hits += [os.path.join(place, f) for f in files if f in ('.course-secret', 'checks.py', 'gradebook.db', 'fixture_course.py')]
def double(v):
    return v * 2 if hits else v
""",
    "patch pandas, numpy and builtins": """
import builtins, numpy, pandas
pandas.Series.__eq__ = lambda self, other: True
numpy.array_equal = lambda *a, **k: True
builtins.isinstance = lambda *a: True
builtins.float = lambda x: 1.0
""",
    "kill the kernel's parent and everything else": """
import os, signal
for pid in [os.getppid(), -1]:
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
""",
}  # fmt: skip


@pytest.fixture
def attacked(sandbox: None, tmp_path: Path) -> Callable[[str], float]:
    """Grade a wrong notebook that begins with an attack."""

    def grade(attack: str) -> float:
        # Attacks that define the functions themselves come after the wrong answers.
        double = WRONG[0] + (attack if "def double" in attack else "")
        detect = WRONG[1] + (attack if "def detect" in attack or "detect =" in attack else "")
        notebook = fixture.answered(double, detect, attack)
        path = fixture.submit(tmp_path, "eve", notebook)
        graded = grade_notebook(
            path, fixture.MONTH, test_secret(), source=fixture.lesson(), files=path.parent,
            limits=LIMITS, allow_test_secret=True,
        )  # fmt: skip
        return graded.points

    return grade


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_nothing(attacked: Callable[[str], float], name: str) -> None:
    assert attacked(ATTACKS[name]) == 0.0

"""Functions whose answers lie about what they are, and answers that no encoder has written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_it_works_elsewhere, assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

# Lets a cell choose the bytes of every answer that is given from then on.
PACKETS = """
import json, os, struct
def packet(tree, blob=b''):
    text = tree if isinstance(tree, bytes) else json.dumps(tree).encode()
    return b'AIOPS1\\n' + struct.pack('<Q', len(text)) + text + blob
def answer(node):
    return {'t': 'dict', 'v': [['ok', True], ['value', node]]}
def series(values, index=None):
    return {'t': 'series', 'index': index or {'kind': 'range', 'v': [0, 20, 1], 'names': [None]},
            'name': None, 'v': values}
_replace = os.replace
def send(data, blob=b''):
    data = data if isinstance(data, bytes) and data[:6] == b'AIOPS1' else packet(data, blob)
    def replace(a, b):
        with open(b, 'wb') as file: file.write(data)
    os.replace = replace
    print(T.mark, 'tried')
"""


def _packet(name: str, tries: str, code: str, **more: object) -> Attack:
    return Attack(name, tries, PACKETS + _dedent(code), **more)


def _dedent(code: str) -> str:
    import textwrap

    return textwrap.dedent(code)


ATTACKS = [
    Attack(
        "an object that equals everything",
        "`==` is true whatever it is compared with",
        """
        class Yes:
            def __eq__(self, other): return self
            def __getattr__(self, name): return lambda *a, **k: self
            def __bool__(self): return True
            def __len__(self): return (20, 50)['truth' in globals()]
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return Yes()\n",
        "def detect(v):\n    return Yes()\n",
        control="in-process",
    ),
    Attack(
        "a Series subclass that equals everything",
        "comparisons of the answer are its own",
        """
        class Yes(pd.Series):
            @property
            def _constructor(self): return Yes
            def __eq__(self, other): return Yes([True])
            def equals(self, other): return True
            def all(self, *a, **k): return True
            def __len__(self): return (20, 50)['truth' in globals()]
            def iloc(self): return self
            def to_numpy(self, *a, **k): return super().to_numpy(*a, **k)
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return Yes(v)\n",
        "def detect(v):\n    return Yes(v)\n",
        control="in-process",
    ),
    Attack(
        "a DataFrame subclass in place of a Series",
        "its columns are whatever is asked for",
        """
        class Yes(pd.DataFrame):
            def __getattr__(self, name): return True
            def __eq__(self, other): return self
            def all(self, *a, **k): return True
            def __len__(self): return (20, 50)['truth' in globals()]
            @property
            def columns(self): return pd.Index([])
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return Yes({'a': v})\n",
        "def detect(v):\n    return Yes({'a': v})\n",
        control="in-process",
    ),
    Attack(
        "an array subclass that equals everything",
        "`np.array_equal` and `==` ask the answer itself",
        """
        import numpy as np
        class Yes(np.ndarray):
            def __eq__(self, other): return np.ones(1, bool)
            def __array_ufunc__(self, *a, **k): return np.ones(1, bool)
            def __array_function__(self, *a, **k): return True
            def __len__(self): return (20, 50)['truth' in globals()]
            def tobytes(self, *a): return b'\\x01' * 8
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return v.to_numpy().view(Yes)\n",
        "def detect(v):\n    return v.to_numpy().view(Yes)\n",
        control="in-process",
    ),
    Attack(
        "numbers and texts whose classes lie",
        "subclasses of float, int, str, bool-like and dict that equal everything",
        """
        class Lie:
            def __eq__(self, other): return True
            def __ne__(self, other): return False
            __lt__ = __le__ = __gt__ = __ge__ = __eq__
            __hash__ = object.__hash__
            def __float__(self): return 1.0
            def __len__(self): return 20
            def all(self): return True
        class F(Lie, float): pass
        class I(Lie, int): pass
        class S(Lie, str): pass
        class D(Lie, dict):
            def items(self): return [(S('ok'), True), (S('score'), 1.0)]
        class Column(Lie, list):
            def __iter__(self): return iter([F(1), I(1), S('x'), D()] * 5)
        print(T.mark, 'tried')
        """,
        """
        count = 0
        def double(v):
            global count
            count += 1
            return [Column(), F(1.0), I(1), S('x'), D(a=1)][count % 5]
        """,
        "def detect(v):\n    return D(t='series', v=F(1))\n",
    ),
    Attack(
        "a class that pretends to be a Series",
        "`isinstance` believes `__class__`",
        """
        class Pretender:
            __class__ = pd.Series
            dtype = bool
            def __len__(self): return 500
            def __eq__(self, other): return True
            def __mul__(self, other): return self
            def __and__(self, other): return self
            __or__ = __rand__ = __and__
            def sum(self): return 1
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return Pretender()\n",
        "def detect(v):\n    return Pretender()\n",
    ),
    Attack(
        "an answer that unpickles",
        "the grader is to run `__reduce__`",
        """
        import os
        class Bomb:
            def __reduce__(self):
                return os.system, (f'touch {T.temporary}/{T.mark}',)
        print(T.mark, 'tried')
        """,
        "def double(v):\n    return Bomb()\n",
        "import pickle\ndef detect(v):\n    return pickle.dumps(Bomb())\n",
    ),
    _packet("an answer that is a pickle", "the packet itself is a pickle",
            "import pickle\nsend(pickle.dumps(T))\nsend(b'AIOPS1' + pickle.dumps(T))\n"),
    _packet("deep JSON", "the decoder's stack overflows",
            "send(b'[' * 5_000_000 + b']' * 5_000_000)\n"),
    _packet("JSON nested as deep as allowed", "the reader's recursion has no end", """
        node = 1
        for _ in range(900): node = {'t': 'dict', 'v': [[node, node]]} if _ < 18 else [node]
        send(answer(node))
        """),
    _packet("not-a-number everywhere", "NaN, infinities and huge numbers as scores and values", """
        send(b'{"t":"dict","v":[["ok",true],["value",NaN],["score",Infinity],["x",-Infinity]]}')
        """, detect="def detect(v):\n    return float('nan')\n"),
    _packet("an array of NaN", "comparisons with NaN raise nothing and are no numbers", """
        import numpy as np
        send(answer(series({'t': 'array', 'dtype': '<f8', 'shape': [20], 'b': [0, 160]})),
             np.full(20, np.nan).tobytes())
        """),
    _packet("an array larger than any memory", "the header claims a shape of petabytes", """
        send(answer({'t': 'array', 'dtype': '<f8', 'shape': [2**39, 2**10], 'b': [0, 2**52]}))
        """),
    _packet("an array of no bytes and endless shape", "zero times anything fits an empty buffer", """
        send(answer(series({'t': 'array', 'dtype': '<f8', 'shape': [0] + [2**39] * 7, 'b': [0, 0]})))
        """),
    _packet("a buffer beyond its packet", "offsets that read the grader's memory", """
        for place in ([0, 160], [-160, 160], [2**62, 160], [0, -160], [True, 160], ['0', 160]):
            send(answer(series({'t': 'array', 'dtype': '<f8', 'shape': [20], 'b': place})))
        """),
    _packet("object and pointer dtypes", "bytes of the answer become pointers", """
        for dtype in ('|O', 'O', '<U9', '|V8', '|S8', 'i4,O', '>f8', '<f16'):
            send(answer(series({'t': 'array', 'dtype': dtype, 'shape': [20], 'b': [0, 160]})), b'A' * 160)
        """),
    _packet("a small packet that unfolds", "one buffer is named by thousands of arrays", """
        part = {'t': 'array', 'dtype': '|u1', 'shape': [2**24], 'b': [0, 2**24]}
        send(answer([part] * 3000), b'x' * 2**24)
        """),
    _packet("an endless range", "an index of 2**62 labels", """
        index = {'kind': 'range', 'v': [0, 2**62, 1], 'names': [None]}
        send(answer({'t': 'index', 'v': index}))
        """),
    _packet("labels that collide in a dict", "quadratic time in the grader", """
        pairs = [[k * (2**61 - 1), 0] for k in range(1, 60_001)]
        send(answer({'t': 'dict', 'v': pairs}))
        """),
    _packet("labels that collide in an index", "quadratic time in the grader", """
        import numpy as np
        high = np.arange(1, 200_001, dtype=np.int64)
        low = high.copy()
        for shift in (11, 22): low ^= (high << shift) & 0xFFFFFFFF
        keys = ((high << 33) | (low & 0xFFFFFFFF)).astype('<i8')
        part = {'t': 'array', 'dtype': '<i8', 'shape': [len(keys)], 'b': [0, 8 * len(keys)]}
        send(answer({'t': 'index', 'v': {'kind': 'multi', 'v': [part], 'names': [None]}}), keys.tobytes())
        """),
    _packet("a header of brackets", "a gigabyte of empty lists from 30 MB of text", """
        send(b'[' + b'{"":0},' * 4_300_000 + b'0]')
        """),
    _packet("a time zone that names a file", "the grader opens a file of the attacker's choice", """
        zone = 'dateutil/' + T.temporary + '/zone'
        send(answer({'t': 'time', 'v': 0, 'unit': 'ns', 'tz': zone}))
        """),
    _packet("header lengths that lie", "a header longer than its packet, or than a machine", """
        for length in (2**63, 2**64 - 1, 2**31, 1000):
            send(b'AIOPS1\\n' + struct.pack('<Q', length) + b'true')
        """),
    _packet("an answer of another form", "an answer with points in place of a value", """
        send({'t': 'dict', 'v': [['ok', True], ['value', {'t': 'handle', 'v': 'case'}],
             ['points', 30], ['cases', [1.0]], ['score', 1.0], ['honest', True]]})
        """),
    Attack(
        "write answers before being asked",
        "the outbox holds an answer for every name",
        """
        import os
        out = '/run/course/out' if os.path.isdir('/run/course/out') else os.path.dirname(
            get_ipython().kernel.parent.ip)
        good = b'AIOPS1\\n' + (43).to_bytes(8, 'little') + b'{"t":"dict","v":[["ok",true],["value",30]]}'
        for i in range(300):
            with open(f'{out}/{i:016x}', 'wb') as file: file.write(good)
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "race the agent in the outbox",
        "a thread overwrites every answer as it comes",
        """
        import os, threading
        out = '/run/course/out'
        text = b'{"t":"dict","v":[["ok",true],["value",true]]}'
        good = b'AIOPS1\\n' + len(text).to_bytes(8, 'little') + text
        def race():
            while True:
                for name in os.listdir(out):
                    if not name.startswith('k-'):
                        try:
                            with open(f'{out}/{name}', 'wb') as file: file.write(good)
                        except OSError: pass
        threading.Thread(target=race, daemon=True).start()
        print(T.mark, 'tried')
        """,
        # Whatever comes first, neither is right.
    ),
    Attack(
        "replay an older answer",
        "what was right in the visible check is sent again",
        """
        import os
        kept, real = [], os.replace
        def replace(a, b):
            with open(a, 'rb') as file: kept.append(file.read())
            with open(b, 'wb') as file: file.write(kept[0])
        os.replace = replace
        print(T.mark, 'tried')
        """,
        # The first hidden series is answered honestly, and its answer given for all that follows.
        "def double(v):\n    return v * 2\n",
        honest=5.0,
    ),
    Attack(
        "answer with links",
        "the grader reads files of its own through links in the outbox",
        """
        import os
        targets = [T.secret, T.temporary + '/bait.txt', '/etc/passwd', '/proc/self/environ', '/dev/zero']
        count = 0
        def replace(a, b):
            global count
            count += 1
            (os.symlink if count % 2 else link)(targets[count % len(targets)], b)
        def link(a, b):
            try: os.link(a, b)
            except OSError: os.symlink(a, b)
        os.replace = replace
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "answer with a pipe, a folder and a socket",
        "the grader waits for ever to read",
        """
        import os, socket
        kinds = [lambda p: os.mkfifo(p), lambda p: os.mkdir(p), lambda p: socket.socket(socket.AF_UNIX).bind(p)]
        count = 0
        def replace(a, b):
            global count
            count += 1
            kinds[count % 3](b)
        os.replace = replace
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "answer with a sparse file",
        "the grader reads a file larger than its memory",
        """
        import os
        def replace(a, b):
            with open(b, 'wb') as file: file.truncate(64 * 2**20)
            for _ in range(3): print('x')
        os.replace = replace
        print(T.mark, 'tried')
        """,
    ),
    Attack(
        "regenerate the hidden case",
        "guess the seed: small numbers, names, the test secrets, and what lies in the environment",
        """
        import hashlib, hmac, os
        import numpy as np
        def spikes(seed):
            rng = np.random.default_rng(seed)
            values = pd.Series(rng.normal(size=500))
            places = rng.choice(500, 8, replace=False)
            values.iloc[places] += 30
            return values, pd.Series(np.isin(np.arange(500), places))
        def seed(key, name):
            digest = hmac.new(key, f'seed:{name}'.encode(), hashlib.sha256).digest()
            return int.from_bytes(digest[:8], 'big') >> 1
        keys = [hashlib.sha256(f'test secret {i}'.encode()).digest()[:16] for i in range(200)]
        keys += [bytes(16), b'0123456789abcdef'] + [v.encode()[:16].ljust(16) for v in os.environ.values()]
        for place in (T.secret, '/run/course/in', '/run/course', os.getcwd(), '/opt/course'):
            try:
                for path in ([place] if os.path.isfile(place) else map(lambda n: f'{place}/{n}', os.listdir(place))):
                    text = open(path).read().strip()
                    if len(text) == 32: keys.append(bytes.fromhex(text))
            except (OSError, ValueError): pass
        seeds = [*range(2000), *(seed(key, 'detect') for key in keys)]
        known = {spikes(s)[0].iloc[0]: s for s in seeds}
        print(T.mark, 'tried')
        """,
        detect="""
        def detect(v):
            found = known.get(v.iloc[0])
            return v > 1e9 if found is None else spikes(found)[1]
        """,
        control="unsandboxed",
        limits={"cell_s": 10.0},
    ),
    Attack(
        "find the checks and their secrets by import",
        "the course's grading package, its checks and the simulator are asked for the case",
        """
        import importlib, os, pkgutil
        found = []
        for name in ('course.grading.secret', 'course.grading.hidden', 'course.lessons',
                     'course.lessons.month_03.checks', 'course.lessons.checking', 'checks',
                     'fixture_course', 'tests.grading.fixture_course'):
            try: found.append(importlib.import_module(name).__name__)
            except ImportError: pass
        print(T.mark, 'tried')
        if 'course.grading.secret' in found:
            from pathlib import Path
            print(importlib.import_module('course.grading.secret').course_secret(Path(T.course))._key.hex())
        """,
        "def double(v):\n    return v * 2 if found else v\n",
        control="unsandboxed",
    ),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.control], ids=str)
def test_it_works_where_nothing_protects(arena: Arena, attack: Attack) -> None:
    assert_it_works_elsewhere(attack, arena)

"""Notebooks that use up time, memory, processes, disk and the grader's patience."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from course.grading.limits import MB
from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

RIGHT = "def double(v):\n    return v * 2\n"

# One exercise is answered honestly, so each of these also shows that a submission keeps what it
# has earned whatever its other cell does.
ATTACKS = [
    Attack("fork bomb", "processes without end", detect="""
        import os, time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for _ in range(3000):
            try:
                if os.fork() == 0:
                    for _ in range(20):
                        try: os.fork()
                        except OSError: time.sleep(0.05)
                    os._exit(0)
            except OSError: time.sleep(0.002)
        """, double=RIGHT, honest=10.0),
    Attack("thread bomb", "threads without end", detect="""
        import threading, time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        try:
            for _ in range(5000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError as error: print(error)
        """, double=RIGHT, honest=10.0),
    Attack("memory bomb", "one process takes all memory", detect="""
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        taken = []
        while len(taken) < 40: taken.append(b'x' * 100_000_000)
        print('TOOK 4 GB')
        """, double=RIGHT, honest=10.0, limits={"memory": 400 * MB}),
    Attack("memory of many processes", "each stays below the limit of one", detect="""
        import os, time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for _ in range(40):
            try:
                if os.fork() == 0:
                    taken = b'x' * 60_000_000
                    time.sleep(60)
                    os._exit(0)
            except OSError: break
        time.sleep(10)
        """, double=RIGHT, honest=10.0, limits={"memory": 400 * MB, "cell_s": 4.0}),
    Attack("memory in files", "/dev/shm, /tmp, memfd and the home count as memory", detect="""
        import os
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for place in ('/dev/shm', '/tmp', '/home/student', '/run', '/'):
            try:
                for i in range(12):
                    with open(f'{place}/{T.mark}-{i}', 'wb') as file: file.write(bytes(50_000_000))
            except OSError as error: print(error)
        kept = []
        for i in range(30):
            fd = os.memfd_create('x')
            kept.append(fd)
            os.write(fd, bytes(50_000_000))
        """, double=RIGHT, honest=10.0, limits={"cell_s": 3.0}),
    Attack("a file without end", "the disk of the grader is filled", detect="""
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for i in range(100):
            with open(f'big-{i}', 'wb') as file:
                try:
                    for _ in range(60): file.write(bytes(1_000_000))
                except OSError as error: print(error)
        """, double=RIGHT, honest=10.0, limits={"cell_s": 3.0}),
    Attack("many small files", "the grader's inodes, and the time of its clean-up", detect="""
        import itertools, os
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for i in itertools.count():
            os.makedirs(f'f/{i % 50}', exist_ok=True)
            open(f'f/{i % 50}/{i}', 'w').close()
        """, double=RIGHT, honest=10.0),
    Attack("sparse files", "petabytes that take no space", detect="""
        import os
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        for place in ('.', '/tmp', '/dev/shm', '/run/course/out'):
            for i in range(30):
                try:
                    with open(f'{place}/sparse-{i}', 'wb') as file: file.truncate(2**50)
                except OSError: pass
                try:
                    with open(f'{place}/sparse-{i}', 'wb') as file: file.truncate(2**25)
                except OSError: pass
        """, double=RIGHT, honest=10.0),
    Attack("an endless loop that swallows interrupts", "the cell can't be stopped", detect="""
        import signal
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        while True:
            try:
                while True: pass
            except BaseException: continue
        """, double=RIGHT, honest=10.0),
    Attack("an endless loop outside of Python", "no bytecode ever looks for an interrupt", detect="""
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        sum(range(10**13))
        """, double=RIGHT, honest=10.0),
    Attack("answers that never come", "every call of the check hangs", detect="""
        import time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        def detect(v):
            while True:
                try: time.sleep(1000)
                except BaseException: pass
        """, double=RIGHT, honest=10.0, limits={"total_s": 20.0}),
    Attack("leave by os._exit", "the kernel is gone before the checks", detect="""
        import os
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        os._exit(0)
        """, double=RIGHT, honest=10.0),
    Attack("leave when called", "the kernel dies in every check", double="""
        import os
        print(T.mark, 'tried')
        def double(v):
            os._exit(0)
        """, detect="def detect(values):\n    return (values - values.median()).abs() > 5\n", honest=20.0),
    Attack("crash the interpreter", "a segmentation fault and a stack overflow", detect="""
        import ctypes, sys, time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        sys.setrecursionlimit(10**9)
        ctypes.string_at(0)
        """, double=RIGHT, honest=10.0),
    Attack("flood stdout", "gigabytes of text", detect="""
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        while True: print('x' * 1_000_000)
        """, double=RIGHT, honest=10.0),
    Attack("flood stderr", "a warning on every line", detect="""
        import os, sys
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        while True:
            sys.stderr.write('warning\\n' * 10_000); sys.stderr.flush()
            os.write(2, b'x' * 100_000); os.write(1, b'x' * 100_000)
        """, double=RIGHT, honest=10.0),
    Attack("flood of displays", "thousands of pictures and tables", detect="""
        import base64
        from IPython.display import Image, display
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        picture = b'\\x89PNG\\r\\n\\x1a\\n' + bytes(1_500_000)
        while True:
            display(Image(picture, format='png')); display(pd.DataFrame({'a': range(50)}))
        """, double=RIGHT, honest=10.0),
    Attack("flood of binary messages", "buffers of comm messages fill the grader's memory", detect="""
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        kernel = get_ipython().kernel
        while True:
            kernel.session.send(kernel.iopub_socket, 'comm_msg', {'comm_id': 'x', 'data': {}},
                parent=kernel.get_parent(), ident=b'comm', buffers=[bytes(7_000_000)] * 8)
        """, double=RIGHT, honest=10.0),
    Attack("one message that is too large", "a hundred megabytes in one frame", """
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        get_ipython().kernel.send_response(get_ipython().kernel.iopub_socket, 'stream',
            {'name': 'stdout', 'text': 'x' * 100_000_000})
        """, double=RIGHT, honest=10.0),
    Attack("a flood in the outbox", "a hundred thousand answers nobody asked for", detect="""
        import itertools, os
        print(T.mark, 'tried', flush=True)
        time.sleep(0.2)
        out = '/run/course/out'
        for i in itertools.count():
            with open(f'{out}/{i:x}', 'wb') as file: file.write(b'x')
        """, double=RIGHT, honest=10.0),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))

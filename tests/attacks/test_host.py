"""Code in the kernel that reaches for the machine: files, processes, rights."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_it_works_elsewhere, assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

# Unsandboxed, as in a control, an attack keeps to what these tests have put out; inside, where the
# victim is not to be seen, it goes for everything.
APART = """
import os
def apart():
    try: os.kill(T.victim, 0)
    except ProcessLookupError: return True
    except OSError: pass
    return False
"""
READ = """
import os, subprocess
def show(path):
    try:
        with open(path, 'rb') as file: print(file.read(20_000).decode(errors='replace'))
    except OSError as error: print(path, error)
"""
LIBC = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    result = getattr(libc, name)(*args)
    print(name, result, os.strerror(ctypes.get_errno()))
    return result
"""

ATTACKS = [
    Attack(
        "read the lesson's solutions", "the source notebook and its neighbours", READ + """
for path in (T.source, T.notes): show(path)
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "read the course secret and the gradebook", "the seeds of all hidden cases, all grades", READ + """
for path in (T.secret, T.gradebook): show(path)
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "write full marks into the gradebook", "SQL on the gradebook's file", """
import os, sqlite3
try:
    assert os.path.exists(T.gradebook)
    with sqlite3.connect(T.gradebook, timeout=1) as gradebook:
        gradebook.execute('update grade set auto_score = 99')
except Exception as error: print(repr(error))
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "read and change another submission", "copy from a neighbour, then spoil it", READ + """
show(T.other)
try: open(T.other, 'r+').write('{"cells": []}')
except OSError as error: print(error)
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "read the environment", "tokens of the grader in os.environ, /proc/self and /proc/1", READ + """
print(dict(os.environ))
for pid in ('self', 1, os.getppid(), T.grader): show(f'/proc/{pid}/environ')
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "read /proc of other processes", "environment, memory, root and open files of every process", READ + """
for pid in [T.victim, T.grader, *[p for p in os.listdir('/proc') if p.isdigit()][:50]]:
    for name in ('environ', 'cmdline', f'root{T.secret}', f'cwd/{T.secret}', 'maps'):
        try: print(open(f'/proc/{pid}/{name}', 'rb').read(3000))
        except OSError: pass
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "change files of the host", "write, create and delete in /tmp, in the home and in the course", APART + """
places = [T.temporary, T.home, T.course, '/tmp', '/var/tmp', '/dev/shm']
if apart(): places += [T.repository, '/usr', '/etc', '/opt', '/run', '/', '/root', '/var', '/srv']
for place in places:
    try: open(f'{place}/{T.mark}', 'w').write('was here')
    except OSError as error: print(error)
for path in (f'{T.temporary}/bait.txt', f'{T.home}/bait.txt'):
    try: os.remove(path)
    except OSError as error: print(error)
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "links out of the submission", "submitted links to the secret, to a folder and to the notebook", READ + """
for path in ('data.csv', 'folder/bait.txt', 'solution.ipynb', 'etc/shadow'): show(path)
try: open('folder/new.txt', 'w').write('x')
except OSError as error: print(error)
print(T.mark, 'tried')
""", links={"data.csv": "secret", "folder": "temporary", "solution.ipynb": "source", "etc": "/etc"}),
    Attack(
        "a notebook that is a link", "the lesson's solved notebook is graded in its stead",
        links={"fixture.ipynb": "source"}, evidence=""),
    Attack(
        "a notebook that is a link, through nbgrader", "the solved notebook is graded and fed back",
        links={"fixture.ipynb": "source", "notes.txt": "notes", "home": "home"},
        through="nbgrader", evidence=""),
    Attack(
        "links made by the notebook", "the run folder is to lead the grader elsewhere", """
import os, shutil
here = os.getcwd()
for name, place in (('bait', T.temporary), ('secret', T.secret), ('root', '/')):
    os.symlink(place, name)
    try: os.symlink(place, f'/run/course/out/{name}')
    except OSError as error: print(error)
for name in os.listdir('/run/course/out') if os.path.isdir('/run/course/out') else []:
    print(name)
print(T.mark, 'tried')
"""),
    Attack(
        "rename the working folder away", "the grader's clean-up is to follow a link put in its place", """
import os
for a in ('/submission', '/run/course/out', '/run/course', '/run/course/in'):
    for action in (lambda: os.rename(a, a + '-old'), lambda: os.rmdir(a), lambda: os.unlink(a)):
        try: action(); os.symlink(T.temporary, a); print('moved', a)
        except OSError as error: print(error)
print(T.mark, 'tried')
"""),
    Attack(
        "a tree too deep to delete", "names and modes that stop the clean-up of the run folder", """
import os
base = os.getcwd()
for i in range(700):
    os.mkdir('d' * 50); os.chdir('d' * 50)
open(T.mark, 'w').close()
for name in ('locked-' + T.mark, '-rf ' + T.mark, T.mark + '\\n\\x1b[31m'):
    os.makedirs(f'{base}/{name}/x')
    os.chmod(f'{base}/{name}', 0)
os.chdir(base)
os.chmod(base, 0)
print(T.mark, 'tried')
"""),
    Attack(
        "signals to other processes", "kill a process of the host, and all that can be seen", APART + """
import signal
alone = apart()
try: os.kill(T.victim, signal.SIGKILL)
except OSError as error: print(error)
print(T.mark, 'tried', flush=True)
import time; time.sleep(0.3)
if alone:
    for pid in (os.getppid(), -1):
        try: os.kill(pid, signal.SIGKILL)
        except OSError as error: print(error)
""", control="unsandboxed"),
    Attack(
        "ptrace and process memory", "attach to other processes, read and write them", LIBC + APART + """
pids = [T.victim] + ([T.grader, 1, os.getppid()] if apart() else [])
for pid in pids:
    call('ptrace', 16, pid, None, None)
    call('ptrace', 0x4206, pid, None, None)
class Piece(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]
buffer = ctypes.create_string_buffer(64)
mine, theirs = Piece(ctypes.addressof(buffer), 64), Piece(0x400000, 64)
done = [call('process_vm_readv', pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
        for pid in pids]
print(T.mark, 'tried', done)
if call('syscall', 434, T.victim, 0) > 0: open(T.temporary + '/' + T.mark, 'w').close()
""", control="unsandboxed"),
    Attack(
        "detached processes", "double fork, setsid and nohup outlive the kernel", """
import ctypes, os, subprocess, time
libc = ctypes.CDLL(None)
def daemon():
    if os.fork(): return
    os.setsid()
    if os.fork(): os._exit(0)
    libc.prctl(15, T.mark.encode(), 0, 0, 0)
    for fd in range(3, 256):
        try: os.close(fd)
        except OSError: pass
    time.sleep(300)
    os._exit(0)
daemon()
for command in (['setsid', 'sleep', '300'], ['nohup', 'sleep', '300'], ['setsid', '-f', 'nohup', 'sleep', '300']):
    subprocess.Popen(command, env={**os.environ, 'MARK': T.mark}, start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
time.sleep(0.3)
print(T.mark, 'tried')
""", control="unsandboxed"),
    Attack(
        "stop all and respawn", "a family of processes that ignores signals and restarts itself", """
import ctypes, os, signal, time
print(T.mark, 'tried', flush=True)
time.sleep(0.3)
libc = ctypes.CDLL(None)
for _ in range(3):
    if os.fork() == 0:
        libc.prctl(15, T.mark.encode(), 0, 0, 0)
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        for _ in range(40):
            if os.fork() == 0: os._exit(0)
            time.sleep(0.5)
        os._exit(0)
os.kill(os.getpid(), signal.SIGSTOP)
"""),
    Attack(
        "new namespaces", "become root of a user namespace by unshare, clone, clone3 and setns", LIBC + """
done = [call('unshare', flag) for flag in (0x10000000, 0x10020000, 0x20000000, 0x40000000)]
stack = ctypes.create_string_buffer(65536)
main = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
top = ctypes.c_void_p(ctypes.addressof(stack) + 65536 - 16)
done.append(call('clone', main, top, 0x10000000 | 17, None))
arguments = (ctypes.c_uint64 * 11)(0x10000000)
done.append(call('syscall', 435, arguments, ctypes.sizeof(arguments)))
for name in ('user', 'mnt', 'pid', 'net'):
    for pid in (1, os.getppid(), T.grader):
        try: done.append(call('setns', os.open(f'/proc/{pid}/ns/{name}', os.O_RDONLY), 0))
        except OSError: pass
assert all(result == -1 for result in done) or os.getuid() == 0 and 'escaped', done
print(T.mark, 'tried')
import subprocess
for command in (['unshare', '-Urm', 'true'], ['bwrap', '--unshare-user', '--ro-bind', '/', '/', 'true']):
    try: print(subprocess.run(command, capture_output=True, timeout=5))
    except OSError as error: print(error)
"""),
    Attack(
        "mount, chroot and pivot_root", "put other files before the grader's, leave the root", LIBC + """
done = [
    call('mount', b'tmpfs', b'/tmp', b'tmpfs', 0, None), call('mount', b'proc', b'/proc', b'proc', 0, None),
    call('mount', b'/', b'/tmp', None, 4096, None), call('mount', None, b'/', None, 32 | 4096, None),
    call('umount2', b'/tmp', 2), call('chroot', b'/tmp'), call('syscall', 155, b'/tmp', b'/tmp'),
    call('syscall', 428, -100, b'/', 1), call('syscall', 430, b'tmpfs', 0),
    call('syscall', 442, -100, b'/', 0, None, 0),
]
assert all(result == -1 for result in done), done
print(T.mark, 'tried')
"""),
    Attack(
        "overwrite the interpreter", "/proc/self/exe, the environment's packages and the course inside", """
import os, sys
import numpy
places = ['/proc/self/exe', sys.executable, os.path.realpath(sys.executable), numpy.__file__,
          '/opt/course/course/__init__.py', '/run/course/launch.py', '/run/course/in/agent.py', '/usr/bin/env']
opened = []
for path in places:
    for flags in (os.O_WRONLY | os.O_APPEND, os.O_RDWR):
        try: opened.append((path, os.open(path, flags)))
        except OSError as error: print(path, error)
    try: os.rename(path, path + '.old'); opened.append(path)
    except OSError: pass
assert not opened, opened
print(T.mark, 'tried')
"""),
    Attack(
        "become root again", "setuid, saved ids, set-user-ID programs and capabilities", LIBC + """
import subprocess
for name in ('setuid', 'seteuid', 'setgid', 'setfsuid'): call(name, 0)
call('setresuid', 0, 0, 0)
call('setgroups', 0, None)
for command in (['su', '-c', 'id'], ['sudo', '-n', 'id'], ['newuidmap', '1', '0', '0', '1'], ['mount'], ['passwd', '-d', 'root']):
    try: print(subprocess.run(command, capture_output=True, timeout=3, stdin=subprocess.DEVNULL))
    except (OSError, subprocess.TimeoutExpired) as error: print(error)
try:
    with open('root', 'wb') as out, open('/usr/bin/env', 'rb') as program: out.write(program.read())
    os.chmod('root', 0o6755)
    print(subprocess.run(['./root', 'id', '-u'], capture_output=True, text=True).stdout)
except OSError as error: print(error)
assert 0 not in os.getresuid(), os.getresuid()
print(T.mark, 'tried')
"""),
    Attack(
        "devices and kernel interfaces", "mknod, handles, keys, bpf, io_uring, /sys and raw memory", LIBC + """
import stat
opened = []
try: os.mknod('disk', stat.S_IFBLK | 0o666, os.makedev(254, 0)); opened.append(os.open('disk', os.O_RDONLY))
except OSError as error: print(error)
for path in ('/dev/mem', '/dev/kmsg', '/dev/vda', '/dev/sda', '/proc/sysrq-trigger', '/proc/kcore',
             '/sys/kernel/uevent_helper', '/proc/sys/kernel/core_pattern', '/sys/fs/cgroup/cgroup.procs'):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        if path == '/proc/sys/kernel/core_pattern' and flags == os.O_RDONLY: continue
        try: opened.append((path, os.open(path, flags)))
        except OSError: pass
handle = ctypes.create_string_buffer(128)
done = [call('syscall', number, *args) for number, args in (
    (321, (0, handle, 64)), (425, (8, handle)), (250, (0, -3, 0, 0, 0)), (248, (b'user', b'k', b'v', 1, -3)),
    (303, (-100, b'/', handle, handle, 0)), (304, (-100, handle, 0)), (298, (handle, 0, -1, -1, 0)), (323, (0,)))]
assert not opened and all(result == -1 for result in done), (opened, done)
print(T.mark, 'tried')
"""),
    Attack(
        "inherited descriptors", "a descriptor that leads out of the sandbox", """
import os, stat
found = []
for fd in range(1024):
    try: info = os.fstat(fd)
    except OSError: continue
    place = os.readlink(f'/proc/self/fd/{fd}') if os.path.exists('/proc/self/fd') else '?'
    print(fd, stat.filemode(info.st_mode), place)
    if stat.S_ISDIR(info.st_mode):
        try: found += os.listdir(os.open('../../..' + T.temporary, os.O_RDONLY, dir_fd=fd))
        except OSError: pass
    if stat.S_ISREG(info.st_mode) and not place.startswith(('/submission', '/home/student', '/tmp')): found.append(place)
assert 'bait.txt' not in found, found
print(T.mark, 'tried')
"""),
    Attack(
        "type on the grader's terminal", "TIOCSTI and writes to /dev/tty", """
import fcntl, os, termios
for path in ('/dev/tty', '/dev/console', '/proc/self/fd/0', '/proc/self/fd/2'):
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        for letter in T.mark + ' typed\\n': fcntl.ioctl(fd, termios.TIOCSTI, letter.encode())
    except OSError as error: print(path, error)
print(T.mark, 'tried')
"""),
    Attack(
        "shadow packages by submitted files", "the grader is to import what was handed in", """
import os, sys
print(sorted(os.listdir('.')), sys.path)
print(T.mark, 'tried')
""", files={name: "import os, pathlib\nopen('/tmp/MARK-shadow', 'w').close()\n"
            "open(os.path.expanduser('~/MARK-shadow'), 'w').close()\n"
            for name in ("checks.py", "fixture_course.py", "sitecustomize.py", "usercustomize.py",
                         "nbgrader_config.py", "conftest.py", "course/__init__.py",
                         "course/grading/__init__.py", "course/lessons/__init__.py",
                         "tests/__init__.py", "json/__init__.py", "nbconvert/__init__.py",
                         ".ipython/profile_default/startup/00-evil.py", "ipython_config.py",
                         "ipython_kernel_config.py", "jupyter_config.py", "evil.pth")},
        honest=10.0, double="def double(v):\n    return v * 2\n"),
    Attack(
        "shadow packages, through nbgrader", "configuration and modules beside the notebook", """
print(T.mark, 'tried')
""", files={name: "open('/tmp/MARK-shadow', 'w').close()\n"
            for name in ("nbgrader_config.py", "jupyter_config.py", "fixture_course.py",
                         "sitecustomize.py", "course/__init__.py", "nbgrader/__init__.py")},
        honest=10.0, double="def double(v):\n    return v * 2\n", through="nbgrader"),
    Attack(
        "shadow pandas by a submitted file", "a stand-in whose Series equals everything",
        "print(T.mark, 'tried', pd.__file__)\n",
        files={"pandas.py": "class Series(list):\n    def __eq__(self, other): return True\n"
               "def __getattr__(name): return Series\n",
               "numpy.py": "array_equal = lambda *a: True\n"}),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.control], ids=str)
def test_it_works_without_a_sandbox(arena: Arena, attack: Attack) -> None:
    assert_it_works_elsewhere(attack, arena)

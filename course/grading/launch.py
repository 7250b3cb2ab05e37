"""First program inside the sandbox: takes away what is left and becomes the kernel.

Run as ``python -I -S launch.py CONFIG ARGV...`` by bubblewrap; uses the standard library only.
CONFIG is JSON: ``uid`` (an ordinary user to become when started by root, or null), ``rlimits``
(name of a resource to its limit) and ``filter`` (false for the warm parent alone, which filters the
system calls of each kernel that it forks; see `zygote.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_SECCOMP = 24, 38, 4, 22
CLONE_NEWUSER = 0x10000000
EPERM, ENOSYS = 1, 38
ALLOW, ERRNO, KILL = 0x7FFF0000, 0x00050000, 0x80000000

# System calls that no lesson needs and that reach into the kernel or into other processes:
# ptrace, process_vm_readv, process_vm_writev, unshare, setns, mount, umount2, pivot_root,
# chroot, bpf, perf_event_open, userfaultfd, keyctl, add_key, request_key, io_uring_setup,
# kexec_load, init_module, finit_module, delete_module, open_by_handle_at, name_to_handle_at,
# pidfd_getfd, fsopen, fsmount, move_mount, open_tree, mount_setattr, swapon, swapoff, reboot
DENIED = {
    "x86_64": (101, 310, 311, 272, 308, 165, 166, 155, 161, 321, 298, 323, 250, 248, 249, 425,
               246, 175, 313, 176, 304, 303, 438, 430, 432, 429, 428, 442, 167, 168, 169),
    "aarch64": (117, 270, 271, 97, 268, 40, 39, 41, 51, 280, 241, 282, 219, 217, 218, 425,
                104, 105, 273, 106, 265, 264, 438, 430, 432, 429, 428, 442, 224, 225, 142),
}  # fmt: skip
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CLONE = {"x86_64": 56, "aarch64": 220}
CLONE3 = 435

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Become an ordinary user without capabilities, limited and filtered, then exec."""
    config = json.loads(sys.argv[1])
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if config["uid"] is not None:
        _become(config["uid"])
    for name, limit in config["rlimits"].items():
        _limit(getattr(resource, name), limit)
    _drop_bounding_set()
    if config["filter"]:
        _filter_system_calls()
    os.execv(sys.argv[2], sys.argv[2:])


def _become(uid: int) -> None:
    """Give up root for good and move to a user namespace that maps this uid alone."""
    _drop_bounding_set(keep=(6, 7))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    # Without a /proc, or where such namespaces are forbidden, the plain uid has to do.
    with contextlib.suppress(OSError):
        if os.path.exists("/proc/self/uid_map") and libc.unshare(CLONE_NEWUSER) == 0:
            for name, text in (
                ("uid_map", f"1000 {uid} 1"),
                ("setgroups", "deny"),
                ("gid_map", f"1000 {uid} 1"),
            ):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
    if os.getuid() == 0:
        sys.exit("the sandbox could not give up root")


def _drop_bounding_set(keep: tuple[int, ...] = ()) -> None:
    for capability in range(64):
        if capability not in keep:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def _limit(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _filter_system_calls() -> None:
    """Install a seccomp filter; a machine type without a table goes without one."""
    machine = platform.machine()
    if machine not in DENIED:
        return
    program = _program(machine)
    raw = b"".join(struct.pack("<HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(raw, len(raw))

    class Filter(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    prog = Filter(len(program), ctypes.addressof(buffer))
    if libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(prog), 0, 0) != 0:
        sys.exit(f"the sandbox could not filter system calls: {os.strerror(ctypes.get_errno())}")


def _program(machine: str) -> list[tuple[int, int, int, int]]:
    """Classic BPF: foreign ABIs are killed, `DENIED` gets EPERM, clone3 ENOSYS."""
    load, equal, at_least, all_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    steps = [
        (load, 0, 0, 4),
        (equal, 1, 0, AUDIT_ARCH[machine]),
        (give, 0, 0, KILL),
        (load, 0, 0, 0),
        (at_least, 0, 1, 0x40000000),
        (give, 0, 0, ERRNO | ENOSYS),
        (equal, 0, 1, CLONE3),
        (give, 0, 0, ERRNO | ENOSYS),
    ]
    for number in DENIED[machine]:
        steps += [(equal, 0, 1, number), (give, 0, 0, ERRNO | EPERM)]
    steps += [
        (equal, 0, 3, CLONE[machine]),
        (load, 0, 0, 16),
        (all_bits, 0, 1, CLONE_NEWUSER),
        (give, 0, 0, ERRNO | EPERM),
        (give, 0, 0, ALLOW),
    ]
    return steps


if __name__ == "__main__":
    main()

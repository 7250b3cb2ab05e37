"""The kernel provisioner that starts an ipykernel inside the sandbox.

Registered as ``course-sandbox`` in the entry point group
``jupyter_client.kernel_provisioners``; `SandboxKernelManager` also works without it.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

from course.grading.limits import Limits
from course.grading.sandbox import (
    INSIDE_OUT,
    RunFolder,
    SandboxError,
    sandbox_available,
    sandbox_command,
)

PROVISIONER = "course-sandbox"
_VALUE = "course.grading.provisioner:SandboxProvisioner"


class SandboxProvisioner(LocalProvisioner):
    """Starts the kernel under bubblewrap, in a private run folder, with ipc sockets.

    A manager may bring its own `run_folder`, `limits` and `unsafe`; without them (a kernelspec
    that names this provisioner) the kernel gets a fresh empty folder.
    """

    _own_folder: RunFolder | None = None

    @property
    def run_folder(self) -> RunFolder:
        """The folder that this kernel lives in."""
        given = getattr(self.parent, "run_folder", None)
        if given is not None:
            return given
        if self._own_folder is None:
            self._own_folder = RunFolder.make()
        return self._own_folder

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Point the manager's sockets into the run folder and wrap the command."""
        manager: Any = self.parent
        folder = self.run_folder
        unsafe = bool(getattr(manager, "unsafe", False))
        usable, reason = (True, "") if unsafe else sandbox_available()
        if not usable:
            raise SandboxError(reason)
        manager.transport = "ipc"
        manager.ip = str(folder.outbox / "k")
        manager.connection_file = str(folder.path / "connection.json")
        kwargs = await super().pre_launch(**kwargs)
        limits = getattr(manager, "limits", None) or Limits()
        if unsafe:
            argv = _kernel_argv(manager.connection_file)
            return {
                **kwargs,
                "cmd": argv,
                "cwd": str(folder.submission),
                "env": _unsafe_environment(),
            }
        connection = json.loads(Path(manager.connection_file).read_text(encoding="utf-8"))
        connection["ip"] = f"{INSIDE_OUT}/k"
        inside = folder.inbox / "connection.json"
        inside.write_text(json.dumps(connection), encoding="utf-8")
        argv = _kernel_argv("/run/course/in/connection.json")
        return {
            **kwargs,
            "cmd": sandbox_command(folder, argv, limits),
            "cwd": str(folder.path),
            "env": {"PATH": "/usr/bin:/bin"},
        }

    async def cleanup(self, restart: bool = False) -> None:
        """Remove a folder that this provisioner has made itself."""
        await super().cleanup(restart)
        if self._own_folder is not None and not restart:
            self._own_folder.remove()
            self._own_folder = None


class SandboxKernelManager(KernelManager):
    """A kernel manager for one sandboxed kernel.

    Parameters
    ----------
    run_folder : RunFolder
        Where the kernel lives.
    limits : Limits
        What it may use.
    unsafe : bool
        Start it without a sandbox.
    """

    def __init__(self, run_folder: RunFolder, limits: Limits, unsafe: bool = False) -> None:
        self.run_folder, self.limits, self.unsafe = run_folder, limits, unsafe
        factory = KernelProvisionerFactory.instance()
        factory.provisioners.setdefault(
            PROVISIONER, EntryPoint(PROVISIONER, _VALUE, KernelProvisionerFactory.GROUP_NAME)
        )
        super().__init__(kernel_name=PROVISIONER, kernel_spec_manager=_OneSpec(), cache_ports=False)


class _OneSpec(KernelSpecManager):
    """Knows the sandboxed kernel without an installed kernelspec."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return kernel_spec()


def kernel_spec() -> KernelSpec:
    """Describe the sandboxed Python kernel."""
    return KernelSpec(
        argv=_kernel_argv("{connection_file}"),
        display_name="Python 3 (course sandbox)",
        language="python",
        interrupt_mode="message",
        metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
    )


def _kernel_argv(connection_file: str) -> list[str]:
    return [
        sys.executable, "-m", "ipykernel_launcher", "-f", connection_file,
        "--HistoryManager.hist_file=:memory:", "--log-level=CRITICAL",
    ]  # fmt: skip


def _unsafe_environment() -> dict[str, str]:
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    return {**os.environ, **single, **backend}

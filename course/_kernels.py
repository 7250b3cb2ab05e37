"""Fresh kernels for running notebooks."""

from __future__ import annotations

import os

from traitlets.config import Config


def kernel_config() -> Config:
    """Settings of a kernel that only this process reaches: sockets in files where there are such.

    Without them ipykernel warns that TCP on the loopback is not encrypted.
    """
    config = Config()
    if os.name == "posix":
        config.KernelManager.transport = "ipc"
    return config

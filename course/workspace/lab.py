"""Start JupyterLab on a workspace: on this machine only, Validate on, instructor tools off."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from course._files import write_atomic
from course.errors import CourseError

HOST = "127.0.0.1"
FIRST_PORT = 8888
#: Longest time that the Validate button gives one cell, in seconds.
VALIDATE_TIMEOUT_S = 120

_SERVER_EXTENSIONS = {
    "nbgrader.server_extensions.validate_assignment": True,
    "nbgrader.server_extensions.formgrader": False,
    "nbgrader.server_extensions.assignment_list": False,
    "nbgrader.server_extensions.course_list": False,
    "jupyterlab_jupytext": False,
}
_LAB_PLUGINS_OFF = (
    "@jupyter/nbgrader:assignment-list",
    "@jupyter/nbgrader:course-list",
    "@jupyter/nbgrader:create-assignment",
    "@jupyter/nbgrader:formgrader",
    "@jupyter/nbgrader:menu",
    "@jupyterlab/apputils-extension:announcements",
)


def write_settings(workspace: Path) -> Path:
    """Write the workspace's own Jupyter settings and return their folder.

    They take effect through ``JUPYTER_CONFIG_PATH`` and leave the user's own settings alone.
    """
    folder = workspace / ".course" / "jupyter"
    server = {"ServerApp": {"jpserver_extensions": _SERVER_EXTENSIONS}}
    page = {"disabledExtensions": {plugin: True for plugin in _LAB_PLUGINS_OFF}}
    grader = {
        "Execute": {"timeout": VALIDATE_TIMEOUT_S, "startup_timeout": VALIDATE_TIMEOUT_S},
    }
    write_atomic(folder / "jupyter_server_config.json", json.dumps(server, indent=2))
    write_atomic(folder / "labconfig" / "page_config.json", json.dumps(page, indent=2))
    write_atomic(folder / "nbgrader_config.json", json.dumps(grader, indent=2))
    return folder


def free_port(first: int = FIRST_PORT, tries: int = 100) -> int:
    """Return the first port from `first` on that nothing listens at on this machine."""
    for port in range(first, first + tries):
        if _is_free(port):
            return port
    raise CourseError(
        f"ports {first} to {first + tries - 1} are all in use: name a free one with --port"
    )


def lab_command(
    workspace: Path, notebook: str, *, port: int | None = None, browser: bool = True
) -> list[str]:
    """Return the command that starts JupyterLab.

    Parameters
    ----------
    workspace : Path
        Root of what the browser can see.
    notebook : str
        Path below the workspace that is opened.
    port : int, optional
        By default the first free one from 8888 on.
    browser : bool
        Open a browser.

    Raises
    ------
    CourseError
        The port asked for is in use.
    """
    if port is not None and not _is_free(port):
        raise CourseError(f"port {port} is in use: leave --port out to take a free one")
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port or free_port()}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={workspace.resolve()}",
        f"--LabApp.default_url=/lab/tree/{quote(notebook)}",
        f"--ServerApp.open_browser={browser}",
        *(["--ServerApp.allow_root=True"] if _is_root() else []),
    ]


def lab_environment(settings: Path) -> dict[str, str]:
    """Return the environment for JupyterLab, with the workspace's settings first."""
    paths = [str(settings.resolve()), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def start(command: Sequence[str], environment: dict[str, str], workspace: Path) -> int:
    """Run JupyterLab until it is stopped and return its exit code.

    On POSIX this process becomes JupyterLab, so that Ctrl-C and signals reach it directly.
    """
    os.chdir(workspace)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execve(command[0], list(command), environment)
    import subprocess

    return subprocess.run(list(command), env=environment, check=False).returncode


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0

"""The processes of the monitoring stack, as the supervisor sees them."""

from __future__ import annotations

import shutil
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from course._files import write_atomic
from course.testbed.child import GUARD, Child
from course.testbed.stack import rules

#: Debian's package puts a prefix before Alertmanager's name.
_ALERTMANAGER_NAMES = ("alertmanager", "prometheus-alertmanager")


def programs() -> tuple[str, str] | None:
    """Paths of Prometheus and Alertmanager, or None if one of them is not installed."""
    prometheus = shutil.which("prometheus")
    alertmanager = next(filter(None, map(shutil.which, _ALERTMANAGER_NAMES)), None)
    return (prometheus, alertmanager) if prometheus and alertmanager else None


class Stack:
    """Prometheus with Alertmanager if both are on the PATH, the embedded default otherwise.

    Parameters
    ----------
    folder : Path
        The run folder.
    kind : {"auto", "real", "embedded"}
    interval : float
        Seconds between scrapes.
    token : str
    make_child : callable
        Name, module and configuration -> `Child`.

    Raises
    ------
    RuntimeError
        "real" is asked for and not installed.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        interval: float,
        token: str,
        make_child: Callable[[str, str, dict[str, Any]], Child],
    ) -> None:
        found = programs()
        if kind == "real" and found is None:
            raise RuntimeError(
                "prometheus and alertmanager are not both on the PATH; install them "
                "(README, testbed), or run with --stack embedded"
            )
        self.folder, self.interval, self.token = folder / "stack", interval, token
        self._make_child = make_child
        self._programs = found if kind != "embedded" else None
        self.kind = "prometheus" if self._programs else "embedded"
        self.children: list[Child] = []

    def start(self, ports: dict[str, int], control: int, deadline: float) -> None:
        """Write the configuration and start the processes.

        Parameters
        ----------
        ports : dict
            Service -> port of its metrics.
        control : int
            Port of the supervisor, which takes notifications.
        deadline : float
            Monotonic seconds.
        """
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_atomic(self.folder / "rules.yml", rules.rule_file(self.interval))
        self.write_targets(ports)
        if self._programs is None:
            config = {"folder": str(self.folder), "interval": self.interval, "token": self.token,
                      "control": control}  # fmt: skip
            self._run("monitoring", "course.testbed.stack.embedded", config)
        else:
            self._start_programs(*self._programs, control)

    def _start_programs(self, prometheus: str, alertmanager: str, control: int) -> None:
        port, alert_port = free_ports(2)
        write_atomic(
            self.folder / "alertmanager.yml",
            rules.alertmanager_file(control, self.token, self.interval),
        )
        (self.folder / "alertmanager.yml").chmod(0o600)
        write_atomic(
            self.folder / "prometheus.yml",
            rules.prometheus_file(self.folder, self.interval, alert_port),
        )
        self._guard(
            "alertmanager", alert_port, alertmanager,
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{alert_port}", "--cluster.listen-address=",
            "--log.level=warn",
        )  # fmt: skip
        self._guard(
            "prometheus", port, prometheus,
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'tsdb'}", "--storage.tsdb.retention.time=2d",
            f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage",
            "--log.level=warn",
        )  # fmt: skip

    def _guard(self, name: str, port: int, *argv: str) -> None:
        self._run(name, GUARD, {"argv": argv, "port": port})

    def _run(self, name: str, module: str, config: dict[str, Any]) -> None:
        child = self._make_child(name, module, config)
        self.children.append(child)
        child.start()

    def wait_ready(self, deadline: float) -> None:
        """Wait until all answer.

        Raises
        ------
        RuntimeError
            One did not in time, with the end of its errors.
        """
        for child in self.children:
            child.wait_ready(deadline)
            while not _answers(child.ports["port"]):
                if child.ended() or time.monotonic() > deadline:
                    raise RuntimeError(f"{child.name} does not answer: {child.last_errors()}")
                time.sleep(0.05)

    def addresses(self) -> dict[str, Any]:
        """Where queries and alerts are answered."""
        by_name = {child.name: child.ports.get("port", 0) for child in self.children}
        if self._programs is None:
            port = by_name["monitoring"]
            return {"stack": self.kind, "prometheus": port, "alertmanager": port}
        return {"stack": self.kind, **by_name}

    def write_targets(self, ports: dict[str, int]) -> None:
        """Tell the scraper where the services are now."""
        write_atomic(self.folder / "targets.json", rules.targets_file(ports))


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that are free on the loopback interface now, for programs that can't bind to 0."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()

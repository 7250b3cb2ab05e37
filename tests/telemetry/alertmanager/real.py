"""What the real amtool and the real Alertmanager say."""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.telemetry.alertmanager.generator import Case

AMTOOL = shutil.which("amtool")
ALERTMANAGER = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")


def version() -> str:
    """The first line of ``amtool --version``."""
    done = subprocess.run([str(AMTOOL), "--version"], capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()[0]


def accepts(config: str) -> bool:
    """Whether ``amtool check-config`` accepts the text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "am.yml")
        path.write_text(config)
        return (
            subprocess.run([str(AMTOOL), "check-config", str(path)], capture_output=True).returncode
            == 0
        )


def answer(case: Case) -> dict[str, Any]:
    """Receivers of each alert as amtool sees them; groups and inhibited alerts as served."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "am.yml")
        path.write_text(case.config)
        return {"receivers": [_receivers(path, labels) for labels in case.alerts],
                **_served(case, path, folder)}  # fmt: skip


def _receivers(path: Path, labels: dict[str, str]) -> list[str]:
    pairs = [f"{name}={json.dumps(value)}" for name, value in labels.items()]
    done = subprocess.run(
        [str(AMTOOL), "config", "routes", "test", f"--config.file={path}", *pairs],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip().split(",")


def _served(case: Case, path: Path, folder: str) -> dict[str, Any]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [str(ALERTMANAGER), f"--config.file={path}", f"--storage.path={folder}/data",
         "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _get(f"{base}/-/ready") is not None)
        body = json.dumps([{"labels": labels} for labels in case.alerts]).encode()
        request = urllib.request.Request(
            f"{base}/api/v2/alerts", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=5).close()
        _until(lambda: len(_seen(case, _groups(base))) == len(case.alerts))
        time.sleep(0.05)
        return _plain(case, _groups(base))
    finally:
        process.terminate()
        process.wait()


def _groups(base: str) -> list[dict[str, Any]]:
    return json.loads(_get(f"{base}/api/v2/alerts/groups") or "[]")


def _seen(case: Case, groups: list[dict[str, Any]]) -> set[int]:
    return {case.alerts.index(a["labels"]) for group in groups for a in group["alerts"]}


def _plain(case: Case, groups: list[dict[str, Any]]) -> dict[str, Any]:
    made, muted = [], set()
    for group in groups:
        numbers = sorted(case.alerts.index(alert["labels"]) for alert in group["alerts"])
        made.append(
            [group["receiver"]["name"], sorted(map(list, group["labels"].items())), numbers]
        )
        muted |= {case.alerts.index(alert["labels"]) for alert in group["alerts"]
                  if alert["status"]["inhibitedBy"]}  # fmt: skip
    return {"groups": sorted(made), "inhibited": sorted(muted)}


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bytes(reply.read())
    except OSError:
        return None


def _until(condition: Any, limit_s: float = 20.0) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("Alertmanager did not take the alerts")
        time.sleep(0.02)

"""A real Prometheus over given samples, for as long as questions are asked."""

import json
import math
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

Sample = tuple[str, int, float]  # series with labels, milliseconds, value


class Server:
    """Answers instant queries; made by `serving`."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers yet."""
        try:
            with urllib.request.urlopen(f"{self._address}/-/ready", timeout=1) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def ask(self, query: str, milliseconds: int) -> float | None:
        """The only value of an instant query, None where it has none."""
        at = f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
        parameters = urllib.parse.urlencode({"query": query, "time": at})
        with urllib.request.urlopen(
            f"{self._address}/api/v1/query?{parameters}", timeout=10
        ) as got:
            result = json.load(got)["data"]["result"]
        if len(result) > 1:
            raise RuntimeError(f"{query} has {len(result)} answers")
        return float(result[0]["value"][1]) if result else None


@contextmanager
def serving(samples: Iterable[Sample]) -> Iterator[Server]:
    """Backfill samples into a Prometheus on a free port; it ends with the block.

    Parameters
    ----------
    samples : iterable of (str, int, float)
        Series by series, each rising in time; of one metric after the other.
    """
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        data, text, config = (Path(folder, name) for name in ("data", "samples.om", "empty.yml"))
        lines = [f"{name} {value!r} {at / 1000:.3f}" for name, at, value in samples]
        text.write_text("\n".join([*lines, "# EOF"]) + "\n")
        config.write_text("global: {scrape_interval: 1h}\n")
        command = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", text, data]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"promtool can't backfill: {(done.stdout + done.stderr)[-500:]}")
        port = _free_port()
        process = subprocess.Popen(
            [
                str(PROMETHEUS), f"--config.file={config}", f"--storage.tsdb.path={data}",
                f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y",
                "--log.level=error",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield _when_ready(Server(port), process)
        finally:
            process.terminate()
            process.wait(timeout=20)


def version() -> str:
    """The first line of ``prometheus --version``."""
    done = subprocess.run(
        [str(PROMETHEUS), "--version"], capture_output=True, text=True, check=True
    )
    return (done.stdout + done.stderr).splitlines()[0]


def written(value: float | None) -> float | str | None:
    """A value as JSON: NaN and infinities as text."""
    return value if value is None or math.isfinite(value) else repr(value)


def _when_ready(server: Server, process: subprocess.Popen) -> Server:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"prometheus ended with code {process.returncode}")
        if server.ready():
            return server
        time.sleep(0.05)
    raise RuntimeError("prometheus is not ready after ten seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A student's first hour in a real browser: read, run, see a chart, press Validate.

Set ``COURSE_SCREENSHOTS`` to a folder to keep the pictures.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest

from course.workspace import syllabus
from tests.conftest import require

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
NOTEBOOK = "month-03-anomaly-detection/anomaly-detection.ipynb"
SMALL = "small/small.ipynb"
CHROMIUM_OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
PATIENCE_S = 60.0


@dataclass
class Lab:
    """A running `course lab`."""

    process: subprocess.Popen[bytes]
    log: Path
    workspace: Path
    port: int
    url: str

    @property
    def token(self) -> str:
        """What the server wants to see."""
        return self.url.rpartition("token=")[2]

    def address(self, path: str) -> str:
        """Address of anything on this server."""
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`course lab --no-browser` in a new workspace, with no settings of this machine's user."""
    require(_chromium(), "no Chromium; on Debian: apt-get install chromium")
    require(importlib.util.find_spec("playwright"), "no playwright; pip install -e '.[dev]'")
    root = tmp_path_factory.mktemp("lab")
    running = _start(root)
    _write_small(root / "workspace" / SMALL)
    try:
        yield running
    finally:
        _end(running)


@pytest.fixture(scope="module")
def browser(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Headless Chromium of the system, with a new profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=_chromium(),
            headless=True,
            args=CHROMIUM_OPTIONS,
            viewport={"width": 1400, "height": 1000},
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        yield context
        context.close()


@pytest.fixture(scope="module")
def month(lab: Lab, browser: BrowserContext) -> Page:
    """Month 3, opened by the address that the command prints."""
    page = browser.pages[0]
    page.goto(lab.url)
    page.locator(".jp-NotebookPanel .jp-RenderedMarkdown h1").first.wait_for()
    return page


def _wait_for_kernel(page: Page) -> None:
    """JupyterLab drops a cell that is run before its kernel has started."""
    page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']").first.wait_for()


def test_the_printed_address_opens_the_month_with_its_text_rendered(month: Page) -> None:
    first = month.locator(".jp-NotebookPanel .jp-MarkdownCell .jp-RenderedMarkdown").first
    assert "Anomaly detection" in first.locator("h1").inner_text()
    assert first.locator("strong").first.is_visible()
    text = first.inner_text()
    assert "Your phone rings" in text
    assert "**" not in text
    assert "from course import plots, shop" in month.locator(".jp-CodeCell").first.inner_text()


def test_running_the_first_cells_shows_text_and_a_chart(month: Page) -> None:
    assert month.locator(".jp-OutputArea img").count() == 0
    _wait_for_kernel(month)
    month.locator(".jp-NotebookPanel .jp-MarkdownCell").first.click()
    for _ in range(4):
        month.keyboard.press("Shift+Enter")
    month.locator(".jp-OutputArea-output pre", has_text="minutes from").first.wait_for()
    chart = month.locator(".jp-CodeCell .jp-OutputArea img").first
    chart.scroll_into_view_if_needed()
    width, height = chart.evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert width > 400
    assert height > 200
    assert month.locator(".jp-OutputArea-output[data-mime-type*='stderr']").count() == 0
    _picture(month, "chart")


def test_validate_tells_what_an_unsolved_notebook_lacks(month: Page) -> None:
    said = _validate(month, "failed")
    assert said.count("The following cell failed") == len(syllabus.month("3").exercises)
    assert "NotImplementedError: write your answer here" in said


def test_validate_praises_a_solved_notebook(lab: Lab, browser: BrowserContext) -> None:
    page = browser.new_page()
    page.goto(lab.address(f"lab/tree/{SMALL}"))
    page.locator(".jp-NotebookPanel .jp-CodeCell").first.wait_for()
    assert "passes all the tests" in _validate(page, "passed")
    page.close()


def test_instructors_tools_are_not_there(lab: Lab, month: Page) -> None:
    menus = month.get_by_role("menubar").first.inner_text().split()
    assert menus[:2] == ["File", "Edit"]
    assert "Nbgrader" not in menus
    assert month.request.get(lab.address("api/contents")).status == 200
    for path in ("formgrader", "assignment_list", "assignments", "formgraders"):
        assert month.request.get(lab.address(path)).status == 404


def test_nothing_of_another_machine_can_reach_the_server(lab: Lab) -> None:
    listening = {c.laddr.ip for c in _server(lab).net_connections() if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_a_second_start_refuses_the_port_in_use(lab: Lab, tmp_path: Path) -> None:
    done = subprocess.run(
        _command(tmp_path / "workspace", lab.port),
        env=_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"port {lab.port} is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_the_server_and_its_kernels(lab: Lab) -> None:
    started = [_server(lab), *_server(lab).children(recursive=True)]
    assert len(started) > 1
    _end(lab)
    assert lab.process.returncode == 0
    assert [process for process in started if process.is_running()] == []


# --- helpers ----------------------------------------------------------------------------------


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


def _command(workspace: Path, port: int) -> list[str]:
    return [
        sys.executable, "-m", "course.cli", "lab", "--no-browser", "--month", "3",
        "--port", str(port), "--workspace", str(workspace),
    ]  # fmt: skip


def _environment(root: Path) -> dict[str, str]:
    """Keep settings, run-time files and caches of Jupyter below a temporary folder."""
    own = {
        "HOME": root, "JUPYTER_CONFIG_DIR": root / "config", "JUPYTER_DATA_DIR": root / "data",
        "JUPYTER_RUNTIME_DIR": root / "runtime", "IPYTHONDIR": root / "ipython",
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", root / "matplotlib"), "PYTHONPATH": ROOT,
    }  # fmt: skip
    return {**os.environ, **{name: str(value) for name, value in own.items()}}


def _start(root: Path) -> Lab:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = root / "lab.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(root / "workspace", port),
            cwd=root, env=_environment(root), stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        url = _wait_for(
            lambda: re.search(rf"http://127\.0\.0\.1:{port}/\S+token=\w+", log.read_text()), log
        )[0]
        _wait_for(lambda: _answers(port), log)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Lab(process, log, root / "workspace", port, url)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(ask: Callable[[], Any], log: Path) -> Any:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


def _server(lab: Lab) -> psutil.Process:
    return psutil.Process(lab.process.pid)


def _end(lab: Lab) -> None:
    """Stop the server as Ctrl-C does, and whatever it started should that not be enough."""
    if lab.process.poll() is not None:
        return
    started = _server(lab).children(recursive=True)
    lab.process.send_signal(signal.SIGINT)
    try:
        lab.process.wait(15)
    except subprocess.TimeoutExpired:
        lab.process.kill()
        lab.process.wait()
        for process in started:
            if process.is_running():
                process.kill()
        raise
    psutil.wait_procs(started, timeout=5)


def _write_small(path: Path) -> None:
    """A solved notebook with one check."""
    solution, check = (
        {"grade_id": name, "grade": grade, "locked": grade, "solution": not grade,
         "schema_version": 3, "task": False}
        for name, grade in (("double", False), ("check-double", True))
    )  # fmt: skip
    cell = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("def double(x):\n    return 2 * x", metadata={"nbgrader": solution}),
            cell("assert double(2) == 4", metadata={"nbgrader": {**check, "points": 1}}),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def _validate(page: Page, picture: str) -> str:
    """Press the button and return what the dialog says."""
    page.locator(".jp-NotebookPanel:visible").get_by_text("Validate", exact=True).click()
    dialog = page.locator(".jp-Dialog")
    dialog.wait_for()
    said = dialog.inner_text()
    _picture(page, picture)
    dialog.locator("button").last.click()
    dialog.wait_for(state="detached")
    return said


def _picture(page: Page, name: str) -> None:
    folder = os.environ.get("COURSE_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")

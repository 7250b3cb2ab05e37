"""Run a lesson and keep what it shows, in a form that is the same on every machine."""

from __future__ import annotations

import base64
import io
import os
import re
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from course.errors import CourseError

CELL_TIMEOUT_S = 120
STARTUP_TIMEOUT_S = 120
_CHECKOUT = str(Path(__file__).resolve().parents[2])
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")
_IPYKERNEL_FILE = re.compile(r"[^\s\"']*ipykernel_\d+/\d+\.py")


def execute(
    notebook: NotebookNode,
    *,
    name: str,
    cell_timeout_s: float = CELL_TIMEOUT_S,
    progress: bool = True,
) -> float:
    """Run all cells of a lesson in a fresh kernel; outputs are kept in place, normalised.

    Parameters
    ----------
    notebook : NotebookNode
        Changed in place. It runs in an empty folder, with the environment's own python3.
    name : str
        For messages.
    cell_timeout_s : float
        Longest time for one cell, in seconds.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    float
        Seconds that it took, the kernel's start included.

    Raises
    ------
    CourseError
        A cell failed, ran too long, ended its kernel or wrote to stderr. Cells tagged
        ``raises-exception`` may fail; cells tagged ``stderr-ok`` may write to stderr.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="course-build-") as folder:
        client = NotebookClient(
            notebook,
            timeout=int(cell_timeout_s),
            startup_timeout=STARTUP_TIMEOUT_S,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        # What runs on this machine must not be in the outputs: there is no testbed in this folder.
        alone = {"PYTHONHASHSEED": "0", "COURSE_TESTBED_RUN": os.path.join(folder, "no-testbed")}
        with client.setup_kernel(env={**os.environ, **alone}):
            cells = list(enumerate(notebook.cells))
            for index, cell in tqdm(
                cells, desc=name, unit="cell", disable=not progress, leave=False
            ):
                _run(client, cell, index, name)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs = normalise(cell.outputs, folder)
    return time.monotonic() - began


def normalise(outputs: list[NotebookNode], folder: str = "") -> list[NotebookNode]:
    """Take out of outputs what differs from run to run: addresses, machine paths, large images.

    Parameters
    ----------
    outputs : list of NotebookNode
        Outputs of one cell; changed in place.
    folder : str
        The folder that the notebook ran in; written as ``.``.

    Returns
    -------
    list of NotebookNode
        Neighbouring streams of one name joined.
    """
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if output.output_type == "stream":
            output.text = _clean(output.text, folder)
            if last is not None and last.output_type == "stream" and last.name == output.name:
                last.text += output.text
                continue
        elif output.output_type == "error":
            output.evalue = _clean(output.evalue, folder)
            output.traceback = [_clean(line, folder) for line in output.traceback]
        else:
            for mime, value in output.data.items():
                if mime == "image/png":
                    output.data[mime] = _small_png(value)
                elif isinstance(value, str):
                    output.data[mime] = _clean(value, folder)
        joined.append(output)
    return joined


def _run(client: NotebookClient, cell: NotebookNode, index: int, name: str) -> None:
    where = f"{name}, cell {cell.id}"
    try:
        client.execute_cell(cell, index)
    except CellTimeoutError:
        raise CourseError(f"{where} ran longer than {client.timeout} s:\n{cell.source}") from None
    except DeadKernelError:
        raise CourseError(f"{where} ended its kernel:\n{cell.source}") from None
    except CellExecutionError as error:
        trace = _ANSI.sub("", str(error))
        raise CourseError(f"{where} failed, nothing was written:\n{trace}") from None
    if "stderr-ok" in cell.metadata.get("tags", []):
        return
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            raise CourseError(
                f"{where} wrote to stderr, nothing was written to disk; a lesson runs without "
                f"warnings (or tag the cell stderr-ok):\n{output.text.strip()}"
            )


def _clean(text: str, folder: str) -> str:
    for place, word in ((folder, "."), (_CHECKOUT, "."), (str(Path.home()), "~")):
        if len(place) > 1:
            text = text.replace(place, word)
    return _ADDRESS.sub("0x…", _IPYKERNEL_FILE.sub("<cell>", text))


def _small_png(encoded: str) -> str:
    """Write a chart with a palette of 256 colours if that is smaller: by two thirds, often."""
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image)
    buffer = io.BytesIO()
    palette = flat.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    palette.save(buffer, format="PNG", optimize=True)
    small = base64.b64encode(buffer.getvalue()).decode("ascii")
    return min(small, encoded.strip(), key=len)

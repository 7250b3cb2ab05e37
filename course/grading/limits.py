"""How much a submission may use."""

from __future__ import annotations

from dataclasses import dataclass

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """Limits of one submission's kernel; every one of them is enforced from outside the kernel.

    Parameters
    ----------
    cell_s : float
        Seconds that one cell may take.
    notebook_s : float
        Seconds that all cells together may take.
    total_s : float
        Wall time of the whole grading of one notebook, restarts included; at its end the
        kernel is killed and what has not been answered scores 0.
    start_s : float
        Seconds that a kernel may take to start.
    memory : int
        Bytes of resident memory of all processes of the sandbox together.
    address_space : int
        Bytes of address space of one process.
    file_size, folder_size : int
        Bytes of one file, and of all that the submission may write to its folder.
    processes : int
        Processes and threads together.
    restarts : int
        How often a dead kernel is started again and the notebook rerun.
    stream_bytes, image_bytes, notebook_bytes : int
        Recorded output of a cell's text, of a cell's images, and of all cells together.
    """

    cell_s: float = 60.0
    notebook_s: float = 120.0
    total_s: float = 600.0
    start_s: float = 60.0
    memory: int = 3072 * MB
    address_space: int = 8192 * MB
    file_size: int = 256 * MB
    folder_size: int = 512 * MB
    processes: int = 192
    restarts: int = 5
    stream_bytes: int = 64 * 1024
    image_bytes: int = 2 * MB
    notebook_bytes: int = 16 * MB


MAX_NOTEBOOK_BYTES = 32 * MB
MAX_SUBMISSION_BYTES = 128 * MB
MAX_SUBMISSION_FILES = 2000

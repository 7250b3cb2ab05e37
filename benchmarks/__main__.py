"""Run every benchmark, or those named: ``python -m benchmarks [shop] [control] [grading]``."""

from __future__ import annotations

import subprocess
import sys

ALL = {"shop": ["speed"], "control": [], "grading": []}


def main() -> int:
    """Run each in a process of its own and pass its output on."""
    chosen = sys.argv[1:] or list(ALL)
    if unknown := [name for name in chosen if name not in ALL]:
        print(f"no benchmark {', '.join(unknown)}; there is {', '.join(ALL)}", file=sys.stderr)
        return 2
    codes = []
    for name in chosen:
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *ALL[name]]
        codes.append(subprocess.run(command).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())

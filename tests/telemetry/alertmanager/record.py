"""Write down what the real tools say: ``python -m tests.telemetry.alertmanager.record``."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.telemetry.alertmanager import real
from tests.telemetry.alertmanager.generator import Case, make_case
from tests.telemetry.alertmanager.rejects import INVALID, VALID

PATH = Path(__file__).with_name("answers.json.gz")
CASES = 240


def load() -> dict[str, Any]:
    """The recorded answers; `cases` holds pairs of Case and answer."""
    document: dict[str, Any] = json.loads(gzip.decompress(PATH.read_bytes()))
    document["cases"] = [(Case(**case), answer) for case, answer in document["cases"]]
    return document


def main() -> None:
    """Record all cases."""
    cases = [make_case(seed) for seed in range(CASES)]
    document = {
        "amtool": real.version(),
        "cases": [[asdict(case), real.answer(case)] for case in cases],
        "checks": {text: real.accepts(text) for text in (*VALID.values(), *INVALID.values())},
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    PATH.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{document['amtool']}: {len(cases)} cases, {PATH.stat().st_size} bytes in {PATH.name}")


if __name__ == "__main__":
    main()

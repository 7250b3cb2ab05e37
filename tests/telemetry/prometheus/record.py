"""Ask the real promtool and write down what it says: ``python -m tests.telemetry.prometheus.record``."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.telemetry.prometheus import promtool
from tests.telemetry.prometheus.generator import Case, make_case
from tests.telemetry.prometheus.rejects import INVALID, STRICTER, VALID

PATH = Path(__file__).with_name("answers.json.gz")
CASES = 300


def load() -> dict[str, Any]:
    """The recorded answers; `cases` holds pairs of Case and answer."""
    document: dict[str, Any] = json.loads(gzip.decompress(PATH.read_bytes()))
    document["cases"] = [(Case(**case), answer) for case, answer in document["cases"]]
    return document


def main() -> None:
    """Record all cases."""
    cases = [make_case(seed) for seed in range(CASES)]
    document = {
        "promtool": promtool.version(),
        "cases": [[asdict(case), promtool.answer(case)] for case in cases],
        "checks": {
            text: promtool.accepts(text)
            for table in (INVALID, VALID, STRICTER)
            for text in table.values()
        },
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    PATH.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{document['promtool']}: {len(cases)} cases, {PATH.stat().st_size} bytes in {PATH.name}")


if __name__ == "__main__":
    main()

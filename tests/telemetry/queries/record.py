"""Ask Grafana's grammars and write down what they say: ``python -m tests.telemetry.queries.record``.

Node is needed, and ``npm install --no-package-lock --prefix tests/telemetry/queries`` first.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.telemetry.queries.generator import queries

HERE = Path(__file__).parent
VERDICTS = HERE / "verdicts.json"
#: What a student might write, right and wrong, beside what is generated.
BY_HAND = [
    ("logql", '{service_name="payment", level="ERROR"} |= "timed out"'),
    ("logql", 'sum(count_over_time({service_name="payment"} | level="ERROR" |= "timed out" [5m]))'),
    ("logql", 'sum by (level) (rate({service_name="payment"}[5m]))'),
    ("logql", '{service_name="payment"} | duration_ms > 500 and level="ERROR"'),
    ("logql", "{service_name=payment}"),
    ("logql", "{service_name='payment'}"),
    ("logql", "{}"),
    ("logql", ""),
    ("logql", '{service.name="payment"}'),
    ("logql", 'count_over_time({service_name="payment"})'),
    ("logql", 'sum({service_name="payment"})'),
    ("logql", 'sum by level (rate({service_name="payment"}[5m]))'),
    ("logql", 'rate({service_name="payment"}[5])'),
    ("logql", 'rate({service_name="payment"})[5m]'),
    ("logql", 'service_name="payment"'),
    ("logql", '{service_name="payment"} AND level="ERROR"'),
    ("logql", '{service_name="payment"} | level == "ERROR"'),
    ("logql", '{service_name="payment",}'),
    ("logql", "SELECT * FROM logs"),
    ("traceql", '{ resource.service.name = "payment" && status = error && duration > 500ms }'),
    ("traceql", '{ resource.service.name = "checkout" } >> { status = error }'),
    ("traceql", "{}"),
    ("traceql", ""),
    ("traceql", "{ status == error }"),
    ("traceql", "{ status = ERROR }"),
    ("traceql", "{ status = error and duration > 1s }"),
    ("traceql", "{ status = error & duration > 1s }"),
    ("traceql", "{ duration > 500 ms }"),
    ("traceql", "{ service = 'payment' }"),
    ("traceql", "{ resource.service.name = payment }"),
    ("traceql", 'resource.service.name = "payment"'),
    ("traceql", '{ name = "a" } >>'),
    ("traceql", '{ resource.service.name = "payment", status = error }'),
    ("traceql", "{ status = error"),
]


def cases() -> list[tuple[str, str]]:
    """All queries: language and text."""
    return [*BY_HAND, *queries()]


def asked() -> list[bool] | None:
    """What the real grammars say of all cases; None where they are not installed."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "@grafana").is_dir():
        return None
    done = subprocess.run(
        [node, "judge.mjs"], cwd=HERE, input=json.dumps(cases()), capture_output=True, text=True,
        check=True, timeout=60,
    )  # fmt: skip
    verdicts: list[bool] = json.loads(done.stdout)
    return verdicts


def main() -> None:
    """Record all cases."""
    verdicts = asked()
    if verdicts is None:
        raise SystemExit(__doc__)
    versions = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    rows = [
        [language, text, good] for (language, text), good in zip(cases(), verdicts, strict=True)
    ]
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    VERDICTS.write_text(
        f'{{"versions": {json.dumps(versions)},\n "queries": [\n  {lines}]}}\n', encoding="utf-8"
    )


if __name__ == "__main__":
    main()

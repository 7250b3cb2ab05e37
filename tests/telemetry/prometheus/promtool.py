"""What the real promtool says."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from course.telemetry.prometheus import load_rules
from tests.telemetry.prometheus.generator import Case

PROMTOOL = shutil.which("promtool")
PROBE_EVERY = 5  # recorded series are asked for at every fifth evaluation

_ALERT = re.compile(
    r"alertname: (\S+), time: (\S+), \n(.*?)(?=\n    alertname:|\n    expr:|\Z)", re.S
)
_LABELS = re.compile(r"Labels:\{(.*)\}\n")
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')
_EXPR = re.compile(r'expr: "([^"]+)", time: (\S+),\n\s+exp: .*\n\s+got: (.*)')
_SAMPLE = re.compile(r"\{((?:[^\"{}]|\"(?:[^\"\\]|\\.)*\")*)\} (\S+?)(?=, \{|$)")
_DURATION = re.compile(r"(\d+)(h|m|s)")

Answer = dict[str, Any]


def accepts(rules: str) -> bool:
    """Whether ``promtool check rules`` accepts the text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yml")
        path.write_bytes(rules.encode("utf-8", "surrogatepass"))
        done = subprocess.run([str(PROMTOOL), "check", "rules", str(path)], capture_output=True)
    return done.returncode == 0


def version() -> str:
    """The first line of ``promtool --version``."""
    done = subprocess.run([str(PROMTOOL), "--version"], capture_output=True, text=True, check=True)
    return (done.stdout + done.stderr).splitlines()[0]


def run(case: Case, expected: dict[str, dict[int, list[dict[str, str]]]]) -> tuple[int, str]:
    """Exit code and output of ``promtool test rules``.

    Parameters
    ----------
    case : Case
    expected : dict
        Labels (with ``alertname`` or without) expected by alert name and second.
    """
    rules = load_rules(case.rules)
    alert_tests = [
        {
            "eval_time": f"{second}s",
            "alertname": name,
            "exp_alerts": [{"exp_labels": labels} for labels in alerts],
        }
        for name, by_second in expected.items()
        for second, alerts in by_second.items()
    ]
    probes = [
        {"eval_time": f"{second}s", "expr": rule.name, "exp_samples": []}
        for rule in rules.rules
        if not rule.is_alert
        for second in probe_seconds(case)
    ]
    hole = "_" if case.missing == "gap" else "stale"
    inputs = [
        {"series": name, "values": " ".join(hole if v is None else repr(v) for v in values)}
        for name, values in case.series.items()
    ]
    test = {
        "interval": f"{case.scrape_s}s",
        "input_series": inputs,
        "alert_rule_test": alert_tests,
        "promql_expr_test": probes,
    }
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{case.evaluation_s}s",
        "group_eval_order": [group.name for group in rules.groups],
        "tests": [test],
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rules.yml").write_text(case.rules)
        Path(folder, "test.yml").write_text(yaml.safe_dump(document))
        done = subprocess.run(
            [str(PROMTOOL), "test", "rules", "test.yml"], cwd=folder, capture_output=True, text=True
        )
    return done.returncode, done.stdout + done.stderr


def evaluation_seconds(case: Case) -> list[int]:
    """All evaluation times."""
    return list(range(0, case.end_s + 1, case.evaluation_s))


def probe_seconds(case: Case) -> list[int]:
    """The times at which recorded series are compared."""
    return evaluation_seconds(case)[::PROBE_EVERY]


def answer(case: Case) -> Answer:
    """The alerts that fire at each evaluation, and recorded samples at some, as promtool saw them.

    It is asked to expect nothing; what it got instead stands in its complaint.

    Returns
    -------
    dict
        Either ``error``, or ``firing`` (a list [labels, seconds]) and ``recorded`` (a list
        [second, labels, value]).
    """
    names = [rule.name for rule in load_rules(case.rules).alerts]
    nothing = {name: {second: [] for second in evaluation_seconds(case)} for name in names}
    code, output = run(case, nothing)
    if errors := re.findall(r"err: (.*)", output):
        return {"error": re.split(r"[{:]", sorted(errors)[0])[0].strip()}
    if code == 0:
        return {"firing": [], "recorded": []}
    if "FAILED" not in output:
        raise RuntimeError(f"promtool could not run the case: {output[:500]}")
    firing: dict[str, list[int]] = {}
    for _, time, body in _ALERT.findall(output):
        for found in _LABELS.findall(body.partition("got:")[2]):
            firing.setdefault(json.dumps(_pairs(found), sort_keys=True), []).append(_seconds(time))
    recorded = [
        [_seconds(time), _pairs(labels), float(f"{float(value):.12g}")]
        for _, time, got in _EXPR.findall(output)
        for labels, value in _SAMPLE.findall(got)
    ]
    return {
        "firing": [[json.loads(labels), firing[labels]] for labels in sorted(firing)],
        "recorded": sorted(recorded, key=json.dumps),
    }


def _pairs(text: str) -> dict[str, str]:
    return {name: json.loads(value) for name, value in _PAIR.findall(text)}


def _seconds(text: str) -> int:
    sizes = {"h": 3600, "m": 60, "s": 1}
    return sum(int(count) * sizes[unit] for count, unit in _DURATION.findall(text))

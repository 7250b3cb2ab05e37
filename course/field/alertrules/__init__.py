"""Field study: the rules of Awesome Prometheus alerts, linted.

What to know before trusting a number: the file is the source of a web site. Its entries are templates to
be adapted, so a finding says what a team gets that copies them unchanged, not that they are wrong.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import yaml

from course.telemetry import public

# The same loader in C, where libyaml is there, is ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Finding to what it says.
FINDINGS = {
    "no for": "fires at the first evaluation that is over the line",
    "critical at once": "severity critical without `for`: one bad sample wakes somebody",
    "no threshold": "the query holds no comparison, so it fires whenever it returns a series",
    "short range": "a range of a minute or less: with a scrape a minute, the default, it holds one "
    "sample and `rate` returns nothing",
}
#: What the collection's severities are called in the course.
SEVERITIES = {"critical": "page", "warning": "ticket", "info": "info"}


def load_rules() -> pd.DataFrame:
    """Return one row a rule: group, service, name, query, severity, for (empty where missing).

    Raises
    ------
    course.telemetry.public.PublicDataMissing
        Without mirror and network.
    """
    path = public.fetch("alertrules", progress=False) / "_data/rules.yml"
    return read_rules(path.read_text(encoding="utf-8"))


def read_rules(text: str) -> pd.DataFrame:
    """Read the text of ``_data/rules.yml``; see `load_rules`."""
    rows = [
        {"group": group["name"], "service": service["name"], "name": rule["name"],
         "query": str(rule["query"]), "severity": str(rule.get("severity", "")),
         "for": str(rule.get("for", ""))}
        for group in yaml.load(text, Loader=_LOADER)["groups"]
        for service in group["services"]
        for exporter in service.get("exporters") or []
        for rule in exporter.get("rules") or []
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "service", "name", "query", "severity", "for"])


def lint(rules: pd.DataFrame) -> pd.DataFrame:
    """Return one Boolean column a finding (`FINDINGS`), one row a rule.

    Examples
    --------
    >>> rule = {"query": "up == 0", "severity": "critical", "for": ""}
    >>> lint(pd.DataFrame([rule])).iloc[0].tolist()
    [True, True, False, False]
    """
    at_once = rules["for"].isin(["", "0", "0s", "0m"])
    bare = rules["query"].str.replace(r"\"[^\"]*\"|'[^']*'|\{[^}]*\}", "", regex=True)
    compared = bare.str.contains(r"[<>]|==|!=|\bunless\b|\babsent", regex=True)
    return pd.DataFrame(
        {
            "no for": at_once,
            "critical at once": at_once & (rules["severity"] == "critical"),
            "no threshold": ~compared,
            "short range": rules["query"].str.contains(r"\[(?:1m|[1-5]?[0-9]s|60s)\]", regex=True),
        }
    )


def as_labels(rules: pd.DataFrame) -> list[dict[str, str]]:
    """Return the labels of one alert per rule: alertname, severity (page, ticket, info), service.

    Examples
    --------
    >>> rule = {"name": "Redis down", "severity": "critical", "service": "Redis"}
    >>> as_labels(pd.DataFrame([rule]))
    [{'alertname': 'Redis down', 'severity': 'page', 'service': 'redis'}]
    """
    return [
        {"alertname": row.name, "severity": SEVERITIES.get(row.severity, row.severity),
         "service": slug(row.service)}
        for row in rules[["name", "severity", "service"]].itertuples(index=False)
    ]  # fmt: skip


def slug(name: str) -> str:
    """Return a name in lower case, of letters, digits and ``-``.

    Examples
    --------
    >>> slug("Google Cloud / VPN")
    'google-cloud-vpn'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def rule_file(rules: pd.DataFrame) -> str:
    """Return the text of a Prometheus rule file of some rules of the collection, as they are."""
    made: list[dict[str, Any]] = []
    for row in rules.itertuples():
        rule: dict[str, Any] = {"alert": "".join(part.title() for part in slug(row.name).split("-")),
                                "expr": row.query, "labels": {"severity": row.severity}}  # fmt: skip
        wait = rules.at[row.Index, "for"]
        made.append({**rule, "for": wait} if wait else rule)
    return json.dumps({"groups": [{"name": "collection", "rules": made}]})

"""Templates of the shop's log lines, and which of them a service's state calls for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from course.shop.scenario import Scenario
from course.shop.topology import TOPOLOGY


@dataclass(frozen=True)
class Template:
    """A log statement: ``text`` with the parameters ms, number, user, order, ip, callee, sql."""

    level: str
    text: str

    def fill(
        self, rng: np.random.Generator, ms: float = 0.0, number: float = 0.0, callee: str = ""
    ) -> str:
        """Return a message with random users, orders and addresses."""
        a, b, c, d = rng.integers(0, 2**31, size=4)
        return self.text.format(
            ms=f"{ms:.1f}", number=f"{number:.0f}", callee=callee, user=a % 90_000 + 10_000,
            order=b % 900_000 + 100_000, ip=f"10.{c % 8}.{c % 250}.{d % 250}",
            sql=_SQL[int(d) % len(_SQL)],
        )  # fmt: skip


_SQL = (
    "SELECT * FROM orders WHERE user_id = ?",
    "SELECT id, price FROM products WHERE category = ?",
    "UPDATE stock SET reserved = reserved + ? WHERE sku = ?",
)

#: Log statements by id. What stands in braces is a parameter.
TEMPLATES: dict[str, Template] = {
    "http_ok": Template("INFO", "request served user={user} from {ip} in {ms} ms"),
    "message_ok": Template("INFO", "order {order} processed in {ms} ms"),
    "queue_ok": Template("INFO", "order {order} published in {ms} ms"),
    "cache_ok": Template("INFO", "GET session:{user} in {ms} ms"),
    "sql_ok": Template("INFO", "statement finished in {ms} ms: {sql}"),
    "provider_ok": Template("INFO", "charge for order {order} authorised in {ms} ms"),
    "failed": Template("ERROR", "request of user={user} failed: internal error"),
    "exception": Template("ERROR", "unhandled exception for order {order}: KeyError 'currency'"),
    "timeout": Template("ERROR", "request of user={user} timed out after {ms} ms"),
    "refused": Template("ERROR", "queue full, request of user={user} from {ip} refused"),
    "no_connection": Template("ERROR", "no free worker or connection within {ms} ms"),
    "no_space": Template("ERROR", "write for order {order} failed: no space left on device"),
    "reset": Template("ERROR", "connection reset by peer {ip}"),
    "bad_setting": Template("ERROR", "request of user={user} rejected: limit exceeded"),
    "provider_503": Template("ERROR", "charge for order {order} failed: 503 Service Unavailable"),
    "callee_failed": Template("ERROR", "call to {callee} failed for user={user}"),
    "heap": Template("WARN", "heap at {number} %, collection took {ms} ms"),
    "oom": Template("FATAL", "out of memory: process {number} killed"),
    "pool": Template("WARN", "pool at {number} %"),
    "disk": Template("WARN", "disk at {number} %"),
    "slow": Template("WARN", "slow: answer took {ms} ms"),
    "slow_query": Template("WARN", "slow query took {ms} ms: {sql}"),
    "backlog": Template("WARN", "{number} waiting"),
    "retrying": Template("WARN", "callers retry: {number} % more calls than wanted"),
    "change": Template("INFO", "configuration or version changed"),
}

_ACCESS = {"sql": "sql_ok", "cache": "cache_ok", "queue": "queue_ok", "worker": "message_ok",
           "third_party": "provider_ok"}  # fmt: skip
_SIGNATURES = {"bad_deploy": "exception", "network_loss": "reset", "bad_config": "bad_setting"}


def access_template(kind: str) -> str:
    """Id of the line that a service of ``kind`` writes for a request that succeeds."""
    return _ACCESS.get(kind, "http_ok")


def failure_template(
    scenario: Scenario, minute: int, place: int, cause: int, outputs: dict[str, np.ndarray]
) -> str:
    """Id of the line for a failure at ``place`` that is the own failure of ``cause``."""
    if cause not in (place, -1):
        return "callee_failed"
    service = TOPOLOGY.services[place]
    for fault in scenario.faults:
        active = fault.start <= minute < fault.start + fault.minutes
        if active and fault.service == service.name and fault.kind in _SIGNATURES:
            return _SIGNATURES[fault.kind]
    if service.kind == "third_party":
        return "provider_503"
    if outputs["disk"][place] > 0.96:
        return "no_space"
    if outputs["pool"][place] > 0.95:
        return "no_connection"
    if outputs["backlog"][place] >= 0.98 * service.backlog:
        return "refused"
    return "timeout" if outputs["own"][place] > 0.4 * service.deadline_ms else "failed"


def warnings(place: int, outputs: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    """Ids and numbers of the warnings that a service's state calls for in a minute."""
    service = TOPOLOGY.services[place]
    found = []
    if outputs["memory"][place] >= 1.0:
        found.append(("oom", 1000.0 + place))
    elif outputs["memory"][place] > 0.88:
        found.append(("heap", 100 * outputs["memory"][place]))
    if outputs["pool"][place] > 0.85:
        found.append(("pool", 100 * min(outputs["pool"][place], 1.0)))
    if outputs["disk"][place] > 0.9:
        found.append(("disk", 100 * outputs["disk"][place]))
    if outputs["own"][place] > 3 * service.service_ms:
        found.append(("slow_query" if service.kind == "sql" else "slow", 0.0))
    if outputs["backlog"][place] > 10:
        found.append(("backlog", float(outputs["backlog"][place])))
    if outputs["attempts"][place] > 1.05:
        found.append(("retrying", 100 * (outputs["attempts"][place] - 1)))
    return found

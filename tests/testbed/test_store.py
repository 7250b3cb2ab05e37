"""Stores: statements, a bounded disk, a queue that delivers again."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from course.testbed import store as module
from course.testbed.layout import NODES
from course.testbed.store import Store


@pytest.fixture
def orders(tmp_path: Path) -> Store:
    return Store(NODES["orders-db"], tmp_path / "orders.sqlite")


@pytest.fixture
def queue(tmp_path: Path) -> Store:
    return Store(NODES["order-queue"], tmp_path / "queue.sqlite")


def test_what_is_written_can_be_read(orders: Store) -> None:
    orders.run("POST /orders", {"order": "7", "user": 5, "sku": 1}, 0)
    assert orders.run("GET /orders", {"user": 5}, 0)["orders"] >= 1


@pytest.mark.parametrize("name", ["orders-db", "catalog-db", "order-queue"])
def test_a_new_file_is_as_full_as_in_the_simulator(name: str, tmp_path: Path) -> None:
    used, size = Store(NODES[name], tmp_path / "x.sqlite").usage()
    assert used / size == pytest.approx(module._AT_REST[name], abs=0.05)


def test_a_full_disk_is_sqlites_own_error_and_goes_away(orders: Store) -> None:
    orders.fill(1.0)
    used, size = orders.usage()
    assert used / size > 0.99
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full"):
        for number in range(50):
            orders.run("POST /orders", {"order": f"n{number}", "user": 1}, 0)
    orders.fill(0)
    orders.run("POST /orders", {"order": "again", "user": 1}, 0)
    assert orders.usage()[0] / size < 0.7


def test_half_of_the_free_disk_is_half(orders: Store) -> None:
    before, size = orders.usage()
    orders.fill(0.5)
    assert orders.usage()[0] == pytest.approx(before + (size - before) / 2, abs=0.03 * size)


def test_a_statement_without_its_index_is_slower(orders: Store) -> None:
    def seconds(scan: float) -> float:
        begin = time.perf_counter()
        for _ in range(3):
            orders.run("GET /orders", {"user": 1}, scan)
        return time.perf_counter() - begin

    seconds(0)
    assert seconds(2.0) > 5 * seconds(0)


def test_old_rows_are_purged(orders: Store) -> None:
    for number in range(450):
        orders.run("POST /payments", {"order": f"p{number}"}, 0)
    (rows,) = orders.connection.execute("SELECT count(*) FROM payments").fetchone()
    assert rows <= module._KEEP_ROWS + 200


def test_a_message_is_delivered_once_and_gone_once_acknowledged(queue: Store) -> None:
    queue.run("POST /publish", {"message": "{}", "traceparent": "00-a-b-01"}, 0)
    (message,) = queue.run("POST /take", {"most": 5}, 0)["messages"]
    assert message["traceparent"] == "00-a-b-01"
    assert queue.run("POST /take", {"most": 5}, 0)["messages"] == []
    queue.run("POST /ack", {"id": message["id"]}, 0)
    assert queue.waiting_messages() == 0


def test_a_message_that_nobody_acknowledged_is_delivered_again(
    queue: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LEASE_S", 0.0)
    queue.run("POST /publish", {"message": "{}"}, 0)
    first = queue.run("POST /take", {"most": 1}, 0)["messages"]
    time.sleep(0.01)
    assert queue.run("POST /take", {"most": 1}, 0)["messages"] == first


def test_messages_survive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    Store(NODES["order-queue"], path).run("POST /publish", {"message": "{}"}, 0)
    assert Store(NODES["order-queue"], path).waiting_messages() == 1

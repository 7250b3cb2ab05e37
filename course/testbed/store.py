"""Stores on SQLite: a bounded data file, one connection for each worker, real statements.

``max_page_count`` bounds the file, so a full disk is SQLite's own "database or disk is full".
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from course.testbed.layout import Node

_MB = 1 << 20
_NOTE = "Delivered by van; call first, ring twice, leave with the neighbour. " * 3
#: Share of the file that old rows take at rest, as `course.shop.topology` has it.
_AT_REST = {"catalog-db": 0.54, "orders-db": 0.58, "order-queue": 0.38}
_KEEP_ROWS = 1500
_LEASE_S, _MAX_DELIVERIES = 20.0, 5

_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, category INTEGER, name TEXT, note TEXT);
CREATE TABLE IF NOT EXISTS orders (
  id TEXT PRIMARY KEY, user INTEGER, sku INTEGER, total REAL, note TEXT);
CREATE INDEX IF NOT EXISTS orders_user ON orders (user);
CREATE TABLE IF NOT EXISTS payments (id TEXT PRIMARY KEY, amount REAL, note TEXT);
CREATE TABLE IF NOT EXISTS views (id INTEGER PRIMARY KEY, sku INTEGER, note TEXT);
CREATE TABLE IF NOT EXISTS stock (sku INTEGER PRIMARY KEY, reserved INTEGER);
CREATE TABLE IF NOT EXISTS messages (
  id INTEGER PRIMARY KEY, body TEXT, traceparent TEXT, leased REAL DEFAULT 0,
  deliveries INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS filler (id INTEGER PRIMARY KEY, data BLOB);
"""


#: Statements that serve users, as spans and slow-query lines show them.
QUERY_TEXT = {
    "GET /products": "SELECT id, name FROM items WHERE category = ? LIMIT 20",
    "GET /orders": "SELECT id, total FROM orders WHERE user = ? ORDER BY rowid DESC LIMIT 20",
    "POST /orders": "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)",
    "POST /payments": "INSERT OR REPLACE INTO payments VALUES (?, ?, ?)",
    "POST /stock": "UPDATE stock SET reserved = reserved + 1 WHERE sku = ?",
}


class Store:
    """The data of one service.

    Parameters
    ----------
    node : Node
    path : Path
        The data file; it survives a restart of the service.
    """

    def __init__(self, node: Node, path: Path) -> None:
        self.node, self.path = node, path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._watch = self._connect()
        self._watch.executescript(_SCHEMA)
        self._prefill()
        self._rows = int(self._watch.execute("SELECT count(*) FROM items").fetchone()[0])
        self._inserts = 0

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=1.0, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -256")  # kB: the memory limit is small
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {int(self.node.disk_mb * _MB / size)}")
        return connection

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the worker thread that asks."""
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
        found: sqlite3.Connection = self._local.connection
        return found

    def _prefill(self) -> None:
        """Old rows up to the level at rest; those that are purged later included."""
        if self._watch.execute("SELECT count(*) FROM stock").fetchone()[0]:
            return  # the file is that of an earlier process
        keep, note = range(_KEEP_ROWS), _NOTE
        recent: dict[str, list[tuple[str, Iterable[tuple[Any, ...]]]]] = {
            "orders-db": [
                (QUERY_TEXT["POST /orders"], ((f"old-{n}", n, n, 9.5, 2 * note) for n in keep)),
                (QUERY_TEXT["POST /payments"], ((f"old-{n}", 9.5, note) for n in keep)),
            ],
            "catalog-db": [
                ("INSERT INTO views (sku, note) VALUES (?, ?)", ((n, note) for n in keep))
            ],
        }
        with self._transaction(self._watch):
            for statement, rows in recent.get(self.node.name, []):
                self._watch.executemany(statement, rows)
            self._watch.executemany("INSERT INTO stock VALUES (?, 0)", ((n,) for n in range(2000)))
        used, size = self.usage()
        items = int((_AT_REST[self.node.name] * size - used) / (len(note) + 34))
        with self._transaction(self._watch):
            self._watch.executemany(
                "INSERT INTO items (category, name, note) VALUES (?, ?, ?)",
                ((n % 400, f"item {n}", f"{n} {note}") for n in range(items)),
            )
            self._watch.execute("CREATE INDEX items_category ON items (category)")

    @contextlib.contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Any:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def usage(self) -> tuple[float, float]:
        """Bytes in use and bytes that the file may take."""
        with self._lock:
            pages, free, size, most = (
                self._watch.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size", "max_page_count")
            )
        return float((pages - free) * size), float(most * size)

    # --- statements -----------------------------------------------------------------------------

    def run(self, operation: str, body: dict[str, Any], scan: float) -> dict[str, Any]:
        """Carry out one statement.

        Parameters
        ----------
        operation : str
            Method and path.
        body : dict
        scan : float
            Share of the large table that is read row by row before, as a query without index
            does; 0 for none, above 1 for more than once.

        Raises
        ------
        sqlite3.OperationalError
            "database or disk is full", "database is locked".
        KeyError
            There is no such statement.
        """
        if scan > 0:
            self._full_scan(scan)
        statement = _STATEMENTS[operation]
        found: dict[str, Any] = statement(self, body)
        return found

    def _full_scan(self, scan: float) -> None:
        for share in [1.0] * int(scan) + [scan % 1]:
            self.connection.execute(
                "SELECT count(*) FROM (SELECT note FROM items NOT INDEXED LIMIT ?) "
                "WHERE note LIKE '%nowhere to be found%'",
                (int(share * self._rows),),
            ).fetchone()

    def _products(self, body: dict[str, Any]) -> dict[str, Any]:
        rows = self.connection.execute(
            QUERY_TEXT["GET /products"], (int(body.get("sku", 0)) % 400,)
        ).fetchall()
        self.connection.execute(
            "INSERT INTO views (sku, note) VALUES (?, ?)", (body.get("sku", 0), _NOTE)
        )
        self._purge("views")
        return {"products": len(rows)}

    def _orders(self, body: dict[str, Any]) -> dict[str, Any]:
        rows = self.connection.execute(QUERY_TEXT["GET /orders"], (body.get("user", 0),)).fetchall()
        return {"orders": len(rows)}

    def _add_order(self, body: dict[str, Any]) -> dict[str, Any]:
        self.connection.execute(
            QUERY_TEXT["POST /orders"],
            (str(body.get("order")), body.get("user", 0), body.get("sku", 0), 9.5, 2 * _NOTE),
        )
        self._purge("orders")
        return {"stored": True}

    def _add_payment(self, body: dict[str, Any]) -> dict[str, Any]:
        self.connection.execute(QUERY_TEXT["POST /payments"], (str(body.get("order")), 9.5, _NOTE))
        self._purge("payments")
        return {"stored": True}

    def _reserve(self, body: dict[str, Any]) -> dict[str, Any]:
        self.connection.execute(QUERY_TEXT["POST /stock"], (int(body.get("sku", 0)) % 2000,))
        return {"reserved": True}

    def _purge(self, table: str) -> None:
        """Keep the newest rows, so that the file is as full tomorrow as today."""
        self._inserts += 1
        if self._inserts % 200 == 0:
            self.connection.execute(
                f"DELETE FROM {table} WHERE rowid < (SELECT max(rowid) FROM {table}) - ?",
                (_KEEP_ROWS,),
            )

    # --- the queue ------------------------------------------------------------------------------

    def _publish(self, body: dict[str, Any]) -> dict[str, Any]:
        cursor = self.connection.execute(
            "INSERT INTO messages (body, traceparent) VALUES (?, ?)",
            (body["message"], body.get("traceparent", "")),
        )
        return {"id": cursor.lastrowid}

    def _take(self, body: dict[str, Any]) -> dict[str, Any]:
        """Lease messages: what is not acknowledged in time is delivered again."""
        now = time.time()
        connection = self.connection
        with self._transaction(connection):
            rows = connection.execute(
                "SELECT id, body, traceparent FROM messages WHERE leased < ? ORDER BY id LIMIT ?",
                (now, int(body["most"])),
            ).fetchall()
            connection.executemany(
                "UPDATE messages SET leased = ?, deliveries = deliveries + 1 WHERE id = ?",
                [(now + _LEASE_S, row[0]) for row in rows],
            )
        return {"messages": [{"id": i, "body": b, "traceparent": t} for i, b, t in rows]}

    def _acknowledge(self, body: dict[str, Any]) -> dict[str, Any]:
        self.connection.execute("DELETE FROM messages WHERE id = ?", (body["id"],))
        self.connection.execute(
            "DELETE FROM messages WHERE deliveries >= ? AND leased < ?",
            (_MAX_DELIVERIES, time.time()),
        )
        return {"acknowledged": True}

    def waiting_messages(self) -> int:
        """Messages that are not acknowledged yet."""
        with self._lock:
            return int(self._watch.execute("SELECT count(*) FROM messages").fetchone()[0])

    # --- the disk -------------------------------------------------------------------------------

    def fill(self, share: float) -> None:
        """Take a share of the free space with useless rows; 0 gives it back."""
        with self._lock:
            (taken,) = self._watch.execute(
                "SELECT coalesce(sum(length(data)), 0) FROM filler"
            ).fetchone()
        if share <= 0:
            if taken:
                with self._lock:
                    self._watch.execute("DELETE FROM filler")
            return
        used, size = self.usage()
        missing = (used - taken) + share * (size - used + taken) - used
        for blob in (256_000, 16_000, 1_000):
            while missing > blob or (share >= 1 and missing > -size):
                try:
                    with self._lock:
                        self._watch.execute(
                            "INSERT INTO filler (data) VALUES (zeroblob(?))", (blob,)
                        )
                except sqlite3.OperationalError:
                    break
                missing -= blob


_STATEMENTS = {
    "GET /products": Store._products,
    "GET /orders": Store._orders,
    "POST /orders": Store._add_order,
    "POST /payments": Store._add_payment,
    "POST /stock": Store._reserve,
    "POST /publish": Store._publish,
    "POST /take": Store._take,
    "POST /ack": Store._acknowledge,
}

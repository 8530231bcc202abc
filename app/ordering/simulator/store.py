"""Where the simulator keeps orders, listeners and callbacks that are still to be sent: SQLite.

What a method has returned from survives a SIGKILL of the process: SQLite writes its log through
the operating system before the call returns (a power cut is not the simulator's business).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from app.ordering.simulator.dials import Step

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, external_id TEXT, state TEXT NOT NULL, ordered_at REAL NOT NULL,
    body TEXT NOT NULL, steps TEXT NOT NULL, due REAL);
CREATE INDEX IF NOT EXISTS orders_external_id ON orders (external_id);
CREATE INDEX IF NOT EXISTS orders_ordered_at ON orders (ordered_at);
CREATE INDEX IF NOT EXISTS orders_due ON orders (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS forgotten (number INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS posts (external_id TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS changes (key TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, times INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS cancellations (
    number INTEGER PRIMARY KEY, order_number INTEGER NOT NULL, body TEXT NOT NULL, due REAL);
CREATE INDEX IF NOT EXISTS cancellations_order ON cancellations (order_number);
CREATE INDEX IF NOT EXISTS cancellations_due ON cancellations (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS hubs (id TEXT PRIMARY KEY, callback TEXT NOT NULL, query TEXT);
CREATE TABLE IF NOT EXISTS callbacks (
    number INTEGER PRIMARY KEY, order_number INTEGER NOT NULL, url TEXT NOT NULL,
    body TEXT NOT NULL, due REAL NOT NULL, tries INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS callbacks_due ON callbacks (due);
CREATE INDEX IF NOT EXISTS callbacks_order ON callbacks (order_number, url);
"""


class StoredOrder(NamedTuple):
    """One order: its number, its product order as JSON members, and the steps before it."""

    number: int
    body: dict[str, Any]
    steps: list[Step]


class Cancellation(NamedTuple):
    """The task of cancelling an order, and when it ends (epoch seconds), None once it has."""

    number: int
    order_number: int
    body: dict[str, Any]
    due: float | None


class Hub(NamedTuple):
    """A listener registered on our hub, with its TMF630 query."""

    id: str
    callback: str
    query: str | None


class Callback(NamedTuple):
    """An event waiting to be sent to one listener."""

    number: int
    order_number: int
    url: str
    body: str
    tries: int


class Filters(NamedTuple):
    """What orders are searched by; times are epoch seconds, `since` included, `before` not."""

    external_ids: Sequence[str] = ()
    states: Sequence[str] = ()
    since: float | None = None
    before: float | None = None


def external_id_of(body: dict[str, Any]) -> str | None:
    """Take the caller's id of an order: a text in v4, the id of the first of a list in v5."""
    value = body.get("externalId")
    if isinstance(value, list):
        value = value[0].get("id") if value else None
    return value


class Store:
    """The simulator's memory; used from one thread, each method one transaction of its own
    unless it is called inside `transaction()`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done inside happen together or not at all."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- orders -----------------------------------------------------------------------------

    def next_number(self) -> int:
        """Return the number the next order will have."""
        found = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM orders").fetchone()
        return int(found[0])

    def put(self, order: StoredOrder, ordered_at: float) -> None:
        """Store an order, new or changed; `ordered_at` (epoch seconds) counts for a new one."""
        self._db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE"
            " SET state = excluded.state, body = excluded.body, steps = excluded.steps,"
            " due = excluded.due",
            (
                order.number,
                external_id_of(order.body),
                order.body["state"],
                ordered_at,
                orjson.dumps(order.body).decode(),
                orjson.dumps([tuple(step) for step in order.steps]).decode(),
                order.steps[0].due if order.steps else None,
            ),
        )

    def forget(self, number: int) -> None:
        """Let an order not be known any more."""
        self._db.execute("INSERT INTO forgotten VALUES (?)", (number,))

    def order(self, number: int) -> dict[str, Any] | None:
        """Return one order's body."""
        row = self._db.execute(
            "SELECT body FROM orders WHERE number = ?"
            " AND number NOT IN (SELECT number FROM forgotten)",
            (number,),
        ).fetchone()
        return orjson.loads(row[0]) if row else None

    def steps(self, number: int) -> list[Step]:
        """Return the steps that an order has before it."""
        row = self._db.execute("SELECT steps FROM orders WHERE number = ?", (number,)).fetchone()
        return [Step(*step) for step in orjson.loads(row[0])] if row else []

    def search(self, by: Filters, offset: int, limit: int) -> tuple[int, list[dict[str, Any]]]:
        """Return how many orders match, and one page of them, oldest first."""
        conditions, values = ["number NOT IN (SELECT number FROM forgotten)"], list[Any]()
        for column, wanted in (("external_id", by.external_ids), ("state", by.states)):
            if wanted:
                conditions.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += wanted
        for condition, moment in (("ordered_at >= ?", by.since), ("ordered_at < ?", by.before)):
            if moment is not None:
                conditions.append(condition)
                values.append(moment)
        where = " AND ".join(conditions)
        # The conditions are the constants above; what was asked for travels as values.
        count = f"SELECT count(*) FROM orders WHERE {where}"  # noqa: S608
        page = f"SELECT body FROM orders WHERE {where} ORDER BY number LIMIT ? OFFSET ?"  # noqa: S608
        total = self._db.execute(count, values).fetchone()
        rows = self._db.execute(page, [*values, limit, offset])
        return int(total[0]), [orjson.loads(row[0]) for row in rows]

    def due_orders(self, now: float, limit: int) -> list[StoredOrder]:
        """Return orders whose next step is due, most overdue first."""
        rows = self._db.execute(
            "SELECT number, body, steps FROM orders WHERE due <= ? ORDER BY due, number LIMIT ?",
            (now, limit),
        )
        return [
            StoredOrder(number, orjson.loads(body), [Step(*step) for step in orjson.loads(steps)])
            for number, body, steps in rows
        ]

    # --- cancellations --------------------------------------------------------------------------

    def next_cancellation(self) -> int:
        """Return the number the next cancellation will have."""
        found = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM cancellations")
        return int(found.fetchone()[0])

    def put_cancellation(self, task: Cancellation) -> None:
        """Store a cancellation, new or changed."""
        self._db.execute(
            "INSERT OR REPLACE INTO cancellations VALUES (?, ?, ?, ?)",
            (task.number, task.order_number, orjson.dumps(task.body).decode(), task.due),
        )

    def cancellations(
        self, *, number: int | None = None, order_number: int | None = None
    ) -> list[Cancellation]:
        """Return the cancellation of one number, or those of one order, oldest first."""
        return self._cancellations("number = ? OR order_number = ?", number, order_number)

    def due_cancellations(self, now: float) -> list[Cancellation]:
        """Return the cancellations that have come to their end (epoch seconds)."""
        return self._cancellations("due <= ?", now)

    def _cancellations(self, condition: str, *values: object) -> list[Cancellation]:
        # The conditions are the constants above.
        rows = self._db.execute(
            "SELECT number, order_number, body, due FROM cancellations"  # noqa: S608
            f" WHERE {condition} ORDER BY number",
            values,
        )
        return [Cancellation(n, order, orjson.loads(body), due) for n, order, body, due in rows]

    # --- listeners and callbacks ------------------------------------------------------------

    def hubs(self) -> list[Hub]:
        """Return the registered listeners."""
        return [Hub(*row) for row in self._db.execute("SELECT id, callback, query FROM hubs")]

    def put_hub(self, hub: Hub) -> None:
        """Register a listener, or change the one with this id."""
        self._db.execute("INSERT OR REPLACE INTO hubs VALUES (?, ?, ?)", hub)

    def drop_hub(self, hub_id: str) -> bool:
        """Remove a listener; says whether there was one."""
        return self._db.execute("DELETE FROM hubs WHERE id = ?", (hub_id,)).rowcount > 0

    def put_callback(self, order_number: int, url: str, body: str, due: float) -> None:
        """Keep an event to be sent to a listener at a time (epoch seconds)."""
        self._db.execute(
            "INSERT INTO callbacks (order_number, url, body, due) VALUES (?, ?, ?, ?)",
            (order_number, url, body, due),
        )

    def due_callbacks(self, now: float, limit: int) -> list[Callback]:
        """Return callbacks that are due, in the order in which they are to be sent.

        Behind one that failed, the later ones of its order wait until it is delivered or given up.
        """
        rows = self._db.execute(
            "SELECT number, order_number, url, body, tries FROM callbacks AS waiting WHERE due <= ?"
            " AND NOT EXISTS (SELECT 1 FROM callbacks AS failed"
            "   WHERE failed.order_number = waiting.order_number AND failed.url = waiting.url"
            "   AND failed.number < waiting.number AND failed.tries > 0)"
            " ORDER BY due, number LIMIT ?",
            (now, limit),
        )
        return [Callback(*row) for row in rows]

    def drop_callback(self, number: int) -> None:
        """Forget a callback that was delivered or given up."""
        self._db.execute("DELETE FROM callbacks WHERE number = ?", (number,))

    def put_off(self, number: int, due: float) -> None:
        """Let a callback that failed be tried again at a time (epoch seconds)."""
        self._db.execute(
            "UPDATE callbacks SET due = ?, tries = tries + 1 WHERE number = ?", (due, number)
        )

    def next_due(self, after: float) -> float | None:
        """Return when something later than `after` is due (epoch seconds)."""
        row = self._db.execute(
            "SELECT min(due) FROM (SELECT min(due) AS due FROM orders WHERE due > ?1"
            " UNION ALL SELECT min(due) FROM cancellations WHERE due > ?1"
            " UNION ALL SELECT min(due) FROM callbacks WHERE due > ?1)",
            (after,),
        ).fetchone()
        return float(row[0]) if row[0] is not None else None

    # --- counts -----------------------------------------------------------------------------

    def count_post(self, external_id: str) -> int:
        """Count one more POST of an externalId and return how many there were."""
        counted = self._db.execute(
            "INSERT INTO posts VALUES (?, 1) ON CONFLICT (external_id)"
            " DO UPDATE SET times = times + 1 RETURNING times",
            (external_id,),
        )
        return int(counted.fetchone()[0])

    def count_change(self, key: str) -> int:
        """Count one more request for a change and return how many of its key there were."""
        counted = self._db.execute(
            "INSERT INTO changes VALUES (?, 1) ON CONFLICT (key)"
            " DO UPDATE SET times = times + 1 RETURNING times",
            (key,),
        )
        return int(counted.fetchone()[0])

    def count(self, name: str) -> None:
        """Count one more of something."""
        self._db.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET times = times + 1",
            (name,),
        )

    def counts(self) -> dict[str, Any]:
        """Return every figure: orders by state, POSTs and requests for changes, externalIds with
        several orders, orders with several cancellations, faults, callbacks."""
        one = self._db.execute(
            "SELECT (SELECT count(*) FROM orders), (SELECT coalesce(sum(times), 0) FROM posts),"
            " (SELECT count(DISTINCT external_id) FROM orders),"
            " (SELECT count(*) FROM (SELECT 1 FROM orders GROUP BY external_id"
            "   HAVING external_id IS NOT NULL AND count(*) > 1)),"
            " (SELECT coalesce(sum(times), 0) FROM changes),"
            " (SELECT count(*) FROM (SELECT 1 FROM cancellations GROUP BY order_number"
            "   HAVING count(*) > 1)),"
            " (SELECT count(*) FROM callbacks)"
        ).fetchone()
        names = (
            "orders",
            "posts",
            "external_ids",
            "doubled_external_ids",
            "changes",
            "doubled_cancellations",
            "callbacks_waiting",
        )
        return {
            **dict(zip(names, one, strict=True)),
            "by_state": dict(self._db.execute("SELECT state, count(*) FROM orders GROUP BY state")),
            "events": dict(self._db.execute("SELECT name, times FROM counts ORDER BY name")),
        }

    def overview(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return all orders in short, and the externalIds that were posted but made no order."""
        orders = self._db.execute(
            "SELECT json_extract(body, '$.id'), external_id, state,"
            " json_extract(body, '$.orderDate'), coalesce(times, 1),"
            # Whose installer need not be sent: the one who sold it does it, by this order.
            " (SELECT json_extract(told.value, '$.value')"
            "    FROM json_each(body, '$.productOrderItem') AS item,"
            "    json_each(item.value, '$.product.productCharacteristic') AS told"
            "   WHERE json_extract(told.value, '$.name') = 'install_order' LIMIT 1)"
            " FROM orders LEFT JOIN posts USING (external_id) ORDER BY number"
        )
        names = ("id", "externalId", "state", "orderDate", "posts", "installOrder")
        without = self._db.execute(
            "SELECT external_id, times FROM posts"
            " WHERE external_id NOT IN (SELECT external_id FROM orders"
            "   WHERE external_id IS NOT NULL) ORDER BY external_id"
        )
        return (
            [dict(zip(names, row, strict=True)) for row in orders],
            [{"externalId": external_id, "posts": times} for external_id, times in without],
        )

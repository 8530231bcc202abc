"""What deliveries cost when they are written by hand, with nothing of what makes them arrive once.

A loop of POSTs with one UPDATE each and, in the second form, a bare server for the callbacks with
one statement each: no claim before anything leaves, no lease, no look, no retries, no breaker, no
ledger, no audit trail, and nothing that phones or supervisors could see of it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import httpx
import orjson
import psycopg

from app.core.db import new_id
from benchmarks.ordering_side import PATH

# So many POSTs are under way at once.
_AT_ONCE = 8


@dataclass(frozen=True)
class ToSend:
    """A confirmed sale and the body of its order."""

    sale_id: UUID
    body: bytes


async def deliver(
    database_url: str,
    side_url: str,
    sales: Sequence[ToSend],
    now: datetime,
    callbacks: asyncio.Server | None,
) -> tuple[float, float]:
    """Deliver sales, and wait for the last callback where there are `callbacks`; returns in how
    many seconds, and how much processor time of this process it took. `now` is business time."""
    turn = iter(sales)
    own, began = time.process_time(), time.perf_counter()

    async def one(http: httpx.AsyncClient) -> None:
        connecting = psycopg.AsyncConnection.connect(database_url, autocommit=True)
        async with await connecting as connection:
            for sale in turn:
                answer = await http.post(
                    f"{side_url}{PATH}/productOrder",
                    content=sale.body,
                    headers={"content-type": "application/json"},
                )
                assert answer.status_code == 201
                await connection.execute(
                    _SENT if callbacks else _DONE, {"now": now, "id": sale.sale_id}
                )

    async with httpx.AsyncClient() as http:
        await asyncio.gather(*(one(http) for _ in range(_AT_ONCE)))
    if callbacks is not None:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as looking:
            ids = [sale.sale_id for sale in sales]
            while await (await looking.execute(_LEFT, [ids])).fetchone():  # noqa: ASYNC110 - no word
                await asyncio.sleep(0.05)
    return time.perf_counter() - began, time.process_time() - own


_DONE = (
    "UPDATE sale SET state = 'completed', sent_at = %(now)s, acknowledged_at = %(now)s"
    " WHERE id = %(id)s"
)
_SENT = "UPDATE sale SET sent_at = %(now)s WHERE id = %(id)s"
_LEFT = "SELECT FROM sale WHERE id = ANY(%s) AND state <> 'completed' LIMIT 1"


async def listening(database_url: str, port: int, token: str, now: datetime) -> asyncio.Server:
    """Serve callbacks on a port, each with one statement; `now` is business time."""
    carried = f"authorization: bearer {token}".lower().encode()

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connecting = psycopg.AsyncConnection.connect(database_url, autocommit=True)
        async with await connecting as connection:
            while True:
                try:
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                except asyncio.IncompleteReadError:
                    writer.close()
                    return
                assert carried in head
                at = head.find(b"content-length:") + 15
                body = await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))
                event = orjson.loads(body)
                order = event["event"]["productOrder"]
                given = {
                    "id": new_id(),
                    "event_id": event["eventId"],
                    "kind": event["eventType"],
                    "at": event["eventTime"],
                    "body": body.decode(),
                    "sale_id": order["externalId"],
                    "state": "completed" if order["state"] == "completed" else "acknowledged",
                    "now": now,
                }
                await connection.execute(_HEARD, given)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    return await asyncio.start_server(called, "127.0.0.1", port)


_HEARD = """
WITH fresh AS (
    INSERT INTO order_callback (id, event_id, event_type, event_time, received_at, body, verdict)
    VALUES (%(id)s, %(event_id)s, %(kind)s, %(at)s, clock_timestamp(), %(body)s, 'move')
    ON CONFLICT (event_id) DO NOTHING RETURNING id
)
UPDATE sale SET state = %(state)s::text, acknowledged_at = coalesce(acknowledged_at, %(now)s),
       completed_at = CASE %(state)s::text WHEN 'completed' THEN %(now)s END
 WHERE id = %(sale_id)s AND state <> 'completed' AND EXISTS (SELECT FROM fresh)
"""

"""Jobs: what happens after the commit, told in the same transaction as the change it follows.

The queue is Procrastinate's, in PostgreSQL. A job is deferred on the session's own connection, so
it exists exactly when its data do. `app/worker.py` holds the map from event to handlers.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

import procrastinate
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import Clock, wall
from app.core.db import NOT_HELD_BY_SILENCE, Database, driver_connection, fetched, libpq_url
from app.core.errors import plain
from app.core.log import log
from app.core.settings import Settings

# Deferring needs no connector of its own: it runs on the caller's connection.
_deferring = procrastinate.App(connector=procrastinate.PsycopgConnector())


async def tell(
    tx: AsyncSession,
    event: str,
    *,
    delay: timedelta | None = None,
    lock: str | None = None,
    priority: int = 0,
    **facts: Any,
) -> None:
    """Tell the worker that something happened; it will hear of it if and only if `tx` commits.

    `event` is a key of the worker's map; `delay` is real time from now; jobs with the same `lock`
    run one after the other; a higher `priority` runs earlier. `facts` become the handler's
    arguments and must be plain values: ids, not rows.
    """
    deferrer = _deferring.configure_task(
        event,
        connection=await driver_connection(tx),
        schedule_at=wall() + delay if delay else None,
        lock=lock,
        priority=priority,
    )
    # Pending changes are flushed first, so that the job's row never precedes its data's rows.
    await tx.flush()
    await deferrer.defer_async(**plain(facts))


async def taken_along(tx: AsyncSession, event: str, most: int) -> list[dict[str, Any]]:
    """Take up to so many waiting jobs of an event off the queue; returns the facts of each, those
    of the first one told first.

    For a handler that does many as cheaply as one: their jobs are gone if and only if what is done
    for them in `tx` commits. Jobs with a lock, and those for later, are left to the queue.
    """
    if most < 1:
        return []
    taken = await fetched(tx, _TAKE_ALONG, {"event": event, "most": most})
    return [facts for (_, facts) in sorted(taken, key=itemgetter(0))]


# Materialized: a plan may run a subquery once for each row, and each run finds as many again.
_TAKE_ALONG = """
WITH taken AS MATERIALIZED (
    SELECT id FROM procrastinate_jobs
     WHERE status = 'todo' AND task_name = %(event)s AND lock IS NULL
       AND (scheduled_at IS NULL OR scheduled_at <= now())
     ORDER BY priority DESC, id LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
DELETE FROM procrastinate_jobs j USING taken WHERE j.id = taken.id
RETURNING j.id, j.args
"""


def queue_of(database_url: str, *, max_size: int = 4, patience: float = 5.0) -> procrastinate.App:
    """Make the queue a worker runs on, with its own small pool of connections.

    After `patience` seconds without a connection it raises procrastinate's ConnectorException.
    """
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=libpq_url(database_url),
            kwargs=dict(NOT_HELD_BY_SILENCE),
            json_dumps=json.dumps,
            min_size=1,
            max_size=max_size,
            timeout=patience,
        )
    )


Kept = TypeVar("Kept", bound=AbstractAsyncContextManager[Any])


@dataclass(frozen=True)
class Worker:
    """What a worker process hands to every handler: its settings, clock and database."""

    settings: Settings
    clock: Clock
    database: Database
    _kept: dict[str, Any] = field(default_factory=dict)
    _ends: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def keep(self, name: str, make: Callable[[], Kept]) -> Kept:
        """Give what was made under a name before, such as a client with its connections, or make
        it now; `close` ends it."""
        if name not in self._kept:
            self._kept[name] = made = make()
            await self._ends.enter_async_context(made)
        kept: Kept = self._kept[name]
        return kept

    async def close(self) -> None:
        """End what was kept. The database is closed by whoever opened it: others may use it too."""
        await self._ends.aclose()


async def for_each(
    ids: Iterable[UUID], do: Callable[[UUID], Awaitable[None]], *, at_once: int
) -> None:
    """Do something for each of many things, so many at once; the trouble of one, which is logged,
    does not hold up the others."""
    turn = asyncio.Semaphore(at_once)

    async def one(which: UUID) -> None:
        async with turn:
            try:
                await do(which)
            except Exception:  # noqa: BLE001 - logged, as said
                log.exception("failed for one of many", job=do.__module__, id=str(which))

    await asyncio.gather(*(one(which) for which in ids))


# A handler takes the worker and the event's facts; it opens its own transaction, which is the
# edge here, and can be run twice without harm.
Handler = Callable[..., Awaitable[None]]

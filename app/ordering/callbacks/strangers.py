"""Strangers: callers at the callbacks' doorway who cannot show that they are the ordering system.

They are counted by the minute, so that supervisors hear of it: somebody forges callbacks, or the
ordering system carries a token that is no longer agreed. However often they call, one process
writes once a second at most.
"""

import asyncio
from collections import Counter
from contextvars import Context
from datetime import datetime

import prometheus_client

from app.auth import audit
from app.core.db import Database, fetched
from app.core.log import log

_EVERY_SECONDS = 1.0
_TURNED_AWAY = prometheus_client.Counter(
    "yingwei_callbacks_turned_away",
    "Callbacks that could not show that they came from the ordering system.",
)


class Strangers:
    """One process's count of callers that it turned away."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: Counter[datetime] = Counter()
        self._writing: asyncio.Task[None] | None = None

    def turned_away(self, now: datetime) -> None:
        """Count a caller; `now` is business time. It is written down within a second or so."""
        _TURNED_AWAY.inc()
        self._counts[now.replace(second=0, microsecond=0)] += 1
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_later(), context=Context())

    async def _write_later(self) -> None:
        await asyncio.sleep(_EVERY_SECONDS)
        await self.write_down()

    async def write_down(self) -> None:
        """Add to what is in the database what was counted since; what fails is kept for next
        time."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        given = {"minutes": list(counts), "counts": list(counts.values())}
        try:
            async with self._database.begin() as tx:
                audit.acting(tx, "ordering.turned_away")
                await fetched(tx, _ADD, given)
        except Exception:  # noqa: BLE001 - logged; nobody waits for it
            self._counts += counts
            log.exception("callers who were turned away were not written down")

    async def close(self) -> None:
        """Write down what is left."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write_down()


_ADD = """
INSERT INTO callback_turned_away (minute, number)
SELECT * FROM unnest(%(minutes)s::timestamptz[], %(counts)s::bigint[])
    ON CONFLICT (minute) DO UPDATE SET number = callback_turned_away.number + excluded.number
RETURNING minute
"""

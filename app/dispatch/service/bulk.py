"""Taking in orders by the thousand: in chunks, each its own transaction, one verdict a line.

No transaction waits for lines to come, and one bad line loses no other.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from functools import partial
from typing import NamedTuple

from starlette.requests import HTTPConnection

from app.auth import audit
from app.core.clock import Clock
from app.core.colliding import collided, repeated
from app.core.db import Database
from app.core.errors import Problem, Unavailable
from app.core.log import log
from app.dispatch.rules import Judged, Outcome, Verdict
from app.dispatch.service.intake import take_in
from app.workorders.rules import Draft, Sender

# Large enough that each look into the database serves many, small enough that the days it fills
# are locked for about a second.
CHUNK = 5000

# After so many lines read, others of this process get their turn.
BREATH = 50

# After so many chunks in a row that the database could not serve, the rest is not even tried.
GIVE_UP_AFTER = 2


class Read(NamedTuple):
    """A line that was read: an order, or why it is none."""

    number: int
    external_id: str | None
    order: Draft | Problem


class BulkIntake:
    """Takes in orders as one sender; the request, or else the action, is for the audit trail."""

    def __init__(
        self,
        database: Database,
        sender: Sender,
        clock: Clock,
        *,
        request: HTTPConnection | None = None,
        action: str | None = None,
    ) -> None:
        self._database = database
        self._sender = sender
        self._clock = clock
        self._request = request
        self._action = action
        self._failures = 0

    async def take_in(self, lines: AsyncIterable[Read]) -> AsyncIterator[list[Judged]]:
        """Judge lines as they come, chunk by chunk, in their order.

        While the database works on one chunk, the next one is read.
        """
        chunk: list[Read] = []
        at_work: asyncio.Task[list[Judged]] | None = None
        try:
            async for line in lines:
                chunk.append(line)
                if len(chunk) % BREATH == 0:
                    await asyncio.sleep(0)
                if len(chunk) >= CHUNK:
                    if at_work is not None:
                        yield await at_work
                    at_work = asyncio.create_task(self._chunk(chunk))
                    chunk = []
            if at_work is not None:
                yield await at_work
                at_work = None
            if chunk:
                yield await self._chunk(chunk)
        finally:
            # The sender has hung up: what is under way is finished, the rest was never begun.
            if at_work is not None:
                await asyncio.wait([at_work])

    async def _chunk(self, lines: Sequence[Read]) -> list[Judged]:
        drafts = [line.order for line in lines if isinstance(line.order, Draft)]
        try:
            if self._failures >= GIVE_UP_AFTER:
                raise Unavailable(retry_after=2, reason="database")
            outcomes = await self._taken_in(drafts)
            self._failures = 0
        except Unavailable as problem:
            # A database that undoes what collides is there.
            self._failures += not collided(problem)
            outcomes = [Outcome(Verdict.REFUSED, problem=problem)] * len(drafts)
        following = iter(outcomes)
        return [
            Judged(
                line.number,
                line.number,
                line.external_id,
                next(following)
                if isinstance(line.order, Draft)
                else Outcome(Verdict.REFUSED, problem=line.order),
            )
            for line in lines
        ]

    async def _taken_in(self, drafts: Sequence[Draft]) -> list[Outcome]:
        if not drafts:
            return []
        try:
            return await repeated(partial(self._together, drafts))
        except Problem:
            raise
        except Exception:  # noqa: BLE001 - one bad line must lose no other
            if len(drafts) == 1:
                log.exception("an order could not be taken in")
                return [Outcome(Verdict.REFUSED, problem=Problem())]
        # Something in one of them that nobody foresaw: halve until it stands alone.
        middle = len(drafts) // 2
        return [*await self._taken_in(drafts[:middle]), *await self._taken_in(drafts[middle:])]

    async def _together(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Take them in, in one transaction."""
        async with self._database.begin(self._request) as tx:
            if self._action is not None:
                audit.acting(tx, self._action)
            return await take_in(tx, drafts, self._sender, now=self._clock.now())

"""The ear: hears what the ordering system calls back about, many callbacks with few statements.

While some are written down, those that come meanwhile wait and are written down together after
them, in one transaction. Whoever calls is answered when that has committed, so that what was
answered is never lost. Those who were answered together call again together: after several were
written down, the next wait a moment for each other. With few callbacks each is written down at once
and by itself; the more there are, the less each costs.
"""

import asyncio
from collections import deque
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime

import orjson

from app.auth import audit
from app.core.db import Database
from app.core.errors import Unavailable
from app.core.log import log
from app.ordering import service
from app.ordering.service import Heard, HeardAs

# More in one transaction would only keep rows locked for longer.
_BATCH = 64
# So long the first waits for those who were answered with it, and for so long after that answer. It
# is enough for most of them to come, and short beside the transaction (record 0145).
_GATHER_SECONDS = 0.003
# Whoever holds an order is done with it in a moment: so often it is tried together with others.
_TURNS = 4
_TURN_SECONDS = 0.02
# What the audit trail calls it.
ACTION = "ordering_callback"


@dataclass(eq=False)
class _Call:
    heard: Heard
    now: datetime
    kept: asyncio.Future[None]
    turns: int = 0

    def answer(self, failed: Exception | None = None) -> None:
        """Let whoever called go; they may have hung up already."""
        if self.kept.done():
            return
        if failed is None:
            self.kept.set_result(None)
        else:
            self.kept.set_exception(failed)


class Ear:
    """One process's way of hearing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._calls: deque[_Call] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._one_by_one: set[asyncio.Task[None]] = set()
        # Until when those who call wait for each other (time of the event loop).
        self._gather_until = 0.0
        self._closed = False

    async def hear(self, heard: Heard, now: datetime) -> None:
        """Return when a callback is kept, and committed; `now` is business time.

        Raises Unavailable when the database is not there, and what it raises otherwise.
        """
        loop = asyncio.get_running_loop()
        call = _Call(heard, now, loop.create_future())
        self._put(call)
        await call.kept

    async def close(self) -> None:
        """Finish what is being written down, whose callers may have hung up; nothing is heard after
        that, and whoever calls is to call again."""
        self._closed = True
        while under_way := {
            task for task in (self._writing, *self._one_by_one) if task and not task.done()
        }:
            await asyncio.wait(under_way)

    def _put(self, call: _Call) -> None:
        if self._closed:
            call.answer(Unavailable(retry_after=2, reason="closed"))
            return
        self._calls.append(call)
        if self._writing is None or self._writing.done():
            # It goes on for others than this caller, so the log must not name their request.
            self._writing = asyncio.create_task(self._write_down(), context=Context())

    async def _write_down(self) -> None:
        loop = asyncio.get_running_loop()
        while self._calls:
            if loop.time() < self._gather_until and len(self._calls) < _BATCH:
                await asyncio.sleep(_GATHER_SECONDS)
            calls = self._picked()
            told: dict[str, HeardAs] = {}
            failed: Exception | None = None
            try:
                async with self._database.begin() as tx:
                    audit.acting(tx, ACTION)
                    heard = [call.heard for call in calls]
                    told = await service.hear_many(tx, heard, max(call.now for call in calls))
            except Unavailable as error:
                failed = error
            except Exception:  # noqa: BLE001 - logged; one of them is odd, the others must not wait
                told = {}
                log.exception("callbacks were not heard together", number=len(calls))
            for call in calls:
                call.turns += 1
                how = told.get(call.heard.event.id, HeardAs.ODD)
                if failed is not None or how in (HeardAs.KEPT, HeardAs.KNOWN):
                    call.answer(failed)
                elif how is HeardAs.OUT_OF_REACH and call.turns < _TURNS:
                    loop.call_later(_TURN_SECONDS, self._put, call)
                else:
                    task = asyncio.create_task(self._alone(call), context=Context())
                    self._one_by_one.add(task)
                    task.add_done_callback(self._one_by_one.discard)
            if len(calls) > 1:
                self._gather_until = loop.time() + _GATHER_SECONDS

    def _picked(self) -> list[_Call]:
        """Take the next calls, of each event and of each order one: the others follow them."""
        picked: list[_Call] = []
        later: deque[_Call] = deque()
        named: set[str] = set()
        while self._calls and len(picked) < _BATCH:
            call = self._calls.popleft()
            names = {f"event {call.heard.event.id}", call.heard.about()}
            if names & named:
                later.append(call)
            else:
                picked.append(call)
            named |= names
        self._calls.extendleft(reversed(later))
        return picked

    async def _alone(self, call: _Call) -> None:
        """Hear what is no plain case, or whose order somebody holds at this moment."""
        try:
            async with self._database.begin() as tx:
                audit.acting(tx, ACTION)
                body = orjson.loads(call.heard.body)
                await service.hear(tx, call.heard.event, body, call.now)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            call.answer(error)
        else:
            call.answer()

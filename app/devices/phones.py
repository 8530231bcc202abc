"""What a phone calls itself, and who was heard of lately: noted in memory, written down together.

Every phone asks all day long. A row written with each request would cost more than most of them.
"""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

import psycopg
from fastapi import Depends, Header, Request
from sqlalchemy.exc import DBAPIError

from app.auth import audit
from app.auth.callers import Caller
from app.core.db import Database
from app.core.errors import Problem
from app.core.log import log
from app.devices import queries
from app.devices.rules import UNNAMED

# What was heard is written down so often, in seconds.
EVERY = 60.0


async def _device(
    request: Request,
    x_device_id: Annotated[
        str | None,
        Header(
            max_length=64,
            pattern=r"^[A-Za-z0-9._:\-]+$",
            description="What the phone calls itself, so that two of one technician can be told"
            " apart and each can be emptied from afar; the same for as long as the app is there.",
        ),
    ] = None,
) -> str:
    return x_device_id or UNNAMED


DeviceName = Annotated[str, Depends(_device)]


class Seen:
    """Phones that were heard of since it was last written down."""

    def __init__(self) -> None:
        self._heard: dict[tuple[UUID, str], tuple[datetime, UUID | None]] = {}

    def note(self, caller: Caller, name: str, now: datetime) -> None:
        """Note that a phone was heard of."""
        self._heard[caller.account_id, name] = now, caller.session_id

    async def write_down(self, database: Database) -> None:
        """Write down who was heard of. Raises Unavailable; then it is done the next time."""
        if not self._heard:
            return
        heard, self._heard = self._heard, {}
        try:
            async with database.begin() as tx:
                audit.acting(tx, "devices.seen")
                await queries.note_seen(
                    tx,
                    [(*key, *told) for key, told in sorted(heard.items(), key=lambda one: one[0])],
                )
        except BaseException:
            self._heard = {**heard, **self._heard}
            raise

    async def keep(self, database: Database) -> None:
        """Write down again and again who was heard of, until cancelled, and a last time then."""
        try:
            while True:
                await asyncio.sleep(EVERY)
                try:
                    await self.write_down(database)
                except (Problem, psycopg.Error, DBAPIError) as error:
                    log.warning("who was heard of is not written down", reason=str(error))
        finally:
            await self.write_down(database)

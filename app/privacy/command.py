"""`yingwei privacy`: what a person asked for, and what is over, from the command line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.queries import caller_by_username
from app.auth.rules import Caller, username_of
from app.core.clock import clock_from
from app.core.db import Database, new_id, open_database
from app.core.errors import NotFound
from app.core.settings import Settings
from app.customers.queries import find
from app.privacy import service
from app.privacy.rules import RequestKind

T = TypeVar("T")


def export(settings: Settings, *, username: str, code: str, reason: str) -> bytes:
    """Put together everything that is kept of a customer, as JSON, in an administrator's name.

    Raises NotFound for an unknown administrator or customer.
    """

    async def run(tx: AsyncSession, caller: Caller) -> bytes:
        now = clock_from(settings.clock).now()
        asked = await service.ask(
            tx,
            request_id=new_id(),
            kind=RequestKind.EXPORT,
            customer_ids=[await _customer(tx, caller, code)],
            reason=reason,
            caller=caller,
            now=now,
        )
        document = await service.document_of(tx, asked.id, caller, now=now)
        return orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2)

    return asyncio.run(_as(settings, username, "command_line_privacy_export", run))


def erase(settings: Settings, *, username: str, code: str, reason: str) -> dict[str, Any]:
    """Erase a customer in an administrator's name; tells what was done, in rows by table.

    Raises NotFound, and StillServed while something of theirs goes on.
    """

    async def run(tx: AsyncSession, caller: Caller) -> dict[str, Any]:
        asked = await service.ask(
            tx,
            request_id=new_id(),
            kind=RequestKind.ERASURE,
            customer_ids=[await _customer(tx, caller, code)],
            reason=reason,
            caller=caller,
            now=clock_from(settings.clock).now(),
        )
        return asked.told[0]

    return asyncio.run(_as(settings, username, "command_line_privacy_erase", run))


def sweep(settings: Settings) -> dict[str, int]:
    """End what has been kept long enough; tells how many rows or months of each period."""

    async def run() -> dict[str, int]:
        database = _opened(settings)
        try:
            return await service.sweep(database, now=clock_from(settings.clock).now())
        finally:
            await database.close()

    return asyncio.run(run())


def _opened(settings: Settings) -> Database:
    database = open_database(settings)
    database.before_commit = audit.record
    return database


async def _customer(tx: AsyncSession, caller: Caller, code: str) -> Any:
    found = await find(tx, caller, code=code)
    if not found:
        raise NotFound()
    return found[0]


async def _as(
    settings: Settings,
    username: str,
    action: str,
    run: Callable[[AsyncSession, Caller], Awaitable[T]],
) -> T:
    database = _opened(settings)
    try:
        async with database.begin() as tx:
            caller = await caller_by_username(tx, username_of(username))
            audit.acting(tx, action, caller)
            return await run(tx, caller)
    finally:
        await database.close()

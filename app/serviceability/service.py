"""Finding out what the lines to addresses can do: what is remembered first, then the system.

No transaction is open while the other side is asked, and nobody at a door waits long: after a short
time-out what was known before has to do, and says so.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.log import log
from app.core.outside import Failed
from app.core.parameter_values import parameters_in_force
from app.serviceability import queries
from app.serviceability.client import AT_ONCE, ServiceabilityClient
from app.serviceability.rules import (
    CACHE_MINUTES,
    STALE_HOURS,
    LineAt,
    expires,
    holds,
    just_said,
    line_of,
)


async def known(
    session: AsyncSession, address_ids: Collection[UUID], *, org_path: str, now: datetime
) -> dict[UUID, LineAt]:
    """Say what is known of the lines to addresses without asking anybody."""
    numbers = await parameters_in_force(session)
    stale = timedelta(hours=numbers.number(STALE_HOURS, now, org_path))
    found = await queries.addresses(session, address_ids)
    return {
        one: line_of(address.recorded, address.remembered, now, stale)
        for one, address in found.items()
    }


async def lines_at(
    database: Database,
    client: ServiceabilityClient | None,
    address_ids: Collection[UUID],
    *,
    org_path: str,
    now: datetime,
) -> dict[UUID, LineAt]:
    """Say the same, and ask the system about those of which nothing holds any more.

    Without a system, or when it does not answer in time, what was known before is what there is.
    """
    async with database.read() as read:
        lines = await known(read, address_ids, org_path=org_path, now=now)
        if client is None or client.quiet:
            return lines
        numbers = await parameters_in_force(read)
        found = await queries.addresses(read, address_ids)
    minutes = numbers.number(CACHE_MINUTES, now, org_path)
    ask = {
        one: address.recorded.code
        for one, address in found.items()
        if not holds(address.remembered, now)
    }
    for some in _batches(ask):
        try:
            said = await client.check(some)
        except Failed as lost:
            log.warning("serviceability was not told", addresses=len(some), said=lost.said)
            break
        until = {one: expires(about, now, minutes) for one, about in said.items()}
        async with database.begin() as tx:
            await queries.keep(tx, said, now=now, until=until)
        lines |= {one: just_said(one, about, now) for one, about in said.items()}
    return lines


def _batches(ask: dict[UUID, str]) -> list[dict[UUID, str]]:
    ids = list(ask)
    return [
        {one: ask[one] for one in ids[first : first + AT_ONCE]}
        for first in range(0, len(ids), AT_ONCE)
    ]

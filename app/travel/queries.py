"""What is known of ways, as a process holds it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import database_of
from app.core.parameter_values import parameters_in_force
from app.travel import rules
from app.travel.models import TravelMedian
from app.travel.rules import Travel

# Medians are written once a night; a process reads them again after so many seconds.
STALE_AFTER_SECONDS = 300.0

_ALL = select(
    TravelMedian.from_grid_id, TravelMedian.to_grid_id, TravelMedian.hour, TravelMedian.seconds
)


async def travel_in_force(session: AsyncSession, now: datetime, org_path: str = "") -> Travel:
    """Return what is known of ways in a part of the organisation, read by this process some
    minutes ago at most."""
    numbers = await parameters_in_force(session)
    return Travel(
        detour=numbers.number(rules.DETOUR, now, org_path),
        least=numbers.whole(rules.GETTING_THERE, now, org_path),
        unknown=numbers.whole(rules.UNKNOWN, now, org_path),
        speeds={
            kind: numbers.number(each, now, org_path) / 3.6 for kind, each in rules.SPEED.items()
        },
        learned=await _learned(session),
    )


async def _learned(session: AsyncSession) -> dict[tuple[UUID, UUID, int], int]:
    cache = database_of(session).cache
    held: tuple[datetime, dict[tuple[UUID, UUID, int], int]] | None = cache.get("travel.learned")
    if held is not None and (wall() - held[0]).total_seconds() < STALE_AFTER_SECONDS:
        return held[1]
    rows = await session.execute(_ALL)
    learned = {(row.from_grid_id, row.to_grid_id, row.hour): row.seconds for row in rows}
    cache["travel.learned"] = (wall(), learned)
    return learned

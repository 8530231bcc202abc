"""What a technician has left of today for something that nobody has planned."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.dispatch.service.moving import people_of_days
from app.dispatch.service.people import read_vans


@dataclass(frozen=True)
class OwnDay:
    """Skills, the minutes of today that no promise takes, and the kinds of devices in the van that
    no open order needs."""

    skills: frozenset[str]
    free_minutes: float
    in_van: frozenset[str]


async def own_day(
    session: AsyncSession, technician_id: UUID, caller: Caller, *, now: datetime
) -> OwnDay:
    """Read what a technician has left of their local day."""
    people = await people_of_days(session, [technician_id], caller, now)
    diary = people[technician_id].diary
    await read_vans(session, {technician_id: diary})
    plan = diary.day(diary.today)
    return OwnDay(
        diary.skills,
        0.0 if plan.away is not None else max(plan.left, 0.0),
        frozenset(kind for kind, pieces in diary.van.left.items() if pieces > 0),
    )

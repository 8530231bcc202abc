"""What can be done with technicians: write down a leave, and take it back."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.errors import NotFound, SameIdOtherContent
from app.technicians import directory, rules
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause


async def grant_leave(
    tx: AsyncSession,
    *,
    leave_id: UUID,
    technician_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    cause: LeaveCause,
    caller: Caller,
) -> Leave:
    """Write down a time a technician does not work; orders are not placed with them meanwhile.

    The same leave sent twice is answered like the first time. Orders they already hold stay with
    them until a plan or a supervisor moves them: it is told as "leave.granted". Raises NotFound,
    Invalid, LeaveOverlaps and SameIdOtherContent.
    """
    rules.leave_in_order(starts_at, ends_at)
    # The technician's lock makes two leaves at the same moment see each other.
    await directory.for_change(tx, caller, technician_id)
    known = await tx.get(Leave, leave_id)
    if known is not None:
        held = (known.technician_id, known.starts_at, known.ends_at, known.cause)
        if held != (technician_id, starts_at, ends_at, cause):
            raise SameIdOtherContent(id=leave_id)
        return known
    other = await tx.scalar(
        select(Leave).where(
            Leave.technician_id == technician_id,
            Leave.starts_at < ends_at,
            Leave.ends_at > starts_at,
        )
    )
    if other is not None:
        raise rules.LeaveOverlaps(
            starts_at=other.starts_at, ends_at=other.ends_at, cause=other.cause
        )
    leave = Leave(
        id=leave_id,
        technician_id=technician_id,
        # As the database will give them back, so that a second answer equals the first.
        starts_at=starts_at.astimezone(UTC),
        ends_at=ends_at.astimezone(UTC),
        cause=cause,
    )
    tx.add(leave)
    await jobs.tell(tx, "leave.granted", technician_id=technician_id)
    return leave


async def revoke_leave(
    tx: AsyncSession, *, leave_id: UUID, technician_id: UUID, caller: Caller
) -> None:
    """Take a leave back, so that the technician is counted on again. Raises NotFound."""
    await directory.for_change(tx, caller, technician_id)
    leave = await tx.get(Leave, leave_id)
    if leave is None or leave.technician_id != technician_id:
        raise NotFound()
    await tx.delete(leave)

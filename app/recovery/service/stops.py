"""Pick-ups on the way: offered to whoever is near anyway, and taken into their day."""

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import technician_of
from app.auth.rules import Caller
from app.core.parameter_values import parameters_in_force
from app.dispatch.service import by_hand
from app.recovery import rules
from app.recovery.models import Recovery
from app.recovery.queries import pickups
from app.recovery.queries.pickups import Stop
from app.recovery.rules import Fetching, RecoveryOver
from app.recovery.service.pickups import fetch
from app.workorders import queries as workorders

# A technician chooses among so many at most.
MOST = 20


async def near(session: AsyncSession, caller: Caller, *, now: datetime) -> list[Stop]:
    """List pick-ups near the caller's stops of today that nobody has begun, the nearest first."""
    technician_id = technician_of(caller)
    units = await workorders.org_units(session, ids=[caller.org_unit_id])
    metres = (await parameters_in_force(session)).number(rules.ADD_ON_METRES, now, caller.org_path)
    return await pickups.near(
        session,
        technician_id,
        units=units.within(caller.org_path),
        today=_today(now, units.by_id[caller.org_unit_id].zone),
        metres=metres,
        size=MOST,
    )


async def take(
    tx: AsyncSession, recovery_id: UUID, caller: Caller, *, now: datetime
) -> tuple[Recovery, date]:
    """Take a pick-up into the caller's day; of two who want it one has it and the other is told.

    The same technician is answered the same again. Raises NotFound, RecoveryOver, RecoveryTaken,
    and what dispatch says of a day that has no room, such as CannotTake.
    """
    technician_id = technician_of(caller)
    recovery = await pickups.for_change(tx, recovery_id, caller)
    if recovery.closed_at is not None:
        raise RecoveryOver(closed_at=recovery.closed_at)
    order_id = recovery.work_order_id or await fetch(tx, recovery_id, now=now)
    if order_id is None:
        raise RecoveryOver(closed_at=now)
    order = await workorders.for_change(tx, order_id, caller)
    units = await workorders.org_units(tx, ids=[caller.org_unit_id])
    today = _today(now, units.by_id[caller.org_unit_id].zone)
    standing = Fetching(
        order.state,
        order.holder_id,
        order.planned_day,
        order.appointment_from is not None,
        recovery.taken_by_id,
    )
    if rules.may_take(standing, technician_id, today):
        await by_hand.assign(
            tx,
            order.id,
            caller,
            technician_id=technician_id,
            day=today,
            reason="recovery_on_the_way",
            version=order.version,
            override=False,
            pin=True,
            now=now,
        )
        recovery.taken_by_id, recovery.taken_at = technician_id, now
        await tx.flush()
    return recovery, today


def _today(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()

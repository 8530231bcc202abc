"""Writing down that a customer has left: told by a removal, the lifecycle, a file or a person."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core.db import new_id
from app.core.errors import Invalid
from app.customers import queries as customers
from app.retention.models import FormerCustomer
from app.retention.queries import leavers as queries
from app.retention.queries.toolkits import standing
from app.retention.rules import LeaverSource
from app.retention.rules.leavers import Leaving, NotAFormerCustomer, outweighs, reason_of
from app.retention.service.warnings import SOURCE
from app.workorders.queries import org_units

# The lifecycle's word is taken up this long: a standstill of the worker of a few days loses nobody.
TOLD_WITHIN = timedelta(days=14)


async def record(
    tx: AsyncSession, customer_id: UUID, told: Leaving, caller: Caller, *, now: datetime
) -> FormerCustomer:
    """Write down by hand why a customer has left; the same again changes nothing.

    Raises NotFound outside the caller's subtree, Invalid for a day to come, and NotAFormerCustomer
    while services run and nothing says that they left.
    """
    customer = await customers.for_change(tx, caller, customer_id)
    unit = (await org_units(tx, ids=[customer.org_unit_id])).by_id[customer.org_unit_id]
    today = now.astimezone(unit.zone).date()
    if told.left_on > today:
        raise Invalid(errors=[{"field": "left_on", "message": f"must not be after today, {today}"}])
    now_so = await standing(tx, customer_id, today)
    if now_so.running and now_so.left_on is None:
        raise NotAFormerCustomer()
    return await _write(tx, customer.org_unit_id, customer_id, told, LeaverSource.RECORDED, now=now)


async def left_by(tx: AsyncSession, order_id: UUID, *, now: datetime) -> FormerCustomer | None:
    """Write down that a customer has left whose last line a completed removal took, and why, as far
    as its closing code says; None for any other order."""
    removal = await queries.removal(tx, order_id, own=SOURCE)
    if removal is None or removal.lines_left > 0:
        return None
    unit = (await org_units(tx, ids=[removal.org_unit_id])).by_id[removal.org_unit_id]
    left_on = removal.completed_at.astimezone(unit.zone).date()
    told = Leaving(left_on, reason_of(removal.outcome_code))
    return await _write(
        tx,
        removal.org_unit_id,
        removal.customer_id,
        told,
        LeaverSource.REMOVAL,
        order_id=order_id,
        now=now,
    )


async def _write(
    tx: AsyncSession,
    org_unit_id: UUID,
    customer_id: UUID,
    told: Leaving,
    source: LeaverSource,
    *,
    order_id: UUID | None = None,
    now: datetime,
) -> FormerCustomer:
    held = await standing(tx, customer_id, told.left_on)
    made = await tx.scalar(
        insert(FormerCustomer)
        .values(
            id=new_id(),
            org_unit_id=org_unit_id,
            customer_id=customer_id,
            left_on=told.left_on,
            reason=told.reason,
            competitor=told.competitor,
            reachable=told.reachable,
            note=told.note,
            source=source,
            work_order_id=order_id,
            tier=held.subject.tier,
            value_12m_fen=held.value_12m_fen,
            recorded_at=now,
        )
        .on_conflict_do_nothing()
        .returning(FormerCustomer.id)
    )
    if made is not None:
        audit.note(tx, table="former_customer", operation="insert", ids=[made])
    former = await queries.gone_for_change(tx, customer_id)
    assert former is not None
    if made is None and outweighs(source, former.source, told.reason):
        former.left_on, former.reason, former.source = told.left_on, told.reason, source
        former.work_order_id = order_id or former.work_order_id
        for name in ("competitor", "reachable", "note"):
            value = getattr(told, name)
            if value is not None:
                setattr(former, name, value)
        await tx.flush()
    return former


async def follow_lifecycle(tx: AsyncSession, org_unit_id: UUID, *, now: datetime) -> None:
    """Write down who of an org unit has left or come back by the lifecycle's word."""
    unit = (await org_units(tx, ids=[org_unit_id])).by_id[org_unit_id]
    new, back = await queries.follow_lifecycle(
        tx, org_unit_id, zone=unit.zone, since=now - TOLD_WITHIN, now=now
    )
    if new:
        audit.note(tx, table="former_customer", operation="insert", ids=new)
    if back:
        audit.note(
            tx, table="former_customer", operation="update", ids=back, columns=["returned_on"]
        )

"""The one order that is worked on in place of an outage's many."""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import new_id
from app.outages.models import Outage
from app.outages.queries.reports import OURS
from app.outages.rules import CAUSE_WORDS, OutageCause, parent_words, said
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.workorders.rules import CLOSED, UNDER_WAY, Draft, Sender, State, Step
from app.workorders.service import take_step
from app.workorders.service.intake import settle, sort_out, write
from app.worktypes.rules import WorkType

MOST_URGENT = 1


async def make(
    tx: AsyncSession,
    outage: Outage,
    *,
    orders: int,
    point: tuple[float, float] | None,
    account_id: UUID | None,
    now: datetime,
) -> UUID:
    """Make the urgent repair of a confirmed outage at its middle (WGS-84 degrees), to be placed
    like any other; it says where, what and how many."""
    unit = (await org_units(tx, ids=[outage.org_unit_id])).by_id[outage.org_unit_id]
    cause = outage.cause or OutageCause.NOT_KNOWN
    words = parent_words(outage.place_kind, outage.name, orders, cause)
    external_id = f"outage-{outage.id}"
    draft = Draft(
        source=OURS,
        external_id=external_id,
        content_hash=hashlib.blake2b(external_id.encode(), digest_size=16).hexdigest(),
        work_type=WorkType.REPAIR,
        address=said(outage.place_kind, outage.name).zh,
        summary=f"{words.zh}\n{words.en}",
        reported_at=min(outage.since, now),
        priority=MOST_URGENT,
        id=new_id(),
        org_unit_code=unit.code,
        lon=point[0] if point else None,
        lat=point[1] if point else None,
    )
    sender = Sender(account_id, unit.id, unit.path)
    [fate] = await sort_out(tx, [draft], sender, now=now)
    assert fate.incoming is not None
    await settle(tx, [fate.incoming])
    await write(tx, [fate.incoming], sender)
    await jobs.tell(tx, "workorder.freed", order_id=fate.incoming.id, priority=1)
    return fate.incoming.id


async def call_off(
    tx: AsyncSession, outage: Outage, *, account_id: UUID | None, now: datetime
) -> None:
    """Cancel the order of an outage that is over; whoever is under way with it completes it."""
    if outage.parent_order_id is None:
        return
    order = await workorders.for_change(tx, outage.parent_order_id)
    if order.state in CLOSED or order.state in UNDER_WAY or order.state is State.SUSPENDED:
        return
    cause = CAUSE_WORDS[outage.cause or OutageCause.NOT_KNOWN]
    await take_step(
        tx,
        order,
        Step.CANCEL,
        now=now,
        account_id=account_id,
        reason=f"群障已解除（{cause.zh}）",
        facts={"outage_id": str(outage.id)},
    )


async def middle_of(tx: AsyncSession, outage: Outage) -> tuple[float, float] | None:
    """Read where an outage is, in WGS-84 degrees; None where nobody knows."""
    row = (
        await tx.execute(
            select(func.ST_X(Outage.point), func.ST_Y(Outage.point)).where(Outage.id == outage.id)
        )
    ).one()
    return None if row[0] is None else (row[0], row[1])


async def restored_at(tx: AsyncSession, order_id: UUID, now: datetime) -> datetime:
    """Say since when the service works again, by the order that was worked on."""
    order = await tx.get_one(WorkOrder, order_id)
    return order.restored_at or order.completed_at or now

"""How installs end that were sold at doors: live, called off, or given up with their sales."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.feasibility import queries
from app.feasibility.rules import NOT_BEGUN, CallOff
from app.workorders import queries as workorders
from app.workorders.rules import Step
from app.workorders.service.steps import take_step


async def call_off(tx: AsyncSession, work_order_id: UUID, why: CallOff, *, now: datetime) -> bool:
    """Call off an install whose sale has ended; its minutes and terminals are free again.

    Tells whether that was done: once somebody is on their way or there, it is left to them. Raises
    NotFound.
    """
    order = await workorders.for_change(tx, work_order_id)
    if order.state not in NOT_BEGUN:
        return False
    await take_step(tx, order, Step.CANCEL, now=now, reason=why.value)
    await settle(tx, now=now, work_order_id=work_order_id)
    return True


async def settle(tx: AsyncSession, *, now: datetime, work_order_id: UUID | None = None) -> None:
    """Write down which installs are live or called off by now, of one order or of all, and tell of
    each."""
    for one in await queries.settle(tx, now=now, work_order_id=work_order_id):
        if one.activated_at is None:
            await jobs.tell(tx, "install.called_off", sale_id=one.sale_id)
        else:
            await jobs.tell(
                tx,
                "install.activated",
                sale_id=one.sale_id,
                work_order_id=one.work_order_id,
                at=one.activated_at,
            )

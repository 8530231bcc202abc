"""Orders of an outage: they come to it, are held while one order is worked on, and leave it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.outages.models import Outage
from app.outages.queries import reports
from app.outages.rules import OutageState
from app.promises.rules import Proof, ProofKind, StopCause
from app.technicians import availability
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import MOVES, Step, UnplacedReason
from app.workorders.service import clocks, unplace_all

_CAN_BE_HELD = frozenset(state for state, step in MOVES if step is Step.UNPLACE)


async def lock(
    tx: AsyncSession, order_ids: Collection[UUID], *, skip_locked: bool = False
) -> Sequence[WorkOrder]:
    """Take open orders under their row locks, by id."""
    if not order_ids:
        return ()
    return await workorders.all_for_change(
        tx, workorders.OPEN, WorkOrder.id.in_(order_ids), skip_locked=skip_locked
    )


async def join(
    tx: AsyncSession, outage: Outage, orders: Sequence[WorkOrder], *, now: datetime
) -> None:
    """Let locked orders belong to an outage; a confirmed one holds them from now on."""
    if not orders:
        return
    for order in orders:
        order.outage_id = outage.id
    outage.last_report_at = max(outage.last_report_at, *(order.reported_at for order in orders))
    await tx.flush()
    if outage.state is OutageState.CONFIRMED:
        await hold(tx, outage, orders, now=now)


async def hold(
    tx: AsyncSession,
    outage: Outage,
    orders: Sequence[WorkOrder],
    *,
    now: datetime,
    account_id: UUID | None = None,
) -> None:
    """Take locked orders of a confirmed outage out of people's days, and place them no more.

    Their clocks stand still as far as the rules of the day allow it for an outage. Whoever is under
    way or at the door already goes on, and so does who has suspended the work.
    """
    await reports.explained(tx, [order.id for order in orders])
    to_hold = [
        order
        for order in orders
        if order.state in _CAN_BE_HELD and order.unplaced_reason is not UnplacedReason.OUTAGE
    ]
    relieved = await unplace_all(tx, to_hold, UnplacedReason.OUTAGE, now=now)
    await availability.change(tx, relieved)
    held = [order for order in orders if order.unplaced_reason is UnplacedReason.OUTAGE]
    proof = Proof(ProofKind.OUTAGE, outage.id)
    stop = clocks.Stop(cause=StopCause.OUTAGE, proof=proof, at=now, account_id=account_id)
    # Where no rule stops them, or they stand already, they are left as they are.
    await clocks.stop_all(tx, held, stop, now=now)


async def leave(
    tx: AsyncSession, outage: Outage, orders: Sequence[WorkOrder], *, now: datetime
) -> None:
    """Let locked orders belong to an outage no more; those that it held are placed at once."""
    for order in orders:
        order.outage_id = None
    await reports.set_apart(tx, outage.id, [order.id for order in orders])
    await tx.flush()
    await clocks.start_all(tx, orders, at=now, now=now, proof_id=outage.id)
    for order in orders:
        if order.unplaced_reason is UnplacedReason.OUTAGE:
            await jobs.tell(tx, "workorder.freed", order_id=order.id)

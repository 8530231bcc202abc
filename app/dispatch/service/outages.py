"""What becomes of the orders of an outage when it is over: closed, or placed like any other."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.core.i18n import Words
from app.dispatch.service.again import place_again
from app.grids import locating
from app.outages import queries as outages
from app.outages.queries.open import open_now
from app.outages.rules import OutageState, WhenOver, customer_words
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import Step, UnplacedReason
from app.workorders.service import clocks, take_step

# With what an order is closed that needed no visit of its own.
FIXED_ELSEWHERE = "fixed_elsewhere"


async def held_by(
    session: AsyncSession, outage_id: UUID, *, limit: int
) -> tuple[WhenOver, Sequence[UUID]] | None:
    """List orders that an outage still holds although it is over, and what is to become of them;
    None while it is open."""
    try:
        outage = await outages.for_change(session, outage_id)
    except NotFound:
        return None
    if outage.state in (OutageState.PROPOSED, OutageState.CONFIRMED):
        return None
    orders = await workorders.all_for_change(
        session, *_held(outage_id), limit=limit, skip_locked=True
    )
    return outage.when_over, [order.id for order in orders]


def _held(outage_id: UUID) -> tuple[Any, ...]:
    return (
        workorders.OPEN,
        WorkOrder.outage_id == outage_id,
        WorkOrder.unplaced_reason == UnplacedReason.OUTAGE,
    )


async def give_free(
    tx: AsyncSession,
    outage_id: UUID,
    order_ids: Sequence[UUID],
    works: Mapping[UUID, bool],
    *,
    now: datetime,
) -> None:
    """Close or place some orders of an outage that is over.

    `works` says of orders whose lines were tested whether they work again; without a test it is
    the outage's own setting that decides.
    """
    # The map comes first: whoever changes it may want rows that are locked below.
    await locating.for_keeps(tx)
    outage = await outages.for_change(tx, outage_id)
    orders = await workorders.all_for_change(
        tx, *_held(outage_id), WorkOrder.id.in_(order_ids), skip_locked=True
    )
    await clocks.start_all(tx, orders, at=now, now=now, proof_id=outage.id)
    waiting = []
    for order in orders:
        tested = works.get(order.id)
        if not (tested or (tested is None and outage.when_over is WhenOver.CLOSE)):
            waiting.append(order)
            continue
        order.outcome_code = FIXED_ELSEWHERE
        order.restored_at = outage.restored_at or now
        await take_step(
            tx,
            order,
            Step.RESOLVE,
            now=now,
            reason=FIXED_ELSEWHERE,
            facts={"outage_id": str(outage.id), "line_tested": tested is not None},
        )
    await place_again(tx, waiting, now=now)


async def words_for(session: AsyncSession, order: Row[Any]) -> Words | None:
    """Say what to tell the customer of an order that an outage holds; None for any other."""
    if order.unplaced_reason is not UnplacedReason.OUTAGE:
        return None
    for outage in await open_now(session):
        if outage.id == order.outage_id:
            units = await workorders.org_units(session, ids=[order.org_unit_id])
            zone = units.by_id[order.org_unit_id].zone
            ends = outage.expected_end and outage.expected_end.astimezone(zone)
            return customer_words(outage.place.kind, outage.name, ends)
    return None

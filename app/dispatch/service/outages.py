"""What becomes of the orders of an outage when it is over: closed, or placed like any other."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.activation.client import ActivationClient
from app.activation.rules import LineNotKnown, LineTestUnavailable
from app.core.i18n import Words
from app.dispatch.service.again import place_again
from app.grids import locating
from app.outages import queries as outages
from app.outages.models import Outage
from app.outages.queries.open import open_now
from app.outages.rules import OPEN, WhenOver, customer_words
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import Step, UnplacedReason
from app.workorders.service import clocks, take_step

# With what an order is closed that needed no visit of its own.
FIXED_ELSEWHERE = "fixed_elsewhere"
TESTS_AT_ONCE = 16


class Held(NamedTuple):
    """An order that an outage still holds, and the number of its line, as far as it is known."""

    order_id: UUID
    service_number: str | None


async def held_by(
    session: AsyncSession, outage_id: UUID, *, without: Collection[UUID], limit: int
) -> tuple[WhenOver, list[Held]] | None:
    """List orders that an outage still holds although it is over, and what is to become of them;
    None while it is open."""
    outage = await session.get_one(Outage, outage_id)
    if outage.state in OPEN:
        return None
    rows = await session.execute(
        select(WorkOrder.id, WorkOrder.service_number)
        .where(*_held(outage_id), WorkOrder.id.not_in(without))
        .order_by(WorkOrder.priority, WorkOrder.id)
        .limit(limit)
    )
    return outage.when_over, [Held(*row) for row in rows]


async def tested(
    platform: ActivationClient, held: Sequence[Held]
) -> tuple[dict[UUID, bool], set[UUID]]:
    """Test the lines of orders: which of them work again, and which could not be tested just now.

    A line that nobody can name, or that the platform does not know, is in neither.
    """
    works: dict[UUID, bool] = {}
    untested: set[UUID] = set()
    turn = asyncio.Semaphore(TESTS_AT_ONCE)

    async def test(order_id: UUID, service_number: str) -> None:
        async with turn:
            try:
                works[order_id] = (await platform.test_line(service_number=service_number)).online
            except LineNotKnown:
                pass
            except LineTestUnavailable:
                untested.add(order_id)

    named = [(one.order_id, one.service_number) for one in held if one.service_number]
    await asyncio.gather(*(test(order_id, number) for order_id, number in named))
    return works, untested


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

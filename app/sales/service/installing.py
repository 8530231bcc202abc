"""The install of a sale, in the same visit or in the slot that was booked for it: seen to as the
sale is confirmed, called off as it ends."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.dispatch.models import AppointmentHold
from app.feasibility.queries import anything_to_install
from app.feasibility.rules import Infeasible
from app.feasibility.service import (
    NotNow,
    Sold,
    call_off,
    give_back,
    install_now,
    keep_booked,
    keep_for_later,
    let_go_of,
)
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import SaleStep
from app.sales.service.ledger import entered
from app.workorders.queries import org_units


async def order_install(
    tx: AsyncSession,
    sale: Sale,
    items: Sequence[SaleItem],
    seller: Caller | None,
    *,
    now: datetime,
    by: UUID | None,
) -> None:
    """Have a sale that is being confirmed installed in its visit, where that can be done now, or
    keep the slot that it has booked; where neither can be had, its ledger says why. `by` is the
    account that confirms, if any."""
    sold = await _to_install(tx, sale, items)
    if sold is None:
        sale.appointment_hold_id = None
        return
    if sale.appointment_hold_id is not None:
        await _keep_slot(tx, sale, sold, now=now, by=by)
        return
    made = await install_now(tx, sold, seller, now=now)
    if isinstance(made, NotNow):
        codes = [no.code.value for no in made.noes]
        await entered(tx, sale.id, SaleStep.INSTALL_NOT_NOW, at=now, by=by, facts={"codes": codes})
        return
    facts = {"work_order_id": made.work_order_id, "reservation_id": made.reservation_id}
    await entered(tx, sale.id, SaleStep.INSTALL_ORDERED, at=now, by=by, facts=facts)


async def _keep_slot(
    tx: AsyncSession, sale: Sale, sold: Sold, *, now: datetime, by: UUID | None
) -> None:
    held = await _booked(tx, sale, sold, now=now)
    if held is None:
        sale.appointment_hold_id = None
        facts: dict[str, Any] = {"codes": [Infeasible.APPOINTMENT_OVER.value]}
        await entered(tx, sale.id, SaleStep.INSTALL_NOT_NOW, at=now, by=by, facts=facts)
        return
    facts = {
        "appointment_hold_id": held.id,
        "begins_at": held.begins_at.isoformat(),
        "ends_at": held.ends_at.isoformat(),
    }
    await entered(tx, sale.id, SaleStep.INSTALL_BOOKED, at=now, by=by, facts=facts)


async def _booked(
    tx: AsyncSession, sale: Sale, sold: Sold, *, now: datetime, until: datetime | None = None
) -> AppointmentHold | None:
    assert sale.appointment_hold_id is not None
    path = (await org_units(tx, ids=[sale.org_unit_id])).by_id[sale.org_unit_id].path
    return await keep_booked(
        tx, sale.appointment_hold_id, sold.items, org_path=path, now=now, until=until
    )


async def give_slots_back(tx: AsyncSession, *, now: datetime, limit: int) -> None:
    """Give slots free that are kept for the installs of sales that came to nothing."""
    await give_back(tx, await queries.slots_in_vain(tx, limit), now=now)


async def keep_install(
    tx: AsyncSession,
    sale: Sale,
    items: Sequence[SaleItem],
    seller: Caller,
    *,
    until: datetime,
    now: datetime,
) -> None:
    """Keep what installing a sale takes, if it can be had, while somebody else has still to agree
    to the sale, until a moment at most."""
    sold = await _to_install(tx, sale, items)
    if sold is None:
        return
    if sale.appointment_hold_id is not None:
        await _booked(tx, sale, sold, now=now, until=until)
        return
    kept = await keep_for_later(tx, sold, seller, until=until, now=now)
    if not isinstance(kept, NotNow):
        sale.reservation_id = kept.id


async def drop_install(tx: AsyncSession, sale: Sale, *, now: datetime) -> None:
    """Give free what was kept for a sale that is not made after all."""
    if sale.reservation_id is not None:
        await let_go_of(tx, sale.reservation_id, now=now)


async def call_off_install(
    tx: AsyncSession, sale_id: UUID, work_order_id: UUID, *, now: datetime
) -> None:
    """Call off the install of a sale that has ended, or of which nothing is left to be installed,
    unless somebody is at it. Raises NotFound."""
    sale = await queries.for_change(tx, sale_id)
    why = rules.why_called_off(
        sale.state,
        reversed_=sale.reversed_at is not None,
        left=await queries.left_to_install(tx, sale_id),
    )
    if why is not None:
        await call_off(tx, work_order_id, why, now=now)


async def _to_install(tx: AsyncSession, sale: Sale, items: Sequence[SaleItem]) -> Sold | None:
    # Most of what is sold works once it is opened, and costs one look more than it did.
    if not await anything_to_install(tx, [item.offering_id for item in items]):
        return None
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item.offering_code] = wanted.get(item.offering_code, 0) + item.quantity
    on_terms = rules.on_terms((item.offering_code, item.special_terms_id) for item in items)
    # The install names the sale, whose row has to be what it will be.
    await tx.flush()
    return Sold(sale.id, sale.visit_id, list(wanted.items()), sale.reservation_id, on_terms)

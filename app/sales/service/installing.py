"""The install of a sale in the same visit: asked for as it is confirmed, called off as it ends."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.feasibility.queries import anything_to_install
from app.feasibility.service import (
    NotNow,
    Sold,
    call_off,
    install_now,
    keep_for_later,
    let_go_of,
)
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import SaleStep
from app.sales.service.ledger import entered


async def order_install(
    tx: AsyncSession,
    sale: Sale,
    items: Sequence[SaleItem],
    seller: Caller | None,
    *,
    now: datetime,
    by: UUID | None,
) -> None:
    """Have a sale that is being confirmed installed in its visit, where that can be done now;
    where it cannot, its ledger says why. `by` is the account that confirms, if any."""
    sold = await _to_install(tx, sale, items)
    if sold is None:
        return
    made = await install_now(tx, sold, seller, now=now)
    if isinstance(made, NotNow):
        codes = [no.code.value for no in made.noes]
        await entered(tx, sale.id, SaleStep.INSTALL_NOT_NOW, at=now, by=by, facts={"codes": codes})
        return
    facts = {"work_order_id": made.work_order_id, "reservation_id": made.reservation_id}
    await entered(tx, sale.id, SaleStep.INSTALL_ORDERED, at=now, by=by, facts=facts)


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
    """Call off the install of a sale that has ended, unless somebody is at it. Raises NotFound."""
    sale = await queries.for_change(tx, sale_id)
    why = rules.why_called_off(sale.state, reversed_=sale.reversed_at is not None)
    if why is not None:
        await call_off(tx, work_order_id, why, now=now)


async def _to_install(tx: AsyncSession, sale: Sale, items: Sequence[SaleItem]) -> Sold | None:
    # Most of what is sold works once it is opened, and costs one look more than it did.
    if not await anything_to_install(tx, [item.offering_id for item in items]):
        return None
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item.offering_code] = wanted.get(item.offering_code, 0) + item.quantity
    # The install names the sale, whose row has to be what it will be.
    await tx.flush()
    return Sold(sale.id, sale.visit_id, list(wanted.items()), sale.reservation_id)

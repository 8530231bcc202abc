"""A sale counts: from here on it reaches the ordering system."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.sales import queries, rules
from app.sales.models import Sale
from app.sales.rules import SaleState, SaleStep
from app.sales.service.ledger import entered


async def take_effect(
    tx: AsyncSession,
    sale: Sale,
    *,
    now: datetime,
    by: UUID | None = None,
    device_at: datetime | None = None,
) -> None:
    """Let a locked sale count that everybody who has to has agreed to, at the address at which it
    was sold; the job that delivers it is
    told in the same transaction, so a confirmed sale is never without one. Raises SaleRefused."""
    sale.state = rules.move(sale.state, SaleState.CONFIRMED)
    sale.confirmed_at = now
    place = await queries.place_of(tx, sale)
    if place is not None:
        sale.place_code, sale.place_address = place.code, place.address
    await entered(tx, sale.id, SaleStep.CONFIRMED, at=now, device_at=device_at, by=by)
    await jobs.tell(tx, "sale.confirmed", sale_id=sale.id)

"""What was sold and installed in the same visit is live."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.sales import queries
from app.sales.rules import SaleStep
from app.sales.service.ledger import Entry, enter


async def activated(
    tx: AsyncSession, work_order_id: UUID, *, at: datetime, activation_id: UUID | None = None
) -> None:
    """Enter that the sales whose install an order is are live, by which activation if that is
    known; once for each."""
    sale_ids = await queries.installed_by(tx, work_order_id)
    facts = {"work_order_id": work_order_id}
    if activation_id is not None:
        facts["activation_id"] = activation_id
    await enter(tx, [Entry(one, SaleStep.ACTIVATED, at, facts=facts) for one in sale_ids])

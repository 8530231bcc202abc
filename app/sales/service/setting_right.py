"""Setting a sale right: a person has judged that the ordering system's word counts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.sales import queries
from app.sales.models import Sale
from app.sales.rules import SaleState
from app.sales.service.ledger import enter_news, standing


async def set_right(
    tx: AsyncSession, *, sale_id: UUID, state: SaleState, at: datetime, reason: str | None = None
) -> Sale:
    """Give a sale the state that the ordering system says, also where no sale moves so by itself.

    What ended otherwise than it was told before is entered in the ledger like any other news. A
    sale that was reversed stays so, whatever became of its order: what was earned by it is taken
    back, and neither ledger is ever rewritten. Raises NotFound.
    """
    sale = await queries.for_change(tx, sale_id)
    if sale.state is state:
        return sale
    known = standing(sale)
    sale.state = state
    sale.sent_at = sale.sent_at or at
    if state in (SaleState.ACKNOWLEDGED, SaleState.COMPLETED):
        sale.acknowledged_at = sale.acknowledged_at or at
        sale.rejected_reason = None
    sale.completed_at = at if state is SaleState.COMPLETED else None
    if state in (SaleState.REJECTED, SaleState.CANCELLED):
        sale.rejected_reason = reason
        if known.acknowledged:
            sale.reversed_at = sale.reversed_at or at
    await enter_news(tx, sale, known, at=at)
    return sale

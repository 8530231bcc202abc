"""Cancelling a sale: a draft is ours alone, anything later the ordering system decides."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.sales import queries, rules
from app.sales.models import Sale
from app.sales.rules import SaleState, SaleStep
from app.sales.service import protecting
from app.sales.service.codes import give_codes_back
from app.sales.service.ledger import enter_news, entered, standing


async def cancel(tx: AsyncSession, *, sale_id: UUID, caller: Caller, now: datetime) -> Sale:
    """Cancel a draft, or a sale that waits for its second confirmation; a second time is answered
    like the first. Raises NotFound, SaleRefused."""
    sale = await queries.for_change(tx, sale_id, caller)
    if sale.state is SaleState.SECOND_CONFIRMATION:
        await protecting.withdraw(tx, sale, now=now, by=caller.account_id)
    elif sale.state is not SaleState.CANCELLED:
        # A confirmed sale is the ordering system's to cancel; only a draft is ours alone.
        if sale.state is not SaleState.DRAFT:
            raise rules.SaleRefused(state=sale.state, wanted=SaleState.CANCELLED)
        sale.state = SaleState.CANCELLED
        await entered(tx, sale_id, SaleStep.CANCELLED, at=now, by=caller.account_id)
    return sale


async def ask_to_cancel(
    tx: AsyncSession, sale: Sale, *, known_there: bool, reason: str, at: datetime, by: UUID | None
) -> None:
    """Set a locked sale to be cancelled: at once where the ordering system never heard of it. `by`
    is the account that asks, if any.

    Raises SaleRefused when it has ended.
    """
    wanted = SaleState.CANCELLING if known_there else SaleState.CANCELLED
    known = standing(sale)
    sale.state = rules.move(known.state, wanted)
    if wanted is SaleState.CANCELLED:
        sale.rejected_reason = reason
        if known.acknowledged:
            sale.reversed_at = sale.reversed_at or at
        else:
            await give_codes_back(tx, sale, now=at)
    await enter_news(tx, sale, known, at=at, by=by)


async def go_on(tx: AsyncSession, *, sale_id: UUID, state: SaleState, at: datetime) -> None:
    """Let a sale go on, its cancellation having been refused. Raises NotFound.

    That it was acknowledged meanwhile was no news then, and is now.
    """
    sale = await queries.for_change(tx, sale_id)
    if sale.state is not SaleState.CANCELLING:
        return
    sale.state = state
    await entered(tx, sale_id, SaleStep.WENT_ON, at=at)
    if state is SaleState.ACKNOWLEDGED and sale.acknowledged_at is None:
        sale.acknowledged_at = at
        await entered(tx, sale_id, SaleStep.ACKNOWLEDGED, at=at)

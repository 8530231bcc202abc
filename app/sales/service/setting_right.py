"""Setting a sale right: a person has judged that the ordering system's word counts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import tell
from app.sales import queries, rules
from app.sales.models import Sale
from app.sales.rules import SaleState, SaleStep
from app.sales.service.codes import give_codes_back, use_codes_again
from app.sales.service.ledger import enter_news, entered, standing


async def set_right(
    tx: AsyncSession, *, sale_id: UUID, state: SaleState, at: datetime, reason: str | None = None
) -> Sale:
    """Give a sale the state that the ordering system says, also where no sale moves so by itself.

    What ended otherwise than it was told before is entered in the ledger like any other news. A
    sale that its customer returned stays reversed, whatever became of its order. One that was
    reversed by the end of its order alone is not any more where that goes on or is completed: a
    further step says so, by which the commission is given back. Where its install was called off
    meanwhile, and the order goes on, the ordering system is asked to see to that.

    A sale that had ended before its order was taken, and so gave back its approval codes, uses them
    once more where it goes on. Raises NotFound, and CodeUnknown, CodeUsed and CodeOver where it
    cannot have them any more.
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
        else:
            await give_codes_back(tx, sale, now=at)
    elif known.state in rules.REVERSED_BY:
        await use_codes_again(tx, sale, now=at)
    await enter_news(tx, sale, known, at=at)
    if known.reversed and state not in rules.REVERSED_BY:
        await _undo_reversal(tx, sale, at=at)
    goes_on = known.state in rules.REVERSED_BY and rules.reached(state, SaleState.COMPLETED)
    if goes_on and await queries.install_was_dropped(tx, sale_id):
        # It was called off with the sale, when there was no order left to tell that of.
        await tell(tx, "install.called_off", sale_id=sale_id)
    return sale


async def _undo_reversal(tx: AsyncSession, sale: Sale, *, at: datetime) -> None:
    reason = (await queries.reversal_of(tx, sale.id)).get("reason")
    if reason not in rules.REVERSED_BY.values():
        return
    sale.reversed_at = None
    await entered(tx, sale.id, SaleStep.REVERSAL_UNDONE, at=at, facts={"reason": reason})

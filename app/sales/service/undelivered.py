"""What the ordering system has not delivered of a sale, while it delivered the rest."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.sales import queries
from app.sales.rules import ReversalReason, SaleStep
from app.sales.service.ledger import Entry, enter


async def not_delivered(
    tx: AsyncSession, *, sale_id: UUID, positions: Collection[str], at: datetime
) -> bool:
    """Take items out of a sale that were ordered and not delivered, by their places in the order;
    what was earned by them is taken back. `at` is business time; again is like once.

    Tells whether it could be done: False, and nothing is changed, where a place is none of the
    sale's or nothing would be left of it. Raises NotFound.
    """
    await queries.for_change(tx, sale_id)
    items = (await queries.items_of(tx, [sale_id]))[sale_id]
    gone = [item for item in items if str(item.position) in positions]
    left = [item for item in items if item not in gone and item.reversed_at is None]
    if len(gone) != len(set(positions)) or not left:
        return False
    entries = []
    for item in gone:
        facts = {
            "item_id": str(item.id),
            "offering_code": item.offering_code,
            "quantity": item.quantity,
        }
        if item.reversed_at is None:
            item.reversed_at = at
            why = {"reason": ReversalReason.ORDER_REJECTED.value, **facts}
            entries.append(Entry(sale_id, SaleStep.ITEM_REVERSED, at, facts=why))
        if item.removed_at is None:
            item.removed_at = at
            entries.append(Entry(sale_id, SaleStep.ITEM_REMOVED, at, facts=facts))
    await enter(tx, entries)
    return True

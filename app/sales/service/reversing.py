"""Taking a sale back that was acknowledged, or one thing of it: the customer returned it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.errors import NotFound, SameIdOtherContent
from app.core.jobs import tell
from app.core.parameter_values import parameters_in_force
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import ReversalReason, SaleStep
from app.sales.service.ledger import entered
from app.workorders.queries import org_units


async def reverse(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    external_id: str,
    reason: ReversalReason,
    returned_at: datetime,
    caller: Caller,
    now: datetime,
) -> Sale:
    """Reverse a sale; its state stays what the ordering system made of it. Where the order is still
    under way, the ordering system is asked to cancel it.

    The same report sent again, by its external id, is answered like the first time. Raises
    NotFound, NothingToReverse, ReversedAlready, ReturnedTooLate and SameIdOtherContent.
    """
    sale = await queries.for_change(tx, sale_id, caller)
    facts = _facts(external_id, reason, returned_at)
    if sale.reversed_at is not None:
        before = await queries.reversal_of(tx, sale_id)
        if before.get("external_id") != external_id:
            raise rules.ReversedAlready(reversed_at=sale.reversed_at)
        if before != facts:
            raise SameIdOtherContent(id=external_id)
        return sale
    await _in_time(tx, sale, returned_at, now)
    sale.reversed_at = now
    await entered(tx, sale_id, SaleStep.REVERSED, at=now, by=caller.account_id, facts=facts)
    await tell(tx, "sale.reversed", sale_id=sale_id)
    return sale


async def reverse_item(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    item_id: UUID,
    external_id: str,
    reason: ReversalReason,
    returned_at: datetime,
    caller: Caller,
    now: datetime,
) -> Sale:
    """Take one item of a sale back, while the rest of it stands; what was earned by it alone is
    taken back, too. Where the order is still under way, the ordering system is asked to take the
    item out of it.

    The same report sent again, by its external id, is answered like the first time. Raises
    NotFound, NothingToReverse, ReversedAlready, ItemReversedAlready, LastItem, ReturnedTooLate and
    SameIdOtherContent.
    """
    sale = await queries.for_change(tx, sale_id, caller)
    items = (await queries.items_of(tx, [sale_id]))[sale_id]
    item = next((each for each in items if each.id == item_id), None)
    if item is None:
        raise NotFound(sale_id=sale_id, item_id=item_id)
    facts = {**_facts(external_id, reason, returned_at), **_item_facts(item)}
    if item.reversed_at is not None:
        before = await queries.item_reversal_of(tx, sale_id, item_id)
        if before.get("external_id") != external_id:
            raise rules.ItemReversedAlready(reversed_at=item.reversed_at)
        if before != facts:
            raise SameIdOtherContent(id=external_id)
        return sale
    if sale.reversed_at is not None:
        raise rules.ReversedAlready(reversed_at=sale.reversed_at)
    await _in_time(tx, sale, returned_at, now)
    if all(each.reversed_at is not None for each in items if each is not item):
        raise rules.LastItem()
    item.reversed_at = now
    await entered(tx, sale_id, SaleStep.ITEM_REVERSED, at=now, by=caller.account_id, facts=facts)
    await tell(tx, "sale.item_reversed", sale_id=sale_id, item_id=item_id)
    return sale


async def item_removed(tx: AsyncSession, *, sale_id: UUID, item_id: UUID, at: datetime) -> None:
    """Write down that the ordering system has taken an item out of the order; again is like
    once."""
    item = await tx.get_one(SaleItem, item_id, with_for_update=True, populate_existing=True)
    if item.removed_at is None:
        item.removed_at = at
        facts = _item_facts(item)
        await entered(tx, sale_id, SaleStep.ITEM_REMOVED, at=at, facts=facts)


async def _in_time(tx: AsyncSession, sale: Sale, returned_at: datetime, now: datetime) -> None:
    """Check that a return counts, by the number that is in force where was sold: whoever reports it
    may belong to a unit above. Raises NothingToReverse and ReturnedTooLate."""
    if sale.acknowledged_at is None:
        raise rules.NothingToReverse(state=sale.state)
    assert sale.confirmed_at is not None
    path = (await org_units(tx, ids=[sale.org_unit_id])).by_id[sale.org_unit_id].path
    rules.returned_in_time(
        returned_at,
        confirmed_at=sale.confirmed_at,
        acknowledged_at=sale.acknowledged_at,
        now=now,
        days=(await parameters_in_force(tx)).number(rules.RETURN_DAYS, sale.acknowledged_at, path),
    )


def _facts(external_id: str, reason: ReversalReason, returned_at: datetime) -> dict[str, Any]:
    return {
        "reason": reason.value,
        "external_id": external_id,
        "returned_at": returned_at.astimezone(UTC).isoformat(),
    }


def _item_facts(item: SaleItem) -> dict[str, Any]:
    return {
        "item_id": str(item.id),
        "offering_code": item.offering_code,
        "quantity": item.quantity,
    }

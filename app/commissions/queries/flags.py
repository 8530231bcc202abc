"""Reads of flags, and the numbers they rest on."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.commissions.models import CommissionFlag
from app.commissions.rules import FlagKind, FlagState
from app.core.db import fetched
from app.core.errors import NotFound


class Counted(NamedTuple):
    """How many sales a technician was credited for in a unit, and of how many of them all or a
    part came back."""

    technician_id: UUID
    org_unit_id: UUID
    sold: int
    returned: int


async def returns_by_technician(tx: AsyncSession, since: date) -> list[Counted]:
    """Count credited sales since the first day of a month, and those of which something came back;
    a sale counts once, however much of it did. What the ordering system turned down or did not
    deliver has not come back."""
    return [Counted(*row) for row in await fetched(tx, _RETURNS, {"since": since})]


# Whether an item was never delivered; that it is of the sale `sale_id` leads to its few steps.
NOT_DELIVERED = """EXISTS (
    SELECT FROM sale_event never WHERE never.sale_id = {sale_id} AND never.step = 'item_reversed'
       AND never.facts ->> 'item_id' = {item_id}::text
       AND never.facts ->> 'reason' = 'order_rejected')"""
# What came back is asked of the sales: an entry of which a month's cap has left nothing is never
# countered.
_RETURNS = f"""
SELECT e.technician_id, t.org_unit_id, count(*),
       count(*) FILTER (WHERE s.reversed_at IS NOT NULL AND s.state <> 'rejected' OR EXISTS (
           SELECT FROM sale_item i WHERE i.sale_id = s.id AND i.reversed_at IS NOT NULL
              AND NOT {NOT_DELIVERED.format(sale_id="s.id", item_id="i.id")}))
  FROM commission_entry e JOIN technician t ON t.id = e.technician_id
  JOIN sale s ON s.id = e.sale_id
 WHERE e.month >= %(since)s AND e.kind = 'earned'
   AND e.org_unit_id IN (SELECT id FROM org_unit)
 GROUP BY e.technician_id, t.org_unit_id
"""  # noqa: S608 - text of our own


async def flags_page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
    state: FlagState,
    kind: FlagKind | None,
    technician_id: UUID | None,
) -> Sequence[CommissionFlag]:
    """Read up to `size + 1` flags of the caller's subtree, the latest first."""
    wanted: list[Any] = [
        subtree(CommissionFlag.org_unit_id, caller),
        CommissionFlag.state == state,
    ]
    if kind is not None:
        wanted.append(CommissionFlag.kind == kind)
    if technician_id is not None:
        wanted.append(CommissionFlag.technician_id == technician_id)
    if after is not None:
        wanted.append(tuple_(CommissionFlag.at, CommissionFlag.id) < tuple_(*after))
    statement = (
        select(CommissionFlag)
        .where(*wanted)
        .order_by(CommissionFlag.at.desc(), CommissionFlag.id.desc())
        .limit(size + 1)
    )
    return (await session.scalars(statement)).all()


async def flag_for_change(tx: AsyncSession, flag_id: UUID, caller: Caller) -> CommissionFlag:
    """Lock a flag of the caller's subtree. Raises NotFound."""
    flag = (
        await tx.scalars(
            select(CommissionFlag)
            .where(CommissionFlag.id == flag_id, subtree(CommissionFlag.org_unit_id, caller))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if flag is None:
        raise NotFound(flag_id=flag_id)
    return flag

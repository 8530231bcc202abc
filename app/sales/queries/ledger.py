"""Reads of the ledger of sales."""

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.core.db import fetched
from app.sales.models import SaleEvent
from app.sales.rules import SaleStep


async def reversal_of(tx: AsyncSession, sale_id: UUID) -> dict[str, Any]:
    """Read what was said when a sale was reversed last; nothing for one that was not."""
    return await tx.scalar(_REVERSAL, {"sale_id": sale_id}) or {}


_REVERSAL = (
    select(SaleEvent.facts.op("-")("again"))
    .where(SaleEvent.sale_id == bindparam("sale_id"), SaleEvent.step == SaleStep.REVERSED)
    .order_by(SaleEvent.created_at.desc())
    .limit(1)
)


async def item_reversal_of(tx: AsyncSession, sale_id: UUID, item_id: UUID) -> dict[str, Any]:
    """Read what was said when one item of a sale was taken back; nothing for one that was not."""
    given = {"sale_id": sale_id, "item_id": str(item_id)}
    return await tx.scalar(_ITEM_REVERSAL, given) or {}


_ITEM_REVERSAL = select(SaleEvent.facts).where(
    SaleEvent.sale_id == bindparam("sale_id"),
    SaleEvent.step == SaleStep.ITEM_REVERSED,
    SaleEvent.facts["item_id"].astext == bindparam("item_id"),
)


async def installed_by(tx: AsyncSession, work_order_id: UUID) -> list[UUID]:
    """List the sales whose install an order is, and of which no activation is known yet."""
    other = aliased(SaleEvent)
    found = await tx.scalars(
        select(SaleEvent.sale_id).where(
            SaleEvent.step == SaleStep.INSTALL_ORDERED,
            SaleEvent.facts["work_order_id"].astext == str(work_order_id),
            ~exists().where(other.sale_id == SaleEvent.sale_id, other.step == SaleStep.ACTIVATED),
        )
    )
    return list(found)


async def ledger_of(session: AsyncSession, sale_id: UUID) -> list[tuple[Any, ...]]:
    """Read everything that happened to a sale, and what came before it in its visit: step, time,
    the device's time, account, facts. The order is by time; equal times are not told apart."""
    return await fetched(session, _LEDGER, {"sale": sale_id})


# The suggestions are those its items came from; of the order in the ordering system, which lies
# above, only its id there is wanted.
_LEDGER = """
WITH mine AS (
    SELECT s.id, s.visit_id, v.checked_in_at, v.check_in_device_at, v.work_order_id
      FROM sale s JOIN visit v ON v.id = s.visit_id WHERE s.id = %(sale)s
), offered AS (
    SELECT DISTINCT i.suggestion_id FROM sale_item i
     WHERE i.sale_id = %(sale)s AND i.suggestion_id IS NOT NULL
)
SELECT 'visited', checked_in_at, check_in_device_at, NULL::uuid,
       jsonb_build_object('visit_id', visit_id, 'work_order_id', work_order_id)
  FROM mine WHERE checked_in_at IS NOT NULL
UNION ALL
SELECT 'suggested', d.at, NULL, NULL,
       jsonb_build_object('decision_id', d.id, 'suggestion_id', g.id,
                          'offering_code', g.offering_code, 'rank', g.rank)
  FROM offered JOIN suggestion g ON g.id = offered.suggestion_id
  JOIN suggestion_decision d ON d.id = g.decision_id
UNION ALL
SELECT 'answered', a.at, a.device_at, NULL,
       jsonb_build_object('answer_id', a.id, 'suggestion_id', a.suggestion_id,
                          'pitched', a.pitched, 'answer', a.answer)
  FROM offered JOIN suggestion_answer a USING (suggestion_id)
UNION ALL
SELECT e.step, e.at, e.device_at, e.account_id,
       e.facts || CASE WHEN e.step IN ('sent', 'acknowledged') AND o.remote_id IS NOT NULL
                       THEN jsonb_build_object('remote_order_id', o.remote_id) ELSE '{}' END
  FROM sale_event e LEFT JOIN order_sync o USING (sale_id)
 WHERE e.sale_id = %(sale)s
ORDER BY 2
"""

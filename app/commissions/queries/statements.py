"""Statements: the entries of a technician's month, and what the months of a unit's people come
to. Each reads one month by an index."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.technicians.models import Technician


class StatementLine(NamedTuple):
    """One entry as a statement shows it."""

    id: UUID
    at: datetime
    kind: str
    fen: int
    cut_fen: int
    counters_id: UUID | None
    sale_item_id: UUID | None
    sale_id: UUID
    commission_fen: int
    offering_codes: list[str]


async def technician_within(
    session: AsyncSession, technician_id: UUID, caller: Caller
) -> tuple[UUID, UUID]:
    """Find a technician of the caller's subtree with their org unit. Raises NotFound."""
    unit_id = await session.scalar(
        select(Technician.org_unit_id).where(
            Technician.id == technician_id, subtree(Technician.org_unit_id, caller)
        )
    )
    if unit_id is None:
        raise NotFound(technician_id=technician_id)
    return technician_id, unit_id


async def lines_of(session: AsyncSession, technician_id: UUID, month: date) -> list[StatementLine]:
    """Read the entries of a technician's month in the order they were made."""
    given = {"technician": technician_id, "month": month}
    return [StatementLine(*row) for row in await fetched(session, _LINES, given)]


_LINES = """
SELECT e.id, e.at, e.kind, e.fen, e.cut_fen, e.counters_id, e.sale_item_id, e.sale_id, sold.fen,
       sold.codes
  FROM commission_entry e
 CROSS JOIN LATERAL (
    SELECT sum(i.commission_fen * i.quantity)::bigint AS fen,
           array_agg(i.offering_code ORDER BY i.position) AS codes
      FROM sale_item i WHERE i.sale_id = e.sale_id) AS sold
 WHERE e.technician_id = %(technician)s AND e.month = %(month)s
 ORDER BY e.id
"""


async def to_come(session: AsyncSession, technician_id: UUID) -> int:
    """Add up the second parts that a technician is still to be credited, in fen."""
    ((fen,),) = await fetched(
        session,
        "SELECT coalesce(sum(fen), 0)::bigint FROM commission_due WHERE technician_id = %(id)s",
        {"id": technician_id},
    )
    return int(fen)


class MonthOf(NamedTuple):
    """What a technician's month comes to, in fen."""

    technician_id: UUID
    code: str
    name: str
    earned_fen: int
    kept_fen: int
    taken_back_fen: int
    given_back_fen: int
    cut_fen: int
    total_fen: int
    sales: int


async def sums_of_units(
    session: AsyncSession,
    unit_ids: Sequence[UUID],
    month: date,
    *,
    size: int,
    after: UUID | None,
) -> tuple[list[MonthOf], int]:
    """Read up to `size + 1` technicians' months for sales of some units, and what all of them come
    to in fen."""
    given = {
        "units": list(unit_ids),
        "month": month,
        "after": after or UUID(int=0),
        "limit": size + 1,
    }
    rows = [MonthOf(*row) for row in await fetched(session, _SUMS, given)]
    ((total,),) = await fetched(session, _TOTAL, given)
    return rows, int(total)


_SUMS = """
SELECT e.technician_id, t.code, t.name,
       coalesce(sum(e.fen) FILTER (WHERE e.kind = 'earned'), 0)::bigint,
       coalesce(sum(e.fen) FILTER (WHERE e.kind = 'kept'), 0)::bigint,
       coalesce(sum(e.fen) FILTER (WHERE e.kind = 'taken_back'), 0)::bigint,
       coalesce(sum(e.fen) FILTER (WHERE e.kind = 'given_back'), 0)::bigint,
       sum(e.cut_fen)::bigint, sum(e.fen)::bigint,
       count(*) FILTER (WHERE e.kind = 'earned')
  FROM commission_entry e JOIN technician t ON t.id = e.technician_id
 WHERE e.org_unit_id = ANY(%(units)s) AND e.month = %(month)s AND e.technician_id > %(after)s
 GROUP BY e.technician_id, t.id ORDER BY e.technician_id LIMIT %(limit)s
"""
_TOTAL = """
SELECT coalesce(sum(e.fen), 0)::bigint FROM commission_entry e
 WHERE e.org_unit_id = ANY(%(units)s) AND e.month = %(month)s
"""

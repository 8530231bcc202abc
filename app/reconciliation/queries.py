"""Reads of both sides of a day, and of the differences that were found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.db import fetched
from app.core.errors import NotFound
from app.ordering.delivery import SyncState
from app.ordering.order import Line, in_order
from app.ordering.rules import RemoteState
from app.reconciliation.models import ReconciliationCase, ReconciliationRun
from app.reconciliation.rules import DifferenceKind, DifferenceState, Ours
from app.sales.rules import Discount, SaleState

_OURS = """
SELECT s.id, s.org_unit_id, s.state, o.state, coalesce(o.attempts, 0), o.remote_id, o.remote_state,
       s.reversed_at IS NOT NULL AND EXISTS (
           SELECT FROM order_change c
            WHERE c.sale_id = s.id AND c.kind = 'cancel' AND c.asked_by IS NULL
              AND c.state IN ('refused', 'given_up')),
       coalesce(o.corrections ->> 'address_number', s.place_code),
       i.codes, i.quantities, i.monthly, i.once, i.percents, i.months,
       r.codes, r.quantities, r.monthly, r.once, r.percents, r.months
  FROM sale s
  JOIN org_unit u ON u.id = s.org_unit_id
  LEFT JOIN order_sync o ON o.sale_id = s.id
 CROSS JOIN LATERAL (
       SELECT {lines} FROM sale_item n WHERE n.sale_id = s.id AND n.removed_at IS NULL) AS i
 CROSS JOIN LATERAL (
       SELECT {lines} FROM sale_item n
        WHERE n.sale_id = s.id AND n.removed_at IS NULL AND s.state = 'completed'
          AND CASE WHEN s.reversed_at IS NOT NULL THEN {returned} ELSE {item_returned} END) AS r
 WHERE {which} AND starts_with(u.path, %(path)s)
"""
_LINES = """
    array_agg(n.offering_code) AS codes, array_agg(n.quantity) AS quantities,
    array_agg(n.monthly_price_fen * n.quantity) AS monthly,
    array_agg(n.one_off_price_fen * n.quantity) AS once,
    array_agg(n.discount_percent) AS percents, array_agg(n.discount_months) AS months
"""
# What an account of another system reports is known over there; what a person here has entered is
# known there if it was told in time, by a change of this system's own.
_ENTERED_HERE = """
    EXISTS (SELECT FROM sale_event e JOIN account a ON a.id = e.account_id
             WHERE e.sale_id = s.id AND e.step = '{step}' AND e.facts ? 'external_id'
               AND a.role <> 'integration' {of})
    AND NOT EXISTS (SELECT FROM order_change c
                     WHERE c.sale_id = s.id AND c.asked_by IS NULL AND {told})
"""
_PARTS = {
    "lines": _LINES,
    "returned": _ENTERED_HERE.format(step="reversed", of="", told="c.kind = 'cancel'"),
    "item_returned": "n.reversed_at IS NOT NULL AND"
    + _ENTERED_HERE.format(
        step="item_reversed",
        of="AND e.facts ->> 'item_id' = n.id::text",
        told="c.sale_item_id = n.id",
    ),
}
_OF_DAY = _OURS.format(
    which="s.confirmed_at >= %(since)s AND s.confirmed_at < %(before)s AND s.state <> 'draft'",
    **_PARTS,
)
_THESE = _OURS.format(which="s.id = ANY(%(ids)s)", **_PARTS)


async def sales_of_day(
    session: AsyncSession, since: datetime, before: datetime, org_path: str
) -> list[Ours]:
    """Read the sales confirmed in a time (business time) in a subtree, with their deliveries and
    items, in one statement."""
    rows = await fetched(session, _OF_DAY, {"since": since, "before": before, "path": org_path})
    return [_sale(row) for row in rows]


async def sales_anew(session: AsyncSession, ids: Collection[UUID]) -> list[Ours]:
    """Read some sales as they are now."""
    return [_sale(row) for row in await fetched(session, _THESE, {"ids": list(ids), "path": ""})]


def _sale(row: tuple[Any, ...]) -> Ours:
    id_, unit, state, sync, attempts, remote_id, remote_state, not_cancelled, place, *items = row
    return Ours(
        sale_id=id_,
        org_unit_id=unit,
        state=SaleState(state),
        lines=_lines(items[:6]),
        sync=SyncState(sync) if sync else None,
        attempts=attempts,
        remote_id=remote_id,
        remote_state=RemoteState(remote_state) if remote_state else None,
        not_cancelled=not_cancelled,
        place=place,
        returned=_lines(items[6:]),
    )


def _lines(columns: Sequence[list[Any] | None]) -> tuple[Line, ...]:
    rows = zip(*(column or [] for column in columns), strict=True)
    return in_order(
        Line(code, quantity, monthly, once, tuple(filter(None, [Discount.of(percent, months)])))
        for code, quantity, monthly, once, percent, months in rows
    )


async def sales_named(
    session: AsyncSession, ids: Collection[UUID]
) -> tuple[set[UUID], dict[UUID, SaleState]]:
    """Tell which of some ids are those of sales, of whatever day and unit: of confirmed ones, and
    of those that nobody has confirmed here, with their states."""
    rows = await fetched(
        session,
        "SELECT id, state, confirmed_at IS NOT NULL FROM sale WHERE id = ANY(%(ids)s)",
        {"ids": list(ids)},
    )
    confirmed = {id_ for id_, _, was_confirmed in rows if was_confirmed}
    return confirmed, {id_: SaleState(state) for id_, state, _ in rows if id_ not in confirmed}


async def orders_known(session: AsyncSession, remote_ids: Collection[str]) -> set[str]:
    """Tell which orders of the other side are those of deliveries of ours, of whatever day."""
    rows = await fetched(
        session,
        "SELECT remote_id FROM order_sync WHERE remote_id = ANY(%(ids)s)",
        {"ids": list(remote_ids)},
    )
    return {id_ for (id_,) in rows}


async def units_of_technicians(session: AsyncSession, numbers: Collection[str]) -> dict[str, UUID]:
    """Find the units of technicians by their numbers."""
    rows = await fetched(
        session,
        "SELECT code, org_unit_id FROM technician WHERE code = ANY(%(numbers)s)",
        {"numbers": list(numbers)},
    )
    return dict(rows)


async def healed_before(session: AsyncSession, day: date) -> set[UUID]:
    """List the sales of a day that an earlier comparison has put right."""
    rows = await fetched(
        session,
        "SELECT sale_id FROM reconciliation_case"
        " WHERE day = %(day)s AND state = 'healed' AND sale_id IS NOT NULL",
        {"day": day},
    )
    return {id_ for (id_,) in rows}


async def days_to_look_at_again(session: AsyncSession, since: date, before: date) -> list[date]:
    """List the days in a time whose differences are not dealt with, the latest first."""
    rows = await fetched(
        session,
        "SELECT DISTINCT day FROM reconciliation_case WHERE day >= %(since)s AND day < %(before)s"
        " AND state IN ('open', 'resolved') ORDER BY day DESC",
        {"since": since, "before": before},
    )
    return [day for (day,) in rows]


async def days_of_returns(
    session: AsyncSession, since: datetime, zone: ZoneInfo, before: date
) -> list[date]:
    """List the days before another of completed sales of which something was returned; `since` is
    the real time from which on that was entered."""
    given = {"since": since, "zone": zone.key, "before": datetime.combine(before, time(), zone)}
    return [day for (day,) in await fetched(session, _RETURNED_DAYS, given)]


_RETURNED_DAYS = """
SELECT DISTINCT (s.confirmed_at AT TIME ZONE %(zone)s)::date
  FROM sale_event e JOIN sale s ON s.id = e.sale_id
 WHERE e.step IN ('reversed', 'item_reversed') AND e.created_at >= %(since)s
   AND s.state = 'completed' AND s.confirmed_at < %(before)s
"""


# --- what was found -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sum:
    """What a day came to for one unit: sales are equal, healed, open and explained together.

    `orders` belong to no sale of the day: of them so many are open and explained too.
    """

    org_unit_id: UUID
    org_unit_code: str
    name_zh: str
    name_en: str
    run_id: UUID
    at: datetime
    sales: int
    equal: int
    healed: int
    open: int
    explained: int
    orders: int
    orders_open: int
    orders_explained: int


_SUMS = """
SELECT d.org_unit_id, u.code, u.name_zh, u.name_en, d.run_id, d.at, d.sales, d.equal,
       count(c.id) FILTER (WHERE c.sale_id IS NOT NULL AND c.state = 'healed'),
       count(c.id) FILTER (WHERE c.sale_id IS NOT NULL AND c.state IN ('open', 'resolving')),
       d.under_way + count(c.id) FILTER (
           WHERE c.sale_id IS NOT NULL AND c.state IN ('explained', 'resolved')),
       d.orders,
       count(c.id) FILTER (WHERE c.sale_id IS NULL AND c.state IN ('open', 'resolving')),
       d.unheard + count(c.id) FILTER (
           WHERE c.sale_id IS NULL AND c.state IN ('explained', 'resolved'))
  FROM reconciliation_day d
  JOIN org_unit u ON u.id = d.org_unit_id
  LEFT JOIN reconciliation_case c
    ON c.day = d.day AND c.org_unit_id = d.org_unit_id AND c.run_id = d.run_id
 WHERE d.day = %(day)s AND starts_with(u.path, %(path)s)
 GROUP BY d.day, d.org_unit_id, u.id ORDER BY u.code
"""


async def sums(session: AsyncSession, day: date, org_path: str) -> list[Sum]:
    """Read what a day came to, unit by unit of a subtree."""
    rows = await fetched(session, _SUMS, {"day": day, "path": org_path})
    return [Sum(*row) for row in rows]


async def run(session: AsyncSession, run_id: UUID, caller: Caller) -> ReconciliationRun:
    """Read a comparison in the caller's part of the organisation. Raises NotFound."""
    found = select(ReconciliationRun).where(
        ReconciliationRun.id == run_id, subtree(ReconciliationRun.org_unit_id, caller)
    )
    one = (await session.scalars(found)).one_or_none()
    if one is None:
        raise NotFound(reconciliation_id=run_id)
    return one


async def cases(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
    day: date | None,
    state: DifferenceState | None,
    kind: DifferenceKind | None,
) -> Sequence[ReconciliationCase]:
    """Read differences of the caller's part of the organisation, the latest first, and one more."""
    at, id_ = ReconciliationCase.first_seen_at, ReconciliationCase.id
    found = select(ReconciliationCase).where(subtree(ReconciliationCase.org_unit_id, caller))
    if day is not None:
        found = found.where(ReconciliationCase.day == day)
    if state is not None:
        found = found.where(ReconciliationCase.state == state)
    if kind is not None:
        found = found.where(ReconciliationCase.kind == kind)
    if after is not None:
        found = found.where(tuple_(at, id_) < tuple_(*after))
    return (await session.scalars(found.order_by(at.desc(), id_.desc()).limit(size + 1))).all()


async def case_for_change(tx: AsyncSession, case_id: UUID, caller: Caller) -> ReconciliationCase:
    """Lock a difference in the caller's part of the organisation. Raises NotFound."""
    found = select(ReconciliationCase).where(
        ReconciliationCase.id == case_id, subtree(ReconciliationCase.org_unit_id, caller)
    )
    case = (await tx.scalars(found.with_for_update())).one_or_none()
    if case is None:
        raise NotFound(case_id=case_id)
    return case


async def waiting(session: AsyncSession) -> dict[UUID, int]:
    """Count the differences that wait for a person, unit by unit."""
    return dict(await fetched(session, _WAITING, {}))


_WAITING = """
SELECT org_unit_id, count(*) FROM reconciliation_case WHERE state IN ('open', 'resolving')
 GROUP BY 1
"""


async def mismatches(session: AsyncSession) -> int:
    """Count the differences that wait for a person."""
    ((count,),) = await fetched(
        session,
        "SELECT count(*) FROM reconciliation_case WHERE state IN ('open', 'resolving')",
        {},
    )
    return int(count)

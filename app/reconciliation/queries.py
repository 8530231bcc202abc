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
from app.reconciliation.rules import DifferenceKind, DifferenceState, Lost, Ours
from app.sales.rules import Discount, SaleState
from app.suggestions.queries import CAME_BACK, SOLD_IN

_OURS = """
SELECT s.id, s.org_unit_id, s.state, o.state, coalesce(o.attempts, 0), o.remote_id, o.remote_state,
       s.reversed_at IS NOT NULL AND EXISTS (
           SELECT FROM order_change c
            WHERE c.sale_id = s.id AND c.kind = 'cancel' AND c.asked_by IS NULL
              AND c.state IN ('refused', 'given_up')),
       coalesce(o.corrections ->> 'address_number', s.place_code),
       i.codes, i.quantities, i.monthly, i.once, i.percents, i.months,
       r.codes, r.quantities, r.monthly, r.once, r.percents, r.months, l.lost
  FROM sale s
  JOIN org_unit u ON u.id = s.org_unit_id
  LEFT JOIN order_sync o ON o.sale_id = s.id
 CROSS JOIN LATERAL (
       SELECT {lines} FROM sale_item n WHERE n.sale_id = s.id AND n.removed_at IS NULL) AS i
 CROSS JOIN LATERAL (
       SELECT {lines} FROM sale_item n
        WHERE n.sale_id = s.id AND n.removed_at IS NULL AND s.state = 'completed'
          AND CASE WHEN s.reversed_at IS NOT NULL THEN {returned} ELSE {item_returned} END) AS r
 CROSS JOIN LATERAL ({lost}) AS l
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
# What a sale `s` needs that was sold in its visit, or in that in which its visit's order was sold,
# and came to nothing, as `Lost` has it. What runs, and what was sold with it or since and stands,
# may be in the place of that; what was sold before is either there or was none of its matter.
_LOST = f"""
SELECT jsonb_agg(DISTINCT jsonb_build_array(
           n.offering_code, needed.word, gone.sale_id, gone.code, gone.state)) AS lost
  FROM sale_item n
  JOIN product_offering p ON p.id = n.offering_id
 CROSS JOIN LATERAL unnest(p.requires) AS needed (word)
 CROSS JOIN LATERAL (
       SELECT sale.id AS sale_id, sale.visit_id, o.code,
              CASE WHEN sale.state IN ('cancelled', 'rejected') THEN sale.state
                   ELSE 'reversed' END AS state
         FROM {SOLD_IN.format(visits="SELECT s.visit_id", there="s.work_order_id")} AS here
         JOIN sale USING (visit_id)
         JOIN sale_item ON sale_item.sale_id = sale.id
         JOIN product_offering o ON o.id = sale_item.offering_id
        WHERE sale.confirmed_at IS NOT NULL AND {CAME_BACK}
          AND needed.word IN (o.code, o.category, o.terminal_kind)) AS gone
 WHERE n.sale_id = s.id AND n.reversed_at IS NULL AND n.removed_at IS NULL
   AND s.state NOT IN ('cancelling', 'cancelled', 'rejected') AND s.reversed_at IS NULL
   AND NOT EXISTS (
       SELECT FROM subscription h
        WHERE h.customer_id = s.customer_id AND needed.word IN (h.offering_code, h.category)
          AND (h.ended_on IS NULL OR h.ended_on > timezone(u.time_zone, %(now)s)::date))
   AND NOT EXISTS (
       SELECT FROM sale JOIN sale_item ON sale_item.sale_id = sale.id
         JOIN product_offering o ON o.id = sale_item.offering_id
        WHERE sale.customer_id = s.customer_id AND sale.state <> 'draft' AND NOT {CAME_BACK}
          AND (sale.visit_id IN (s.visit_id, gone.visit_id) OR sale.confirmed_at >= s.confirmed_at)
          AND needed.word IN (o.code, o.category, o.terminal_kind))
"""  # noqa: S608 - text of our own
_PARTS = {
    "lines": _LINES,
    "lost": _LOST,
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
    session: AsyncSession, since: datetime, before: datetime, org_path: str, *, now: datetime
) -> list[Ours]:
    """Read the sales confirmed in a time (business time) in a subtree, with their deliveries and
    items, in one statement."""
    given = {"since": since, "before": before, "path": org_path, "now": now}
    return [_sale(row) for row in await fetched(session, _OF_DAY, given)]


async def sales_anew(session: AsyncSession, ids: Collection[UUID], *, now: datetime) -> list[Ours]:
    """Read some sales as they are now (business time)."""
    given = {"ids": list(ids), "path": "", "now": now}
    return [_sale(row) for row in await fetched(session, _THESE, given)]


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
        returned=_lines(items[6:12]),
        lost=tuple(
            Lost(code, word, UUID(sale_id), sold, ended)
            for code, word, sale_id, sold, ended in items[12] or ()
        ),
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


async def days_of_lost(
    session: AsyncSession, since: date, before: date, zone: ZoneInfo, *, now: datetime
) -> list[date]:
    """List the days in a time with sales that have lost what they stood on, which no comparison has
    found yet; `now` is business time."""
    begins, ends = (datetime.combine(day, time(), zone) for day in (since, before))
    given = {"since": begins, "before": ends, "zone": zone.key, "now": now}
    return [day for (day,) in await fetched(session, _LOST_DAYS, given)]


# Few sales came to nothing, and few of those have others beside them.
_LOST_DAYS = f"""
WITH ended AS MATERIALIZED (
    SELECT DISTINCT sale.visit_id FROM sale JOIN sale_item ON sale_item.sale_id = sale.id
     WHERE sale.confirmed_at >= %(since)s AND {CAME_BACK}
)
SELECT DISTINCT (s.confirmed_at AT TIME ZONE %(zone)s)::date
  FROM sale s JOIN org_unit u ON u.id = s.org_unit_id CROSS JOIN LATERAL ({_LOST}) AS l
 WHERE s.confirmed_at >= %(since)s AND s.confirmed_at < %(before)s AND l.lost IS NOT NULL
   AND (s.visit_id IN (SELECT visit_id FROM ended)
        OR s.work_order_id IN (
           SELECT m.work_order_id FROM same_visit_install m JOIN ended USING (visit_id) UNION
           SELECT h.work_order_id FROM ended JOIN sale b USING (visit_id)
             JOIN appointment_hold h ON h.id = b.appointment_hold_id))
   AND NOT EXISTS (
       SELECT FROM reconciliation_case c
        WHERE c.sale_id = s.id AND c.facts -> 'ours' ? 'stood_on' AND c.state <> 'gone')
"""  # noqa: S608 - text of our own


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

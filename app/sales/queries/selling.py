"""Reads and locks of sales."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, and_, bindparam, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.rules import Role
from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.queries import served_at
from app.feasibility.rules import NOT_BEGUN
from app.sales.models import Sale, SaleItem
from app.sales.rules import SaleState
from app.suggestions.models import Suggestion, SuggestionDecision
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD


@dataclass(frozen=True)
class SellingVisit:
    """What a sale needs to know of the visit it is made in."""

    visit_id: UUID
    work_order_id: UUID
    customer_id: UUID
    org_unit_id: UUID
    checked_in_at: datetime | None
    check_in_device_at: datetime | None
    ended_at: datetime | None

    @property
    def begun_at(self) -> datetime | None:
        """When the technician was at the door, by whichever clock says so earlier: a check-in
        without a network is heard of later."""
        known = [at for at in (self.checked_in_at, self.check_in_device_at) if at is not None]
        return min(known, default=None)


_SELLING_VISIT = (
    select(
        Visit.work_order_id,
        WorkOrder.customer_id,
        WorkOrder.org_unit_id,
        Visit.checked_in_at,
        Visit.check_in_device_at,
        Visit.ended_at,
    )
    .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
    .where(Visit.id == bindparam("visit_id"), Visit.technician_id == bindparam("technician_id"))
)
# It does not hinder what only refers to the order, as a sale does that is put together meanwhile.
# Who sells to the customer in another visit waits as well; the customer's own row is left alone,
# since a load of the CRM's files holds those that it changes until its commit.
_LOCKED = _SELLING_VISIT.with_for_update(of=WorkOrder, key_share=True).subquery()
_BUYER = func.hashtextextended(func.concat("sold to ", _LOCKED.c.customer_id), 0)
_HELD_VISIT = select(_LOCKED, func.pg_advisory_xact_lock(_BUYER).label("turn"))


async def selling_visit(
    tx: AsyncSession, visit_id: UUID, technician_id: UUID, *, held: bool = False
) -> SellingVisit:
    """Find a technician's own visit; `held` locks its order until the transaction ends, and lets
    nobody else do so for another visit of its customer.

    Raises NotFound for anybody else's or one without customer.
    """
    given = {"visit_id": visit_id, "technician_id": technician_id}
    row = (await tx.execute(_HELD_VISIT if held else _SELLING_VISIT, given)).one_or_none()
    if row is None or row.customer_id is None:
        raise NotFound(visit_id=visit_id)
    facts = {name: value for name, value in row._mapping.items() if name != "turn"}
    return SellingVisit(visit_id=visit_id, **facts)


async def strange_suggestions(
    tx: AsyncSession, visit_id: UUID, suggestion_ids: Sequence[UUID]
) -> set[UUID]:
    """List those suggestions that were made neither in this visit nor ahead of it."""
    if not suggestion_ids:
        return set()
    known = await tx.scalars(
        select(Suggestion.id)
        .join(SuggestionDecision, SuggestionDecision.id == Suggestion.decision_id)
        .where(
            Suggestion.id.in_(suggestion_ids),
            or_(
                SuggestionDecision.visit_id == visit_id,
                and_(
                    SuggestionDecision.visit_id.is_(None),
                    SuggestionDecision.work_order_id
                    == select(Visit.work_order_id).where(Visit.id == visit_id).scalar_subquery(),
                ),
            ),
        )
    )
    return set(suggestion_ids) - set(known)


def within_reach(caller: Caller) -> ColumnElement[bool]:
    """Make the condition for sales a caller may see: a technician's own, else the subtree's."""
    if caller.role is Role.TECHNICIAN:
        return Sale.technician_id == caller.technician_id
    return subtree(Sale.org_unit_id, caller)


async def for_change(tx: AsyncSession, sale_id: UUID, caller: Caller | None = None) -> Sale:
    """Lock a sale until the transaction ends. Raises NotFound, also for other people's sales."""
    statement = (
        select(Sale)
        .where(Sale.id == sale_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if caller is not None:
        statement = statement.where(within_reach(caller))
    sale = (await tx.scalars(statement)).one_or_none()
    if sale is None:
        raise NotFound(sale_id=sale_id)
    return sale


async def items_of(session: AsyncSession, sale_ids: Sequence[UUID]) -> dict[UUID, list[SaleItem]]:
    """Load the items of some sales, in the order they were sold."""
    found: dict[UUID, list[SaleItem]] = {sale_id: [] for sale_id in sale_ids}
    rows = await session.scalars(
        select(SaleItem)
        .where(SaleItem.sale_id.in_(sale_ids))
        .order_by(SaleItem.sale_id, SaleItem.position)
    )
    for item in rows:
        found[item.sale_id].append(item)
    return found


class Install(NamedTuple):
    """Whether a sale is installed in its visit: the order of that, or the codes of why not."""

    order_id: UUID | None = None
    not_now: Sequence[str] = ()


async def installs_of(session: AsyncSession, sale_ids: Sequence[UUID]) -> dict[UUID, Install]:
    """Read of some sales whether they are installed in their visits; sales of which nothing has to
    be installed have neither order nor codes."""
    found = dict.fromkeys(sale_ids, Install())
    for sale_id, order_id, codes in await fetched(session, _INSTALLS, {"ids": list(sale_ids)}):
        found[sale_id] = Install(order_id, codes)
    return found


_INSTALLS = """
SELECT sale_id, work_order_id, '[]'::jsonb FROM same_visit_install WHERE sale_id = ANY(%(ids)s)
UNION ALL
SELECT sale_id, NULL, facts -> 'codes' FROM sale_event
 WHERE sale_id = ANY(%(ids)s) AND step = 'install_not_now'
"""


# Of a sale `s`: whether anything of it that has not come back has to be installed.
_LEFT = """EXISTS (
    SELECT FROM sale_item n JOIN product_offering p ON p.id = n.offering_id
     WHERE n.sale_id = s.id AND n.reversed_at IS NULL AND p.install_minutes IS NOT NULL)
"""
# Of a sale `s` that had something to be installed: whether that came to nothing.
_IN_VAIN = f"(s.state IN ('cancelled', 'rejected') OR s.reversed_at IS NOT NULL OR NOT {_LEFT})"


_LEFT_OF = f"SELECT 1 FROM sale s WHERE id = %(id)s AND {_LEFT}"  # noqa: S608


async def left_to_install(session: AsyncSession, sale_id: UUID) -> bool:
    """Tell whether anything of a sale that has not come back has to be installed."""
    return bool(await fetched(session, _LEFT_OF, {"id": sale_id}))


# Few installs are open at a time, and an index has them.
_ENDED_INSTALLS = f"""
  FROM same_visit_install i JOIN sale s ON s.id = i.sale_id
  JOIN work_order o ON o.id = i.work_order_id
 WHERE i.activated_at IS NULL AND i.gone_at IS NULL AND {_IN_VAIN}
   AND o.state = ANY(%(states)s)
"""
_NOT_BEGUN = (
    f"SELECT i.sale_id, i.work_order_id {_ENDED_INSTALLS} ORDER BY i.accepted_at LIMIT %(limit)s"
)
_BEGUN = f"SELECT i.org_unit_id, count(*) {_ENDED_INSTALLS} GROUP BY 1"


async def installs_to_call_off(session: AsyncSession, limit: int) -> dict[UUID, UUID]:
    """List sales that have ended, or of which nothing is left to be installed, and whose install
    nobody has begun, each with the install's order."""
    given = {"states": [state.value for state in NOT_BEGUN], "limit": limit}
    return dict(await fetched(session, _NOT_BEGUN, given))


async def installs_left(session: AsyncSession) -> dict[UUID, int]:
    """Count the installs that somebody is at though nobody has bought them any more, unit by
    unit."""
    given = {"states": [state.value for state in HELD - NOT_BEGUN]}
    return dict(await fetched(session, _BEGUN, given))


async def install_was_dropped(session: AsyncSession, sale_id: UUID) -> bool:
    """Tell whether the install of a sale was called off, or the slot given back that it booked."""
    return bool(await fetched(session, _DROPPED, {"id": sale_id}))


_DROPPED = """
SELECT 1 FROM sale s
 WHERE s.id = %(id)s
   AND (EXISTS (SELECT FROM same_visit_install i
                 WHERE i.sale_id = s.id AND i.gone_at IS NOT NULL)
        OR EXISTS (SELECT FROM appointment_hold h
                    WHERE h.id = s.appointment_hold_id AND h.state NOT IN ('held', 'confirmed')))
"""


async def booked_at_door(
    session: AsyncSession, hold_id: UUID, work_order_id: UUID, caller: Caller
) -> bool:
    """Tell whether a caller has held a slot for an install at the door of an order; the slot is
    locked until the transaction ends, so that nobody else sells it meanwhile."""
    given = {"hold": hold_id, "order": work_order_id, "account": caller.account_id}
    return bool(await fetched(session, _BOOKED, given))


# A door is a customer in a grid; of slots that were booked before that was kept, only the grid is
# known.
_BOOKED = """
SELECT 1 FROM appointment_hold h JOIN work_order o ON o.grid_id = h.grid_id
  LEFT JOIN visit v ON v.id = h.visit_id LEFT JOIN work_order b ON b.id = v.work_order_id
 WHERE h.id = %(hold)s AND o.id = %(order)s AND h.account_id = %(account)s
   AND h.work_type = 'install' AND h.slot <> 'now'
   AND (h.visit_id IS NULL OR b.customer_id = o.customer_id)
   FOR UPDATE OF h
"""


async def other_sale_of(
    session: AsyncSession, hold_id: UUID, sale_id: UUID
) -> tuple[UUID, SaleState] | None:
    """Find another sale that a locked slot is kept for, and where that stands; one that came to
    nothing has no slot any more."""
    rows = await fetched(session, _OTHER_SALE, {"hold": hold_id, "sale": sale_id})
    return next(((found, SaleState(state)) for found, state in rows), None)


_OTHER_SALE = f"""
SELECT s.id, s.state FROM sale s
 WHERE s.appointment_hold_id = %(hold)s AND s.id <> %(sale)s AND NOT {_IN_VAIN}
 ORDER BY s.id LIMIT 1
"""  # noqa: S608


async def slots_in_vain(session: AsyncSession, limit: int) -> list[UUID]:
    """Lock and list slots that are still kept though every sale that names them came to nothing."""
    found = [row[0] for row in await fetched(session, _SLOTS_IN_VAIN, {"limit": limit})]
    if not found:
        return []
    # Whoever sells one of them at this moment has locked it: what they have made is seen below.
    await fetched(session, _LOCKED_SLOTS, {"ids": found})
    return [row[0] for row in await fetched(session, _STILL_IN_VAIN, {"ids": found})]


# A slot can go from sale to sale: a draft that was cancelled keeps the name of the slot that the
# one in its place has.
_NAMED = "SELECT h.id FROM appointment_hold h JOIN sale s ON s.appointment_hold_id = h.id"
_SLOTS_IN_VAIN = f"""
{_NAMED} WHERE h.state = 'held'
 GROUP BY h.id HAVING bool_and({_IN_VAIN}) ORDER BY h.id LIMIT %(limit)s
"""
_LOCKED_SLOTS = "SELECT FROM appointment_hold WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
_STILL_IN_VAIN = f"""
{_NAMED} WHERE h.state = 'held' AND h.id = ANY(%(ids)s)
 GROUP BY h.id HAVING bool_and({_IN_VAIN}) ORDER BY h.id
"""


class Place(NamedTuple):
    """An address of a customer: its number, and its words."""

    code: str
    address: str


async def place_of(session: AsyncSession, sale: Sale) -> Place | None:
    """Read at which address of its customer a sale is made, as its visit's order says; None where
    the customer has none."""
    given = {"customer_id": sale.customer_id, "order_id": sale.work_order_id}
    row = (await session.execute(_PLACE, given)).one_or_none()
    return None if row is None else Place(row.code, row.standard_address)


_SERVED = served_at(
    bindparam("customer_id", type_=Uuid()),
    service_number=WorkOrder.service_number,
    address=WorkOrder.address,
).lateral()
_PLACE = (
    select(_SERVED.c.code, _SERVED.c.standard_address)
    .select_from(WorkOrder)
    .join(_SERVED, true())
    .where(WorkOrder.id == bindparam("order_id"))
)


async def one(session: AsyncSession, sale_id: UUID, caller: Caller) -> Sale:
    """Read one sale. Raises NotFound, also for other people's sales."""
    sale = (
        await session.scalars(select(Sale).where(Sale.id == sale_id, within_reach(caller)))
    ).one_or_none()
    if sale is None:
        raise NotFound(sale_id=sale_id)
    return sale


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None,
    state: SaleState | None = None,
    technician_id: UUID | None = None,
    made_from: datetime | None = None,
    made_until: datetime | None = None,
) -> Sequence[Sale]:
    """Read one page of sales, newest first, and one row more if there is a next page."""
    wanted: list[Any] = [within_reach(caller)]
    if state is not None:
        wanted.append(Sale.state == state)
    if technician_id is not None:
        wanted.append(Sale.technician_id == technician_id)
    if made_from is not None:
        wanted.append(Sale.made_at >= made_from)
    if made_until is not None:
        wanted.append(Sale.made_at < made_until)
    if after is not None:
        wanted.append(tuple_(Sale.created_at, Sale.id) < tuple_(*after))
    statement = (
        select(Sale).where(*wanted).order_by(Sale.created_at.desc(), Sale.id.desc()).limit(size + 1)
    )
    return (await session.scalars(statement)).all()

"""Putting a sale together at the door: a draft, at the prices of today's catalogue."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.core.errors import Invalid, SameIdOtherContent
from app.feasibility.queries import named_by_others, open_one, reservation
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import Line, SaleState, SaleStep
from app.sales.service.ledger import entered
from app.sales.service.selling import can_be_had, priced, visit_to_sell_in
from app.suggestions.rules.words import HELD_BACK
from app.suggestions.service import guard_now


async def put_together(
    tx: AsyncSession,
    *,
    sale_id: UUID,
    visit_id: UUID,
    lines: Sequence[Line],
    caller: Caller,
    now: datetime,
    device_at: datetime | None = None,
    note: str | None = None,
    reservation_id: UUID | None = None,
    appointment_hold_id: UUID | None = None,
) -> Sale:
    """Put a sale together in a visit, with the prices of today's catalogue; it is a draft.

    The phone makes the id, and sending the same sale twice is answered like the first time.
    Raises NotFound for a visit that is not the caller's, VisitNotBegun, VisitOver,
    OfferHeldBack, CannotBeHad, ReservationOfAnotherSale, SlotOfAnotherSale, SameIdOtherContent, and
    what `priced` raises.
    """
    technician_id = _technician(caller)
    content = rules.content_hash(
        rules.sale_content(visit_id, lines, note, reservation_id, appointment_hold_id)
    )
    known = await tx.get(Sale, sale_id)
    if known is not None:
        return _same(known, content, technician_id)
    visit = await visit_to_sell_in(tx, visit_id, technician_id, caller.org_path, now)
    items, offerings = await priced(tx, sale_id, visit, lines, now, device_at)
    suggested = [line.suggestion_id for line in lines if line.suggestion_id]
    strange = await queries.strange_suggestions(tx, visit_id, suggested)
    if strange:
        raise Invalid(
            errors=[
                {"field": "items.suggestion_id", "message": f"{one} was not made in this visit"}
                for one in sorted(strange)
            ]
        )
    prepaid = all(offering.prepaid for offering in offerings)
    await _still_allowed(tx, visit.customer_id, suggested, prepaid=prepaid, now=now)
    await can_be_had(
        tx,
        offerings,
        visit_id=visit_id,
        customer_id=visit.customer_id,
        on_terms=rules.on_terms((line.offering_code, line.approval_code) for line in lines),
        org_path=caller.org_path,
        now=now,
    )
    if reservation_id is not None:
        await _reserved_here(tx, reservation_id, sale_id, visit_id, technician_id, now)
    if appointment_hold_id is not None:
        await _booked_here(tx, appointment_hold_id, sale_id, visit.work_order_id, caller)
    # Two arrivals of one sale at the same moment: the second finds the first one's row.
    made = await tx.scalar(
        upsert(Sale)
        .values(
            id=sale_id,
            org_unit_id=visit.org_unit_id,
            visit_id=visit_id,
            work_order_id=visit.work_order_id,
            customer_id=visit.customer_id,
            technician_id=technician_id,
            state=SaleState.DRAFT,
            content_hash=content,
            made_at=now,
            device_at=device_at,
            note=note,
            reservation_id=reservation_id,
            appointment_hold_id=appointment_hold_id,
        )
        .on_conflict_do_nothing(index_elements=[Sale.id])
        .returning(Sale.id)
    )
    if made is not None:
        await tx.execute(insert(SaleItem), items)
        audit.note(tx, table="sale", operation="insert", ids=[sale_id])
        await entered(
            tx,
            sale_id,
            SaleStep.PUT_TOGETHER,
            at=now,
            device_at=device_at,
            by=caller.account_id,
            facts={
                "visit_id": visit_id,
                "work_order_id": visit.work_order_id,
                "suggestion_ids": [line.suggestion_id for line in lines if line.suggestion_id],
            },
        )
    sale = await tx.get_one(Sale, sale_id)
    return sale if made is not None else _same(sale, content, technician_id)


async def _reserved_here(
    tx: AsyncSession,
    reservation_id: UUID,
    sale_id: UUID,
    visit_id: UUID,
    technician_id: UUID,
    now: datetime,
) -> None:
    """Check that a reservation was made in this visit, and is no other sale's. Raises Invalid and
    ReservationOfAnotherSale."""
    found = await reservation(tx, reservation_id)
    if found is None or (found.visit_id, found.technician_id) != (visit_id, technician_id):
        message = "was not made in this visit"
        raise Invalid(errors=[{"field": "reservation_id", "message": message}])
    # It is locked, so that nobody else names or uses it meanwhile; one that is over is nobody's.
    held = await open_one(tx, reservation_id)
    if held is None or held.expires_at <= now:
        return
    other = (await named_by_others(tx, visit_id, sale_id)).get(reservation_id)
    if other is not None:
        raise rules.ReservationOfAnotherSale(sale_id=other.sale_id, state=other.state)


async def _booked_here(
    tx: AsyncSession, hold_id: UUID, sale_id: UUID, work_order_id: UUID, caller: Caller
) -> None:
    """Check that a slot was booked by the caller for this door, and is no other sale's. Raises
    Invalid and SlotOfAnotherSale."""
    if not await queries.booked_at_door(tx, hold_id, work_order_id, caller):
        message = "was not booked by you for this door"
        raise Invalid(errors=[{"field": "appointment_hold_id", "message": message}])
    other = await queries.other_sale_of(tx, hold_id, sale_id)
    if other is not None:
        raise rules.SlotOfAnotherSale(sale_id=other[0], state=other[1])


async def _still_allowed(
    tx: AsyncSession,
    customer_id: UUID,
    suggested: Sequence[UUID],
    *,
    prepaid: bool,
    now: datetime,
) -> None:
    """Check that nothing has come between what was suggested and its sale: that would win.

    Of what a customer asks for by themselves only that nothing is sold on credit to who owes.
    Raises OfferHeldBack.
    """
    guard = await guard_now(tx, customer_id, suggested, prepaid=prepaid, now=now)
    if guard is not None:
        raise rules.OfferHeldBack(reason=guard, words=HELD_BACK[guard])


def _technician(caller: Caller) -> UUID:
    if caller.technician_id is None:
        raise Invalid(errors=[{"field": "account", "message": "belongs to no technician"}])
    return caller.technician_id


def _same(known: Sale, content: str, technician_id: UUID) -> Sale:
    if known.content_hash != content or known.technician_id != technician_id:
        raise SameIdOtherContent(id=known.id)
    return known

"""The contact slot: of all who could speak to a customer about a sale, one at a time may.

A visit holds it while offers are on a technician's screen, another channel from asking for it until
it has said that the contact took place, or will not.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers.models import Customer
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.suggestions import queries
from app.suggestions.models import ContactReservation, ContactSlot
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.contacts import (
    ContactOutcome,
    ContactRefused,
    ContactSlotEnded,
    SlotState,
    Standing,
    ban_of,
)
from app.suggestions.rules.limits import limits_in_force
from app.suggestions.rules.words import HELD_BACK

# --- of a visit -----------------------------------------------------------------------------------


async def hold_slots(tx: AsyncSession, held: Sequence[tuple[Door, datetime]]) -> None:
    """Hold customers' slots for doors until a moment, under their locks; one that ran out, or was
    the same order's ahead of its visit, is taken over."""
    await _hold(
        tx,
        [
            {
                "customer_id": door.customer_id,
                "visit_id": door.visit_id,
                "work_order_id": door.work_order_id if door.visit_id is None else None,
                "technician_id": door.technician_id if door.visit_id is None else None,
                "held_until": until,
            }
            for door, until in held
        ],
    )


async def release_slot(tx: AsyncSession, visit_id: UUID) -> None:
    """Give back the contact slot a visit holds, if it holds one: nothing will be pitched in it."""
    await tx.execute(delete(ContactSlot).where(ContactSlot.visit_id == visit_id))


async def release_doors(tx: AsyncSession, doors: Sequence[Door]) -> None:
    """Give back the slots that doors hold, be it in the visit or ahead of it."""
    orders = [door.work_order_id for door in doors]
    visits = [door.visit_id for door in doors if door.visit_id is not None]
    holds = or_(ContactSlot.work_order_id.in_(orders), ContactSlot.visit_id.in_(visits))
    await tx.execute(delete(ContactSlot).where(holds))


async def release_spoken(tx: AsyncSession, visit_id: UUID | None, work_order_id: UUID) -> None:
    """Give back a slot because something was pitched: from here on the ledger counts it."""
    await tx.execute(
        delete(ContactSlot).where(
            or_(ContactSlot.visit_id == visit_id, ContactSlot.work_order_id == work_order_id)
        )
    )


_HELD_BY = ("visit_id", "reservation_id", "work_order_id", "technician_id", "held_until")


async def _hold(tx: AsyncSession, rows: Sequence[Mapping[str, object]]) -> None:
    if not rows:
        return
    whole = [{**dict.fromkeys(_HELD_BY), **row} for row in rows]
    statement = insert(ContactSlot).values(whole)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[ContactSlot.customer_id],
            set_={name: statement.excluded[name] for name in _HELD_BY},
        )
    )


# --- of the other channels ------------------------------------------------------------------------


async def standing_of(
    session: AsyncSession, customer: Customer, now: datetime, channel: Channel | None = None
) -> Standing:
    """Say whether a channel may speak to a customer now; binding only under their lock."""
    path, zone = await queries.unit_of(session, customer.org_unit_id)
    limits = limits_in_force(await parameters_in_force(session), now, path)
    ledger = await queries.ledger_of(session, customer.id, limits, now, zone, channel)
    return Standing(ledger, limits, ban_of(ledger, limits))


async def reserve(
    tx: AsyncSession,
    reservation_id: UUID,
    customer_named: UUID | str,
    caller: Caller,
    *,
    channel: Channel,
    subject: str,
    now: datetime,
) -> ContactReservation:
    """Reserve a customer's contact slot for a channel that is about to speak to them.

    The same reservation sent again is answered like the first time. Raises NotFound,
    ContactRefused with the reason and the first day on which it is allowed, and SameIdOtherContent.
    """
    customer = await queries.customer_named(tx, caller, customer_named)
    asked = {
        "customer_id": customer.id,
        "account_id": caller.account_id,
        "channel": channel,
        "subject": subject,
    }
    await queries.lock_customer(tx, customer.id)
    known = await tx.get(ContactReservation, reservation_id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in asked.items()):
            raise SameIdOtherContent(id=reservation_id)
        return known
    standing = await standing_of(tx, customer, now, channel)
    if standing.ban is not None:
        code, until = standing.ban
        day = until and until.astimezone(standing.ledger.zone).date()
        raise ContactRefused(
            reason=code, words=HELD_BACK[code], allowed_from=until, allowed_on=day or "—"
        )
    held_until = now + timedelta(hours=standing.limits.slot_hours)
    made = await tx.scalar(
        insert(ContactReservation)
        .values(
            **asked,
            id=reservation_id,
            state=SlotState.HELD,
            reserved_at=now,
            held_until=held_until,
        )
        # The id may have been used for somebody else at this moment, whose lock is another.
        .on_conflict_do_nothing(index_elements=[ContactReservation.id])
        .returning(ContactReservation.id)
    )
    if made is None:
        raise SameIdOtherContent(id=reservation_id)
    await _hold(
        tx,
        [
            {
                "customer_id": customer.id,
                "reservation_id": reservation_id,
                "held_until": held_until,
            }
        ],
    )
    return await tx.get_one(ContactReservation, reservation_id)


async def confirm(
    tx: AsyncSession,
    reservation_id: UUID,
    caller: Caller,
    *,
    contacted_at: datetime,
    outcome: ContactOutcome,
    now: datetime,
) -> ContactReservation:
    """Write down that a reserved contact took place; from here on the ledger counts it.

    It is the truth even after the slot ran out, so that too is written down. The same again is
    answered like the first time. Raises NotFound, ContactSlotEnded and SameIdOtherContent.
    """
    slot = await queries.reservation(tx, reservation_id, caller.account_id)
    at = min(max(contacted_at, slot.reserved_at), now)
    if slot.state is SlotState.CONFIRMED:
        # What was said to lie in the future was believed up to the moment at which it was said.
        same = slot.contacted_at in (at, slot.ended_at) and slot.outcome is outcome
        if not same:
            raise SameIdOtherContent(id=reservation_id)
        return slot
    if slot.state is SlotState.RELEASED:
        raise ContactSlotEnded(state=slot.state)
    contact = await record_contact(
        tx,
        customer_id=slot.customer_id,
        at=at,
        channel=slot.channel,
        kind=InteractionKind.SALES,
        subject=slot.subject,
        outcome=outcome.value,
    )
    slot.state, slot.ended_at = SlotState.CONFIRMED, now
    slot.contacted_at, slot.outcome, slot.contact_id = at, outcome, contact.id
    await _free(tx, reservation_id)
    return slot


async def release(
    tx: AsyncSession, reservation_id: UUID, caller: Caller, *, now: datetime
) -> ContactReservation:
    """Give a reserved slot back: nobody was spoken to. Saying so again changes nothing.

    Raises NotFound, and ContactSlotEnded where the contact took place.
    """
    slot = await queries.reservation(tx, reservation_id, caller.account_id)
    if slot.state is SlotState.CONFIRMED:
        raise ContactSlotEnded(state=slot.state)
    if slot.state is SlotState.HELD:
        slot.state, slot.ended_at = SlotState.RELEASED, now
        await _free(tx, reservation_id)
    return slot


async def _free(tx: AsyncSession, reservation_id: UUID) -> None:
    await tx.flush()
    await tx.execute(delete(ContactSlot).where(ContactSlot.reservation_id == reservation_id))

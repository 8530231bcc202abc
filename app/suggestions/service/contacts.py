"""The contact slot: of all who could speak to a customer about a sale, one at a time may.

A visit holds it while offers are on a technician's screen, another channel from asking for it until
it has said that the contact took place, or will not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.catalog.queries import in_force, today_of
from app.core.errors import Invalid, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers.models import Customer, Interaction
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.suggestions import queries
from app.suggestions.models import ContactReservation, ContactSlot
from app.suggestions.queries import NOTHING_OWN, Own
from app.suggestions.rules import HeldBack
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.channels import check_speaker, may_speak, speaker
from app.suggestions.rules.contacts import (
    About,
    ContactOutcome,
    ContactRefused,
    ContactSlotEnded,
    SlotState,
    Standing,
    ban_of,
    check_outcome,
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
    session: AsyncSession,
    customer: Customer,
    now: datetime,
    channel: Channel | None = None,
    own: Own = NOTHING_OWN,
) -> Standing:
    """Say whether a channel may speak to a customer now; binding only under their lock."""
    path, zone = await queries.unit_of(session, customer.org_unit_id)
    limits = limits_in_force(await parameters_in_force(session), now, path)
    ledger = await queries.ledger_of(session, customer.id, limits, now, zone, channel, own)
    return Standing(ledger, limits, ban_of(ledger, limits))


async def held_back(
    tx: AsyncSession,
    customer: Customer,
    channel: Channel,
    codes: Iterable[str],
    *,
    own: Own = NOTHING_OWN,
    now: datetime,
) -> Mapping[str, HeldBack | None]:
    """Say of each offering what forbids to speak of it to a customer now; null is nothing.

    The ledger is read once for all. What is not on sale has only what forbids any offer.
    """
    standing = await standing_of(tx, customer, now, channel, own)
    ledger, found = standing.ledger, {}
    offered = await in_force(tx, now.astimezone(ledger.zone).date())
    for code in codes:
        offering = offered.get(code)
        if offering is None:
            found[code] = standing.ban and standing.ban.code
        elif not may_speak(offering.business_type, channel, by_account_manager=False):
            found[code] = HeldBack.OTHER_CHANNEL
        else:
            about = About(code, offering.category, speaker(channel), offering.prepaid)
            ban = ban_of(replace(ledger, about=about), standing.limits)
            found[code] = ban and ban.code
    return found


async def check(
    tx: AsyncSession,
    customer: Customer,
    channel: Channel,
    offering_code: str | None,
    *,
    own: Own,
    now: datetime,
) -> None:
    """Check that nothing forbids what a customer accepted, of an offering if that is known.

    What is the asker's own is no hindrance. Raises NotFound, and like `reserve` ChannelNotForOffer
    and ContactRefused.
    """
    await queries.lock_customer(tx, customer.id)
    await _checked(tx, customer, channel, offering_code, own=own, now=now)


async def _checked(
    tx: AsyncSession,
    customer: Customer,
    channel: Channel,
    offering_code: str | None,
    *,
    by_account_manager: bool = False,
    own: Own = NOTHING_OWN,
    now: datetime,
) -> Standing:
    """Check under a customer's lock that a channel may speak to them, of an offering if it says so.

    What is not on sale is checked like no offering.
    """
    standing = await standing_of(tx, customer, now, channel, own)
    ledger = standing.ledger
    if offering_code is not None:
        offered = await in_force(tx, now.astimezone(ledger.zone).date())
        offering = offered.get(offering_code)
        if offering is not None:
            check_speaker(
                offering.code,
                offering.business_type,
                channel,
                by_account_manager=by_account_manager,
            )
            by = speaker(channel, by_account_manager=by_account_manager)
            about = About(offering.code, offering.category, by, offering.prepaid)
            ledger = replace(ledger, about=about)
            standing = replace(standing, ledger=ledger, ban=ban_of(ledger, standing.limits))
    if standing.ban is not None:
        code, until = standing.ban
        day = until and until.astimezone(ledger.zone).date()
        raise ContactRefused(
            reason=code, words=HELD_BACK[code], allowed_from=until, allowed_on=day or "—"
        )
    return standing


async def reserve(
    tx: AsyncSession,
    reservation_id: UUID,
    customer_named: UUID | str,
    caller: Caller,
    *,
    channel: Channel,
    subject: str,
    offering_code: str | None = None,
    by_account_manager: bool = False,
    now: datetime,
) -> ContactReservation:
    """Reserve a customer's contact slot for a channel that is about to speak to them.

    Where it says of which offering, what the customer answered to that and who else has taken it
    on count, too. The same reservation sent again is answered like the first time. Raises NotFound,
    Invalid for an offering that is not on sale, ChannelNotForOffer, ContactRefused with the reason
    and the first day on which it is allowed, and SameIdOtherContent.
    """
    customer = await queries.customer_named(tx, caller, customer_named)
    asked = {
        "customer_id": customer.id,
        "account_id": caller.account_id,
        "channel": channel,
        "subject": subject,
        "offering_code": offering_code,
        "by_account_manager": by_account_manager,
    }
    await queries.lock_customer(tx, customer.id)
    known = await tx.get(ContactReservation, reservation_id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in asked.items()):
            raise SameIdOtherContent(id=reservation_id)
        if known.state is not SlotState.HELD or known.held_until > now:
            return known
    await _on_sale(tx, customer.org_unit_id, offering_code, now)
    standing = await _checked(
        tx, customer, channel, offering_code, by_account_manager=by_account_manager, now=now
    )
    held_until = now + timedelta(hours=standing.limits.slot_hours)
    if known is not None:
        known.held_until = held_until
    elif not await tx.scalar(
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
    ):
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
    offering_code: str | None = None,
    later_on: date | None = None,
    now: datetime,
) -> ContactReservation:
    """Write down that a reserved contact took place; from here on the ledger counts it.

    The offering is the one the slot was reserved for, unless another is named here; a customer who
    wants to hear of it later may name the day. It is the truth even after the slot ran out, so that
    too is written down. The same again is answered like the first time. Raises NotFound, Invalid,
    ContactSlotEnded and SameIdOtherContent.
    """
    slot = await queries.reservation(tx, reservation_id, caller.account_id)
    at = min(max(contacted_at, slot.reserved_at), now)
    about = offering_code or slot.offering_code
    if slot.state is SlotState.CONFIRMED:
        before = await tx.get_one(Interaction, slot.contact_id)
        # What was said to lie in the future was believed up to the moment at which it was said.
        same = slot.contacted_at in (at, slot.ended_at) and slot.outcome is outcome
        if not same or (before.offering_code, before.later_on) != (about, later_on):
            raise SameIdOtherContent(id=reservation_id)
        return slot
    if slot.state is SlotState.RELEASED:
        raise ContactSlotEnded(state=slot.state)
    org_unit_id = (await tx.get_one(Customer, slot.customer_id)).org_unit_id
    _, zone = await queries.unit_of(tx, org_unit_id)
    check_outcome(outcome, later_on, at.astimezone(zone).date())
    contact = await record_contact(
        tx,
        customer_id=slot.customer_id,
        at=at,
        channel=slot.channel,
        kind=InteractionKind.SALES,
        subject=slot.subject,
        outcome=outcome.value,
        offering_code=about,
        later_on=later_on,
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


async def run_out(tx: AsyncSession, reservation_id: UUID, *, now: datetime) -> None:
    """Let a slot run out now, if it is held: whoever reserved it is not to speak to the customer
    any more, and may ask for it anew."""
    slot = await tx.get(ContactReservation, reservation_id)
    if slot is None:
        return
    # Whoever asks for a customer's slot waits here, and finds it free.
    await queries.lock_customer(tx, slot.customer_id)
    await tx.refresh(slot, with_for_update=True)
    if slot.state is SlotState.HELD and slot.held_until > now:
        slot.held_until = now
        await _free(tx, reservation_id)


async def reserved(tx: AsyncSession, reservation_id: UUID) -> bool:
    """Tell whether a slot was reserved under an id and not given back, be it that it ran out."""
    slot = await tx.get(ContactReservation, reservation_id)
    return slot is not None and slot.state is not SlotState.RELEASED


async def _on_sale(
    tx: AsyncSession, org_unit_id: UUID, offering_code: str | None, now: datetime
) -> None:
    """Check that what a channel wants to speak of is on sale on the local day. Raises Invalid."""
    if offering_code is None:
        return
    if offering_code not in await in_force(tx, await today_of(tx, org_unit_id, now)):
        raise Invalid(errors=[{"field": "offering_code", "message": "is not on sale today"}])


async def _free(tx: AsyncSession, reservation_id: UUID) -> None:
    await tx.flush()
    await tx.execute(delete(ContactSlot).where(ContactSlot.reservation_id == reservation_id))

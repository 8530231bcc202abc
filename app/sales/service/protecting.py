"""A sale to a customer who is protected waits until somebody else has agreed as well."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.auth.queries import caller_of_technician
from app.catalog.queries import in_force, today_of
from app.core.db import new_id
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.messaging import service as messaging
from app.messaging.rules import MessageKind, number_of
from app.sales import queries, rules
from app.sales.models import Sale, SaleItem, SecondConfirmation
from app.sales.rules import (
    Protection,
    SaleState,
    SaleStep,
    SecondChannel,
    SecondContact,
    SecondState,
)
from app.sales.rules import protecting as numbers
from app.sales.service.agreed import Agreed
from app.sales.service.asking import ask_second
from app.sales.service.codes import give_codes_back
from app.sales.service.installing import drop_install, keep_install, order_install
from app.sales.service.ledger import entered
from app.sales.service.taking_effect import take_effect
from app.visits.rules import takes_messages


async def begin(
    tx: AsyncSession,
    sale: Sale,
    *,
    protection: Protection,
    parties: queries.Parties,
    contact: SecondContact | None,
    agreed: Agreed,
    items: Sequence[SaleItem],
    caller: Caller,
    by: UUID | None,
    device_at: datetime | None,
    now: datetime,
) -> None:
    """Let a locked sale, whose customer has agreed, wait for the second confirmation.

    With a contact that one is asked by message; without, the customer is called back. What can be
    installed in the visit stays reserved for a while. `by` is the account that confirms, if any.
    Raises SecondContactNotFit.
    """
    parameters = await parameters_in_force(tx)
    hours = parameters.number(numbers.SECOND_HOURS, now, caller.org_path)
    days = parameters.number(numbers.CANCEL_DAYS, now, caller.org_path)
    until = now + timedelta(hours=hours)
    request_id = None
    if contact is not None:
        number = number_of(contact.phone)
        number = number if number is not None and takes_messages(number) else None
        own = (parties.customer_phone, parties.technician_phone or "")
        rules.check_contact(
            number,
            contact.relation,
            protection=protection,
            others=frozenset(number_of(each) for each in own),
        )
        assert number is not None
        request = await ask_second(
            tx,
            sale,
            request_id=new_id(),
            number=number,
            content_hash=agreed.content_hash,
            facts={
                "items": agreed.names.zh,
                "price": rules.price_words(agreed.shown, "zh"),
                "days": max(round(hours / 24), 1),
            },
            now=now,
            until=until,
        )
        request_id = request.id
    sale.state = rules.move(sale.state, SaleState.SECOND_CONFIRMATION)
    channel = SecondChannel.CALL if contact is None else SecondChannel.MESSAGE
    tx.add(
        SecondConfirmation(
            sale_id=sale.id,
            org_unit_id=sale.org_unit_id,
            reason=protection,
            channel=channel,
            relation=contact.relation if contact else None,
            request_id=request_id,
            state=SecondState.DUE,
            asked_at=now,
            due_at=until,
            cancel_until=now + timedelta(days=days),
        )
    )
    await entered(
        tx,
        sale.id,
        SaleStep.SECOND_CONFIRMATION_DUE,
        at=now,
        device_at=device_at,
        by=by,
        facts={"channel": channel.value, "due_at": until},
    )
    await keep_install(tx, sale, items, caller, until=until, now=now)


async def answered(
    tx: AsyncSession,
    sale: Sale,
    *,
    agrees: bool,
    now: datetime,
    by: UUID | None = None,
    note: str | None = None,
) -> None:
    """Take the answer to a locked sale's second confirmation. With a yes it is installed in its
    visit, where whoever sold it is still there and can. Raises NoSecondConfirmation."""
    second = await queries.second_of(tx, sale.id)
    if second is None or second.state is not SecondState.DUE:
        raise rules.NoSecondConfirmation(state=sale.state)
    second.state = SecondState.GIVEN if agrees else SecondState.REFUSED
    second.answered_at, second.account_id, second.note = now, by, note
    if not agrees:
        await _cancelled(tx, sale, numbers.REFUSED, now=now, by=by)
        return
    await entered(
        tx,
        sale.id,
        SaleStep.SECOND_CONFIRMED,
        at=now,
        by=by,
        facts={"channel": second.channel.value},
    )
    await take_effect(tx, sale, now=now, by=by)
    items = (await queries.items_of(tx, [sale.id]))[sale.id]
    seller = await caller_of_technician(tx, sale.technician_id)
    await order_install(tx, sale, items, seller, now=now, by=by)


async def write_down(
    tx: AsyncSession, *, sale_id: UUID, caller: Caller, agrees: bool, note: str, now: datetime
) -> Sale:
    """Write down what a call back has brought; the same word of the same person a second time is
    answered alike. Raises NotFound and NoSecondConfirmation."""
    sale = await queries.for_change(tx, sale_id, caller)
    second = await queries.second_of(tx, sale_id)
    said = SecondState.GIVEN if agrees else SecondState.REFUSED
    if second is not None and (second.state, second.account_id, second.note) == (
        said,
        caller.account_id,
        note,
    ):
        return sale
    await answered(tx, sale, agrees=agrees, now=now, by=caller.account_id, note=note)
    return sale


async def withdraw(tx: AsyncSession, sale: Sale, *, now: datetime, by: UUID | None) -> None:
    """Cancel a locked sale that waits, because the customer wants it no more."""
    second = await queries.second_of(tx, sale.id)
    if second is not None and second.state is SecondState.DUE:
        second.state, second.answered_at, second.account_id = SecondState.REFUSED, now, by
    await _cancelled(tx, sale, numbers.WITHDRAWN, now=now, by=by)


async def lapse(tx: AsyncSession, sale_id: UUID, *, now: datetime) -> bool:
    """Cancel a sale whose second confirmation did not come in time; tells if it did."""
    sale = await queries.for_change(tx, sale_id)
    second = await queries.second_of(tx, sale_id)
    if second is None or second.state is not SecondState.DUE or second.due_at > now:
        return False
    second.state, second.answered_at = SecondState.LAPSED, now
    await _cancelled(tx, sale, numbers.NOT_CONFIRMED, now=now, by=None)
    return True


async def _cancelled(
    tx: AsyncSession, sale: Sale, why: Words, *, now: datetime, by: UUID | None
) -> None:
    sale.state = rules.move(sale.state, SaleState.CANCELLED)
    sale.rejected_reason = f"{why.zh} / {why.en}"
    await entered(tx, sale.id, SaleStep.CANCELLED, at=now, by=by)
    await drop_install(tx, sale, now=now)
    items = (await queries.items_of(tx, [sale.id]))[sale.id]
    await give_codes_back(tx, sale, now=now)
    parties = await queries.parties_of(tx, sale.customer_id, sale.technician_id)
    catalogue = await in_force(tx, await today_of(tx, sale.org_unit_id, now))
    names = [
        f"{known.name_zh if known else item.offering_code} ×{item.quantity}"
        for item in items
        for known in [catalogue.get(item.offering_code)]
    ]
    if takes_messages(number_of(parties.customer_phone)):
        await messaging.send(
            tx,
            kind=MessageKind.SALE_CANCELLED,
            to=parties.customer_phone,
            org_unit_id=sale.org_unit_id,
            about=sale.id,
            facts={"items": "、".join(names)},
            now=now,
        )

"""Doorways of contacts: each channel asks before it speaks to a customer, all see the ledger."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query
from pydantic import Field, TypeAdapter, WithJsonSchema

from app.auth.callers import ANYBODY, Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Code, Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.customers.rules import Channel
from app.suggestions import queries, service
from app.suggestions.schemas.contacts import (
    ContactIn,
    ContactOut,
    ContactPage,
    ContactSlotIn,
    ContactSlotOut,
    ContactStandingOut,
)

router = Router(prefix="/v1", tags=["contacts"])

Seer = Annotated[Caller, Depends(caller(*ANYBODY, scope="contacts:read"))]
OtherChannel = Annotated[Caller, Depends(caller(Role.INTEGRATION, scope="contacts:reserve"))]
Named = Annotated[
    # What reads as an id is one: a code that looks like it would be found by nobody.
    # Both are text to a client, and a union of two texts is a class of its own in some languages.
    Annotated[
        UUID | Code,
        Field(union_mode="left_to_right"),
        WithJsonSchema(TypeAdapter(Code).json_schema()),
    ],
    Path(description="Our id of the customer, or the CRM's code."),
]


@router.post("/customers/{customer}/contact-slots", operation_id="contacts_reserve")
async def reserve(
    customer: Named, body: ContactSlotIn, channel: OtherChannel, tx: Tx, now: Now
) -> ContactSlotOut:
    """Reserve the customer's contact slot before speaking to them of an offer.

    Refused with the reason and the first day on which it is allowed. Confirm it once the contact
    took place, or release it; a slot that nobody uses ends after a day.
    """
    wanted = body.model_dump(exclude={"id"})
    slot = await service.reserve(tx, body.id, customer, channel, **wanted, now=now)
    return ContactSlotOut.model_validate(slot)


@router.post("/contact-slots/{slot_id}/confirm", operation_id="contacts_confirm")
async def confirm(
    slot_id: UUID, body: ContactIn, channel: OtherChannel, tx: Tx, now: Now
) -> ContactSlotOut:
    """Say that the contact took place and how it ended, also after the slot ran out."""
    slot = await service.confirm(tx, slot_id, channel, **body.model_dump(), now=now)
    return ContactSlotOut.model_validate(slot)


@router.post("/contact-slots/{slot_id}/release", operation_id="contacts_release")
async def release(slot_id: UUID, channel: OtherChannel, tx: Tx, now: Now) -> ContactSlotOut:
    """Give a slot back: nobody was spoken to."""
    return ContactSlotOut.model_validate(await service.release(tx, slot_id, channel, now=now))


@router.get("/customers/{customer}/contacts", operation_id="contacts_list")
async def listed(
    customer: Named,
    seer: Seer,
    read: Read,
    now: Now,
    lang: Language,
    channel: Annotated[
        Channel | None, Query(description="Whose consent the standing asks for, too.")
    ] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> ContactPage:
    """List a customer's contacts on all channels, the latest first, and whether one more may be.

    Only a slot that is reserved binds: the standing can change at any moment.
    """
    known = await queries.customer_shown(read, seer, customer)
    standing = await service.standing_of(read, known, now, channel)
    holder = await queries.slot_holder(read, known.id, now)
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(await queries.contacts_page(read, known.id, size=size, after=after), size)
    return ContactPage(
        customer_id=known.id,
        standing=ContactStandingOut.of(standing, holder, lang),
        contacts=[ContactOut.of(row) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )

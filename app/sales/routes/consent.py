"""Doorways of consent: a customer is asked, agrees, and where they are protected somebody else
does as well."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, status

from app.core.db import Read, Tx, settle
from app.core.doorways import Router
from app.core.http import Moment, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.sales import queries, service
from app.sales.routes.callers import Confirmer, Reader, Seller
from app.sales.routes.showing import shown
from app.sales.rules import ConsentKind, SecondState
from app.sales.schemas.consent import (
    ConfirmIn,
    ConsentAskedOut,
    ConsentProofsOut,
    ConsentRequestIn,
    ConsentRequestsOut,
    MissingSignatureOut,
    MissingSignaturePage,
    OtpConsent,
    SecondConfirmationIn,
    SecondConfirmationOut,
    SecondConfirmationPage,
    SecondReportOut,
)
from app.sales.schemas.selling import SaleOut
from app.visits.routes.callers import Keys

router = Router(prefix="/v1", tags=["sales"])


@router.post(
    "/sales/{sale_id}/consent-requests",
    status_code=status.HTTP_201_CREATED,
    operation_id="sales_ask_consent",
)
async def ask(
    sale_id: UUID, body: ConsentRequestIn, seller: Seller, tx: Tx, now: Now, keys: Keys
) -> ConsentAskedOut:
    """Ask the customer by message, naming what is sold and what it costs.

    With `otp` they get a code to tell, with `sms_reply` they reply by themselves. What was asked
    before is void. Only so often within an hour, and to the customer's number on record alone.
    """
    asked = await service.ask(
        tx,
        sale_id=sale_id,
        caller=seller,
        keys=keys,
        request_id=body.id,
        kind=ConsentKind(body.kind),
        lang=body.language,
        now=now,
        device_at=body.device_at,
    )
    return ConsentAskedOut.asked(asked.request, asked.left, now)


@router.get("/sales/{sale_id}/consent-requests", operation_id="sales_consent_requests")
async def requests(sale_id: UUID, reader: Reader, read: Read, now: Now) -> ConsentRequestsOut:
    """List what a sale's customer was asked and whether they have answered."""
    sale = await queries.one(read, sale_id, reader)
    return ConsentRequestsOut.of(await queries.requests_of(read, sale.id), now)


@router.get("/sales/{sale_id}/consent-proofs", operation_id="sales_consent_proofs")
async def proofs(sale_id: UUID, confirmer: Confirmer, read: Read, now: Now) -> ConsentProofsOut:
    """List what shows how consent was given by message: the words sent and those that came back."""
    sale = await queries.one(read, sale_id, confirmer)
    return ConsentProofsOut.of(await queries.proofs_of(read, sale.id), now)


@router.post("/sales/{sale_id}/confirm", operation_id="sales_confirm")
async def confirm(
    sale_id: UUID,
    body: ConfirmIn,
    seller: Seller,
    request: Request,
    tx: Tx,
    now: Now,
    keys: Keys,
) -> SaleOut:
    """Confirm a sale with the customer's consent; from here on it reaches the ordering system.

    A sale to a customer who is protected waits in `second_confirmation` until somebody else has
    agreed as well.
    """
    if isinstance(body.consent, OtpConsent):
        checked = await service.check_code(
            tx,
            sale_id=sale_id,
            request_id=body.consent.request_id,
            caller=seller,
            keys=keys,
            code=body.consent.code,
            given_at=body.consent.given_at,
            now=now,
        )
        # A wrong try stays counted.
        await settle(tx, request)
        checked.accepted()
    sale = await service.confirm(
        tx,
        sale_id=sale_id,
        kind=ConsentKind(body.consent.kind),
        given_at=body.consent.given_at,
        evidence=body.evidence(),
        caller=seller,
        now=now,
        second_contact=body.contact(),
    )
    return (await shown(tx, [sale]))[0]


@router.post("/sales/{sale_id}/second-confirmation", operation_id="sales_second_confirmation")
async def second_confirmation(
    sale_id: UUID, body: SecondConfirmationIn, confirmer: Confirmer, tx: Tx, now: Now
) -> SaleOut:
    """Write down what calling back has brought: the sale counts, or it is cancelled."""
    sale = await service.write_down(
        tx, sale_id=sale_id, caller=confirmer, agrees=body.agreed, note=body.note, now=now
    )
    return (await shown(tx, [sale]))[0]


@router.get("/second-confirmations", operation_id="second_confirmations_list")
async def second_confirmations(
    confirmer: Confirmer,
    read: Read,
    state: SecondState | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> SecondConfirmationPage:
    """List second confirmations, newest first; those `due` by `call` are to be called back."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.seconds_page(read, confirmer, state=state, size=size, after=after)
    rows, last = cut(found, size)
    return SecondConfirmationPage(
        second_confirmations=[SecondConfirmationOut.of(row) for row in rows],
        next_page_token=token_of(last.asked_at, last.sale_id) if last else None,
    )


@router.get("/second-confirmations/report", operation_id="second_confirmations_report")
async def report(
    confirmer: Confirmer,
    read: Read,
    asked_from: Annotated[Moment, Query()],
    asked_until: Annotated[Moment, Query()],
) -> SecondReportOut:
    """Count second confirmations by why they were needed and what came of them."""
    return SecondReportOut.of(
        await queries.seconds_counted(read, confirmer, since=asked_from, until=asked_until)
    )


@router.get("/sales/signatures/missing", operation_id="sales_missing_signatures")
async def missing_signatures(
    confirmer: Confirmer, read: Read, size: PageSize = 50, token: PageToken = None
) -> MissingSignaturePage:
    """List sales that were signed and whose picture has not come in time."""
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(
        await queries.missing_signatures(read, confirmer, size=size, after=after), size
    )
    return MissingSignaturePage(
        signatures=[MissingSignatureOut.of(row) for row in rows],
        next_page_token=(
            token_of(last.flagged_at, last.sale_id) if last and last.flagged_at else None
        ),
    )

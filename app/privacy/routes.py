"""Doorways of privacy: for administrators, who answer to the persons and to the law."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.core.parameter_values import parameters_in_force
from app.privacy import queries, service
from app.privacy.rules.periods import PERIODS
from app.privacy.rules.register import REGISTER
from app.privacy.schemas import (
    PeriodOut,
    PersonalColumnOut,
    PrivacyDocument,
    PrivacyRegister,
    PrivacyRequestIn,
    PrivacyRequestOut,
    PrivacyRequests,
)
from app.privacy.service.sweeping import work_of

router = Router(prefix="/v1/privacy", tags=["privacy"])

Keeper = Annotated[Caller, Depends(caller(Role.ADMIN, scope="privacy:handle"))]


@router.post("/requests", operation_id="privacy_ask")
async def ask(body: PrivacyRequestIn, keeper: Keeper, tx: Tx, now: Now) -> PrivacyRequestOut:
    """Ask for everything that is kept of customers, or that it be erased.

    Of one customer it is done with the answer. Of several it waits until another administrator
    agrees. Nobody can be erased while they are served: what stands against it is named.
    """
    fields = body.model_dump(exclude={"id"})
    made = await service.ask(tx, request_id=body.id, caller=keeper, now=now, **fields)
    return PrivacyRequestOut.model_validate(made)


@router.get("/requests", operation_id="privacy_requests")
async def requests(
    keeper: Keeper, read: Read, size: PageSize = 50, token: PageToken = None
) -> PrivacyRequests:
    """List what was asked for, the newest first."""
    after = key_of(token, UUID)[0] if token else None
    rows = await queries.listed(read, keeper, after=after, limit=size + 1)
    page, last = cut(rows, size)
    return PrivacyRequests(
        items=[PrivacyRequestOut.model_validate(row) for row in page],
        next_page_token=token_of(last.id) if last else None,
    )


@router.get("/requests/{request_id}", operation_id="privacy_request")
async def request(request_id: UUID, keeper: Keeper, read: Read) -> PrivacyRequestOut:
    """Show what was asked for and what came of it."""
    return PrivacyRequestOut.model_validate(await queries.one(read, keeper, request_id))


@router.post("/requests/{request_id}/agree", operation_id="privacy_agree")
async def agree(request_id: UUID, keeper: Keeper, tx: Tx, now: Now) -> PrivacyRequestOut:
    """Agree to what another administrator asked for several customers."""
    agreed = await service.agree(tx, request_id, keeper, now=now)
    return PrivacyRequestOut.model_validate(agreed)


@router.get("/requests/{request_id}/document", operation_id="privacy_document")
async def document(
    request_id: UUID, keeper: Keeper, tx: Tx, now: Now, response: Response
) -> PrivacyDocument:
    """Fetch what an export holds, as it is now; for those who asked for it or agreed to it.

    Each customer in it leaves an entry in the audit trail. It can be fetched for some days
    (`privacy.document_days`).
    """
    response.headers["cache-control"] = "no-store"
    return PrivacyDocument.model_validate(
        await service.document_of(tx, request_id, keeper, now=now)
    )


@router.get("/register", operation_id="privacy_register")
async def register(keeper: Keeper, read: Read, now: Now) -> PrivacyRegister:
    """Show where personal data stands, what erasing does to it, and for how long it is kept."""
    numbers = await parameters_in_force(read)
    nights = await queries.nights(read, [work_of(period) for period in PERIODS])
    return PrivacyRegister(
        columns=[
            PersonalColumnOut(
                table=table, column=column, kind=personal.kind, on_erasure=personal.then
            )
            for table, entry in REGISTER.items()
            for column, personal in entry.columns.items()
        ],
        periods=[
            PeriodOut(
                name=period.name,
                table=period.table,
                what=period.what,
                parameter=period.days.name,
                days=numbers.number(period.days, now, ""),
                done_at=night.done_at if night else None,
                ended=night.facts.get("ended") if night else None,
            )
            for period in PERIODS
            for night in [nights.get(work_of(period))]
        ],
    )

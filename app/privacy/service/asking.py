"""Requests: asked for by one administrator, agreed to by another where many are concerned."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core import jobs
from app.core.errors import NotFound, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers import queries as customers
from app.privacy import queries, rules
from app.privacy.models import PrivacyRequest
from app.privacy.rules import RequestKind, RequestState, StillServed
from app.privacy.rules.register import REGISTER
from app.privacy.service.erasing import erase


async def ask(
    tx: AsyncSession,
    *,
    request_id: UUID,
    kind: RequestKind,
    customer_ids: Sequence[UUID],
    reason: str,
    caller: Caller,
    now: datetime,
) -> PrivacyRequest:
    """Ask for an export or an erasure; of one customer it is done at once, with the commit.

    The client makes the id, and the same again is answered like the first. Raises NotFound for
    customers outside the caller's subtree, Invalid, SameIdOtherContent and StillServed.
    """
    rules.check_asked(customer_ids)
    known = await tx.get(PrivacyRequest, request_id)
    if known is not None:
        same = (known.kind, known.customer_ids, known.reason, known.asked_by)
        if same != (kind, list(customer_ids), reason, caller.account_id):
            raise SameIdOtherContent(id=request_id)
        return known
    if len(await queries.those_within(tx, caller, customer_ids)) < len(customer_ids):
        raise NotFound()
    request = PrivacyRequest(
        id=request_id,
        org_unit_id=caller.org_unit_id,
        kind=kind,
        state=RequestState.WAITING,
        customer_ids=list(customer_ids),
        reason=reason,
        asked_by=caller.account_id,
        asked_at=now,
        told=[],
    )
    tx.add(request)
    await tx.flush()
    if not rules.needs_second_person(customer_ids):
        await _do(tx, request, caller, now=now, strict=True)
    return request


async def agree(
    tx: AsyncSession, request_id: UUID, caller: Caller, *, now: datetime
) -> PrivacyRequest:
    """Agree to what somebody else asked for; erasures are then carried out by a job.

    Agreeing again changes nothing. Raises NotFound and SecondPersonNeeded.
    """
    request = await queries.for_change(tx, caller, request_id)
    if request.state is not RequestState.WAITING:
        return request
    rules.check_agreeing(request.asked_by, caller.account_id)
    request.agreed_by, request.agreed_at = caller.account_id, now
    request.state = RequestState.AGREED
    if request.kind is RequestKind.EXPORT:
        request.state, request.done_at = RequestState.DONE, now
    else:
        await jobs.tell(tx, "privacy.agreed", request_id=request.id)
    await tx.flush()
    return request


async def carry_out(
    tx: AsyncSession, request: PrivacyRequest, caller: Caller, *, now: datetime
) -> None:
    """Erase the customers of a request that was agreed to; what stands against one is told."""
    await _do(tx, request, caller, now=now, strict=False)


async def _do(
    tx: AsyncSession, request: PrivacyRequest, caller: Caller, *, now: datetime, strict: bool
) -> None:
    told: list[dict[str, Any]] = []
    if request.kind is RequestKind.ERASURE:
        for customer_id in request.customer_ids:
            try:
                rows = await erase(tx, customer_id, caller, now=now)
            except StillServed as refused:
                if strict:
                    raise
                told.append({"customer_id": str(customer_id), "against": refused.facts})
            else:
                told.append({"customer_id": str(customer_id), "rows": rows})
    request.told = told
    request.state, request.done_at = RequestState.DONE, now
    await tx.flush()


async def document_of(
    tx: AsyncSession, request_id: UUID, caller: Caller, *, now: datetime
) -> dict[str, Any]:
    """Put together everything that is kept of the customers of an export.

    For those who asked for it and agreed to it, and for some days; each customer in it leaves an
    audit entry. Raises NotFound for everybody else.
    """
    request = await queries.one(tx, caller, request_id)
    numbers = await parameters_in_force(tx)
    days = timedelta(days=numbers.number(rules.DOCUMENT_DAYS, now, caller.org_path))
    if (
        request.kind is not RequestKind.EXPORT
        or request.done_at is None
        or now - request.done_at > days
        or caller.account_id not in (request.asked_by, request.agreed_by)
    ):
        raise NotFound()
    fields = sorted(
        f"{table}.{column}"
        for table, entry in REGISTER.items()
        if entry.whose is not None
        for column in entry.columns
    )
    about = []
    for customer_id in request.customer_ids:
        customer = await customers.one(tx, caller, customer_id)
        audit.unmasked(
            tx,
            caller,
            subject_kind="customer",
            subject_id=customer_id,
            purpose=f"privacy_request:{request.id}",
            fields=fields,
        )
        about.append(
            {
                "customer_id": customer.id,
                "code": customer.code,
                "tables": await queries.exported_rows(tx, customer_id),
            }
        )
    return {"request_id": request.id, "as_of": now, "customers": about}

"""Doorways of special terms: asked for, approved, and shown with their code to who asked."""

from uuid import UUID

from fastapi import status

from app.auth.callers import Caller
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.retention.models import SpecialTerms
from app.retention.queries import terms as queries
from app.retention.routes.callers import Attendant, Keys, Leader, Viewer
from app.retention.rules import TermsState
from app.retention.schemas.terms import TermsIn, TermsOut, TermsPage, VerdictIn
from app.retention.service import terms as service

router = Router(prefix="/v1/special-terms", tags=["retention"])


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="special_terms_ask")
async def ask(body: TermsIn, attendant: Attendant, tx: Tx, now: Now, keys: Keys) -> TermsOut:
    """Ask for special terms for a customer: within one's own mandate they are approved at once,
    otherwise along the toolkit's path. The same id with the same content is answered alike.
    """
    special = await service.ask(tx, body.asked(), attendant, keys, now=now)
    return await _shown(tx, special, attendant, keys, now)


@router.get("", operation_id="special_terms_list")
async def listed(
    viewer: Viewer,
    read: Read,
    now: Now,
    keys: Keys,
    state: TermsState | None = None,
    customer_id: UUID | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> TermsPage:
    """List special terms, the newest first: a technician's own, or those of a supervisor's part.

    What waits for approval is `state=waiting`.
    """
    found = await queries.page(
        read,
        viewer,
        size=size,
        after=key_of(token, UUID)[0] if token else None,
        state=state,
        customer_id=customer_id,
    )
    rows, last = cut(found, size)
    verdicts = await queries.verdicts(read, [row.id for row in rows])
    return TermsPage(
        special_terms=[
            TermsOut.of(row, verdicts, code=_code(row, viewer, keys), now=now) for row in rows
        ],
        next_page_token=token_of(last.id) if last else None,
    )


@router.get("/{terms_id}", operation_id="special_terms_one")
async def one(terms_id: UUID, viewer: Viewer, read: Read, now: Now, keys: Keys) -> TermsOut:
    """Read special terms; the asker sees the code while it is good."""
    return await _shown(read, await queries.one(read, terms_id, viewer), viewer, keys, now)


@router.post("/{terms_id}/approve", operation_id="special_terms_approve")
async def approve(
    terms_id: UUID, body: VerdictIn, leader: Leader, tx: Tx, now: Now, keys: Keys
) -> TermsOut:
    """Approve the step that waits; after the last one the asker sees the code."""
    special = await service.judge(
        tx, terms_id, leader, keys, approved=True, reason=body.reason, now=now
    )
    return await _shown(tx, special, leader, keys, now)


@router.post("/{terms_id}/decline", operation_id="special_terms_decline")
async def decline(
    terms_id: UUID, body: VerdictIn, leader: Leader, tx: Tx, now: Now, keys: Keys
) -> TermsOut:
    """Decline the terms; the asker reads why."""
    special = await service.judge(
        tx, terms_id, leader, keys, approved=False, reason=body.reason, now=now
    )
    return await _shown(tx, special, leader, keys, now)


@router.post("/{terms_id}/withdraw", operation_id="special_terms_withdraw")
async def withdraw(terms_id: UUID, attendant: Attendant, tx: Tx, now: Now, keys: Keys) -> TermsOut:
    """Take back what one has asked for, as long as no sale has used it."""
    special = await service.withdraw(tx, terms_id, attendant, now=now)
    return await _shown(tx, special, attendant, keys, now)


async def _shown(
    session: Read, special: SpecialTerms, caller: Caller, keys: Keys, now: Now
) -> TermsOut:
    verdicts = await queries.verdicts(session, [special.id])
    return TermsOut.of(special, verdicts, code=_code(special, caller, keys), now=now)


def _code(special: SpecialTerms, caller: Caller, keys: Keys) -> str | None:
    return service.code_of(special, keys) if special.asked_by == caller.account_id else None

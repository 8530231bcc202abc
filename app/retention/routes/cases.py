"""Doorways of cases: taken, given, claimed, and how they ended."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import status

from app.auth.callers import technician_of
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.retention.queries import cases as queries
from app.retention.queries.toolkits import toolkits
from app.retention.routes.callers import Attendant, Leader, Overseer, Technician, Viewer
from app.retention.rules import CaseState, Cause, Handling
from app.retention.schemas.cases import (
    CaseClaimOut,
    CaseOut,
    CasesPage,
    CaseStandingOut,
    CaseWithToolkitOut,
    GiveIn,
    MyCasesOut,
    OutcomeIn,
    TakeIn,
)
from app.retention.schemas.toolkits import ToolkitOut
from app.retention.service import working

router = Router(prefix="/v1", tags=["retention"])

# No technician has more open at a time.
MOST_OF_MINE = 200


@router.get("/retention-cases", operation_id="retention_cases_list")
async def listed(
    overseer: Overseer,
    read: Read,
    state: CaseState | None = None,
    cause: Cause | None = None,
    handling: Handling | None = None,
    grid_id: UUID | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CasesPage:
    """List cases, those decided last first; customers are masked.

    The calls that wait are `state=open&handling=call`; `arm` says who is left alone for comparison.
    """
    found = await queries.page(
        read,
        overseer,
        size=size,
        after=key_of(token, datetime, UUID) if token else None,
        state=state,
        cause=cause,
        handling=handling,
        grid_id=grid_id,
    )
    rows, last = cut(found, size)
    return CasesPage(
        cases=[CaseOut(**CaseOut.row(row)) for row in rows],
        next_page_token=token_of(last.decided_at, last.id) if last else None,
    )


@router.get("/my/retention-cases", operation_id="retention_cases_mine")
async def mine(technician: Technician, read: Read) -> MyCasesOut:
    """List the caller's open cases: calls given to them, and visits whose order they hold.

    Each with its toolkit: what may be offered, within which mandate, and what is said.
    """
    rows = await queries.mine(read, technician_of(technician), most=MOST_OF_MINE)
    return MyCasesOut(cases=[await _with_toolkit(read, row) for row in rows])


@router.get("/retention-cases/{case_id}", operation_id="retention_cases_one")
async def one(case_id: UUID, viewer: Viewer, read: Read) -> CaseWithToolkitOut:
    """Read a case with its toolkit; its customer is masked."""
    return await _with_toolkit(read, await queries.one(read, case_id, viewer))


@router.post(
    "/retention-cases", status_code=status.HTTP_201_CREATED, operation_id="retention_cases_take"
)
async def take(body: TakeIn, leader: Leader, tx: Tx, now: Now) -> CaseStandingOut:
    """Take a customer from the win-back or the renewal list: a visit becomes a care order, a call
    waits for who claims it. The same id with the same content is answered like the first time.
    """
    return CaseStandingOut.of(await working.take(tx, body.wanted(), leader, now=now))


@router.post("/retention-cases/{case_id}/give", operation_id="retention_cases_give")
async def give(case_id: UUID, body: GiveIn, leader: Leader, tx: Tx, now: Now) -> CaseStandingOut:
    """Give a call to a technician, who sees it among their cases from now on."""
    case = await working.give(tx, case_id, body.technician_id, leader, now=now)
    return CaseStandingOut.of(case)


@router.post("/retention-cases/{case_id}/claim", operation_id="retention_cases_claim")
async def claim(
    case_id: UUID, attendant: Attendant, tx: Tx, now: Now, lang: Language
) -> CaseClaimOut:
    """Take a call on, for half an hour or so; its name and number are shown in full, and audited.

    Claiming it again lengthens that. Look at `offers`: what is held back may not be spoken of, and
    a call that only cares may have none that is not.
    """
    return CaseClaimOut.of(await working.claim(tx, case_id, attendant, now=now), lang)


@router.post("/retention-cases/{case_id}/outcome", operation_id="retention_cases_outcome")
async def outcome(
    case_id: UUID, body: OutcomeIn, attendant: Attendant, tx: Tx, now: Now
) -> CaseStandingOut:
    """Write down how a contact ended; the same again is answered alike.

    A call has to be claimed for it; of a visit the technician who holds its order tells, at the
    door or after completing. `unreached` and `later` keep the case open. What was accepted against
    what every channel keeps to is refused (`contact-refused`).
    """
    return CaseStandingOut.of(await working.said(tx, case_id, body.said(), attendant, now=now))


async def _with_toolkit(read: Read, row: Any) -> CaseWithToolkitOut:
    kit = (await toolkits(read)).get(row.toolkit_id)
    return CaseWithToolkitOut(**CaseOut.row(row), toolkit=ToolkitOut.of(kit) if kit else None)

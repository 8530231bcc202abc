"""The supervisor's doorways: leads that were handed over, and notes of competitors."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.suggestions import queries, service
from app.suggestions.rules.leads import LeadState
from app.suggestions.schemas.leads import (
    CompetitorNoteOut,
    CompetitorNotePage,
    LeadIn,
    LeadOut,
    LeadPage,
)
from app.suggestions.schemas.prospects import ProspectOut

router = Router(prefix="/v1", tags=["suggestions"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:read"))]
Writer = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="customers:write"))]


@router.get("/sales-leads", operation_id="leads_list")
async def leads(
    reader: Reader,
    read: Read,
    state: LeadState | None = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> LeadPage:
    """List offers handed over to other channels and people who are no customers, latest first."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.leads_page(read, reader, state=state, size=size, after=after)
    rows, last = cut(found, size)
    prospects = await queries.prospects_by_id(read, [row.prospect_id for row in rows])
    return LeadPage(
        leads=[LeadOut.of(row, prospects.get(row.prospect_id)) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.patch("/sales-leads/{lead_id}", operation_id="leads_move")
async def move(lead_id: UUID, body: LeadIn, writer: Writer, tx: Tx, now: Now) -> LeadOut:
    """Take a lead on, or say how it ended; the same again changes nothing."""
    lead = await service.move_lead(tx, lead_id, writer, state=body.state, note=body.note, now=now)
    prospects = await queries.prospects_by_id(tx, [lead.prospect_id])
    return LeadOut.of(lead, prospects.get(lead.prospect_id))


@router.get("/prospects/{prospect_id}", operation_id="prospects_read")
async def prospect(prospect_id: UUID, writer: Writer, tx: Tx) -> ProspectOut:
    """Show whom to call, in full, to whoever follows their lead; every look is written down."""
    found = await service.shown_prospect(tx, prospect_id, writer)
    return ProspectOut.of(found, masked=False)


@router.post("/prospects/{prospect_id}/forget", operation_id="prospects_forget")
async def forget(prospect_id: UUID, writer: Writer, tx: Tx, now: Now) -> ProspectOut:
    """Forget who a prospect is, because they asked for it; their lead ends. It cannot be undone."""
    return ProspectOut.of(await service.forget_prospect(tx, prospect_id, writer, now=now))


@router.get("/competitor-notes", operation_id="competitor_notes_list")
async def notes(
    reader: Reader,
    read: Read,
    grid_id: Annotated[UUID | None, Query(description="Only of one grid.")] = None,
    size: PageSize = 50,
    token: PageToken = None,
) -> CompetitorNotePage:
    """List what customers told of other operators at the door, the latest first."""
    after = key_of(token, datetime, UUID) if token else None
    found = await queries.notes_page(read, reader, grid_id=grid_id, size=size, after=after)
    rows, last = cut(found, size)
    return CompetitorNotePage(
        notes=[CompetitorNoteOut.model_validate(row) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )

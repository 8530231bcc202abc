"""What a supervisor does with the leads that technicians have handed over."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.suggestions import queries
from app.suggestions.models import SalesLead
from app.suggestions.rules.leads import LeadState, moved


async def move_lead(
    tx: AsyncSession,
    lead_id: UUID,
    caller: Caller,
    *,
    state: LeadState,
    note: str | None,
    now: datetime,
) -> SalesLead:
    """Take a lead on, or say how it ended. Where it stands so already, nothing changes.

    Raises NotFound and LeadStepRefused.
    """
    lead = await queries.lead_for_change(tx, caller, lead_id)
    if lead.state is state:
        return lead
    lead.state = moved(lead.state, state)
    lead.changed_at = now
    if state is LeadState.TAKEN:
        lead.taken_by = caller.account_id
    else:
        lead.ended_note = note
    await tx.flush()
    return lead

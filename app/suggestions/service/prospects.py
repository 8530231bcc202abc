"""Noting people who are no customers, as leads for others, and forgetting them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.catalog.queries import in_force, today_of
from app.core.errors import Invalid, SameIdOtherContent
from app.suggestions import queries
from app.suggestions.models import Prospect, SalesLead
from app.suggestions.rules.channels import check_receiver
from app.suggestions.rules.leads import LeadState
from app.suggestions.rules.prospects import PERSONAL, Noted, check_consent

# Both rows have the phone's id, so that the same note that comes twice at once waits for the first.
_ONCE = text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 0))")
_OF_PROSPECT = (
    "address",
    "name",
    "phone",
    "consent",
    "competitor",
    "offer",
    "monthly_price_fen",
    "until",
    "device_at",
)


async def note_prospect(
    tx: AsyncSession,
    noted: Noted,
    *,
    visit_id: UUID,
    org_unit_id: UUID,
    grid_id: UUID | None,
    technician_id: UUID,
    at: datetime,
    now: datetime,
) -> tuple[SalesLead, Prospect]:
    """Note somebody who was met in a visit, as a lead for another channel; it has the phone's id.

    The same again is answered like the first time. Raises Invalid for a name without consent and
    for what is not on sale, ChannelNotForOffer and SameIdOtherContent.
    """
    check_consent(noted)
    await tx.execute(_ONCE, {"id": str(noted.id)})
    lead = await tx.get(SalesLead, noted.id)
    if lead is not None:
        return lead, await _same(tx, lead, noted, visit_id)
    if noted.interest is not None:
        offering = (await in_force(tx, await today_of(tx, org_unit_id, now))).get(noted.interest)
        if offering is None:
            raise Invalid(errors=[{"field": "interest", "message": "is not on sale today"}])
        check_receiver(offering.code, offering.business_type, noted.handed_to)
    prospect = Prospect(
        id=noted.id,
        org_unit_id=org_unit_id,
        grid_id=grid_id,
        visit_id=visit_id,
        technician_id=technician_id,
        at=at,
        **{name: getattr(noted, name) for name in _OF_PROSPECT},
    )
    tx.add(prospect)
    await tx.flush()
    lead = SalesLead(
        id=noted.id,
        org_unit_id=org_unit_id,
        prospect_id=prospect.id,
        offering_code=noted.interest,
        technician_id=technician_id,
        handed_to=noted.handed_to,
        state=LeadState.OPEN,
        at=at,
        device_at=noted.device_at,
        changed_at=now,
    )
    tx.add(lead)
    await tx.flush()
    return lead, prospect


async def _same(tx: AsyncSession, lead: SalesLead, noted: Noted, visit_id: UUID) -> Prospect:
    prospect = await tx.get(Prospect, noted.id)
    if prospect is None or prospect.visit_id != visit_id:
        raise SameIdOtherContent(id=noted.id)
    # What was forgotten since cannot be compared, and is not written anew.
    gone = () if prospect.name or prospect.phone or prospect.address else PERSONAL
    said = {name: getattr(noted, name) for name in _OF_PROSPECT if name not in gone}
    if any(getattr(prospect, name) != value for name, value in said.items()) or (
        lead.handed_to,
        lead.offering_code,
    ) != (noted.handed_to, noted.interest):
        raise SameIdOtherContent(id=noted.id)
    return prospect


async def shown_prospect(tx: AsyncSession, prospect_id: UUID, caller: Caller) -> Prospect:
    """Show whoever follows a lead whom to call, unmasked; each look is audited. Raises NotFound."""
    prospect = await queries.prospect_of(tx, caller, prospect_id)
    audit.unmasked(
        tx,
        caller,
        subject_kind="prospect",
        subject_id=prospect.id,
        purpose=f"sales_lead:{prospect.id}",
        fields=PERSONAL,
    )
    return prospect


async def forget_prospect(
    tx: AsyncSession, prospect_id: UUID, caller: Caller, *, now: datetime
) -> Prospect:
    """Forget who a prospect is because they asked for it, and end their lead.

    What they told of a competitor stays, and says nothing of anybody. Doing it again changes
    nothing. Raises NotFound.
    """
    prospect = await queries.prospect_of(tx, caller, prospect_id, for_change=True)
    if prospect.forgotten_at is None:
        prospect.address, prospect.name, prospect.phone = "", None, None
        prospect.forgotten_at = now
        lead = await queries.lead_for_change(tx, caller, prospect_id)
        lead.ended_note = None
        if lead.state in (LeadState.OPEN, LeadState.TAKEN):
            lead.state, lead.changed_at = LeadState.LOST, now
        audit.note(tx, table="prospect", operation="erase", ids=[prospect_id])
        await tx.flush()
    return prospect

"""Whose suggestion it is that somebody answers, and what is known of the answers and the leads."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.catalog.models import ProductOffering
from app.core.errors import NotFound
from app.suggestions.models import CompetitorNote, SalesLead, Suggestion, SuggestionDecision
from app.suggestions.queries.contacts import Own
from app.suggestions.queries.outcomes import CAME_BACK, LAST_WORD
from app.suggestions.rules.leads import LeadState


async def own_suggestion(
    tx: AsyncSession, suggestion_id: UUID, technician_id: UUID
) -> tuple[Suggestion, SuggestionDecision]:
    """Find a suggestion made to a technician. Raises NotFound for anybody else's."""
    row = (
        await tx.execute(
            select(Suggestion, SuggestionDecision)
            .join(SuggestionDecision, SuggestionDecision.id == Suggestion.decision_id)
            .where(
                Suggestion.id == suggestion_id, SuggestionDecision.technician_id == technician_id
            )
        )
    ).one_or_none()
    if row is None:
        raise NotFound()
    return row.Suggestion, row.SuggestionDecision


_GUARDS = text(
    f"""
    SELECT customer.do_not_disturb OR 'visit' = ANY(customer.channels_refused) AS do_not_disturb,
        coalesce(customer.arrears_fen, 0) > 0 AS arrears,
        coalesce(customer.blacklisted, false) AS blacklisted,
        EXISTS (
            SELECT FROM interaction WHERE interaction.customer_id = customer.id
            AND kind = 'complaint' AND closed_at IS NULL
        ) AS complaint_open,
        EXISTS (
            SELECT FROM suggestion
            JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
            JOIN work_order ON work_order.id = decision.work_order_id
            WHERE suggestion.id = ANY(:suggestion_ids) AND decision.visit_id IS NULL
            AND work_order.work_type = 'repair' AND work_order.restored_at IS NULL
        ) AS not_restored,
        EXISTS (
            SELECT FROM unnest(CAST(:suggestion_ids AS uuid[])) AS one (id)
            WHERE (
                SELECT held_back FROM suggestion_answer
                WHERE suggestion_id = one.id
                ORDER BY {LAST_WORD.format("suggestion_answer")} LIMIT 1
            ) = 'said_too_late'
        ) AS said_too_late
    FROM customer WHERE customer.id = :customer_id
    """  # noqa: S608 - text of our own
)


async def guards_of(
    session: AsyncSession, customer_id: UUID, suggestion_ids: Sequence[UUID]
) -> Mapping[str, bool]:
    """Say which guards that need no rule are true of a customer, by their names. Raises
    NotFound."""
    given = {"customer_id": customer_id, "suggestion_ids": list(suggestion_ids)}
    row = (await session.execute(_GUARDS, given)).one_or_none()
    if row is None:
        raise NotFound()
    return dict(row._mapping)


# What was sold on a suggestion comes back as an order and as what they hold; an answer that arrives
# after its sale is not to be held back by that. A draft brings nothing about: the customer has not
# agreed to it, so nothing of it can stand in its own way, and all else is asked again.
_UNSOLD = text(
    "NOT EXISTS (SELECT FROM sale_item JOIN sale ON sale.id = sale_item.sale_id"
    " WHERE sale.customer_id = suggestion_decision.customer_id"
    " AND sale_item.suggestion_id = suggestion.id"
    f" AND sale.state <> 'draft' AND NOT {CAME_BACK})"
)
_OFFERED = (
    select(SuggestionDecision.work_order_id, SuggestionDecision.visit_id, ProductOffering)
    .join(Suggestion, Suggestion.decision_id == SuggestionDecision.id)
    .join(ProductOffering, ProductOffering.id == Suggestion.offering_id)
    .where(Suggestion.id == func.any(bindparam("suggestion_ids", type_=ARRAY(Uuid()))), _UNSOLD)
    .order_by(SuggestionDecision.work_order_id, SuggestionDecision.visit_id, ProductOffering.code)
)


async def offered(
    session: AsyncSession, suggestion_ids: Sequence[UUID]
) -> Mapping[Own, Sequence[ProductOffering]]:
    """Give what was suggested and is not sold yet, by the orders and visits it was suggested in."""
    found: dict[Own, list[ProductOffering]] = {}
    for row in await session.execute(_OFFERED, {"suggestion_ids": list(suggestion_ids)}):
        own = Own(work_order_id=row.work_order_id, visit_id=row.visit_id)
        found.setdefault(own, []).append(row.ProductOffering)
    return found


_HELD = text(
    """
    SELECT unnest(ARRAY[offering_code, category]) FROM subscription
    WHERE customer_id = :customer_id
    AND started_on <= :today AND (ended_on IS NULL OR ended_on > :today)
    """
)


async def held_by(session: AsyncSession, customer_id: UUID, today: date) -> frozenset[str]:
    """Give the codes and the categories of a customer's services that run on a local day."""
    given = {"customer_id": customer_id, "today": today}
    return frozenset(await session.scalars(_HELD, given))


# --- what supervisors are told --------------------------------------------------------------------


async def notes_page(
    session: AsyncSession,
    caller: Caller,
    *,
    grid_id: UUID | None,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[CompetitorNote]:
    """List notes of competitors of the caller's units, the latest first, and one over `size`."""
    statement = select(CompetitorNote).where(subtree(CompetitorNote.org_unit_id, caller))
    if grid_id is not None:
        statement = statement.where(CompetitorNote.grid_id == grid_id)
    if after is not None:
        statement = statement.where(tuple_(CompetitorNote.at, CompetitorNote.id) < after)
    ordered = statement.order_by(CompetitorNote.at.desc(), CompetitorNote.id.desc())
    return (await session.scalars(ordered.limit(size + 1))).all()


async def leads_page(
    session: AsyncSession,
    caller: Caller,
    *,
    state: LeadState | None,
    size: int,
    after: tuple[datetime, UUID] | None,
) -> Sequence[SalesLead]:
    """List leads of the caller's units, the latest first, and one over `size`."""
    statement = select(SalesLead).where(subtree(SalesLead.org_unit_id, caller))
    if state is not None:
        statement = statement.where(SalesLead.state == state)
    if after is not None:
        statement = statement.where(tuple_(SalesLead.at, SalesLead.id) < after)
    ordered = statement.order_by(SalesLead.at.desc(), SalesLead.id.desc()).limit(size + 1)
    return (await session.scalars(ordered)).all()


async def lead_for_change(tx: AsyncSession, caller: Caller, lead_id: UUID) -> SalesLead:
    """Take a lead of the caller's units under its row lock. Raises NotFound."""
    lead = await tx.scalar(
        select(SalesLead)
        .where(SalesLead.id == lead_id, subtree(SalesLead.org_unit_id, caller))
        .with_for_update()
    )
    if lead is None:
        raise NotFound()
    return lead


async def open_lead(tx: AsyncSession, customer_id: UUID, offering_code: str) -> SalesLead | None:
    """Find the lead of an offer to a customer that is still open somewhere."""
    return (
        await tx.scalars(
            select(SalesLead).where(
                SalesLead.customer_id == customer_id,
                SalesLead.offering_code == offering_code,
                SalesLead.state.in_((LeadState.OPEN, LeadState.TAKEN)),
            )
        )
    ).one_or_none()

"""What is read to explain a suggestion."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller, Role
from app.catalog.models import ProductOffering
from app.catalog.rules import ValueLever
from app.core.errors import NotFound
from app.customers.models import Customer
from app.suggestions.models import (
    PolicyModel,
    Suggestion,
    SuggestionDecision,
    SuggestionLever,
)
from app.suggestions.rules.facts import day_of
from app.suggestions.rules.levers import LeverRule, levers_in_force
from app.suggestions.rules.model import Model
from app.technicians.models import Technician


async def seen_suggestion(
    session: AsyncSession, suggestion_id: UUID, caller: Caller
) -> tuple[Suggestion, SuggestionDecision]:
    """Find a suggestion as a caller may see it: technicians their own, others of their units.

    Raises NotFound.
    """
    statement = (
        select(Suggestion, SuggestionDecision)
        .join(SuggestionDecision, SuggestionDecision.id == Suggestion.decision_id)
        .where(Suggestion.id == suggestion_id)
    )
    if caller.role is Role.TECHNICIAN:
        statement = statement.where(SuggestionDecision.technician_id == caller.technician_id)
    else:
        statement = statement.join(Customer, Customer.id == SuggestionDecision.customer_id).where(
            subtree(Customer.org_unit_id, caller)
        )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound()
    return row.Suggestion, row.SuggestionDecision


async def levers_then(
    session: AsyncSession, suggestion: Suggestion, decision: SuggestionDecision
) -> Mapping[ValueLever, LeverRule | None]:
    """Read the levers that an offering moves, and the rule of each that counted in its decision.

    Rules are not rewritten, and end on days to come alone, so those there were then tell it.
    """
    moves = await session.scalar(
        select(ProductOffering.levers).where(ProductOffering.id == suggestion.offering_id)
    )
    path = await session.scalar(
        select(OrgUnit.path)
        .join(Technician, Technician.org_unit_id == OrgUnit.id)
        .where(Technician.id == decision.technician_id)
    )
    columns = [getattr(SuggestionLever, name) for name in LeverRule._fields]
    rows = await session.execute(
        select(*columns).where(
            SuggestionLever.lever.in_(moves or ()),
            SuggestionLever.created_at <= decision.created_at,
        )
    )
    rules = [LeverRule(*row) for row in rows]
    counted = levers_in_force(rules, path or "", day_of(decision.facts))
    return {lever: counted.get(lever) for lever in ValueLever if lever in (moves or ())}


async def model_named(session: AsyncSession, version: str) -> Model | None:
    """Read a model of the registry by its version, if it is still there."""
    document = await session.scalar(
        select(PolicyModel.document).where(PolicyModel.version == version)
    )
    return None if document is None else Model.of_document(version, document)

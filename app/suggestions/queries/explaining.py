"""What is read to explain a suggestion."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller, Role
from app.core.errors import NotFound
from app.customers.models import Customer
from app.suggestions.models import PolicyModel, Suggestion, SuggestionDecision
from app.suggestions.rules.model import Model


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


async def model_named(session: AsyncSession, version: str) -> Model | None:
    """Read a model of the registry by its version, if it is still there."""
    document = await session.scalar(
        select(PolicyModel.document).where(PolicyModel.version == version)
    )
    return None if document is None else Model.of_document(version, document)

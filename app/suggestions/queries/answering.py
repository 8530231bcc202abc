"""Whose suggestion it is that somebody answers."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.suggestions.models import Suggestion, SuggestionDecision


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

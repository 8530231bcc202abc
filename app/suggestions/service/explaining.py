"""Explaining a suggestion: to the technician, to a supervisor, and to a customer who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.catalog.queries import in_force
from app.suggestions import queries
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import HeldBack
from app.suggestions.rules.explaining import Explanation, Weighed, explained
from app.suggestions.rules.facts import day_of
from app.suggestions.service.choosing import offer_of


@dataclass(frozen=True)
class Explained:
    """A suggestion with its explanation, and all candidates of its decision.

    `chance` are the terms of the model's logit by feature; empty where an expert's rate was taken.
    """

    suggestion: Suggestion
    decision: SuggestionDecision
    explanation: Explanation
    candidates: Sequence[Suggestion]
    chance: Mapping[str, float]


async def explain(session: AsyncSession, suggestion_id: UUID, caller: Caller) -> Explained:
    """Explain a suggestion from what its decision stored. Raises NotFound for anybody else's."""
    suggestion, decision = await queries.seen_suggestion(session, suggestion_id, caller)
    candidates = (await queries.candidates_of(session, [decision.id]))[decision.id]
    weighed = {one.id: weighed_of(one) for one in candidates}
    return Explained(
        suggestion,
        decision,
        explained(weighed[suggestion.id], list(weighed.values())),
        candidates,
        await _chance(session, suggestion, decision),
    )


def weighed_of(one: Suggestion) -> Weighed:
    """See a stored candidate as the rules explain it."""
    return Weighed(
        one.offering_code,
        one.score_fen,
        one.reasons,
        HeldBack(one.held_back) if one.held_back else None,
        # Only what the gates let through has a propensity; older rows have none and were ranked.
        one.propensity is not None or one.rank is not None,
    )


async def _chance(
    session: AsyncSession, suggestion: Suggestion, decision: SuggestionDecision
) -> Mapping[str, float]:
    if decision.model_version is None or suggestion.features is None:
        return {}
    model = await queries.model_named(session, decision.model_version)
    offering = (await in_force(session, day_of(decision.facts))).get(suggestion.offering_code)
    if model is None or offering is None:
        return {}
    return model.terms(offer_of(offering), suggestion.features)

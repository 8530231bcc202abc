"""Explaining a suggestion: to the technician, to a supervisor, and to a customer who asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.catalog.queries import in_force
from app.catalog.rules import ValueLever
from app.suggestions import queries
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import HeldBack, Mode
from app.suggestions.rules.chances import ChanceTerm, chance_terms
from app.suggestions.rules.explaining import Explanation, Weighed, explained
from app.suggestions.rules.facts import Facts, day_of
from app.suggestions.rules.levers import LeverRule
from app.suggestions.rules.model import chance_of, features
from app.suggestions.service.choosing import offer_of


@dataclass(frozen=True)
class Explained:
    """A suggestion with its explanation, and all candidates of its decision.

    `chance` are the terms of the model's logit by field, which add up to the chance that was
    stored; empty where an expert's rate was taken. `levers` are those the offering moves, each
    with the dated rule of it that counted, if there was one.
    """

    suggestion: Suggestion
    decision: SuggestionDecision
    explanation: Explanation
    candidates: Sequence[Suggestion]
    chance: Sequence[ChanceTerm]
    levers: Mapping[ValueLever, LeverRule | None]


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
        await queries.levers_then(session, suggestion, decision),
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
) -> Sequence[ChanceTerm]:
    # Whoever wants no personal ranking was offered by experts' rates, whatever model is in force.
    if decision.model_version is None or decision.mode is Mode.GENERIC:
        return []
    model = await queries.model_named(session, decision.model_version)
    offering = (await in_force(session, day_of(decision.facts))).get(suggestion.offering_code)
    if model is None or offering is None or suggestion.p_accept is None:
        return []
    offer, told = offer_of(offering), suggestion.features
    if told is None:
        # What a gate held back was believed in all the same, but what for was not kept.
        told = features(Facts.told_to_model(decision.facts), offer)
    terms = model.terms(offer, told)
    # Told from an offering that was changed since, they would explain another chance.
    if not isclose(chance_of(terms), suggestion.p_accept, abs_tol=1e-6):
        return []
    return chance_terms(terms, decision.facts)

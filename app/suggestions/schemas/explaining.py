"""Wire shapes of an explanation, in the caller's language; money in fen."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from app.catalog.rules import ValueLever
from app.core.http import Answer
from app.core.i18n import Lang
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import Gate, Group, HeldBack, Mode
from app.suggestions.rules.chances import ChanceTerm, strongest
from app.suggestions.rules.explaining import GATE_OF, Explanation, Term, gates_of
from app.suggestions.rules.levers import LeverRule
from app.suggestions.rules.words import GATES, HELD_BACK, ONLY_ADDED, REASONS
from app.suggestions.schemas.terms import LeverRuleOut

Text = Annotated[str, Field(max_length=300)]
Direction = Literal["up", "down", "none"]


class TermOut(Answer):
    """One term of a score; all of them add up to it."""

    code: Text
    fen: int
    direction: Direction
    words: Text
    rank_without: int | None = Field(
        description="The place by score if this were left out for all offers; null has no place."
    )

    @classmethod
    def of(cls, term: Term, lang: Lang) -> Self:
        """Write a term in one language."""
        known = REASONS.get(term.code) or ONLY_ADDED.get(term.code)
        return cls(
            code=term.code,
            fen=term.fen,
            direction=_direction(term.fen),
            words=known.say(lang).format(**term.values) if known else term.code,
            rank_without=term.rank_without,
        )


class ChanceTermOut(Answer):
    """What a field adds to the logit of the chance that the offer is taken."""

    field: Text = Field(examples=["contract"])
    logit: float
    direction: Direction
    value: Text | None = Field(description="What was known of it, where there are words for it.")
    words: Text = Field(examples=["the contract: ends in 20 days (raises the chance)"])

    @classmethod
    def of(cls, term: ChanceTerm, lang: Lang) -> Self:
        """Write a term in one language."""
        return cls(
            field=term.field,
            logit=term.logit,
            direction=_direction(term.logit),
            value=term.value and term.value.say(lang),
            words=term.words.say(lang),
        )


class GateOut(Answer):
    """One of the four gates."""

    gate: Gate
    words: Text
    passed: bool | None = Field(description="Null: it was held back before.")
    code: HeldBack | None = Field(description="What held it back at this gate.")


class WhyNotOut(Answer):
    """An offering of the same decision that was held back, and why."""

    suggestion_id: UUID
    offering_code: Text
    gate: Gate | None = Field(
        description="Null: it passed all gates, and `code` is none of theirs."
    )
    code: HeldBack
    words: Text


class ExplanationOut(Answer):
    """Why an offer was made, or was not."""

    suggestion_id: UUID
    decision_id: UUID
    offering_code: Text
    rank: int | None = Field(description="Its place among what was shown; null was not shown.")
    score_fen: int = Field(description="The sum of all `terms`.")
    rank_by_score: int | None = Field(
        description="Its place by score among what the gates let through."
    )
    propensity: float | None = Field(description="How likely it was to be put first.")
    policy: Text
    model_version: Text | None = Field(description="Null: experts' rates alone.")
    group: Group
    mode: Mode
    held_back: HeldBack | None
    held_back_words: Text | None
    strongest: Annotated[list[TermOut], Field(max_length=3)] = Field(
        description="The terms about the customer and the visit that changed it most."
    )
    terms: Annotated[list[TermOut], Field(max_length=50)]
    chance: float | None = Field(
        description="How likely it was thought to be taken; null in what was stored long ago."
    )
    chance_strongest: Annotated[list[ChanceTermOut], Field(max_length=3)] = Field(
        description="The fields about the customer and the visit that moved the chance most."
    )
    chance_terms: Annotated[list[ChanceTermOut], Field(max_length=200)] = Field(
        description="The model's terms by field, the strongest first; the logistic function of"
        " their sum is `chance`. None where an expert's rate holds."
    )
    levers: Annotated[list[LeverRuleOut], Field(max_length=len(ValueLever))] = Field(
        description="What it moves, and the dated rule of each lever that counted."
    )
    gates: Annotated[list[GateOut], Field(max_length=4)]
    why_not: Annotated[list[WhyNotOut], Field(max_length=500)]

    @classmethod
    def of(
        cls,
        one: Suggestion,
        decision: SuggestionDecision,
        explanation: Explanation,
        candidates: Sequence[Suggestion],
        chance: Sequence[ChanceTerm],
        levers: Mapping[ValueLever, LeverRule | None],
        lang: Lang,
    ) -> Self:
        """Write an explanation in one language."""
        held = HeldBack(one.held_back) if one.held_back else None
        return cls(
            suggestion_id=one.id,
            decision_id=decision.id,
            offering_code=one.offering_code,
            rank=one.rank,
            score_fen=one.score_fen,
            rank_by_score=explanation.rank_by_score,
            propensity=one.propensity,
            policy=decision.policy,
            model_version=decision.model_version,
            group=decision.group,
            mode=decision.mode,
            held_back=held,
            held_back_words=HELD_BACK[held].say(lang) if held else None,
            strongest=[TermOut.of(term, lang) for term in explanation.strongest],
            terms=[TermOut.of(term, lang) for term in explanation.terms],
            chance=one.p_accept,
            chance_strongest=[ChanceTermOut.of(term, lang) for term in strongest(chance)],
            chance_terms=[ChanceTermOut.of(term, lang) for term in chance],
            levers=[LeverRuleOut.of(lever, rule) for lever, rule in levers.items()],
            gates=[
                GateOut(
                    gate=gate,
                    words=GATES[gate].say(lang),
                    passed=passed,
                    code=held if passed is False else None,
                )
                for gate, passed in gates_of(held).items()
            ],
            why_not=[
                WhyNotOut(
                    suggestion_id=other.id,
                    offering_code=other.offering_code,
                    gate=GATE_OF.get(HeldBack(other.held_back)),
                    code=HeldBack(other.held_back),
                    words=HELD_BACK[HeldBack(other.held_back)].say(lang),
                )
                for other in candidates
                if other.held_back is not None
            ],
        )


def _direction(value: float) -> Direction:
    return "up" if value > 0 else "down" if value < 0 else "none"

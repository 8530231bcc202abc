"""Wire shapes of the lifecycle: where customers stand, what changed, counts, and churn cards."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.core.http import Answer, Code, Day, Input
from app.core.i18n import Lang
from app.lifecycle.models import ChurnCard
from app.lifecycle.queries import Lifecycle, Version
from app.lifecycle.rules import (
    FIELDS,
    MOST_TERMS,
    Card,
    CardSource,
    ChangeKind,
    ChurnClass,
    Signal,
    Stage,
    Term,
    Tier,
)

Word = Annotated[str, Field(max_length=64)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=2**40)]
Fen = Annotated[int, Field(ge=0, le=2**40)]
Share = Annotated[float, Field(ge=0, le=1)]


class ReasonOut(Answer):
    """Why a customer may leave: a field of the churn card with its value and its points."""

    field: Word = Field(examples=["usage_percent"])
    name: str = Field(max_length=200, description="The field in words.")
    value: float | None = Field(description="As it was at `computed_at`; null is not known.")
    points: float = Field(description="What it adds; the heaviest reason stands first.")
    words: str | None = Field(max_length=200, description="The card's reason, in words.")


class ChangeOut(Answer):
    """That a stage, tier, tier to come or class of risk changed."""

    id: UUID
    kind: ChangeKind
    before: Word | None = Field(description="Null: it was not known.")
    after: Word | None = Field(
        description="Null: it is not known any more, as the class of risk of who has left."
    )
    rule: Word = Field(examples=["decline.usage_down"], description="What gave the new one.")
    inputs: dict[str, Any] = Field(
        description="What was known then, as far as it was: the card's fields, income, signals."
    )
    warns: bool = Field(description="Whether somebody ought to hear of it.")
    at: datetime


class LifecycleOut(Answer):
    """Where a customer stands. Null always means "not known"."""

    customer_id: UUID
    org_unit_id: UUID
    stage: Stage
    stage_since: date
    stage_rule: Word = Field(examples=["climax.mature"])
    tier: Tier | None = Field(description="Null while too few months of income are known.")
    tier_before: Tier | None
    tier_since: date | None
    tier_forecast: Tier | None = Field(description="What the last three months alone would give.")
    hidden_high_value: bool = Field(
        description="Brings little, but uses new services or more than most, and owes nothing."
    )
    value_12m_fen: Fen | None = Field(description="The mean month's income, times twelve.")
    churn_score: Share | None = Field(
        description="Probability to leave within 90 days; null of who has left, or without a card."
    )
    churn_class: ChurnClass | None
    churn_reasons: Annotated[list[ReasonOut], Field(max_length=10)]
    signals: Annotated[list[Signal], Field(max_length=10, description="Of decline, now.")]
    last_signal_on: date | None
    card_version: Word | None
    rules_version: Word = Field(description="The same where the same numbers were in force.")
    computed_at: datetime = Field(description="Since when it stands so.")
    checked_at: datetime = Field(description="When it was last found to be so.")
    history: Annotated[
        list[ChangeOut], Field(max_length=200, description="Its changes, the latest first.")
    ]

    @classmethod
    def of(cls, known: Lifecycle, versions: list[Version], history: Any, lang: Lang) -> Self:
        """Shape what is known; the reasons are told in the words of the card that gave them."""
        card = next((one.card for one in versions if one.version == known.card_version), None)
        fields = known._asdict()
        fields["churn_reasons"] = [_reason(each, card, lang) for each in known.churn_reasons]
        return cls(**fields, history=[ChangeOut.model_validate(row) for row in history])


def _reason(told: dict[str, Any], card: Card | None, lang: Lang) -> ReasonOut:
    term = card.terms[told["term"]] if card and told["term"] < len(card.terms) else None
    return ReasonOut(
        field=told["field"],
        name=FIELDS[told["field"]].say(lang),
        value=told["value"],
        points=told["points"],
        words=term and (term.reason_zh if lang == "zh" else term.reason_en),
    )


class CustomerChangeOut(ChangeOut):
    """A change with whose it is and where they stand now."""

    customer_id: UUID
    customer_code: Word
    org_unit_id: UUID
    stage: Stage
    tier: Tier | None
    churn_class: ChurnClass | None
    value_12m_fen: Fen | None


class ChangePage(Answer):
    """Some changes, the latest first."""

    changes: Annotated[list[CustomerChangeOut], Field(max_length=200)]
    next_page_token: str | None = Field(max_length=400)


class CountOut(Answer):
    """How many customers of an org unit are of one stage, tier and class."""

    org_unit_id: UUID
    org_unit_code: Word
    stage: Stage
    tier: Tier | None
    churn_class: ChurnClass | None
    customers: Count
    hidden_high_value: Count


class SummaryOut(Answer):
    """The customers of the caller's part of the organisation, counted."""

    counts: Annotated[list[CountOut], Field(max_length=100_000)]


# --- churn cards ----------------------------------------------------------------------------------


class TermIn(Input):
    """Points for a field between two bounds, the upper one excluded.

    Without any bound it speaks of customers of whom the field is not known.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    field: Annotated[str, Field(max_length=64, examples=["usage_percent"])]
    from_: Number | None = Field(default=None, alias="from")
    to: Number | None = None
    points: Number
    reason_zh: Sentence
    reason_en: Sentence

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.field not in FIELDS:
            raise ValueError(f"no such field; there are {', '.join(FIELDS)}")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise ValueError("`to` must be above `from`")
        return self


class CardIn(Input):
    """What the points come to: the logistic function at (intercept + points) / scale."""

    intercept: Number
    scale: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    terms: Annotated[list[TermIn], Field(min_length=1, max_length=MOST_TERMS)]

    def card(self) -> Card:
        """Make the card."""
        return Card(
            self.intercept, self.scale, tuple(Term(**term.model_dump()) for term in self.terms)
        )


class NewCardIn(CardIn):
    """A new version of the churn card; a version is not rewritten."""

    version: Code = Field(examples=["hand-2026-2"])
    valid_from: Day = Field(description="The first local day on which it is in force.")


class TermOut(Answer):
    """Points for a field between two bounds, the upper one excluded."""

    field: Word
    from_: float | None = Field(alias="from")
    to: float | None
    points: float
    reason_zh: str = Field(max_length=200)
    reason_en: str = Field(max_length=200)


class CardOut(Answer):
    """A version of the churn card."""

    version: Word
    source: CardSource
    valid_from: date
    intercept: float
    scale: float
    terms: Annotated[list[TermOut], Field(max_length=MOST_TERMS)]
    figures: dict[str, Any] = Field(description="How good it was found to be; empty if unknown.")
    created_at: datetime

    @classmethod
    def of(cls, row: ChurnCard) -> Self:
        """Shape a version."""
        return cls(
            version=row.version,
            source=row.source,
            valid_from=row.valid_from,
            intercept=row.document["intercept"],
            scale=row.document["scale"],
            terms=[TermOut.model_validate(term) for term in row.document["terms"]],
            figures=row.figures,
            created_at=row.created_at,
        )


class CardsOut(Answer):
    """The versions of the churn card, the latest first."""

    in_force: Word | None = Field(description="The version in force today.")
    cards: Annotated[list[CardOut], Field(max_length=200)]

"""Blocks of the card for the door: where a customer stands, and what may be said to them."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Self

from pydantic import Field

from app.core.http import Answer
from app.core.i18n import Lang
from app.customers.queries import Card
from app.customers.rules import FROM_CRM, FROM_HERE, Channel, may_offer_on
from app.lifecycle.rules import Tier
from app.suggestions.rules import words as suggestion_words
from app.visits.queries import BehindTheDoor, Gone, Recommended, Standing
from app.visits.rules.standing import (
    CHURN_WORDS,
    SIGNAL_WORDS,
    STAGE_WORDS,
    TREND_WORDS,
    trend_of,
)
from app.visits.schemas.blocks import Block, CodedOut, Text, block, coded


class LifecycleOut(Block):
    """Where the customer stands; all null before it was ever worked out."""

    stage: CodedOut | None
    stage_since: date | None
    tier: Tier | None = Field(description="A is worth the most.")
    tier_since: date | None
    tier_before: Tier | None
    tier_trend: CodedOut | None = Field(description="`risen` or `fallen` when it last changed.")
    tier_forecast: Tier | None = Field(description="The tier the last three months would give.")
    hidden_high_value: bool | None = Field(description="Worth keeping though little comes in now.")
    value_12m_fen: int | None
    churn: CodedOut | None
    churn_reasons: Annotated[list[CodedOut], Field(max_length=3)]
    signals: Annotated[list[CodedOut], Field(max_length=20)]


class UsedInMonthOut(Answer):
    """What was used in one month."""

    month: date = Field(description="Its first day.")
    usage_gb: int


class UsageOut(Block):
    """What is used, and how that has changed."""

    monthly_usage_gb: int | None
    months: Annotated[list[UsedInMonthOut], Field(max_length=4)]
    change_percent: int | None = Field(
        description="The newest month against the mean of up to three before it."
    )


class CompetitionOut(Block):
    """Whose line is known to be there beside ours."""

    competitor: Text | None


class FormerOut(Block):
    """That they once left; all null when they never did, as far as is known."""

    left_on: date | None
    reason: Text | None
    competitor: Text | None
    note: Text | None = Field(description="Left out when masked.")
    returned_on: date | None = Field(description="Null with a `left_on`: they are gone still.")


class ProposedOut(Answer):
    """One offer of the newest decision."""

    rank: Annotated[int, Field(ge=1, le=10)]
    offering_code: Text
    name: Text


class RecommendationOut(Block):
    """What was last thought of offering, within a month; ask for suggestions in the visit."""

    offers: Annotated[list[ProposedOut], Field(max_length=10)]
    nothing_because: CodedOut | None


class HoursOut(Answer):
    """Hours of the local day in which most contacts of a year lay."""

    from_hour: Annotated[int, Field(ge=0, le=23)]
    until_hour: Annotated[int, Field(ge=1, le=24)]
    contacts: int


class PreferenceOut(Block):
    """How they want to be spoken to, and when they mostly were."""

    channel: Channel | None
    hours: HoursOut | None = Field(description="Null when fewer than three contacts tell.")


class MayOfferOut(Answer):
    """Whether something may be offered on a channel."""

    channel: Channel
    may_offer: bool


class ConsentBlockOut(Block):
    """Where offers may be made, and whether they may be made for this customer alone."""

    channels: Annotated[list[MayOfferOut], Field(max_length=len(Channel))]
    personal_offers: bool


class OutageOut(Answer):
    """A confirmed outage that concerns them."""

    name: Text
    expected_end: datetime | None


class OutagesOut(Block):
    """Confirmed outages at their lines or in their grid."""

    now: Annotated[list[OutageOut], Field(max_length=50)]


@dataclass(frozen=True)
class StandingBlocks:
    """The blocks of this file, written for one caller."""

    lifecycle: LifecycleOut
    usage: UsageOut
    competition: CompetitionOut
    former: FormerOut
    recommendation: RecommendationOut
    preference: PreferenceOut
    consent: ConsentBlockOut

    @classmethod
    def of(cls, card: Card, here: BehindTheDoor, *, masked: bool, lang: Lang) -> Self:
        """Write the blocks in one language; free words about people are left out when masked."""
        consent = card.consent
        return cls(
            lifecycle=_lifecycle(here.standing, lang),
            usage=block(UsageOut, card.usage),
            competition=block(CompetitionOut, card.rivals),
            former=_former(here.gone, masked=masked),
            recommendation=_recommendation(here.recommended, lang),
            preference=block(PreferenceOut, card.preference),
            consent=ConsentBlockOut(
                as_of=consent.known.as_of,
                source=consent.known.source,
                channels=[
                    MayOfferOut(
                        channel=channel,
                        may_offer=may_offer_on(
                            channel,
                            allowed=consent.allowed,
                            refused=consent.refused,
                            do_not_disturb=card.do_not_disturb.on,
                        ),
                    )
                    for channel in Channel
                ],
                personal_offers=consent.personal_offers,
            ),
        )


def _lifecycle(standing: Standing | None, lang: Lang) -> LifecycleOut:
    if standing is None:
        return LifecycleOut(
            as_of=None,
            source=FROM_HERE,
            **dict.fromkeys(LifecycleOut.model_fields.keys() - _GIVEN),
            churn_reasons=[],
            signals=[],
        )
    return LifecycleOut(
        as_of=standing.computed_at,
        source=FROM_HERE,
        stage=coded(STAGE_WORDS, standing.stage, lang),
        stage_since=standing.stage_since,
        tier=standing.tier,
        tier_since=standing.tier_since,
        tier_before=standing.tier_before,
        tier_trend=coded(TREND_WORDS, trend_of(standing.tier, standing.tier_before), lang),
        tier_forecast=standing.tier_forecast,
        hidden_high_value=standing.hidden_high_value,
        value_12m_fen=standing.value_12m_fen,
        churn=coded(CHURN_WORDS, standing.churn_class, lang),
        churn_reasons=[
            CodedOut(
                code=reason.field,
                words=(reason.reason_zh if lang == "zh" else reason.reason_en) or reason.field,
            )
            for reason in standing.churn_reasons
        ],
        signals=[
            CodedOut(code=signal.value, words=SIGNAL_WORDS[signal].say(lang))
            for signal in standing.signals
        ],
    )


_GIVEN = {"as_of", "source", "churn_reasons", "signals"}


def _former(gone: Gone | None, *, masked: bool) -> FormerOut:
    if gone is None:
        return FormerOut(
            as_of=None,
            source=FROM_CRM,
            left_on=None,
            reason=None,
            competitor=None,
            note=None,
            returned_on=None,
        )
    return FormerOut(
        as_of=gone.recorded_at,
        source=FROM_HERE,
        left_on=gone.left_on,
        reason=gone.reason,
        competitor=gone.competitor,
        note=None if masked else gone.note,
        returned_on=gone.returned_on,
    )


def _recommendation(recommended: Recommended | None, lang: Lang) -> RecommendationOut:
    if recommended is None:
        return RecommendationOut(as_of=None, source=FROM_HERE, offers=[], nothing_because=None)
    held_back = recommended.held_back
    return RecommendationOut(
        as_of=recommended.at,
        source=FROM_HERE,
        offers=[
            ProposedOut(
                rank=one.rank,
                offering_code=one.offering_code,
                name=one.name_zh if lang == "zh" else one.name_en,
            )
            for one in recommended.offers
        ],
        nothing_because=None
        if held_back is None
        else CodedOut(code=held_back, words=suggestion_words.nothing_because(held_back).say(lang)),
    )

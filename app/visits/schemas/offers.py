"""What may be offered in a visit, in the caller's language; money in fen."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.catalog.queries import Offering, talk_track_of
from app.catalog.rules import BusinessType, OnSite
from app.core.http import Answer, DeviceTime, Input
from app.core.i18n import Lang
from app.customers.rules import InteractionKind
from app.suggestions.models import Suggestion
from app.suggestions.rules import Coordination, HeldBack, reminding, talk, words
from app.suggestions.rules.ahead import ShowWhen, show_when
from app.suggestions.rules.leads import LeadTo
from app.suggestions.service import Decided
from app.visits.rules.installing import NOT_NOW, InstallNow, NotNow

Text = Annotated[str, Field(max_length=300)]


class ReasonOut(Answer):
    """Why an offer fits."""

    code: Text
    words: Text


class InstallNowOut(Answer):
    """Whether the customer can have it with this visit."""

    needed: bool = Field(description="Whether anything has to be installed for it at all.")
    possible: bool
    minutes: int | None = Field(description="How long it takes.")
    code: NotNow | None = Field(description="What keeps it from being done now.")
    words: Text | None


class TalkTrackOut(Answer):
    """What to say, in this order; each sentence is checked, and none is made up."""

    opening: Text = Field(description="Tied to what one has come for.")
    benefit: Annotated[str, Field(max_length=4000)]
    price: Text
    exit_line: Text = Field(description="How to take a no.")


class OfferOut(Answer):
    """One offer to make, with all that is needed to make it."""

    suggestion_id: UUID = Field(description="Send the customer's answer here.")
    rank: Annotated[int, Field(ge=1, le=10)]
    offering_code: Text
    name: Text
    category: Text
    business_type: BusinessType
    on_site: OnSite = Field(
        description="What a technician may do with it at the door of this customer."
    )
    coordination: Coordination | None = Field(
        description="How it goes with the other channels; null in decisions made before there were"
        " any such words."
    )
    left_to: LeadTo | None = Field(
        description="They prefer that channel and are worth much: hand it over there rather than"
        " pitch it, unless they ask."
    )
    monthly_price_fen: int
    one_off_price_fen: int
    contract_months: int
    commission_fen: int | None = Field(
        description="The technician's, when it is sold. Null for what they may only note as a lead,"
        " which brings them none."
    )
    reasons: Annotated[list[ReasonOut], Field(max_length=10)]
    talk_track: TalkTrackOut
    install_now: InstallNowOut


class HeldBackOut(Answer):
    """An offering that is not offered, and why not."""

    offering_code: Text
    name: Text
    code: HeldBack
    words: Text


class ReminderOut(Answer):
    """What may be said to who owes. It is service and no offer, and counts as no sales contact."""

    code: HeldBack = Field(description="`arrears`, or `blacklisted` where nothing is owed.")
    words: Text
    how_to_pay: Text
    self_service: Text


class ReminderIn(Input):
    """That a customer was reminded; the phone makes the id (UUIDv7), which the contact gets."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000041",
                    "device_at": "2026-03-02T10:40:00+08:00",
                }
            ]
        }
    )

    id: UUID
    device_at: DeviceTime


class RemindedOut(Answer):
    """The contact as it stands in the ledger."""

    id: UUID
    at: datetime
    kind: InteractionKind


class SuggestionsOut(Answer):
    """What to offer in this visit; no offers at all is an honest answer."""

    decision_id: UUID
    at: datetime = Field(description="When it was decided.")
    valid_until: datetime | None = Field(
        description="Show nothing of it from then on: ask again, or offer nothing. Null in"
        " decisions made before there was any such time."
    )
    show_when: ShowWhen = Field(
        description="`restored`: show the offers once the repair is marked restored, not before."
    )
    policy: Text
    offers: Annotated[list[OfferOut], Field(max_length=10)]
    nothing_because: ReasonOut | None = Field(description="Set when there are no offers.")
    held_back: Annotated[list[HeldBackOut], Field(max_length=500)]
    reminder: ReminderOut | None = Field(
        description="Set for a customer who owes or is on the list of bad debts: say this, and sell"
        " nothing on credit. Report it when it was said."
    )

    @classmethod
    def of(cls, decided: Decided, installs: Mapping[str, InstallNow], lang: Lang) -> Self:
        """Write a decision in one language."""
        decision = decided.decision
        work_type = decision.facts["work_type"]
        nothing = None
        if decision.held_back is not None:
            said = words.nothing_because(decision.held_back)
            nothing = ReasonOut(code=decision.held_back, words=said.say(lang))
        return cls(
            decision_id=decision.id,
            at=decision.at,
            valid_until=decision.valid_until,
            show_when=show_when(decision.visit_id, work_type),
            policy=decision.policy,
            offers=[
                _offer(
                    one,
                    one.rank,
                    decided.catalogue[one.offering_code],
                    work_type,
                    installs[one.offering_code],
                    decided.on_site[one.offering_code],
                    lang,
                )
                for one in decided.candidates
                if one.rank is not None
            ],
            nothing_because=nothing,
            held_back=[
                _held_back(one, HeldBack(one.held_back), decided.catalogue[one.offering_code], lang)
                for one in decided.candidates
                if one.held_back is not None
            ],
            reminder=_reminder(decision.facts, lang),
        )


class VisitAheadOut(Answer):
    """What to offer at one door that is still to be come to."""

    work_order_id: UUID
    suggestions: SuggestionsOut


class DayAheadOut(Answer):
    """What to offer at the doors of a local day, in the order they are to be come to."""

    day: date
    taken_at: datetime
    visits: Annotated[list[VisitAheadOut], Field(max_length=500)] = Field(
        description="Without those whose order names no customer."
    )


def _reminder(facts: Mapping[str, Any], lang: Lang) -> ReminderOut | None:
    owed = facts.get("arrears_fen")
    code = reminding.reminded_of(owed, blacklisted=facts.get("blacklisted"))
    if code is None:
        return None
    return ReminderOut(
        code=code,
        words=reminding.said(code, owed).say(lang),
        how_to_pay=reminding.HOW_TO_PAY.say(lang),
        self_service=reminding.SELF_SERVICE.say(lang),
    )


def _name(offering: Offering, lang: Lang) -> str:
    return offering.name_zh if lang == "zh" else offering.name_en


def _offer(
    one: Suggestion,
    rank: int,
    offering: Offering,
    work_type: str,
    install: InstallNow,
    on_site: OnSite,
    lang: Lang,
) -> OfferOut:
    return OfferOut(
        suggestion_id=one.id,
        rank=rank,
        offering_code=offering.code,
        name=_name(offering, lang),
        category=offering.category,
        business_type=offering.business_type,
        on_site=on_site,
        monthly_price_fen=offering.monthly_price_fen,
        one_off_price_fen=offering.one_off_price_fen,
        contract_months=offering.contract_months,
        commission_fen=None if on_site is OnSite.LEAD_ONLY else offering.commission_fen,
        reasons=[
            ReasonOut(code=part["code"], words=said.say(lang))
            for part in one.reasons
            if (said := words.reason(part)) is not None
        ],
        talk_track=TalkTrackOut(
            opening=talk.opening(work_type, lang),
            benefit=talk_track_of(offering, lang),
            price=talk.price(
                offering.monthly_price_fen,
                offering.one_off_price_fen,
                offering.contract_months,
                lang,
            ),
            exit_line=talk.EXIT.say(lang),
        ),
        install_now=InstallNowOut(
            needed=install.needed,
            possible=install.possible,
            minutes=install.minutes,
            code=install.why_not,
            words=NOT_NOW[install.why_not].say(lang) if install.why_not else None,
        ),
        coordination=one.coordination,
        left_to=one.left_to,
    )


def _held_back(one: Suggestion, code: HeldBack, offering: Offering, lang: Lang) -> HeldBackOut:
    return HeldBackOut(
        offering_code=offering.code,
        name=_name(offering, lang),
        code=code,
        words=words.HELD_BACK[code].say(lang),
    )

"""Wire shapes of contacts: slots that channels reserve, and the ledger of all channels, masked."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Code, Day, Input, Moment, Name
from app.core.i18n import Lang
from app.customers.models import Interaction
from app.customers.rules import Channel, InteractionKind, masked_words
from app.suggestions.rules import HeldBack
from app.suggestions.rules.contacts import MONTH, YEAR, ContactOutcome, SlotState, Standing
from app.suggestions.rules.words import HELD_BACK

Text = Annotated[str, Field(max_length=300)]


class ContactSlotIn(Input):
    """A channel that is about to speak to a customer; it makes the id (UUIDv7)."""

    id: UUID
    channel: Literal[Channel.PHONE, Channel.SMS, Channel.SHOP, Channel.APP]
    subject: Name = Field(description="The campaign or the offering, by its code or name.")
    offering_code: Code | None = Field(
        default=None,
        description="Of which offering; what the customer answered to it on any channel counts.",
    )
    by_account_manager: bool = Field(
        default=False, description="Whether the customer's account manager is who speaks."
    )


class ContactIn(Input):
    """That the contact took place."""

    contacted_at: Moment
    outcome: ContactOutcome
    offering_code: Code | None = Field(
        default=None, description="What was spoken of, where it is not what the slot names."
    )
    later_on: Day | None = Field(
        default=None,
        description="May come with `later`: the local day from which on they want to hear of it.",
    )


class ContactSlotOut(Answer):
    """A slot as it stands."""

    id: UUID
    customer_id: UUID
    channel: Channel
    subject: Text
    offering_code: Annotated[str, Field(max_length=64)] | None
    by_account_manager: bool
    state: SlotState
    reserved_at: datetime
    held_until: datetime = Field(description="A slot that is held ends by itself then.")
    ended_at: datetime | None
    contacted_at: datetime | None
    outcome: ContactOutcome | None


class ContactOut(Answer):
    """One contact on one channel; numbers in its words are masked."""

    id: UUID
    at: datetime
    channel: Channel
    kind: InteractionKind
    subject: Text
    outcome: Text | None
    offering_code: Annotated[str, Field(max_length=64)] | None = Field(
        description="What was spoken of on another channel than a visit; null named none."
    )
    later_on: date | None = Field(description="The local day a customer named to hear of it again.")
    closed_at: datetime | None
    technician_id: UUID | None
    work_order_id: UUID | None

    @classmethod
    def of(cls, contact: Interaction) -> Self:
        """Write a contact, masked."""
        plain: dict[str, Any] = {name: getattr(contact, name) for name in cls.model_fields}
        plain["subject"] = masked_words(contact.subject)[:300]
        plain["outcome"] = contact.outcome and masked_words(contact.outcome)[:300]
        return cls(**plain)


class ContactStandingOut(Answer):
    """Whether another channel may speak to the customer of an offer now.

    Counted is what was said to anybody at the customer's address.
    """

    allowed: bool
    reason: HeldBack | None = Field(description="What forbids it first; null when it is allowed.")
    reason_words: Text | None
    allowed_from: datetime | None = Field(
        description="When nothing forbids it any more; null is now, or not known."
    )
    sales_in_30_days: int
    sales_in_365_days: int
    held_by: Channel | None = Field(description="The channel that holds the slot now.")
    held_until: datetime | None

    @classmethod
    def of(cls, standing: Standing, holder: Any | None, lang: Lang) -> Self:
        """Write where a customer stands, in one language."""
        ban, ledger = standing.ban, standing.ledger
        return cls(
            allowed=ban is None,
            reason=ban and ban.code,
            reason_words=HELD_BACK[ban.code].say(lang) if ban else None,
            allowed_from=ban and ban.until,
            sales_in_30_days=len(ledger.within(ledger.sold_at, MONTH)),
            sales_in_365_days=len(ledger.within(ledger.sold_at, YEAR)),
            held_by=holder and holder.channel,
            held_until=holder and holder.held_until,
        )


class ContactPage(Answer):
    """A page of a customer's contacts on all channels, the latest first."""

    customer_id: UUID
    standing: ContactStandingOut
    contacts: Annotated[list[ContactOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None

"""Wire shapes of the win-back and renewal lists: masked, with what may be offered."""

from datetime import date
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.customers.rules import Channel, masked_address, masked_name, masked_phone
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.rules import LeaveReason
from app.retention.rules.leavers import LEAVE_WORDS
from app.retention.rules.toolkits import COUNTED_WORDS, DatedToolkit, Subject
from app.retention.schemas.toolkits import WordsOut

Text = Annotated[str, Field(max_length=300)]
Codes = Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=500)]


class EntryOut(Answer):
    """One customer of a list, masked."""

    customer_id: UUID
    code: Text
    name: Text
    phone: Text
    address: Text = Field(description="Down to the building.")
    preferred_channel: Channel | None
    call_allowed: bool = Field(
        description="Whether they allow being called about offers; without it, visit them."
    )
    tier: Tier | None = Field(description="Null is not known.")
    value_12m_fen: int | None = Field(description="Income of twelve months; null is not known.")
    counted_tier: Tier | None = Field(
        description="Whose toolkit holds, where it is not that of `tier`; else null."
    )
    counted_words: WordsOut | None = Field(description="Why that is so.")
    toolkit_id: UUID | None = Field(description="The toolkit that is meant for them.")
    offers: Codes = Field(description="The offerings of that toolkit.")

    @classmethod
    def common(
        cls, row: Any, kit: DatedToolkit | None, counted: Tier | None = None
    ) -> dict[str, Any]:
        """Gather the fields that every list has."""
        return {
            "customer_id": row.customer_id,
            "code": row.code,
            "name": masked_name(row.name),
            "phone": masked_phone(row.phone),
            "address": masked_address(row.locality, row.building),
            "preferred_channel": row.preferred_channel,
            "call_allowed": row.call_allowed,
            "tier": row.tier,
            "value_12m_fen": row.value_12m_fen,
            "counted_tier": counted,
            "counted_words": WordsOut.of(COUNTED_WORDS) if counted else None,
            "toolkit_id": kit.id if kit else None,
            "offers": list(kit.toolkit.offers) if kit else [],
        }


class WinBackOut(EntryOut):
    """A customer who has left and may be asked to come back."""

    left_on: date
    days_gone: Annotated[int, Field(ge=0)]
    reason: LeaveReason
    reason_words: WordsOut
    competitor: Annotated[str, Field(max_length=100)] | None
    reachable: bool | None = Field(description="Whether the number still answers; null: unknown.")

    @classmethod
    def of(cls, row: Any, kit: DatedToolkit | None) -> Self:
        """Write a row of the list."""
        return cls(
            **cls.common(row, kit),
            left_on=row.left_on,
            days_gone=row.days_gone,
            reason=row.reason,
            reason_words=WordsOut.of(LEAVE_WORDS[LeaveReason(row.reason)]),
            competitor=row.competitor,
            reachable=row.reachable,
        )


class WinBackPage(Answer):
    """A page of a grid's win-back list, the most valuable first."""

    grid_id: UUID
    entries: Annotated[list[WinBackOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class RenewalOut(EntryOut):
    """A customer whose contract ends soon, or has ended lately without a new one."""

    ends_on: date
    days_left: int = Field(description="Below nought: the contract has ended.")
    monthly_price_fen: int
    holds: Codes = Field(description="The offerings that run.")
    churn_class: ChurnClass | None
    stage: Stage | None

    @classmethod
    def of(cls, row: Any, kit: DatedToolkit | None) -> Self:
        """Write a row of the list."""
        return cls(
            **cls.common(row, kit, Subject(row.tier, hidden=row.hidden).stepped_up),
            ends_on=row.ends_on,
            days_left=row.days_left,
            monthly_price_fen=row.monthly_price_fen,
            holds=row.offerings,
            churn_class=row.churn_class,
            stage=row.stage,
        )


class RenewalPage(Answer):
    """A page of a grid's renewal list, the best tier first, then whose contract ends first."""

    grid_id: UUID
    entries: Annotated[list[RenewalOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None

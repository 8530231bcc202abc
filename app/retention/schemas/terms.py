"""Wire shapes of special terms."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Code, Input
from app.lifecycle.rules import Tier
from app.retention.models import SpecialTerms, TermsVerdict
from app.retention.rules import Hand, TermsState, ToolkitKind
from app.retention.rules.terms import TERMS_WORDS, Asked, standing
from app.retention.rules.toolkits import COUNTED_WORDS, Terms
from app.retention.schemas.toolkits import Months, Percent, WordsOut

Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class TermsIn(Input):
    """What is asked for a customer, under the id the asker's device has given it (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000071",
                    "customer_id": "01956f3a-6b00-7000-8000-000000000001",
                    "kind": "retention",
                    "offering_code": "RENEW-24",
                    "discount_percent": 20,
                    "months": 12,
                    "reason": "友商上门报价 99 元，老用户愿意续两年",
                    "case_id": None,
                }
            ]
        }
    )

    id: UUID
    customer_id: UUID
    kind: ToolkitKind
    offering_code: Code
    discount_percent: Percent = Field(description="Off the monthly price.")
    months: Months = Field(description="For how long.")
    reason: Reason
    case_id: UUID | None = Field(default=None, description="The case it is asked for, if any.")

    def asked(self) -> Asked:
        """Make what the service is asked."""
        return Asked(
            self.id,
            self.customer_id,
            self.kind,
            self.offering_code,
            Terms(self.discount_percent, self.months),
            self.reason,
            self.case_id,
        )


class VerdictIn(Input):
    """Why the terms are approved or declined."""

    reason: Reason


class TermsVerdictOut(Answer):
    """One step of the path that was taken."""

    hand: Hand
    account_id: UUID
    approved: bool
    reason: Annotated[str, Field(max_length=500)]
    at: datetime


class TermsOut(Answer):
    """Special terms and where they stand."""

    id: UUID
    customer_id: UUID
    org_unit_id: UUID
    case_id: UUID | None
    toolkit_id: UUID
    offering_code: Annotated[str, Field(max_length=64)]
    discount_percent: Percent
    months: Months
    reason: Annotated[str, Field(max_length=500)]
    tier: Tier | None = Field(description="As it was when asked; null is not known.")
    counted_tier: Tier | None = Field(
        description="Whose limits hold, where they are not those of `tier`; else null."
    )
    counted_words: WordsOut | None = Field(description="Why that is so.")
    asked_by: UUID
    asked_as: Hand
    asked_at: datetime
    path: Annotated[list[Hand], Field(max_length=3)] = Field(
        description="Who is asked in turn; empty: the asker may give it."
    )
    waits_for: Hand | None = Field(description="Whose word is wanted next.")
    state: TermsState
    state_words: WordsOut
    expires_at: datetime = Field(
        description="Until when it waits; once approved, until when the code is good."
    )
    code: Annotated[str, Field(max_length=20)] | None = Field(
        description="What the sale needs; shown to the asker alone, while it is good."
    )
    redeemed_at: datetime | None
    verdicts: Annotated[list[TermsVerdictOut], Field(max_length=3)]

    @classmethod
    def of(
        cls,
        special: SpecialTerms,
        verdicts: Sequence[TermsVerdict],
        *,
        code: str | None,
        now: datetime,
    ) -> Self:
        """Write special terms as they stand at a moment, with the code if it may be shown."""
        state = standing(special.state, special.expires_at, now)
        made = {"counted_words", "waits_for", "state", "state_words", "code", "verdicts"}
        plain = cls.model_fields.keys() - made
        return cls(
            **{name: getattr(special, name) for name in plain},
            counted_words=WordsOut.of(COUNTED_WORDS) if special.counted_tier else None,
            waits_for=Hand(special.path[special.step]) if state is TermsState.WAITING else None,
            state=state,
            state_words=WordsOut.of(TERMS_WORDS[state]),
            code=code if state is TermsState.APPROVED else None,
            verdicts=[
                TermsVerdictOut.model_validate(one)
                for one in verdicts
                if one.terms_id == special.id
            ],
        )


class TermsPage(Answer):
    """A page of special terms, the newest first."""

    special_terms: Annotated[list[TermsOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None

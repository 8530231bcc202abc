"""Wire shapes of cases."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Code, Day, Input, Note
from app.core.i18n import Lang
from app.customers.rules import masked_name, masked_phone
from app.lifecycle.rules import ChurnClass, Tier
from app.retention.models import RetentionCase
from app.retention.rules import Arm, CaseOutcome, CaseState, Cause, Handling, StayReason
from app.retention.rules.cases import (
    CASE_WORDS,
    CAUSE_WORDS,
    OUTCOME_WORDS,
    STAY_REASON_WORDS,
    Said,
    Wanted,
)
from app.retention.rules.toolkits import COUNTED_WORDS
from app.retention.schemas.toolkits import ToolkitOut, WordsOut
from app.suggestions.rules import HeldBack
from app.suggestions.rules.words import HELD_BACK
from app.workorders.rules import State

Text = Annotated[str, Field(max_length=200)]
Competitor = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class TakeIn(Input):
    """An entry of a list that is to become a case, under the id the asker has made (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000081",
                    "customer_id": "01956f3a-6b00-7000-8000-000000000001",
                    "list": "renewal",
                    "handling": "call",
                    "technician_id": None,
                }
            ]
        }
    )

    id: UUID
    customer_id: UUID
    list: Literal["win_back", "renewal"] = Field(description="From which list.")
    handling: Literal[Handling.VISIT, Handling.CALL] = Field(
        description="A visit becomes a care order; a call is claimed by whoever makes it."
    )
    technician_id: UUID | None = Field(
        default=None, description="Whom a call is given to; left out, anybody who claims it."
    )

    def wanted(self) -> Wanted:
        """Make what the service is asked."""
        cause = Cause.LEFT if self.list == "win_back" else Cause.CONTRACT_ENDS
        technician = self.technician_id if self.handling is Handling.CALL else None
        return Wanted(self.id, self.customer_id, cause, self.handling, technician)


class GiveIn(Input):
    """To whom a call is given."""

    technician_id: UUID


class OutcomeIn(Input):
    """How a contact ended."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "outcome": "refused",
                    "reason": "competitor",
                    "competitor": "长宽",
                    "offering_code": None,
                    "again_on": None,
                    "note": "对方首年 60 元一月",
                }
            ]
        }
    )

    outcome: CaseOutcome
    reason: StayReason | None = Field(
        default=None, description="Why they refuse or leave; needed then, and only then."
    )
    competitor: Competitor | None = Field(default=None, description="With reason `competitor`.")
    offering_code: Code | None = Field(
        default=None, description="What was offered: with `accepted`, `refused` and `later`."
    )
    again_on: Day | None = Field(default=None, description="The local day of a `later`.")
    note: Note = ""

    def said(self) -> Said:
        """Make what was said."""
        return Said(
            self.outcome,
            self.reason,
            self.competitor,
            self.offering_code,
            self.again_on,
            self.note,
        )


class CaseStandingOut(Answer):
    """Where a case stands."""

    id: UUID
    customer_id: UUID
    org_unit_id: UUID
    grid_id: UUID | None
    cause: Cause
    cause_words: WordsOut
    handling: Handling
    arm: Arm
    share_percent: Annotated[float, Field(ge=0, le=100)] = Field(
        description="How many in a hundred were left alone when this was drawn."
    )
    state: CaseState
    state_words: WordsOut
    tier: Tier | None
    counted_tier: Tier | None = Field(
        description="Whose toolkit holds, where it is not that of `tier`; else null."
    )
    counted_words: WordsOut | None = Field(description="Why that is so.")
    churn_class: ChurnClass | None
    value_12m_fen: int | None = Field(description="As it was when decided; null is not known.")
    toolkit_id: UUID | None
    decided_at: datetime
    ask_at: datetime = Field(description="From when on it is to be done, or done again.")
    ends_at: datetime = Field(description="Until when; then it lapses.")
    work_order_id: UUID | None
    technician_id: UUID | None = Field(description="Whom a call was given to.")
    claimed_by: UUID | None
    claimed_until: datetime | None
    tries: Annotated[int, Field(ge=0)] = Field(description="Calls without an answer.")
    outcome: CaseOutcome | None
    outcome_words: WordsOut | None
    reason: StayReason | None
    reason_words: WordsOut | None
    competitor: Annotated[str, Field(max_length=100)] | None
    offering_code: Annotated[str, Field(max_length=64)] | None
    note: Annotated[str, Field(max_length=2000)] | None
    said_at: datetime | None
    closed_at: datetime | None

    @classmethod
    def standing(cls, row: Any) -> dict[str, Any]:
        """Gather the fields that every shape of a case has."""
        said = {"counted_words", "cause_words", "state_words", "outcome_words", "reason_words"}
        plain = CaseStandingOut.model_fields.keys() - said
        return {
            **{name: getattr(row, name) for name in plain},
            "counted_words": WordsOut.of(COUNTED_WORDS) if row.counted_tier else None,
            "cause_words": WordsOut.of(CAUSE_WORDS[row.cause]),
            "state_words": WordsOut.of(CASE_WORDS[row.state]),
            "outcome_words": WordsOut.of(OUTCOME_WORDS[row.outcome]) if row.outcome else None,
            "reason_words": WordsOut.of(STAY_REASON_WORDS[row.reason]) if row.reason else None,
        }

    @classmethod
    def of(cls, case: RetentionCase) -> Self:
        """Write a case as it stands."""
        return cls(**cls.standing(case))


class CaseOut(CaseStandingOut):
    """A case with its customer, masked, and its order."""

    customer_code: Text
    customer_name: Text = Field(description="Reduced to the first character.")
    customer_phone: Text = Field(description="Only both ends.")
    order_state: State | None
    holder_id: UUID | None = Field(description="Who has its order.")
    planned_day: date | None

    @classmethod
    def row(cls, row: Any) -> dict[str, Any]:
        """Gather a row of a list."""
        return {
            **cls.standing(row),
            "customer_code": row.customer_code,
            "customer_name": masked_name(row.customer_name),
            "customer_phone": masked_phone(row.customer_phone),
            "order_state": row.order_state,
            "holder_id": row.holder_id,
            "planned_day": row.planned_day,
        }


class CaseWithToolkitOut(CaseOut):
    """A case with the toolkit it began with: what may be offered, and what is said."""

    toolkit: ToolkitOut | None


class CasesPage(Answer):
    """A page of cases."""

    cases: Annotated[list[CaseOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class MyCasesOut(Answer):
    """A technician's open cases, what is due first before the others."""

    cases: Annotated[list[CaseWithToolkitOut], Field(max_length=200)]


class CallOfferOut(Answer):
    """What the toolkit offers, and what forbids to speak of it in this call; null is nothing."""

    offering_code: Annotated[str, Field(max_length=64)]
    held_back: HeldBack | None
    held_back_words: Text | None


class CaseClaimOut(Answer):
    """A call that is now the caller's, with whom to call in full; that is audited."""

    case: CaseStandingOut
    name: Text
    phone: Annotated[str, Field(max_length=40)]
    offers: Annotated[list[CallOfferOut], Field(max_length=200)]

    @classmethod
    def of(cls, claim: Any, lang: Lang) -> Self:
        """Write a claim in one language."""
        return cls(
            case=CaseStandingOut.of(claim.case),
            name=claim.name,
            phone=claim.phone,
            offers=[
                CallOfferOut(
                    offering_code=code,
                    held_back=held,
                    held_back_words=HELD_BACK[held].say(lang) if held else None,
                )
                for code, held in claim.offers.items()
            ],
        )

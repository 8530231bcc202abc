"""What supervisors see of follow-ups: answers, calls to be made, figures and rules."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Day, Input, Moment
from app.customers.rules import masked_name
from app.dispatch.schemas.decisions import WordsOut
from app.followups.models import FollowUp
from app.followups.queries import Figures
from app.followups.rules import (
    NO_ANSWER_WORDS,
    STATE_WORDS,
    FollowUpChannel,
    FollowUpState,
    NoAnswer,
    average,
    share,
)
from app.followups.schemas.surveys import Mark, SomeReasons
from app.worktypes.rules import WorkType

Text = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0)]


class NoAnswerIn(Input):
    """A call that brought no answer."""

    cause: NoAnswer
    again_at: Moment | None = Field(
        default=None, description="When they want to be called; left out, some hours from now."
    )


class FollowUpStandingOut(Answer):
    """Where a follow-up stands."""

    id: UUID
    work_order_id: UUID
    channel: FollowUpChannel
    state: FollowUpState
    state_words: WordsOut
    tries: Count = Field(description="Calls that brought no answer.")
    no_answer: NoAnswer | None
    no_answer_words: WordsOut | None
    ask_at: datetime = Field(description="When it is to be asked, or asked again.")
    expires_at: datetime
    asked_at: datetime | None
    claimed_by: UUID | None = Field(description="The account that is at it.")
    claimed_until: datetime | None
    mark: Mark | None
    reasons: SomeReasons
    note: Annotated[str, Field(max_length=2000)] | None
    answered_at: datetime | None
    care_order_id: UUID | None = Field(description="The order that a low mark has made.")

    @classmethod
    def standing(cls, row: Any) -> dict[str, Any]:
        """Gather the fields that every shape of a follow-up has."""
        of_its_own = {"state_words", "no_answer_words"}
        plain = FollowUpStandingOut.model_fields.keys() - of_its_own
        return {
            **{name: getattr(row, name) for name in plain},
            "state_words": WordsOut.model_validate(STATE_WORDS[row.state]),
            "no_answer_words": (
                WordsOut.model_validate(NO_ANSWER_WORDS[row.no_answer]) if row.no_answer else None
            ),
        }

    @classmethod
    def of(cls, row: Any) -> Self:
        """Write a follow-up as it stands."""
        return cls(**cls.standing(row))


class FollowUpOut(FollowUpStandingOut):
    """A follow-up with the order it is about; the customer's name is masked."""

    org_unit_id: UUID
    work_type: WorkType
    external_id: Annotated[str, Field(max_length=128)]
    customer_id: UUID | None
    contact_name: Text | None
    technician_id: UUID
    technician_name: Text
    completed_at: datetime

    @classmethod
    def of(cls, row: Any) -> Self:
        """Write a row of a list."""
        return cls(
            **cls.standing(row),
            org_unit_id=row.org_unit_id,
            work_type=row.work_type,
            external_id=row.external_id,
            customer_id=row.customer_id,
            contact_name=masked_name(row.contact_name) if row.contact_name else None,
            technician_id=row.technician_id,
            technician_name=row.technician_name,
            completed_at=row.completed_at,
        )


class FollowUpPage(Answer):
    """A page of follow-ups."""

    follow_ups: Annotated[list[FollowUpOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class ClaimOut(Answer):
    """A call that is now the caller's, with whom to call in full; that is audited."""

    follow_up: FollowUpStandingOut
    contact_name: Text | None
    contact_phone: Annotated[str, Field(max_length=40)] | None

    @classmethod
    def of(cls, follow_up: FollowUp, name: str | None, phone: str | None) -> Self:
        """Write a claim."""
        return cls(
            follow_up=FollowUpStandingOut.of(follow_up), contact_name=name, contact_phone=phone
        )


class FiguresOut(Answer):
    """How somebody was marked; what counts too little to tell is null."""

    asked: Count = Field(description="Customers who were sent a link or called.")
    answered: Count
    unreached: Count = Field(description="Calls that were given up.")
    average_mark: float | None = Field(
        description="Null under the number of answers that the operator asks for."
    )
    low_share: float | None = Field(description="The share of marks of 1 and 2 among answers.")
    low: Count

    @classmethod
    def counted(cls, row: Figures, least: int) -> dict[str, Any]:
        """Gather the figures of a row."""
        return {
            "asked": row.asked,
            "answered": row.answered,
            "unreached": row.unreached,
            "average_mark": average(row.marks, row.answered, least=least),
            "low_share": share(row.low, row.answered, least=least),
            "low": row.low,
        }


class TechnicianFiguresOut(FiguresOut):
    """Figures of one technician."""

    technician_id: UUID
    code: Text
    name: Text


class BranchFiguresOut(FiguresOut):
    """Figures of one branch, and of its technicians by their codes."""

    org_unit_id: UUID
    code: Text
    technicians: Annotated[list[TechnicianFiguresOut], Field(max_length=5000)]


class FollowUpFiguresOut(Answer):
    """Figures of the orders completed from one local day until before another."""

    first_day: date
    until_day: date
    least_answers: Count = Field(description="Under so many answers no average is worked out.")
    branches: Annotated[list[BranchFiguresOut], Field(max_length=5000)]

    @classmethod
    def of(cls, rows: Sequence[Figures], first_day: date, until_day: date, least: int) -> Self:
        """Write the rows, each branch's before those of its people."""
        branches: list[BranchFiguresOut] = []
        for row in rows:
            counted = FiguresOut.counted(row, least)
            if row.technician_id is None:
                branches.append(
                    BranchFiguresOut(
                        org_unit_id=row.org_unit_id,
                        code=row.org_unit_code,
                        technicians=[],
                        **counted,
                    )
                )
                continue
            branches[-1].technicians.append(
                TechnicianFiguresOut(
                    technician_id=row.technician_id,
                    code=row.technician_code or "",
                    name=row.technician_name or "",
                    **counted,
                )
            )
        return cls(first_day=first_day, until_day=until_day, least_answers=least, branches=branches)


class RuleIn(Input):
    """A rule of whom to ask, under the id its maker has given it (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-6b00-7000-8000-000000000095",
                    "code": "yj-repair-2026-04",
                    "org_unit_id": None,
                    "work_type": "repair",
                    "valid_from": "2026-04-01",
                    "valid_to": None,
                    "channel": "survey",
                    "share_percent": 30,
                    "delay_hours": 2,
                    "valid_days": 7,
                    "quiet_days": 60,
                    "spares_do_not_disturb": True,
                }
            ]
        }
    )

    id: UUID
    code: Code
    org_unit_id: UUID | None = Field(
        default=None, description="For whose subtree; left out, the caller's own org unit's."
    )
    work_type: WorkType
    valid_from: Day = Field(description="A local day, not before today.")
    valid_to: Day | None = Field(
        default=None,
        description="The first local day without it: what was said before counts again.",
    )
    channel: FollowUpChannel
    share_percent: Annotated[float, Field(ge=0, le=100)]
    delay_hours: Annotated[float, Field(ge=0, le=720)]
    valid_days: Annotated[int, Field(ge=1, le=90)]
    quiet_days: Annotated[int, Field(ge=0, le=3650)]
    spares_do_not_disturb: bool


class RuleEnd(Input):
    """On which day a rule ends."""

    valid_to: Day = Field(
        description="The first local day without it, from tomorrow on; the day on which it would"
        " begin takes it back."
    )


class RuleOut(Answer):
    """One dated rule of whom to ask."""

    id: UUID
    code: Text
    org_path: Text = Field(description="For which unit's subtree; empty for everybody.")
    work_type: WorkType
    valid_from: date
    valid_to: date | None = Field(description="The first day it does not count any more.")
    channel: FollowUpChannel
    share_percent: Annotated[float, Field(ge=0, le=100)]
    delay_hours: Annotated[float, Field(ge=0)]
    valid_days: Annotated[int, Field(ge=1)]
    quiet_days: Count = Field(description="A customer is asked once in so many days.")
    spares_do_not_disturb: bool


class RulesOut(Answer):
    """The dated rules that concern the caller's unit."""

    rules: Annotated[list[RuleOut], Field(max_length=5000)]

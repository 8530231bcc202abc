"""Wire shapes of former customers."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Day, Input
from app.customers.rules import masked_name, masked_phone
from app.lifecycle.rules import Tier
from app.retention.models import FormerCustomer
from app.retention.rules import LeaveReason, LeaverSource
from app.retention.rules.leavers import LEAVE_WORDS, Leaving
from app.retention.schemas.toolkits import WordsOut


class LeavingIn(Input):
    """Why a customer has left, as somebody was told."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "left_on": "2026-02-20",
                    "reason": "competitor",
                    "competitor": "长宽",
                    "reachable": True,
                    "note": None,
                }
            ]
        }
    )

    left_on: Day = Field(description="The local day on which the last service ended.")
    reason: LeaveReason
    competitor: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    reachable: bool | None = Field(
        default=None, description="Whether they can still be called; left out: not known."
    )
    note: Annotated[str, StringConstraints(max_length=500)] | None = None

    def leaving(self) -> Leaving:
        """Make what the service is told."""
        return Leaving(self.left_on, self.reason, self.competitor, self.reachable, self.note)


class LeavingOut(Answer):
    """What is known of a customer's leaving."""

    id: UUID
    customer_id: UUID
    org_unit_id: UUID
    left_on: date
    reason: LeaveReason
    reason_words: WordsOut
    competitor: Annotated[str, Field(max_length=100)] | None
    reachable: bool | None
    note: Annotated[str, Field(max_length=500)] | None
    source: LeaverSource = Field(description="Whose word it is.")
    tier: Tier | None
    value_12m_fen: int | None
    recorded_at: datetime
    refused_at: datetime | None = Field(description="When they said that they will not come back.")
    returned_on: date | None

    @classmethod
    def known(cls, row: Any) -> dict[str, Any]:
        """Gather what every shape tells."""
        plain = LeavingOut.model_fields.keys() - {"reason_words"}
        return {
            **{name: getattr(row, name) for name in plain},
            "reason_words": WordsOut.of(LEAVE_WORDS[LeaveReason(row.reason)]),
        }

    @classmethod
    def of(cls, row: FormerCustomer) -> Self:
        """Write a row."""
        return cls(**cls.known(row))


class FormerCustomerOut(LeavingOut):
    """A former customer, masked."""

    code: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=200)]
    phone: Annotated[str, Field(max_length=40)]

    @classmethod
    def row(cls, row: Any) -> Self:
        """Write a row of the list."""
        return cls(
            **cls.known(row),
            code=row.code,
            name=masked_name(row.name),
            phone=masked_phone(row.phone),
        )


class FormerCustomersPage(Answer):
    """A page of former customers, those who left last first."""

    former_customers: Annotated[list[FormerCustomerOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None

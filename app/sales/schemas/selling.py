"""Wire shapes of sales; money is in fen, one hundredth of a yuan."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.core.http import Answer, Code, DeviceTime, Input, Line, Note
from app.core.paging import NextPage, Rows
from app.feasibility.rules import Infeasible
from app.retention.schemas.toolkits import Months, Percent
from app.sales.rules import ConsentKind, SaleState
from app.sales.schemas.consent import SecondConfirmationOut, Sha256, SignatureOut

Fen = Annotated[int, Field(ge=0, le=100_000_000)]


class SaleItemIn(Input):
    """One thing the customer takes."""

    offering_code: Code
    quantity: Annotated[int, Field(ge=1, le=20)] = 1
    seen_monthly_price_fen: Annotated[
        Fen | None,
        Field(description="The price the customer saw; a sale at another price is refused."),
    ] = None
    seen_one_off_price_fen: Annotated[
        Fen | None, Field(description="The same for what is paid once.")
    ] = None
    suggestion_id: UUID | None = None
    approval_code: Annotated[str, Field(min_length=1, max_length=20)] | None = Field(
        default=None,
        description="Of special terms that were approved for it: good for one, in one item.",
    )
    seen_discount_percent: Percent | None = Field(
        default=None, description="What the customer was told of them; another is refused."
    )
    seen_discount_months: Months | None = Field(default=None, description="The same for how long.")

    @model_validator(mode="after")
    def _approved(self) -> Self:
        told = (self.seen_discount_percent, self.seen_discount_months)
        if self.approval_code is None and told != (None, None):
            raise ValueError("a discount needs its approval code")
        return self


class SaleIn(Input):
    """A sale put together at the door; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000001",
                    "visit_id": "01956f3a-6b00-7000-8000-000000000002",
                    "items": [
                        {
                            "offering_code": "FTTR-2",
                            "quantity": 1,
                            "seen_monthly_price_fen": 2900,
                        }
                    ],
                    "device_at": "2026-03-02T10:40:00+08:00",
                }
            ]
        }
    )

    id: UUID
    visit_id: UUID
    items: Annotated[list[SaleItemIn], Field(min_length=1, max_length=20)]
    device_at: DeviceTime | None = None
    note: Note | None = None
    reservation_id: UUID | None = Field(
        default=None, description="What was reserved in this visit to install it at once."
    )
    appointment_hold_id: UUID | None = Field(
        default=None,
        description="The slot that was booked in this visit to install it another time; not beside"
        " a reservation.",
    )

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.reservation_id is not None and self.appointment_hold_id is not None:
            raise ValueError("give a reservation or an appointment: it is installed once")
        return self


class SaleItemOut(Answer):
    """One thing sold, at the price it had."""

    id: UUID
    offering_code: Line
    quantity: int
    monthly_price_fen: int
    one_off_price_fen: int
    commission_fen: int
    contract_months: int | None = Field(description="Null for what was sold before it was kept.")
    suggestion_id: UUID | None
    special_terms_id: UUID | None = Field(description="The special terms it was sold on, if any.")
    discount_percent: Percent | None = Field(
        description="What they take off the monthly price, which is that of the catalogue."
    )
    discount_months: Months | None = Field(description="For how many months from the first.")
    discounted_monthly_price_fen: int | None = Field(
        description="What one costs a month while the discount lasts; null without one."
    )
    reversed_at: datetime | None = Field(
        description="When it was taken back alone; null if it was not."
    )
    removed_at: datetime | None = Field(
        description="When the ordering system took it out of the order that was under way."
    )


class SaleOut(Answer):
    """A sale and how far it has come."""

    id: UUID
    visit_id: UUID
    work_order_id: UUID
    technician_id: UUID
    state: SaleState
    items: Annotated[list[SaleItemOut], Field(max_length=20)]
    made_at: datetime
    consent_kind: ConsentKind | None
    shown_sha256: Sha256 = Field(
        description="The hash of what the customer is to be shown; a signature carries it."
    )
    signature: SignatureOut | None = Field(description="Null unless the customer signed.")
    second_confirmation: SecondConfirmationOut | None = Field(
        description="Null where the customer is not protected, or has not agreed yet."
    )
    confirmed_at: datetime | None
    sent_at: datetime | None = Field(
        description="When the ordering system took it; null while it waits."
    )
    acknowledged_at: datetime | None
    completed_at: datetime | None
    rejected_reason: Note | None
    reversed_at: datetime | None = Field(
        description="When it was taken back after it was acknowledged; null if it stands."
    )
    note: Note | None
    reservation_id: UUID | None
    appointment_hold_id: UUID | None = Field(
        description="The slot that is kept for its install; null without one, also where it was"
        " over when the sale was confirmed."
    )
    install_order_id: UUID | None = Field(
        description="The install in the same visit, held by whoever sold it; null without one."
    )
    install_not_now: Annotated[list[Infeasible], Field(max_length=20)] = Field(
        description="Why it is not installed in the same visit though something has to be"
        " installed: the codes of feasibility; empty otherwise."
    )


class SalePage(Answer):
    """A page of sales, newest first."""

    sales: Rows[SaleOut]
    next_page_token: NextPage

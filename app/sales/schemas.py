"""Wire shapes of sales; money is in fen, one hundredth of a yuan."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, Code, Input, Moment, Note
from app.sales.rules import ConsentKind, SaleState

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
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
    device_at: Moment | None = None
    note: Note | None = None


class SignatureConsent(Input):
    """The customer signed on the screen; the image stays with the phone until it is uploaded."""

    kind: Literal["signature"]
    given_at: Moment
    image_sha256: Sha256
    stroke_count: Annotated[int, Field(ge=1, le=10_000)]


class SmsConsent(Input):
    """The customer replied to a message."""

    kind: Literal["sms_reply"]
    given_at: Moment
    message_id: Code
    reply: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class OtpConsent(Input):
    """The customer told the code that was sent to them."""

    kind: Literal["otp"]
    given_at: Moment
    challenge_id: Code
    code_sha256: Sha256


class ConfirmIn(Input):
    """The customer's consent to exactly this sale."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "consent": {
                        "kind": "signature",
                        "given_at": "2026-03-02T10:42:00+08:00",
                        "image_sha256": "9f86d081884c7d659a2feaa0c55ad015"
                        "a3bf4f1b2b0b822cd15d6c15b0f00a08",
                        "stroke_count": 14,
                    }
                }
            ]
        }
    )

    consent: Annotated[SignatureConsent | SmsConsent | OtpConsent, Field(discriminator="kind")]

    def evidence(self) -> dict[str, Any]:
        """Give what proves the consent, without its kind and time."""
        return self.consent.model_dump(exclude={"kind", "given_at"})


class SaleItemOut(Answer):
    """One thing sold, at the price it had."""

    offering_code: str
    quantity: int
    monthly_price_fen: int
    one_off_price_fen: int
    commission_fen: int
    suggestion_id: UUID | None


class SaleOut(Answer):
    """A sale and how far it has come."""

    id: UUID
    visit_id: UUID
    work_order_id: UUID
    technician_id: UUID
    state: SaleState
    items: list[SaleItemOut]
    made_at: datetime
    consent_kind: ConsentKind | None
    confirmed_at: datetime | None
    sent_at: datetime | None = Field(
        description="When the ordering system took it; null while it waits."
    )
    acknowledged_at: datetime | None
    completed_at: datetime | None
    rejected_reason: str | None
    note: str | None


class SalePage(Answer):
    """A page of sales, newest first."""

    sales: list[SaleOut]
    next_page_token: str | None

"""Wire shapes of a customer's consent to a sale."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, StringConstraints

from app.core.http import Answer, DeviceTime, Input, Note
from app.core.i18n import Lang
from app.core.paging import NextPage
from app.messaging.rules import REPLY_LIMIT, masked_number
from app.sales.models import ConsentRequest, ConsentSignature, SecondConfirmation
from app.sales.queries import Proof, SecondCount, Signed
from app.sales.rules import (
    ConsentKind,
    ConsentPurpose,
    Protection,
    Relation,
    RequestState,
    SecondChannel,
    SecondContact,
    SecondState,
    shown_state,
)
from app.sales.rules.asking import CODE_DIGITS

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Told = Annotated[
    str, StringConstraints(pattern=rf"^[0-9]{{{CODE_DIGITS}}}$", max_length=CODE_DIGITS)
]


class SignatureConsent(Input):
    """The customer signed on the screen, with or without a network; the picture is evidence of the
    visit's order, of kind `signature`, and may be uploaded later."""

    kind: Literal["signature"]
    given_at: DeviceTime
    image_sha256: Sha256 = Field(description="Of the picture, as its upload announces it.")
    stroke_sha256: Sha256 = Field(description="Of the strokes with their times, as the app has it.")
    stroke_count: Annotated[int, Field(ge=1, le=10_000)]
    shown_sha256: Sha256 = Field(
        description="Of what was on the screen above the signature: see `shown_sha256` of the sale."
    )


class SmsConsent(Input):
    """The customer replied to the message that a consent request sent them."""

    kind: Literal["sms_reply"]
    given_at: DeviceTime
    request_id: UUID


class OtpConsent(Input):
    """The customer told the code that a consent request sent them."""

    kind: Literal["otp"]
    given_at: DeviceTime
    request_id: UUID
    code: Told


class SecondContactIn(Input):
    """Somebody close to a customer who is protected; they are asked by message."""

    phone: Annotated[str, StringConstraints(min_length=5, max_length=30)]
    relation: Relation


class ConfirmIn(Input):
    """The customer's consent to exactly this sale."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "consent": {
                        "kind": "otp",
                        "given_at": "2026-03-02T10:42:00+08:00",
                        "request_id": "01956f3a-7d00-7000-8000-000000000009",
                        "code": "042917",
                    }
                }
            ]
        }
    )

    consent: Annotated[
        SignatureConsent | SmsConsent | OtpConsent,
        Field(discriminator="kind", title="SaleConsentIn"),
    ]
    second_contact: SecondContactIn | None = Field(
        default=None,
        description="For customers who are protected; without one they are called back. Of no "
        "effect for others.",
    )

    def evidence(self) -> dict[str, Any]:
        """Give what proves the consent, without its kind and time, and never a code."""
        return self.consent.model_dump(mode="json", exclude={"kind", "given_at", "code"})

    def contact(self) -> SecondContact | None:
        """Give the second contact, if one was named."""
        named = self.second_contact
        return None if named is None else SecondContact(named.phone, named.relation)


class ConsentRequestIn(Input):
    """Asking the customer by message; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7d00-7000-8000-000000000009",
                    "kind": "otp",
                    "language": "zh",
                    "device_at": "2026-03-02T10:41:00+08:00",
                }
            ]
        }
    )

    id: UUID = Field(description="Asking with the same id again sends nothing more.")
    kind: Literal[ConsentKind.OTP, ConsentKind.SMS_REPLY]
    language: Lang = Field(default="zh", description="In which language the customer is asked.")
    device_at: DeviceTime | None = None


class ConsentRequestOut(Answer):
    """What a customer was asked, and what came of it; never a code."""

    id: UUID
    sale_id: UUID
    kind: ConsentKind
    state: RequestState
    sent_to: Annotated[str, Field(max_length=40)] | None = Field(description="Masked.")
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None

    @classmethod
    def of(cls, request: ConsentRequest, now: datetime) -> Self:
        """Write a request as it stands."""
        return cls(
            id=request.id,
            sale_id=request.sale_id,
            kind=request.kind,
            state=shown_state(request.state, request.expires_at, now),
            sent_to=masked_number(request.recipient) if request.recipient else None,
            asked_at=request.asked_at,
            expires_at=request.expires_at,
            answered_at=request.answered_at,
        )


class ConsentAskedOut(ConsentRequestOut):
    """A request that is on its way to the customer."""

    left: Annotated[int, Field(ge=0)] = Field(
        description="How often more the customer can be asked within the hour."
    )

    @classmethod
    def asked(cls, request: ConsentRequest, left: int, now: datetime) -> Self:
        """Write what was asked."""
        return cls(**dict(ConsentRequestOut.of(request, now)), left=left)


class ConsentRequestsOut(Answer):
    """What a sale's customer was asked, the newest first."""

    requests: Annotated[list[ConsentRequestOut], Field(max_length=20)]

    @classmethod
    def of(cls, requests: Sequence[ConsentRequest], now: datetime) -> Self:
        """Write requests as they stand."""
        return cls(requests=[ConsentRequestOut.of(each, now) for each in requests])


class ConsentProofOut(Answer):
    """What somebody was asked by message, and what they said; the words are kept for as long as the
    operator says, and null from then on."""

    request_id: UUID
    purpose: ConsentPurpose
    kind: ConsentKind
    state: RequestState
    number: Annotated[str, Field(max_length=40)] | None = Field(description="Masked.")
    asked_text: Annotated[str, Field(max_length=1000)] | None = Field(
        description="As it was sent, but for a code, of which there is only a hash."
    )
    asked_at: datetime
    sent_at: datetime | None = Field(description="When the messaging provider took it.")
    sent_as: Annotated[str, Field(max_length=100)] | None = Field(
        description="The provider's number of the message."
    )
    reply_text: Annotated[str, Field(max_length=REPLY_LIMIT)] | None
    said_at: datetime | None = Field(description="When they replied, by the provider's clock.")
    replied_as: Annotated[str, Field(max_length=100)] | None = Field(
        description="The provider's number of the reply."
    )
    answered_at: datetime | None

    @classmethod
    def of(cls, proof: Proof, now: datetime) -> Self:
        """Write what shows how a request was answered."""
        request = proof.request
        return cls(
            request_id=request.id,
            purpose=request.purpose,
            kind=request.kind,
            state=shown_state(request.state, request.expires_at, now),
            number=masked_number(request.recipient) if request.recipient else None,
            asked_text=request.asked_text,
            asked_at=request.asked_at,
            sent_at=proof.sent_at,
            sent_as=proof.sent_as,
            reply_text=request.reply_text,
            said_at=proof.said_at,
            replied_as=proof.replied_as,
            answered_at=request.answered_at,
        )


class ConsentProofsOut(Answer):
    """What a sale's customer and their second contact were asked by message, the newest first."""

    proofs: Annotated[list[ConsentProofOut], Field(max_length=20)]

    @classmethod
    def of(cls, proofs: Sequence[Proof], now: datetime) -> Self:
        """Write all that there is."""
        return cls(proofs=[ConsentProofOut.of(each, now) for each in proofs])


class SignatureOut(Answer):
    """A signature under a sale, and whether its picture is there."""

    picture_arrived: bool
    due_at: datetime = Field(description="From when on a picture that is not there is looked into.")
    flagged_at: datetime | None = Field(description="Since when somebody has to look into it.")

    @classmethod
    def of(cls, signed: Signed) -> Self:
        """Write how a signature stands."""
        missing = None if signed.arrived else signed.flagged_at
        return cls(picture_arrived=signed.arrived, due_at=signed.due_at, flagged_at=missing)


class SecondConfirmationOut(Answer):
    """The second confirmation that a sale to a protected customer needs."""

    sale_id: UUID
    reason: Protection
    channel: SecondChannel
    relation: Relation | None
    state: SecondState
    asked_at: datetime
    due_at: datetime = Field(description="Without an answer by then the sale is cancelled.")
    cancel_until: datetime = Field(
        description="Until then the customer may cancel without a reason."
    )
    answered_at: datetime | None

    @classmethod
    def of(cls, second: SecondConfirmation) -> Self:
        """Write how it stands."""
        return cls.model_validate(second)


class SecondConfirmationPage(Answer):
    """A page of second confirmations, newest first."""

    second_confirmations: Annotated[list[SecondConfirmationOut], Field(max_length=200)]
    next_page_token: NextPage


class SecondConfirmationIn(Input):
    """What calling the customer back has brought."""

    agreed: bool
    note: Annotated[Note, Field(min_length=1)] = Field(
        description="Whom you spoke to and what they said; it is evidence."
    )


class SecondCountOut(Answer):
    """How many second confirmations had one reason and one end."""

    reason: Protection
    state: SecondState
    number: int
    hours: float | None = Field(description="How long an answer took on average.")


class SecondReportOut(Answer):
    """Second confirmations asked for in a stretch of time."""

    asked: int
    given: int
    counts: Annotated[list[SecondCountOut], Field(max_length=50)]

    @classmethod
    def of(cls, counted: Sequence[SecondCount]) -> Self:
        """Write what was counted."""
        return cls(
            asked=sum(each.number for each in counted),
            given=sum(each.number for each in counted if each.state is SecondState.GIVEN),
            counts=[SecondCountOut(**each._asdict()) for each in counted],
        )


class MissingSignatureOut(Answer):
    """A signature whose picture never came."""

    sale_id: UUID
    work_order_id: UUID
    image_sha256: Sha256
    stroke_count: int
    signed_at: datetime
    due_at: datetime
    flagged_at: datetime

    @classmethod
    def of(cls, signature: ConsentSignature) -> Self:
        """Write what is missing."""
        return cls.model_validate(signature)


class MissingSignaturePage(Answer):
    """A page of signatures whose picture never came, the longest flagged first."""

    signatures: Annotated[list[MissingSignatureOut], Field(max_length=200)]
    next_page_token: NextPage

"""How customers agreed: what they were asked by message, their signatures, second confirmations."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.db import Base, Row, text_enum
from app.sales.rules import (
    ConsentKind,
    ConsentPurpose,
    Protection,
    Relation,
    RequestState,
    SecondChannel,
    SecondState,
)

# The searches say it in the same words, so that the partial indexes serve them.
AWAITS_REPLY = text("state = 'asked' AND kind = 'sms_reply'")
AGREED_BY_REPLY = text("state = 'agreed' AND kind = 'sms_reply' AND purpose = 'consent'")
SECOND_DUE = text("state = 'due'")
PICTURE_AWAITED = text("arrived_at IS NULL")


class ConsentRequest(Row, Base):
    """A customer, or the second contact of one, was asked by message whether they agree.

    The phone makes the id. `content_hash` binds it to what they were told (see
    `rules.shown_text`). Of a code there is only a hash, keyed by a secret of the signing key
    `key_id`; `wrong` are the hashes of wrong codes that were told. `reference` is what a reply
    names. `message_id` is the message that asked `recipient`, a telephone number, and `reply_id`
    the one that answered. What both said stands in `asked_text`, without its code, and `reply_text`
    for as long as it may have to be proven; messages themselves are forgotten within days.
    """

    __tablename__ = "consent_request"
    __table_args__ = (
        Index("ix_consent_request_sale", "sale_id", "asked_at"),
        Index("ix_consent_request_customer", "customer_id", "asked_at"),
        Index("ix_consent_request_awaiting", "recipient", postgresql_where=AWAITS_REPLY),
        Index("ix_consent_request_agreed", "answered_at", postgresql_where=AGREED_BY_REPLY),
        # What is forgotten when its time is over, and has not been yet.
        Index(
            "ix_consent_request_swept",
            "created_at",
            "id",
            postgresql_where=text("num_nonnulls(recipient, asked_text, reply_text) > 0"),
        ),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"))
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"))
    technician_id: Mapped[UUID] = mapped_column(ForeignKey("technician.id"))
    purpose: Mapped[ConsentPurpose] = mapped_column(text_enum(ConsentPurpose))
    kind: Mapped[ConsentKind] = mapped_column(text_enum(ConsentKind))
    state: Mapped[RequestState] = mapped_column(text_enum(RequestState))
    content_hash: Mapped[str]
    recipient: Mapped[str | None]
    reference: Mapped[str | None]
    asked_at: Mapped[datetime]
    device_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    key_id: Mapped[str | None]
    digest: Mapped[bytes | None]
    wrong: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary), server_default=text("'{}'"))
    answered_at: Mapped[datetime | None]
    reply_id: Mapped[UUID | None] = mapped_column(ForeignKey("message_reply.id"))
    message_id: Mapped[UUID | None] = mapped_column(ForeignKey("message.id"))
    asked_text: Mapped[str | None]
    reply_text: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class ConsentSignature(Base):
    """A customer's signature under a sale, whose picture may come later as evidence of the order.

    `shown_sha256` is the hash of what was on the screen above it, `stroke_sha256` that of how it
    was drawn. From `due_at` on a picture that is not there is somebody's task: `flagged_at`.
    """

    __tablename__ = "consent_signature"
    __table_args__ = (
        Index("ix_consent_signature_due", "due_at", postgresql_where=PICTURE_AWAITED),
        Index(
            "ix_consent_signature_flagged",
            "org_unit_id",
            "flagged_at",
            postgresql_where=text("arrived_at IS NULL AND flagged_at IS NOT NULL"),
        ),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    work_order_id: Mapped[UUID] = mapped_column(ForeignKey("work_order.id"))
    image_sha256: Mapped[str]
    stroke_sha256: Mapped[str]
    stroke_count: Mapped[int]
    shown_sha256: Mapped[str]
    signed_at: Mapped[datetime]
    due_at: Mapped[datetime]
    arrived_at: Mapped[datetime | None]
    flagged_at: Mapped[datetime | None]


class SecondConfirmation(Base):
    """A sale to a customer who is protected waits for somebody else's yes.

    `request_id` is the message to a second contact; without one the customer is called back.
    `account_id` is who wrote the answer down, null where it came by message. Until `cancel_until`
    the customer may cancel without a reason.
    """

    __tablename__ = "second_confirmation"
    __table_args__ = (
        Index("ix_second_confirmation_due", "due_at", postgresql_where=SECOND_DUE),
        Index("ix_second_confirmation_unit", "org_unit_id", "asked_at", "sale_id"),
    )

    sale_id: Mapped[UUID] = mapped_column(ForeignKey("sale.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    org_unit_id: Mapped[UUID] = mapped_column(ForeignKey("org_unit.id"))
    reason: Mapped[Protection] = mapped_column(text_enum(Protection))
    channel: Mapped[SecondChannel] = mapped_column(text_enum(SecondChannel))
    relation: Mapped[Relation | None] = mapped_column(text_enum(Relation))
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("consent_request.id"))
    state: Mapped[SecondState] = mapped_column(text_enum(SecondState))
    asked_at: Mapped[datetime]
    due_at: Mapped[datetime]
    cancel_until: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    account_id: Mapped[UUID | None]
    note: Mapped[str | None]
